"""Stages of a clip: each returns a new clip and does no work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..clock import samples_of
from .clip import Clip, Sound


def resize(clip: Clip, width: int, height: int) -> Clip:
    """The clip at another size: area averaging downwards, bicubic with antialiasing otherwise."""
    shape = replace(clip.shape, width=width, height=height)
    if shape == clip.shape:
        return clip

    def frames(start: int, stop: int) -> Iterator[Tensor]:
        for chunk in clip.frames(start, stop):
            yield scale(chunk, width, height)

    return replace(clip, shape=shape, source=frames)


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


def concatenate(clips: Sequence[Clip]) -> Clip:
    """Clips one after the other, sounds placed on the absolute time line, so that nothing drifts."""
    if not clips:
        raise ValueError("There is nothing to concatenate: give at least one clip.")
    first = clips[0].shape
    for number, clip in enumerate(clips, start=1):
        if (clip.shape.width, clip.shape.height, clip.shape.fps) != (first.width, first.height, first.fps):
            raise ValueError(
                f"All clips must have the size and frame rate of the first, {first.width} x {first.height} at "
                f"{first.fps}; clip {number} has {clip.shape.width} x {clip.shape.height} at {clip.shape.fps}. "
                "Resize it first."
            )
    starts = [sum(clip.shape.frames for clip in clips[:index]) for index in range(len(clips))]
    shape = replace(first, frames=starts[-1] + clips[-1].shape.frames)

    def frames(start: int, stop: int) -> Iterator[Tensor]:
        for clip, offset in zip(clips, starts, strict=True):
            yield from clip.frames(max(0, start - offset), stop - offset)

    def voice() -> Sound | None:
        sounds = [clip.sound for clip in clips]
        heard = [sound for sound in sounds if sound is not None]
        if not heard:
            return None
        rate, channels = heard[0].rate, max(len(sound.waveform) for sound in heard)
        if any(sound.rate != rate for sound in heard):
            raise ValueError("All clips must have the same sample rate. Resample their sound first.")
        track = torch.zeros(channels, samples_of(shape.frames, shape.fps, rate))
        for sound, offset in zip(sounds, starts, strict=True):
            if sound is not None:
                at = samples_of(offset, shape.fps, rate)
                part = sound.waveform[:, : track.shape[1] - at]
                track[:, at : at + part.shape[1]] += part
        return Sound(track, rate)

    sources = tuple(dict.fromkeys(source for clip in clips for source in clip.sources))
    return Clip(shape, frames, voice, {"parents": [dict(clip.lineage) for clip in clips]}, sources)
