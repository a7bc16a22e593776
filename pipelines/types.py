"""The nouns that travel between the stages, all frozen. Knows no model and no host."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class VideoShape:
    """Size of a picture stream: pixels, frames, frames per second."""

    width: int
    height: int
    frames: int
    fps: Fraction

    @property
    def seconds(self) -> Fraction:
        return self.frames / self.fps


@dataclass(frozen=True)
class AVLatent:
    """A joint latent: video `[B, C, T, H, W]`, audio `[B, C, T']`; either stream may be absent."""

    video: Tensor | None
    audio: Tensor | None

    def __post_init__(self) -> None:
        if self.video is None and self.audio is None:
            raise ValueError("An audio-video latent needs at least one stream; both are missing.")
        if self.video is not None and self.video.ndim != 5:
            raise ValueError(f"A video latent is [B, C, T, H, W]; got {list(self.video.shape)}.")
        if self.audio is not None and self.audio.ndim < 3:
            raise ValueError(f"An audio latent is [B, C, T']; got {list(self.audio.shape)}.")
        if self.video is not None and self.audio is not None and len(self.video) != len(self.audio):
            raise ValueError(
                f"Both streams need the same batch; got {len(self.video)} of video and {len(self.audio)} of audio."
            )

    @property
    def streams(self) -> list[Tensor]:
        """The streams that are present, video first."""
        return [stream for stream in (self.video, self.audio) if stream is not None]

    def to(self, *args, **kwargs) -> AVLatent:
        """Move or cast both streams, as `Tensor.to`."""
        return AVLatent(*(None if s is None else s.to(*args, **kwargs) for s in (self.video, self.audio)))


@dataclass(frozen=True)
class TextContext:
    """An encoded prompt: `tokens [B, L, D]` and `mask [B, L]`, True where a token is real.

    `spans [B, L, 4]` say when each token holds, padding too: start, end, and seconds to come in and to go out. Without
    them all tokens hold all the time.
    """

    tokens: Tensor
    mask: Tensor
    spans: Tensor | None = None

    def __post_init__(self) -> None:
        shape = self.tokens.shape[:2]
        if self.tokens.ndim != 3 or self.mask.shape != shape:
            raise ValueError(
                f"Text tokens are [B, L, D] with a mask [B, L]; got {list(self.tokens.shape)}, {list(self.mask.shape)}."
            )
        if self.spans is not None and self.spans.shape != (*shape, 4):
            raise ValueError(f"Spans of {list(shape)} text tokens are [B, L, 4]; got {list(self.spans.shape)}.")

    @classmethod
    def concatenate(cls, *contexts: TextContext) -> TextContext:
        """Join contexts along the batch; what a shorter one lacks never holds."""
        length = max(context.tokens.shape[1] for context in contexts)
        if all(context.spans is None and context.tokens.shape[1] == length for context in contexts):
            return cls(torch.cat([c.tokens for c in contexts]), torch.cat([c.mask for c in contexts]))
        longer = [context._lengthened(length) for context in contexts]
        return cls(*(torch.cat(parts) for parts in zip(*longer, strict=True)))

    def during(self, start: float, end: float, rise: float = 0.0, fall: float = 0.0) -> TextContext:
        """The same text, holding from `start` to `end` seconds; it comes in over `rise` and goes out over `fall`."""
        span = torch.tensor([start, end, rise, fall], device=self.tokens.device)
        return TextContext(self.tokens, self.mask, span.expand(*self.tokens.shape[:2], 4))

    @classmethod
    def in_turn(cls, *contexts: TextContext) -> TextContext:
        """Join contexts along the tokens, each with its spans."""
        parts = [context._lengthened(context.tokens.shape[1]) for context in contexts]
        return cls(*(torch.cat(part, dim=1) for part in zip(*parts, strict=True)))

    def _lengthened(self, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, mask and spans, filled up to `length`."""
        missing = length - self.tokens.shape[1]
        always = TextContext.during(self, -math.inf, math.inf) if self.spans is None else self
        return (
            F.pad(self.tokens, (0, 0, 0, missing)),
            F.pad(self.mask, (0, missing)),
            F.pad(always.spans, (0, 0, 0, missing), value=-math.inf),
        )


