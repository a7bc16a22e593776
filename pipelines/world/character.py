"""What a car, a bird and a robot are built of: up to seven solids each, and how sound and motion move them."""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from .paint import PAINTS
from .physics import Poses
from .scene import BIRD, CAR, ROBOT, Scenes

Triple = tuple[float, float, float]
Values = dict[str, Tensor]

PARTS = 7
BOX: Triple = (0, 0, 0)
ELLIPSOID: Triple = (1, 1, 1)
ROUNDED: Triple = (1.28, 1.28, 1.28)
WHEEL: Triple = (1, 1, 0)
UNMARKED = (0.0, 9.0, 1.0, 0.0, 1.0, 0.0)


class Part(NamedTuple):
    """A solid in the character's frame (x forward, y up), in units of its radius.

    `curve`: half axes of the ellipsoid that cuts the box, in half sizes of the box, 0 = not curved along that axis.
    `mark`: a rounded spot of another paint: whether mirrored in x, its middle and half width along x, its middle and
    half height along y, all in half sizes; and how brightly it shines. Turns are about `hinge`, else about `at`.
    """

    at: Triple
    half: Triple
    curve: Triple = ELLIPSOID
    paint: str = "own"
    mark: tuple[float, float, float, float, float, float] = UNMARKED
    mark_paint: str = "dark"
    hinge: Triple | None = None
    tilt: float = 0.0


_HUB = (0.0, 0.0, 0.24, 0.0, 0.66, 0.0)
CAR_PARTS = (
    Part((0, -0.2, 0), (1.5, 0.46, 0.62), ROUNDED),
    Part((-0.16, 0.48, 0), (0.86, 0.5, 0.53), ROUNDED, mark=(1, 0.58, 0.5, -0.02, 0.62, 0), mark_paint="window"),
    Part((0.86, -0.61, 0), (0.39, 0.39, 0.66), WHEEL, "tyre", _HUB, "steel"),
    Part((-0.86, -0.61, 0), (0.39, 0.39, 0.66), WHEEL, "tyre", _HUB, "steel"),
    Part((1.36, -0.12, 0), (0.18, 0.17, 0.54), ELLIPSOID, "lamp"),
    Part((0, -0.6, 0), (1.36, 0.14, 0.56), BOX, "tyre"),
)
BIRD_PARTS = (
    Part((-0.1, -0.22, 0), (1.0, 0.7, 0.62), mark=(0, 0.12, 0.72, -0.8, 0.62, 0), mark_paint="pale"),
    Part((0.66, 0.5, 0), (0.5, 0.49, 0.46), mark=(0, 0.32, 0.26, 0.2, 0.3, 0), mark_paint="contrast"),
    Part((1.24, 0.52, 0), (0.38, 0.12, 0.17), ELLIPSOID, "beak", hinge=(1.0, 0.5, 0)),
    Part((1.18, 0.41, 0), (0.3, 0.09, 0.14), ELLIPSOID, "beak", hinge=(1.0, 0.46, 0)),
    Part((-0.2, 0.16, -0.94), (0.54, 0.09, 0.58), ELLIPSOID, "shade", hinge=(-0.2, 0.16, -0.42)),
    Part((-0.2, 0.16, 0.94), (0.54, 0.09, 0.58), ELLIPSOID, "shade", hinge=(-0.2, 0.16, 0.42)),
    Part((-1.16, -0.02, 0), (0.46, 0.1, 0.28), ELLIPSOID, "shade", tilt=-0.4),
)
ROBOT_PARTS = (
    Part((0, -0.36, 0), (0.5, 0.36, 0.36), ROUNDED, mark=(0, 0, 0.5, 0.05, 0.42, 0), mark_paint="steel"),
    Part((0, 0.36, 0), (0.52, 0.36, 0.38), ROUNDED, mark=(1, 0.46, 0.26, 0.36, 0.32, 0.35), mark_paint="eye"),
    Part((0, 0.76, 0), (0.045, 0.12, 0.045), BOX, "steel"),
    Part((0, 0.91, 0), (0.11, 0.11, 0.11), ELLIPSOID, "lamp"),
    Part((0, 0.19, -0.36), (0.27, 0.03, 0.04), BOX, "contrast"),
    Part((0, -0.86, 0), (0.4, 0.14, 0.3), BOX, "steel", mark=(0, 0, 0.16, 0, 9, 0)),
    Part((0, -0.34, 0), (0.72, 0.24, 0.16), ROUNDED, "steel"),
)
WHEEL_PARTS, LAMP = (2, 3), 4
UPPER_BEAK, LOWER_BEAK, NEAR_WING, FAR_WING = range(2, 6)
ANTENNA, MOUTH = 3, 4
# Half the height that a mouth opens to, in radii.
MOUTH_OPEN = 0.13


