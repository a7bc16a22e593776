"""Water as ground: ripples that mirror the sky and the objects, rings and drops where something falls in."""

from __future__ import annotations

import torch
from torch import Tensor

from .backdrop import Values, sky
from .physics import SPLASH, Motion
from .scene import BEACON, MAX_OBJECTS, STILL, WATER

# The latest contacts that are seen as rings.
RINGS = 4
RING_SPEED = 1.15
DROPS = 9
DROP_SECONDS = 0.6
SHORE_METRES = 34.0
SHORE = (0.13, 0.27, 0.13)
WATER_VALUES = ("rings", "drops", "afloat")


def water_values(motion: Motion, times: Tensor) -> Values:
    """What only water shows, a frame.

    `rings [F, 4, 4]` are the latest contacts: x, z, seconds ago, strength; `drops [F, 9, 4]` what the last one threw
    up: x, y, z, strength; `afloat [F, N]` is 1 for what lies in the water.
    """
    s, events = motion.scenes, motion.events
    count, _, many = events.time.shape
    falls = (events.kind == SPLASH) & s.present[..., None] & events.time.isfinite()
    time = torch.where(falls, events.time, torch.full((), torch.inf)).flatten(1)
    age = times[None, :, None] - time[:, None]
    age = torch.where(age >= 0, age, torch.full((), torch.inf))
    latest = age.topk(RINGS, -1, largest=False)
    age, which = latest.values.clamp_max(99).flatten(0, 1), latest.indices.flatten(0, 1)
    frame = torch.arange(count).repeat_interleave(len(times))
    strength = events.strength.flatten(1)[frame[:, None], which] * (age < 99)
    slot = which // many
    x, z = s.x[frame[:, None], slot], s.z[frame[:, None], slot]
    rings = torch.stack((x, z, age, strength), -1)
    drops = _drops(rings[:, 0], s.radius[frame, slot[:, 0]])
    lies = (s.ground == WATER)[:, None] & s.present & ((s.action == STILL) | (s.action == BEACON))
    return {"rings": rings, "drops": drops, "afloat": lies.float().repeat_interleave(len(times), 0)}


def _drops(ring: Tensor, radius: Tensor) -> Tensor:
    """Where the drops of a splash are `[F, 9, 4]`: thrown up and out at the contact, falling back."""
    number = torch.arange(DROPS)
    angle = number * 2.4
    out = 0.55 + 0.5 * torch.remainder(number * 0.618, 1.0)
    up = 1.7 + 1.3 * torch.remainder(number * 0.382, 1.0)
    age = ring[:, 2:3].clamp_max(9)
    away = 0.7 * radius[:, None] + out * age
    y = up * age - 4.9 * age**2
    strength = ring[:, 3:] * (age < DROP_SECONDS) * (y > 0)
    return torch.stack((ring[:, :1] + away * angle.cos(), y, ring[:, 1:2] + away * angle.sin(), strength), -1)


def pond(v: Values, d: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Colour `[F, 3, H, W]` and distance `[F, H, W]` of the water's surface along rays `d`."""
    t = torch.where(d[1] < -1e-3, v["camera"][:, 1, None, None] / (-d[1]).clamp_min(1e-3), 1e4)
    x, z = v["camera"][:, 0, None, None] + t * d[0], v["camera"][:, 2, None, None] + t * d[2]
    east, north, foam = _slopes(v, x, z, t)
    inverse = torch.rsqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2)
    across = (d[0] * east + d[1] + d[2] * north) / (1 + east**2 + north**2)
    mirrored = [d[0] - 2 * across * east, (d[1] - 2 * across).clamp_min(0.004), d[2] - 2 * across * north]
    facing = (-across * inverse).clamp(0, 1)
    mirror = 0.10 + 0.80 * (1 - facing) ** 4
    light = v["ambient"] + 0.6 * v["power"]
    deep = (v["ground"] * light)[..., None, None]
    # What faces the viewer shows the depth, what leans away the sky: that is what makes a ripple visible.
    deep = deep * (1 + 1.6 * north)[:, None]
    reflection = _reflected(v, sky(v, mirrored), mirrored, x, z)
    colour = deep + mirror[:, None] * (reflection - deep)
    white = light.clamp_max(1)[..., None, None]
    colour = colour + foam.clamp(0, 0.9)[:, None] * (white - colour)
    lamps = torch.zeros_like(colour)
    for n in range(MAX_OBJECTS):
        away = (x - v["centre"][:, n, 0, None, None]) ** 2 + (z - v["centre"][:, n, 2, None, None]) ** 2
        strength = (v["glow"][:, n] * v["present"][:, n])[:, None, None] / (1 + 2 * away)
        lamps = lamps + strength[:, None] * v["tint"][:, n, :, None, None]
    colour = colour + 0.4 * lamps
    shore = ((t - SHORE_METRES) * 0.3).clamp(0, 1)[:, None]
    return colour + shore * ((light.new_tensor(SHORE) * light)[..., None, None] - colour), t


