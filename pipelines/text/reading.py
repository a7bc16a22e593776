"""What people write, read as words that a model was trained on, with a list of what was read as what and left out.

A small model knows a few hundred words, and any other would tell it nothing. The bank `meanings.yaml` says for each
phrase of the vocabulary what else people say for it; endings and slips of spelling are found by rule, and the rules of
`things.py` and `clauses.py` find numbers, negations and what was left unsaid because it was said before.
"""

from __future__ import annotations

import difflib
import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from . import clauses, things
from .piece import CONTENT, Piece

_TOKEN = re.compile(r"[a-z0-9]+(?:'[a-z]+)*|&|[.,:;!?|/\n]")
_MARKS = {"!": ".", "?": ".", ":": ",", ";": ",", "|": ",", "/": ",", "\n": ",", ".": ".", ",": ","}
# Another clause begins after these.
_MARKS |= {"while": ",", "then": ","}
# A word of so many letters at least and at most, as much like a known one, that begins alike is read as that one.
SLIP_LETTERS, LONG_LETTERS, SLIP_LIKE = 4, 24, 0.84
# What is said to be left out, where it is; the rest needs no mention.
LEFT_OUT = ("unknown", "negations", "counts")
# Words of these do nothing: nobody is "caring" who is near a car, and what is "noted" is not denied.
NAMING = ("objects", "grounds", "skies", "directions", "counts", "negations")
# Words of a prompt that are looked at; no model reads as many.
LONGEST = 2000


@dataclass(frozen=True)
class Reading:
    """A prompt as a model reads it: its `words`, what was `replaced` by what, and what was `left_out`."""

    words: tuple[str, ...]
    replaced: dict[str, str]
    left_out: tuple[str, ...]

    def note(self) -> str:
        """What the user should know about it."""
        notes = []
        if self.replaced:
            notes.append(f"Read as known words: {', '.join(f'{a} as {b}' for a, b in self.replaced.items())}.")
        if self.left_out:
            notes.append(f"Left out, the model does not know: {', '.join(self.left_out)}.")
        if not self.words:
            notes.append("No word is known: the model makes what it likes.")
        return "\n".join(notes) or "All words are known."


class Reader:
    """Reads prompts with the `words` of one vocabulary; `phrases` are what it knows beyond them."""

    def __init__(self, words: Sequence[str]) -> None:
        bank = meanings()
        self._vocabulary = frozenset(words)
        self._overruled, self._media, unlike = (
            frozenset(_listed(bank[kind])) for kind in ("overruled", "media", "unlike")
        )
        self._alone = {word: instead for instead, said in bank["alone"].items() for word in _listed(said)}
        self._kinds = {word: kind for kind in CONTENT for word in _listed(bank[kind].get("known", ""))}
        self._kinds |= {word: "glue" for word in _listed(bank["glue"])}
        self._things, self._colours = (
            frozenset(word for word, kind in self._kinds.items() if kind == of) for of in ("objects", "colours")
        )
        self._before_things = {word: colour for colour, said in bank["before things"].items() for word in _listed(said)}
        self.phrases = {key: piece for key, piece in _bank_phrases(bank) if self._useful(key, piece)}
        self._longest = max(map(len, self.phrases), default=1)
        self._movers = {thing: act for act, said in bank["movers"].items() for thing in _listed(said)}
        self._single = self._vocabulary | unlike | {key[0] for key in self.phrases if len(key) == 1}
        self._within = {word for key in self.phrases for word in key}
        self._naming = {word for word in self._single if self._kind(word) in NAMING}
        self._form = functools.lru_cache(4096)(self._plain_form)

    def read(self, text: str, part: bool = False) -> Reading:
        """The words of `text` that mean something to the model, in its own words.

        Of a `part` of a prompt, colours may stand in another.
        """
        pieces = clauses.without_media(list(self._pieces(split(text)[:LONGEST])), self._media)
        pieces = things.referring(things.shared_out(things.headed(pieces)))
        pieces = clauses.acting_after(clauses.idle(clauses.affirmed(pieces)))
        pieces = things.each_its_colour(things.coloured(pieces, self._before_things))
        pieces = clauses.into_each_other(things.counted(pieces, self._alone.keys()))
        pieces = things.one_alone(pieces, self._things, self._alone, self._colours)
        pieces = clauses.apart(clauses.moving(pieces, self._movers))
        if not part:
            pieces = things.all_coloured(pieces, self._things, self._alone.keys(), self._colours)
        pieces = clauses.not_dangling(clauses.fitted(pieces))
        replaced = {piece.said: " ".join(piece.read) for piece in pieces if piece.changed and piece.kind != "mark"}
        replaced = {said: read for said, read in replaced.items() if read not in (*_numbers(said), *_participles(said))}
        left_out = dict.fromkeys(piece.said for piece in pieces if piece.kind in LEFT_OUT and not piece.read)
        words = clauses.tidy(word for piece in clauses.said_once(pieces) for word in piece.read)
        return Reading(tuple(words), replaced, tuple(left_out))

    def _useful(self, key: tuple[str, ...], piece: Piece) -> bool:
        """Whether a phrase leads into this vocabulary, and is not one of its own words."""
        if piece.kind in ("other", *CONTENT) and not self._vocabulary.issuperset(piece.read):
            return False
        return len(key) > 1 or key[0] not in self._vocabulary or key[0] in self._overruled

    def _pieces(self, tokens: list[str]) -> Iterator[Piece]:
        """Longest phrases first, from the left."""
        forms = [self._form(token) for token in tokens]
        at = 0
        while at < len(tokens):
            end = at + self._longest
            found = self._phrase(tokens[at:end], forms[at:end])
            yield found or self._word(tokens[at], forms[at])
            at += len(found.said.split()) if found else 1

    def _phrase(self, tokens: list[str], forms: list[str]) -> Piece | None:
        """The longest phrase that begins `tokens`, each word as it stands or in its plain form."""
        for length in range(len(tokens), 0, -1):
            for key in itertools.product(*({t: 0, f: 0} for t, f in zip(tokens[:length], forms, strict=False))):
                if found := self.phrases.get(key):
                    plural = found.kind == "objects" and _is_plural(tokens[length - 1], key[-1])
                    return replace(found, said=" ".join(tokens[:length]), plural=plural)
        return None

    def _word(self, said: str, form: str) -> Piece:
        if mark := _MARKS.get(said):
            return Piece(said, (mark,), "mark")
        if form not in self._vocabulary:
            return Piece(said, (), "unknown")
        kind = self._kinds.get(form, "known")
        return Piece(said, (form,), kind, kind == "objects" and _is_plural(said, form))

    def _kind(self, word: str) -> str:
        found = self.phrases.get((word,))
        return found.kind if found else self._kinds.get(word, "known")

    def _plain_form(self, word: str) -> str:
        """A word as the bank or the vocabulary has it: with another ending, or without a slip; else as it is."""
        acting = [form for form in _participles(word) if form not in self._naming]
        for forms in (self._single, self._within):
            if known := next((form for form in (word, *_numbers(word), *acting) if form in forms), None):
                return known
        if not SLIP_LETTERS <= len(word) <= LONG_LETTERS or not word.isalpha():
            return word
        swapped = (word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1))
        if known := next((form for form in swapped if form in self._single), None):
            return known
        alike = sorted(known for known in self._vocabulary if known[0] == word[0] and len(known) >= SLIP_LETTERS)
        return next(iter(difflib.get_close_matches(word, alike, 1, SLIP_LIKE)), word)


