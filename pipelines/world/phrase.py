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
