"""The built-in model, trained again from the weights that ship, one command for each kind of machine.

python scripts/train.py cpu         two cores, about three hours, in one go
python scripts/train.py gpu --leg 1 one GPU, three legs of under ten minutes each: 1, 2, 3
python scripts/train.py debug       the same commands on the debug configuration, some minutes: does everything run?

Whatever is done already is not done again: a command that was stopped goes on where it was. The last leg writes
`runs/<machine>/table.md`, which compares the candidate, and its mean with the weights that ship, with these. The turbo
adapter that it makes and measures is that of the mean.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MINI = "pipelines/weights/mini/mini.safetensors"
TURBO = "pipelines/weights/mini/turbo.safetensors"
# Sizes of clips and their share of the steps.
BUCKETS = {"4x8x14": 0.15, "7x8x14": 0.55, "13x8x14": 0.2, "7x10x10": 0.05, "7x14x8": 0.05}
COMMONEST = "7x8x14"

# What clips show that the weights that ship get wrong most often: it is hard to see, or hard to bind.
FAVOUR = (
    "{action: {hover: 2.5, spin: 2.5, beacon: 1.7, hop: 1.5}, camera: {pan left: 1.4, pan right: 1.4}, "
    "count: {two: 2, three: 2}}"
)


@dataclass(frozen=True)
class Machine:
    """What a kind of machine has time for: minutes of each part, and shards of 64 clips of the commonest size."""

    joint: float
    leg: float
    decoder: float
    distill: float
    batch: int
    clips: int
    shards: int
    workers: int
    extra: tuple[str, ...] = ()

    def shards_of(self, bucket: str) -> int:
        return max(1, round(self.shards * BUCKETS[bucket] / BUCKETS[COMMONEST]))


# So few clips that rendering them takes a minute, without a compiler.
FEW = ("options.clips=4", "options.compile_renderer=false")
CORES = os.cpu_count() or 2
MACHINES = {
    "cpu": Machine(75, 0, 15, 30, 40, 500, 90, max(1, CORES // 2)),
    "gpu": Machine(18.5, 8.5, 2, 1, 256, 2000, 240, max(1, CORES - 2)),
    "debug": Machine(0.02, 0, 0.02, 0.02, 2, 10, 1, 1, ("model=debug", "precision=fp32", *FEW)),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("machine", choices=sorted(MACHINES))
    parser.add_argument("--leg", type=int, default=0, choices=(0, 1, 2, 3), help="0 = all of them")
    parser.add_argument("--start", default=MINI, help="weights to start from")
    parser.add_argument("--seed", type=int, default=6, help="of clips and noise; the weights that ship saw 0 to 5")
    options = parser.parse_args()
    start = random_weights() if options.machine == "debug" else options.start
    recipe = Recipe(options.machine, MACHINES[options.machine], start, options.seed)
    legs: list[Callable[[], None]] = [recipe.first, recipe.second, recipe.third]
    try:
        for leg in legs if options.leg == 0 else legs[options.leg - 1 : options.leg]:
            leg()
    except subprocess.CalledProcessError as error:
        print(f"Stopped: {' '.join(error.cmd[3:])} failed. The same command goes on from there.")
        return 1
    return 0


def random_weights() -> str:
    """A checkpoint of the debug configuration to start from, like those of the tests."""
    sys.path.insert(0, str(ROOT / "tests"))
    from weights import write_checkpoint

    from kinetophone.pipelines.model.config import DEBUG

    path = ROOT / "runs" / "debug" / "start.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    return str(write_checkpoint(path, DEBUG).relative_to(ROOT))


@dataclass(frozen=True)
class Recipe:
    """The three legs on one machine; everything lands below `runs/<name>`."""

    name: str
    machine: Machine
    start: str
    seed: int

    @property
    def out(self) -> str:
        return f"runs/{self.name}"

    def first(self) -> None:
        """Render while training begins: the pool opens up as training goes on."""
        fills = [
            self._begin("fill", "cpu", *self._joint(), "--worker", str(worker), "--workers", str(self.machine.workers))
            for worker in range(self.machine.workers)
        ]
        try:
            if self.machine.leg:
                self._train_joint()
        finally:
            failed = [fill.args for fill in fills if fill.wait()]
        if failed:
            raise subprocess.CalledProcessError(1, failed[0])

    def second(self) -> None:
        """The transformer goes on."""
        self._train_joint()

    def third(self) -> None:
        """The rest of the transformer, a decoder that knows its mistakes, the turbo adapter, and the table."""
        names = ("joint/last", "pairs", "candidate", "mean", "turbo")
        joint, pairs, candidate, mean, turbo = (f"{self.out}/{name}.safetensors" for name in names)
        self._train_joint()
        self._run("pairs", pairs, joint, *self.machine.extra, f"options.codec={self.start}", "options.text=",
                  "options.shards={4x8x14: 1}", *self._pool())  # fmt: skip
        self._run("decoder", *self.machine.extra, "steps=1000000", f"minutes={self.machine.decoder}",
                  f"out={self.out}/decoder", f"options.codec={self.start}", f"options.init={self.start}",
                  f"options.pairs={pairs}", f"options.pool={self.out}/crops")  # fmt: skip
        self._run("export", candidate, f"joint={joint}", f"decoder={self.out}/decoder/last.safetensors",
                  f"vocoder={self.start}", f"codec={self.start}", *self._model())  # fmt: skip
        self._run("soup", mean, self.start, candidate)
        self._run("distill", *self._distill(mean))
        self._run("adapter", turbo, "distill", *self._distill(mean))
        self._run("evaluate", f"{self.out}/table.md", self.start, candidate, mean, "--clips", str(self.machine.clips),
                  "--few", "10", "--turbo", turbo, "--jobs", str(self.machine.workers), *self._compiled())  # fmt: skip

    def _train_joint(self) -> None:
        self._run("cpu", *self._joint())

    def _joint(self) -> list[str]:
        m = self.machine
        return [
            *self._clips("joint", self.start), f"minutes={m.joint}", f"leg={m.leg}", "decay=0.5", "warmup=40",
            f"options.batch={m.batch}", "options.text=",
            "options.noise_mean=1.0", "options.noise_spread=1.3", "options.object_weight=3.0",
            f"options.favour={FAVOUR}", "options.cuts=0.06",
            # Where all is rendered before, nothing has to be waited for.
            f"options.first_shards={8 if m.leg else m.shards}",
        ]  # fmt: skip

    def _distill(self, teacher: str) -> list[str]:
        m = self.machine
        return [
            *self._clips("distill", teacher), f"minutes={m.distill}", f"options.batch={max(2, m.batch // 2)}",
            f"options.first_shards={m.shards}", *([f"options.adapter={TURBO}"] if self.start == MINI else []),
        ]  # fmt: skip

    def _clips(self, task: str, start: str) -> list[str]:
        """What both runs on the pool of clips have in common."""
        names = ", ".join(f"{name}: {share}" for name, share in BUCKETS.items())
        shards = ", ".join(f"{name}: {self.machine.shards_of(name)}" for name in BUCKETS)
        return [
            *self.machine.extra, "steps=1000000", f"seed={self.seed}", f"compile={str(self.name != 'debug').lower()}",
            f"out={self.out}/{task}", "sheet_every=1000000", f"options.init={start}", f"options.codec={start}",
            f"options.buckets={{{names}}}", f"options.shards={{{shards}}}", *self._pool(),
        ]  # fmt: skip

    def _pool(self) -> list[str]:
        return [f"options.pool={self.out}/pool", f"options.pool_seed={self.seed}"]

    def _compiled(self) -> list[str]:
        return [] if self.name == "debug" else ["--compile"]

    def _model(self) -> list[str]:
        return ["--model", "debug"] if self.name == "debug" else []

    def _run(self, *arguments: str) -> None:
        process = self._begin(*arguments)
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, process.args)

    def _begin(self, *arguments: str) -> subprocess.Popen:
        environment = {**os.environ, **({"OMP_NUM_THREADS": "1"} if arguments[0] == "fill" else {})}
        command = [sys.executable, "-m", "kinetophone.pipelines.train", *arguments]
        return subprocess.Popen(command, cwd=ROOT, env=environment)


if __name__ == "__main__":
    sys.exit(main())
