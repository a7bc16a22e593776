"""Still pictures from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from ..marks.registry import PICTURES


def read_picture(path: Path) -> Tensor:
    """The first picture of a file `[1, H, W, 3]`, uint8, upright as shown. Raises ValueError for anything else."""
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    try:
        with Image.open(path, formats=PICTURES) as image:
            return torch.from_numpy(np.array(ImageOps.exif_transpose(image).convert("RGB")))[None]
    except UnidentifiedImageError as error:
        raise ValueError(f"{path.name} is no picture that can be read. Give a {', '.join(PICTURES)} file.") from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"The picture {path.name} cannot be read: {error}.") from error
