"""Smaller tokens: weights that make about what they made before, and learn from there on.

A token of four cells has fewer numbers than its cells have channels; a token of one cell has more. Positions are in
units of the picture, so that attention knows the new tokens at once.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from einops import reduce
from torch import Tensor

from ..model.config import Config
from ..weights.checkpoint import read_checkpoint, save_checkpoint

log = logging.getLogger(__name__)


def split(config: Config, out: Path, weights: Path) -> None:
    """Write `out`, published weights with the smaller tokens of `config`.

    Raises ValueError when the two differ in anything else, or when the old tokens are not whole numbers of the new.
    """
    kept = read_checkpoint(weights)
    old, new = kept.config.dit.patch, config.dit.patch
    if old <= new or old % new or with_patch(kept.config, config.name, new) != config:
        raise ValueError(
            f"{weights.name} has tokens of {old} x {old} cells of {kept.config.name}; it can become {config.name} only "
            f"if that has smaller ones, is otherwise the same, and {new} divides {old}."
        )
    digest = save_checkpoint(
        out, config, kept.words, smaller_tokens(kept.tensors, old, new), licence=kept.licence,
        metrics={},
    )  # fmt: skip
    log.info("%s: tokens of %d x %d cells instead of %d x %d, %s", out, new, new, old, old, digest)


def with_patch(config: Config, name: str, patch: int) -> Config:
    """The same configuration with other tokens, and another name."""
    return replace(config, name=name, dit=replace(config.dit, patch=patch))


def smaller_tokens(tensors: dict[str, Tensor], old: int, new: int) -> dict[str, Tensor]:
    """Weights for tokens of `new` x `new` cells from those for `old` x `old`.

    A cell comes in as if all cells of the old token were like it, and goes out as their mean.
    """
    parts = {"m": old // new, "k": old // new, "p": new, "q": new}
    made = {"dit.video_in.down.weight": ("r (c m p k q) -> r (c p q)", "sum")}
    for name in ("dit.video_out", "dit.refiner.tokens"):
        made[f"{name}.weight"] = ("(c m p k q) w -> (c p q) w", "mean")
        made[f"{name}.bias"] = ("(c m p k q) -> (c p q)", "mean")
    changed = {
        name: reduce(tensors[name], pattern, how, **parts) for name, (pattern, how) in made.items() if name in tensors
    }
    return tensors | changed
