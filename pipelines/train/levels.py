"""Noise levels of training samples, and what a sample is given clean: conditioning is trained, not bolted on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..types import AVLatent


@dataclass(frozen=True)
class AVLevels:
    """Noise levels per latent step: `video [B, T]`, `audio [B, T']`; 0 = given."""

    video: Tensor
    audio: Tensor


@dataclass(frozen=True)
class Noise:
    """How levels are drawn: logit-normal (`mean`, `spread`) for nine in ten, uniform for the rest (2403.03206)."""

    mean: float = 0.6
    spread: float = 1.0


def draw_levels(
    clean: AVLatent, generator: torch.Generator, *, free: float, given: float, noise: Noise = Noise()
) -> AVLevels:
    """Levels for a batch: a share `free` has streams of independent levels, a share `given` has clean parts."""
    count, steps, audio_steps = len(clean.video), clean.video.shape[2], clean.audio.shape[2]
    video = _draw(count, generator, noise)
    independent = torch.rand(count, generator=generator, device=generator.device) < free
    audio = torch.where(independent, _draw(count, generator, noise), video)
    chosen = torch.rand(count, generator=generator, device=generator.device) < given
    kinds = torch.randint(0, len(GIVEN), (count,), generator=generator, device=generator.device)
    spans = torch.rand(count, 2, generator=generator, device=generator.device).sort(1).values
    # Every kind for every sample, of which each takes one: a choice made on the host would wait for an accelerator.
    levels = []
    for stream, level in enumerate((video, audio)):
        moments = _Moments((steps, audio_steps)[stream], *spans[..., None].unbind(1))
        made = torch.stack([rules[stream](moments).expand(count, -1) for rules in GIVEN], 1)
        made = made.gather(1, kinds[:, None, None].expand(-1, 1, made.shape[2]))[:, 0] | ~chosen[:, None]
        levels.append(level[:, None] * made)
    return AVLevels(*levels)


def _draw(count: int, generator: torch.Generator, noise: Noise) -> Tensor:
    """Noise levels `[count]`."""
    normal = torch.sigmoid(torch.randn(count, generator=generator, device=generator.device) * noise.spread + noise.mean)
    uniform = torch.rand(count, generator=generator, device=generator.device)
    return torch.where(torch.rand(count, generator=generator, device=generator.device) < 0.1, uniform, normal)


@dataclass(frozen=True)
class _Moments:
    """The `count` steps of a stream, and a span of it for each sample: `start`, `end` `[B, 1]` in 0..1."""

    count: int
    start: Tensor
    end: Tensor

    @property
    def at(self) -> Tensor:
        return torch.arange(self.count, device=self.start.device)[None]


def _all(m: _Moments) -> Tensor:
    return m.at >= 0


def _none(m: _Moments) -> Tensor:
    return m.at < 0


def _after_first(m: _Moments) -> Tensor:
    return m.at > 0


def _before_last(m: _Moments) -> Tensor:
    return m.at < m.count - 1


def _between_ends(m: _Moments) -> Tensor:
    return _after_first(m) & _before_last(m)


def _from_frame(m: _Moments) -> Tensor:
    """From `start` on, the first step always given: a picture needs one to go on from."""
    return m.at >= 1 + (m.start * (m.count - 1)).long()


def _from_start(m: _Moments) -> Tensor:
    return m.at >= (m.start * m.count).long()


def _inside(m: _Moments) -> Tensor:
    """One step at least."""
    first = (m.start * m.count).round().clamp_max(m.count - 1)
    return (m.at >= first) & (m.at < torch.maximum((m.end * m.count).round(), first + 1))


# What a sample may be given clean: which steps of picture and sound are still made.
GIVEN = (
    # Image to video, twice as often as others.
    (_after_first, _all), (_after_first, _all),
    # A picture to arrive at; interpolation, and loops.
    (_before_last, _all), (_between_ends, _all),
    # Extension; a retake.
    (_from_frame, _from_start), (_inside, _inside),
    # The picture follows the sound; the sound follows the picture.
    (_all, _none), (_none, _all),
)  # fmt: skip
