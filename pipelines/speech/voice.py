"""Voices that need no network: one recorded voice, and four that the WORLD vocoder makes of it.

The voice is hibari's "heart" (Apache-2.0, inside its package). WORLD (Morise et al. 2016, through pyworld) moves pitch
and formants apart from each other, so that another person seems to speak. Both packages are optional.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

RATE = 24_000
INSTALL = "python -m pip install hibari-tts pyworld-prebuilt"
# WORLD's analysis period, in milliseconds.
PERIOD = 5.0
# Softer than this against the loudest moment is the pause around the words.
PAUSE = 0.03
LEVEL = 0.1
# About a minute. Longer lines belong into several.
MAX_CHARACTERS = 1000
_LATIN = re.compile(r"[A-Za-z0-9\u00c0-\u024f]")


@dataclass(frozen=True)
class Voice:
    """How a voice differs from the recorded one: `pitch` and `formants` are ratios of frequencies."""

    pitch: float = 1.0
    formants: float = 1.0


VOICES = {
    "woman": Voice(),
    "man": Voice(0.57, 0.86),
    "older woman": Voice(0.86, 0.95),
    "deep man": Voice(0.47, 0.8),
    "child": Voice(1.3, 1.16),
}


def say(text: str, voice: str, pace: float = 1.0, seed: int = 0) -> Tensor:
    """Speech `[samples]` at 24 kHz from the first sound to the last, the same for the same seed.

    `pace` 1 is conversational, 2 twice as fast. Raises ValueError for an unknown voice or nothing that can be said, and
    ModuleNotFoundError that says what to install.
    """
    if voice not in VOICES:
        raise ValueError(f"There is no voice {voice!r}. Choose one of {', '.join(VOICES)}.")
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"A line of {len(text)} characters is too long; say at most {MAX_CHARACTERS} at a time.")
    foreign = sorted({letter for letter in text if letter.isalpha() and not _LATIN.match(letter)})
    if foreign or not _LATIN.search(text):
        raise ValueError(
            f"The voice reads English words and numbers; it cannot say {''.join(foreign)[:40] or text[:40]!r}."
        )
    wave = engine()(text, speed=pace, seed=seed)
    loud = np.flatnonzero(np.abs(wave) > PAUSE * np.abs(wave).max(initial=0.0))
    if not len(loud):
        raise ValueError(f"The voice makes no sound of {text[:60]!r}. Write words that can be said.")
    # A vowel's start is heard before it is loud, and its end fades: a little is kept on both sides.
    wave = wave[max(0, loud[0] - RATE // 100) : loud[-1] + RATE // 20]
    changed = _changed(wave, VOICES[voice])
    speech = torch.from_numpy(np.ascontiguousarray(changed, dtype=np.float32))
    return speech * (LEVEL / speech.square().mean().sqrt().clamp(min=1e-6))


@functools.cache
def engine() -> Any:
    """The recorded voice, loaded once."""
    try:
        from hibari import Hibari
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Speak needs a voice that is not installed. In the Python of ComfyUI, run: {INSTALL}", name=error.name
        ) from error
    return Hibari()


def _changed(wave: np.ndarray, voice: Voice) -> np.ndarray:
    if voice == Voice():
        return wave
    try:
        import pyworld
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'Only the voice "woman" can speak: the others need a package that is not installed. In the Python of '
            f"ComfyUI, run: {INSTALL}",
            name=error.name,
        ) from error
    sound = wave.astype(np.float64)
    pitch, times = pyworld.harvest(sound, RATE, frame_period=PERIOD)
    envelope = pyworld.cheaptrick(sound, pitch, times, RATE)
    breath = pyworld.d4c(sound, pitch, times, RATE)
    made = pyworld.synthesize(
        pitch * voice.pitch, _stretched(envelope, voice.formants), _stretched(breath, voice.formants), RATE, PERIOD
    )
    return made[: len(wave)]


def _stretched(spectrum: np.ndarray, ratio: float) -> np.ndarray:
    """A spectrum `[frames, bins]` with every frequency moved by `ratio`; what lies beyond repeats the edge."""
    bins = np.arange(spectrum.shape[1])
    source = np.minimum(bins / ratio, bins[-1])
    low = np.floor(source).astype(int)
    high, part = np.minimum(low + 1, bins[-1]), source - low
    return np.ascontiguousarray(spectrum[:, low] * (1 - part) + spectrum[:, high] * part)
