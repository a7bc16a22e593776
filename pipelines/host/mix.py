"""The settings of the Mix Sound node as a stage of the clip."""

from __future__ import annotations

import re
from typing import Any

from ..clip.sound import Mix, with_sound
from .media import StreamVideo, clip_of, sound_of

CHANNELS = {"as they are": 0, "mono": 1, "stereo": 2}


def mix_sound(video: Any, audio: dict[str, Any] | None, settings: dict[str, Any]) -> StreamVideo:
    """The video with its sound mixed as the node says, as a stream."""
    target = re.match(r"-\d+", settings["loudness"])
    mix = Mix(
        own_db=settings["own_level"],
        added_db=settings["added_level"],
        at=settings["start"],
        fade_in=settings["fade_in"],
        fade_out=settings["fade_out"],
        loudness=float(target[0]) if target else None,
        channels=CHANNELS[settings["channels"]],
        rate=int(settings["rate"]) if settings["rate"].isdigit() else 0,
    )
    return StreamVideo(with_sound(clip_of(video), sound_of(audio) if audio else None, mix))
