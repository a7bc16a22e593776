"""The sync nodes: measuring with progress and the host's interrupt, aligning as a stage of the stream."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..sync.align import aligned
from ..sync.measure import measure_sync
from ..sync.plot import plot
from .media import StreamVideo, clip_of
from .progress import watched


def measured(video: Any, node_id: str | None) -> tuple[float, float, str, Tensor]:
    """Offset in seconds, confidence, report, and a plot as the host's IMAGE."""
    clip = clip_of(video)
    sync = measure_sync(watched(clip, node_id))
    return sync.offset, sync.confidence, sync.report(), plot(sync, float(clip.shape.seconds))[None]


def aligned_video(video: Any, offset: float, stretch: float) -> StreamVideo:
    """The video with its sound moved and stretched, as a stream."""
    return StreamVideo(aligned(clip_of(video), offset, stretch))
