"""What a written file says of itself."""

from __future__ import annotations

from pathlib import Path

import av


def read_tags(path: Path) -> dict[str, str]:
    """The file's own tags, for example `workflow`, in lower case: Matroska stores them in upper case."""
    with av.open(str(path)) as container:
        return {key.lower(): value for key, value in container.metadata.items()}
