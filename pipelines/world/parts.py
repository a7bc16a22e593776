"""The solids that a frame is made of: a part each for balls, cubes, cylinders and cones, several for a character.

Parts 0 to 6 belong to the first object, the last two to the others; without a character, three parts are all.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .character import PARTS, UNMARKED, character_parts
from .paint import CHARACTER_GLOSS, COLOURS, GLOSS
from .physics import Poses
from .scene import CAR, CONE, CUBE, CYLINDER, Scenes

Values = dict[str, Tensor]

PART_SLOT = torch.tensor([0] * PARTS + [1, 2])
# The parts of a scene without a character.
PLAIN_PARTS = [0, PARTS, PARTS + 1]
# The values that are given a part; what else a shader gets is given a frame or an object.
PART_VALUES = (
    "offset", "map", "part_axes", "half", "q", "k", "apex", "quadric", "there", "paint", "gloss", "shine", "banded",
    "mark", "mark_paint",
)  # fmt: skip


def parts_of(s: Scenes, poses: Poses, camera: Tensor, axes: Tensor) -> Values:
    """All parts `[F, 9, ...]` of scenes and poses a frame, seen from `camera [F, 3]` with `axes [F, 3, 3]`."""
    object_axes = _object_axes(poses.turn, s.shape, s.action)
    solid = _quadric(s.shape, s.radius)
    plain = {
        **_placed(poses.centre, object_axes, camera, axes), **solid, "there": s.present.float(),
        "paint": COLOURS[s.colour], "gloss": GLOSS[s.material], "shine": poses.glow,
        "banded": torch.ones_like(s.radius), "mark": torch.tensor(UNMARKED).expand(*s.shape.shape, -1),
        "mark_paint": COLOURS[s.colour],
    }  # fmt: skip
    part = character_parts(s, poses, object_axes[:, 0])
    cast = {
        **_placed(part["centre"], part["axes"], camera, axes), "half": part["half"], "q": part["q"],
        "k": torch.ones_like(part["glow"]), "apex": torch.zeros_like(part["glow"]), "quadric": part["quadric"],
        "there": part["present"], "paint": part["paint"], "gloss": CHARACTER_GLOSS.expand(len(camera), PARTS, 3),
        "shine": part["glow"], "banded": torch.zeros_like(part["glow"]), "mark": part["mark"],
        "mark_paint": part["mark_paint"],
    }  # fmt: skip
    return {name: _joined(plain[name], cast[name], s.shape[:, 0] >= CAR) for name in PART_VALUES}


def _joined(plain: Tensor, cast: Tensor, is_cast: Tensor) -> Tensor:
    """`[F, 9, ...]`: the character's parts or else the first object's one, and the other objects'."""
    rest = plain[:, :1].expand(-1, PARTS, *plain.shape[2:])
    first = torch.where(is_cast.view(-1, *[1] * (plain.ndim - 1)), cast, rest)
    return torch.cat((first, plain[:, 1:]), 1)


def _placed(centre: Tensor, own: Tensor, camera: Tensor, axes: Tensor) -> Values:
    """The camera and its axes as seen from the frames of solids at `centre` with axes `own`."""
    return {
        "offset": torch.einsum("fnji,fnj->fni", own, camera[:, None] - centre),
        "map": torch.einsum("fnji,fjk->fnik", own, axes),
        "part_axes": own,
    }


def _object_axes(turn: Tensor, shape: Tensor, action: Tensor) -> Tensor:
    """Rotation from object to world `[F, N, 3, 3]`: yaw about the vertical, and for rolling balls a turn about z."""
    yaw, roll = turn.unbind(-1)
    rolls = ((shape == 0) & ((action == 2) | (action == 7))) | ((shape == 0) & (roll != 0))
    roll = torch.where(rolls, roll, torch.zeros_like(roll))
    yaw = torch.where(rolls, torch.zeros_like(yaw), yaw)
    cy, sy, cr, sr = yaw.cos(), yaw.sin(), roll.cos(), roll.sin()
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    about_y = torch.stack((cy, zero, sy, zero, one, zero, -sy, zero, cy), -1).unflatten(-1, (3, 3))
    about_z = torch.stack((cr, -sr, zero, sr, cr, zero, zero, zero, one), -1).unflatten(-1, (3, 3))
    return about_z @ about_y


def _quadric(shape: Tensor, radius: Tensor) -> Values:
    """Coefficients of `q . (p - b)^2 = k` and half sizes of the slabs, all for the object's own frame."""
    zero, one = torch.zeros_like(radius), torch.ones_like(radius)
    cube, cone = shape == CUBE, shape == CONE
    flat = torch.where(cube, zero, one)
    slope = torch.where(cone, -0.25 * one, torch.where(shape == CYLINDER, zero, one))
    q = torch.stack((flat, torch.where(cube, zero, slope), flat), -1)
    wide = torch.where(shape == CYLINDER, 0.78 * radius, torch.where(cube, 0.86 * radius, radius))
    k = torch.where(cone, zero, wide**2)
    half = torch.stack((wide, radius, wide), -1)
    return {"q": q, "k": k, "apex": torch.where(cone, radius, zero), "half": half, "quadric": 1 - cube.float()}
