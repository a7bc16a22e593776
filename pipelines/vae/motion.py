"""The picture half-way between two others, along what moved from one to the other.

Nothing is learned here: small blocks of both are compared, each moved towards the other by the same way (bilateral
motion estimation, Choi et al. 2007), and the better they match, the more that way counts. What matches nowhere is
simply averaged.
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

# How far each picture may be moved, in pixels down and across: a camera pans further than anything falls.
DOWN = (-1.0, 0.0, 1.0)
ACROSS = (-5.0, -4.0, -3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
WAYS = tuple(itertools.product(DOWN, ACROSS))
REACH = 6
# Squared differences of brightness, of pictures in -1..1, are averaged over blocks, of so many pixels every so many.
BLOCK, STRIDE = 12, 4
# How much a match counts: `exp(-SHARPNESS * difference)`, by `exp(RELUCTANCE)` less for each axis that it moves along.
SHARPNESS = 300.0
RELUCTANCE = 3.0


def halfway(earlier: Tensor, later: Tensor) -> Tensor:
    """Pictures `[N, C, h, w]` in the middle of two, all in -1..1, float32; sides are multiples of `STRIDE`."""
    before, after = _Shiftable(earlier), _Shiftable(later)
    grey_before, grey_after = (_Shiftable(x.mean(1, keepdim=True)) for x in (earlier, later))
    scores = torch.cat([_score(grey_before, grey_after, *way) for way in WAYS], dim=1)
    weights = scores.softmax(1).split(1, dim=1)
    middle = torch.zeros_like(earlier)
    for (down, across), weight in zip(WAYS, weights, strict=True):
        smooth = F.interpolate(weight, size=earlier.shape[-2:], mode="bilinear", align_corners=False)
        middle = middle + smooth / 2 * (before.at(-down, -across) + after.at(down, across))
    return middle


class _Shiftable:
    """A picture that can be seen from up to `REACH` pixels away, in steps of half a pixel; its edges go on."""

    def __init__(self, picture: Tensor) -> None:
        self.height, self.width = picture.shape[-2:]
        whole = F.pad(picture, (REACH, REACH + 1, REACH, REACH + 1), mode="replicate")
        across, down = (whole[..., :-1] + whole[..., 1:]) / 2, (whole[..., :-1, :] + whole[..., 1:, :]) / 2
        self.halves = {
            (False, False): whole,
            (False, True): across,
            (True, False): down,
            (True, True): (down[..., :-1] + down[..., 1:]) / 2,
        }

    def at(self, down: float, across: float) -> Tensor:
        """The picture as seen from so many pixels further."""
        row, column = math.floor(down), math.floor(across)
        half = self.halves[row != down, column != across]
        top, left = REACH + row, REACH + column
        return half[..., top : top + self.height, left : left + self.width]


def _score(before: _Shiftable, after: _Shiftable, down: float, across: float) -> Tensor:
    """How well two pictures match by a way, by block `[N, 1, h / STRIDE, w / STRIDE]`; log-odds."""
    error = (before.at(-down, -across) - after.at(down, across)).square()
    blocks = F.avg_pool2d(error, BLOCK, STRIDE, padding=(BLOCK - STRIDE) // 2, count_include_pad=False)
    return -SHARPNESS * blocks - RELUCTANCE * ((down != 0) + (across != 0))
