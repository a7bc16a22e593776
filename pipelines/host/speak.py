"""Speech for the Speak node: the host's AUDIO, with progress and its interrupt."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import comfy.utils

from ..speech.speak import speak
from ..speech.voice import RATE
from ..types import Screenplay


def spoken(screenplay: Screenplay, voices: str, pace: float, hurry: bool, seed: int) -> tuple[dict[str, Any], str, str]:
    """AUDIO as long as the screenplay, the times of lines, words and phones as JSON, and a report."""
    bar = comfy.utils.ProgressBar(1)

    def report(done: int, total: int) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done, total)

    speech = speak(screenplay, voices, pace, hurry, seed, report)
    return {"waveform": speech.waveform[None], "sample_rate": RATE}, speech.timing(), speech.report()
