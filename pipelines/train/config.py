"""Run configuration: a YAML file next to the code, refused when it has a key that nobody reads."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

CONFIG_FOLDER = Path(__file__).parent / "configs"
# What a field of a type must be in YAML, and how that is called.
_KINDS = {
    "int": (int, "a whole number"),
    "bool": (bool, "true or false"),
    "str": (str, "a text"),
    "dict": (dict, "{key: value}"),
}


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
        if self.precision not in ("auto", "fp32", "bf16"):
            raise ValueError(f"precision must be auto, fp32 or bf16; got {self.precision!r}.")
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1; got {self.steps}.")


def read_config(name: str, overrides: list[str]) -> RunConfig:
    """Read a YAML file (a path, or a name in `train/configs`) and apply `key=value` overrides."""
    path = Path(name) if name.endswith(".yaml") else CONFIG_FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in CONFIG_FOLDER.glob("*.yaml"))
        raise ValueError(f"No training configuration {name!r}: give a .yaml file or one of {', '.join(known)}.")
    data = _checked(path.name, "dict", yaml.safe_load(path.read_text()))
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator:
            raise ValueError(f"An override is key=value; got {override!r}.")
        target = data
        *parents, last = key.split(".")
        for parent in parents:
            target = _checked(parent, "dict", target.setdefault(parent, {}))
        try:
            target[last] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(f"The value of {key} cannot be read: {error}") from error
    unknown = set(data) - {f.name for f in fields(RunConfig)}
    if unknown:
        raise ValueError(f"{path.name} has unknown keys {sorted(unknown)}.")
    for f in fields(RunConfig):
        if f.name in data:
            data[f.name] = _checked(f.name, f.type, data[f.name])
    return RunConfig(**data)


def _checked(name: str, kind: str, value: Any) -> Any:
    """The value of a field of this type. Raises ValueError that says what it must be."""
    if kind == "float":
        return _number(name, value)
    expected, called = _KINDS[kind.partition("[")[0]]
    # A truth value is a whole number as well, for Python.
    if type(value) is not expected:
        raise ValueError(f"{name} must be {called}; got {value!r}.")
    return value


def _number(name: str, value: Any) -> float:
    # YAML reads 6e-4, without a point, as text.
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a number; got {value!r}.") from error
