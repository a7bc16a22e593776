"""What can be in the world: its classes, and a batch of scenes.

A `Scenes` value is a batch of scenes as tensors, objects along a dimension of fixed length with a `present` mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

MAX_OBJECTS = 3

LABEL_NAMES: dict[str, tuple[str, ...]] = {
    "sky": ("clear", "sunset", "night", "overcast"),
    "ground": ("grass", "sand", "wood", "stone", "snow", "checker", "water"),
    "weather": ("dry", "rain", "snowfall", "storm"),
    "camera": ("still", "pan left", "pan right", "zoom in", "zoom out"),
    "count": ("none", "one", "two", "three"),
    "shape": ("ball", "cube", "cylinder", "cone", "car", "bird", "robot"),
    "colour": ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "white", "black"),
    "material": ("rubber", "metal", "wood", "glass"),
    "size": ("small", "large"),
    "action": (
        "still", "bounce", "roll", "hop", "spin", "hover", "beacon", "collide", "drive", "fly", "talk",
    ),
    "direction": ("none", "left", "right"),
    "sound": (
        "impact", "roll", "whirr", "hum", "beep", "rain", "wind", "thunder", "crickets", "birds",
        "engine", "honk", "chirp", "voice", "splash",
    ),
}  # fmt: skip
STILL, BOUNCE, ROLL, HOP, SPIN, HOVER, BEACON, COLLIDE, DRIVE, FLY, TALK = range(11)
BALL, CUBE, CYLINDER, CONE, CAR, BIRD, ROBOT = range(7)
CLEAR, SUNSET, NIGHT, OVERCAST = range(4)
WATER = LABEL_NAMES["ground"].index("water")
DRY, RAIN, SNOWFALL, STORM = range(4)

# Restitution by material: rubber, metal, wood, glass.
RESTITUTION = (0.85, 0.72, 0.6, 0.66)
# Half the length of a car, bird and robot in radii (half their heights).
HALF_LENGTH = (1.6, 1.64, 0.8)


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

    @classmethod
    def joined(cls, batches: Sequence[Scenes]) -> Scenes:
        """Batches of one length and aspect as one. It has the noise of the first: for pictures, not for sound."""
        values = {f.name: [getattr(batch, f.name) for batch in batches] for f in fields(cls)}
        return cls(**{k: torch.cat(v) if isinstance(v[0], Tensor) else v[0] for k, v in values.items()})


def reach(shape: Tensor, radius: Tensor, camera: Tensor, aspect: float) -> Tensor:
    """Metres to the left and right of the middle `[B]` in which a character `shape [B]` is seen whole all the time."""
    zooms, pans = (camera >= 3).float(), ((camera == 1) | (camera == 2)).float()
    # Its near side is 0.6 m nearer than its middle; a zoom brings the camera 0.75 m nearer, a pan turns it by 0.17 rad.
    seen = 0.5 * aspect**0.5 * (4.0 - 0.75 * zooms) - 0.88 * pans
    return seen - torch.tensor(HALF_LENGTH)[(shape - CAR).clamp_min(0)] * radius - 0.04
