"""The visible mark: a badge that moves, so that crops to another screen do not escape it. Lazy like a stage."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..clip.clip import Clip
from ..types import VideoShape
from .fonts import font_of
from .options import BADGE_SIZE
from .options import PLACES as CHOICES

# Share of the room that a badge leaves, from the left and from the top. Players put their controls at the bottom.
PLACES = {
    "top left": (0.04, 0.06), "right": (0.96, 0.45), "bottom left": (0.04, 0.82), "top right": (0.96, 0.06),
    "left": (0.04, 0.4), "bottom right": (0.96, 0.82),
}  # fmt: skip
MOVING = CHOICES[0]
# Where the moving badge goes, in the same shares. Columns and rows are so close together that any third of the width or
# the height, once a round, has most of it; every third stop is in the middle column, which crops to a phone keep, and
# none is in the middle of the picture.
ROUTE = ((0.04, 0.35), (0.5, 0.82), (0.96, 0.55), (0.27, 0.82), (0.5, 0.06), (0.73, 0.82))
STAY, FADE = Fraction(2), Fraction(1, 4)
# Badges are drawn this much larger, and then scaled down.
FINE = 4
INK, PLATE, EDGE = (255, 255, 255, 255), (12, 12, 16, 180), (255, 255, 255, 70)
MAX_CHARACTERS = 60


@dataclass(frozen=True)
class Badge:
    """Straight colours `[h, w, 3]` in 0 to 255 and their cover `[h, w, 1]` in 0 to 1, float32."""

    colour: Tensor
    cover: Tensor

    def check_fits(self, shape: VideoShape) -> None:
        """Raise ValueError for a picture that is smaller."""
        height, width = self.cover.shape[:2]
        if height > shape.height or width > shape.width:
            raise ValueError(
                f"The mark of {width} x {height} pixels does not fit into a picture of {shape.width} x {shape.height}. "
                "Make it smaller, or its text shorter."
            )


def badge_height(shape: VideoShape, size: float = BADGE_SIZE) -> int:
    """Pixels of a badge that is `size` of the picture's shorter side, and never too small to read."""
    return max(8, round(size * min(shape.width, shape.height)))


def draw_badge(text: str, height: int) -> Badge:
    """A horn that sounds, and a text, on a dark plate that keeps it legible on any picture.

    Raises ValueError for a text that is empty or longer than 60 characters, or that no font here has the letters of.
    """
    from PIL import Image, ImageDraw

    # Letters that were written as a letter and its accent are letters of a font.
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    if not 0 < len(text) <= MAX_CHARACTERS:
        raise ValueError(f"The mark's text has {len(text)} characters; write 1 to {MAX_CHARACTERS}.")
    tall = max(8, height) * FINE
    font = font_of(text, tall * 0.5)
    left, _, right, _ = font.getbbox(text)
    wide = round(right - left + 1.75 * tall)
    image = Image.new("RGBA", (wide, tall))
    draw = ImageDraw.Draw(image)
    line = max(1, tall // 28)
    draw.rounded_rectangle((0, 0, wide - 1, tall - 1), tall // 2, PLATE, EDGE, line)
    _draw_horn(draw, tall)
    draw.text((1.25 * tall, tall / 2), text, INK, font, anchor="lm")
    small = image.resize((max(1, wide // FINE), max(8, height)), Image.Resampling.LANCZOS)
    return _badge(torch.from_numpy(np.array(small)).float())


def image_badge(image: Tensor, transparent: Tensor | None, height: int) -> Badge:
    """The first of the host's images `[B, h, w, 3 or 4]` in 0 to 1 as a badge; `transparent [B, h, w]` is its mask."""
    picture = image[0].float()
    cover = 1 - transparent[:1].float() if transparent is not None else None
    if picture.shape[-1] < 4:
        if cover is None or cover.shape[1:] != picture.shape[:2]:
            cover = torch.ones(1, *picture.shape[:2])
        picture = torch.cat((picture[..., :3], cover[0, ..., None]), -1)
    size = (height, max(1, round(height * picture.shape[1] / picture.shape[0])))
    # Colours are weighted by their cover, or transparent pixels would bleed into the edge.
    premultiplied = torch.cat((picture[..., :3] * picture[..., 3:4], picture[..., 3:4]), -1).movedim(-1, 0)[None]
    scaled = F.interpolate(premultiplied, size, mode="area")[0].movedim(0, -1)
    colour = scaled[..., :3] / scaled[..., 3:4].clamp(min=1e-4)
    return _badge(torch.cat((colour, scaled[..., 3:4]), -1) * 255)


def marked(clip: Clip, badge: Badge, place: str = MOVING, opacity: float = 0.9) -> Clip:
    """The clip with a badge on every frame; `place` is one of PLACES, or moving along ROUTE.

    Raises ValueError for an unknown place, or a badge that is larger than the picture.
    """
    if place != MOVING and place not in PLACES:
        raise ValueError(f"There is no place {place!r}. Choose one of {', '.join([MOVING, *PLACES])}.")
    badge.check_fits(clip.shape)

    def frames(start: int, stop: int) -> Iterator[Tensor]:
        index = start
        for chunk in clip.frames(start, stop):
            for frame in chunk:
                # Frame by frame: memory for a whole chunk is mapped anew each time, which takes longer than the badge.
                made = frame[None].clone()
                for where, strength in (
                    whereabouts(index / clip.shape.fps) if place == MOVING else [(PLACES[place], 1.0)]
                ):
                    _lay(made[0], badge, where, strength * opacity)
                index += 1
                yield made

    return replace(clip, source=frames)


def whereabouts(seconds: Fraction) -> list[tuple[tuple[float, float], float]]:
    """Where on ROUTE the badge is, and how strongly it is seen there: it comes in at a place as it goes out at another,
    so that no frame is without it."""
    stop, since = divmod(seconds, STAY)
    here, coming = ROUTE[int(stop) % len(ROUTE)], float(min(1, since / FADE))
    if stop == 0 or coming == 1:
        return [(here, 1.0)]
    return [(ROUTE[int(stop - 1) % len(ROUTE)], 1 - coming), (here, coming)]


def _lay(frame: Tensor, badge: Badge, place: tuple[float, float], strength: float) -> None:
    height, width = badge.cover.shape[:2]
    left = round(place[0] * (frame.shape[1] - width))
    top = round(place[1] * (frame.shape[0] - height))
    under = frame[top : top + height, left : left + width]
    blended = torch.lerp(under.float(), badge.colour.to(frame.device), badge.cover.to(frame.device) * strength)
    under.copy_(blended.round_())


def _draw_horn(draw: object, tall: int) -> None:
    """A phonograph's horn and two waves of sound, in a square at the left."""
    middle, line = tall / 2, max(1, tall // 16)
    draw.polygon(
        [
            (0.36 * tall, 0.43 * tall),
            (0.62 * tall, 0.24 * tall),
            (0.62 * tall, 0.76 * tall),
            (0.36 * tall, 0.57 * tall),
        ],
        INK,
    )
    for reach in (0.2, 0.36):
        box = (0.66 * tall - reach * tall, middle - reach * tall, 0.66 * tall + reach * tall, middle + reach * tall)
        draw.arc(box, -38, 38, INK, line)


def _badge(pixels: Tensor) -> Badge:
    return Badge(pixels[..., :3].contiguous(), pixels[..., 3:4] / 255)
