"""Sound from the same events as the picture, sample-exact.

Impacts and beeps are impulse trains convolved with a ring of each object's own; everything else is shaped noise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .physics import CHIRP, CHIRP_SECONDS, HONK, HONK_SECONDS, PULSE, SPIN_RATE, SPLASH, SYLLABLE, Motion
from .scene import COLLIDE, DRIVE, HOVER, NIGHT, ROLL, SPIN, Scenes
from .talk import syllable_at, talking, vary, voice_envelope

# Fundamental in Hz for a large object, decay in seconds, mode ratios: rubber, metal, wood, glass.
PITCH = (95.0, 620.0, 270.0, 1500.0)
DECAY = (0.07, 0.40, 0.08, 0.22)
MODES = ((1.0, 1.6, 2.2), (1.0, 2.76, 5.4), (1.0, 2.4, 4.1), (1.0, 2.3, 3.9))
SMALL_PITCH = 1.6
RING_SECONDS = 1.2
BEEP_HZ = 880.0
# The two tones of a horn, and how a chirp sweeps.
HORN_HZ = (415.0, 523.0)
CHIRP_HZ = (2500.0, 3900.0)
# First to third formant of a robot's voice: lowest and highest middle, and width, in Hz.
FORMANTS = ((320.0, 820.0, 130.0), (900.0, 2100.0, 190.0), (2500.0, 2900.0, 300.0))
VOICE_HARMONICS = 26
PEAK = 0.9


def synthesise(scenes: Scenes, motion: Motion, samples: int, rate: int = 24000) -> Tensor:
    """Mono sound `[B, samples]` float32 in -1..1 of the first `samples / rate` seconds."""
    s = motion.scenes
    g = torch.Generator().manual_seed(s.seed ^ 0x5EED)
    t = torch.arange(samples) / rate
    events = _events(s, motion, samples, rate)
    noise = torch.randn(len(s), samples, generator=g)
    actions = _rolling(s, motion, noise, t, rate) + _steady(s, noise, t, rate)
    actions = actions + _engine(s, noise, t, rate) + _voice(s, t)
    ambience = _ambience(s, motion, noise.roll(samples // 2, -1), t, rate, g)
    mixed = 0.55 * events + 0.5 * actions + ambience
    return mixed / (mixed.abs().amax(-1, keepdim=True) / PEAK).clamp_min(1)


def pitch_of(scenes: Scenes) -> Tensor:
    """Fundamental of each object's ring in Hz, `[B, N]`."""
    return torch.tensor(PITCH)[scenes.material] * torch.where(scenes.size == 0, SMALL_PITCH, 1.0)


def _events(s: Scenes, motion: Motion, samples: int, rate: int) -> Tensor:
    """Impulse trains through each object's ring, summed over objects."""
    time, strength = motion.events.time, motion.events.strength * s.present[..., None]
    index = (time * rate).round().nan_to_num(posinf=samples + 1).clamp_max(samples).long()
    train = torch.zeros(*s.x.shape, samples + 1).scatter_add(-1, index, strength)[..., :samples]
    size = 1 << (samples + int(RING_SECONDS * rate) - 1).bit_length()
    spectrum = torch.fft.rfft(train, size) * torch.fft.rfft(_rings(s, motion, rate), size)
    return torch.fft.irfft(spectrum.sum(1), size)[:, :samples]


def _rings(s: Scenes, motion: Motion, rate: int) -> Tensor:
    t = torch.arange(int(RING_SECONDS * rate)) / rate
    base = pitch_of(s)[..., None]
    decay = torch.tensor(DECAY)[s.material][..., None]
    ratios = torch.tensor(MODES)[s.material]
    modes = torch.sin(2 * math.pi * (base * ratios)[..., None] * t) * torch.exp(-t / (decay / ratios.sqrt())[..., None])
    ring = (modes * torch.tensor([1.0, 0.5, 0.3])[:, None]).sum(-2)
    click = torch.randn(len(t), generator=torch.Generator().manual_seed(1)) * torch.exp(-t / 0.004) * 0.6
    beep = torch.sin(2 * math.pi * BEEP_HZ * t) * (t / 0.004).clamp_max(1) * torch.exp(-((t / 0.13) ** 4)) * 0.8
    kind = motion.events.kind[..., :1]
    sounds = ring + click
    for name, sound in ((PULSE, beep), (HONK, _horn(t)), (CHIRP, _chirp(s, t)), (SPLASH, _splash(s, t, rate))):
        sounds = torch.where(kind == name, sound, sounds)
    # A voice is made as a whole, not from its syllables.
    return sounds * (kind != SYLLABLE)


