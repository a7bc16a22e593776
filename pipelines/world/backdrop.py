"""Sky, ground, shadows and weather, for each ray of a batch of frames."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .scene import MAX_OBJECTS

Values = dict[str, Tensor]


def sky(v: Values, d: list[Tensor]) -> Tensor:
    inverse = torch.rsqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2)
    up = (d[1] * inverse).clamp_min(0)
    blend = (up * 2.4).clamp(0, 1).sqrt()[:, None]
    colour = v["sky_low"][..., None, None] + (v["sky_top"] - v["sky_low"])[..., None, None] * blend
    seed = v["seed"][:, None, None] * 40
    u, w = d[0] / (d[1].clamp_min(0) + 0.25) + 0.03 * v["time"][:, None, None], 1 / (d[1].clamp_min(0) + 0.25)
    cloud = (
        torch.sin(1.7 * u + seed + torch.sin(2.3 * w + seed)) + 0.6 * torch.sin(4.1 * u - 3.1 * w + 2 * seed)
        + 0.4 * torch.sin(7.3 * u + 6.1 * w + torch.sin(5 * u))
    )  # fmt: skip
    cover = (v["kind"] * up.new_tensor([0.75, 0.5, 0.15, 0.3])).sum(-1)[:, None, None]
    amount = ((cloud - 0.3) * 0.7).clamp(0, 1)[:, None] * cover[:, None] * (up * 6).clamp(0, 1)[:, None]
    bright = torch.stack([0.55 * v["sky_low"][:, i] + 0.45 * v["kind"][:, :2].sum(-1) for i in range(3)], 1)
    colour = colour + amount * (bright[..., None, None] - colour)
    return colour + _sun_and_stars(v, d, inverse, up)


def _sun_and_stars(v: Values, d: list[Tensor], inverse: Tensor, up: Tensor) -> Tensor:
    # The disc is drawn in front, higher or lower by the time of day, not where the key light comes from.
    place = up.new_tensor([[-0.22, 0.235, 1.0], [0.24, 0.075, 1.0], [0.2, 0.235, 1.0], [0, 3.0, 1.0]])
    target = F.normalize((v["kind"][:, :, None] * place).sum(1), dim=-1)
    cos = sum(target[:, i, None, None] * d[i] * inverse for i in range(3))
    size = (v["kind"] * up.new_tensor([6e-4, 1.3e-3, 5e-4, 0.0])).sum(-1)[:, None, None]
    disc = ((cos - 1 + size) / 2e-4).clamp(0, 1) * (size > 0)
    halo = torch.exp((cos - 1) * 60) * (v["kind"] * up.new_tensor([0.25, 0.35, 0.12, 0.0])).sum(-1)[:, None, None]
    tint = v["power"] / v["power"].amax(-1, keepdim=True)
    light = (disc * 0.9 + halo)[:, None] * tint[..., None, None]
    u, w = (d[0] / d[2] * 34).floor(), (d[1] / d[2] * 34).floor()
    chance = torch.sin(u * 127.1 + w * 311.7 + v["seed"][:, None, None] * 9).mul(43758.5)
    chance = chance - chance.floor()
    fx, fy = d[0] / d[2] * 34 - u - 0.5, d[1] / d[2] * 34 - w - 0.5
    star = (chance > 0.93) * torch.exp(-(fx**2 + fy**2) * 30) * v["kind"][:, 2, None, None] * (up * 8).clamp(0, 1)
    return light + star[:, None] * 0.9


def ground(v: Values, d: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Colour `[F, 3, H, W]` and distance `[F, H, W]` of the ground plane."""
    t = torch.where(d[1] < -1e-3, v["camera"][:, 1, None, None] / (-d[1]).clamp_min(1e-3), 1e4)
    gx = v["camera"][:, 0, None, None] + t * d[0]
    gz = v["camera"][:, 2, None, None] + t * d[2]
    clear = torch.exp(-t * 0.16)
    texture = [v["texture"][:, i, None, None] for i in range(5)]
    grain = torch.sin(gx * texture[3] + 1.9 * torch.sin(gz * texture[4] * 0.9)) * torch.sin(
        gz * texture[4] + 1.7 * torch.sin(gx * texture[3] * 0.37)
    ) + 0.5 * torch.sin(gx * texture[3] * 2.3 + gz * 1.1) * torch.sin(gz * texture[4] * 2.7 - gx * 0.7)
    plank = (
        0.5
        - 0.5 * (((gx * 1.15 - (gx * 1.15).floor()) - 0.5).abs() * 14 - 5.6).clamp(0, 1) * 2
        + 0.25 * torch.sin((gx * 1.15).floor() * 4.7)
    )
    sharp = 6 / (1 + 0.25 * t)
    check = (torch.sin(gx * 2.6) * torch.sin(gz * 2.6) * sharp).clamp(-1, 1)
    shade = (
        1 + clear * (texture[0] * grain + texture[1] * (plank - 0.4)) + texture[2] * check * torch.exp(-t * 0.05) * 0.55
    )
    lit = shadow(v, gx, gz)
    reflect = 0.16 * v["wet"][:, None, None] * (1 - clear)
    haze = (1 - torch.exp(-(t - 5).clamp_min(0) * 0.035))[:, None]
    light = (
        v["ambient"][..., None, None]
        + v["power"][..., None, None] * (0.55 + 0.45 * v["sun"][:, 1, None, None, None]) * (lit[:, None])
    )
    colour = v["ground"][..., None, None] * shade[:, None] * light * (0.78 + 0.22 * lit[:, None])
    colour = colour + (reflect[:, None] + haze * 0.85) * (v["sky_low"][..., None, None] - colour)
    glow = torch.zeros_like(colour)
    for n in range(MAX_OBJECTS):
        east, north = (v["centre"][:, n, axis, None, None] for axis in (0, 2))
        falloff = 1 / (1 + 1.5 * ((gx - east) ** 2 + (gz - north) ** 2))
        strength = (v["glow"][:, n] * v["present"][:, n])[:, None, None, None]
        glow = glow + strength * v["tint"][:, n, :, None, None] * falloff[:, None]
    return colour + 0.5 * glow * v["ground"][..., None, None], t


