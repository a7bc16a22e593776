"""Texts as they are meant: what a spelling hides, and words in other inflections."""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata

# Letters of other alphabets, and signs, that are written for Latin ones.
ALIKE = str.maketrans({
    "а": "a", "в": "b", "е": "e", "к": "k", "м": "m", "н": "h", "о": "o", "р": "p", "с": "c", "т": "t", "у": "y",
    "х": "x", "і": "i", "ј": "j", "ѕ": "s", "ԁ": "d", "α": "a", "β": "b", "ε": "e", "ι": "i", "κ": "k", "ν": "v",
    "ο": "o", "ρ": "p", "τ": "t", "υ": "u", "ѵ": "v", "ɡ": "g", "ı": "i", "ø": "o", "ł": "l",
})  # fmt: skip
SIGNS = str.maketrans("013457@$!|+€", "oieastasilte")
# A word that is as much like one of a list as this is read as it, if it is at least so long and begins alike.
LIKE, LONG = 0.87, 6
# A name of so many letters is read as a whole, for its words vouch for each other; one of nine may have another letter,
# one of eight may not ("Tom hangs" is no Tom Hanks).
NAME_LIKE, NAME_LONG = 0.88, 8


def readings(text: str) -> tuple[tuple[str, ...], ...]:
    """The words of a text, read in several ways: as they stand, signs as letters, single letters put together."""
    plain = _folded(text)
    signs = re.sub(r"\S*[a-z]\S*", lambda found: found[0].translate(SIGNS), plain)
    together = re.sub(r"\b[a-z](?:[\s.\-_*]{1,2}[a-z]\b){2,}", _joined, plain)
    found = [tuple(re.findall(r"[a-z0-9*]+", way.replace("'", ""))) for way in (plain, signs, together)]
    return tuple(dict.fromkeys((*found, tuple(_unstretched(word) for word in found[1]))))


def without(words: tuple[str, ...], phrases: tuple[str, ...]) -> tuple[str, ...]:
    """Words with every phrase taken out."""
    text = f" {' '.join(words)} "
    for phrase in phrases:
        text = re.sub(rf" {re.escape(phrase)}(?:s|es)? ", " | ", text)
    return tuple(text.split())


def find(words: tuple[str, ...], phrase: str) -> str | None:
    """Where a phrase stands in words, as it is written there; None where it does not."""
    wanted = phrase.split()
    for start in range(len(words) - len(wanted) + 1):
        part = words[start : start + len(wanted)]
        if all(same(word, known) for word, known in zip(part, wanted, strict=True)):
            return " ".join(part)
    return None


def find_name(words: tuple[str, ...], name: str) -> str | None:
    """Where a name stands in words, or what is spelled almost like all of it, in as many words or in one."""
    wanted = name.split()
    if (found := find(words, name)) or len(wanted) < 2 or len(name) < NAME_LONG:
        return found
    for length in (len(wanted), 1):
        for start in range(len(words) - length + 1):
            part = words[start : start + length]
            begin = all(word[0] == known[0] for word, known in zip(part, wanted, strict=False))
            if begin and _likeness("".join(part), "".join(wanted)) >= NAME_LIKE:
                return " ".join(part)
    return None


@functools.lru_cache(maxsize=65536)
def same(word: str, known: str) -> bool:
    """Whether a word is a known one, in some inflection or spelling."""
    if word == known or word in _inflected(known):
        return True
    if "*" in word and len(word.strip("*")) > 1:
        return re.fullmatch(word.replace("*", "[a-z]?"), known) is not None
    if min(len(word), len(known)) < LONG or word[0] != known[0]:
        return False
    return _likeness(word, known) >= LIKE


def _likeness(one: str, other: str) -> float:
    """The share of letters that two words have in common, in order."""
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


@functools.lru_cache(maxsize=4096)
def _inflected(word: str) -> frozenset[str]:
    if len(word) < 3:
        return frozenset()
    stem = word[:-1] if word.endswith("e") else word
    endings = [f"{word}s", f"{word}es", f"{word}d", f"{stem}ed", f"{stem}ing", f"{stem}er", f"{stem}ers"]
    endings += [f"{word}{word[-1]}{end}" for end in ("ed", "ing", "er", "ers")]
    return frozenset(endings)


def _folded(text: str) -> str:
    """Lower-case letters without marks on them, and nothing that is not seen."""
    apart = unicodedata.normalize("NFKD", text.lower()).translate(ALIKE)
    return "".join(sign for sign in apart if unicodedata.category(sign) not in ("Mn", "Cf", "Cc") or sign.isspace())


def _joined(spelled: re.Match[str]) -> str:
    """Single letters as a word; the first may be one of its own."""
    letters = re.sub(r"[^a-z]", "", spelled[0])
    return f"{letters} {letters[0]} {letters[1:]}"


def _unstretched(word: str) -> str:
    """A word whose letters were repeated three times and more."""
    return re.sub(r"([a-z])\1{2,}", r"\1", word)
