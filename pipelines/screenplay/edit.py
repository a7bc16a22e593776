"""Review and lock: an edited screenplay stays as it is, and says when what it was made from has changed."""

from __future__ import annotations

import difflib

from ..types import Screenplay
from .storyboard import format_storyboard, read_screenplay


def edited(incoming: Screenplay | None, text: str, *, locked: bool) -> tuple[Screenplay, str]:
    """The screenplay to use, and a note.

    Locked, it is `text`, and the note lists how `incoming` differs; not locked, it is `incoming`, or `text` when
    nothing comes in. Raises ValueError when there is nothing to use.
    """
    if incoming is not None and not locked:
        return incoming, "Not locked: passes on what comes in."
    if not text.strip():
        reason = (
            "It is locked, but its text is empty" if incoming is not None else "Its text is empty, and nothing comes in"
        )
        raise ValueError(f"{reason}. Write a storyboard such as: 0-2 a red ball bounces")
    kept = read_screenplay(text)
    if incoming is None:
        return kept, "Nothing comes in: uses the text."
    changes = difference(kept, incoming)
    return kept, f"Locked. What comes in differs:\n{changes}" if changes else "Locked. What comes in is the same."


def difference(kept: Screenplay, incoming: Screenplay) -> str:
    """Lines of the storyboards that differ: `-` only in `kept`, `+` only in `incoming`; empty when they are equal."""
    rows = difflib.ndiff(format_storyboard(kept).splitlines(), format_storyboard(incoming).splitlines())
    return "\n".join(row for row in rows if row[0] in "+-")
