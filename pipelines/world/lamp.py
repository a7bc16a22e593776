"""Light that objects give: a beacon on the ground around it, a car's headlights at a honk."""

from __future__ import annotations

import torch
from torch import Tensor

from .paint import COLOURS
from .physics import Poses
from .scene import CAR, Scenes

Values = dict[str, Tensor]

# Where a car's headlights are, in its own frame and radii; and how wide their halo is, in metres.
HEADLIGHT = (1.5, -0.12, 0.0)
HALO_METRES = 0.34
WHITE = (1.0, 0.95, 0.8)
# How much longer than wide the shadow of a car, bird and robot is.
STRETCH = (1.4, 1.3, 0.8)


def lamp_values(s: Scenes, poses: Poses, camera: Tensor, axes: Tensor) -> Values:
    """`glow [F, N]` of objects and its `tint [F, N, 3]`, of scenes and poses a frame.

    `halo [F, 4]` is of the headlights: image-plane coordinates, inverse square of the width, strength.
    """
    drives = (s.shape[:, 0] == CAR).float()
    shines = drives * poses.signal * s.present[:, 0]
    glow = torch.cat((torch.maximum(poses.glow[:, :1], 0.8 * shines[:, None]), poses.glow[:, 1:]), 1)
    white = torch.tensor(WHITE).expand(len(drives), 1, 3)
    own = COLOURS[s.colour]
    tint = torch.cat((torch.where(drives[:, None, None] > 0, white, own[:, :1]), own[:, 1:]), 1)
    yaw = poses.turn[:, 0, 0]
    ahead = torch.stack((yaw.cos(), torch.zeros_like(yaw), -yaw.sin()), -1) * HEADLIGHT[0]
    ahead = ahead + torch.tensor([0.0, HEADLIGHT[1], 0.0])
    place = poses.centre[:, 0] + s.radius[:, :1] * ahead
    seen = torch.einsum("fij,fi->fj", axes, place - camera)
    depth = seen[:, 2].clamp_min(0.1)
    halo = torch.stack((seen[:, 0] / depth, seen[:, 1] / depth, (depth / HALO_METRES) ** 2, shines), -1)
    kind = (s.shape - CAR).clamp_min(0)
    stretch = torch.where(s.shape >= CAR, torch.tensor(STRETCH)[kind], torch.ones(()))
    return {"glow": glow, "tint": tint, "halo": halo, "stretch": stretch}
