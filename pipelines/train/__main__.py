"""Command line of the training: `python -m kinetophone.pipelines.train --help` says what there is."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..model.config import CONFIGS
from ..sampling.loop import SAMPLERS
from ..world.caption import FORMS
from .config import read_config

PROGRAM = "python -m kinetophone.pipelines.train"
MODEL = "mini"


@dataclass(frozen=True)
class Command:
    """What a command takes (`[..]` may be left out, `..` stands for more of the same), what it is for, and its code.

    The code is given the arguments, and those of `flags` that were written, by name.
    """

    takes: str
    purpose: str
    run: Callable[..., None]
    flags: tuple[str, ...] = ()

    def check(self, name: str, given: int, flags: Iterable[str]) -> None:
        """Raises ValueError with the usage where the number of arguments is wrong, or a flag is for others."""
        needed = self.takes.partition("[")[0].split()
        least = len([word for word in needed if word != ".."])
        usage = f"Write: {PROGRAM} {name} {self.takes}"
        if given < least or (given > least and ".." not in self.takes):
            raise ValueError(f"The command {name} got {given} arguments. {usage}")
        if unread := [flag for flag in flags if flag not in self.flags]:
            raise ValueError(f"The command {name} does not read --{unread[0]}. {usage}")


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="\n".join(f"{name} {it.takes}\n    {it.purpose}" for name, it in _COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("command", help="one of the commands above, or a configuration")
    parser.add_argument("arguments", nargs="*", default=[])
    parser.add_argument("--model", choices=sorted(CONFIGS), help="fit, export, widen, split: which member (mini)")
    parser.add_argument("--clips", type=int, help="evaluate: held-out prompts, a multiple of 10 (500)")
    parser.add_argument("--guidance", type=float, help="evaluate: guidance scale (3)")
    parser.add_argument("--steps", type=int, help="evaluate: sampling steps (20)")
    parser.add_argument("--bucket", help="evaluate: size of the clips, in latents (7x8x14)")
    parser.add_argument("--few", type=int, help="evaluate: so few steps too, for the last checkpoint")
    parser.add_argument("--turbo", type=Path, help="evaluate: this adapter too, for the last checkpoint")
    parser.add_argument(
        "--compile", action="store_true", help="evaluate, fit, widen: render faster, with a C++ compiler"
    )
    parser.add_argument("--sampler", choices=SAMPLERS, help="evaluate: how clips are sampled")
    parser.add_argument("--other", choices=("", *SAMPLERS), help="evaluate: the last checkpoint so, too")
    parser.add_argument("--form", choices=[*dict(FORMS), "mixed"], help="evaluate: kind of prompts")
    parser.add_argument("--jobs", type=int, help="evaluate: processes that share the work")
    parser.add_argument("--detector", type=Path, help="evaluate: another detector than the one that landed")
    flags = vars(parser.parse_intermixed_args(argv))
    name, arguments = flags.pop("command"), flags.pop("arguments")
    try:
        command = _COMMANDS.get(name, _COMMANDS[_CONFIG])
        command.check(name, len(arguments), flags)
        command.run([name, *arguments] if command.run is _train else arguments, **flags)
    except (ValueError, OSError, FloatingPointError) as error:
        logging.error("%s", error)
        return 2
    return 0


def _train(arguments: list[str]) -> None:
    from .loop import train
    from .tasks import make_task

    run = read_config(arguments[0], arguments[1:])
    train(make_task(run), run)


def _fit(arguments: list[str], model: str = MODEL, compile: bool = False) -> None:
    from .fit import fit_codec

    fit_codec(CONFIGS[model], Path(arguments[0]), compile)


def _fill(arguments: list[str]) -> None:
    from .tasks import make_task

    task = make_task(read_config(arguments[0], arguments[1:]))
    if not hasattr(task, "fill"):
        raise ValueError(f"The task {task.name!r} has nothing that could be rendered beforehand.")
    task.fill()


def _export(arguments: list[str], model: str = MODEL) -> None:
    from .export import export

    parts = (argument.partition("=") for argument in arguments[1:])
    export(CONFIGS[model], Path(arguments[0]), {name: Path(path) for name, _, path in parts if path})


def _soup(arguments: list[str]) -> None:
    from .export import soup

    out, *weights = map(Path, arguments)
    soup(out, weights)


def _adapter(arguments: list[str]) -> None:
    from .export import export_adapter

    out, config, *overrides = arguments
    export_adapter(Path(out), read_config(config, overrides))


def _widen(arguments: list[str], model: str = MODEL, compile: bool = False) -> None:
    from .widen import widen

    out, weights = map(Path, arguments)
    widen(CONFIGS[model], out, weights, compile)


def _split(arguments: list[str], model: str = MODEL) -> None:
    from .split import split

    out, weights = map(Path, arguments)
    split(CONFIGS[model], out, weights)


def _average(arguments: list[str]) -> None:
    from .checkpoint import average

    out, run = map(Path, arguments)
    average(out, run)


def _pairs(arguments: list[str]) -> None:
    from .pairs import make_pairs

    out, weights, *overrides = arguments
    run = read_config("cpu", [*overrides, "options.buckets={4x8x14: 1.0}"])
    make_pairs(run, Path(weights), Path(out))


def _evaluate(arguments: list[str], detector: Path | None = None, **settings: Any) -> None:
    from .detector import LANDED
    from .evaluate import Settings, evaluate

    out, *weights = map(Path, arguments)
    logging.info("%s", evaluate(out, weights, detector or LANDED, Settings(**settings)))


def _label(arguments: list[str]) -> None:
    from .export import label

    weights, evaluation = map(Path, arguments)
    label(weights, evaluation)


_CONFIG = "CONFIG"
_MEASURED = (
    "clips", "guidance", "steps", "bucket", "few", "turbo", "compile", "sampler", "other", "form", "jobs", "detector",
)  # fmt: skip
_COMMANDS = {
    _CONFIG: Command("[key=value ..]", "run one training configuration", _train),
    "fit": Command("OUT", "fit the linear codecs on renders of the world", _fit, ("model", "compile")),
    "fill": Command("CONFIG [key=value ..]", "render what a configuration will read, many processes at once", _fill),
    "pairs": Command("OUT WEIGHTS [key=value ..]", "clips as a transformer remakes them, for the decoder", _pairs),
    "export": Command(
        "OUT joint=PATH decoder=PATH vocoder=PATH codec=PATH",
        "join trained parts into one checkpoint",
        _export,
        ("model",),
    ),
    "soup": Command("OUT WEIGHTS WEIGHTS ..", "the mean of checkpoints that one run made of another", _soup),
    "adapter": Command("OUT CONFIG [key=value ..]", "the turbo adapter that such a run has learned", _adapter),
    "average": Command("OUT LAST", "keep the averaged weights of a run alone, half as precise", _average),
    "widen": Command("OUT WEIGHTS", "more channels for the picture, to train on", _widen, ("model", "compile")),
    "split": Command("OUT WEIGHTS", "smaller tokens, to train on", _split, ("model",)),
    "evaluate": Command("OUT.md WEIGHTS ..", "measure checkpoints against real clips", _evaluate, _MEASURED),
    "label": Command("WEIGHTS OUT.json", "keep what was measured in a checkpoint's metadata", _label),
}

if __name__ == "__main__":
    sys.exit(main())
