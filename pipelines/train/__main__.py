"""Command line of the training: `python -m kinetophone.pipelines.train --help` says what there is."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..model.config import CONFIGS
from ..sampling.loop import DEFAULT_SAMPLER, SAMPLERS
from ..world.caption import FORMS
from .config import read_config

PROGRAM = "python -m kinetophone.pipelines.train"


@dataclass(frozen=True)
class Command:
    """What a command takes (`[..]` may be left out, `..` stands for more of the same), what it is for, and its code."""

    takes: str
    purpose: str
    run: Callable[[argparse.Namespace], None]

    def check(self, name: str, given: int) -> None:
        """Raises ValueError with the usage where the number of arguments is wrong."""
        needed = self.takes.partition("[")[0].split()
        least = len([word for word in needed if word != ".."])
        if given < least or (given > least and ".." not in self.takes):
            raise ValueError(f"The command {name} got {given} arguments. Write: {PROGRAM} {name} {self.takes}")


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="\n".join(f"{name} {it.takes}\n    {it.purpose}" for name, it in _COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", help="one of the commands above, or a configuration")
    parser.add_argument("arguments", nargs="*")
    parser.add_argument("--model", default="mini", choices=sorted(CONFIGS))
    parser.add_argument("--clips", type=int, default=500, help="evaluate: held-out prompts")
    parser.add_argument("--guidance", type=float, default=3.0, help="evaluate: guidance scale")
    parser.add_argument("--steps", type=int, default=20, help="evaluate: sampling steps")
    parser.add_argument("--bucket", default="7x8x14", help="evaluate: size of the clips, in latents")
    parser.add_argument("--few", type=int, default=0, help="evaluate: so few steps too, for the last checkpoint")
    parser.add_argument("--turbo", type=Path, help="evaluate: this adapter too, for the last checkpoint")
    parser.add_argument(
        "--compile", action="store_true", help="evaluate, fit, widen: render faster, with a C++ compiler"
    )
    parser.add_argument("--sampler", default=DEFAULT_SAMPLER, choices=SAMPLERS, help="evaluate: how clips are sampled")
    parser.add_argument("--other", default="", choices=("", *SAMPLERS), help="evaluate: the last checkpoint so, too")
    parser.add_argument("--form", default="dense", choices=[*dict(FORMS), "mixed"], help="evaluate: kind of prompts")
    parser.add_argument("--jobs", type=int, default=1, help="evaluate: processes that share the work")
    parser.add_argument("--detector", type=Path, help="evaluate: another detector than the one that landed")
    options = parser.parse_intermixed_args(argv)
    try:
        command = _COMMANDS.get(options.command, _COMMANDS[_CONFIG])
        command.check(options.command, len(options.arguments))
        command.run(options)
    except ValueError as error:
        logging.error("%s", error)
        return 2
    return 0


def _train(options: argparse.Namespace) -> None:
    from .loop import train
    from .tasks import make_task

    run = read_config(options.command, options.arguments)
    train(make_task(run), run)


def _fit(options: argparse.Namespace) -> None:
    from .fit import fit_codec

    fit_codec(CONFIGS[options.model], Path(options.arguments[0]), options.compile)


def _fill(options: argparse.Namespace) -> None:
    from .tasks import make_task

    task = make_task(read_config(options.arguments[0], options.arguments[1:]))
    if not hasattr(task, "fill"):
        raise ValueError(f"The task {task.name!r} has nothing that could be rendered beforehand.")
    task.fill()


def _export(options: argparse.Namespace) -> None:
    from .export import export

    parts = (argument.partition("=") for argument in options.arguments[1:])
    export(CONFIGS[options.model], Path(options.arguments[0]), {name: Path(path) for name, _, path in parts if path})


def _soup(options: argparse.Namespace) -> None:
    from .export import soup

    out, *weights = (Path(argument) for argument in options.arguments)
    soup(out, weights)


def _adapter(options: argparse.Namespace) -> None:
    from .export import export_adapter

    out, config, *overrides = options.arguments
    export_adapter(Path(out), read_config(config, overrides))


def _widen(options: argparse.Namespace) -> None:
    from .widen import widen

    out, weights = (Path(argument) for argument in options.arguments)
    widen(CONFIGS[options.model], out, weights, options.compile)


def _split(options: argparse.Namespace) -> None:
    from .split import split

    out, weights = (Path(argument) for argument in options.arguments)
    split(CONFIGS[options.model], out, weights)


def _average(options: argparse.Namespace) -> None:
    from .checkpoint import average

    out, run = (Path(argument) for argument in options.arguments)
    average(out, run)


def _pairs(options: argparse.Namespace) -> None:
    from .pairs import make_pairs

    out, weights, *overrides = options.arguments
    run = read_config("cpu", [*overrides, "options.buckets={4x8x14: 1.0}"])
    make_pairs(run, Path(weights), Path(out))


def _evaluate(options: argparse.Namespace) -> None:
    from .detector import LANDED
    from .evaluate import Settings, evaluate

    settings = Settings(
        options.clips, options.steps, options.guidance, options.bucket, sampler=options.sampler, few=options.few,
        other=options.other, turbo=options.turbo, compile=options.compile, jobs=options.jobs, form=options.form,
    )  # fmt: skip
    out, *weights = (Path(argument) for argument in options.arguments)
    logging.info("%s", evaluate(out, weights, options.detector or LANDED, settings))


def _label(options: argparse.Namespace) -> None:
    from .export import label

    weights, evaluation = (Path(argument) for argument in options.arguments)
    label(weights, evaluation)


_CONFIG = "CONFIG"
_COMMANDS = {
    _CONFIG: Command("[key=value ..]", "run one training configuration", _train),
    "fit": Command("OUT", "fit the linear codecs on renders of the world", _fit),
    "fill": Command("CONFIG [key=value ..]", "render what a configuration will read, many processes at once", _fill),
    "pairs": Command("OUT WEIGHTS [key=value ..]", "clips as a transformer remakes them, for the decoder", _pairs),
    "export": Command(
        "OUT joint=PATH decoder=PATH vocoder=PATH codec=PATH", "join trained parts into one checkpoint", _export
    ),
    "soup": Command("OUT WEIGHTS WEIGHTS ..", "the mean of checkpoints that one run made of another", _soup),
    "adapter": Command("OUT CONFIG [key=value ..]", "the turbo adapter that such a run has learned", _adapter),
    "average": Command("OUT LAST", "keep the averaged weights of a run alone, half as precise", _average),
    "widen": Command("OUT WEIGHTS", "more channels for the picture, to train on", _widen),
    "split": Command("OUT WEIGHTS", "smaller tokens, to train on", _split),
    "evaluate": Command("OUT.md WEIGHTS ..", "measure checkpoints against real clips", _evaluate),
    "label": Command("WEIGHTS OUT.json", "keep what was measured in a checkpoint's metadata", _label),
}

if __name__ == "__main__":
    sys.exit(main())
