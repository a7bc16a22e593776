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
    video, audio = video[:, None].repeat(1, steps), audio[:, None].repeat(1, audio_steps)
    chosen = torch.rand(count, generator=generator, device=generator.device) < given
    kinds = torch.randint(0, len(GIVEN), (count,), generator=generator, device=generator.device)
    spans = torch.rand(count, 2, generator=generator, device=generator.device).sort(1).values
    for row in chosen.nonzero().flatten().tolist():
        GIVEN[int(kinds[row])](video[row], audio[row], spans[row].tolist())
    return AVLevels(video, audio)


def _draw(count: int, generator: torch.Generator, noise: Noise) -> Tensor:
    """Noise levels `[count]`."""
    normal = torch.sigmoid(torch.randn(count, generator=generator, device=generator.device) * noise.spread + noise.mean)
    uniform = torch.rand(count, generator=generator, device=generator.device)
    return torch.where(torch.rand(count, generator=generator, device=generator.device) < 0.1, uniform, normal)


def _give_first_frame(video: Tensor, audio: Tensor, span: list[float]) -> None:
    """Image to video."""
    video[0] = 0


def _give_last_step(video: Tensor, audio: Tensor, span: list[float]) -> None:
    """A picture to arrive at."""
    video[-1] = 0


def _give_both_ends(video: Tensor, audio: Tensor, span: list[float]) -> None:
    """Interpolation, and loops."""
    video[0] = video[-1] = 0


def _give_start(video: Tensor, audio: Tensor, span: list[float]) -> None:
    """Extension: both streams up to a time."""
    video[: 1 + int(span[0] * (len(video) - 1))] = 0
    audio[: int(span[0] * len(audio))] = 0


def _give_surroundings(video: Tensor, audio: Tensor, span: list[float]) -> None:
    """A retake: both streams outside of a span."""
    for stream in (video, audio):
        first, last = (round(edge * len(stream)) for edge in span)
        stream[:first] = 0
        stream[max(last, first + 1) :] = 0


def _give_sound(video: Tensor, audio: Tensor, span: list[float]) -> None:
    """The picture follows the sound."""
    audio.zero_()


def _give_picture(video: Tensor, audio: Tensor, span: list[float]) -> None:
    """The sound follows the picture."""
    video.zero_()


# What a sample may be given clean: each sets noise levels `video [T]` and `audio [T']` to zero where that is so.
GIVEN = (
    _give_first_frame, _give_first_frame, _give_last_step, _give_both_ends, _give_start, _give_surroundings,
    _give_sound, _give_picture,
)  # fmt: skip
