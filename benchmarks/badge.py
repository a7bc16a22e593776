"""What the visible badge costs at 1080p: milliseconds a frame, while it moves between its places."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from fractions import Fraction

import torch
from report import write
from torch import Tensor

from kinetophone.pipelines.clip.clip import Clip, silent
from kinetophone.pipelines.marks.visible import ROUTE, STAY, draw_badge, marked
from kinetophone.pipelines.types import VideoShape

WIDTH, HEIGHT, FPS, CHUNK, ROUNDS = 1920, 1080, Fraction(24), 8, 3
SIZE = 0.07


def main() -> None:
    frames = int(STAY * len(ROUTE) * FPS) // 4
    chunk = torch.randint(0, 255, (CHUNK, HEIGHT, WIDTH, 3), dtype=torch.uint8)

    def source(start: int, stop: int) -> Iterator[Tensor]:
        for first in range(start, stop, CHUNK):
            # The stage may not change what it is given, so that it always copies: that counts.
            yield chunk[: min(CHUNK, stop - first)]

    plain = Clip(VideoShape(WIDTH, HEIGHT, frames, FPS), source, silent)
    badge = draw_badge("Made with AI", round(SIZE * HEIGHT))
    torch.set_num_threads(1)
    walls, processors = [], []
    for _ in range(ROUNDS):
        wall, processor = time.perf_counter(), time.process_time()
        for _ in marked(plain, badge).frames():
            pass
        walls.append((time.perf_counter() - wall) / frames * 1000)
        processors.append((time.process_time() - processor) / frames * 1000)
    rows = [
        ("visible badge: processor time a frame at 1080p, median", f"{statistics.median(processors):.2f} ms", "1.5 ms"),
        ("visible badge: time on the clock, median", f"{statistics.median(walls):.2f} ms", ""),
    ]
    write(
        "badge",
        rows,
        f"{ROUNDS} rounds of {frames} frames, one thread; frames come in chunks of {CHUNK} and are copied.",
    )


if __name__ == "__main__":
    main()
