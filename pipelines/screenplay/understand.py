"""What a prompt speaks of, found by words and phrases, so that nothing it decided is decided again."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import yaml

from ..types import Line

BANKS = Path(__file__).parent / "banks"
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_SPOKEN = re.compile(
    r"(?:(?P<speaker>[^\W\d_]+)(?:\s+(?:says?|said|shouts?|whispers?|asks?|replies|sings?|repeats?)\s*[:,]?|:)\s*)?"
    r'["“](?P<text>[^"”]+)["”]'
)
# Characters that no prompt needs: controls other than line breaks and tabs.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
MAX_PROMPT = 20_000
# Stands for words in quotes that nobody is named for: they may be heard, so sound is decided.
QUOTED = "quotation"


@functools.cache
def bank(name: str) -> Any:
    """One of the data files in `banks`."""
    return yaml.safe_load((BANKS / f"{name}.yaml").read_text("utf-8"))


def clean(prompt: str) -> str:
    """The prompt without control characters and surrounding space. Raises ValueError when it is empty or too long."""
    text = _CONTROL.sub("", prompt).strip()
    if not text:
        raise ValueError(
            "The prompt is empty. Say what should be seen and heard, such as: a red ball bounces on grass."
        )
    if len(text) > MAX_PROMPT:
        raise ValueError(f"The prompt has {len(text)} characters; at most {MAX_PROMPT} are read.")
    return text


def said(prompt: str) -> dict[str, tuple[str, ...]]:
    """Fields that the prompt speaks of, with the words that say so. Words in quotes are dialogue, not description."""
    description = _SPOKEN.sub(lambda match: f" {match['speaker']} says " if match["speaker"] else f" {QUOTED} ", prompt)
    words = _plain(description)
    found = {
        field: tuple(term.strip() for term in terms if term in words) for field, terms in _lexicon().items()
    }  # fmt: skip
    return {field: terms for field, terms in found.items() if terms}


def has_any(prompt: str, terms: list[str]) -> bool:
    """Whether one of some words or phrases stands in the prompt."""
    words = _plain(prompt)
    return any(_plain(term) in words for term in terms)


def dialogue(prompt: str) -> tuple[Line, ...]:
    """What is said in quotes, in order; the speaker is the word before "says", or unnamed. Times are all 0."""
    return tuple(
        Line(0.0, (match["speaker"] or "speaker").upper(), " ".join(match["text"].split()))
        for match in _SPOKEN.finditer(prompt)
    )


@functools.cache
def _lexicon() -> dict[str, tuple[str, ...]]:
    rows = bank("lexicon")
    return {field: tuple(_plain(term) for line in lines for term in line.split(",")) for field, lines in rows.items()}


def _plain(text: str) -> str:
    """Lower-case words between spaces, hyphens as spaces, so that phrases can be found as they are."""
    return f" {' '.join(_WORD.findall(text.lower()))} "
