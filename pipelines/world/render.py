"""Frames of scenes, and what is seen where in them.

Frames are shaded in three ways, each compiled once a size: scenes of plain objects, with a character, and on water.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from .backdrop import Values
from .lamp import lamp_values
from .paint import COLOURS
from .parts import PART_SLOT, PART_VALUES, PLAIN_PARTS, parts_of
from .physics import Motion, Poses
from .scene import CAR, WATER, Scenes
from .shade import intersect, shade
from .water import WATER_VALUES, water_values

GROUNDS = torch.tensor(
    [
        [0.30, 0.56, 0.16],
        [0.88, 0.76, 0.50],
        [0.60, 0.37, 0.19],
        [0.50, 0.50, 0.52],
        [0.93, 0.95, 0.98],
        [0.80, 0.78, 0.74],
        [0.05, 0.26, 0.36],
    ]
)
# Contrast of the ground's three textures: grain, planks, checks; and the grain's frequency along x and z.
GROUND_TEXTURE = torch.tensor(
    [
        [0.30, 0, 0, 9, 4],
        [0.10, 0, 0, 2, 5],
        [0.12, 0.34, 0, 7, 0.7],
        [0.16, 0, 0, 3, 3],
        [0.05, 0, 0, 2, 2],
        [0.02, 0, 0.72, 2, 2],
        [0, 0, 0, 2, 2],
    ]
)
SKY_TOP = torch.tensor([[0.16, 0.42, 0.90], [0.34, 0.26, 0.56], [0.02, 0.03, 0.11], [0.52, 0.56, 0.62]])
SKY_LOW = torch.tensor([[0.74, 0.88, 0.99], [1.0, 0.60, 0.30], [0.12, 0.15, 0.34], [0.78, 0.80, 0.83]])
SUN_TINT = torch.tensor([[1.0, 0.98, 0.92], [1.0, 0.93, 0.85], [0.85, 0.92, 1.0], [1.0, 1.0, 1.0]])
SUN_POWER = torch.tensor([0.78, 0.66, 0.46, 0.22])
AMBIENT = torch.tensor([[0.42, 0.45, 0.50], [0.48, 0.45, 0.46], [0.27, 0.29, 0.35], [0.78, 0.79, 0.81]])
CAMERA_HEIGHT = 1.5
CAMERA_PITCH = 0.10
FIELD = 0.5
# Pixels shaded at once, so that what is at work stays in the cache, or in an accelerator's memory.
EAGER_PIXELS, ACCELERATED_PIXELS = 1 << 16, 1 << 23
# What only scenes with a character need.
CAST_VALUES = ("banded", "mark", "mark_paint", "halo", "stretch")


def render(
    scenes: Scenes,
    motion: Motion,
    times: Tensor,
    height: int,
    width: int,
    *,
    window: tuple[float, float, float, float] | None = None,
    samples: int = 2,
    fast: bool = False,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Frames `[B, T, 3, height, width]` float32 in 0..1 at `times [T]` seconds, shaded on `device`.

    `window` is (top, left, bottom, right) as fractions of the frame; `samples` x `samples` rays a pixel; `fast`
    compiles the shader where that is the CPU (needs a C++ compiler).
    """
    device = torch.device(device)
    values = {name: value.to(device) for name, value in _frame_values(motion, times).items()}
    rays = _pixel_rays(height * samples, width * samples, scenes.aspect, window)
    x, y = (axis.to(device) for axis in rays)
    accelerated = device.type != "cpu"
    # For an accelerator the compiler was not done with one shader in five minutes (torch 2.11, one H100).
    fast = fast and not accelerated
    shader = _compiled() if fast else shade
    steps, pixels = len(times), ACCELERATED_PIXELS if accelerated else EAGER_PIXELS
    chunk = steps if fast else max(1, pixels // x.numel())
    frames = x.new_empty(len(scenes) * steps, 3, height, width)
    for cast, wet, rows in _by_kind(scenes, steps, accelerated):
        chosen = _needed(values, cast, wet)
        for part in rows.to(device).split(chunk):
            frames[part] = F.avg_pool2d(shader({k: v[part] for k, v in chosen.items()}, x, y), samples)
    return frames.unflatten(0, (len(scenes), steps))


def _by_kind(scenes: Scenes, steps: int, together: bool) -> Iterator[tuple[bool, bool, Tensor]]:
    """With a character or not, on water or not, and the frames: of a scene, or `together` of all such scenes."""
    kinds = zip((scenes.shape[:, 0] >= CAR).tolist(), (scenes.ground == WATER).tolist(), strict=True)
    frames = torch.arange(len(scenes) * steps).split(steps)
    alike: dict[tuple[bool, bool, int], list[Tensor]] = {}
    for index, (cast, wet) in enumerate(kinds):
        # On water there is one shader for both.
        alike.setdefault((cast and not wet, wet, 0 if together else index), []).append(frames[index])
    for (cast, wet, _), rows in alike.items():
        yield cast, wet, torch.cat(rows)


def object_map(scenes: Scenes, motion: Motion, times: Tensor, rows: int, columns: int) -> Tensor:
    """Which object is seen at the middle of each cell at `times [T]`: slots `[B, T, rows, columns]`, -1 for none."""
    values = _frame_values(motion, times)
    x, y = _pixel_rays(rows, columns, scenes.aspect, None)
    hits = [intersect(values, n, x, y) for n in range(len(PART_SLOT))]
    distance = torch.stack([torch.where(inside, t, torch.full((), 1e4)) for t, _, _, inside in hits])
    nearest = distance.min(0)
    seen = torch.where(nearest.values < 1e4, PART_SLOT[nearest.indices], torch.full((), -1))
    return seen.unflatten(0, (len(scenes), len(times)))


@functools.cache
def _compiled() -> Callable[[Values, Tensor, Tensor], Tensor]:
    compiled = torch.compile(shade, dynamic=False)

    def run(values: Values, x: Tensor, y: Tensor) -> Tensor:
        # Every size of picture is compiled for three kinds of scenes: more than the compiler allows by itself.
        with torch._dynamo.config.patch(recompile_limit=64):
            return compiled(values, x, y)

    return run


def _needed(values: Values, cast: bool, wet: bool) -> Values:
    """The values that the shader of a kind of scene reads; it takes its kind from their names."""
    unread = set() if cast or wet else set(CAST_VALUES)
    unread |= set() if wet else set(WATER_VALUES)
    parts = range(len(PART_SLOT)) if cast or wet else PLAIN_PARTS
    return {
        name: value[:, list(parts)] if name in PART_VALUES else value
        for name, value in values.items()
        if name not in unread
    }


def _pixel_rays(
    height: int, width: int, aspect: float, window: tuple[float, float, float, float] | None
) -> tuple[Tensor, Tensor]:
    """Image-plane coordinates `[H, W]` of the pixel centres, y up."""
    top, left, bottom, right = window or (0.0, 0.0, 1.0, 1.0)
    half_x, half_y = FIELD * math.sqrt(aspect), FIELD / math.sqrt(aspect)
    rows = top + (torch.arange(height) + 0.5) / height * (bottom - top)
    columns = left + (torch.arange(width) + 0.5) / width * (right - left)
    y, x = torch.meshgrid((1 - 2 * rows) * half_y, (2 * columns - 1) * half_x, indexing="ij")
    return x, y


def _frame_values(motion: Motion, times: Tensor) -> Values:
    """Everything that is constant over a frame, flattened to `[F, ...]` with F = B x T."""
    s, poses, steps = motion.scenes, motion.poses(times), len(times)

    def spread(value: Tensor) -> Tensor:
        return value.repeat_interleave(steps, 0)

    camera, axes = _camera(s, times)
    sun = torch.tensor([[-0.55, 0.62, -0.56], [0.75, 0.34, -0.57], [-0.4, 0.7, -0.6], [0.05, 0.95, -0.3]])
    light = F.normalize(sun[s.sky], dim=-1)
    dim = 1 - 0.22 * (s.weather == 3).float()[:, None]
    flash = poses.flash.flatten()[:, None]
    frames = replace(s, **{f.name: spread(v) for f in fields(s) if isinstance(v := getattr(s, f.name), Tensor)})
    posed = Poses(**{f.name: getattr(poses, f.name).flatten(0, 1) for f in fields(poses)})
    return {
        "camera": camera, "axes": axes, "centre": posed.centre, "radius": frames.radius,
        "present": frames.present.float(), "albedo": COLOURS[frames.colour],
        **parts_of(frames, posed, camera, axes), **lamp_values(frames, posed, camera, axes), "sun": spread(light),
        "power": spread((SUN_POWER[s.sky, None] * SUN_TINT[s.sky]) * dim) + flash * 0.5,
        "ambient": spread(AMBIENT[s.sky] * dim) + flash * 0.35,
        "sky_top": spread(SKY_TOP[s.sky] * dim**2) + flash * 0.3, "sky_low": spread(SKY_LOW[s.sky] * dim) + flash * 0.3,
        "ground": spread(GROUNDS[s.ground]), "texture": spread(GROUND_TEXTURE[s.ground]),
        "kind": spread(torch.stack((s.sky == 0, s.sky == 1, s.sky == 2, s.sky == 3), -1).float()),
        "wet": spread(((s.weather == 1) | (s.weather == 3)).float()), "snow": spread((s.weather == 2).float()),
        "seed": spread(s.light), "time": times.repeat(len(s)), **water_values(motion, times),
    }  # fmt: skip


def _camera(s: Scenes, times: Tensor) -> tuple[Tensor, Tensor]:
    """Camera places `[F, 3]` and axes `[F, 3, 3]` (columns right, up, forward)."""
    along = (times / s.seconds - 0.5).clamp(-0.5, 0.5)[None]
    yaw = 0.34 * along * ((s.camera == 2).float() - (s.camera == 1).float())[:, None]
    dolly = 1.5 * along * ((s.camera == 3).float() - (s.camera == 4).float())[:, None]
    place = torch.stack((torch.zeros_like(dolly), torch.full_like(dolly, CAMERA_HEIGHT), dolly), -1).flatten(0, 1)
    yaw = yaw.flatten()
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    cos, sin = yaw.cos(), yaw.sin()
    tilt_cos, tilt_sin = math.cos(CAMERA_PITCH), math.sin(CAMERA_PITCH)
    right = torch.stack((cos, zero, -sin), -1)
    forward = torch.stack((sin * tilt_cos, -tilt_sin * one, cos * tilt_cos), -1)
    up = torch.stack((sin * tilt_sin, tilt_cos * one, cos * tilt_sin), -1)
    return place, torch.stack((right, up, forward), -1)
