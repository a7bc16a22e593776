"""How every benchmark writes its result: a dated Markdown file with the command, the machine and the numbers."""

from __future__ import annotations

import datetime
import os
import platform
import sys
import threading
import time
from pathlib import Path

import torch

FOLDER = Path(__file__).parent / "results"
# The host rewrites sys.argv when it starts.
ARGUMENTS = list(sys.argv[1:])


def machine() -> str:
    """Processor, cores and versions; nothing that names the machine itself."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        models = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        name = models[0] if models else name
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{name}, {os.cpu_count()} cores{gpu}, Python {platform.python_version()}, torch {torch.__version__}"


def write(name: str, rows: list[tuple[str, str, str]], notes: str = "", part: str = "") -> None:
    """`rows` are (what, measured, bar). Prints the table and keeps it; a `part` of a benchmark in a file of its own."""
    day = datetime.date.today().isoformat()
    # Where somebody keeps files is nobody's business.
    shown = [argument if not Path(argument).is_absolute() else "FOLDER" for argument in ARGUMENTS]
    command = " ".join(["python", f"benchmarks/{name}.py", *shown])
    name = f"{name}_{part}" if part else name
    lines = [
        f"# {name}, {day}", "", f"Command: `{command}`", "",
        f"Machine: {machine()}", "", "| what | measured | bar |", "|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows), "", notes, "",
    ]  # fmt: skip
    text = "\n".join(lines).rstrip() + "\n"
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{day}-{name}.md").write_text(text, "utf-8")
    print(text)


class Peak:
    """Highest resident memory while the block runs, above what it was when the block began, in MB."""

    def __enter__(self) -> Peak:
        import psutil

        self._process = psutil.Process()
        self._before = self._process.memory_info().rss
        self._highest, self._running = self._before, True
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while self._running:
            self._highest = max(self._highest, self._process.memory_info().rss)
            time.sleep(0.02)

    def __exit__(self, *error: object) -> None:
        self._running = False
        self._thread.join()
        self.megabytes = (self._highest - self._before) / 1e6
