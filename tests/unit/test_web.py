"""What the editor loads, run without a browser."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_a_note_shows_what_a_run_says_and_is_cleared_where_it_says_nothing() -> None:
    done = subprocess.run(
        ["node", str(ROOT / "tests" / "web" / "note.mjs")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
