"""The invisible mark in the picture: a keyed pattern of light and dark, added to every frame, found again blindly.

Spread spectrum after Cox et al. (IEEE Trans. Image Processing 6(12), 1997), in one tile that repeats over the picture
and does not move: any part of any frame holds all of it, so cutting, cropping and dropping frames take away strength,
not content. A share of the tile's chips are pilots, by which the detector finds its size and place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..clip.clip import Clip
from .payload import CODED_BITS, decode, encode, seed_of

# Chips along a side of the tile, and the share of them that are pilots.
CHIPS = 32
PILOTS = 0.14
# A tile's side in pixels is this, and a share of the picture's shorter side: chips of a few pixels survive a codec, and
# larger ones would be seen.
TILE, TILE_SHARE = 160, 0.15
# Grey levels of 255 that are added where the picture is calm, and at most where it is busy; edges of LEVELS raise it by
# one. Over a whole frame the mean square stays below that of MOST (42.5 dB).
CALM, BUSY, LEVELS = 0.9, 2.5, 7.0
MOST = 1.9
# Frames are looked at no larger than this; a chip is this many samples wide when the tile is folded.
SEEN = 540
FINE = 3
# The tile is looked for between these sizes in pixels, in steps that leave less than a third of a chip at the edges.
SMALLEST, LARGEST, STEP = 68.0, 560.0, 0.005
# So many of the likeliest sizes are read, at up to eleven places around each: a place passes its check by chance once
# in 2^32.
TRIES = 6
# What stands out from its surroundings by more than this many spreads says no more.
CLIP = 1.5
# Waves of the picture are levelled to those within so many steps of frequency around them: chips are equally strong in
# all, and a picture is not.
LEVELLED = 4


@dataclass(frozen=True)
class Place:
    """Where a tile was found: its side in pixels of the frames seen, its corner, and how clearly (in spreads)."""

    side: float
    down: int
    right: int
    clarity: float


def marked_picture(clip: Clip, payload: int, key: str) -> Clip:
    """The clip with the mark on every frame; lazy, as every stage.

    Raises ValueError for a picture smaller than half a tile.
    """
    height, width = clip.shape.height, clip.shape.width
    if min(height, width) < TILE // 2:
        raise ValueError(
            f"A picture of {width} x {height} pixels is too small for an invisible mark: its shorter side must have "
            f"{TILE // 2} pixels. Upscale it first."
        )

    def frames(start: int, stop: int) -> Iterator[Tensor]:
        pattern = full_pattern(tile_of(payload, key), height, width)
        for chunk in clip.frames(start, stop):
            yield add(chunk, pattern)

    return replace(clip, source=frames)


def tile_of(payload: int, key: str) -> Tensor:
    """The tile `[CHIPS, CHIPS]` of -1 and 1 that says a payload."""
    assigned, noise = _layout(key)
    # Pilots are assigned to one more bit, which is always sent.
    return noise * torch.cat((encode(payload, key), torch.ones(1)))[assigned]


def full_pattern(tile: Tensor, height: int, width: int) -> Tensor:
    """The tile, repeated and smoothed, over a picture `[height, width]`; mean square 1."""
    side = tile_side(height, width)
    rows, columns = (math.ceil(size / side) + 1 for size in (height, width))
    scaled = _resized(tile.repeat(rows, columns), side / CHIPS)[:height, :width]
    return (scaled / scaled.square().mean().sqrt()).contiguous()


def tile_side(height: int, width: int) -> float:
    """The side of the tile in pixels."""
    return TILE + TILE_SHARE * min(height, width)


def add(frames: Tensor, pattern: Tensor) -> Tensor:
    """uint8 frames `[n, H, W, 3]` with the pattern, stronger where a picture hides it."""
    pattern, marked = pattern.to(frames.device), torch.empty_like(frames)
    # Fresh memory costs more than the sums: all frames share it.
    wide = torch.empty(frames.shape[1:], dtype=torch.int16, device=frames.device)
    for frame, out in zip(frames, marked, strict=True):
        gain = _gain(frame)
        gain = gain * (MOST / gain.square().mean().sqrt()).clamp(max=1.0)
        full = F.interpolate(gain[None, None], pattern.shape, mode="bilinear")[0, 0]
        added = full.mul_(pattern).round_().to(torch.int16)
        out.copy_(torch.add(frame, added[..., None], out=wide).clamp_(0, 255))
    return marked


def _gain(frame: Tensor) -> Tensor:
    """How much the picture hides around each place, `[h, w]`, coarse."""
    seen = frame[::2, ::2, 1].float()
    edges = torch.zeros_like(seen)
    edges[1:] = (seen[1:] - seen[:-1]).abs_()
    edges[:, 1:] += (seen[:, 1:] - seen[:, :-1]).abs_()
    busy = F.avg_pool2d(edges[None], 8, ceil_mode=True)
    # What is busy only at an edge hides nothing beside it.
    return (CALM + F.avg_pool2d(busy, 3, 1, 1)[0] / LEVELS).clamp(max=BUSY)


def read_picture(flat: Tensor, own_side: float, key: str) -> tuple[int | None, Place]:
    """The payload in the sum of flattened frames `[h, w]`, or None, and where the tile is, or would be.

    `own_side` is the side of the tile if nothing was cropped or scaled; other sizes are tried after it, from likely to
    less so.
    """
    finder = Finder(flat, key)
    own = finder.look(own_side)
    if (payload := finder.decode(own)) is not None:
        return payload, own
    steps = math.ceil(math.log(LARGEST / SMALLEST) / STEP)
    places = [finder.look(SMALLEST * math.exp(STEP * step)) for step in range(steps)]
    for place in sorted(places, key=lambda place: -place.clarity)[:TRIES]:
        near = [finder.look(place.side * (1 + STEP * part / 8)) for part in range(-5, 6)]
        # Where the pilots are faint, the clearest is sometimes beside the one that can be read.
        for finer in {(found.clarity, found.down, found.right): found for found in near}.values():
            if (payload := finder.decode(finer)) is not None:
                return payload, finer
    return None, own


def flattened(frame: Tensor) -> Tensor:
    """A uint8 frame as light that stands out from its surroundings `[h, w]`, in spreads, at most CLIP."""
    light = frame.float().mean(-1)[None, None]
    shorter = min(light.shape[2:])
    if shorter > SEEN:
        size = [round(side * SEEN / shorter) for side in light.shape[2:]]
        light = F.interpolate(light, size, mode="area")
        shorter = SEEN
    around = max(2, round(shorter / 90))
    detail = light - _around(light, around)
    spread = _around(detail.square(), 2 * around).sqrt()
    return (detail / (spread + 0.5)).clamp_(-CLIP, CLIP)[0, 0]


class Finder:
    """Looks for a key's tile in flattened light `[h, w]`: by its pilots, or by all of it where the payload is known."""

    def __init__(self, flat: Tensor, key: str, payload: int | None = None) -> None:
        self.flat, self.key = _whitened(flat), key
        self.assigned, self.noise = _layout(key)
        pilots = torch.where(self.assigned == CODED_BITS, self.noise, 0.0)
        self._known = pilots if payload is None else tile_of(payload, key)
        self._spectrum = torch.fft.rfft2(_resized(self._known, FINE)).conj()

    def look(self, side: float) -> Place:
        """The likeliest corner of a tile of that side."""
        match = torch.fft.irfft2(torch.fft.rfft2(self._folded(side)) * self._spectrum)
        index = int(match.argmax())
        clarity = (match.flatten()[index] - match.mean()) / match.std().clamp(min=1e-9)
        return Place(side, index // match.shape[1], index % match.shape[1], clarity.item())

    def parts(self, place: Place, rows: int, columns: int) -> Tensor:
        """How clearly each part of the picture shows the tile `[rows, columns]`, in spreads."""
        factor = CHIPS * FINE / place.side
        scaled = _resized(self.flat, factor)
        shown = _resized(self._known, FINE).roll((place.down, place.right), (0, 1))
        repeats = [math.ceil(size / len(shown)) for size in scaled.shape]
        product = scaled * shown.repeat(*repeats)[: scaled.shape[0], : scaled.shape[1]]
        means = F.adaptive_avg_pool2d(product[None], (rows, columns))[0]
        # Samples of one chip are one observation.
        observed = product.numel() / (rows * columns) / FINE**2
        return means / product.std().clamp(min=1e-9) * observed**0.5

    def decode(self, place: Place) -> int | None:
        """The payload of a tile that was found."""
        folded = self._folded(place.side).roll((-place.down, -place.right), (0, 1))
        chips = F.avg_pool2d(folded[None], FINE)[0]
        soft = torch.zeros(CODED_BITS + 1).index_add_(0, self.assigned.flatten(), (chips * self.noise).flatten())
        return decode(soft[:CODED_BITS], self.key)

    def _folded(self, side: float) -> Tensor:
        """All tiles of a side laid over each other, `FINE` samples to a chip."""
        whole = CHIPS * FINE
        scaled = _resized(self.flat, whole / side)
        rows, columns = (math.ceil(size / whole) for size in scaled.shape)
        filled = F.pad(scaled, (0, columns * whole - scaled.shape[1], 0, rows * whole - scaled.shape[0]))
        return filled.view(rows, whole, columns, whole).sum((0, 2))


def _layout(key: str) -> tuple[Tensor, Tensor]:
    """Which coded bit each chip of the tile carries (CODED_BITS for pilots), and its sign, `[CHIPS, CHIPS]` each."""
    generator = torch.Generator().manual_seed(seed_of(key, "picture"))
    chips = CHIPS * CHIPS
    pilots = round(PILOTS * chips)
    carried = torch.cat((torch.full((pilots,), CODED_BITS), torch.arange(chips - pilots) % CODED_BITS))
    assigned = carried[torch.randperm(chips, generator=generator)].view(CHIPS, CHIPS)
    noise = 1.0 - 2.0 * torch.randint(0, 2, (CHIPS, CHIPS), generator=generator)
    return assigned, noise


def _whitened(flat: Tensor) -> Tensor:
    """Light `[h, w]` with every wave as strong as those around it, where the picture hides the least of the mark."""
    spectrum = torch.fft.rfft2(flat)
    power = torch.fft.fftshift(spectrum.abs().square(), 0)[None]
    power = F.avg_pool2d(F.pad(power, [LEVELLED] * 4, mode="replicate"), 2 * LEVELLED + 1, 1)[0]
    level = torch.fft.ifftshift(power, 0).sqrt()
    return torch.fft.irfft2(spectrum / level.clamp(min=1e-6), s=flat.shape)


def _resized(plane: Tensor, factor: float) -> Tensor:
    size = [max(1, round(side * factor)) for side in plane.shape]
    kind = {"mode": "bilinear", "antialias": True}
    return F.interpolate(plane[None, None], size, align_corners=False, **kind)[0, 0]


def _around(plane: Tensor, reach: int) -> Tensor:
    """The mean over squares of that size, smooth between them."""
    coarse = F.avg_pool2d(plane, reach, ceil_mode=True, count_include_pad=False)
    return F.interpolate(coarse, plane.shape[2:], mode="bilinear")
