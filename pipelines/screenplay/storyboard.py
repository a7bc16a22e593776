"""The storyboard: a screenplay that people type, one shot a line.

    style: documentary
    0-2    a red ball bounces on grass under a clear blue sky | camera: pan left | sound: thumps
    2-4.5  the ball rolls away at sunset | blend: 0.5 | ANNA: "There it goes." | sound@3: a bird calls

A line starts with the time of the shot; after the caption come fields, each behind a bar: `camera`, `sound`, `blend`,
or a speaker in capitals with a line in quotes. `@seconds` sets the time of a sound or a line, from the start of the
screenplay. `style`, `language` and `negative` may stand on lines of their own before the first shot; `#` starts a
comment. Bars and `#` between a pair of quotes are text.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

from ..types import Cue, Line, Screenplay, Shot, Writer, check_shot
from .dialogue import BREATH, speaking_seconds
from .document import MAX_CHARACTERS, from_json

HEADERS = ("style", "language", "negative")
_SPAN = re.compile(r"(?P<start>[\d:.]+)\s*s?\s*(?:-|\u2013|to)\s*(?P<end>[\d:.]+)\s*s?(?=\s|$)")
_CLOCK = re.compile(r"(?:(?P<minutes>\d{1,4}):)?(?P<seconds>\d{1,5}(?:\.\d+)?)")
_FIELD = re.compile(r"\s*(?P<key>[^:@|\"]+?)\s*(?:@\s*(?P<at>[\d:.]+)\s*s?\s*)?:\s*(?P<value>.*)", re.DOTALL)
# A quote after a letter or digit (5") opens nothing, and one after a space or before a letter closes nothing, so that a
# single one does not reach over the fields to the next. What a speaker says may end in a space: its quote opens after
# the colon, and closes where the field ends.
_QUOTED = re.compile(r'(?<=:)\s*"[^"]*"(?=\s*(?:[|#]|$))|(?<!\w)"[^"]*(?<!\s)"(?!\w)|“[^“”]*”')
_HEADER = re.compile(rf"\s*(?P<key>{'|'.join(HEADERS)})\s*:\s*(?P<value>.*)", re.IGNORECASE)


def parse(text: str, blend: float = 0.0) -> Screenplay:
    """Read a storyboard; `blend` is for shots after the first that name none, as far as their length allows.

    Raises ValueError with line and column, both from 1, and what was expected there.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"The storyboard has {len(text)} characters; at most {MAX_CHARACTERS} are read.")
    headers: dict[str, str] = {}
    shots: list[Shot] = []
    for number, line in enumerate(text.splitlines(), 1):
        content = _without_comment(line)
        if not content.strip():
            continue
        header = _HEADER.fullmatch(content)
        if header and not shots:
            headers[header["key"].lower()] = header["value"].strip()
        else:
            shots.append(_shot(content, number, blend if shots else 0.0))
            _check(shots, number, len(content) - len(content.lstrip()))
    if not shots:
        raise ValueError(
            "Line 1, column 1: the storyboard has no shot. Write one a line, such as: 0-2 a red ball bounces"
        )
    prompt = " ".join(shot.caption for shot in shots)
    return Screenplay(prompt, tuple(shots), writer=Writer("person"), **headers)


def format_storyboard(screenplay: Screenplay) -> str:
    """The storyboard of a screenplay; `parse` reads the same shots back."""
    lines = [f"{key}: {value}" for key in HEADERS if (value := getattr(screenplay, key)) and value != "en"]
    for shot in screenplay.shots:
        parts = [f"{shot.start:g}-{shot.end:g} {_one_line(shot.caption)}"]
        if shot.camera:
            parts.append(f"camera: {_one_line(shot.camera)}")
        if shot.blend:
            parts.append(f"blend: {shot.blend:g}")
        parts += [f"sound@{cue.at:g}: {_one_line(cue.sound)}" for cue in shot.cues]
        parts += [f'{line.speaker.upper()}@{line.at:g}: "{_one_line(line.text)}"' for line in shot.lines]
        lines.append(" | ".join(parts))
    return "\n".join(lines) + "\n"


