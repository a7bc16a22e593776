"""Small layers of the transformers, built through the `Ops` seam."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .ops import Ops


class SwiGLU(nn.Module):
    """Gated feed-forward (arXiv 2002.05202): `[.., width]` to `[.., width]`."""

    def __init__(self, width: int, hidden: int, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.gate_up = ops.Linear(width, 2 * hidden, bias=False, **factory)
        self.down = ops.Linear(hidden, width, bias=False, **factory)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class Bottleneck(nn.Module):
    """Two linear maps through a narrower middle, the way in and out of the token width."""

    def __init__(self, inside: int, middle: int, outside: int, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.down = ops.Linear(inside, middle, **factory)
        self.up = ops.Linear(middle, outside, **factory)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(F.silu(self.down(x)))


class NoiseEmbedding(nn.Module):
    """Noise levels `[B, n]` in 0..1 to `[B, n, width]`: sinusoids, then two linear maps."""

    FREQUENCIES = 128

    def __init__(self, width: int, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.up = ops.Linear(2 * self.FREQUENCIES, width, **factory)
        self.out = ops.Linear(width, width, **factory)

    def forward(self, sigma: Tensor, dtype: torch.dtype) -> Tensor:
        steps = torch.arange(self.FREQUENCIES, device=sigma.device) / self.FREQUENCIES
        angles = sigma.float()[..., None] * 1000 * torch.exp(-math.log(10000) * steps)
        waves = torch.cat((angles.cos(), angles.sin()), dim=-1).to(dtype)
        return self.out(F.silu(self.up(waves)))


def split_heads(x: Tensor, heads: int) -> Tensor:
    """`[B, L, H * D]` to `[B, H, L, D]`."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x_BHLD: Tensor) -> Tensor:
    """`[B, H, L, D]` to `[B, L, H * D]`."""
    return x_BHLD.transpose(1, 2).flatten(2)
