"""Rules on the sentences of a prompt: what is denied, who does what, and small words that go with it.

Each takes the pieces of a prompt and returns what they become; `reading.py` finds the pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace

from .piece import ARTICLES, COLLIDE, DESCRIBING, NEAR, Piece, said, thing_after

# What a phrase of these says needs no preposition before it.
CLAUSES = ("skies", "weathers", "cameras", "actions")
PLACES = ("grounds", "skies", "weathers")
SMALL, ROLLING = ("silent", "glue"), ("rolls", "moves")
PLACING, BEING = ("on", "in", "at", "under", "with", "of", "from"), ("is", "are")
# What leads to a time of day, or to what somebody learns to do, and to places as well.
TO = ("to", "into")


def without_media(pieces: list[Piece], media: Set[str]) -> list[Piece]:
    """Without what only says how the picture is made: in "lego style" there is no brick, nor a ball in "rock music"."""
    made: list[Piece] = []
    for piece in pieces:
        at = len(made)
        if piece.said in media:
            at -= bool(at and made[at - 1].kind in ("objects", "actions") and not made[at - 1].plural)
            while at and made[at - 1].kind in DESCRIBING:
                at -= 1
        made[at:] = [Piece(said([*made[at:], piece]), (), "unknown")] if at < len(made) else [piece]
    return made


def affirmed(pieces: list[Piece]) -> list[Piece]:
    """Without what is denied: a model that reads "no rain" sees the rain. What does not act stands still."""
    made, at = [], 0
    while at < len(pieces):
        if pieces[at].kind != "negations":
            made.append(pieces[at])
            at += 1
            continue
        end = _denied(pieces, at + 1)
        still = any(piece.kind == "actions" for piece in pieces[at:end])
        denied = said(pieces[at:end])
        made.append(Piece(denied, ("stands", "still") if still else (), "actions" if still else "negations"))
        at = end
    return made


def idle(pieces: list[Piece]) -> list[Piece]:
    """Without what places and skies are said to do: "a glowing sunset" is a sunset."""
    made = list(pieces)
    for at, (before, piece, after) in enumerate(zip(pieces, pieces[1:], pieces[2:], strict=False), 1):
        if piece.kind == "actions" and after.kind in PLACES and before.said in ARTICLES + PLACING:
            made[at] = replace(piece, read=(), kind="unknown")
    return made


def acting_after(pieces: list[Piece]) -> list[Piece]:
    """With what there is before what it does, as in captions: "a spinning cube" is a cube spinning."""
    made = list(pieces)
    for at, piece in enumerate(pieces):
        begins = at == 0 or pieces[at - 1].kind in ("mark", *DESCRIBING) or pieces[at - 1].said in ARTICLES
        if piece.kind == "actions" and piece.said.endswith("ing") and not piece.collides and begins:
            end = thing_after(pieces, at + 1)
            if end is not None:
                made[at : end + 1] = [*pieces[at + 1 : end + 1], piece]
    return made


def into_each_other(pieces: list[Piece]) -> list[Piece]:
    """With one thing running into the other: "a ball and a cube collide" is a ball crashes into a cube."""
    made = [piece for piece in pieces if piece.kind != "each other"]
    for at, piece in enumerate(made):
        if not piece.collides:
            continue
        following = next((other for other in made[at + 1 :] if other.kind in ("objects", "mark")), None)
        joined = [index for index, other in enumerate(made[:at]) if "and" in other.read]
        if (following is None or following.kind == "mark") and joined:
            made[joined[-1]] = _parted(made[joined[-1]], piece)
            return made[:at] + made[at + 1 :]
    return made


def moving(pieces: list[Piece], movers: Mapping[str, str]) -> list[Piece]:
    """With what some things do where others roll: cars drive, birds fly."""
    made, mover = [], ""
    for piece in pieces:
        if piece.kind == "objects" and piece.read:
            mover = piece.read[-1]
        elif piece.kind == "mark" or piece.read == ("camera",):
            mover = ""
        elif piece.kind == "actions" and piece.read and piece.read[0] in ROLLING and mover in movers:
            piece = replace(piece, read=(movers[mover], *piece.read[1:]))
        made.append(piece)
    return made


def apart(pieces: list[Piece]) -> list[Piece]:
    """With "beside" between what a thing does and another thing: in the world nobody does a thing to another."""
    made: list[Piece] = []
    for at, piece in enumerate(pieces):
        if piece.said in ARTICLES and thing_after(pieces, at + 1) is not None:
            before = _doing(made)
            if (
                before
                and before.kind in ("actions", "objects", "weathers")
                and before.read[-1] not in (*COLLIDE, "into")
            ):
                made.append(Piece("beside", ("beside",), "glue"))
        made.append(piece)
    return made


def fitted(pieces: list[Piece]) -> list[Piece]:
    """Without the small words that led to something, where what it is read as brings its own.

    Grounds have no colour, material or size of their own, and what is on them is on them.
    """
    made: list[Piece] = []
    for piece in pieces:
        led_by: tuple[str, ...] = ()
        if piece.changed and (piece.kind in CLAUSES or piece.read[0] in PLACING):
            led_by = ARTICLES + PLACING + BEING + TO
        elif piece.changed and (piece.kind == "grounds" or piece.read[0] in ARTICLES):
            led_by = ARTICLES
        at = len(made)
        while at and (_leads(made[at - 1], led_by) or _describes(made[at - 1], piece)):
            at -= 1
            made[at] = replace(made[at], read=(), kind="unknown" if made[at].kind in DESCRIBING else made[at].kind)
        if at and piece.kind == "grounds" and piece.changed and made[at - 1].read == ("in",):
            made[at - 1] = replace(made[at - 1], read=("on",))
        made.append(piece)
    return made


def not_dangling(pieces: list[Piece]) -> list[Piece]:
    """Without small words that only led to something that was left out."""
    made: list[Piece] = []
    dangling, ends = False, True
    for piece in reversed(pieces):
        if not piece.read:
            dangling |= ends and piece.kind not in SMALL
        elif dangling and piece.kind == "glue":
            piece = replace(piece, read=())
        else:
            dangling, ends = False, piece.kind == "mark"
        made.append(piece)
    return made[::-1]


def said_once(pieces: list[Piece]) -> list[Piece]:
    """Without the beginning of what is read that the words before it end with, where any was said in another way."""
    made: list[Piece] = []
    words: list[str] = []
    anew = False
    for piece in pieces:
        if piece.read and (piece.changed or anew):
            anew = piece.changed
            most = min(len(piece.read), len(words))
            shared = next((n for n in range(most, 0, -1) if words[-n:] == list(piece.read[:n])), 0)
            piece = replace(piece, read=piece.read[shared:])
        made.append(piece)
        words += piece.read
    return made


def tidy(words: Iterable[str]) -> Iterator[str]:
    """Without what no clause begins or ends with, and with the article that a word wants."""
    last, comma = ".", False
    for word in words:
        if word == ",":
            comma = last != "."
            continue
        if word == last == "." or (word in ("of", "and") and (comma or last == ".")):
            continue
        if comma and word != ".":
            yield ","
        if last in ("a", "an") and word not in ("a", "an"):
            yield "an" if word[0] in "aeiou" else "a"
        if word not in ("a", "an"):
            yield word
        last, comma = word, False


def _doing(pieces: list[Piece]) -> Piece | None:
    """The last piece that is read, or what goes where that one says."""
    read = [piece for piece in pieces if piece.read]
    if read and read[-1].kind == "directions":
        read = [piece for piece in read if piece.kind not in ("directions", "glue")]
    return read[-1] if read else None


def _denied(pieces: list[Piece], at: int) -> int:
    """Where what a negation before `at` denies has ended: after the first thing that is named, and others with it.

    What comes after a "but" is so.
    """
    end = at
    while end < min(at + NEAR, len(pieces)) and pieces[end].kind != "mark" and pieces[end].said != "but":
        end += 1
        if pieces[end - 1].named:
            break
    while end + 1 < len(pieces) and pieces[end].said in ("and", "or", "nor") and pieces[end + 1].named:
        end += 2
    return end


def _leads(before: Piece, led_by: tuple[str, ...]) -> bool:
    """Whether `before` only leads to a piece, past what was left out."""
    return bool(led_by) and (not before.read or before.said in led_by)


def _describes(before: Piece, ground: Piece) -> bool:
    """Whether `before` says what a ground looks like, in other words than captions have for it."""
    return ground.kind == "grounds" and before.kind in DESCRIBING and (ground.changed or before.changed)


def _parted(things: Piece, action: Piece) -> Piece:
    """Two things with the action in place of their last "and"."""
    cut = len(things.read) - 1 - things.read[::-1].index("and")
    words = action.said if things.said == "and" else f"{things.said} {action.said}"
    return Piece(words, (*things.read[:cut], "crashes", "into", *things.read[cut + 1 :]), "objects")
