"""Rendering beforehand, by any number of processes at once: each takes what no other has done or is doing."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)

# How long a run waits for what another process renders.
PATIENCE_SECONDS = 300


def unclaimed(paths: Iterable[Path]) -> Iterator[Path]:
    """Those of `paths` that are missing, each held for this process until it asks for the next.

    What a process that was killed had begun is free again.
    """
    for path in paths:
        if path.is_file():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(path.with_suffix(".lock"), timeout=0):
                if not path.is_file():
                    log.info("rendering %s", path.name)
                    yield path
        except Timeout:
            continue


def wait_for(path: Path) -> None:
    """Until another process has written a file; raises ValueError when that takes too long."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not path.is_file():
        if time.monotonic() > end:
            raise ValueError(f"Nobody has rendered {path} for {PATIENCE_SECONDS} s: does `train fill` still run?")
        time.sleep(0.05)
