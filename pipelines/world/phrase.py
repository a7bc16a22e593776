"""What can be said of each class of the world: banks of phrases, the plain one first, and other words for them."""

from __future__ import annotations

from .scene import BIRD, CAR, ROBOT

SHAPES = (
    ("ball", "sphere", "orb"), ("cube", "box", "block"), ("cylinder", "can", "drum"), ("cone", "pyramid"),
    ("car", "toy car", "automobile"), ("bird", "songbird"), ("robot", "android"),
)  # fmt: skip
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
    ("calm water", "a still lake", "the water", "a lake", "a pond"),
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
    ("hovers", "floats in the air", "hangs in the air", "levitates"),
    ("flashes and beeps", "blinks with a beep", "glows and beeps", "pulses with light"),
    ("rolls into", "crashes into", "hits", "collides with"),
    ("drives", "is driving", "drives along", "rides"),
    ("flies", "is flying", "flaps its wings and flies", "soars"),
    ("talks", "speaks", "is talking", "says something", "opens its mouth and talks"),
)
# What characters do that do nothing, what anything does that lies on water, and how water answers.
STANDS = {
    CAR: ("stands still", "is parked", "stands", "waits"),
    BIRD: ("sits still", "sits", "perches", "rests"),
    ROBOT: ("stands still", "stands", "waits", "stands there"),
}
FLOATS = ("floats", "is floating", "drifts", "bobs up and down")
SPLASHES = ("with splashes", "splashing", "and splashes", "making rings")
# How a car and a bird are heard, said with what they do.
VOICES = {
    CAR: ("and honks", "honking", "and honks its horn", "and beeps its horn"),
    BIRD: ("and chirps", "chirping", "and tweets", "and sings"),
}
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
    "engine": ("an engine rumbles", "the rumble of an engine", "a motor"),
    "honk": ("a car horn", "honking", "a horn honks"),
    "chirp": ("a bird chirps", "chirping", "tweeting"),
    "voice": ("a robot voice", "a voice", "speech"),
    "splash": ("splashes", "splashing water", "water splashes"),
}
GLUE = "a an the and of on with beside it is there scene showing sound audio we hear one shot video in sits to over"

# Words that people use for things that the world has.
SYNONYMS = {
    "ball": "globe bubble marble balloon sun apple bead pearl melon basketball football",
    "cube": "crate dice brick square package carton",
    "cylinder": "barrel tube pillar pipe tin cup bucket column",
    "cone": "tipi tent funnel spike hat tree",
    "car": "vehicle taxi cab truck van bus jeep cars auto sedan suv racecar train",
    "bird": "sparrow parrot duck owl crow pigeon eagle robin hen chicken swan seagull gull finch canary birds goose",
    "robot": "droid cyborg machine automaton humanoid robots mech bot",
    "red": "ruby cherry maroon burgundy vermilion rose blood brick",
    "orange": "amber tangerine apricot copper peach rust",
    "yellow": "gold lemon mustard honey blonde", "green": "emerald lime olive jade mint forest",
    "cyan": "aqua aquamarine azure", "blue": "navy cobalt sapphire indigo ultramarine",
    "purple": "lavender magenta lilac mauve plum", "pink": "salmon coral fuchsia rosy",
    "white": "ivory snowy pale silver cream", "black": "dark ebony charcoal jet",
    "rubber": "plastic elastic soft foam", "metal": "iron metallic chrome copper brass aluminium aluminum shiny",
    "wooden": "wood oak timber pine", "glass": "crystal transparent ice",
    "large": "giant enormous massive gigantic", "small": "mini miniature petite",
    "grass": "field pasture garden park prairie", "sand": "dunes dune desert shore coast",
    "planks": "parquet boards deck table", "stone": "pavement road street rock granite cement ground floor",
    "snowy": "icy frozen winter", "checkerboard": "chessboard tiled checkers chess",
    "lake": "sea ocean river pool lagoon bay waves waters puddle",
    "sunny": "bright noon midday day morning daytime", "sunset": "sundown twilight dawn sunrise evening",
    "night": "midnight starry moonlit nighttime", "overcast": "gloomy gray grey foggy misty",
    "rain": "rainy drizzle downpour wet shower raining", "snowfall": "blizzard snowing snowstorm",
    "storm": "tempest stormy thunderstorm",
    "stands": "waits stays sitting standing resting lying stationary",
    "bounces": "bouncing bounce bouncy dribbles", "rolls": "roll rolling slides slide sliding runs travels",
    "hops": "hop hopping jump jumps jumping leap skips", "spins": "spin spinning rotating twirls whirls rotate",
    "hovers": "hover hovering levitate levitating",
    "flashes": "flash flashing blink blinking beacon lamp",
    "drives": "drive drove cruises speeds races", "parked": "parks parking",
    "flies": "fly flew flapping", "floats": "float swims swim swimming sails bobbing",
    "talks": "talk speak say speaking talking chats tells", "honks": "honk hoots hooting toots",
    "chirps": "chirp tweet twitters whistles", "splashes": "splash splashed plunges", "perches": "perched perching",
    "engine": "rumbling motors", "voice": "voices",
    "crashes": "bumps smashes collides strikes knocks",
}  # fmt: skip
