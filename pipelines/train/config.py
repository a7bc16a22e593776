"""Run configuration: a YAML file next to the code, refused when it has a key that nobody reads."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

CONFIG_FOLDER = Path(__file__).parent / "configs"


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
    data = yaml.safe_load(path.read_text())
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator:
            raise ValueError(f"An override is key=value; got {override!r}.")
        target = data
        *parents, last = key.split(".")
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = yaml.safe_load(value)
    unknown = set(data) - {f.name for f in fields(RunConfig)}
    if unknown:
        raise ValueError(f"{path.name} has unknown keys {sorted(unknown)}.")
    for f in fields(RunConfig):
        # YAML reads 6e-4, without a point, as text.
        if f.name in data and f.type == "float":
            data[f.name] = _number(f.name, data[f.name])
    return RunConfig(**data)


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a number; got {value!r}.") from error
