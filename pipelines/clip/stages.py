"""Stages of a clip: each returns a new clip and does no work."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..clock import samples_of
from .clip import Clip, Sound


def scale(chunk: Tensor, width: int, height: int) -> Tensor:
    """A uint8 chunk `[n, H, W, 3]` at another size."""
    planes = chunk.movedim(-1, 1).float()
    scaled = F.interpolate(planes, (height, width), mode="bicubic", antialias=True)
    return scaled.round_().clamp_(0, 255).to(torch.uint8).movedim(1, -1)


def cover(chunk: Tensor, width: int, height: int) -> Tensor:
    """The middle of a uint8 chunk `[n, H, W, 3]`, at a size that covers all of another."""
    factor = max(width / chunk.shape[2], height / chunk.shape[1])
    across, down = max(width, round(chunk.shape[2] * factor)), max(height, round(chunk.shape[1] * factor))
    left, top = (across - width) // 2, (down - height) // 2
    return scale(chunk, across, down)[:, top : top + height, left : left + width]


def trim(clip: Clip, start: int, frames: int) -> Clip:
    """`frames` frames from frame `start` on, with the sound of the same time."""
    if not (0 <= start < clip.shape.frames and 1 <= frames <= clip.shape.frames - start):
        raise ValueError(
            f"The clip has {clip.shape.frames} frames: it cannot give {frames} from frame {start} on. "
            "Choose a start inside the clip and a length that ends inside it."
        )
    shape = replace(clip.shape, frames=frames)

    def voice() -> Sound | None:
        sound = clip.sound
        if sound is None:
            return None
        first = samples_of(start, shape.fps, sound.rate)
        return Sound(sound.waveform[:, first:], sound.rate)

    return replace(clip, shape=shape, source=lambda first, last: clip.frames(start + first, start + last), voice=voice)
