"""Rules on the things of a prompt: how many they are, which colour each has, which of them a model can show.

Each takes the pieces of a prompt and returns what they become; `reading.py` finds the pieces.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace

from .piece import ARTICLES, DESCRIBING, Piece, described, said, thing_after

# Colours of things that none is said of, in turn.
PALETTE = ("red", "blue", "yellow", "green", "white", "purple", "orange", "pink", "cyan", "black")
MOST = 3
# What stands between what each of several things looks like.
BETWEEN = (
    "one", "ones", "other", "another", "first", "second", "third", "last", "is", "are", "of", "in", "and", *ARTICLES,
)  # fmt: skip


@dataclass(frozen=True)
class Named:
    """A thing by its `noun`, the `word` of the piece `at`; its `colour` or "", and whether it is another one."""

    at: int
    word: int
    noun: str
    colour: str
    anew: bool


def shared_out(pieces: list[Piece]) -> list[Piece]:
    """With each of several things as it is said to be: "two cubes, one red and one blue" are two of them."""
    made, rest = [], pieces
    while rest:
        count, begin, end = _several(rest, 0)
        looks, start, after = _looks_of(rest, end + 1, count) if count else ([], 0, 0)
        if not looks or any(piece.kind == "colours" for piece in rest[:end]):
            made.append(rest[0])
            rest = rest[1:]
            continue
        thing = described(rest[begin : end + 1])
        read = tuple(word for look in looks[:MOST] for word in ("and", "a", *look, *thing))[1:]
        made.append(Piece(said(rest[: end + 1]), read, "objects"))
        rest = [*rest[end + 1 : start], *rest[after:]]
    return made


def headed(pieces: list[Piece]) -> list[Piece]:
    """With the last of several nouns, which says what it is: "a robot parrot" is a bird, "a stone cube" is on no stone.

    In the model's own words they are several things: "ball cube cone".
    """
    made = list(pieces)
    for at, (piece, after) in enumerate(itertools.pairwise(pieces)):
        before = pieces[at - 1] if at else piece
        noun = piece.kind == "objects" and not piece.plural and (piece.changed or after.changed)
        place = piece.kind == "grounds" and (before.kind in DESCRIBING or before.said in ("a", "an"))
        if after.kind == "objects" and (noun or place):
            made[at] = replace(piece, read=(), kind="unknown")
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


def coloured(pieces: list[Piece], only_before_things: Mapping[str, str]) -> list[Piece]:
    """With the colours that some words are only where a thing follows."""
    made = list(pieces)
    for at, piece in enumerate(pieces):
        if (colour := only_before_things.get(piece.said)) and thing_after(pieces, at + 1) is not None:
            made[at] = Piece(piece.said, (colour,), "colours")
    return made


def each_its_colour(pieces: list[Piece]) -> list[Piece]:
    """With the thing after each of its colours: "a red and a blue cube" are a red cube and a blue cube."""
    made, at = [], 0
    while at < len(pieces):
        colours, after = _colours(pieces, at)
        end = thing_after(pieces, after) if len(colours) > 1 else None
        if end is None:
            made.append(pieces[at])
            at += 1
            continue
        thing = described(pieces[after : end + 1])
        read = [word for colour in colours for word in ("and", "a", *colour.read, *thing)][1:]
        if made and made[-1].kind == "counts":
            made.pop()
        made.append(Piece(said(pieces[at : end + 1]), tuple(read), "objects"))
        at = end + 1
    return made


def counted(pieces: list[Piece], alone: Set[str]) -> list[Piece]:
    """With a thing as often as it is counted: "two red balls" are a red ball and a red ball; what is `alone`, once."""
    made, at = [], 0
    while at < len(pieces):
        count, begin, end = _several(pieces, at)
        if not count:
            made.append(replace(pieces[at], read=()) if pieces[at].kind == "counts" else pieces[at])
            at += 1
            continue
        thing = ("a", *described(pieces[begin : end + 1]))
        several = 0 if thing[-1] in alone else min(count, MOST) - 1
        made.append(Piece(said(pieces[at : end + 1]), thing + ("and", *thing) * several, "objects"))
        at = end + 1
    return made


def all_coloured(pieces: list[Piece], things: Set[str], alone: Set[str], colours: Set[str]) -> list[Piece]:
    """With a colour for each of the `things`, as captions have: one that is said elsewhere, or else of the palette.

    What is `alone` is one and the same wherever it is named, and so is what is named again without "a".
    """
    told = {word for piece in pieces for word in piece.read if word in colours}
    loose = [at for at, piece in enumerate(pieces) if piece.kind == "colours" and _describes_nothing(pieces, at + 1)]
    spare = iter([*((at, pieces[at].read[0]) for at in loose), *((None, word) for word in PALETTE if word not in told)])
    named = list(_named(pieces, things, colours))
    seen = {"alone"} if any(thing.noun in alone and thing.colour for thing in named) else set()
    made = [list(piece.read) for piece in pieces]
    for thing in named:
        name = "alone" if thing.noun in alone else thing.noun
        anew = name not in seen or (thing.anew and name != "alone")
        if anew and not thing.colour and (found := next(spare, None)):
            taken, colour = found
            place = len(made[thing.at]) - (len(pieces[thing.at].read) - thing.word)
            made[thing.at].insert(place, colour)
            if taken is not None:
                made[taken].clear()
        seen.add(name)
    return [replace(piece, read=tuple(read)) for piece, read in zip(pieces, made, strict=True)]


def one_alone(pieces: list[Piece], things: Set[str], alone: Mapping[str, str], colours: Set[str]) -> list[Piece]:
    """With other things for all but the first of what is `alone`: the world has a car or a bird, never both.

    A kind that is named again is the same one, unless it is another one in another colour.
    """
    made = [list(piece.read) for piece in pieces]
    first, colour = "", ""
    for thing in _named(pieces, things, colours):
        if thing.noun not in alone:
            continue
        kind = alone[thing.noun]
        if not first:
            first, colour = kind, thing.colour
        elif kind != first or (thing.anew and colour and thing.colour not in ("", colour)):
            made[thing.at][thing.word] = kind
    return [replace(piece, read=tuple(read)) for piece, read in zip(pieces, made, strict=True)]


def _several(pieces: list[Piece], at: int) -> tuple[int, int, int]:
    """How many things are named here, by a number or a plural, where what describes them begins, and where they end.

    Zero where they are not several.
    """
    begin = at + (pieces[at].kind == "counts")
    if begin == at and pieces[at].kind not in (*DESCRIBING, "objects"):
        return 0, at, at
    end = thing_after(pieces, begin)
    if end is None or not (begin > at or pieces[end].plural):
        return 0, at, at
    return int(pieces[at].read[0]) if begin > at else 2, begin, end


def _looks_of(pieces: list[Piece], at: int, count: int) -> tuple[list[tuple[str, ...]], int, int]:
    """What each of `count` things looks like, where that begins, at `at` or at the next "one", and where it ends."""
    one = next((index for index in range(at, len(pieces)) if pieces[index].said == "one"), at)
    for start in (at, one):
        looks, after = _looks(pieces, start)
        if len(looks) >= count:
            return looks, start, after
    return [], at, at


def _looks(pieces: list[Piece], at: int) -> tuple[list[tuple[str, ...]], int]:
    """Colours, materials and sizes that are said one after the other from `at` on, and where that ends."""
    looks: list[tuple[str, ...]] = []
    look: tuple[str, ...] = ()
    after = index = at
    while index < len(pieces) and (pieces[index].kind in (*DESCRIBING, "mark") or pieces[index].said in BETWEEN):
        piece = pieces[index]
        index += 1
        if piece.kind in DESCRIBING:
            look += piece.read
        elif look:
            looks, look, after = [*looks, look], (), index - (piece.said not in ("one", "ones"))
    # What is said right before another thing is said of that one.
    if look and (index == len(pieces) or pieces[index].kind != "objects"):
        looks, after = [*looks, look], index
    return looks, after


def _named(pieces: list[Piece], things: Set[str], colours: Set[str]) -> Iterator[Named]:
    """Every thing that is named. After "a" it is another one, and so is each where one phrase names several."""
    colour, article = "", ""
    for at, piece in enumerate(pieces):
        several = sum(word in things for word in piece.read) > 1
        for index, word in enumerate(piece.read):
            if piece.kind == "objects" and word in things:
                yield Named(at, index, word, colour, several or article in ("a", "an"))
                article = ""
            colour = word if word in colours else colour * (piece.kind in DESCRIBING)
            article = word if word in ARTICLES else article


def _describes_nothing(pieces: list[Piece], at: int) -> bool:
    """Whether no thing or place follows that a colour before `at` could be that of."""
    following = next((piece for piece in pieces[at:] if piece.read), None)
    return following is None or following.kind in ("mark", "actions", "directions", "glue", "cameras")


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
