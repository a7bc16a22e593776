"""The invisible mark in the sound: a keyed noise below what is heard, shaped by the sound itself, found again blindly.

Spread spectrum in the time domain, shaped in short-time spectra so that it stays a fixed distance below every band
(after Boney, Tewfik and Hamdy, ICMCS 1996). It repeats every few seconds, so that any part of those seconds holds all
of it, and trimming takes away strength, not content.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..clip.clip import Sound
from ..clip.sound import resampled
from .payload import CODED_BITS, decode, encode, seed_of

# The mark lives at this rate, below 6 kHz, where every codec keeps what it is given. A chip is a sample.
RATE = 12_000
PERIOD = 24_000
# Of a shorter sound some do not give back what they were marked with (benchmarks/watermark.py measures longer ones).
SECONDS = PERIOD / RATE
PILOTS = 0.15
WINDOW, HOP = 512, 128
# Below the sound in each band, and below full scale where there is no sound, in decibels. The mean over a band is that
# of logarithms: it is lower where the band holds a tone, which hides less than noise does.
BELOW, FLOOR = -15.0, -74.0
# Widths of the bands in which the mark follows the sound: bins, and frames before and after.
BINS, FRAMES = 9, 3
LOWEST = 250.0
TRIES = 4


def marked_sound(sound: Sound, payload: int, key: str) -> Sound:
    """The sound with the mark in every channel, the same in all of them."""
    wave = sound.waveform
    if not wave.shape[1]:
        return sound
    mono = resampled(Sound(wave.mean(0, keepdim=True), sound.rate), RATE).waveform[0]
    mark = _shaped(_repeated(reference(payload, key), len(mono)), mono)
    added = resampled(Sound(mark[None], RATE), sound.rate).waveform
    added = F.pad(added, (0, wave.shape[1] - added.shape[1]))
    return Sound((wave + added).clamp(-1, 1), sound.rate)


def reference(payload: int, key: str) -> Tensor:
    """One period of the mark `[PERIOD]` of -1 and 1."""
    assigned, noise = _layout(key)
    return noise * torch.cat((encode(payload, key), torch.ones(1)))[assigned]


def read_sound(sound: Sound, key: str) -> tuple[int | None, float]:
    """The payload that a sound carries, or None, and how clearly the pilots stand out (in spreads)."""
    flat = _listened(sound)
    if flat is None:
        return None, 0.0
    folded = _periods(flat).sum(0)
    assigned, noise = _layout(key)
    clarity = _clarity(folded, torch.where(assigned == CODED_BITS, noise, 0.0))
    likely = clarity.topk(TRIES)
    for index in likely.indices.tolist():
        chips = folded.roll(-index) * noise
        soft = torch.zeros(CODED_BITS + 1).index_add_(0, assigned, chips)
        if (payload := decode(soft[:CODED_BITS], key)) is not None:
            return payload, clarity[index].item()
    return None, likely.values[0].item()


def clarities(sound: Sound, payload: int, key: str) -> Tensor:
    """How clearly each period of the sound holds a known payload `[periods]`, in spreads."""
    flat = _listened(sound)
    if flat is None:
        return torch.zeros(1)
    return torch.stack([_clarity(period, reference(payload, key)).max() for period in _periods(flat)])


def _listened(sound: Sound) -> Tensor | None:
    mono = resampled(Sound(sound.waveform.mean(0, keepdim=True), sound.rate), RATE).waveform[0]
    return flattened(mono) if len(mono) >= WINDOW and mono.any() else None


def _periods(flat: Tensor) -> Tensor:
    count = -(-len(flat) // PERIOD)
    return F.pad(flat, (0, count * PERIOD - len(flat))).view(count, PERIOD)


def _clarity(folded: Tensor, known: Tensor) -> Tensor:
    """How far the match at each shift stands out from that at all others, in spreads."""
    match = torch.fft.irfft(torch.fft.rfft(folded) * torch.fft.rfft(known).conj())
    return (match - match.mean()) / match.std().clamp(min=1e-9)


def flattened(wave: Tensor) -> Tensor:
    """The sound with all bands at all times equally loud `[samples]`: what the mark hides below is taken down to it."""
    spectrum = _spectrum(wave)
    level = _around(spectrum.abs().square()).sqrt()
    # Single loud bins, partials of a tone, count no more than their surroundings.
    flat = spectrum / torch.maximum(spectrum.abs(), level).clamp(min=1e-7)
    return _wave(_band(flat), len(wave))


def _shaped(mark: Tensor, wave: Tensor) -> Tensor:
    """The mark at its distance below the sound, band by band."""
    spectrum = _spectrum(mark)
    level = _around(_spectrum(wave).abs().clamp(min=1e-7).log()).exp() * 10 ** (BELOW / 20)
    quiet = 10 ** (FLOOR / 20) * spectrum.abs().square().mean().sqrt()
    return _wave(_band(spectrum / spectrum.abs().square().mean().sqrt() * torch.maximum(level, quiet)), len(wave))


def _around(values: Tensor) -> Tensor:
    """The mean of `[bins, frames]` over a band and a short time."""
    padded = F.pad(values[None, None], (FRAMES, FRAMES, BINS // 2, BINS // 2), mode="replicate")
    return F.avg_pool2d(padded, (BINS, 2 * FRAMES + 1), 1)[0, 0]


def _band(spectrum: Tensor) -> Tensor:
    spectrum[: round(LOWEST / RATE * WINDOW)] = 0
    return spectrum


def _spectrum(wave: Tensor) -> Tensor:
    return torch.stft(wave, WINDOW, HOP, window=torch.hann_window(WINDOW), return_complex=True, pad_mode="constant")


def _wave(spectrum: Tensor, samples: int) -> Tensor:
    return torch.istft(spectrum, WINDOW, HOP, window=torch.hann_window(WINDOW), length=samples)


def _repeated(period: Tensor, samples: int) -> Tensor:
    return period.repeat(-(-samples // PERIOD))[:samples]


def _layout(key: str) -> tuple[Tensor, Tensor]:
    """Which coded bit each chip of a period carries (CODED_BITS for pilots), and its sign, `[PERIOD]` each."""
    generator = torch.Generator().manual_seed(seed_of(key, "sound"))
    pilots = round(PILOTS * PERIOD)
    carried = torch.cat((torch.full((pilots,), CODED_BITS), torch.arange(PERIOD - pilots) % CODED_BITS))
    assigned = carried[torch.randperm(PERIOD, generator=generator)]
    return assigned, 1.0 - 2.0 * torch.randint(0, 2, (PERIOD,), generator=generator)
