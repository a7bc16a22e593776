"""Pictures of what a model makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor


def contact_sheet(video: Tensor, path: Path, columns: int = 7, scale: int = 2) -> None:
    """Write clips `[N, 3, F, H, W]` in 0..1 as a PNG, one row a clip, `columns` frames evenly spaced."""
    count = min(columns, video.shape[2])
    picked = [round(i * (video.shape[2] - 1) / max(1, count - 1)) for i in range(count)]
    frames = video[:, :, picked].clamp(0, 1).mul(255).round().byte().cpu().numpy()
    rows = [np.concatenate([clip[:, i].transpose(1, 2, 0) for i in range(count)], axis=1) for clip in frames]
    picture = Image.fromarray(np.concatenate(rows))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST).save(path)
