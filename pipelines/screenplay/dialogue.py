"""How long it takes to say something, and whether a screenplay leaves that long."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from ..types import Line, Screenplay

# Conversational rates: 4 to 5 syllables a second in English (Pellegrino et al. 2011), at the slow, clear end.
SYLLABLES_PER_SECOND = 4.2
# Scripts without spaces: one character is about one syllable (Chinese) or somewhat more (Japanese, Korean).
CHARACTERS_PER_SECOND = 4.5
SHORT_PAUSE, LONG_PAUSE = 0.18, 0.4
# From the end of a line to the next, where nothing else is said.
BREATH = 0.2
_WORD = re.compile(r"[^\W\d_]+|\d", re.UNICODE)
_VOWELS = re.compile(r"[aeiouyàâäáãåæèéêëìíîïòóôöõøùúûüýœ]+|[аеёиоуыэюя]|[αειουηω]+")
_DENSE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
# "seven" is longer than "two"; a digit has one and a half syllables on average.
_DIGIT = 1.5


@dataclass(frozen=True)
class Fit:
    """A line, the second from which on it has its time, the seconds that it has, and those that it needs."""

    line: Line
    start: float
    has: float
    needs: float

    @property
    def missing(self) -> float:
        return max(0.0, self.needs - self.has)


def speaking_seconds(text: str) -> float:
    """Seconds to say `text` at a clear conversational rate, pauses at marks included."""
    dense = len(_DENSE.findall(text))
    rest = _DENSE.sub(" ", text.lower())
    syllables = sum(_syllables(word) for word in _WORD.findall(rest))
    short = len(re.findall(r"[,;:\u2013\u2014\u3001\uff0c]", text))
    long = len(re.findall(r"[.!?\u2026\u3002\uff01\uff1f]+(?=\s|$)", text.strip()[:-1])) if text.strip() else 0
    return dense / CHARACTERS_PER_SECOND + syllables / SYLLABLES_PER_SECOND + short * SHORT_PAUSE + long * LONG_PAUSE


def fits(screenplay: Screenplay) -> list[Fit]:
    """Every line in order of time, with the time until the next later one, or until its shot ends.

    Lines at the same time share it as they need it, one after the other.
    """
    result: list[Fit] = []
    for shot in screenplay.shots:
        together = [list(lines) for _, lines in itertools.groupby(sorted(shot.lines, key=_at), key=_at)]
        ends = [*(lines[0].at for lines in together), shot.end][1:]
        for lines, end in zip(together, ends, strict=True):
            result += _shared(lines, end)
    return result


def dialogue_notes(screenplay: Screenplay) -> list[str]:
    """A sentence for every line that cannot be said in its time."""
    return [
        f'{fit.line.speaker}, at {fit.line.at:g} s: "{_short(fit.line.text)}" takes about {fit.needs:.1f} s and has '
        f"{fit.has:.1f} s; it needs {fit.missing:.1f} s more."
        for fit in fits(screenplay)
        if fit.missing > 0.05
    ]


def summary(screenplay: Screenplay) -> str:
    """Length, shots and dialogue of a screenplay, and what does not fit."""
    lines = sum(len(shot.lines) for shot in screenplay.shots)
    counts = [f"{len(screenplay.shots)} shots" if len(screenplay.shots) > 1 else "1 shot"]
    counts += [f"{lines} lines of dialogue" if lines > 1 else "1 line of dialogue"] if lines else []
    return "\n".join([f"{screenplay.seconds:g} s, {', '.join(counts)}.", *dialogue_notes(screenplay)])


def _at(line: Line) -> float:
    return line.at


def _shared(lines: list[Line], end: float) -> list[Fit]:
    """The time until `end` in parts for lines that begin together, as long as each needs them."""
    needs = [speaking_seconds(line.text) for line in lines]
    # What has no word to say is given some time, too.
    parts = [max(need, 1 / SYLLABLES_PER_SECOND) for need in needs]
    room, start, result = (end - lines[0].at) / sum(parts), lines[0].at, []
    for line, need, part in zip(lines, needs, parts, strict=True):
        result.append(Fit(line, start, part * room, need))
        start += part * room
    return result


def _syllables(word: str) -> float:
    if word.isdigit():
        return _DIGIT
    groups = len(_VOWELS.findall(word))
    # English: a final e is silent, but not in "the" or "apple".
    if word.endswith("e") and groups > 1 and not word.endswith(("le", "ee")):
        groups -= 1
    return max(1, groups)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