def said_for(words: Sequence[str]) -> dict[str, list[str]]:
    """For each phrase that a vocabulary has, what else people say for it."""
    found: dict[str, list[str]] = {}
    for said, piece in Reader(words).phrases.items():
        if piece.kind in (*CONTENT, "other"):
            found.setdefault(" ".join(piece.read), []).append(" ".join(said))
    return found


def split(text: str) -> list[str]:
    """Lower-case words, numbers and punctuation marks of a prompt."""
    return _TOKEN.findall(text.lower().replace("\u2019", "'"))


@functools.cache
def meanings() -> dict[str, Any]:
    """The bank: for each kind of thing what people say for each phrase of the vocabulary."""
    return yaml.safe_load((Path(__file__).parent / "banks" / "meanings.yaml").read_text("utf-8"))


def _bank_phrases(bank: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Piece]]:
    """What is said, word by word, and how it is read."""
    lines = [(kind, target, said) for kind in (*CONTENT, "other") for target, said in bank[kind].items()]
    lines += [("counts", str(count), f"{count}, {said}") for count, said in bank["counts"].items()]
    lines += [(kind, "", bank[kind]) for kind in ("negations", "each other", "silent")]
    lines.append(("unknown", "", bank["jargon"]))
    for kind, target, said in lines:
        for phrase in _listed(said) if target != "known" else ():
            yield tuple(phrase.split()), Piece(phrase, tuple(target.split()), kind)


def _listed(line: str) -> list[str]:
    return [phrase.strip() for phrase in line.split(",") if phrase.strip()]


def _numbers(word: str) -> Iterator[str]:
    """What a word may be the plural, the possessive or the third person of, or they of it, the likeliest first."""
    if word.endswith("'s"):
        yield word[:-2]
    if word.endswith("ies"):
        yield word[:-3] + "y"
    if word.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
        yield word[:-2]
    if word.endswith("s") and not word.endswith("ss"):
        yield word[:-1]
    yield from (word + "s", word + "es")


def _participles(word: str) -> Iterator[str]:
    """What a word may be a past or participle of, the likeliest first."""
    if word.endswith("in"):
        yield from (word + "g", *_participles(word + "g"))
    for ending in ("ed", "ing"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) > 1:
            yield from (stem + "e", stem)
            if len(stem) > 2 and stem[-1] == stem[-2]:
                yield stem[:-1]


def _is_plural(said: str, form: str) -> bool:
    return said != form and said.endswith("s")
