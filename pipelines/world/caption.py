"""Captions from a grammar: dense sentences with paraphrases, short forms, and tags.

Each phrase bank lists ways to say one class; the first entry is the plain one.
"""

from __future__ import annotations

import random

from .scene import BOUNCE, COLLIDE, HOP, ROLL, STILL, Scenes

SHAPES = (("ball", "sphere", "orb"), ("cube", "box", "block"), ("cylinder", "can", "drum"), ("cone", "pyramid"))
COLOURS = (
    ("red", "crimson", "scarlet"), ("orange",), ("yellow", "golden"), ("green",), ("cyan", "turquoise", "teal"),
    ("blue",), ("purple", "violet"), ("pink",), ("white",), ("black",),
)  # fmt: skip
MATERIALS = (("rubber",), ("metal", "steel"), ("wooden",), ("glass",))
SIZES = (("small", "little", "tiny"), ("large", "big", "huge"))
GROUNDS = (
    ("green grass", "a meadow", "a lawn", "grass"),
    ("sand", "a sandy beach", "the desert sand", "a beach"),
    ("a wooden floor", "wooden planks", "a plank floor"),
    ("grey stone", "concrete", "stone", "asphalt"),
    ("snow", "snowy ground", "white snow"),
    ("a checkerboard floor", "a checkered floor", "tiles"),
)
SKIES = (
    ("under a clear blue sky", "on a sunny day", "in bright daylight", "in the sunshine"),
    ("at sunset", "in the evening light", "under an orange sunset sky", "at dusk"),
    ("at night", "under the stars", "in the moonlight", "under a dark night sky"),
    ("under an overcast sky", "under grey clouds", "on a cloudy day"),
)
WEATHERS = (
    ("",),
    ("rain falls", "it is raining", "in the rain", "rain"),
    ("snow is falling", "it snows", "snowflakes drift down", "snowfall"),
    ("a thunderstorm with lightning", "lightning flashes in a storm", "stormy rain and thunder", "a storm"),
)
CAMERAS = (
    ("", "", "", "static camera", "the camera is still"),
    ("the camera pans left", "camera pan left"),
    ("the camera pans right", "camera pan right"),
    ("the camera zooms in", "the camera moves closer", "zoom in"),
    ("the camera zooms out", "the camera pulls back", "zoom out"),
)
ACTIONS = (
    ("stands still", "rests", "lies there", "stands"),
    ("bounces", "bounces up and down", "is bouncing", "drops and bounces"),
    ("rolls", "is rolling", "moves"),
    ("hops", "jumps up and down", "is jumping", "leaps"),
    ("spins", "is spinning", "rotates", "turns around"),
    ("hovers", "floats in the air", "is floating", "levitates"),
    ("flashes and beeps", "blinks with a beep", "glows and beeps", "pulses with light"),
    ("rolls into", "crashes into", "hits", "collides with"),
)
DIRECTIONS = (("",), ("to the left", "left", "from right to left"), ("to the right", "right", "from left to right"))
SOUNDS = {
    "impact": (
        ("dull thuds", "thumps"),
        ("metallic clangs", "ringing impacts"),
        ("wooden knocks", "knocking"),
        ("glass clinks",),
    ),
    "roll": ("a low rolling sound", "rumbling of rolling"),
    "whirr": ("a soft whirr", "whirring"),
    "hum": ("a steady hum", "humming"),
    "beep": ("electronic beeps", "beeping"),
    "rain": ("the sound of rain", "pattering rain"),
    "wind": ("soft wind", "a cold wind"),
    "thunder": ("rolling thunder", "thunder"),
    "crickets": ("crickets chirp", "crickets"),
    "birds": ("birds sing", "birdsong"),
}
GLUE = "a an the and of on with beside it is there scene showing sound audio we hear one shot video in sits to"
FORMS = (("dense", 0.6), ("short", 0.25), ("tags", 0.1), ("partial", 0.05))

# Words that people use for things that the world has.
SYNONYMS = {
    "ball": "globe bubble marble balloon sun apple bead pearl melon basketball football",
    "cube": "crate dice brick square package carton",
    "cylinder": "barrel tube pillar pipe tin cup bucket column",
    "cone": "tipi tent funnel spike hat tree",
    "red": "ruby cherry maroon burgundy vermilion rose blood brick",
    "orange": "amber tangerine apricot copper peach rust",
    "yellow": "gold lemon mustard canary honey blonde", "green": "emerald lime olive jade mint forest",
    "cyan": "aqua aquamarine azure", "blue": "navy cobalt sapphire indigo ultramarine",
    "purple": "lavender magenta lilac mauve plum", "pink": "salmon coral fuchsia rosy",
    "white": "ivory snowy pale silver cream", "black": "dark ebony charcoal jet",
    "rubber": "plastic elastic soft foam", "metal": "iron metallic chrome copper brass aluminium aluminum shiny",
    "wooden": "wood oak timber pine", "glass": "crystal transparent ice",
    "large": "giant enormous massive gigantic", "small": "mini miniature petite",
    "grass": "field pasture garden park prairie", "sand": "dunes dune desert shore coast",
    "planks": "parquet boards deck table", "stone": "pavement road street rock granite cement ground floor",
    "snowy": "icy frozen winter", "checkerboard": "chessboard tiled checkers chess",
    "sunny": "bright noon midday day morning daytime", "sunset": "sundown twilight dawn sunrise evening",
    "night": "midnight starry moonlit nighttime", "overcast": "gloomy gray grey foggy misty",
    "rain": "rainy drizzle downpour wet shower raining", "snowfall": "blizzard snowing snowstorm",
    "storm": "tempest stormy thunderstorm",
    "stands": "waits stays sitting standing resting lying stationary",
    "bounces": "bouncing bounce bouncy dribbles", "rolls": "roll rolling slides slide sliding runs drives travels",
    "hops": "hop hopping jump jumps jumping leap skips", "spins": "spin spinning rotating twirls whirls rotate",
    "hovers": "hover hovering float floats floating flies flying drifts",
    "flashes": "flash flashing blink blinking beacon lamp",
    "crashes": "bumps smashes collides strikes knocks",
}  # fmt: skip