def _shot(content: str, number: int, blend: float) -> Shot:
    indent = len(content) - len(content.lstrip())
    span = _SPAN.match(content, indent)
    if not span:
        raise _error(number, indent, "a shot starts with its time, such as 0-2 or 0:02-0:04.5")
    start = _seconds(span["start"], number, span.start("start"))
    end = _seconds(span["end"], number, span.start("end"))
    if end <= start:
        raise _error(
            number, span.start("end"), f"the shot ends at {end:g} s, which is not after its start at {start:g} s"
        )
    pieces = _split(content, span.end())
    column, caption = pieces[0]
    if not caption.strip():
        raise _error(number, column, "say what the shot shows, after its time")
    shot = Shot(start, end - start, caption.strip(), blend=min(blend, end - start))
    for column, piece in pieces[1:]:
        shot = _with_field(shot, piece, number, column)
    return shot


def _check(shots: list[Shot], number: int, column: int) -> None:
    """Refuses the last shot where it cannot follow the one before."""
    try:
        check_shot(len(shots), shots[-1], shots[-2].end if len(shots) > 1 else 0.0)
    except ValueError as error:
        raise _error(number, column, str(error).removesuffix(".")) from error


def _with_field(shot: Shot, piece: str, number: int, column: int) -> Shot:
    match = _FIELD.fullmatch(piece)
    column += len(piece) - len(piece.lstrip())
    if not match:
        raise _error(number, column, 'expected a field: camera: ..., sound: ..., blend: ..., or SPEAKER: "line"')
    key, value = match["key"], match["value"].strip()
    at = _seconds(match["at"], number, column) if match["at"] else None
    if not value:
        raise _error(number, column, f"nothing follows {key}:")
    if key.lower() == "camera":
        return replace(shot, camera=value)
    if key.lower() == "blend":
        return replace(shot, blend=_seconds(value.removesuffix("s").strip(), number, column))
    if key.lower() == "sound":
        return replace(shot, cues=(*shot.cues, Cue(shot.start if at is None else at, value)))
    # Letters of scripts without capitals count as capitals.
    if key == key.upper() and any(map(str.isalpha, key)):
        if len(value) < 2 or value[0] not in '"“' or value[-1] not in '"”':
            raise _error(number, column, f'what {key} says stands in quotes, such as {key}: "Hello."')
        spoken = Line(_after(shot) if at is None else at, key, value[1:-1].strip())
        return replace(shot, lines=(*shot.lines, spoken))
    raise _error(number, column, f"unknown field {key!r}; use camera, sound, blend, or a speaker in CAPITALS")


def _after(shot: Shot) -> float:
    """When the next line can begin: with the shot, or when the line before it has been said.

    Where the shot ends before that, both share the time of the line before.
    """
    if not shot.lines:
        return shot.start
    last = shot.lines[-1]
    said = round(last.at + speaking_seconds(last.text) + BREATH, 2)
    return said if said < shot.end else last.at


def _seconds(text: str, number: int, column: int) -> float:
    match = _CLOCK.fullmatch(text)
    if not match:
        raise _error(number, column, f"a time is seconds or minutes:seconds, such as 2.5 or 0:02.5; got {text!r}")
    return int(match["minutes"] or 0) * 60 + float(match["seconds"])


def _split(content: str, begin: int) -> list[tuple[int, str]]:
    """Pieces between bars outside of quotes, each with the column where it starts."""
    blanked = _without_quoted(content)
    bars = [index for index in range(begin, len(content)) if blanked[index] == "|"]
    cuts = itertools.pairwise([begin - 1, *bars, len(content)])
    return [(before + 1, content[before + 1 : after]) for before, after in cuts]


def _without_comment(line: str) -> str:
    return line[: len(_without_quoted(line).partition("#")[0])]


def _without_quoted(line: str) -> str:
    """A line of the same length with blanks for what stands in quotes."""
    return _QUOTED.sub(lambda found: " " * len(found[0]), line)


def _one_line(text: str) -> str:
    return " ".join(text.replace("|", "/").replace("#", "").replace('"', "'").split())


def _error(number: int, column: int, message: str) -> ValueError:
    return ValueError(f"Line {number}, column {column + 1}: {message}.")


def read_screenplay(text: str) -> Screenplay:
    """A screenplay from what people paste: a document when it starts with a brace, else a storyboard."""
    return from_json(text) if text.lstrip().startswith("{") else parse(text)
