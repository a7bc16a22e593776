"""Batched analytic ray tracing in torch.

Every shape is one formula: a diagonal quadric cut by three slabs, in the object's own frame. Entry is the latest of the
entries, exit the earliest of the exits; the face of entry gives the normal. Shading happens once a pixel.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .physics import Motion, Poses
from .scene import CONE, CUBE, CYLINDER, MAX_OBJECTS, Scenes

COLOURS = torch.tensor(
    [
        [0.88, 0.06, 0.07], [1.0, 0.48, 0.02], [1.0, 0.88, 0.05], [0.08, 0.68, 0.14], [0.05, 0.82, 0.88],
        [0.08, 0.20, 0.90], [0.52, 0.12, 0.74], [1.0, 0.45, 0.68], [0.96, 0.96, 0.96], [0.06, 0.06, 0.07],
    ]
)  # fmt: skip
GROUNDS = torch.tensor(
    [
        [0.30, 0.56, 0.16],
        [0.88, 0.76, 0.50],
        [0.60, 0.37, 0.19],
        [0.50, 0.50, 0.52],
        [0.93, 0.95, 0.98],
        [0.80, 0.78, 0.74],
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
    ]
)
SKY_TOP = torch.tensor([[0.16, 0.42, 0.90], [0.34, 0.26, 0.56], [0.02, 0.03, 0.11], [0.52, 0.56, 0.62]])
SKY_LOW = torch.tensor([[0.74, 0.88, 0.99], [1.0, 0.60, 0.30], [0.12, 0.15, 0.34], [0.78, 0.80, 0.83]])
SUN_TINT = torch.tensor([[1.0, 0.98, 0.92], [1.0, 0.93, 0.85], [0.85, 0.92, 1.0], [1.0, 1.0, 1.0]])
SUN_POWER = torch.tensor([0.78, 0.66, 0.46, 0.22])
AMBIENT = torch.tensor([[0.42, 0.45, 0.50], [0.48, 0.45, 0.46], [0.27, 0.29, 0.35], [0.78, 0.79, 0.81]])
# Reflectance facing the viewer, highlight strength, highlight exponent: rubber, metal, wood, glass.
GLOSS = torch.tensor([[0.02, 0.12, 8.0], [0.30, 0.9, 60.0], [0.03, 0.10, 10.0], [0.16, 1.0, 140.0]])
CAMERA_HEIGHT = 1.5
CAMERA_PITCH = 0.10
FIELD = 0.5
# Pixels shaded at once without a compiler: the working set then stays in the cache.
EAGER_PIXELS = 1 << 16

Values = dict[str, Tensor]


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
) -> Tensor:
    """Frames `[B, T, 3, height, width]` float32 in 0..1 at `times [T]` seconds.

    `window` is (top, left, bottom, right) as fractions of the frame; `samples` x `samples` rays a pixel; `fast`
    compiles the shader (needs a C++ compiler on CPU).
    """
    poses = motion.poses(times)
    values = _frame_values(motion.scenes, poses, times)
    x, y = _pixel_rays(height * samples, width * samples, scenes.aspect, window)
    shader = _compiled() if fast else _shade
    count = len(scenes) * len(times)
    chunk = count if fast else max(1, EAGER_PIXELS // x.numel())
    frames = [
        F.avg_pool2d(shader({k: v[i : i + chunk] for k, v in values.items()}, x, y), samples)
        for i in range(0, count, chunk)
    ]
    return torch.cat(frames).unflatten(0, (len(scenes), len(times)))


def object_map(scenes: Scenes, motion: Motion, times: Tensor, rows: int, columns: int) -> Tensor:
    """Which object is seen at the middle of each cell at `times [T]`: slots `[B, T, rows, columns]`, -1 for none."""
    values = _frame_values(motion.scenes, motion.poses(times), times)
    x, y = _pixel_rays(rows, columns, scenes.aspect, None)
    hits = [_intersect(values, n, x, y) for n in range(MAX_OBJECTS)]
    distance = torch.stack([torch.where(inside, t, torch.full((), 1e4)) for t, _, _, inside in hits])
    nearest = distance.min(0)
    seen = torch.where(nearest.values < 1e4, nearest.indices, torch.full((), -1))
    return seen.unflatten(0, (len(scenes), len(times)))


@functools.cache
def _compiled() -> Callable[[Values, Tensor, Tensor], Tensor]:
    return torch.compile(_shade, dynamic=False)


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


def _frame_values(s: Scenes, poses: Poses, times: Tensor) -> Values:
    """Everything that is constant over a frame, flattened to `[F, ...]` with F = B x T."""
    steps = len(times)

    def spread(value: Tensor) -> Tensor:
        return value.repeat_interleave(steps, 0)

    camera, axes = _camera(s, times)
    turn = poses.turn.flatten(0, 1)
    object_axes = _object_axes(turn, s.shape.repeat_interleave(steps, 0), s.action.repeat_interleave(steps, 0))
    centre = poses.centre.flatten(0, 1)
    radius, shape = spread(s.radius), spread(s.shape)
    sun = torch.tensor([[-0.55, 0.62, -0.56], [0.75, 0.34, -0.57], [-0.4, 0.7, -0.6], [0.05, 0.95, -0.3]])
    light = F.normalize(sun[s.sky], dim=-1)
    dim = 1 - 0.22 * (s.weather == 3).float()[:, None]
    flash = poses.flash.flatten()[:, None]
    return {
        "camera": camera, "axes": axes, "centre": centre, "radius": radius,
        "offset": torch.einsum("fnji,fnj->fni", object_axes, camera[:, None] - centre),
        "object_axes": object_axes,
        "map": torch.einsum("fnji,fjk->fnik", object_axes, axes),
        "present": spread(s.present).float(), **_quadric(shape, radius),
        "albedo": COLOURS[spread(s.colour)], "gloss": GLOSS[spread(s.material)],
        "glow": poses.glow.flatten(0, 1), "sun": spread(light),
        "power": spread((SUN_POWER[s.sky, None] * SUN_TINT[s.sky]) * dim) + flash * 0.5,
        "ambient": spread(AMBIENT[s.sky] * dim) + flash * 0.35,
        "sky_top": spread(SKY_TOP[s.sky] * dim**2) + flash * 0.3, "sky_low": spread(SKY_LOW[s.sky] * dim) + flash * 0.3,
        "ground": spread(GROUNDS[s.ground]), "texture": spread(GROUND_TEXTURE[s.ground]),
        "kind": spread(torch.stack((s.sky == 0, s.sky == 1, s.sky == 2, s.sky == 3), -1).float()),
        "wet": spread(((s.weather == 1) | (s.weather == 3)).float()), "snow": spread((s.weather == 2).float()),
        "seed": spread(s.light), "time": times.repeat(len(s)),
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


def _shade(v: Values, x: Tensor, y: Tensor) -> Tensor:
    """Colours `[F, 3, H, W]` of the rays through `x`, `y` `[H, W]`."""
    axes = v["axes"][..., None, None]
    d = [axes[:, i, 0] * x + axes[:, i, 1] * y + axes[:, i, 2] for i in range(3)]
    hit = _nearest_object(v, x, y)
    sky = _sky(v, d)
    ground, ground_t = _ground(v, d, sky)
    on_object = (hit["t"] < ground_t).float()[:, None]
    background = torch.where((d[1] < -1e-3)[:, None], ground, sky)
    colour = background + on_object * (_object_colour(v, d, hit) - background)
    return _weather(v, colour, x, y).clamp(0, 1)


def _nearest_object(v: Values, x: Tensor, y: Tensor) -> Values:
    """Distance, world normal, own-frame point and surface values of the nearest hit of each ray."""
    best: Values = {"t": torch.full((len(v["k"]), *x.shape), 1e4)}
    for n in range(MAX_OBJECTS):
        t, normal, point, inside = _intersect(v, n, x, y)
        nearer = inside & (t < best["t"])
        surface = {
            "t": t, "nx": normal[0], "ny": normal[1], "nz": normal[2],
            "stripe": _stripe(point, v["half"][:, n]),
            **{f"a{i}": v["albedo"][:, n, i, None, None].expand_as(t) for i in range(3)},
            **{f"g{i}": v["gloss"][:, n, i, None, None].expand_as(t) for i in range(3)},
            "glow": v["glow"][:, n, None, None].expand_as(t),
        }  # fmt: skip
        best = {k: torch.where(nearer, value, best.get(k, torch.zeros(()))) for k, value in surface.items()}
    return best


def _intersect(v: Values, n: int, x: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor], Tensor]:
    o = [v["offset"][:, n, i, None, None] for i in range(3)]
    m = v["map"][:, n, :, :, None, None]
    d = [m[:, i, 0] * x + m[:, i, 1] * y + m[:, i, 2] for i in range(3)]
    q = [v["q"][:, n, i, None, None] for i in range(3)]
    apex, k = v["apex"][:, n, None, None], v["k"][:, n, None, None]
    oq = [o[0], o[1] - apex, o[2]]
    quadric = v["quadric"][:, n, None, None] > 0
    a = sum(q[i] * d[i] * d[i] for i in range(3))
    b = sum(q[i] * d[i] * oq[i] for i in range(3))
    c = sum(q[i] * oq[i] * oq[i] for i in range(3)) - k
    disc = b * b - a * c
    root = disc.clamp_min(0).sqrt()
    a = torch.where(quadric, a.clamp_min(1e-6), torch.ones(()))
    enter = torch.where(quadric, torch.where(disc > 0, (-b - root) / a, torch.full((), 1e5)), torch.full((), -1e5))
    leave = torch.where(quadric, torch.where(disc > 0, (-b + root) / a, torch.full((), -1e5)), torch.full((), 1e5))
    entries = [enter]
    for i in range(3):
        half = v["half"][:, n, i, None, None]
        inverse = 1 / torch.where(d[i].abs() < 1e-6, torch.full((), 1e-6), d[i])
        first, second = (-half - o[i]) * inverse, (half - o[i]) * inverse
        entries.append(torch.minimum(first, second))
        leave = torch.minimum(leave, torch.maximum(first, second))
    t = torch.stack(entries).amax(0)
    inside = (t < leave) & (t > 0.05) & (v["present"][:, n, None, None] > 0)
    point = [o[i] + t * d[i] for i in range(3)]
    curved = [q[i] * (point[i] - (apex if i == 1 else 0)) for i in range(3)]
    scale = torch.rsqrt(sum(c * c for c in curved) + 1e-9)
    on_quadric = enter >= t
    own = [
        torch.where(on_quadric, curved[i] * scale, torch.where(entries[i + 1] >= t, -torch.sign(d[i]), torch.zeros(())))
        for i in range(3)
    ]
    r = v["object_axes"][:, n, :, :, None, None]
    normal = [sum(r[:, i, j] * own[j] for j in range(3)) for i in range(3)]
    return t, normal, point, inside


def _stripe(point: list[Tensor], half: Tensor) -> Tensor:
    """0..1, one on the lighter band that makes turning visible."""
    return (1.2 - point[0].abs() / half[:, 0, None, None] * 4.6).clamp(0, 1)


def _object_colour(v: Values, d: list[Tensor], hit: Values) -> Tensor:
    normal = [hit["nx"], hit["ny"], hit["nz"]]
    sun = [v["sun"][:, i, None, None] for i in range(3)]
    inverse = torch.rsqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2)
    view = [component * inverse for component in d]
    facing = -sum(a * b for a, b in zip(view, normal, strict=True))
    lambert = sum(a * b for a, b in zip(normal, sun, strict=True))
    reflected = [a + 2 * facing * b for a, b in zip(view, normal, strict=True)]
    # At an edge the normals of both faces add up, and what they reflect is longer than 1.
    along = sum(a * b for a, b in zip(reflected, sun, strict=True)).clamp(0, 1)
    highlight = hit["g1"] * torch.exp(hit["g2"] * (along - 1) * 1.2)
    fresnel = hit["g0"] + (1 - hit["g0"]) * 0.35 * (1 - facing.clamp(0, 1)) ** 4
    wrap = (0.25 + 0.75 * lambert).clamp_min(0) * 0.9
    hemisphere = 0.72 + 0.28 * normal[1]
    up = (reflected[1] * 2).clamp(-1, 1)
    above = (reflected[1] * 5 + 0.5).clamp(0, 1)
    channels = []
    for i in range(3):
        base = hit[f"a{i}"]
        base = base + hit["stripe"] * (torch.where(base > 0.9, base * 0.72, 0.62 + 0.38 * base) - base) * 0.8
        lit = base * (v["ambient"][:, i, None, None] * hemisphere + v["power"][:, i, None, None] * wrap)
        low, top = v["sky_low"][:, i, None, None], v["sky_top"][:, i, None, None]
        below = v["ground"][:, i, None, None] * 0.7 * low
        around = below + above * (low + (top - low) * up.clamp_min(0) - below)
        # Reflections are mixed in at low strength, so that a colour stays what its name says.
        shade = lit + fresnel * 0.55 * (around - lit) + highlight * v["power"][:, i, None, None] * 0.8
        channels.append(shade + hit["glow"] * (0.35 + 0.9 * base))
    return torch.stack(channels, 1)


def _sky(v: Values, d: list[Tensor]) -> Tensor:
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
    cover = (v["kind"] * torch.tensor([0.75, 0.5, 0.15, 0.3])).sum(-1)[:, None, None]
    amount = ((cloud - 0.3) * 0.7).clamp(0, 1)[:, None] * cover[:, None] * (up * 6).clamp(0, 1)[:, None]
    bright = torch.stack([0.55 * v["sky_low"][:, i] + 0.45 * v["kind"][:, :2].sum(-1) for i in range(3)], 1)
    colour = colour + amount * (bright[..., None, None] - colour)
    return colour + _sun_and_stars(v, d, inverse, up)


def _sun_and_stars(v: Values, d: list[Tensor], inverse: Tensor, up: Tensor) -> Tensor:
    # The disc is drawn in front, higher or lower by the time of day, not where the key light comes from.
    place = torch.tensor([[-0.22, 0.235, 1.0], [0.24, 0.075, 1.0], [0.2, 0.235, 1.0], [0, 3.0, 1.0]])
    target = F.normalize((v["kind"][:, :, None] * place).sum(1), dim=-1)
    cos = sum(target[:, i, None, None] * d[i] * inverse for i in range(3))
    size = (v["kind"] * torch.tensor([6e-4, 1.3e-3, 5e-4, 0.0])).sum(-1)[:, None, None]
    disc = ((cos - 1 + size) / 2e-4).clamp(0, 1) * (size > 0)
    halo = torch.exp((cos - 1) * 60) * (v["kind"] * torch.tensor([0.25, 0.35, 0.12, 0.0])).sum(-1)[:, None, None]
    tint = v["power"] / v["power"].amax(-1, keepdim=True)
    light = (disc * 0.9 + halo)[:, None] * tint[..., None, None]
    u, w = (d[0] / d[2] * 34).floor(), (d[1] / d[2] * 34).floor()
    chance = torch.sin(u * 127.1 + w * 311.7 + v["seed"][:, None, None] * 9).mul(43758.5)
    chance = chance - chance.floor()
    fx, fy = d[0] / d[2] * 34 - u - 0.5, d[1] / d[2] * 34 - w - 0.5
    star = (chance > 0.93) * torch.exp(-(fx**2 + fy**2) * 30) * v["kind"][:, 2, None, None] * (up * 8).clamp(0, 1)
    return light + star[:, None] * 0.9


def _ground(v: Values, d: list[Tensor], sky: Tensor) -> tuple[Tensor, Tensor]:
    """Colour `[F, 3, H, W]` and distance `[F, H, W]` of the ground plane."""
    t = torch.where(d[1] < -1e-3, v["camera"][:, 1, None, None] / (-d[1]).clamp_min(1e-3), torch.full((), 1e4))
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
    shadow = _shadow(v, gx, gz)
    reflect = 0.16 * v["wet"][:, None, None] * (1 - clear)
    haze = (1 - torch.exp(-(t - 5).clamp_min(0) * 0.035))[:, None]
    light = (
        v["ambient"][..., None, None]
        + v["power"][..., None, None] * (0.55 + 0.45 * v["sun"][:, 1, None, None, None]) * (shadow[:, None])
    )
    colour = v["ground"][..., None, None] * shade[:, None] * light * (0.78 + 0.22 * shadow[:, None])
    colour = colour + (reflect[:, None] + haze * 0.85) * (v["sky_low"][..., None, None] - colour)
    glow = torch.zeros_like(colour)
    for n in range(MAX_OBJECTS):
        east, north = (v["centre"][:, n, axis, None, None] for axis in (0, 2))
        falloff = 1 / (1 + 1.5 * ((gx - east) ** 2 + (gz - north) ** 2))
        strength = (v["glow"][:, n] * v["present"][:, n])[:, None, None, None]
        glow = glow + strength * v["albedo"][:, n, :, None, None] * falloff[:, None]
    return colour + 0.5 * glow * v["ground"][..., None, None], t


def _shadow(v: Values, gx: Tensor, gz: Tensor) -> Tensor:
    """1 in the light; soft shadows along the sun, and contact shade under each object."""
    light = torch.ones_like(gx)
    for n in range(MAX_OBJECTS):
        centre, radius = v["centre"][:, n], v["radius"][:, n, None, None]
        to = [centre[:, 0, None, None] - gx, centre[:, 1, None, None].expand_as(gx), centre[:, 2, None, None] - gz]
        along = sum(to[i] * v["sun"][:, i, None, None] for i in range(3))
        miss = (sum(c * c for c in to) - along**2).clamp_min(0).sqrt() / radius
        soft = 0.12 + 0.10 * (centre[:, 1, None, None] / radius - 1)
        cast = ((miss - 0.92) / soft * 0.5 + 0.5).clamp(0, 1)
        lift = (centre[:, 1, None, None] - radius).clamp_min(0)
        contact = 0.55 * torch.exp(-((to[0] ** 2 + to[2] ** 2) / radius**2) * 1.2 - lift * 2.2)
        shade = (1 - 0.72 * (1 - cast)) * (1 - contact)
        light = light * (1 + v["present"][:, n, None, None] * (shade - 1))
    return light


def _weather(v: Values, colour: Tensor, x: Tensor, y: Tensor) -> Tensor:
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