def _slopes(v: Values, x: Tensor, z: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Slopes of the surface along x and z, and foam 0..1, all `[F, H, W]`."""
    time = v["time"][:, None, None]
    seed = v["seed"][:, None, None] * 20
    # Waves smaller than a pixel would only flicker.
    near = torch.exp(-t * 0.055)
    fine = torch.exp(-t * 0.16)
    first = torch.sin(1.3 * x + 2.6 * z + 1.6 * time + seed + 0.8 * torch.sin(0.9 * x - 0.7 * time))
    second = torch.sin(-1.9 * x + 4.3 * z - 2.2 * time + 1.7 * seed + 0.9 * torch.sin(1.4 * z + 0.9 * time))
    third = torch.sin(4.6 * x + 8.2 * z + 3.1 * time + 0.7 * torch.sin(3.1 * x - 1.3 * time)) * fine
    east = near * (0.03 * first - 0.035 * second + 0.04 * third)
    north = near * (0.10 * first + 0.09 * second + 0.07 * third)
    foam = torch.zeros_like(x)
    for k in range(RINGS):
        rx, rz, age, strength = v["rings"][:, k].unbind(-1)
        dx, dz = x - rx[:, None, None], z - rz[:, None, None]
        distance = (dx**2 + dz**2 + 1e-4).sqrt()
        age, strength = age[:, None, None], strength[:, None, None]
        behind = distance - 0.35 - RING_SPEED * age
        ring = strength * torch.exp(-((behind / 0.26) ** 2) - 0.9 * age) * torch.cos(13 * behind)
        east, north = east + 0.45 * ring * dx / distance, north + 0.45 * ring * dz / distance
        crest = strength * torch.exp(-((behind / 0.10) ** 2) - 1.3 * age)
        foam = foam + 0.75 * crest + 1.2 * strength * torch.exp(-((distance / 0.6) ** 2) - 7 * age)
    for n in range(MAX_OBJECTS):
        dx, dz = x - v["centre"][:, n, 0, None, None], z - v["centre"][:, n, 2, None, None]
        distance = (dx**2 + dz**2 + 1e-4).sqrt()
        edge = distance - v["radius"][:, n, None, None]
        wake = v["afloat"][:, n, None, None] * torch.exp(-(edge.clamp_min(0) * 1.6)) * torch.sin(9 * edge - 5 * time)
        east, north = east + 0.10 * wake * dx / distance, north + 0.10 * wake * dz / distance
    return east, north, foam


def _reflected(v: Values, above: Tensor, d: list[Tensor], x: Tensor, z: Tensor) -> Tensor:
    """`above`, what rays `d` from the surface see of the sky, with the objects in front of it as soft balls."""
    inverse = torch.rsqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2)
    for n in range(MAX_OBJECTS):
        centre, radius = v["centre"][:, n], v["radius"][:, n, None, None]
        to = [centre[:, 0, None, None] - x, centre[:, 1, None, None].expand_as(x), centre[:, 2, None, None] - z]
        along = sum(a * b for a, b in zip(to, d, strict=True)) * inverse
        miss = (sum(a * a for a in to) - along**2).clamp_min(0).sqrt() / radius
        cover = ((1.0 - miss) * 5 + 0.5).clamp(0, 0.9) * (along > 0) * v["present"][:, n, None, None]
        lit = v["albedo"][:, n] * (v["ambient"] * 0.8 + 0.35 * v["power"])
        above = above + cover[:, None] * (lit[..., None, None] - above)
    return above


def spray(v: Values, colour: Tensor, d: list[Tensor]) -> Tensor:
    """The drops of the last splash in front of `colour`."""
    inverse = torch.rsqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2)
    cover = torch.zeros_like(d[0])
    for k in range(DROPS):
        to = [(v["drops"][:, k, i] - v["camera"][:, i])[:, None, None] for i in range(3)]
        along = sum(a * b for a, b in zip(to, d, strict=True)) * inverse
        miss = sum(a * a for a in to) - along**2
        cover = cover + v["drops"][:, k, 3, None, None] * torch.exp(-miss / 0.0035)
    white = (v["ambient"] + 0.8 * v["power"]).clamp_max(1)[..., None, None]
    return colour + cover.clamp(0, 0.9)[:, None] * (white - colour)
