"""A small convolutional head that finishes the picture cell by cell.

A token stands for several latent cells and is predicted without sight of the cells next door, which leaves seams along
token borders. The head sees the prediction, the noisy latent at full detail, and what the tokens know, and lets
neighbouring cells agree; U-ViT (arXiv 2209.12152) ends in a convolution for the same reason.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .ops import Ops
from .patchify import unpatchify_video

DEPTH = 3
# The largest correction of a cell that is common; a larger one fades.
LARGE = 5.0


class CellRefiner(nn.Module):
    """Adds a correction to the clean estimate of the video latent; a new one adds nothing."""

    def __init__(self, channels: int, width: int, token_width: int, patch: int, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.patch = patch
        self.cells = ops.Linear(2 * channels + 1, width, **factory)
        self.tokens = ops.Linear(token_width, width * patch**2, **factory)
        self.layers = nn.ModuleList(_Layer(width, ops, **factory) for _ in range(DEPTH))
        self.out = ops.Linear(width, channels, **factory)

    def forward(self, clean: Tensor, noisy: Tensor, sigma: Tensor, tokens: Tensor) -> Tensor:
        """Clean estimate and noisy latent `[B, C, T, H, W]`, noise levels that broadcast to `[B, 1, T, H, W]`, and
        tokens `[B, L, token_width]`, to a better estimate."""
        level = sigma.to(noisy.dtype).expand(len(noisy), 1, *noisy.shape[2:])
        known = unpatchify_video(self.tokens(tokens), tuple(noisy.shape[2:]), self.patch)
        x = self.cells(_last(torch.cat((clean, noisy, level), dim=1))) + _last(known)
        # Channels stay last in memory from here on: the convolutions are fastest that way.
        x = x.flatten(0, 1).permute(0, 3, 1, 2)
        for layer in self.layers:
            x = layer(x)
        correction = self.out(x.permute(0, 2, 3, 1)).unflatten(0, (len(noisy), -1))
        # The head sees what it added a step before: a correction that feeds on itself would grow until the cell bursts.
        size = correction.abs().amax(-1, keepdim=True)
        correction = correction / (1 + (size / LARGE) ** 4)
        return clean + correction.permute(0, 4, 1, 2, 3)


class _Layer(nn.Module):
    """Residual pair of 3 x 3 convolutions on `[N, width, H, W]`."""

    def __init__(self, width: int, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.norm = ops.RMSNorm(width, eps=1e-6, elementwise_affine=False, **factory)
        self.first = ops.Conv2d(width, width, 3, padding=1, **factory)
        self.second = ops.Conv2d(width, width, 3, padding=1, **factory)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return x + self.second(F.silu(self.first(h)))


def _last(x: Tensor) -> Tensor:
    """`[B, C, T, H, W]` to `[B, T, H, W, C]`."""
    return x.permute(0, 2, 3, 4, 1)
