"""The host in the process of a benchmark."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "host"))

from harness import Host  # noqa: E402


def boot() -> Host:
    """A host with an empty base folder, which is removed with the process's temporary files."""
    base = Path(tempfile.mkdtemp(prefix="kinetophone-bench-"))
    (base / "models" / "kinetophone").mkdir(parents=True)
    return Host(base)
