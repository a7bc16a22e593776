"""The linear codec: blocks of a signal to their strongest components and back (Karhunen-Loeve transform).

Fitted once by principal components, then frozen: the same bits on every device, and exact for inpainting.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class LinearCodec(nn.Module):
    """`[..., size]` blocks to `[..., channels]` coefficients of about unit variance.

    Unfitted, the basis is the low-frequency corner of a cosine transform over `axes`, whose product is `size`.
    """

    def __init__(self, axes: tuple[int, ...], channels: int, device: torch.device | str | None = None) -> None:
        super().__init__()
        size = math.prod(axes)
        self.register_buffer("basis", _cosine_basis(axes, channels).to(device))
        self.register_buffer("mean", torch.zeros(size, device=device))
        self.register_buffer("scale", torch.full((channels,), 0.5 * math.sqrt(size / channels), device=device))

    def encode(self, blocks: Tensor) -> Tensor:
        """Coefficients of blocks, float32."""
        basis, mean, scale = self._tables(blocks)
        return (blocks.float() - mean) @ basis.T / scale

    def decode(self, coefficients: Tensor) -> Tensor:
        """Blocks of coefficients, float32."""
        basis, mean, scale = self._tables(coefficients)
        return (coefficients.float() * scale) @ basis + mean

    def _tables(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Basis, mean and scale where `x` is: a host that offloads layers moves no buffers."""
        return tuple(table.to(x.device, torch.float32) for table in (self.basis, self.mean, self.scale))

    @torch.no_grad()
    def fit(self, blocks: Tensor) -> None:
        """Principal components of `blocks [N, size]`; channels are scaled by the square root of their deviation.

        Full whitening would make the model spend itself on the noise tail, no scaling would lose the fine channels.
        """
        self.mean.copy_(blocks.double().mean(0))
        basis, deviation = _components(blocks - self.mean, len(self.scale))
        scale = deviation.sqrt()
        overall = (deviation / scale).square().mean().sqrt()
        self.basis.copy_(basis)
        self.scale.copy_(scale * overall)

    @torch.no_grad()
    def extend(self, narrow: LinearCodec, blocks: Tensor) -> None:
        """Begin with the channels of `narrow`, unchanged, and fit the others on what those leave of `blocks [N, size]`.

        The scales go on by the rule of `fit`.
        """
        kept = len(narrow.scale)
        centred = blocks.double() - narrow.mean
        coefficients = centred @ narrow.basis.double().T
        basis, deviation = _components(centred - coefficients @ narrow.basis.double(), len(self.scale) - kept)
        overall = (narrow.scale / coefficients.std(0).sqrt()).median()
        self.mean.copy_(narrow.mean)
        self.basis.copy_(torch.cat((narrow.basis, basis)))
        self.scale.copy_(torch.cat((narrow.scale, deviation.sqrt() * overall)))


def _components(centred: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` strongest principal axes `[count, size]` of `[N, size]`, and the deviations along them."""
    values, vectors = torch.linalg.eigh(torch.cov(centred.double().T))
    basis = vectors.flip(1)[:, :count].T
    # The sign of a principal axis is arbitrary: fix it, so that every fit of the same data gives the same latents.
    signs = basis.gather(1, basis.abs().argmax(1, keepdim=True)).sign()
    return basis * signs, values.flip(0)[:count].clamp_min(1e-8).sqrt()


def _cosine_basis(axes: tuple[int, ...], channels: int) -> Tensor:
    """The `channels` smoothest vectors of the orthonormal cosine transform over `axes`, `[channels, product]`."""
    basis, order = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    for size in axes:
        points = torch.arange(size, dtype=torch.float64)
        waves = torch.cos(math.pi / size * (points + 0.5) * points[:, None]) * math.sqrt(2 / size)
        waves[0] /= math.sqrt(2)
        basis = torch.einsum("ai,bj->abij", basis, waves).flatten(2).flatten(0, 1)
        order = (order[:, None] + (points / size) ** 2).flatten()
    return basis[order.argsort(stable=True)[:channels]].float()
