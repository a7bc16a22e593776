"""The settings of the Watermark node as a stage of the clip."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..marks.visible import draw_badge, image_badge, marked
from .media import StreamVideo, clip_of


def watermarked(
    video: Any, text: str, size: float, opacity: float, place: str, image: Tensor | None, mask: Tensor | None
) -> StreamVideo:
    """The video with a badge of `size` of the shorter side of the picture, from a text or from an image."""
    clip = clip_of(video)
    height = max(8, round(size * min(clip.shape.width, clip.shape.height)))
    badge = draw_badge(text, height) if image is None else image_badge(image, mask, height)
    return StreamVideo(marked(clip, badge, place, opacity))
