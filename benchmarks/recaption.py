"""What the built-in recaptioning does for the built-in model: short prompts as they are, and written out.

    python benchmarks/recaption.py [CLIPS] [WEIGHTS]

A detector that was trained on renders alone looks for what the short prompts say.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from report import write

from kinetophone.pipelines import world
from kinetophone.pipelines.screenplay.recaption import Brief, write_built_in
from kinetophone.pipelines.train.detector import LANDED, load_detector
from kinetophone.pipelines.train.evaluate import SEED, Case, Settings, generator, make_case
from kinetophone.pipelines.train.measure import Meter, Tally
from kinetophone.pipelines.train.task import seed_of
from kinetophone.pipelines.weights.load import load_models

MEASURES = ("colour", "shape", "action", "direction", "weather")


def main(clips: str = "100", weights: str = "") -> None:
    settings = Settings(clips=int(clips))
    models = load_models(Path(weights)) if weights else load_models("mini")
    meter = Meter(load_detector(LANDED, models.config.audio.mels), models.audio, models.config.grid)
    tallies = {"as it is": Tally(), "written out": Tally()}
    source = generator(models, settings)
    changed = total = 0
    for index in range(settings.clips // 10):
        case = make_case(models.config.grid, settings, seed_of(SEED, index, 3))
        short = world.captions(case.scenes, seed=index, form="short")
        long = [write_built_in(Brief(prompt, 2.0)).caption for prompt in short]
        changed += sum(a != b for a, b in zip(short, long, strict=True))
        total += len(short)
        for name, prompts in (("as it is", short), ("written out", long)):
            asked: Case = replace(case, prompts=prompts)
            meter.measure(source(asked, index), case.scenes, tallies[name])
    rows = [
        (f"{measure}, % right", " -> ".join(f"{t.percent(measure):.0f}" for t in tallies.values()), "")
        for measure in MEASURES
    ]
    gap = " -> ".join(f"{1000 * t.quantile('apart', 0.5):.0f}" for t in tallies.values())
    rows += [("seen and heard apart, median, ms", gap, ""), ("prompts that were added to", f"{changed} of {total}", "")]
    write("recaption", rows, "Short prompts as they are -> the same prompts written out by Recaption.")


if __name__ == "__main__":
    main(*sys.argv[1:])
