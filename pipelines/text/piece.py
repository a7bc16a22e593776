"""Parts of a prompt, as they are said and as a model reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DESCRIBING = ("colours", "materials", "sizes")
CONTENT = ("objects", *DESCRIBING, "grounds", "skies", "weathers", "cameras", "actions", "directions", "sounds")
ARTICLES = ("a", "an", "the")
COLLIDE = ("crashes", "collides", "hits")
# As far as this a "no" looks for what it denies, and a number for what it counts.
NEAR = 5


@dataclass(frozen=True)
class Piece:
    """One or more words as they were `said`, and as they are `read`; `kind` is a section of the bank.

    Other kinds are mark, glue, known (a word of no section), and unknown; `plural` marks a thing in the plural.
    """

    said: str
    read: tuple[str, ...]
    kind: str
    plural: bool = False

    @property
    def changed(self) -> bool:
        """Whether it is read as something else than it says."""
        return bool(self.read) and self.said != " ".join(self.read)

    @property
    def named(self) -> bool:
        """Whether it names something that is seen or heard, and not only how."""
        return self.kind in CONTENT and self.kind not in DESCRIBING

    @property
    def collides(self) -> bool:
        """Whether it says that one thing runs into another."""
        return self.kind == "actions" and bool(self.read) and self.read[0] in COLLIDE


def said(pieces: Sequence[Piece]) -> str:
    """The words of pieces as they were said."""
    return " ".join(piece.said for piece in pieces)


def described(pieces: Sequence[Piece]) -> tuple[str, ...]:
    """A thing and what it looks like, without anything else."""
    return tuple(word for piece in pieces if piece.kind in (*DESCRIBING, "objects") for word in piece.read)


def thing_after(pieces: Sequence[Piece], at: int) -> int | None:
    """Where the thing stands that begins at `at`, with what describes it before; None where none does."""
    for index in range(at, min(at + NEAR, len(pieces))):
        if pieces[index].kind == "objects":
            return index
        if pieces[index].kind not in (*DESCRIBING, "unknown"):
            return None
    return None
