"""Captions from a grammar: dense sentences with paraphrases, short and loose forms, and tags.

Each phrase bank lists ways to say one class; the first entry is the plain one.
"""

from __future__ import annotations

import random

from .phrase import (
    ACTIONS,
    CAMERAS,
    COLOURS,
    DIRECTIONS,
    FLOATS,
    GLUE,
    GROUNDS,
    MATERIALS,
    SHAPES,
    SIZES,
    SKIES,
    SOUNDS,
    SPLASHES,
    STANDS,
    VOICES,
    WEATHERS,
)
from .physics import chirping, honking
from .scene import BEACON, BIRD, BOUNCE, CAR, COLLIDE, DRIVE, FLY, HOP, HOVER, ROLL, SPIN, STILL, TALK, WATER, Scenes

FORMS = (("dense", 0.5), ("short", 0.2), ("loose", 0.15), ("tags", 0.1), ("partial", 0.05))
# People leave these out when they write in a hurry; what is left still says the same.
OMITTED = frozenset(["a", "an", "the", "under", "on", "in", "at", "of", "is", "are", "it", "there", "day"])


def phrases() -> dict[str, tuple[tuple[str, ...], ...]]:
    """What can be said of each kind: kind to things, a thing to the ways to say it, the plain one first."""
    sounds = [*SOUNDS["impact"], *(bank for name, bank in SOUNDS.items() if name != "impact")]
    actions = [(*ACTIONS[STILL], *(way for bank in (*STANDS.values(), FLOATS) for way in bank)), *ACTIONS[1:]]
    banks = {
        "object": SHAPES, "colour": COLOURS, "material": MATERIALS, "size": SIZES, "action": actions,
        "direction": DIRECTIONS, "ground": GROUNDS, "sky": SKIES, "weather": WEATHERS, "camera": CAMERAS,
        "sound": tuple(sounds), "besides": (*VOICES.values(), SPLASHES),
    }  # fmt: skip
    said = {kind: [tuple(dict.fromkeys(filter(None, ways))) for ways in bank] for kind, bank in banks.items()}
    return {kind: tuple(filter(None, things)) for kind, things in said.items()}


def vocabulary() -> tuple[str, ...]:
    """Every lower-case word and mark that the grammar can emit, sorted."""
    banks = [*SHAPES, *COLOURS, *MATERIALS, *SIZES, *GROUNDS, *SKIES, *WEATHERS, *CAMERAS, *ACTIONS, *DIRECTIONS]
    banks += [*STANDS.values(), *VOICES.values(), FLOATS, SPLASHES]
    banks += [*SOUNDS["impact"], *(bank for name, bank in SOUNDS.items() if name != "impact")]
    words = {word for bank in banks for phrase in bank for word in phrase.split()}
    return tuple(sorted(words | set(GLUE.split()) | {".", ","}))


def captions(scenes: Scenes, *, seed: int, form: str = "mixed") -> list[str]:
    """One caption a scene; `form` is one of `FORMS`, or mixed (the training mixture)."""
    if form not in (known := (*dict(FORMS), "mixed")):
        raise ValueError(f"Unknown caption form {form!r}: choose one of {', '.join(known)}.")
    data = {name: getattr(scenes, name).tolist() for name in scenes.__dataclass_fields__ if name in _NEEDED}
    data["calls"] = (honking(scenes) | chirping(scenes)).tolist()
    rng = random.Random(seed)
    texts = []
    for index in range(len(scenes)):
        facts = {name: value[index] for name, value in data.items()}
        chosen = rng.choices([f for f, _ in FORMS], [w for _, w in FORMS])[0] if form == "mixed" else form
        texts.append(_WRITERS[chosen](facts, rng))
    return texts


_NEEDED = {
    "sky",
    "ground",
    "weather",
    "camera",
    "present",
    "shape",
    "colour",
    "material",
    "size",
    "action",
    "direction",
}


def _pick(rng: random.Random, bank: tuple[str, ...]) -> str:
    return bank[0] if rng.random() < 0.5 else rng.choice(bank)


def _thing(facts: dict, slot: int, rng: random.Random, detail: float) -> str:
    words = []
    if rng.random() < detail:
        words.append(_pick(rng, SIZES[facts["size"][slot]]))
    words.append(_pick(rng, COLOURS[facts["colour"][slot]]))
    if rng.random() < detail * 0.8 and facts["shape"][slot] < CAR:
        words.append(_pick(rng, MATERIALS[facts["material"][slot]]))
    words.append(_pick(rng, SHAPES[facts["shape"][slot]]))
    return ("an " if words[0][0] in "aeiou" else "a ") + " ".join(words)


def _act(facts: dict, slot: int, rng: random.Random) -> str:
    action, shape = facts["action"][slot], facts["shape"][slot]
    wet = facts["ground"] == WATER
    bank = ACTIONS[action]
    if action == STILL:
        bank = FLOATS if wet else STANDS.get(shape, bank)
    verb = _pick(rng, bank)
    if action in (ROLL, DRIVE, FLY):
        verb += f" {_pick(rng, DIRECTIONS[facts['direction'][slot]])}"
    if wet and action in (BOUNCE, HOP) and rng.random() < 0.5:
        verb += f" {_pick(rng, SPLASHES)}"
    if slot == 0 and facts["calls"] and rng.random() < 0.7:
        verb += f" {_pick(rng, VOICES[shape])}"
    return verb


