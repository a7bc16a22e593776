"""The shader: what each ray of a batch of frames meets first, and its colour.

Every part of an object is one formula: a diagonal quadric cut by three slabs, in the part's own frame. Entry is the
latest of the entries, exit the earliest of the exits; the face of entry gives the normal. Shading happens once a pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .backdrop import Values, ground, sky, weather
from .lamp import WHITE
from .water import pond, spray


def shade(v: Values, x: Tensor, y: Tensor) -> Tensor:
    """Colours `[F, 3, H, W]` of the rays through `x`, `y` `[H, W]`."""
    axes = v["axes"][..., None, None]
    d = [axes[:, i, 0] * x + axes[:, i, 1] * y + axes[:, i, 2] for i in range(3)]
    hit = _nearest(v, x, y)
    above = sky(v, d)
    below, below_t = pond(v, d) if "rings" in v else ground(v, d)
    on_object = (hit["t"] < below_t).float()[:, None]
    background = torch.where((d[1] < -1e-3)[:, None], below, above)
    colour = background + on_object * (_object_colour(v, d, hit) - background)
    if "halo" in v:
        colour = colour + _halo(v, x, y)
    if "rings" in v:
        colour = spray(v, colour, d)
    return weather(v, colour, x, y).clamp(0, 1)


def _halo(v: Values, x: Tensor, y: Tensor) -> Tensor:
    """The glare of headlights."""
    u, w, narrow, strength = v["halo"][..., None, None].unbind(1)
    glare = strength * torch.exp(-((x - u) ** 2 + (y - w) ** 2) * narrow)
    return glare[:, None] * glare.new_tensor(WHITE)[:, None, None] * 0.85


def _nearest(v: Values, x: Tensor, y: Tensor) -> Values:
    """Distance, world normal, own-frame point and surface values of the nearest hit of each ray."""
    best: Values = {"t": x.new_full((len(v["k"]), *x.shape), 1e4)}
    for n in range(v["k"].shape[1]):
        t, normal, point, inside = intersect(v, n, x, y)
        nearer = inside & (t < best["t"])
        surface = {"t": t, "nx": normal[0], "ny": normal[1], "nz": normal[2], **_surface(v, n, point)}
        best = {k: torch.where(nearer, value, best.get(k, 0.0)) for k, value in surface.items()}
    return best


def intersect(v: Values, n: int, x: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor], Tensor]:
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
    a = torch.where(quadric, a.clamp_min(1e-6), 1.0)
    enter = torch.where(quadric, torch.where(disc > 0, (-b - root) / a, 1e5), -1e5)
    leave = torch.where(quadric, torch.where(disc > 0, (-b + root) / a, -1e5), 1e5)
    entries = [enter]
    for i in range(3):
        half = v["half"][:, n, i, None, None]
        inverse = 1 / torch.where(d[i].abs() < 1e-6, 1e-6, d[i])
        first, second = (-half - o[i]) * inverse, (half - o[i]) * inverse
        entries.append(torch.minimum(first, second))
        leave = torch.minimum(leave, torch.maximum(first, second))
    t = torch.stack(entries).amax(0)
    inside = (t < leave) & (t > 0.05) & (v["there"][:, n, None, None] > 0)
    point = [o[i] + t * d[i] for i in range(3)]
    curved = [q[i] * (point[i] - (apex if i == 1 else 0)) for i in range(3)]
    scale = torch.rsqrt(sum(c * c for c in curved) + 1e-9)
    on_quadric = enter >= t
    own = [
        torch.where(on_quadric, curved[i] * scale, torch.where(entries[i + 1] >= t, -torch.sign(d[i]), 0.0))
        for i in range(3)
    ]
    r = v["part_axes"][:, n, :, :, None, None]
    normal = [sum(r[:, i, j] * own[j] for j in range(3)) for i in range(3)]
    return t, normal, point, inside


def _surface(v: Values, n: int, point: list[Tensor]) -> Values:
    """Colour, gloss, stripe and shine of a part at `point` of its own frame."""
    stripe = _stripe(point, v["half"][:, n])
    paint = [v["paint"][:, n, i, None, None].expand_as(stripe) for i in range(3)]
    shine = v["shine"][:, n, None, None].expand_as(stripe)
    if "mark" in v:
        mirrored, east, wide, up, tall, shining = v["mark"][:, n, :, None, None].unbind(1)
        along = point[0] / v["half"][:, n, 0, None, None]
        u = (torch.where(mirrored > 0, along.abs(), along) - east) * wide
        w = (point[1] / v["half"][:, n, 1, None, None] - up) * tall
        marked = u**4 + w**4 < 1
        paint = [torch.where(marked, v["mark_paint"][:, n, i, None, None], paint[i]) for i in range(3)]
        shine = torch.where(marked, shining + shine, shine)
        stripe = stripe * v["banded"][:, n, None, None]
    gloss = [v["gloss"][:, n, i, None, None].expand_as(stripe) for i in range(3)]
    values = {f"a{i}": paint[i] for i in range(3)} | {f"g{i}": gloss[i] for i in range(3)}
    return {"stripe": stripe, "glow": shine, **values}


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
