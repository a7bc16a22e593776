"""Model cards: what a checkpoint is, what it may be used for, and the settings it likes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent
DEFAULT_CARD = "mini"


@dataclass(frozen=True)
class Card:
    """One entry of `weights/cards`. `seconds` is the trained range of lengths.

    `file` and its adapter `turbo`, for `turbo_steps` steps of one pass, are relative to `weights`.
    """

    name: str
    label: str
    file: str
    licence: str
    summary: str
    seconds: tuple[float, float]
    steps: int
    shift: float
    sampler: str
    guidance_video: float
    guidance_audio: float
    turbo: str
    turbo_steps: int

    @property
    def path(self) -> Path:
        return FOLDER / self.file

    @property
    def turbo_path(self) -> Path:
        return FOLDER / self.turbo


def length_notes(seconds: float, trained: tuple[float, float]) -> list[str]:
    """A warning where a video lasts shorter or longer than what a model was trained on; else nothing."""
    least, most = trained
    if least <= seconds <= most:
        return []
    risk = "may lose its thread" if seconds > most else "may leave out what you ask for"
    return [f"Warning: the model was trained on {least:g} to {most:g} s; what lasts {seconds:.2f} s {risk}."]


def card_names() -> list[str]:
    """Names of all cards, the default first."""
    names = sorted(path.stem for path in (FOLDER / "cards").glob("*.yaml"))
    return sorted(names, key=lambda name: name != DEFAULT_CARD)


def read_card(name: str) -> Card:
    """The card called `name`. Raises ValueError for an unknown one, or one with missing or unknown keys."""
    if name not in card_names():
        raise ValueError(f"There is no model card {name!r}: choose one of {', '.join(card_names())}.")
    data = yaml.safe_load((FOLDER / "cards" / f"{name}.yaml").read_text(encoding="utf-8"))
    expected = {f.name for f in fields(Card)} - {"name"}
    if set(data) != expected:
        raise ValueError(f"The model card {name!r} must have exactly the keys {sorted(expected)}; got {sorted(data)}.")
    return Card(name=name, **{**data, "seconds": tuple(data["seconds"])})