def _subject(facts: dict, rng: random.Random, detail: float, direction: float = 0.5) -> tuple[str, list[str]]:
    """The sentence about the first object, and one clause for each other object.

    `direction` is how often a collision says to which side it goes; rolling, driving and flying always do.
    """
    others = [slot for slot, here in enumerate(facts["present"]) if here and slot > 0]
    first = f"{_thing(facts, 0, rng, detail)} {_act(facts, 0, rng)}"
    if facts["action"][0] == COLLIDE:
        first = f"{first} {_thing(facts, others[0], rng, detail)}"
        if rng.random() < direction:
            first += f" {_pick(rng, DIRECTIONS[facts['direction'][0]])}"
        others = others[1:]
    rest = []
    for slot in others:
        thing = _thing(facts, slot, rng, detail)
        if facts["action"][slot] == STILL and rng.random() < 0.6:
            rest.append(rng.choice((f"beside it is {thing}", f"there is {thing}", f"with {thing}")))
        else:
            rest.append(f"{thing} {_act(facts, slot, rng)}")
    return first, rest


def _heard(facts: dict, rng: random.Random) -> str:
    names, action = [], facts["action"][0]
    if action in (BOUNCE, HOP, COLLIDE):
        wet = facts["ground"] == WATER
        names.append(_pick(rng, SOUNDS["splash"] if wet else SOUNDS["impact"][facts["material"][0]]))
    steady = {ROLL: "roll", SPIN: "whirr", HOVER: "hum", BEACON: "beep", DRIVE: "engine", TALK: "voice"}
    if action in steady:
        names.append(_pick(rng, SOUNDS[steady[action]]))
    if facts["calls"]:
        names.append(_pick(rng, SOUNDS["chirp" if facts["shape"][0] == BIRD else "honk"]))
    weather = {1: ("rain",), 2: ("wind",), 3: ("thunder", "rain")}.get(facts["weather"], ())
    dry = {2: ("crickets",), 0: ("birds",)}.get(facts["sky"], ()) if facts["weather"] == 0 else ()
    names += [_pick(rng, SOUNDS[name]) for name in (*weather, *dry)]
    return rng.choice(("sound of ", "audio ", "we hear ", "")) + " and ".join(names) if names else ""


def _place(facts: dict, rng: random.Random) -> str:
    over = facts["action"][0] == FLY and rng.random() < 0.7
    return f"{'over' if over else 'on'} {_pick(rng, GROUNDS[facts['ground']])}"


def _dense(facts: dict, rng: random.Random) -> str:
    first, rest = _subject(facts, rng, 0.85, direction=1.0)
    place = _place(facts, rng)
    light = _pick(rng, SKIES[facts["sky"]])
    more = [_pick(rng, WEATHERS[facts["weather"]]), rng.choice(CAMERAS[facts["camera"]]), *rest]
    if rng.random() < 0.5:
        more.append(_heard(facts, rng))
    rng.shuffle(more)
    opening = rng.choice((f"{first} {place} {light}", f"{light} , {first} {place}", f"{place} , {first} {light}"))
    return " . ".join([opening, *filter(None, more)]) + " ."


def _short(facts: dict, rng: random.Random) -> str:
    first, rest = _subject(facts, rng, 0.35)
    parts = [_place(facts, rng)]
    extra = [_pick(rng, SKIES[facts["sky"]]), _pick(rng, WEATHERS[facts["weather"]])]
    parts += [part for part in extra if part and rng.random() < 0.75]
    joined = " and ".join([first, *rest]) if rest else first
    return f"{joined} " + rng.choice((" ", " , ")).join(parts)


def _loose(facts: dict, rng: random.Random) -> str:
    """As it comes to mind: what there is in any order, without some or all of the small words."""
    first, rest = _subject(facts, rng, 0.5, direction=0.8)
    around = [_place(facts, rng), _pick(rng, SKIES[facts["sky"]]), _pick(rng, WEATHERS[facts["weather"]])]
    around += [rng.choice(CAMERAS[facts["camera"]]), _heard(facts, rng) if rng.random() < 0.25 else ""]
    said = [*rest, *(part for part in around if rng.random() < 0.85)]
    rng.shuffle(said)
    kept = rng.choice((0.0, 0.0, 0.5))
    parts = [_without_small_words(part, kept, rng) for part in (first, *said) if part]
    return rng.choice((" , ", " , ", " ")).join(parts)


def _without_small_words(text: str, kept: float, rng: random.Random) -> str:
    """`text` without the words that are `OMITTED`, each of which stays with the chance `kept`."""
    words = text.split()
    # To zoom in is another thing than to zoom.
    following = zip(["", *words], words, strict=False)
    return " ".join(word for last, word in following if word not in OMITTED or "zoom" in last or rng.random() < kept)


def _tags(facts: dict, rng: random.Random) -> str:
    tags = [
        f"{_pick(rng, COLOURS[facts['colour'][s]])} {_pick(rng, SHAPES[facts['shape'][s]])}"
        for s in range(3)
        if facts["present"][s]
    ]
    tags += [_act(facts, 0, rng), _pick(rng, GROUNDS[facts["ground"]]), _pick(rng, SKIES[facts["sky"]])]
    tags += [_pick(rng, WEATHERS[facts["weather"]])]
    head, tail = tags[0], [t for t in tags[1:] if t]
    rng.shuffle(tail)
    return " , ".join([head, *tail])


def _partial(facts: dict, rng: random.Random) -> str:
    first, _ = _subject(facts, rng, 0.3)
    return rng.choice((first, f"{first} {_pick(rng, SKIES[facts['sky']])}", _thing(facts, 0, rng, 0.5)))


_WRITERS = {"dense": _dense, "short": _short, "loose": _loose, "tags": _tags, "partial": _partial}
