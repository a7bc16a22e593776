"""The invisible marks as a stage of the clip."""

from __future__ import annotations

from dataclasses import replace

from ..clip.clip import Clip, Sound
from .options import INVISIBLE
from .payload import shown
from .picture import marked_picture
from .sound import marked_sound

# Where the lineage says what a clip is marked with; the signed provenance binds itself to it.
LINEAGE = "watermark"


def invisibly_marked(clip: Clip, payload: int, key: str, where: str = INVISIBLE[0]) -> Clip:
    """The clip with a mark in its picture, its sound, or both; nothing is computed before it is read.

    Raises ValueError for an unknown `where`, and for a picture that is too small for a mark.
    """
    if where not in INVISIBLE:
        raise ValueError(f"A mark cannot go into {where!r}. Choose one of {', '.join(INVISIBLE)}.")

    def voice() -> Sound | None:
        return marked_sound(clip.sound, payload, key) if clip.sound is not None else None

    marked = marked_picture(clip, payload, key) if "picture" in where else clip
    lineage = {**clip.lineage, LINEAGE: shown(payload)}
    return replace(marked, voice=voice if "sound" in where else clip.voice, lineage=lineage)
