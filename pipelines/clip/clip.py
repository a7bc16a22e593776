"""The clip: what travels after decoding. Making one does no work."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from ..clock import samples_of
from ..types import VideoShape

FrameSource = Callable[[int, int], Iterator[Tensor]]


@dataclass(frozen=True)
class Sound:
    """A waveform `[channels, samples]` float32 in -1..1, and its sample rate."""

    waveform: Tensor
    rate: int

    def __post_init__(self) -> None:
        if self.waveform.ndim != 2 or self.rate <= 0:
            raise ValueError(
                f"A sound is [channels, samples] at a rate; got {list(self.waveform.shape)} at {self.rate}."
            )

    def fitted(self, frames: int, fps: Fraction) -> Sound:
        """The same sound, cut or padded with silence to last exactly as long as `frames`."""
        missing = samples_of(frames, fps, self.rate) - self.waveform.shape[1]
        return self if missing == 0 else replace(self, waveform=F.pad(self.waveform, (0, missing)))

    def moved(self, seconds: float) -> Sound:
        """The same sound that much later, after silence; earlier below 0: what is then before the start is cut off."""
        lead = max(round(seconds * self.rate), -self.waveform.shape[1])
        return replace(self, waveform=F.pad(self.waveform, (lead, 0)))


@dataclass(frozen=True)
class Clip:
    """A lazy video.

    `source(start, stop)` yields frames `start .. stop - 1` in order as uint8 chunks `[n, H, W, 3]`, the same every
    time. `voice()` makes the sound, or returns None for a silent clip. `lineage` says how the clip was made, `sources`
    are the files that it was made of.
    """

    shape: VideoShape
    source: FrameSource
    voice: Callable[[], Sound | None]
    lineage: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        shape = self.shape
        if min(shape.width, shape.height, shape.frames) < 1 or shape.fps <= 0:
            raise ValueError(
                f"A clip needs at least one pixel, one frame and a frame rate above 0; got {shape.width} x "
                f"{shape.height}, {shape.frames} frames at {shape.fps}."
            )

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Tensor]:
        """Frames `start .. stop - 1` (to the end by default) as uint8 chunks `[n, H, W, 3]`."""
        stop = self.shape.frames if stop is None else min(stop, self.shape.frames)
        if start < stop:
            yield from self.source(max(0, start), stop)

    @functools.cached_property
    def sound(self) -> Sound | None:
        """The sound, exactly as long as the picture; made at the first call and kept."""
        sound = self.voice()
        return sound and sound.fitted(self.shape.frames, self.shape.fps)


def silent() -> None:
    """The voice of a clip without sound."""
    return None
