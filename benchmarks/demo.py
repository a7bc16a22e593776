"""Prompt to finished 4 s file on a warm host, through its own API, as `make demo` does it."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

from report import write

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import demo
from server import running

ROUNDS = 3


def main() -> None:
    times = []
    with running() as server:
        for seed in range(ROUNDS + 1):
            options = argparse.Namespace(prompt="", seconds="4", aspect="", seed=str(seed), steps="")
            began = time.perf_counter()
            path = asyncio.run(demo.generate(server, demo.WORKFLOW, demo.changes(options)))
            times.append(time.perf_counter() - began)
        described = demo.describe(path)
    write(
        "demo",
        [
            ("first prompt, models loaded on the way", f"{times[0]:.1f} s", ""),
            ("prompt to finished 4 s file, warm host, median", f"{sorted(times[1:])[ROUNDS // 2]:.1f} s", "30 s"),
        ],
        described,
    )


if __name__ == "__main__":
    main()
