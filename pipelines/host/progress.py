"""Progress bars with an estimate, and the host's interrupt."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import comfy.model_management
import comfy.utils
from torch import Tensor

from ..clip.clip import Clip
from ..clock import spoken_time

INTERVAL = 0.5


def frame_progress(total: int, node_id: str | None, verb: str) -> Callable[[int, int], None]:
    """A callback `(done, total)` that moves the node's bar, writes the time left on it, and raises on interrupt."""
    bar = comfy.utils.ProgressBar(total)
    began = last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done, total)
        now = time.monotonic()
        if done == total:
            show_text(f"{total} frames in {spoken_time(now - began)}", node_id)
        elif now - last >= INTERVAL:
            last = now
            left = (now - began) / done * (total - done)
            show_text(f"{verb} frame {done} of {total}, {spoken_time(left)} left", node_id)

    return report


def watched(clip: Clip, node_id: str | None) -> Clip:
    """The same clip, for a node that looks at all of it: with progress, and stopped by the host's interrupt."""
    report = frame_progress(clip.shape.frames, node_id, "Watching")

    def frames(start: int, stop: int) -> Iterator[Tensor]:
        done = start
        for chunk in clip.frames(start, stop):
            done += len(chunk)
            report(done, clip.shape.frames)
            yield chunk

    return replace(clip, source=frames)


def show_text(text: str, node_id: str | None) -> None:
    """A line on a running node, where the host shows them."""
    server = _server()
    if server is not None and node_id is not None and hasattr(server, "send_progress_text"):
        server.send_progress_text(text, node_id)


def _server() -> Any:
    from server import PromptServer

    return getattr(PromptServer, "instance", None)
