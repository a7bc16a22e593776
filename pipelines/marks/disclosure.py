"""The sentence by which a file tells people that it was made by a model."""

from __future__ import annotations

import functools
from pathlib import Path

import yaml

from .options import LANGUAGES, NONE

# The tag that players show as a comment.
TAG = "comment"


def disclosure(language: str) -> dict[str, str]:
    """The tag of a language; nothing for "none". Raises ValueError for an unknown language."""
    said = sentence(language)
    return {TAG: said} if said else {}


def sentence(language: str) -> str:
    """What is said in a language, for a caption; empty for "none". Raises ValueError for an unknown language."""
    if language == NONE:
        return ""
    if language not in _texts():
        raise ValueError(f"There is no disclosure in {language!r}. Choose one of {', '.join(LANGUAGES)}.")
    return _texts()[language]


@functools.cache
def _texts() -> dict[str, str]:
    return yaml.safe_load((Path(__file__).parent / "disclosure.yaml").read_text("utf-8"))
