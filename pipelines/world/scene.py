"""What can be in the world, and how scenes are drawn at random.

A `Scenes` value is a batch of scenes as tensors, objects along a dimension of fixed length with a `present` mask.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

MAX_OBJECTS = 3

LABEL_NAMES: dict[str, tuple[str, ...]] = {
    "sky": ("clear", "sunset", "night", "overcast"),
    "ground": ("grass", "sand", "wood", "stone", "snow", "checker"),
    "weather": ("dry", "rain", "snowfall", "storm"),
    "camera": ("still", "pan left", "pan right", "zoom in", "zoom out"),
    "count": ("none", "one", "two", "three"),
    "shape": ("ball", "cube", "cylinder", "cone"),
    "colour": ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "white", "black"),
    "material": ("rubber", "metal", "wood", "glass"),
    "size": ("small", "large"),
    "action": ("still", "bounce", "roll", "hop", "spin", "hover", "beacon", "collide"),
    "direction": ("none", "left", "right"),
    "sound": ("impact", "roll", "whirr", "hum", "beep", "rain", "wind", "thunder", "crickets", "birds"),
}
STILL, BOUNCE, ROLL, HOP, SPIN, HOVER, BEACON, COLLIDE = range(8)
BALL, CUBE, CYLINDER, CONE = range(4)
CLEAR, SUNSET, NIGHT, OVERCAST = range(4)
DRY, RAIN, SNOWFALL, STORM = range(4)

# Restitution by material: rubber, metal, wood, glass.
RESTITUTION = (0.85, 0.72, 0.6, 0.66)
RADII = (0.5, 0.8)


@dataclass(frozen=True)
class Scenes:
    """A batch of scenes: class indices `[B]` and `[B, N]`, continuous values, and one noise seed for the batch.

    `x`, `z` are the resting places in metres (camera at the origin, z forward), `radius` half the object's height,
    `pace` and `phase` in 0..1 vary how an action is carried out, `seconds` the length of the clips.
    """

    sky: Tensor
    ground: Tensor
    weather: Tensor
    camera: Tensor
    present: Tensor
    shape: Tensor
    colour: Tensor
    material: Tensor
    size: Tensor
    action: Tensor
    direction: Tensor
    x: Tensor
    z: Tensor
    radius: Tensor
    yaw: Tensor
    pace: Tensor
    phase: Tensor
    light: Tensor
    seconds: float
    aspect: float
    seed: int

    def __len__(self) -> int:
        return len(self.sky)

    def to(self, device: torch.device | str) -> Scenes:
        """All tensors on `device`."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Scenes(**{k: v.to(device) if isinstance(v, Tensor) else v for k, v in values.items()})


def sample_scenes(n: int, *, seed: int, seconds: float = 2.0, aspect: float = 1.75) -> Scenes:
    """Draw `n` scenes; `aspect` is width / height and decides how far apart things may stand."""
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
