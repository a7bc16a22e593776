"""Run configuration: a YAML file next to the code, refused when it has a key that nobody reads, or another type."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from ..model.config import CONFIGS

T = TypeVar("T")
CONFIG_FOLDER = Path(__file__).parent / "configs"
# What types are called.
_KINDS = {int: "a whole number", bool: "true or false", str: "a text", dict: "{key: value}"}


@dataclass(frozen=True)
class RunConfig:
    """One training run.

    `task` names an entry of `tasks.TASKS`, `options` go to it. A run ends after `steps`, or after `minutes` of work if
    that comes first (0 = no such end); `leg` minutes after its start a process saves and stops, to be started again.
    `compile` fuses the layers of the network (needs a C++ compiler on a CPU): several times as fast.
    Learning rate warms up over `warmup` steps and falls to zero over the last `decay` fraction of the run. `rates`
    scales the rates of parameters by name prefix.
    """

    task: str
    out: str
    steps: int
    model: str = "mini"
    seed: int = 0
    muon_rate: float = 2e-3
    adam_rate: float = 1e-3
    weight_decay: float = 0.01
    clip: float = 1.0
    warmup: int = 100
    decay: float = 0.4
    ema: float = 0.999
    precision: str = "auto"
    save_every: int = 500
    sheet_every: int = 500
    minutes: float = 0.0
    leg: float = 0.0
    compile: bool = False
    rates: dict[str, float] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        one_of("precision", self.precision, ("auto", "fp32", "bf16"))
        one_of("model", self.model, CONFIGS)
        at_least(1, steps=self.steps, save_every=self.save_every, sheet_every=self.sheet_every)
        if not self.out:
            raise ValueError("A run needs a folder to write to: out=FOLDER.")


def read_config(name: str, overrides: list[str]) -> RunConfig:
    """Read a YAML file (a path, or a name in `train/configs`) and apply `key=value` overrides."""
    path = Path(name) if name.endswith(".yaml") else CONFIG_FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in CONFIG_FOLDER.glob("*.yaml"))
        raise ValueError(f"No training configuration {name!r}: give a .yaml file or one of {', '.join(known)}.")
    data = _of_type(path.name, dict, _read(path.name, path.read_text("utf-8")))
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator:
            raise ValueError(f"An override is key=value; got {override!r}.")
        target = data
        *parents, last = key.split(".")
        for parent in parents:
            target = _of_type(parent, dict, target.setdefault(parent, {}))
        target[last] = _read(f"The value of {key}", value) if value else ""
    return parsed(RunConfig, data, path.name)


def parse_options(kind: type[T], run: RunConfig) -> T:
    """What a task reads of the `options` of a run. Raises ValueError as `parsed` does."""
    return parsed(kind, run.options, f"The task {run.task}", "options.")


def parsed(kind: type[T], data: dict[str, Any], owner: str, prefix: str = "") -> T:
    """A dataclass from what YAML holds of its fields, whose names begin with `prefix` there.

    Raises ValueError for a key that it does not have, one without a default that is missing, and another type.
    """
    types = get_type_hints(kind)
    if unknown := [key for key in data if key not in types]:
        raise ValueError(f"{owner} has no {prefix}{unknown[0]}; it has {', '.join(f.name for f in fields(kind))}.")
    needed = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    if missing := [name for name in needed if name not in data]:
        raise ValueError(f"{owner} needs {prefix}{missing[0]}.")
    return kind(**{name: _checked(prefix + name, types[name], value) for name, value in data.items()})


def at_least(least: int, **values: float) -> None:
    """Raises ValueError for the first of the values that is smaller."""
    for name, value in values.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}; got {value}.")


def one_of(name: str, value: str, known: Iterable[str]) -> None:
    """Raises ValueError for a value that is not known."""
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known) or 'none'}; got {value!r}.")


def _read(name: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{name} cannot be read: {error}") from error


def _checked(name: str, kind: Any, value: Any) -> Any:
    """The value of a field of this type. Raises ValueError that says what it must be."""
    if isinstance(kind, UnionType):
        # One number for all, or a number for each.
        kind = next(of for of in get_args(kind) if (get_origin(of) is dict) == isinstance(value, dict))
    if kind is float:
        return _number(name, value)
    if get_origin(kind) is dict:
        keys, values = get_args(kind)
        entries = _of_type(name, dict, value).items()
        return {_checked(f"A key of {name}", keys, key): _checked(f"{name}.{key}", values, of) for key, of in entries}
    return value if kind is Any else _of_type(name, kind, value)


def _of_type(name: str, kind: type, value: Any) -> Any:
    # A truth value is a whole number as well, for Python.
    if type(value) is not kind:
        raise ValueError(f"{name} must be {_KINDS[kind]}; got {value!r}.")
    return value


def _number(name: str, value: Any) -> float:
    # YAML reads 6e-4, without a point, as text.
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a number; got {value!r}.")
    return number
