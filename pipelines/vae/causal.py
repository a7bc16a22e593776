"""The learned codec: the interface of `LinearCodec`, with networks in place of the two matrices.

A block is encoded from itself and the blocks before it, never from later ones, and decoded from its own latents alone,
so that streams of any length encode and decode as they arrive (causal video autoencoders: MAGVIT-v2, arXiv 2310.05737).
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ..model.ops import Ops


class CausalBlock(nn.Module):
    """Residual pair of convolutions over `[B, width, T, H, W]`; time is padded with the past only."""

    def __init__(self, width: int, past: int, reach: int, ops: Ops, **factory: Any) -> None:
        super().__init__()
        side = 2 * reach + 1
        self.padding = (reach, reach, reach, reach, past, 0)
        self.first = ops.Conv3d(width, width, (past + 1, side, side), **factory)
        self.second = ops.Conv3d(width, width, 1, **factory)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.pad(F.silu(x), self.padding))))


class CausalCodec(nn.Module):
    """`[B, T, ..., size]` blocks to `[B, T, ..., channels]` latents of unit power, and back.

    `reach` is how many neighbouring blocks a layer sees to each side: 1 for pictures, 0 for sound.
    """

    def __init__(self, size: int, channels: int, width: int, depth: int, reach: int, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.enter = ops.Conv3d(size, width, 1, **factory)
        self.encoder = nn.ModuleList(CausalBlock(width, 1, reach, ops, **factory) for _ in range(depth))
        self.latent = ops.Conv3d(width, channels, 1, **factory)
        self.widen = ops.Conv3d(channels, width, 1, **factory)
        self.decoder = nn.ModuleList(CausalBlock(width, 0, reach, ops, **factory) for _ in range(depth))
        self.out = ops.Conv3d(width, size, 1, **factory)

    def encode(self, blocks: Tensor) -> Tensor:
        """Latents of blocks. One power for all, so that a noise level means the same everywhere."""
        x = self.enter(_channels_first(blocks))
        for block in self.encoder:
            x = block(x)
        x = self.latent(x)
        return _channels_last(F.rms_norm(x.movedim(1, -1), x.shape[1:2]).movedim(-1, 1), blocks.ndim)

    def decode(self, latents: Tensor) -> Tensor:
        """Blocks of latents."""
        x = self.widen(_channels_first(latents))
        for block in self.decoder:
            x = block(x)
        return _channels_last(self.out(x), latents.ndim)


def _channels_first(x: Tensor) -> Tensor:
    """`[B, T, size]` or `[B, T, H, W, size]` to `[B, size, T, H, W]`."""
    return (x if x.ndim == 5 else x[:, :, None, None]).movedim(-1, 1)


def _channels_last(x: Tensor, dimensions: int) -> Tensor:
    x = x.movedim(1, -1)
    return x if dimensions == 5 else x[:, :, 0, 0]
