"""Fonts for the badge: Pillow's own, and for letters that it lacks the first of the system's that has all of a text.

Pillow draws the same box for every letter that a font does not have, and says nothing.
"""

from __future__ import annotations

import functools
import os
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

# Where Linux, macOS and Windows keep fonts, the machine's and the user's. A folder that is not there has none.
FOLDERS = (
    "/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts", "/System/Library/Fonts",
    "/Library/Fonts", "~/Library/Fonts", "%WINDIR%/Fonts", "~/AppData/Local/Microsoft/Windows/Fonts",
)  # fmt: skip
SUFFIXES = (".ttf", ".otf", ".ttc")
# Plain sans-serif fonts are tried before all others. A font of last resort has a box for every letter that there is.
FAMILIES = (
    "dejavusans", "notosans-", "arial", "segoeui", "notosanscjk", "malgun", "msyh", "yugoth", "applesdgothic",
    "hiragino", "ヒラギノ角ゴシックw4", "notosans",
)  # fmt: skip
STYLES = ("bold", "italic", "oblique", "thin", "light", "black", "heavy", "condensed", "narrow", "mono", "serif")
LAST_RESORT = "lastresort"
# A noncharacter: no font has a letter for it.
NOBODYS = "\uffff"
# Letters are compared at this size, in pixels.
COMPARED = 32
# The combining class of the sign that joins two letters of the scripts of India into one.
VIRAMA = 9


def font_of(text: str, size: float) -> FreeTypeFont:
    """A font of `size` pixels that has every letter of a text, and can lay it out.

    Raises ValueError that names the letters that no font has, or that cannot be put in order here.
    """
    from PIL import ImageFont

    own = ImageFont.load_default(size)
    lacking = missing(own, text)
    if not lacking:
        return own
    font = ImageFont.truetype(_path_of("".join(sorted(set(text))), ", ".join(lacking)), size)
    ordered = [letter for letter in dict.fromkeys(text) if _needs_order(letter)]
    if ordered and font.layout_engine != ImageFont.Layout.RAQM:
        raise ValueError(
            f"The mark's text has letters that run from right to left, or join: {', '.join(ordered)}. Pillow needs the "
            "library FriBiDi for them. Install it, use other words, or give the mark as an image."
        )
    return font


def missing(font: FreeTypeFont, text: str) -> list[str]:
    """The letters of a text, each once, that a font draws as what no font has."""
    from PIL import ImageFont

    # Without the layout of words, which puts a circle under a sign that stands alone and so hides that it is missing.
    plain = font.font_variant(size=COMPARED, layout_engine=ImageFont.Layout.BASIC)
    box = _drawn(plain, NOBODYS)
    return [letter for letter in dict.fromkeys(text) if not letter.isspace() and _drawn(plain, letter) == box]


def _drawn(font: FreeTypeFont, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)


@functools.lru_cache(maxsize=64)
def _path_of(letters: str, lacking: str) -> str:
    """The first of the system's fonts that has all letters; what is not found is looked for again the next time."""
    from PIL import ImageFont

    for path in sorted(_files(), key=_rank):
        try:
            font = ImageFont.truetype(path, COMPARED)
        except OSError:
            # A font of fixed sizes, or a file that only has the name of a font.
            continue
        if not missing(font, letters):
            return path
    raise ValueError(
        f"No font on this machine has all letters of the mark's text; Pillow's own lacks {lacking}. Install one that "
        "has them, for example Noto Sans or Noto Sans CJK, use other words, or give the mark as an image."
    )


def _files() -> Iterator[str]:
    for folder in FOLDERS:
        for place, _, names in os.walk(os.path.expanduser(os.path.expandvars(folder))):
            yield from (os.path.join(place, name) for name in names if name.lower().endswith(SUFFIXES))


def _rank(path: str) -> tuple[bool, int, bool, int, str]:
    """Sorts fonts: the last resort last, plain ones of known families first, and of these the shortest name."""
    name = unicodedata.normalize("NFC", os.path.basename(path)).lower().replace(" ", "")
    family = next((rank for rank, start in enumerate(FAMILIES) if name.startswith(start)), len(FAMILIES))
    return name.startswith(LAST_RESORT), family, any(style in name for style in STYLES), len(name), path


def _needs_order(letter: str) -> bool:
    """Whether a letter stands elsewhere than where it is written, or changes with the one beside it."""
    sideways = unicodedata.bidirectional(letter) in ("R", "AL")
    return sideways or unicodedata.category(letter) == "Mc" or unicodedata.combining(letter) == VIRAMA
