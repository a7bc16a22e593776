"""All arithmetic of time and grid: seconds, frames, latent steps, samples, audio latents, sizes.

Nobody else multiplies by a frame rate. No torch in here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from .types import VideoShape

MAX_SIDE = 8192
MAX_SECONDS = 3600

ASPECTS: dict[str, Fraction] = {
    "landscape": Fraction(7, 4),
    "portrait": Fraction(4, 7),
    "square": Fraction(1, 1),
}
CUSTOM = "custom"
ASPECT_NAMES = (*ASPECTS, CUSTOM)
DEFAULT_AREA = 448 * 256


def samples_of(frames: int, fps: Fraction, rate: int) -> int:
    """Samples that last exactly as long as `frames`, rounded half up to the nearest sample."""
    return math.floor(frames / Fraction(fps) * rate + Fraction(1, 2))


def frames_of(seconds: float | Fraction, fps: Fraction) -> int:
    """The frame count nearest to `seconds` (at least one)."""
    return max(1, math.floor(Fraction(seconds) * Fraction(fps) + Fraction(1, 2)))


def spoken_time(seconds: float) -> str:
    """A duration as people read it: `7 s`, `2 min 05 s`."""
    whole = max(0, math.ceil(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


@dataclass(frozen=True)
class Plan:
    """What the grid makes of a request, and a sentence for every value that it changed."""

    shape: VideoShape
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """The lattice of a joint model.

    Latent step 0 is frame 0; step i covers frames `temporal * (i - 1) + 1 .. temporal * i`. One latent cell is
    `spatial` x `spatial` pixels, and a picture is whole squares of `patch` x `patch` cells, the largest token of the
    family. Audio latent j covers samples `audio_stride * j .. audio_stride * (j + 1) - 1`. The latents code a smaller
    base video: every `base_stride`-th frame, with `base_cell` x `base_cell` pixels a cell; the decoder restores the
    rest.
    """

    fps: Fraction = Fraction(24)
    temporal: int = 8
    spatial: int = 32
    patch: int = 2
    sample_rate: int = 24000
    hop: int = 256
    hops_per_latent: int = 6
    base_cell: int = 8
    base_stride: int = 2

    @property
    def size_multiple(self) -> int:
        """Widths and heights must be a multiple of this many pixels."""
        return self.spatial * self.patch

    @property
    def audio_stride(self) -> int:
        """Samples per audio latent."""
        return self.hop * self.hops_per_latent

    @property
    def audio_rate(self) -> Fraction:
        """Audio latents per second."""
        return Fraction(self.sample_rate, self.audio_stride)

    def frames(self, steps: int) -> int:
        """Frames of `steps` latent steps."""
        return self.temporal * (steps - 1) + 1

    def steps(self, frames: int) -> int:
        """Latent steps that cover at least `frames`."""
        return 1 + math.ceil((frames - 1) / self.temporal)

    def step_frames(self, step: int) -> range:
        """Indices of the frames that latent step `step` covers."""
        return range(1) if step == 0 else range(self.temporal * (step - 1) + 1, self.temporal * step + 1)

    def samples(self, frames: int) -> int:
        """Audio samples of `frames` frames."""
        return samples_of(frames, self.fps, self.sample_rate)

    def audio_steps(self, frames: int) -> int:
        """Audio latents that cover `frames` frames."""
        return max(1, math.ceil(Fraction(self.samples(frames), self.audio_stride)))

    def video_seconds(self, step: int) -> Fraction:
        """Middle of latent step `step` on the shared time line."""
        span = self.step_frames(step)
        return Fraction(span[0] + span[-1] + (1 if step else 0), 2) / self.fps

    def audio_seconds(self, step: int) -> Fraction:
        """Middle of audio latent `step` on the shared time line."""
        return (step + Fraction(1, 2)) / self.audio_rate

    def latent_size(self, shape: VideoShape) -> tuple[int, int, int]:
        """`(T, H, W)` of the video latent of a shape on the grid."""
        return self.steps(shape.frames), shape.height // self.spatial, shape.width // self.spatial

    def shape(self, steps: int, height: int, width: int) -> VideoShape:
        """The shape of a latent of `steps` x `height` x `width` cells."""
        return VideoShape(width * self.spatial, height * self.spatial, self.frames(steps), self.fps)

    def snap_side(self, pixels: int) -> int:
        """The nearest size on the grid, at least one token."""
        multiple = self.size_multiple
        return max(multiple, math.floor(Fraction(pixels, multiple) + Fraction(1, 2)) * multiple)

    def size_of(self, aspect: str, area: int = DEFAULT_AREA) -> tuple[int, int]:
        """Width and height of an aspect preset at about `area` pixels."""
        if aspect not in ASPECTS:
            raise ValueError(
                f"Unknown aspect {aspect!r}: choose one of {', '.join(ASPECTS)}, or give width and height."
            )
        ratio = float(ASPECTS[aspect])
        return self.snap_side(round(math.sqrt(area * ratio))), self.snap_side(round(math.sqrt(area / ratio)))

    def plan(self, width: int, height: int, seconds: float) -> Plan:
        """Snap a request to the grid: sizes to the nearest multiple, length up so that nothing asked for is lost."""
        _check_request(width, height, seconds)
        snapped_width, snapped_height = self.snap_side(width), self.snap_side(height)
        asked = frames_of(seconds, self.fps)
        frames = self.frames(self.steps(asked))
        notes = []
        if (snapped_width, snapped_height) != (width, height):
            notes.append(
                f"Size: asked {width} x {height}, made {snapped_width} x {snapped_height}, because width and height "
                f"must be multiples of {self.size_multiple} pixels."
            )
        if frames != asked:
            notes.append(
                f"Length: asked {float(seconds):.2f} s ({asked} frames), made {float(frames / self.fps):.2f} s "
                f"({frames} frames), because the model works in {self.temporal} frames a step after the first frame."
            )
        return Plan(VideoShape(snapped_width, snapped_height, frames, self.fps), tuple(notes))


def _check_request(width: int, height: int, seconds: float) -> None:
    for name, value in (("width", width), ("height", height)):
        if not 1 <= value <= MAX_SIDE:
            raise ValueError(f"The {name} must be between 1 and {MAX_SIDE} pixels; got {value}.")
    if not (math.isfinite(seconds) and 0 < seconds <= MAX_SECONDS):
        raise ValueError(f"The length must be more than 0 and at most {MAX_SECONDS} seconds; got {seconds}.")
