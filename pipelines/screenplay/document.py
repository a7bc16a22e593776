"""The screenplay as JSON, format `kinetophone.screenplay/1`: strict in what it accepts, stable in what it writes."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from ..types import Screenplay

FORMAT = "kinetophone.screenplay/1"
# Far more than the longest screenplay that a model can follow; what is larger is a mistake or an attack.
MAX_CHARACTERS = 1_000_000
MAX_ITEMS = 2_000
_NAMES = {float: "a number", str: "a text"}


def to_json(screenplay: Screenplay) -> str:
    """The document, indented, keys in the order of the fields, non-Latin letters as they are."""
    return json.dumps({"format": FORMAT, **asdict(screenplay)}, ensure_ascii=False, indent=2)


def from_json(text: str) -> Screenplay:
    """Read a document. Raises ValueError that names the place and what was expected there."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"The screenplay has {len(text)} characters; at most {MAX_CHARACTERS} are read.")
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"The screenplay is not valid JSON, line {error.lineno}, column {error.colno}: {error.msg}."
        ) from error
    except RecursionError as error:
        raise ValueError("The screenplay is nested too deeply to be one.") from error
    return from_data(data)


def from_data(data: Any) -> Screenplay:
    """Read what `json.loads` gives."""
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else type(data).__name__
        raise ValueError(f"A screenplay is an object with format {FORMAT!r}; got {found!r}.")
    return _build(Screenplay, {key: value for key, value in data.items() if key != "format"}, "screenplay")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"The screenplay holds {name}, which is no time. Use ordinary numbers.")


def _build(cls: type, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise ValueError(f"{where} must be an object; got {_shown(data)}.")
    hints = get_type_hints(cls)
    unknown = sorted(set(data) - set(hints))
    if unknown:
        raise ValueError(f"{where} has unknown keys {', '.join(unknown)}; known are {', '.join(hints)}.")
    missing = [f.name for f in fields(cls) if f.default is MISSING and f.name not in data]
    if missing:
        raise ValueError(f"{where} lacks {', '.join(missing)}.")
    return cls(**{key: _value(hints[key], value, f"{where}.{key}") for key, value in data.items()})


def _value(kind: Any, value: Any, where: str) -> Any:
    if get_origin(kind) is tuple:
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise ValueError(f"{where} must be a list of at most {MAX_ITEMS} items; got {_shown(value)}.")
        inner = get_args(kind)[0]
        return tuple(_value(inner, item, f"{where}[{index}]") for index, item in enumerate(value))
    if is_dataclass(kind):
        return _build(kind, value, where)
    right = isinstance(value, str) if kind is str else isinstance(value, int | float) and not isinstance(value, bool)
    if not right:
        raise ValueError(f"{where} must be {_NAMES[kind]}; got {_shown(value)}.")
    return kind(value)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
