"""The nouns that travel between the stages, all frozen. Knows no model and no host."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch
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
class AudioShape:
    """Size of a sound stream: channels, samples per channel, samples per second."""

    channels: int
    samples: int
    rate: int

    @property
    def seconds(self) -> Fraction:
        return Fraction(self.samples, self.rate)


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
    """An encoded prompt: `tokens [B, L, D]` and `mask [B, L]`, True where a token is real."""

    tokens: Tensor
    mask: Tensor

    def __post_init__(self) -> None:
        if self.tokens.ndim != 3 or self.mask.shape != self.tokens.shape[:2]:
            raise ValueError(
                f"Text tokens are [B, L, D] with a mask [B, L]; got {list(self.tokens.shape)}, {list(self.mask.shape)}."
            )

    @classmethod
    def concatenate(cls, *contexts: TextContext) -> TextContext:
        """Join contexts along the batch."""
        return cls(torch.cat([c.tokens for c in contexts]), torch.cat([c.mask for c in contexts]))
