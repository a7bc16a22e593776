"""The built-in model, trained again from the weights that ship, one command for each kind of machine.

python scripts/train.py cpu         two cores, six hours, or as many as --hours says, in one go
python scripts/train.py gpu --leg 1 one GPU, three legs of under ten minutes each: 1, 2, 3
python scripts/train.py debug       the same commands on the debug configuration, some minutes: does everything run?
python scripts/train.py debug-gpu   likewise what a GPU would do, legs and all

Whatever is done already is not done again: a command that was stopped goes on where it was. The last leg writes
`runs/<machine>/table.md`, which compares the candidate with the weights that ship. A CPU does not train for long enough
to leave these behind: there the mean of both is measured too, and gets the turbo adapter.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MINI = "pipelines/weights/mini/mini.safetensors"
TURBO = "pipelines/weights/mini/turbo.safetensors"
# Sizes of clips and their share of the steps.
BUCKETS = {"4x8x14": 0.15, "7x8x14": 0.55, "13x8x14": 0.2, "7x10x10": 0.05, "7x14x8": 0.05}
COMMONEST = "7x8x14"
# Each process that renders has one size, for which alone it compiles; more of them have the common and the long.
RENDERED = (
    COMMONEST, "13x8x14", COMMONEST, "4x8x14", COMMONEST, "13x8x14", COMMONEST, "7x10x10", COMMONEST, "13x8x14",
    COMMONEST, "7x14x8",
)  # fmt: skip

# What clips show that the weights that ship get wrong most often: it is hard to see, or hard to bind.
FAVOUR = (
    "{action: {hover: 2.5, spin: 2.5, beacon: 1.7, hop: 1.5}, camera: {pan left: 1.4, pan right: 1.4}, "
    "shape: {bird: 1.5, robot: 1.5}, count: {two: 2, three: 2}}"
)


@dataclass(frozen=True)
class Machine:
    """What a kind of machine has time for.

    Minutes of each part, and of a leg, rendering included (0 = all in one); 0 minutes keep the decoder that there is.
    Clips in a batch; prompts to measure with; shards of 64 clips of the commonest size, how many of them an accelerator
    renders itself, and how many have twins for cuts; processes that render on the CPU, and that measure. `gently` are
    the rates of a machine whose batches are too small for those of the configuration. With `debug` random weights of
    the debug configuration are what it starts from.
    """

    joint: float
    leg: float
    decoder: float
    distill: float
    batch: int
    clips: int
    shards: int
    early: int
    twins: int
    workers: int
    extra: tuple[str, ...] = ()
    gently: tuple[str, ...] = ()
    debug: bool = False

    def lasting(self, hours: float) -> Machine:
        """The same with `hours` where it has one."""
        shards = max(1, round(self.shards * hours))
        return replace(
            self, joint=self.joint * hours, decoder=self.decoder * hours, distill=self.distill * hours, shards=shards,
            early=shards, twins=max(1, round(self.twins * hours)), clips=max(1, round(self.clips * hours / 10)) * 10,
        )  # fmt: skip

    def held(self, early: bool = False) -> str:
        """How many shards of each size there are, or come `early`, from the accelerator."""
        count = self.early if early else self.shards
        shares = {name: max(1, round(count * share / BUCKETS[COMMONEST])) for name, share in BUCKETS.items()}
        return "{" + ", ".join(f"{name}: {share}" for name, share in shares.items()) + "}"


# That a CPU has, unless told.
HOURS = 6.0
SEED = 8
# Minutes that a leg trains at least, however long it rendered.
SHORTEST = 0.02
# So few clips in a shard that rendering them takes a minute, without a compiler.
FEW = "options.clips=4"
CORES = os.cpu_count() or 2
# So many processes keep an accelerator busy with rendering.
RENDERERS = 6
DEBUG = Machine(
    joint=0.02, leg=0, decoder=0.02, distill=0.02, batch=2, clips=10, shards=1, early=1, twins=1, workers=1,
    extra=("precision=fp32", "options.compile_renderer=false"), debug=True,
)  # fmt: skip
MACHINES = {
    # In an hour.
    "cpu": Machine(
        joint=18, leg=0, decoder=4, distill=7, batch=10, clips=40, shards=18, early=18, twins=1,
        workers=CORES, gently=("muon_rate=3.0e-4", "adam_rate=1.5e-4"),
    ),
    # Another 1,400 steps of 64 crops there left the decoder as good as it was, and noisier.
    "gpu": Machine(
        joint=18.5, leg=9.3, decoder=0, distill=1.8, batch=96, clips=2000, shards=500, early=100, twins=12,
        workers=max(1, CORES - 4), extra=("ema=0.999", "save_every=1000"),
    ),
    "debug": DEBUG,
    "debug-gpu": replace(DEBUG, joint=0.06, leg=0.02, decoder=0, shards=2),
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("machine", choices=sorted(MACHINES))
    parser.add_argument("--leg", type=int, default=0, choices=(0, 1, 2, 3), help="0 = all of them")
    parser.add_argument("--hours", type=float, help="how long a CPU may take; default 6")
    parser.add_argument("--start", default=MINI, help="weights to start from")
    parser.add_argument("--batch", type=int, help="clips in a batch, where the machine's own are too many")
    parser.add_argument("--seed", type=int, default=SEED, help="of clips and noise; the weights that ship saw 0 to 7")
    options = parser.parse_args()
    machine = MACHINES[options.machine]
    if options.batch is not None:
        if options.batch < 1:
            parser.error(f"A batch needs at least one clip; got {options.batch}.")
        machine = replace(machine, batch=options.batch)
    if options.machine == "cpu":
        hours = HOURS if options.hours is None else options.hours
        if not hours > 0:
            parser.error(f"Training takes longer than {hours} hours.")
        machine = machine.lasting(hours)
    elif options.hours is not None:
        parser.error(f"The hours are those of a CPU; {options.machine} has its own.")
    start = random_weights(options.machine) if machine.debug else options.start
    try:
        recipe = Recipe(options.machine, machine, start, model_of(start), options.seed)
        legs: list[Callable[[], None]] = [recipe.first, recipe.second, recipe.third]
        for leg in legs if options.leg == 0 else legs[options.leg - 1 : options.leg]:
            leg()
    except ValueError as error:
        print(error)
        return 2
    except subprocess.CalledProcessError as error:
        print(f"Stopped: {' '.join(error.cmd[3:])} failed. The same command goes on from there.")
        return 1
    return 0


def model_of(weights: str) -> str:
    """The member of the family that a checkpoint is."""
    from kinetophone.pipelines.weights.checkpoint import read_checkpoint

    return read_checkpoint(ROOT / weights).config.name


def random_weights(name: str) -> str:
    """A checkpoint of the debug configuration to start from, like those of the tests."""
    sys.path.insert(0, str(ROOT / "tests"))
    from weights import write_checkpoint

    from kinetophone.pipelines.model.config import DEBUG

    path = ROOT / "runs" / name / "start.safetensors"
    if not path.is_file():
        # They are others each time, and what was begun with some does not go on with others.
        write_checkpoint(path, DEBUG)
    return str(path.relative_to(ROOT))


@dataclass(frozen=True)
class Recipe:
    """The three legs on one machine; all lands below `runs/<name>`, with model and seed where they are others."""

    name: str
    machine: Machine
    start: str
    model: str
    seed: int

    @property
    def out(self) -> str:
        model = "" if self.model in ("mini", "debug") else f"-{self.model}"
        return f"runs/{self.name}{model}" + (f"-seed{self.seed}" if self.seed != SEED else "")

    def first(self) -> None:
        """Render, and with an accelerator begin to train: the pool opens up as training goes on."""
        if not self.machine.leg:
            return self._together([self._begin("fill", "cpu", *self._joint()) for _ in range(self.machine.workers)])
        self._train_while_rendering(self.machine.leg, early=True)

    def second(self) -> None:
        """More of the transformer, or all of it, and a decoder that knows its mistakes."""
        if self.machine.leg:
            self._train_while_rendering(self.machine.leg)
        else:
            self._train_joint()
        if self.machine.decoder:
            self._train_decoder()

    def third(self) -> None:
        """What is left of the transformer, the turbo adapter, and the table."""
        if self.machine.leg:
            self._train_while_rendering()
        candidate, mean, turbo = (f"{self.out}/{name}.safetensors" for name in ("candidate", "mean", "turbo"))
        decoder = f"{self.out}/decoder/last.safetensors" if self.machine.decoder else self.start
        self._run("export", candidate, f"joint={self.out}/joint/last.safetensors", f"decoder={decoder}",
                  f"vocoder={self.start}", f"codec={self.start}", "--model", self.model)  # fmt: skip
        made = [candidate]
        if not self.machine.leg:
            self._run("soup", mean, self.start, candidate)
            made.append(mean)
        self._run("distill", *self._distill(made[-1]))
        self._run("adapter", turbo, "distill", *self._distill(made[-1]))
        ships = self.start if self.machine.debug else MINI
        self._run("evaluate", f"{self.out}/table.md", ships, *made, "--clips", str(self.machine.clips),
                  "--turbo", turbo, "--jobs", str(self.machine.workers), *self._compiled())  # fmt: skip

    def _train_while_rendering(self, leg: float = 0.0, early: bool = False) -> None:
        """Train to the end of a leg of so many minutes, or of the run; what is not rendered then, the next leg renders.

        An accelerator is quick at rendering, but nothing trains beside that: `early` it makes a beginning.
        """
        began = time.monotonic()
        if early:
            # Alone: a process of the CPU compiles for minutes before its first shard, for which training would wait.
            few = [*self._joint(), f"options.shards={self.machine.held(early=True)}"]
            self._together([self._begin("fill", "cpu", *few) for _ in range(RENDERERS)])
        fills = [
            self._begin("fill", "cpu", *self._joint(), f"options.buckets={{{size}: 1}}", accelerated=False)
            for size in itertools.islice(itertools.cycle(RENDERED), self.machine.workers)
        ]
        try:
            self._train_joint(max(SHORTEST, leg - (time.monotonic() - began) / 60) if leg else 0.0)
        finally:
            for fill in fills:
                fill.terminate()
            self._together(fills)

    @staticmethod
    def _together(processes: list[subprocess.Popen]) -> None:
        """Wait for all of them; those that were told to stop have not failed."""
        failed = [process.args for process in processes if process.wait() not in (0, -signal.SIGTERM)]
        if failed:
            raise subprocess.CalledProcessError(1, failed[0])

    def _train_decoder(self) -> None:
        pairs = f"{self.out}/pairs.safetensors"
        self._run("pairs", pairs, f"{self.out}/joint/last.safetensors", *self._common(),
                  f"options.codec={self.start}", "options.text=", "options.shards={4x8x14: 1}",
                  *self._pool())  # fmt: skip
        self._run("decoder", *self._common(), *self.machine.gently, "steps=1000000", f"minutes={self.machine.decoder}",
                  f"out={self.out}/decoder", f"options.codec={self.start}", f"options.init={self.start}",
                  f"options.pairs={pairs}", f"options.pool={self.out}/crops")  # fmt: skip

    def _train_joint(self, leg: float = 0.0) -> None:
        self._run("cpu", *self._joint(), f"leg={leg:.3f}")

    def _joint(self) -> list[str]:
        m = self.machine
        return [
            *self._clips("joint", self.start), f"minutes={m.joint}", "decay=0.5", "warmup=40",
            f"options.batch={m.batch}", "options.text=",
            "options.noise_mean=1.0", "options.noise_spread=1.3", "options.object_weight=3.0",
            "options.audio_weight=0.5", f"options.favour={FAVOUR}", "options.cuts=0.06",
            *m.gently,
        ]  # fmt: skip

    def _distill(self, teacher: str) -> list[str]:
        m = self.machine
        return [
            *self._clips("distill", teacher), f"minutes={m.distill}", f"options.batch={max(2, m.batch // 2)}",
            *([f"options.adapter={TURBO}"] if self.start == MINI else []),
        ]  # fmt: skip

    def _clips(self, task: str, start: str) -> list[str]:
        """What both runs on the pool of clips have in common."""
        names = ", ".join(f"{name}: {share}" for name, share in BUCKETS.items())
        return [
            *self._common(), "steps=1000000",
            # On an accelerator each size of clips would take a minute to compile, and torch 2.11 fails at code for all.
            f"compile={str(not self.machine.leg and not self.machine.debug).lower()}",
            f"out={self.out}/{task}", "sheet_every=1000000", f"options.init={start}", f"options.codec={start}",
            f"options.buckets={{{names}}}", f"options.shards={self.machine.held()}", *self._pool(),
            f"options.twins={self.machine.twins}",
            # Where all is rendered before, nothing has to be waited for.
            *(["options.first_shards=4", "options.wait=true"] if self.machine.leg
              else [f"options.first_shards={self.machine.shards}"]),
        ]  # fmt: skip

    def _pool(self) -> list[str]:
        few = [FEW] if self.machine.debug else []
        return [f"options.pool={self.out}/pool", f"options.pool_seed={self.seed}", *few]

    def _common(self) -> list[str]:
        """What all training runs have in common."""
        return [f"model={self.model}", f"seed={self.seed}", *self.machine.extra]

    def _compiled(self) -> list[str]:
        return [] if self.machine.debug else ["--compile"]

    def _run(self, *arguments: str) -> None:
        process = self._begin(*arguments)
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, process.args)

    def _begin(self, *arguments: str, accelerated: bool = True) -> subprocess.Popen:
        environment = {**os.environ, "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}
        if arguments[0] == "fill":
            environment |= {"OMP_NUM_THREADS": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        if not accelerated:
            environment["CUDA_VISIBLE_DEVICES"] = ""
        command = [sys.executable, "-m", "kinetophone.pipelines.train", *arguments]
        return subprocess.Popen(command, cwd=ROOT, env=environment)


if __name__ == "__main__":
    sys.exit(main())
