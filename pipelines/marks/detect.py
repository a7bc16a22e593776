"""Finds invisible marks in any clip: what they say, when, and over which part of the picture. In constant memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..clip.clip import Clip, Sound
from .payload import shown
from .picture import SEEN, Finder, Place, flattened, read_picture, tile_side
from .sound import PERIOD, RATE, clarities, read_sound

# Frames nearer to each other than this many a second say much the same.
LOOKS = 12
# The clip is looked at in spans of at least this many seconds, and no more of them than this.
SPAN, SPANS = 1.0, 48
# Seconds of sound that are also read on their own.
LISTENED = 8.0
# A known mark is there where it stands out this many times over the spread: by chance, once in ten million places.
THERE = 5.5
PARTS = (("top left", "top", "top right"), ("left", "middle", "right"), ("bottom left", "bottom", "bottom right"))
SEEN_THERE = 2.5


@dataclass(frozen=True)
class Mark:
    """A mark that was found: `payload` in hexadecimal, from `start` to `end` in seconds, `clarity` in spreads.

    `parts` names the parts of the picture that show it; it is empty for a mark in the sound.
    """

    payload: str
    start: float
    end: float
    clarity: float
    parts: tuple[str, ...] = ()

    def told(self) -> str:
        """For reading."""
        everywhere = len(self.parts) == sum(len(row) for row in PARTS)
        where = " over the whole picture" if everywhere else f" in the {', '.join(self.parts)}" if self.parts else ""
        return f"{self.payload}, from {self.start:.1f} to {self.end:.1f} s{where} (clarity {self.clarity:.1f})"


@dataclass(frozen=True)
class Detection:
    """Marks in the picture and in the sound."""

    picture: tuple[Mark, ...]
    sound: tuple[Mark, ...]

    @property
    def payloads(self) -> tuple[str, ...]:
        """What was found, each once, the picture's first."""
        return tuple(dict.fromkeys(mark.payload for mark in (*self.picture, *self.sound)))

    def report(self) -> str:
        """For reading."""
        if not self.payloads:
            return (
                "No invisible mark was found with this key. That says nothing about where the video came from: it may "
                "never have had one, have another key, or have been changed too much."
            )
        lines = [f"In the picture: {mark.told()}" for mark in self.picture] or ["In the picture: nothing."]
        lines += [f"In the sound: {mark.told()}" for mark in self.sound] or ["In the sound: nothing."]
        return "\n".join([*lines, "Chance passes the check of a mark less than once in ten million videos."])


def detect(clip: Clip, key: str) -> Detection:
    """Read a clip once, and find a key's marks."""
    sound = clip.sound
    return Detection(_in_picture(clip, key), _in_sound(sound, key) if sound is not None else ())


def _in_picture(clip: Clip, key: str) -> tuple[Mark, ...]:
    fps, seconds = float(clip.shape.fps), float(clip.shape.seconds)
    span = max(SPAN, seconds / SPANS)
    flats = _watched(clip, span, max(1, round(fps / LOOKS)))
    if not flats:
        return ()
    height, width = clip.shape.height, clip.shape.width
    own = tile_side(height, width) * min(1.0, SEEN / min(height, width))
    whole = torch.stack(list(flats.values())).sum(0)
    payload, place = read_picture(whole, own, key)
    found = [] if payload is None else [payload]
    # Parts of the clip may have marks of their own.
    for flat in flats.values():
        finder = Finder(flat, key)
        if (other := finder.decode(finder.look(place.side))) is not None and other not in found:
            found.append(other)
    clear = [[Finder(flat, key, payload).look(place.side).clarity for flat in flats.values()] for payload in found]
    spans = _attributed(torch.tensor(clear), span, seconds) if found else []
    marks = []
    for payload, (start, end) in zip(found, spans, strict=True):
        own_flats = [flat for at, flat in flats.items() if start - span / 2 < at * span < end]
        finder = Finder(torch.stack(own_flats).sum(0), key, payload)
        best = finder.look(place.side)
        marks.append(Mark(shown(payload), start, end, best.clarity, _parts(finder, best)))
    return tuple(marks)


def _parts(finder: Finder, place: Place) -> tuple[str, ...]:
    clear = finder.parts(place, len(PARTS), len(PARTS[0])) > SEEN_THERE
    return tuple(name for row, names in enumerate(PARTS) for column, name in enumerate(names) if clear[row, column])


def _attributed(clear: Tensor, span: float, seconds: float) -> list[tuple[float, float]]:
    """From when to when each mark is there, from how clear each is in each span `[marks, spans]`."""
    # Marks of one key share their pilots, so that each is a little clear where another is.
    best = clear.argmax(0)
    spans = []
    for number, row in enumerate(clear):
        own = best == number
        there = (own & (row > THERE)).nonzero().flatten().tolist() or own.nonzero().flatten().tolist() or [0]
        spans.append((there[0] * span, min(seconds, (there[-1] + 1) * span)))
    return spans


def _watched(clip: Clip, span: float, stride: int) -> dict[int, Tensor]:
    """Every `stride`-th frame, flattened and added up by the span of time that it lies in."""
    flats: dict[int, Tensor] = {}
    index = 0
    for chunk in clip.frames():
        for frame in chunk:
            if index % stride == 0:
                at = int(index / float(clip.shape.fps) / span)
                flat = flattened(frame)
                flats[at] = flats[at] + flat if at in flats else flat
            index += 1
    return flats


def _in_sound(sound: Sound, key: str) -> tuple[Mark, ...]:
    found: list[int] = []
    length = round(LISTENED * sound.rate)
    parts = [sound.waveform[:, start : start + length] for start in range(0, sound.waveform.shape[1], length)]
    for part in (sound.waveform, *parts[: SPANS if len(parts) > 1 else 0]):
        payload, _ = read_sound(Sound(part, sound.rate), key)
        if payload is not None and payload not in found:
            found.append(payload)
    if not found:
        return ()
    clear = torch.stack([clarities(sound, payload, key) for payload in found])
    spans = _attributed(clear, PERIOD / RATE, sound.waveform.shape[1] / sound.rate)
    return tuple(
        Mark(shown(payload), start, end, row.max().item())
        for payload, (start, end), row in zip(found, spans, clear, strict=True)
    )
