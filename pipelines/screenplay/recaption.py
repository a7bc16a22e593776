"""From a short prompt to the dense caption that a model was trained on, with a list of everything that was added.

The prompt stays as it is, word for word, at the start of the caption; only fields that it does not speak of are added
after it. So nothing is lost, and what is invented can be seen and turned down.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from dataclasses import dataclass, replace

from ..types import TIME_STEP, Line, Screenplay, Shot, Writer
from .dialogue import BREATH, dialogue_notes, speaking_seconds
from .document import FORMAT, from_data
from .options import STYLES, TARGETS
from .storyboard import parse
from .understand import BANKS, bank, clean, dialogue, has_any, said

_FENCE = re.compile(r"```(?:json|text)?\s*\n(.*?)```", re.DOTALL)
# Models that reason aloud end that so; where it began is not sent when the chat template begins it.
_THOUGHT_END = re.compile(r"</think(?:ing)?>")


@dataclass(frozen=True)
class Brief:
    """What to write: `target` names a family of models, `style` a preset, `seed` chooses among equals.

    `look` is a sentence about the look of a reference picture; it goes before what the style says.
    """

    prompt: str
    seconds: float
    target: str = "built-in"
    style: str = "natural"
    seed: int = 0
    look: str = ""

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
    """A screenplay, the fields that the user decided (with the words), and those that were added (with the text).

    `notes` say what else the user should know: what was left out, or cannot be used.
    """

    screenplay: Screenplay
    said: dict[str, tuple[str, ...]]
    added: dict[str, str]
    notes: tuple[str, ...] = ()

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
        return "\n".join([*lines, *self.notes, *dialogue_notes(self.screenplay)])


def write_built_in(brief: Brief) -> Draft:
    """Fill in what is missing by rule: offline, in milliseconds, the same for the same seed."""
    prompt = clean(brief.prompt)
    target, decided = bank("targets")[brief.target], said(prompt)
    chooser = random.Random(f"{brief.seed} {prompt}")
    added: dict[str, str] = {}
    for field, entries in target["fields"].items():
        choices = _choices(prompt, entries or bank("styles")[brief.style].get(field, []))
        choices = [brief.look] if field == "look" and brief.look else choices
        if field not in decided and choices:
            added[field] = chooser.choice(choices)
    caption = _joined(prompt, list(added.values()), target["form"])
    shot = Shot(0.0, brief.seconds, caption, lines=_timed(dialogue(prompt), brief.seconds))
    screenplay = Screenplay(prompt, (shot,), style=brief.named_style, writer=Writer("built-in"))
    return Draft(screenplay, decided, added, _unused_look(brief, decided))


def instruction(brief: Brief) -> str:
    """What to tell a language model so that `read_reply` understands its answer."""
    template = (BANKS / "instruction.txt").read_text("utf-8")
    style = f"{brief.style}. {brief.look}" if brief.look else f"{brief.style}."
    return template.format(seconds=f"{brief.seconds:g}", style=style, prompt=clean(brief.prompt)).strip()


def read_reply(reply: str, brief: Brief, writer: Writer = Writer("text")) -> Draft:
    """A screenplay from a language model's reply: JSON or a storyboard, with or without a fence and words around it.

    Raises ValueError with the reason when it is neither. What is in the reply is text to show, never an instruction.
    """
    prompt = clean(brief.prompt)
    answer = _THOUGHT_END.split(reply)[-1]
    fenced = _FENCE.search(answer)
    body = (fenced[1] if fenced else answer).strip()
    screenplay = _document(body) or _storyboard(body)
    screenplay = replace(screenplay, prompt=prompt, style=screenplay.style or brief.named_style, writer=writer)
    told = " ".join(shot.caption for shot in screenplay.shots)
    decided, described = said(prompt), said(told)
    new = {field: [word for word in words if not _mentions(prompt, word)] for field, words in described.items()}
    added = {field: ", ".join(words) for field, words in new.items() if words}
    return Draft(screenplay, decided, added, _reply_notes(screenplay, decided, told, brief.seconds))


def timed_caption(screenplay: Screenplay) -> str:
    """One text for models that read timed prose; a single shot is its caption alone."""
    if len(screenplay.shots) == 1:
        return shot_caption(screenplay.shots[0])
    return "\n".join(f"{shot.start:g}-{shot.end:g} s: {shot_caption(shot)}" for shot in screenplay.shots)


def shot_description(shot: Shot) -> str:
    """One text of what is seen and heard in the shot, for models that know no speech."""
    parts = [shot.caption.rstrip()]
    parts += [f"Camera: {shot.camera}."] if shot.camera else []
    return " ".join([*parts, *(f"Sound: {cue.sound}." for cue in shot.cues)])


def shot_caption(shot: Shot) -> str:
    """One text of everything that the shot says."""
    parts = [shot_description(shot)]
    # A line that the caption already quotes is not said twice.
    parts += [
        f'{line.speaker.capitalize()} says: "{line.text}"' for line in shot.lines if line.text not in shot.caption
    ]
    return " ".join(parts)


def _unused_look(brief: Brief, decided: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    if not brief.look:
        return ()
    if "look" not in bank("targets")[brief.target]["fields"]:
        return (f"The look of the image is not used: {brief.target} is told of none.",)
    return ("The look of the image is not used: the prompt says how it should look.",) if "look" in decided else ()


def _reply_notes(
    screenplay: Screenplay, decided: dict[str, tuple[str, ...]], told: str, seconds: float
) -> tuple[str, ...]:
    """What a language model did not keep: words of the prompt, and the length that was asked for."""
    lost = [term for terms in decided.values() for term in terms if not _mentions(told, term)]
    notes = [f"The reply leaves out what you said: {', '.join(lost)}."] if lost else []
    if abs(screenplay.seconds - seconds) > TIME_STEP:
        notes.append(f"The reply lasts {screenplay.seconds:g} s; you asked for {seconds:g} s.")
    return tuple(notes)


def _mentions(text: str, term: str) -> bool:
    """Whether the words of a term are in a text, in whatever form: "bounces" is in "a bouncing ball"."""
    words = text.lower().replace("-", " ").split()
    stems = [word[: max(3, len(word) - 3)] for word in term.split()]
    return all(any(word.strip("\"'(,.").startswith(stem) for word in words) for stem in stems)


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
    """The lines one after the other, each when the one before it has been said; closer where that takes too long."""
    needs = [speaking_seconds(line.text) + BREATH for line in lines]
    closer = min(1.0, seconds / max(sum(needs), 1e-6))
    starts = itertools.accumulate(needs, initial=0.0)
    # Rounded down, so that the last of many lines stays before the end.
    return tuple(replace(line, at=int(at * closer * 1000) / 1000) for line, at in zip(lines, starts, strict=False))


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
            'thumps". Feed the instruction output to the language model, and its whole reply back; or try another '
            f"seed or a larger model. The reply began: {body[:160]!r}"
        )
    return parse("\n".join(shots))