@functools.cache
def _table() -> Values:
    """The parts of each character as tensors `[3, 7, ...]`; absent parts have `there` 0."""
    absent = Part((0, 0, 0), (1, 1, 1))
    rows = [[*parts, *[absent] * (PARTS - len(parts))] for parts in (CAR_PARTS, BIRD_PARTS, ROBOT_PARTS)]
    names = list(PAINTS)

    def numbers(value: object) -> Tensor:
        return torch.tensor([[value(part) for part in parts] for parts in rows])  # type: ignore[operator]

    return {
        "at": numbers(lambda p: p.at), "half": numbers(lambda p: p.half).float(),
        "curve": numbers(lambda p: p.curve).float(), "hinge": numbers(lambda p: p.hinge or p.at),
        "mark": numbers(lambda p: p.mark), "tilt": numbers(lambda p: p.tilt),
        "paint": numbers(lambda p: names.index(p.paint)), "mark_paint": numbers(lambda p: names.index(p.mark_paint)),
        "there": numbers(lambda p: float(p is not absent)),
    }  # fmt: skip


def character_parts(s: Scenes, poses: Poses, frame_axes: Tensor) -> Values:
    """The parts `[F, 7, ...]` of the first objects, of scenes and poses a frame; `frame_axes [F, 3, 3]` turn the whole.

    Meaningless where the first object is no character.
    """
    kind = (s.shape[:, 0] - CAR).clamp_min(0)
    part = {name: value[kind] for name, value in _table().items()}
    radius, signal = s.radius[:, :1, None], poses.signal
    half = _moved(part["half"], kind, signal)
    about_x, about_z = _angles(part["tilt"], kind, s, poses)
    local = _turned(about_x, about_z)
    arm = part["at"] - part["hinge"]
    place = part["hinge"] + torch.einsum("fpij,fpj->fpi", local, arm)
    centre = poses.centre[:, :1] + radius * torch.einsum("fij,fpj->fpi", frame_axes, place)
    curved = (part["curve"] > 0).float()
    q = curved / (part["curve"].clamp_min(1e-3) * half * radius) ** 2
    mark = part["mark"].clone()
    mark[..., (2, 4)] = 1 / mark[..., (2, 4)]
    paints = torch.stack(list(PAINTS.values()))
    colour = s.colour[:, :1].expand(-1, PARTS)
    return {
        "centre": centre, "axes": frame_axes[:, None] @ local, "half": half * radius, "q": q,
        "quadric": curved.amax(-1), "present": part["there"] * s.present[:, :1], "mark": mark,
        "paint": paints[part["paint"], colour], "mark_paint": paints[part["mark_paint"], colour],
        "glow": _glow(kind, signal),
    }  # fmt: skip


def _at(kind: Tensor, character: int, *parts: int) -> Tensor:
    """1 `[F, 7]` at these parts of this character, else 0."""
    chosen = torch.zeros(PARTS)
    chosen[list(parts)] = 1
    return (kind == character - CAR).float()[:, None] * chosen


def _moved(half: Tensor, kind: Tensor, signal: Tensor) -> Tensor:
    """Half sizes `[F, 7, 3]`: the mouth opens with the voice, the lamp swells with the horn."""
    opened = _at(kind, ROBOT, MOUTH) * MOUTH_OPEN * signal[:, None]
    swollen = 1 + 0.3 * _at(kind, CAR, LAMP) * signal[:, None]
    return half * swollen[..., None] + opened[..., None] * torch.tensor([0.0, 1.0, 0.0])


def _angles(tilt: Tensor, kind: Tensor, s: Scenes, poses: Poses) -> tuple[Tensor, Tensor]:
    """Radians `[F, 7]` about the character's own x and z."""
    yaw, roll = poses.turn[:, 0].unbind(-1)
    forward = -roll * s.radius[:, 0] * torch.sign(yaw.cos())
    wheel = CAR_PARTS[WHEEL_PARTS[0]].half[0] * s.radius[:, 0]
    about_x = poses.flap[:, None] * (_at(kind, BIRD, NEAR_WING) - _at(kind, BIRD, FAR_WING))
    about_z = tilt - (forward / wheel)[:, None] * _at(kind, CAR, *WHEEL_PARTS)
    gape = 0.22 * _at(kind, BIRD, UPPER_BEAK) - 0.6 * _at(kind, BIRD, LOWER_BEAK)
    return about_x, about_z + gape * poses.signal[:, None]


def _turned(about_x: Tensor, about_z: Tensor) -> Tensor:
    """Rotations `[..., 3, 3]` about x, then about z."""
    cx, sx, cz, sz = about_x.cos(), about_x.sin(), about_z.cos(), about_z.sin()
    zero = torch.zeros_like(cx)
    return torch.stack((cz, -sz * cx, sz * sx, sz, cz * cx, -cz * sx, zero, sx, cx), -1).unflatten(-1, (3, 3))


def _glow(kind: Tensor, signal: Tensor) -> Tensor:
    """How brightly each part shines `[F, 7]`."""
    return (0.15 + 1.2 * signal[:, None]) * _at(kind, CAR, LAMP) + 0.7 * signal[:, None] * _at(kind, ROBOT, ANTENNA)
