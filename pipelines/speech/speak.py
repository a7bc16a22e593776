"""A screenplay's lines as one sound, each at its time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
import torchaudio
from torch import Tensor

from ..screenplay.dialogue import BREATH, Fit, fits
from ..types import Screenplay
from . import align
from .voice import RATE, VOICES, engine, say

# Faster than this, a voice that hurries to fit its shot is no longer natural.
FASTEST = 1.35
# The louder of two people who speak at once must not clip.
CEILING = 0.95


@dataclass(frozen=True)
class Spoken:
    """One line as it was said: `start` and `end` in seconds, and its words where they could be aligned."""

    speaker: str
    voice: str
    text: str
    start: float
    end: float
    pace: float
    words: tuple[align.Word, ...]


@dataclass(frozen=True)
class Speech:
    """All lines as a waveform `[1, samples]` at 24 kHz, as long as the screenplay; and what is to be said of them."""

    waveform: Tensor
    lines: tuple[Spoken, ...]
    notes: tuple[str, ...]

    def timing(self) -> str:
        """When everything is said, as JSON, for lip sync and subtitles."""
        return json.dumps({"rate": RATE, "lines": [asdict(line) for line in self.lines]}, ensure_ascii=False, indent=1)

    def report(self) -> str:
        said = [f"{line.start:.2f}-{line.end:.2f} s  {line.speaker} ({line.voice}): {line.text}" for line in self.lines]
        return "\n".join([*said, *self.notes])


def speak(
    screenplay: Screenplay,
    voices: str = "",
    pace: float = 1.0,
    hurry: bool = True,
    seed: int = 0,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Speech:
    """Say every line, in order of time. `voices` has one `SPEAKER: voice` a line; others get voices in turn.

    Lines at the same time follow one another. With `hurry`, a line that does not fit is said up to 1.35 times as fast;
    what lies after the end of the screenplay is cut off. `report` hears of every line.
    Raises ValueError when nobody speaks or a voice is unknown.
    """
    lines = fits(screenplay)
    if not lines:
        raise ValueError(
            'Nobody speaks in this screenplay. Add a line to a shot, such as: 0-3 a robot waves | ROBOT: "Hello!"'
        )
    cast = casting([fit.line.speaker for fit in lines], voices)
    track = torch.zeros(1, round(screenplay.seconds * RATE))
    spoken, notes = [], [] if align.can_align() else ["Words are not timed: the package pocketsphinx adds that."]
    for number, fit in enumerate(lines, 1):
        follows = bool(spoken) and fit.start > fit.line.at
        start = max(spoken[-1].end, min(spoken[-1].end + BREATH, fit.start)) if follows else fit.line.at
        line, speech, note = _said(fit, start, cast[fit.line.speaker], pace, hurry, seed)
        at = round(start * RATE)
        if at >= track.shape[1]:
            note = f"{line.speaker}, at {fit.line.at:g} s: the line is not heard; those before it take all the time."
        part = speech[: max(0, track.shape[1] - at)]
        track[0, at : at + len(part)] += part
        spoken.append(line)
        notes += [note] if note else []
        report(number, len(lines))
    track *= min(1.0, CEILING / max(track.abs().max().item(), 1e-6))
    return Speech(track, tuple(spoken), tuple(notes))


def casting(speakers: list[str], voices: str) -> dict[str, str]:
    """A voice for every speaker: as `voices` says, or the first that nobody has yet."""
    cast: dict[str, str] = {}
    for number, line in enumerate(voices.splitlines(), 1):
        speaker, colon, voice = (part.strip() for part in line.partition(":"))
        if not (speaker or voice):
            continue
        if not colon or voice.lower() not in VOICES:
            raise ValueError(
                f"Line {number} of the voices is {line.strip()!r}; expected SPEAKER: voice, with one of the voices "
                f"{', '.join(VOICES)}."
            )
        cast[speaker.upper()] = voice.lower()
    for index, speaker in enumerate(dict.fromkeys(speakers)):
        free = [voice for voice in VOICES if voice not in cast.values()] or list(VOICES)[index % len(VOICES) :]
        cast.setdefault(speaker.upper(), free[0])
    return {speaker: cast[speaker.upper()] for speaker in speakers}


def _said(fit: Fit, start: float, voice: str, pace: float, hurry: bool, seed: int) -> tuple[Spoken, Tensor, str]:
    """A line said from `start` seconds on, its speech, and a note where it does not fit."""
    # The line before it may leave some of its time.
    line, has = fit.line, max(fit.has, fit.start + fit.has - start)
    speech = say(line.text, voice, pace, seed)
    if hurry and len(speech) > has * RATE:
        pace *= min(FASTEST, len(speech) / RATE / has * 1.03)
        speech = say(line.text, voice, pace, seed)
    seconds = len(speech) / RATE
    words: tuple[align.Word, ...] = ()
    if align.can_align():
        slower = torchaudio.functional.resample(speech, RATE, align.RATE)
        words = tuple(word.moved(start) for word in align.align(slower, line.text, engine().g2p))
    note = ""
    if seconds > has + 0.02:
        note = (
            f"{line.speaker}, at {line.at:g} s: the line lasts {seconds:.1f} s and has {has:.1f} s; it needs "
            f"{seconds - has:.1f} s more, and runs into what follows."
        )
    end = round(start + seconds, 3)
    return Spoken(line.speaker, voice, line.text, round(start, 3), end, round(pace, 3), words), speech, note
