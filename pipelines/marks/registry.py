"""Entries of a policy's rights registry, from what its holder has.

Videos and sounds are read by the layer of media, which this one does not know.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError
from torch import Tensor

from .fingerprint import of_frame
from .policy import NEVER

# What is read with Pillow. Moving GIFs are videos, and for some other formats Pillow starts programs.
PICTURES = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
# An entry is of that many seconds, or pictures of one file, at most: 450 kB of a policy, which may have 1 MB.
LONGEST = Fraction(600)


def entry(name: str, images: Sequence[str], sounds: Sequence[str]) -> str:
    """Lines for a policy that reserve a work with its fingerprints. Raises ValueError where there are none."""
    if not (images or sounds):
        raise ValueError(
            f"Nothing in {name} tells it from others. A picture must show more than an even ground, and a sound must "
            "last 4 s and be neither silence nor a steady hum."
        )
    prints = {"images": list(dict.fromkeys(images)), "sounds": list(dict.fromkeys(sounds))}
    right = {"name": name, "kind": "work", "permits": NEVER, **prints}
    return yaml.safe_dump({"rights": [right]}, sort_keys=False, allow_unicode=True)


def of_frames(frames: Iterable[Tensor]) -> list[str]:
    """Fingerprints of uint8 frames `[H, W, 3]`, but for those that show too little."""
    return [image for frame in frames if (image := of_frame(frame))]


def of_picture(path: Path) -> list[str] | None:
    """Fingerprints of every picture in a file, upright as it is shown; None for a file that is no picture.

    Raises ValueError for a picture that is damaged or far too large.
    """
    try:
        with Image.open(path, formats=PICTURES) as image:
            shown = (ImageOps.exif_transpose(picture).convert("RGB") for picture in ImageSequence.Iterator(image))
            pixels = (torch.from_numpy(np.array(picture)) for picture in shown)
            return of_frames(itertools.islice(pixels, int(LONGEST)))
    except UnidentifiedImageError:
        return None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"The picture {path.name} cannot be read: {error}.") from error
