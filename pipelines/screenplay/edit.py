"""Review and lock: an edited screenplay stays as it is, and says when what it was made from has changed."""

from __future__ import annotations

import difflib

from ..types import Screenplay
from .storyboard import format_storyboard, read_screenplay

# Storyboards that were passed on, by their hashes: the editor fills an empty text with one, which then is nobody's edit
# although something else comes in the next time. The oldest are forgotten.
_passed_on: dict[int, None] = {}
REMEMBERED = 4096


def edited(incoming: Screenplay | None, text: str, *, locked: bool) -> tuple[Screenplay, str]:
    """The screenplay to use, and a note.

    Locked, it is `text`, and the note lists how `incoming` differs; not locked, it is `incoming`, or `text` when
    nothing comes in, and the note says where a person's text goes unused. Raises ValueError when there is nothing to
    use.
    """
    if incoming is not None and not locked:
        _remember(incoming)
        unused = " Your text was not used: switch locked on." if _is_own(text) else ""
        return incoming, f"Not locked: passes on what comes in.{unused}"
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


def _remember(incoming: Screenplay) -> None:
    board = hash(format_storyboard(incoming).strip())
    _passed_on.pop(board, None)
    _passed_on[board] = None
    while len(_passed_on) > REMEMBERED:
        del _passed_on[next(iter(_passed_on))]


def _is_own(text: str) -> bool:
    """Whether a person wrote or changed a text."""
    return bool(text.strip()) and hash(text.strip()) not in _passed_on


def difference(kept: Screenplay, incoming: Screenplay) -> str:
    """Lines of the storyboards that differ: `-` only in `kept`, `+` only in `incoming`; empty when they are equal."""
    rows = difflib.ndiff(format_storyboard(kept).splitlines(), format_storyboard(incoming).splitlines())
    return "\n".join(row for row in rows if row[0] in "+-")
