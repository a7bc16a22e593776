"""Rotary positions: video tokens turn with (seconds, y, x), audio tokens with seconds alone, on one shared time line.

Time is in seconds and space in units of the square root of the frame's area, so that one set of weights serves every
length, size and aspect. Axial rotary embedding after RoFormer (arXiv 2104.09864); time shared by both streams after
LTX-2 (arXiv 2601.03233).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor

from ..clock import Grid

SECONDS_PERIODS = (0.25, 60.0)
SPACE_PERIODS = (0.4, 8.0)


def video_positions(grid: Grid, steps: int, rows: int, columns: int, device: torch.device) -> Tensor:
    """Positions `[steps * rows * columns, 3]` of the video tokens: seconds, y, x."""
    side = math.sqrt(rows * columns)
    seconds = _seconds(grid.video_seconds, steps, device)
    y = (torch.arange(rows, device=device) - (rows - 1) / 2) / side
    x = (torch.arange(columns, device=device) - (columns - 1) / 2) / side
    return torch.stack(torch.meshgrid(seconds, y, x, indexing="ij"), dim=-1).reshape(-1, 3)


def audio_positions(grid: Grid, steps: int, device: torch.device) -> Tensor:
    """Positions `[steps, 3]` of the audio tokens: seconds, and the middle of the frame."""
    positions = torch.zeros(steps, 3, device=device)
    positions[:, 0] = _seconds(grid.audio_seconds, steps, device)
    return positions


def _seconds(of: Callable[[int], Fraction], steps: int, device: torch.device) -> Tensor:
    # Made on the device, it would wait there for all that was asked before.
    return torch.tensor([float(of(step)) for step in range(steps)]).to(device, non_blocking=True)


def rotation(positions: Tensor, head_dim: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines `[L, head_dim / 2]`: half of the pairs for time, a quarter each for y and x."""
    pairs = head_dim // 2
    sizes = (pairs - 2 * (pairs // 4), pairs // 4, pairs // 4)
    angles = [
        positions[:, axis, None] * _frequencies(size, periods, positions.device)
        for axis, (size, periods) in enumerate(zip(sizes, (SECONDS_PERIODS, SPACE_PERIODS, SPACE_PERIODS), strict=True))
    ]
    angle = torch.cat(angles, dim=-1)
    return angle.cos(), angle.sin()


def _frequencies(count: int, periods: tuple[float, float], device: torch.device) -> Tensor:
    exponents = torch.linspace(0, 1, count, device=device)
    return 2 * math.pi / (periods[0] * (periods[1] / periods[0]) ** exponents)


def rotate(x_BHLD: Tensor, cos_LP: Tensor, sin_LP: Tensor) -> Tensor:
    """Turn the pairs (first half, second half) of every head by the positions' angles."""
    first, second = x_BHLD.chunk(2, dim=-1)
    turned = torch.addcmul(first * cos_LP, second, sin_LP, value=-1), torch.addcmul(second * cos_LP, first, sin_LP)
    return torch.cat(turned, dim=-1)
