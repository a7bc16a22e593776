"""The procedural world that the built-in model learns: scenes, motion, pictures, sounds, captions, exact labels."""

from .caption import captions, phrases, vocabulary
from .label import labels
from .physics import Events, Motion, simulate
from .render import object_map, render
from .sample import sample_scenes
from .scene import LABEL_NAMES, MAX_OBJECTS, Scenes
from .sound import pitch_of, synthesise

__all__ = [
    "LABEL_NAMES", "MAX_OBJECTS", "Events", "Motion", "Scenes", "captions", "labels", "object_map", "phrases",
    "pitch_of", "render", "sample_scenes", "simulate", "synthesise", "vocabulary",
]  # fmt: skip