def phrases() -> dict[str, tuple[tuple[str, ...], ...]]:
    """What can be said of each kind: kind to things, a thing to the ways to say it, the plain one first."""
    sounds = [*SOUNDS["impact"], *(bank for name, bank in SOUNDS.items() if name != "impact")]
    banks = {
        "object": SHAPES, "colour": COLOURS, "material": MATERIALS, "size": SIZES, "action": ACTIONS,
        "direction": DIRECTIONS, "ground": GROUNDS, "sky": SKIES, "weather": WEATHERS, "camera": CAMERAS,
        "sound": tuple(sounds),
    }  # fmt: skip
    said = {kind: [tuple(dict.fromkeys(filter(None, ways))) for ways in bank] for kind, bank in banks.items()}
    return {kind: tuple(filter(None, things)) for kind, things in said.items()}


def vocabulary() -> tuple[str, ...]:
    """Every lower-case word and mark that the grammar can emit, sorted."""
    banks = [*SHAPES, *COLOURS, *MATERIALS, *SIZES, *GROUNDS, *SKIES, *WEATHERS, *CAMERAS, *ACTIONS, *DIRECTIONS]
    banks += [*SOUNDS["impact"], *(bank for name, bank in SOUNDS.items() if name != "impact")]
    words = {word for bank in banks for phrase in bank for word in phrase.split()}
    return tuple(sorted(words | set(GLUE.split()) | {".", ","}))


def synonyms() -> dict[str, str]:
    """Other words that people use, each with the word of the vocabulary that comes nearest."""
    known = set(vocabulary())
    return {word: target for target, words in SYNONYMS.items() for word in words.split() if word not in known}


def captions(scenes: Scenes, *, seed: int, form: str = "mixed") -> list[str]:
    """One caption a scene; `form` is dense, short, tags, partial, or mixed (the training mixture)."""
    if form not in (*dict(FORMS), "mixed"):
        raise ValueError(f"Unknown caption form {form!r}: choose dense, short, tags, partial or mixed.")
    data = {name: getattr(scenes, name).tolist() for name in scenes.__dataclass_fields__ if name in _NEEDED}
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
    if rng.random() < detail * 0.8:
        words.append(_pick(rng, MATERIALS[facts["material"][slot]]))
    words.append(_pick(rng, SHAPES[facts["shape"][slot]]))
    return ("an " if words[0][0] in "aeiou" else "a ") + " ".join(words)


def _act(facts: dict, slot: int, rng: random.Random) -> str:
    action = facts["action"][slot]
    verb = _pick(rng, ACTIONS[action])
    return f"{verb} {_pick(rng, DIRECTIONS[facts['direction'][slot]])}" if action == ROLL else verb


def _subject(facts: dict, rng: random.Random, detail: float) -> tuple[str, list[str]]:
    """The sentence about the first object, and one clause for each other object."""
    others = [slot for slot, here in enumerate(facts["present"]) if here and slot > 0]
    first = f"{_thing(facts, 0, rng, detail)} {_act(facts, 0, rng)}"
    if facts["action"][0] == COLLIDE:
        first = f"{first} {_thing(facts, others[0], rng, detail)}"
        if rng.random() < 0.5:
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
    names, material = [], facts["material"][0]
    action = facts["action"][0]
    if action in (BOUNCE, HOP, COLLIDE):
        names.append(_pick(rng, SOUNDS["impact"][material]))
    names += [_pick(rng, SOUNDS[k]) for k, a in (("roll", ROLL), ("whirr", 4), ("hum", 5), ("beep", 6)) if action == a]
    weather = {1: ("rain",), 2: ("wind",), 3: ("thunder", "rain")}.get(facts["weather"], ())
    dry = {2: ("crickets",), 0: ("birds",)}.get(facts["sky"], ()) if facts["weather"] == 0 else ()
    names += [_pick(rng, SOUNDS[name]) for name in (*weather, *dry)]
    return rng.choice(("sound of ", "audio ", "we hear ", "")) + " and ".join(names) if names else ""


def _dense(facts: dict, rng: random.Random) -> str:
    first, rest = _subject(facts, rng, 0.85)
    place = f"on {_pick(rng, GROUNDS[facts['ground']])}"
    light = _pick(rng, SKIES[facts["sky"]])
    more = [_pick(rng, WEATHERS[facts["weather"]]), rng.choice(CAMERAS[facts["camera"]]), *rest]
    if rng.random() < 0.5:
        more.append(_heard(facts, rng))
    rng.shuffle(more)
    opening = rng.choice((f"{first} {place} {light}", f"{light} , {first} {place}", f"{place} , {first} {light}"))
    return " . ".join([opening, *filter(None, more)]) + " ."


def _short(facts: dict, rng: random.Random) -> str:
    first, rest = _subject(facts, rng, 0.35)
    parts = [f"on {_pick(rng, GROUNDS[facts['ground']])}"]
    extra = [_pick(rng, SKIES[facts["sky"]]), _pick(rng, WEATHERS[facts["weather"]])]
    parts += [part for part in extra if part and rng.random() < 0.75]
    joined = " and ".join([first, *rest]) if rest else first
    return f"{joined} " + rng.choice((" ", " , ")).join(parts)


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


_WRITERS = {"dense": _dense, "short": _short, "tags": _tags, "partial": _partial}
