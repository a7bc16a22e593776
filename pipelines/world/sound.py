"""Sound from the same events as the picture, sample-exact.

Impacts and beeps are impulse trains convolved with a ring of each object's own; everything else is shaped noise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .physics import PULSE, SPIN_RATE, Motion
from .scene import COLLIDE, HOVER, NIGHT, ROLL, SPIN, Scenes

# Fundamental in Hz for a large object, decay in seconds, mode ratios: rubber, metal, wood, glass.
PITCH = (95.0, 620.0, 270.0, 1500.0)
DECAY = (0.07, 0.40, 0.08, 0.22)
MODES = ((1.0, 1.6, 2.2), (1.0, 2.76, 5.4), (1.0, 2.4, 4.1), (1.0, 2.3, 3.9))
SMALL_PITCH = 1.6
RING_SECONDS = 1.2
BEEP_HZ = 880.0
PEAK = 0.9


def synthesise(scenes: Scenes, motion: Motion, samples: int, rate: int = 24000) -> Tensor:
    """Mono sound `[B, samples]` float32 in -1..1 of the first `samples / rate` seconds."""
    s = motion.scenes
    g = torch.Generator().manual_seed(s.seed ^ 0x5EED)
    t = torch.arange(samples) / rate
    events = _events(s, motion, samples, rate)
    noise = torch.randn(len(s), samples, generator=g)
    actions = _rolling(s, motion, noise, t, rate) + _steady(s, noise, t, rate)
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
    return torch.where((motion.events.kind[..., :1] == PULSE), beep, ring + click)


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
