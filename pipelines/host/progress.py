"""Progress bars with an estimate, and the host's interrupt."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.utils

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


def show_text(text: str, node_id: str | None) -> None:
    """A line on a running node, where the host shows them."""
    server = _server()
    if server is not None and node_id is not None and hasattr(server, "send_progress_text"):
        server.send_progress_text(text, node_id)


def _server() -> Any:
    from server import PromptServer

    return getattr(PromptServer, "instance", None)
