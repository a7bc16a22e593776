"""Exact labels of scenes, for pretraining and evaluation."""

from __future__ import annotations

import torch
from torch import Tensor

from .physics import chirping, honking
from .scene import BEACON, BOUNCE, CAR, COLLIDE, DRIVE, HOP, HOVER, LABEL_NAMES, ROLL, SPIN, TALK, WATER, Scenes


def labels(scenes: Scenes) -> dict[str, Tensor]:
    """Class indices: scene labels `[B]`, object labels `[B, N]` (-1 = absent), `sound [B, classes]` 0 or 1.

    A character has no material: -1.
    """
    s = scenes
    result = {name: getattr(s, name) for name in ("sky", "ground", "weather", "camera")}
    result["count"] = s.present.sum(-1)
    for name in ("shape", "colour", "material", "size", "action", "direction"):
        result[name] = torch.where(s.present, getattr(s, name), torch.full_like(s.shape, -1))
    result["material"] = torch.where(s.shape < CAR, result["material"], torch.full_like(s.shape, -1))
    result["sound"] = _sounds(s)
    return result


def _sounds(s: Scenes) -> Tensor:
    def does(*actions: int) -> Tensor:
        chosen = torch.stack([s.action == a for a in actions]).any(0)
        return (chosen & s.present).any(-1)

    wet, dry = (s.weather == 1) | (s.weather == 3), s.weather == 0
    strikes, water = does(BOUNCE, HOP, COLLIDE), s.ground == WATER
    heard = {
        "impact": strikes & ~water, "roll": does(ROLL, COLLIDE), "whirr": does(SPIN), "hum": does(HOVER),
        "beep": does(BEACON), "rain": wet, "wind": s.weather == 2, "thunder": s.weather == 3,
        "crickets": dry & (s.sky == 2), "birds": dry & (s.sky == 0),
        "engine": does(DRIVE), "honk": honking(s), "chirp": chirping(s), "voice": does(TALK), "splash": strikes & water,
    }  # fmt: skip
    return torch.stack([heard[name] for name in LABEL_NAMES["sound"]], -1).long()
