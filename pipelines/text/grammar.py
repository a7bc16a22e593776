"""Rules that turn what people write into the few kinds of sentences that a model was trained on.

Each takes the pieces of a prompt and returns what they become; `reading.py` finds the pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace

DESCRIBING = ("colours", "materials", "sizes")
CONTENT = ("objects", *DESCRIBING, "grounds", "skies", "weathers", "cameras", "actions", "directions", "sounds")
# What a phrase of these says needs no preposition before it.
CLAUSES = ("skies", "weathers", "cameras", "actions")
SMALL, ROLLING = ("silent", "glue"), ("rolls", "moves")
ARTICLES, PLACING, BEING = ("a", "an", "the"), ("on", "in", "at", "under", "with", "of", "from"), ("is", "are")
COLLIDE = ("crashes", "collides", "hits")
# Colours of things that none is said of, in turn.
PALETTE = ("red", "blue", "yellow", "green", "white", "purple", "orange", "pink", "cyan", "black")
# As far as this a "no" looks for what it denies, and a number for what it counts.
NEAR = 5
MOST = 3


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


@dataclass(frozen=True)
class Named:
    """A thing by its `noun`, the `word` of the piece `at`; whether it has a colour, and whether it is another one."""

    at: int
    word: int
    noun: str
    coloured: bool
    anew: bool


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
        said = _said(pieces[at:end])
        made.append(Piece(said, ("stands", "still") if still else (), "actions" if still else "negations"))
        at = end
    return made


def referring(pieces: list[Piece]) -> list[Piece]:
    """With the thing itself for "one" in "a green one"."""
    made: list[Piece] = []
    thing: Piece | None = None
    for piece in pieces:
        if thing and piece.said in ("one", "ones") and made[-1].kind in DESCRIBING:
            piece = replace(thing, said=piece.said, plural=piece.said == "ones")
        elif piece.kind == "objects":
            thing = piece
        made.append(piece)
    return made


def acting_after(pieces: list[Piece]) -> list[Piece]:
    """With what there is before what it does, as in captions: "a spinning cube" is a cube spinning."""
    made = list(pieces)
    for at, piece in enumerate(pieces):
        begins = at == 0 or pieces[at - 1].kind in ("mark", *DESCRIBING) or pieces[at - 1].said in ARTICLES
        if piece.kind == "actions" and piece.said.endswith("ing") and piece.read[0] not in COLLIDE and begins:
            end = _thing_after(pieces, at + 1)
            if end is not None:
                made[at : end + 1] = [*pieces[at + 1 : end + 1], piece]
    return made


def coloured(pieces: list[Piece], only_before_things: Mapping[str, str]) -> list[Piece]:
    """With the colours that some words are only where a thing follows."""
    made = list(pieces)
    for at, piece in enumerate(pieces):
        if (colour := only_before_things.get(piece.said)) and _thing_after(pieces, at + 1) is not None:
            made[at] = Piece(piece.said, (colour,), "colours")
    return made


def each_its_colour(pieces: list[Piece]) -> list[Piece]:
    """With the thing after each of its colours: "a red and a blue cube" are a red cube and a blue cube."""
    made, at = [], 0
    while at < len(pieces):
        colours, after = _colours(pieces, at)
        end = _thing_after(pieces, after) if len(colours) > 1 else None
        if end is None:
            made.append(pieces[at])
            at += 1
            continue
        thing = _described(pieces[after : end + 1])
        read = [word for colour in colours for word in ("and", "a", *colour.read, *thing)][1:]
        if made and made[-1].kind == "counts":
            made.pop()
        made.append(Piece(_said(pieces[at : end + 1]), tuple(read), "objects"))
        at = end + 1
    return made


def counted(pieces: list[Piece], alone: frozenset[str]) -> list[Piece]:
    """With a thing as often as it is counted: "two red balls" are a red ball and a red ball; what is `alone`, once."""
    made, at = [], 0
    while at < len(pieces):
        begin = at + (pieces[at].kind == "counts")
        count = int(pieces[at].read[0]) if begin > at else 2 * _are_several(pieces, at)
        end = _thing_after(pieces, begin) if count else None
        if end is None:
            made.append(replace(pieces[at], read=()) if begin > at else pieces[at])
            at += 1
            continue
        thing = ("a", *_described(pieces[begin : end + 1]))
        several = 0 if thing[-1] in alone else min(count, MOST) - 1
        made.append(Piece(_said(pieces[at : end + 1]), thing + ("and", *thing) * several, "objects"))
        at = end + 1
    return made


def into_each_other(pieces: list[Piece]) -> list[Piece]:
    """With one thing running into the other: "a ball and a cube collide" is a ball crashes into a cube."""
    made = [piece for piece in pieces if piece.kind != "each other"]
    for at, piece in enumerate(made):
        if piece.kind != "actions" or not piece.read or piece.read[0] not in COLLIDE:
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
        if piece.kind == "objects":
            mover = piece.read[-1]
        elif piece.kind == "mark" or piece.read == ("camera",):
            mover = ""
        elif piece.kind == "actions" and piece.read and piece.read[0] in ROLLING and mover in movers:
            piece = replace(piece, read=(movers[mover], *piece.read[1:]))
        made.append(piece)
    return made


def all_coloured(pieces: list[Piece], things: Set[str], alone: Set[str], colours: Set[str]) -> list[Piece]:
    """With a colour for each of the `things`, as captions have: one that is said elsewhere, or else of the palette.

    What is `alone` is one and the same wherever it is named, and so is what is named again without "a".
    """
    said = {word for piece in pieces for word in piece.read if word in colours}
    loose = [at for at, piece in enumerate(pieces) if piece.kind == "colours" and _describes_nothing(pieces, at + 1)]
    spare = iter([*((at, pieces[at].read[0]) for at in loose), *((None, word) for word in PALETTE if word not in said)])
    named = list(_named(pieces, things, colours))
    seen = {"alone"} if any(thing.noun in alone and thing.coloured for thing in named) else set()
    made = [list(piece.read) for piece in pieces]
    for thing in named:
        name = "alone" if thing.noun in alone else thing.noun
        anew = name not in seen or (thing.anew and name != "alone")
        if anew and not thing.coloured and (found := next(spare, None)):
            taken, colour = found
            place = len(made[thing.at]) - (len(pieces[thing.at].read) - thing.word)
            made[thing.at].insert(place, colour)
            if taken is not None:
                made[taken].clear()
        seen.add(name)
    return [replace(piece, read=tuple(read)) for piece, read in zip(pieces, made, strict=True)]


def fitted(pieces: list[Piece]) -> list[Piece]:
    """Without the small words that led to something, where what it is read as brings its own."""
    made: list[Piece] = []
    for piece in pieces:
        led_by: tuple[str, ...] = ()
        if piece.changed and (piece.kind in CLAUSES or piece.read[0] in PLACING):
            led_by = ARTICLES + PLACING + BEING
        elif piece.changed and (piece.kind == "grounds" or piece.read[0] in ARTICLES):
            led_by = ARTICLES
        at = len(made)
        while led_by and at and _leads(made[at - 1], piece, led_by):
            at -= 1
            made[at] = replace(made[at], read=())
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
    """Without what no clause begins with, and with the article that a word wants."""
    last = "."
    for word in words:
        if last in (".", ",") and word in (".", ",", "of", "and"):
            continue
        if last in ("a", "an") and word not in ("a", "an"):
            yield "an" if word[0] in "aeiou" else "a"
        if word not in ("a", "an"):
            yield word
        last = word


def _named(pieces: list[Piece], things: Set[str], colours: Set[str]) -> Iterator[Named]:
    """Every thing that is named. After "a" it is another one, and so is each where one phrase names several."""
    coloured, article = False, ""
    for at, piece in enumerate(pieces):
        several = sum(word in things for word in piece.read) > 1
        for index, word in enumerate(piece.read):
            if piece.kind == "objects" and word in things:
                yield Named(at, index, word, coloured, several or article in ("a", "an"))
                article = ""
            coloured = word in colours or (coloured and piece.kind in DESCRIBING)
            article = word if word in ARTICLES else article


def _describes_nothing(pieces: list[Piece], at: int) -> bool:
    """Whether no thing or place follows that a colour before `at` could be that of."""
    following = next((piece for piece in pieces[at:] if piece.read), None)
    return following is None or following.kind in ("mark", "actions", "directions", "glue", "cameras")


def _leads(before: Piece, piece: Piece, led_by: tuple[str, ...]) -> bool:
    """Whether `before` only leads to a piece, past what was left out; a ground has no size."""
    return not before.read or before.said in led_by or (piece.kind == "grounds" and before.kind == "sizes")


def _said(pieces: list[Piece]) -> str:
    return " ".join(piece.said for piece in pieces)


def _described(pieces: list[Piece]) -> tuple[str, ...]:
    """A thing and what it looks like, without anything else."""
    return tuple(word for piece in pieces if piece.kind in (*DESCRIBING, "objects") for word in piece.read)


def _thing_after(pieces: list[Piece], at: int) -> int | None:
    """Where the thing stands that begins at `at`, with what describes it before; None where none does."""
    for index in range(at, min(at + NEAR, len(pieces))):
        if pieces[index].kind == "objects":
            return index
        if pieces[index].kind not in (*DESCRIBING, "unknown"):
            return None
    return None


def _are_several(pieces: list[Piece], at: int) -> bool:
    """Whether here begins a thing in the plural, which no number counts."""
    end = _thing_after(pieces, at) if pieces[at].kind in (*DESCRIBING, "objects") else None
    return end is not None and pieces[end].plural


def _denied(pieces: list[Piece], at: int) -> int:
    """Where what a negation before `at` denies has ended: after the first thing that is named, and others with it."""
    end = at
    while end < min(at + NEAR, len(pieces)) and pieces[end].kind != "mark":
        end += 1
        if pieces[end - 1].named:
            break
    while end + 1 < len(pieces) and pieces[end].said in ("and", "or", "nor") and pieces[end + 1].named:
        end += 2
    return end


def _colours(pieces: list[Piece], at: int) -> tuple[list[Piece], int]:
    """Colours in a row, the last after an "and", and where they end."""
    colours, joined = [], False
    while at < len(pieces) and pieces[at].kind == "colours":
        colours.append(pieces[at])
        at += 1
        if joined or at == len(pieces) or pieces[at].said not in ("and", ",", "&"):
            break
        joined = pieces[at].said != ","
        at += 1
        while at < len(pieces) and pieces[at].said in ("and", *ARTICLES, "one"):
            joined |= pieces[at].said == "and"
            at += 1
    return (colours if joined else colours[:1]), at


def _parted(things: Piece, action: Piece) -> Piece:
    """Two things with the action in place of their last "and"."""
    cut = len(things.read) - 1 - things.read[::-1].index("and")
    said = action.said if things.said == "and" else f"{things.said} {action.said}"
    return Piece(said, (*things.read[:cut], "crashes", "into", *things.read[cut + 1 :]), "objects")