def _horn(t: Tensor) -> Tensor:
    """A car's horn of two tones."""
    tones = sum(torch.sin(2 * math.pi * hz * k * t) / k for hz in HORN_HZ for k in range(1, 6))
    # The start stands out, as the beating of the tones would else be louder than it.
    edges = (t / 0.004).clamp_max(1) * ((HONK_SECONDS - t) / 0.03).clamp(0, 1)
    return 0.34 * (1 + 0.8 * torch.exp(-t / 0.02)) * tones * edges


def _chirp(s: Scenes, t: Tensor) -> Tensor:
    """A bird's short sweep upwards, lower for a large one, `[B, N, S]`."""
    low, high = CHIRP_HZ
    scale = torch.where(s.size == 0, 1.05, 0.95)[..., None]
    sweep = 2 * math.pi * (low * t + (high - low) * t.clamp_max(CHIRP_SECONDS) ** 2 / (2 * CHIRP_SECONDS)) * scale
    return 0.62 * torch.sin(sweep) * (t / 0.004).clamp_max(1) * ((CHIRP_SECONDS - t) / 0.03).clamp(0, 1)


def _splash(s: Scenes, t: Tensor, rate: int) -> Tensor:
    """A burst of filtered noise and a low plop, deeper for a large object, `[B, N, S]`."""
    noise = torch.randn(len(t), generator=torch.Generator().manual_seed(2))
    burst = 0.4 * _band(noise, 500, 5500, rate) * torch.exp(-t / 0.11)
    base = torch.where(s.size == 0, 300.0, 190.0)[..., None]
    plop = torch.sin(2 * math.pi * base * (t + 1.2 * t.clamp_max(0.12) ** 2 / 0.12)) * torch.exp(-t / 0.07)
    return (burst + 0.9 * plop) * (t / 0.002).clamp_max(1)


def _band(noise: Tensor, low: float, high: float, rate: int) -> Tensor:
    """Noise limited to a band, about unit loudness."""
    frequency = torch.fft.rfftfreq(noise.shape[-1], 1 / rate)
    shape = torch.exp(-((frequency / high) ** 4)) * (1 - torch.exp(-((frequency / max(low, 1)) ** 4)))
    shaped = torch.fft.irfft(torch.fft.rfft(noise) * shape, noise.shape[-1])
    return shaped / shaped.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-6)


def _rolling(s: Scenes, motion: Motion, noise: Tensor, t: Tensor, rate: int) -> Tensor:
    rolls = (((s.action == ROLL) | (s.action == COLLIDE)) & s.present).any(-1).float()[:, None]
    hit = (t - motion.hit_time[:, None]).clamp_min(0)
    radius = s.radius[:, :1]
    turns = motion.speed[:, :1].abs() / radius
    wobble = 0.65 + 0.35 * torch.cos(turns * t * 2)
    return rolls * 0.16 * _band(noise, 60, 420, rate) * wobble * torch.exp(-hit * 1.5)


def _steady(s: Scenes, noise: Tensor, t: Tensor, rate: int) -> Tensor:
    """The whirr of spinning and the hum of hovering."""
    spins = ((s.action == SPIN) & s.present).any(-1).float()[:, None]
    hovers = ((s.action == HOVER) & s.present).any(-1).float()[:, None]
    whirr = _band(noise, 700, 1600, rate) * (0.5 + 0.5 * torch.cos(2 * SPIN_RATE * t)) ** 2
    pitch = 120 + 50 * s.pace[:, :1]
    hum = sum(torch.sin(2 * math.pi * pitch * k * t) / k for k in (1, 2, 3)) * (
        0.85 + 0.15 * torch.sin(2 * math.pi * 5 * t)
    )
    return spins * 0.16 * whirr + hovers * 0.22 * hum


