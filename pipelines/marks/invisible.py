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
    """The clip with a mark in its picture, its sound, or both, as far as it has both.

    Nothing is computed before it is read, but the sound where it alone is marked. Raises ValueError for an unknown
    `where`, for a picture that is too small for a mark, and for a sound that is not there.
    """
    if where not in INVISIBLE:
        raise ValueError(f"A mark cannot go into {where!r}. Choose one of {', '.join(INVISIBLE)}.")
    if "picture" not in where and clip.sound is None:
        raise ValueError(
            "The video has no sound, so no mark can go into it. Mark the picture, or put a sound under the video first."
        )

    def voice() -> Sound | None:
        return marked_sound(clip.sound, payload, key) if clip.sound is not None else None

    marked = marked_picture(clip, payload, key) if "picture" in where else clip
    lineage = {**clip.lineage, LINEAGE: shown(payload)}
    return replace(marked, voice=voice if "sound" in where else clip.voice, lineage=lineage)
