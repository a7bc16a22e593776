"""When a robot speaks: syllables at exact times, whose loudness opens its mouth and shapes its voice alike."""

from __future__ import annotations

import torch
from torch import Tensor

from .scene import TALK, Scenes

SYLLABLES = 14
# A pause after so many syllables.
PHRASE = 5
ATTACK_SECONDS, RELEASE_SECONDS = 0.025, 0.05


def talking(s: Scenes) -> Tensor:
    """Whether the first object speaks, `[B]`."""
    return (s.action[:, 0] == TALK) & s.present[:, 0]


def syllables(s: Scenes) -> tuple[Tensor, Tensor]:
    """Starts in seconds and strengths of the first syllables of each object, `[B, N, 14]`."""
    start, _, strength = _syllable(s.pace[..., None], s.phase[..., None], torch.arange(SYLLABLES) + 0.0)
    return torch.where(strength > 0, start, torch.full((), torch.inf)), strength


def voice_envelope(s: Scenes, times: Tensor) -> Tensor:
    """Loudness 0..1 `[B, T]` of the first object's voice at `times [T]` seconds; 0 where it does not speak."""
    pace, phase = s.pace[:, :1], s.phase[:, :1]
    start, length, strength = _syllable(pace, phase, syllable_at(s, times))
    since = times - start
    rise = (since / ATTACK_SECONDS).clamp(0, 1)
    fall = ((length - since) / RELEASE_SECONDS).clamp(0, 1)
    return strength * rise * fall * talking(s)[:, None]


def syllable_at(s: Scenes, times: Tensor) -> Tensor:
    """The number `[B, T]` of the syllable that is on, or was last, -1 before the first."""
    return ((times - _lead(s.phase[:, :1])) / _period(s.pace[:, :1])).floor()


def vary(number: Tensor, phase: Tensor) -> Tensor:
    """A value 0..1 of each syllable."""
    return torch.remainder(torch.sin(number * 12.9898 + phase * 78.233) * 437.5453, 1.0)


def _syllable(pace: Tensor, phase: Tensor, number: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Start and length in seconds, and strength 0..1, of syllables by number."""
    period = _period(pace)
    length = 0.12 + (period - 0.17) * vary(number, phase)
    # Syllables start with their period, so that at most one is on at a time.
    start = _lead(phase) + period * number
    spoken = (number >= 0) & (torch.remainder(number, PHRASE + 1) != PHRASE)
    return start, length, spoken * (0.72 + 0.28 * vary(number + 0.5, phase))


def _period(pace: Tensor) -> Tensor:
    return 0.24 + 0.07 * pace


def _lead(phase: Tensor) -> Tensor:
    return 0.08 + 0.25 * phase
