"""What a picture looks like, in words: its colours, its light and its contrast, measured from the pixels.

No objects: what a picture shows is for a model that sees; this only passes on how it is coloured and lit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Basic colour terms of English (Berlin and Kay 1969) and a few that decorators use, as sRGB.
COLOURS = {
    "black": (20, 20, 22), "charcoal": (62, 64, 68), "grey": (128, 128, 128), "light grey": (196, 196, 198),
    "white": (248, 248, 246), "red": (196, 32, 36), "dark red": (104, 20, 24), "orange": (232, 128, 32),
    "brown": (112, 70, 36), "tan": (196, 160, 116), "cream": (240, 228, 200), "yellow": (238, 212, 48),
    "olive": (116, 116, 48), "green": (52, 148, 60), "dark green": (24, 68, 36), "teal": (24, 124, 128),
    "light blue": (148, 196, 232), "blue": (40, 88, 196), "navy": (20, 32, 80), "purple": (116, 52, 148),
    "pink": (236, 148, 176), "magenta": (204, 40, 140),
}  # fmt: skip
SIDE = 64
# A colour that covers less is a detail, not the look.
SHARE = 0.1
DARK, BRIGHT = 32.0, 72.0
FLAT, CONTRASTY = 11.0, 26.0
_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_WHITE = (0.95047, 1.0, 1.08883)


def describe_look(image: Tensor) -> str:
    """One sentence for an image `[B, H, W, 3]` or `[H, W, 3]` in 0 to 1, of which the first counts.

    Raises ValueError for another shape, or values that are not finite.
    """
    picture = image[0] if image.ndim == 4 else image
    if picture.ndim != 3 or picture.shape[-1] < 3 or not picture.numel():
        raise ValueError(f"A look reference is an image [B, H, W, 3]; got {list(image.shape)}.")
    pixels = F.adaptive_avg_pool2d(picture[..., :3].float().movedim(-1, 0)[None], SIDE)[0].flatten(1).T
    if not bool(torch.isfinite(pixels).all()):
        raise ValueError("The look reference holds values that are not numbers.")
    lab = _lab(pixels.clamp(0, 1))
    return f"The colours are {_named(_main_colours(lab))}; the light is {_light(lab[:, 0])}."


def _main_colours(lab: Tensor) -> list[str]:
    """Up to three names, the largest first; at least one."""
    anchors = _lab(torch.tensor(list(COLOURS.values())) / 255)
    counts = torch.cdist(lab, anchors).argmin(1).bincount(minlength=len(COLOURS))
    order = counts.argsort(descending=True, stable=True).tolist()
    names = list(COLOURS)
    return [names[i] for rank, i in enumerate(order[:3]) if rank == 0 or counts[i] >= SHARE * len(lab)]


def _light(lightness: Tensor) -> str:
    mean, spread = lightness.mean().item(), lightness.std().item()
    level = "dim" if mean < DARK else "bright" if mean > BRIGHT else "medium"
    contrast = "soft and flat" if spread < FLAT else "of high contrast" if spread > CONTRASTY else "of medium contrast"
    return f"{level} and {contrast}"


def _named(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _lab(rgb: Tensor) -> Tensor:
    """sRGB `[N, 3]` in 0 to 1 to CIE L*a*b* under D65 (IEC 61966-2-1, CIE 15)."""
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ torch.tensor(_TO_XYZ).T / torch.tensor(_WHITE)
    f = torch.where(xyz > (6 / 29) ** 3, xyz.clamp(min=1e-9) ** (1 / 3), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return torch.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], dim=1)
