"""File formats, read from `formats/*.json`."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "formats"
DEFAULT_FORMAT = "mp4-h264"
DEFAULT_QUALITY = "standard"


@dataclass(frozen=True)
class Format:
    """How to write a file.

    `quality` maps names to encoder options; `tag` is the four-character code for players that insist on one; `rate` is
    the sample rate that the audio codec needs, 0 to keep the clip's own.
    """

    name: str
    label: str
    container: str
    extension: str
    video_codec: str
    pixel_format: str
    options: dict[str, str]
    quality: dict[str, dict[str, str]]
    audio_codec: str
    audio_bit_rate: int
    rate: int = 0
    tag: str = ""

    def encoder_options(self, quality: str) -> dict[str, str]:
        """Options for a quality by name. Raises ValueError for an unknown one."""
        if quality not in self.quality:
            raise ValueError(f"{self.label} has no quality {quality!r}: choose one of {', '.join(self.quality)}.")
        return {**self.options, **self.quality[quality]}


@functools.cache
def formats() -> dict[str, Format]:
    """All formats by name, the default first."""
    found = {path.stem: parse_format(path.stem, json.loads(path.read_text("utf-8"))) for path in FOLDER.glob("*.json")}
    return dict(sorted(found.items(), key=lambda item: (item[0] != DEFAULT_FORMAT, item[0])))


def find_format(name: str) -> Format:
    """The format called `name`. Raises ValueError with the known names."""
    if name not in formats():
        raise ValueError(f"There is no file format {name!r}: choose one of {', '.join(formats())}.")
    return formats()[name]


def parse_format(name: str, data: dict[str, Any]) -> Format:
    """Check one format file. Raises ValueError that names missing and unknown keys."""
    known = {f.name for f in fields(Format)} - {"name"}
    required = known - {"rate", "tag"}
    if problems := (required - set(data)) | (set(data) - known):
        raise ValueError(f"formats/{name}.json has missing or unknown keys: {', '.join(sorted(problems))}.")
    if DEFAULT_QUALITY not in data["quality"]:
        raise ValueError(f"formats/{name}.json must have a quality {DEFAULT_QUALITY!r}.")
    return Format(name=name, **data)
