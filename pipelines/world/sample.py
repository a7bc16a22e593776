"""How scenes are drawn at random.

Characters and water come from a generator of their own and override what was drawn before, so that the scenes that get
neither stay what they are whatever the shares.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .scene import (
    BEACON,
    BIRD,
    BOUNCE,
    CAR,
    CLEAR,
    COLLIDE,
    DRIVE,
    DRY,
    HOP,
    HOVER,
    LABEL_NAMES,
    MAX_OBJECTS,
    OVERCAST,
    ROBOT,
    ROLL,
    STILL,
    STORM,
    WATER,
    Scenes,
    reach,
)

RADII = (0.5, 0.8)
# Shares of all scenes: car, bird, robot; and water.
CHARACTER_SHARES = (0.09, 0.07, 0.08)
WATER_SHARE = 0.08
# How many of the cars drive, birds fly and robots talk; the others stand.
ACTING = 0.76
# Half the height of a small and of a large car, bird and robot: about 20 pixels of 64 at least (a bird 16).
CHARACTER_RADII = ((0.71, 0.86), (0.58, 0.74), (0.74, 0.90))
# What a car, a bird and a robot is made of, as it reflects light: metal, rubber, metal.
CHARACTER_MATERIALS = (1, 0, 1)
CHARACTER_Z = 4.7
# Others stand behind a character, which needs the way to itself.
BEHIND = 1.6
# A frame narrower than this leaves a character no room for a pan, and a car or bird none for a zoom.
NARROW = 1.2
LEAST_REACH = 0.3
ON_WATER = ((STILL, 0.26), (BOUNCE, 0.3), (HOP, 0.2), (HOVER, 0.12), (BEACON, 0.12))
SALT = 0xCA57


def sample_scenes(n: int, *, seed: int, seconds: float = 2.0, aspect: float = 1.75) -> Scenes:
    """Draw `n` scenes; `aspect` is width / height and decides how far apart things may stand."""
    g = torch.Generator().manual_seed(seed ^ SALT)
    return _on_water(_with_characters(_objects(n, seed, seconds, aspect), g), g)


def _objects(n: int, seed: int, seconds: float, aspect: float) -> Scenes:
    """Scenes of balls, cubes, cylinders and cones on dry ground."""
    g = torch.Generator().manual_seed(seed)
    sky = _choose(g, (n,), (0.35, 0.25, 0.2, 0.2))
    weather = _choose(g, (n,), (0.62, 0.16, 0.12, 0.1))
    # Rain and snow fall from clouds or at night; a storm is always overcast.
    sky = torch.where((weather == STORM) | ((weather != DRY) & (sky == CLEAR)), torch.full_like(sky, OVERCAST), sky)
    count = 1 + _choose(g, (n,), (0.62, 0.33, 0.05))
    present = torch.arange(MAX_OBJECTS) < count[:, None]
    slots = (n, MAX_OBJECTS)
    size = _choose(g, slots, (0.4, 0.6))
    action = _choose(g, slots, (0.1, 0.22, 0.2, 0.14, 0.12, 0.11, 0.11, 0.0))
    # Only the first object is sure to act; the others mostly watch.
    watching = torch.rand(slots, generator=g) < torch.tensor([0.0, 0.85, 1.0])
    action = torch.where(watching, torch.full_like(action, STILL), action)
    collide = (count >= 2) & (torch.rand(n, generator=g) < 0.2)
    action[:, 0] = torch.where(collide, torch.full((n,), COLLIDE), action[:, 0])
    action[:, 1] = torch.where(collide, torch.full((n,), STILL), action[:, 1])
    direction = 1 + torch.randint(0, 2, slots, generator=g)
    moves = (action == ROLL) | (action == COLLIDE)
    direction = torch.where(moves, direction, torch.zeros_like(direction))
    radius = torch.tensor(RADII)[size] * (0.94 + 0.12 * torch.rand(slots, generator=g))
    x, z = _places(g, count, radius, aspect)
    return Scenes(
        sky=sky, ground=_choose(g, (n,), (1.0,) * 6), weather=weather,
        camera=_choose(g, (n,), (0.56, 0.11, 0.11, 0.11, 0.11)), present=present,
        shape=_choose(g, slots, (0.34, 0.26, 0.2, 0.2)), colour=_distinct_colours(g, slots),
        material=_choose(g, slots, (0.3, 0.3, 0.22, 0.18)), size=size, action=action, direction=direction, x=x, z=z,
        radius=radius, yaw=torch.rand(slots, generator=g) * 6.28, pace=torch.rand(slots, generator=g),
        phase=torch.rand(slots, generator=g), light=torch.rand(n, generator=g), seconds=seconds, aspect=aspect,
        seed=seed,
    )  # fmt: skip


def _with_characters(s: Scenes, g: torch.Generator) -> Scenes:
    """Some first objects become a car, a bird or a robot, with what it does, where it stands and how it is seen."""
    n = len(s)
    kind = _choose(g, (n,), (*CHARACTER_SHARES, 1 - sum(CHARACTER_SHARES)))
    cast = kind < len(CHARACTER_SHARES)
    kind = kind.clamp_max(len(CHARACTER_SHARES) - 1)
    acts, turn, vary = (torch.rand(n, generator=g) for _ in range(3))
    acts, right = acts < ACTING, torch.randint(0, 2, (n,), generator=g) > 0
    shape = CAR + kind
    moves = cast & acts & (shape != ROBOT)
    # A car and a bird point where they go, turned a little towards the viewer; a robot faces the viewer.
    side = torch.where(moves, 0.24, 0.15 + 0.55 * turn)
    yaw = torch.where(shape == ROBOT, 0.9 * (turn - 0.5), torch.where(right, side, torch.pi - side))
    camera = s.camera
    if s.aspect < NARROW:
        kept = (camera == 0) | ((shape == ROBOT) & (camera >= 3))
        camera = torch.where(cast & ~kept, torch.zeros_like(camera), camera)
    radius = torch.tensor(CHARACTER_RADII)[kind, s.size[:, 0]] * (0.97 + 0.06 * vary)
    room = reach(shape, torch.zeros(()), camera, s.aspect)
    per_radius = -reach(shape, torch.ones(()), camera, s.aspect) + room
    radius = torch.minimum(radius, (room - LEAST_REACH) / per_radius)
    limit = reach(shape, radius, camera, s.aspect)
    x = torch.where(moves, torch.zeros(()), s.x[:, 0].clamp(-limit, limit))
    first = {
        "shape": shape, "material": torch.tensor(CHARACTER_MATERIALS)[kind], "yaw": yaw, "radius": radius, "x": x,
        "action": torch.where(acts, DRIVE + kind, torch.full_like(kind, STILL)),
        "direction": torch.where(moves, 1 + right.long(), torch.zeros_like(kind)),
        "z": CHARACTER_Z + 0.2 * vary,
    }  # fmt: skip
    z = torch.cat((s.z[:, :1], s.z[:, 1:] + BEHIND * cast[:, None]), 1)
    changed = {name: _first(cast, value, z if name == "z" else getattr(s, name)) for name, value in first.items()}
    return replace(s, **changed, camera=torch.where(cast, camera, s.camera))


def _on_water(s: Scenes, g: torch.Generator) -> Scenes:
    """Some scenes without a car or robot are on water, where nothing rolls, spins or collides."""
    first = s.shape[:, 0]
    able = (first != CAR) & (first != ROBOT)
    share = WATER_SHARE / (1 - CHARACTER_SHARES[0] - CHARACTER_SHARES[2])
    wet = able & (torch.rand(len(s), generator=g) < share)
    actions, weights = zip(*ON_WATER, strict=True)
    drawn = torch.tensor(actions)[_choose(g, (len(s),), weights)]
    swims = wet & (first != BIRD)
    action = _first(swims, drawn, s.action)
    action[:, 1:] = torch.where(wet[:, None], torch.full_like(action[:, 1:], STILL), action[:, 1:])
    direction = torch.where((wet & (first != BIRD))[:, None], torch.zeros_like(s.direction), s.direction)
    direction[:, 1:] = torch.where(wet[:, None], torch.zeros_like(direction[:, 1:]), direction[:, 1:])
    return replace(
        s, action=action, direction=direction, ground=torch.where(wet, torch.full_like(s.ground, WATER), s.ground)
    )


def _first(chosen: Tensor, value: Tensor, old: Tensor) -> Tensor:
    """`old [B, N]` with `value [B]` in the first slot of the chosen scenes."""
    return torch.cat((torch.where(chosen, value.to(old.dtype), old[:, 0])[:, None], old[:, 1:]), 1)


def _choose(g: torch.Generator, shape: tuple[int, ...], weights: tuple[float, ...]) -> Tensor:
    total = torch.Size(shape).numel()
    return torch.multinomial(torch.tensor(weights), total, replacement=True, generator=g).reshape(shape)


def _distinct_colours(g: torch.Generator, slots: tuple[int, int]) -> Tensor:
    """Colours that differ within a scene, so that a prompt can tell the objects apart."""
    count = len(LABEL_NAMES["colour"])
    return torch.rand(slots[0], count, generator=g).argsort(-1)[:, : slots[1]]


def _places(g: torch.Generator, count: Tensor, radius: Tensor, aspect: float) -> tuple[Tensor, Tensor]:
    """Resting places: alone near the middle, otherwise side by side in random order, within the frame."""
    n, slots = radius.shape
    z = 4.6 + 0.5 * torch.rand(n, slots, generator=g)
    half = 0.5 * aspect**0.5 * 4.6
    order = (
        torch.rand(n, slots, generator=g).masked_fill(torch.arange(slots) >= count[:, None], 9).argsort(-1).argsort(-1)
    )
    step = (2 * half * 0.84 / count[:, None]).clamp_max(2.3)
    x = (order - (count[:, None] - 1) / 2) * step
    x = x + (torch.rand(n, slots, generator=g) - 0.5) * torch.where(count[:, None] == 1, 0.5 * half, 0.1)
    return x.clamp(-half * 0.75, half * 0.75), z
