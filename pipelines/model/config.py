"""Configurations of the whole family, plain data: DEBUG for tests, MINI as shipped, COARSE as it begins, BASE for real
training."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from fractions import Fraction
from typing import Any, get_type_hints

from ..clock import Grid


@dataclass(frozen=True)
class DiTConfig:
    """Joint transformer: `width` = `heads` x head dimension; `hidden` is the inner width of the SwiGLU.

    A token of the picture is `patch` x `patch` cells. `refine` is the width of the convolutional head of the picture,
    0 = none.
    """

    width: int = 384
    depth: int = 6
    heads: int = 3
    hidden: int = 1024
    video_channels: int = 192
    audio_channels: int = 64
    patch: int = 1
    bottleneck: int = 384
    refine: int = 0


@dataclass(frozen=True)
class TextConfig:
    """Text encoder over the words of a vocabulary."""

    width: int = 192
    depth: int = 3
    heads: int = 3
    tokens: int = 48
    words: int = 1024


@dataclass(frozen=True)
class VideoConfig:
    """Video autoencoder. `encoder` is `klt` (linear, fitted) or `causal` (learned)."""

    encoder: str = "klt"
    channels: int = 192
    block: int = 8
    frames: int = 4
    upscale: int = 4
    width: int = 96
    depth: int = 4
    head_width: int = 32


@dataclass(frozen=True)
class AudioConfig:
    """Audio autoencoder and vocoder. `encoder` is `klt` (linear on log-mel) or `causal` (learned)."""

    encoder: str = "klt"
    channels: int = 64
    mels: int = 80
    fft: int = 1024
    width: int = 160
    depth: int = 5


@dataclass(frozen=True)
class Config:
    """One member of the family: the grid and the four networks on it."""

    name: str
    grid: Grid = field(default_factory=Grid)
    dit: DiTConfig = field(default_factory=DiTConfig)
    text: TextConfig = field(default_factory=TextConfig)
    video: VideoConfig = field(default_factory=VideoConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready data; `from_dict` is the inverse."""
        return _plain(asdict(self))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Config:
        """Build from plain data; unknown keys raise ValueError."""
        return _build(cls, data, "config")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, Fraction) else value


def _build(cls: type, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise ValueError(f"{where} must be a mapping; got {type(data).__name__}.")
    unknown = set(data) - {f.name for f in fields(cls)}
    if unknown:
        raise ValueError(f"{where} has unknown keys {sorted(unknown)}; known are {[f.name for f in fields(cls)]}.")
    hints, values = get_type_hints(cls), {}
    for key, value in data.items():
        kind = hints[key]
        try:
            values[key] = _build(kind, value, f"{where}.{key}") if is_dataclass(kind) else kind(value)
        except TypeError as error:
            raise ValueError(f"{where}.{key} must be {kind.__name__}; got {value!r}.") from error
    return cls(**values)


DEBUG = Config(
    name="debug",
    dit=DiTConfig(width=64, depth=2, heads=2, hidden=96, patch=2, bottleneck=32, refine=16),
    text=TextConfig(width=32, depth=1, heads=2, tokens=48, words=1024),
    video=VideoConfig(width=16, depth=1, head_width=8),
    audio=AudioConfig(width=16, depth=1),
)
MINI = Config(name="mini", dit=DiTConfig(refine=128))
# A fourth of the tokens: what MINI begins as, when it is trained from nothing.
COARSE = replace(MINI, name="coarse", dit=replace(MINI.dit, patch=2))
BASE = Config(
    name="base",
    dit=DiTConfig(width=2048, depth=24, heads=16, hidden=5632, patch=2, bottleneck=1024, refine=512),
    text=TextConfig(width=1024, depth=12, heads=16, tokens=256, words=32768),
    video=VideoConfig(encoder="causal", width=512, depth=12, head_width=96),
    audio=AudioConfig(encoder="causal", width=768, depth=12),
)
CONFIGS: dict[str, Config] = {c.name: c for c in (DEBUG, MINI, COARSE, BASE)}