def shadow(v: Values, gx: Tensor, gz: Tensor) -> Tensor:
    """1 in the light; soft shadows along the sun, and contact shade under each object."""
    light = torch.ones_like(gx)
    for n in range(MAX_OBJECTS):
        centre, radius = v["centre"][:, n], v["radius"][:, n, None, None]
        to = [centre[:, 0, None, None] - gx, centre[:, 1, None, None].expand_as(gx), centre[:, 2, None, None] - gz]
        if "stretch" in v:
            to[0] = to[0] / v["stretch"][:, n, None, None]
        along = sum(to[i] * v["sun"][:, i, None, None] for i in range(3))
        miss = (sum(c * c for c in to) - along**2).clamp_min(0).sqrt() / radius
        soft = 0.12 + 0.10 * (centre[:, 1, None, None] / radius - 1)
        cast = ((miss - 0.92) / soft * 0.5 + 0.5).clamp(0, 1)
        lift = (centre[:, 1, None, None] - radius).clamp_min(0)
        contact = 0.55 * torch.exp(-((to[0] ** 2 + to[2] ** 2) / radius**2) * 1.2 - lift * 2.2)
        shade = (1 - 0.72 * (1 - cast)) * (1 - contact)
        light = light * (1 + v["present"][:, n, None, None] * (shade - 1))
    return light


def weather(v: Values, colour: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Rain streaks and snow flakes in front of the picture, two layers each."""
    time, seed = v["time"][:, None, None], v["seed"][:, None, None]
    rain, snow = torch.zeros_like(colour[:, 0]), torch.zeros_like(colour[:, 0])
    for layer, density in ((0, 26.0), (1, 40.0)):
        u = x * density + y * 1.6 + layer * 0.37
        column = u.floor()
        chance = _hash(column * 1.31 + seed * 7 + layer)
        fall = y * (2.6 + layer) + time * (7.5 + chance * 2) + chance * 17
        drop = _hash(fall.floor() * 3.7 + column)
        streak = (
            (0.5 - (fall - fall.floor() - 0.5).abs()).clamp_min(0) * ((u - column - 0.5).abs() < 0.16) * (drop > 0.62)
        )
        rain = rain + streak * 1.1
        cell = 11.0 + 7 * layer
        sway = 0.25 * torch.sin(time * 1.3 + layer * 2 + y * 4)
        fx, fy = x * cell + sway, y * cell + time * (3.2 - layer * 0.6)
        cx, cy = fx.floor(), fy.floor()
        keep = _hash(cx * 5.3 + cy * 9.1 + seed * 3 + layer)
        ox, oy = 0.3 + 0.4 * _hash(cx * 2.1 + cy * 4.3), 0.3 + 0.4 * _hash(cx * 7.7 + cy * 1.9)
        near = ((fx - cx - ox) ** 2 + (fy - cy - oy) ** 2) * (75 - 20 * layer)
        snow = snow + torch.exp(-near) * (keep > 0.55)
    fog = 0.10 * v["wet"] + 0.08 * v["snow"]
    colour = colour + fog[:, None, None, None] * (v["sky_low"][..., None, None] - colour)
    colour = colour + (rain * v["wet"][:, None, None] * 0.55).clamp(0, 0.6)[:, None] * (0.92 - colour)
    return colour + (snow * v["snow"][:, None, None]).clamp(0, 0.95)[:, None] * (1.0 - colour)


def _hash(value: Tensor) -> Tensor:
    """Pseudo-random 0..1 from a number."""
    mixed = torch.sin(value * 12.9898 + 4.1414) * 4375.85453
    return mixed - mixed.floor()
