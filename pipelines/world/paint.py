"""Colours of things as they reflect light, for each of the ten colour names."""

from __future__ import annotations

import torch
from torch import Tensor

from .scene import LABEL_NAMES

COLOURS = torch.tensor(
    [
        [0.88, 0.06, 0.07], [1.0, 0.48, 0.02], [1.0, 0.88, 0.05], [0.08, 0.68, 0.14], [0.05, 0.82, 0.88],
        [0.08, 0.20, 0.90], [0.52, 0.12, 0.74], [1.0, 0.45, 0.68], [0.96, 0.96, 0.96], [0.06, 0.06, 0.07],
    ]
)  # fmt: skip
# Reflectance facing the viewer, highlight strength, highlight exponent: rubber, metal, wood, glass.
GLOSS = torch.tensor([[0.02, 0.12, 8.0], [0.30, 0.9, 60.0], [0.03, 0.10, 10.0], [0.16, 1.0, 140.0]])
# Parts of characters are not as shiny as solid metal: what they reflect must not hide their colour.
CHARACTER_GLOSS = torch.tensor([0.06, 0.45, 30.0])


def _all(*colour: float, **others: tuple[float, float, float]) -> Tensor:
    """One colour `[10, 3]` for things of every colour, but for those of the colours named."""
    paint = torch.tensor(colour).expand(len(COLOURS), 3).clone()
    for name, other in others.items():
        paint[LABEL_NAMES["colour"].index(name)] = torch.tensor(other)
    return paint


# Paints of a character's parts, by the colour of its body: what is dark shows light on black.
PAINTS: dict[str, Tensor] = {
    "own": COLOURS,
    "shade": torch.where(COLOURS.amax(-1, keepdim=True) < 0.1, COLOURS + 0.13, COLOURS * 0.8),
    "pale": torch.where(COLOURS.amin(-1, keepdim=True) > 0.9, COLOURS * 0.78, 0.4 * COLOURS + 0.6),
    "dark": _all(0.04, 0.045, 0.05),
    "contrast": _all(0.03, 0.03, 0.035, black=(0.9, 0.9, 0.86)),
    "tyre": _all(0.05, 0.05, 0.055, black=(0.16, 0.16, 0.17)),
    "window": _all(0.07, 0.10, 0.15, black=(0.45, 0.60, 0.72)),
    "steel": _all(0.60, 0.62, 0.66),
    "lamp": _all(1.0, 0.94, 0.62, yellow=(1.0, 1.0, 0.94), white=(1.0, 0.86, 0.30)),
    "eye": _all(0.92, 0.98, 1.0, white=(0.10, 0.45, 0.85), cyan=(1.0, 1.0, 0.85)),
    "beak": _all(1.0, 0.52, 0.03, orange=(1.0, 0.85, 0.10), yellow=(1.0, 0.40, 0.02)),
}
