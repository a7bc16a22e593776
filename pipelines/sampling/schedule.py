"""Noise levels of a sampling run."""

from __future__ import annotations

import torch
from torch import Tensor


def shift_sigma(sigma: Tensor, shift: float) -> Tensor:
    """Move noise levels towards 1 for `shift` > 1 (SD3, arXiv 2403.03206, eq. 23)."""
    return shift * sigma / (1 + (shift - 1) * sigma)


def flow_schedule(steps: int, shift: float = 1.5, denoise: float = 1.0) -> Tensor:
    """Noise levels `[steps + 1]` float32, falling from 1 to 0; `denoise` < 1 starts that far down.

    Raises ValueError for fewer than one step, a shift that is not positive, or denoise outside 0..1.
    """
    if steps < 1:
        raise ValueError(f"A schedule needs at least 1 step; got {steps}.")
    if shift <= 0:
        raise ValueError(f"The shift must be more than 0 (1 = none, 1.5 = default); got {shift}.")
    if not 0 < denoise <= 1:
        raise ValueError(f"Denoise must be more than 0 and at most 1; got {denoise}.")
    return shift_sigma(torch.linspace(denoise, 0, steps + 1, dtype=torch.float64), shift).float()
