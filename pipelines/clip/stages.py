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