# Times are written with this precision, in seconds: a shot may be that far from where the one before it ends.
TIME_STEP = 1e-3


@dataclass(frozen=True)
class Cue:
    """A sound at `at` seconds on the screenplay's time line."""

    at: float
    sound: str


@dataclass(frozen=True)
class Line:
    """What a speaker says, from `at` seconds on the screenplay's time line."""

    at: float
    speaker: str
    text: str


@dataclass(frozen=True)
class Shot:
    """A span of the screenplay, `start` and `seconds` on its time line.

    `blend` is how many seconds it takes to come in over the shot before; 0 is a cut.
    """

    start: float
    seconds: float
    caption: str
    camera: str = ""
    blend: float = 0.0
    cues: tuple[Cue, ...] = ()
    lines: tuple[Line, ...] = ()

    @property
    def end(self) -> float:
        return self.start + self.seconds


@dataclass(frozen=True)
class Writer:
    """Who wrote a screenplay: `backend` is person, built-in, text or endpoint; `model` a language model, if one did."""

    backend: str
    model: str = ""
    version: str = ""


@dataclass(frozen=True)
class Screenplay:
    """A prompt as timed shots without gaps. `prompt` is what the user wrote; raises ValueError that names the place."""

    prompt: str
    shots: tuple[Shot, ...]
    language: str = "en"
    style: str = ""
    negative: str = ""
    writer: Writer = Writer("person")

    def __post_init__(self) -> None:
        if not self.shots:
            raise ValueError("A screenplay needs at least one shot.")
        expected = 0.0
        for number, shot in enumerate(self.shots, 1):
            check_shot(number, shot, expected)
            expected = shot.end

    @property
    def seconds(self) -> float:
        return self.shots[-1].end


def check_shot(number: int, shot: Shot, expected: float) -> None:
    """Raises ValueError where a shot, `number` from 1, does not start at `expected` seconds or contradicts itself."""
    where = f"Shot {number}"
    if not shot.seconds > 0:
        raise ValueError(f"{where} must last more than 0 seconds; got {shot.seconds:g}.")
    times = {"start": shot.start, "length": shot.seconds, "blend": shot.blend}
    times |= {f"cue {i + 1}": cue.at for i, cue in enumerate(shot.cues)}
    times |= {f"line {i + 1}": line.at for i, line in enumerate(shot.lines)}
    for name, value in times.items():
        if not math.isfinite(value) or value < 0:
            raise ValueError(f"{where}: its {name} must be a time in seconds from 0 on; got {value}.")
    if number == 1 and shot.start > TIME_STEP:
        raise ValueError(f"{where} starts at {shot.start:g} s. The first shot must start at 0.")
    if abs(shot.start - expected) > TIME_STEP:
        raise ValueError(
            f"{where} starts at {shot.start:g} s, but the shot before it ends at {expected:g} s. Leave no gap and no "
            "overlap; use a blend where one shot should come in over another."
        )
    if shot.blend > shot.seconds or (shot.blend and number == 1):
        raise ValueError(f"{where}: a blend of {shot.blend:g} s needs a shot before it and a shot at least that long.")
    for kind, at in [("cue", cue.at) for cue in shot.cues] + [("line", line.at) for line in shot.lines]:
        if not shot.start - TIME_STEP <= at < shot.end:
            raise ValueError(
                f"{where} lasts from {shot.start:g} to {shot.end:g} s, but has a {kind} at {at:g} s. Times count from "
                "the start of the screenplay."
            )
    if not shot.caption.strip():
        raise ValueError(f"{where} has no caption. Say what it shows.")
