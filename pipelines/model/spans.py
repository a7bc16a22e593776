"""Text that holds for a span of time: how much each text token counts at each moment."""

from __future__ import annotations

import torch
from torch import Tensor


def span_weights(spans: Tensor, seconds: Tensor) -> Tensor:
    """Weights `[B, L, M]` in 0..1 of M text tokens at the moments `seconds [L]`.

    `spans [B, M, 4]` are start, end, and how many seconds the token takes to come in from `start` on and to go out from
    `end` on. One token going out as another comes in make 1 together.
    """
    start, end, rise, fall = spans[:, None].unbind(-1)
    moment = seconds[None, :, None]
    return _ramp(moment - start, rise) * (1 - _ramp(moment - end, fall))


def pool_text(text: Tensor, weights: Tensor) -> Tensor:
    """Mean `[B, L, D]` of the text tokens `[B, M, D]` that count at each moment."""
    return weights @ text / weights.sum(-1, keepdim=True).clamp_min(1e-4)


def _ramp(past: Tensor, seconds: Tensor) -> Tensor:
    """0 before, 1 after, and a line between; at once when `seconds` is 0."""
    return torch.where(seconds > 0, (past / seconds.clamp_min(1e-6)).clamp(0, 1), (past >= 0).to(past.dtype))
