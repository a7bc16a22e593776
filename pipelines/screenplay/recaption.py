"""From a short prompt to the dense caption that a model was trained on, with a list of everything that was added.

The prompt stays as it is, word for word, at the start of the caption; only fields that it does not speak of are added
after it. So nothing is lost, and what is invented can be seen and turned down.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, replace

from ..types import Line, Screenplay, Shot, Writer
from .dialogue import dialogue_notes, speaking_seconds
from .document import FORMAT, from_data
from .options import STYLES, TARGETS
from .storyboard import parse
from .understand import BANKS, bank, clean, dialogue, has_any, said

_FENCE = re.compile(r"```(?:json|text)?\s*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Brief:
    """What to write: `target` names a family of models, `style` a preset, `seed` chooses among equals."""

    prompt: str
    seconds: float
    target: str = "built-in"
    style: str = "natural"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (("target", self.target, TARGETS), ("style", self.style, STYLES)):
            if value not in known:
                raise ValueError(f"Unknown {name} {value!r}: choose one of {', '.join(known)}.")

    @property
    def named_style(self) -> str:
        """The style where it is not the default."""
        return "" if self.style == STYLES[0] else self.style


@dataclass(frozen=True)
class Draft:
    """A screenplay, the fields that the user decided (with the words), and those that were added (with the text)."""

    screenplay: Screenplay
    said: dict[str, tuple[str, ...]]
    added: dict[str, str]

    @property
    def caption(self) -> str:
        """One text for a text encoder."""
        return timed_caption(self.screenplay)

    def difference(self) -> str:
        """What came from the user and what did not, for reading."""
        lines = [f"You said: {self.screenplay.prompt}"]
        lines += [f"  {field}: {', '.join(words)}" for field, words in self.said.items()]
        lines += ["Added:" if self.added else "Nothing was added."]
        lines += [f"  {field}: {text}" for field, text in self.added.items()]
        return "\n".join([*lines, *dialogue_notes(self.screenplay)])


def write_built_in(brief: Brief) -> Draft:
    """Fill in what is missing by rule: offline, in milliseconds, the same for the same seed."""
    prompt = clean(brief.prompt)
    target, decided = bank("targets")[brief.target], said(prompt)
    chooser = random.Random(f"{brief.seed} {prompt}")
    added: dict[str, str] = {}
    for field, entries in target["fields"].items():
        choices = _choices(prompt, entries or bank("styles")[brief.style].get(field, []))
        if field not in decided and choices:
            added[field] = chooser.choice(choices)
    caption = _joined(prompt, list(added.values()), target["form"])
    shot = Shot(0.0, brief.seconds, caption, lines=_timed(dialogue(prompt), brief.seconds))
    return Draft(Screenplay(prompt, (shot,), style=brief.named_style, writer=Writer("built-in")), decided, added)


def instruction(brief: Brief) -> str:
    """What to tell a language model so that `read_reply` understands its answer."""
    template = (BANKS / "instruction.txt").read_text("utf-8")
    return template.format(seconds=f"{brief.seconds:g}", style=brief.style, prompt=clean(brief.prompt)).strip()


def read_reply(reply: str, brief: Brief, model: str = "") -> Draft:
    """A screenplay from a language model's reply: JSON or a storyboard, with or without a fence and words around it.

    Raises ValueError with the reason when it is neither. What is in the reply is text to show, never an instruction.
    """
    prompt = clean(brief.prompt)
    fenced = _FENCE.search(reply)
    body = (fenced[1] if fenced else reply).strip()
    screenplay = _document(body) or _storyboard(body)
    screenplay = replace(
        screenplay, prompt=prompt, style=screenplay.style or brief.named_style, writer=Writer("text", model)
    )
    told = " ".join(shot.caption for shot in screenplay.shots)
    decided, described = said(prompt), said(told)
    added = {field: ", ".join(words) for field, words in described.items() if field not in decided}
    return Draft(screenplay, decided, added)


def timed_caption(screenplay: Screenplay) -> str:
    """One text for models that read timed prose; a single shot is its caption alone."""
    if len(screenplay.shots) == 1:
        return shot_caption(screenplay.shots[0])
    return "\n".join(f"{shot.start:g}-{shot.end:g} s: {shot_caption(shot)}" for shot in screenplay.shots)


def shot_caption(shot: Shot) -> str:
    """One text of everything that the shot says."""
    parts = [shot.caption.rstrip()]
    parts += [f"Camera: {shot.camera}."] if shot.camera else []
    parts += [f"Sound: {cue.sound}." for cue in shot.cues]
    # A line that the caption already quotes is not said twice.
    parts += [
        f'{line.speaker.capitalize()} says: "{line.text}"' for line in shot.lines if line.text not in shot.caption
    ]
    return " ".join(parts)


def _choices(prompt: str, entries: list) -> list[str]:
    special = [entry["text"] for entry in entries if isinstance(entry, dict) and has_any(prompt, entry["with"])]
    return special or [entry for entry in entries if isinstance(entry, str)]


def _joined(prompt: str, additions: list[str], form: str) -> str:
    if not additions:
        return prompt
    if form == "sentence":
        return " ".join([prompt if prompt[-1] in '.!?"”' else f"{prompt}.", *additions])
    return f"{prompt} {', '.join(additions)}" if prompt[-1] in ".!?,;" else f"{prompt}, {', '.join(additions)}"


def _timed(lines: tuple[Line, ...], seconds: float) -> tuple[Line, ...]:
    """The lines one after the other, each when the one before it has been said."""
    placed, at = [], 0.0
    for line in lines:
        placed.append(replace(line, at=round(min(at, seconds * 0.95), 3)))
        at += speaking_seconds(line.text) + 0.2
    return tuple(placed)


def _document(body: str) -> Screenplay | None:
    start, end = body.find("{"), body.rfind("}")
    if start < 0 or end < start:
        return None
    try:
        data = json.loads(body[start : end + 1])
    except (json.JSONDecodeError, RecursionError):
        return None
    return from_data({"format": FORMAT, **data} if isinstance(data, dict) and "shots" in data else data)


def _storyboard(body: str) -> Screenplay:
    """The lines of a reply from the first shot on, without list marks; chatter before and after is left out."""
    lines = [re.sub(r"^\s*(?:[-*•]|\d+[.)])\s+(?=\d)", "", line).strip("* ") for line in body.splitlines()]
    shots = [line for line in lines if re.match(r"\d[\d:.]*\s*s?\s*(?:-|\u2013|to)\s*\d", line)]
    if not shots:
        raise ValueError(
            'The reply holds no storyboard and no screenplay: expected lines such as "0-2 a red ball bounces | sound: '
            'thumps". Feed the instruction output to the language model, and its whole reply back.'
        )
    return parse("\n".join(shots))
