"""A picture of a measurement: what was seen, what was heard, and how well each offset explains them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .events import Events
from .measure import Sync

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

WIDTH, ROW, MARGIN = 900, 150, 24
INK, FAINT, SEEN, HEARD, FOUND = (235, 235, 235), (90, 90, 96), (110, 190, 255), (255, 180, 90), (120, 230, 140)
PAPER = (24, 24, 28)


def plot(sync: Sync, seconds: float) -> Tensor:
    """An image `[H, W, 3]` float32 in 0 to 1."""
    import numpy as np
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (WIDTH, 3 * ROW + 4 * MARGIN), PAPER)
    draw = ImageDraw.Draw(image)
    _row(draw, 0, "seen", sync.seen, seconds, SEEN)
    _row(draw, 1, "heard", sync.heard, seconds, HEARD)
    top = _frame(draw, 2, "how well an offset explains both, from sound early to sound late")
    if len(sync.lags) > 1:
        first, last = sync.lags[0].item(), sync.lags[-1].item()
        _curve(draw, top, sync.scores.clamp(min=0).tolist(), FOUND)
        place = MARGIN + (sync.offset - first) / (last - first) * (WIDTH - 2 * MARGIN)
        draw.line((place, top, place, top + ROW), fill=INK)
        draw.text((min(place + 4, WIDTH - 90), top + 14), f"{sync.offset * 1000:+.0f} ms", fill=INK)
    return torch.from_numpy(np.array(image)).float() / 255


def _row(draw: ImageDraw, number: int, name: str, events: Events, seconds: float, colour: tuple[int, int, int]) -> None:
    top = _frame(draw, number, f"{name}: {len(events)} events in {seconds:.1f} s")
    _curve(draw, top, events.curve.clamp(min=0).tolist(), FAINT)
    for time, strength in zip(events.time.tolist(), events.strength.tolist(), strict=True):
        x = MARGIN + time / seconds * (WIDTH - 2 * MARGIN)
        draw.line((x, top + ROW, x, top + ROW - max(0.15, strength) * (ROW - 16)), fill=colour, width=2)


def _frame(draw: ImageDraw, number: int, title: str) -> int:
    top = MARGIN + number * (ROW + MARGIN)
    draw.rectangle((MARGIN, top, WIDTH - MARGIN, top + ROW), outline=FAINT)
    draw.text((MARGIN, top - 14), title, fill=INK)
    return top


def _curve(draw: ImageDraw, top: int, values: Sequence[float], colour: tuple[int, int, int]) -> None:
    highest = max(max(values), 1e-9)
    step = (WIDTH - 2 * MARGIN) / max(1, len(values) - 1)
    points = [(MARGIN + i * step, top + ROW - value / highest * (ROW - 16)) for i, value in enumerate(values)]
    draw.line(points, fill=colour)
