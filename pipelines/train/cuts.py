"""Clips in two shots: the same scene under another sky, from one moment on.

The object and its motion go on through the cut, so that a model learns which words change with time and what stays.
"""

from __future__ import annotations

import functools
import math
import random
import re
from dataclasses import replace

import torch
from torch import Tensor

from .. import world
from ..clock import Grid
from ..model.spans import span_weights
from ..world.caption import OMITTED

SKIES = len(world.LABEL_NAMES["sky"])
LONGEST_BLEND = 1.0


def under_another_sky(scenes: world.Scenes) -> world.Scenes:
    """The same scenes, each at another time of day."""
    change = 1 + torch.arange(len(scenes)) % (SKIES - 1)
    return replace(scenes, sky=(scenes.sky + change) % SKIES)


def draw_spans(rng: random.Random, seconds: float) -> Tensor:
    """Spans `[2, 4]` of the two shots of a clip of `seconds`: half of them cut, half of them blend."""
    moment = seconds * rng.uniform(0.2, 0.8)
    blend = rng.choice((0.0, rng.uniform(0.0, LONGEST_BLEND)))
    return torch.tensor([[-math.inf, moment, 0.0, blend], [moment, math.inf, blend, 0.0]])


def spliced(first: Tensor, second: Tensor, spans: Tensor, grid: Grid) -> Tensor:
    """Latents `[B, C, T, H, W]` or `[B, C, T']` of two shots with `spans [B, 2, 4]`, each in its time.

    Linear codecs blend as pixels would.
    """
    seconds_of = grid.video_seconds if first.ndim == 5 else grid.audio_seconds
    seconds = torch.tensor([float(seconds_of(step)) for step in range(first.shape[2])]).to(first.device)
    weights = span_weights(spans, seconds).unbind(-1)
    shape = (len(first), 1, -1, *[1] * (first.ndim - 3))
    return first * weights[0].reshape(shape) + second * weights[1].reshape(shape)


def names_sky(caption: str) -> bool:
    """Whether a caption says which sky there is, in whole phrases or without their small words."""
    said = f" {_without_small_words(caption)} "
    return any(phrase in said for phrase in _sky_phrases())


@functools.cache
def _sky_phrases() -> tuple[str, ...]:
    return tuple(f" {_without_small_words(phrase)} " for phrases in world.phrases()["sky"] for phrase in phrases)


def _without_small_words(text: str) -> str:
    return " ".join(word for word in re.findall(r"\w+|[^\w\s]", text) if word not in OMITTED)