def _engine(s: Scenes, noise: Tensor, t: Tensor, rate: int) -> Tensor:
    """The rumble of a car that drives, higher at a higher pace, `[B, S]`."""
    drives = ((s.action == DRIVE) & s.present).any(-1).float()[:, None]
    hz = 62 + 46 * s.pace[:, :1]
    buzz = sum(torch.sin(2 * math.pi * hz * k * t + k) / k**0.8 for k in range(1, 7))
    putter = 0.75 + 0.25 * torch.sin(2 * math.pi * hz / 4 * t)
    return drives * (0.10 * buzz + 0.07 * _band(noise, 50, 500, rate)) * putter


def _voice(s: Scenes, t: Tensor) -> Tensor:
    """A robot's voice `[B, S]`: a buzz through formants that differ by syllable, as loud as its mouth is open."""
    voice = torch.zeros(len(s), len(t))
    rows = talking(s).nonzero().flatten()
    number, phase = syllable_at(s, t)[rows], s.phase[rows, :1]
    hz = 100 + 60 * s.pace[rows, :1]
    middles = [low + (high - low) * vary(number + 0.3 * i, phase) for i, (low, high, _) in enumerate(FORMANTS)]
    buzz = torch.zeros_like(number)
    for k in range(1, VOICE_HARMONICS + 1):
        gains = [
            torch.exp(-(((k * hz - middle) / width) ** 2)) / (1 + 0.7 * i)
            for i, (middle, (_, _, width)) in enumerate(zip(middles, FORMANTS, strict=True))
        ]
        buzz = buzz + (0.06 + sum(gains)) * torch.sin(2 * math.pi * hz * k * t)
    loud = buzz.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-6)
    voice[rows] = 0.34 * buzz / loud
    return voice * voice_envelope(s, t)


def _ambience(s: Scenes, motion: Motion, noise: Tensor, t: Tensor, rate: int, g: torch.Generator) -> Tensor:
    wet = ((s.weather == 1) | (s.weather == 3)).float()[:, None]
    snow = (s.weather == 2).float()[:, None]
    rain = _band(noise, 900, 9000, rate) * 0.05
    gust = 0.6 + 0.4 * torch.sin(2 * math.pi * (0.35 * t + s.light[:, None]))
    wind = _band(noise, 120, 600, rate) * 0.06 * gust
    thunder = sum(
        torch.where(since > 0, torch.exp(-since.clamp_min(0) / 0.6) * (since / 0.02).clamp(0, 1), torch.zeros(()))
        for since in (t - motion.flashes[:, :1], t - motion.flashes[:, 1:])
    )
    rumble = _band(noise, 25, 260, rate) * thunder * 0.34
    dry = (s.weather == 0).float()[:, None]
    crickets = dry * (s.sky == NIGHT).float()[:, None] * _crickets(s, t)
    birds = dry * (s.sky == 0).float()[:, None] * _birds(s, t)
    return wet * rain + snow * wind + rumble + crickets + birds + 0.002 * noise


def _crickets(s: Scenes, t: Tensor) -> Tensor:
    chirp = (torch.sin(2 * math.pi * (1.6 * t + s.light[:, None])) > 0.1).float() * torch.sin(
        2 * math.pi * 15 * t
    ).clamp_min(0)
    return 0.022 * torch.sin(2 * math.pi * 4300 * t) * chirp


def _birds(s: Scenes, t: Tensor) -> Tensor:
    beat = torch.remainder(t * 0.9 + s.light[:, None] * 3, 1.0)
    sweep = 2 * math.pi * (2600 * t + 60 * torch.sin(2 * math.pi * 9 * t))
    return 0.03 * torch.sin(sweep) * torch.exp(-(((beat - 0.3) / 0.1) ** 2))
