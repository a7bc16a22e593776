"""Prompts as people write them: how much of what they say is in the clip.

    python benchmarks/prompts.py [LAST] [WEIGHTS]

`prompts.yaml` holds prompts that were written without sight of the model's vocabulary, each with the facts that it
states. A detector that was trained on renders alone looks for them in clips of two seconds. Of the facts of every
second prompt the bank of meanings (`pipelines/text/banks`) may have learned; the others tell how it does on new ones.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from report import write
from tqdm import tqdm

from kinetophone.pipelines.train.detector import LANDED, Detector, Reading, load_detector
from kinetophone.pipelines.train.evaluate import Case, Settings, generator
from kinetophone.pipelines.train.measure import LEAST_AREA, Clips
from kinetophone.pipelines.weights.load import load_models
from kinetophone.pipelines.world import LABEL_NAMES

BATCH = 10
SCENE = ("sky", "ground", "weather", "camera")
Right = Iterator[tuple[str, bool]]


def main(last: str = "0", weights: str = "") -> None:
    models = load_models(Path(weights)) if weights else load_models("mini")
    entries = yaml.safe_load(Path(__file__).with_name("prompts.yaml").read_text("utf-8"))
    entries = entries[: int(last) or len(entries)]
    detector = load_detector(LANDED, models.config.audio.mels)
    source = generator(models, Settings())
    facts: dict[str, list[bool]] = defaultdict(list)
    for begin in tqdm(range(0, len(entries), BATCH)):
        batch = entries[begin : begin + BATCH]
        clips = source(Case(None, Clips(torch.empty(0), torch.empty(0, 0)), [e["prompt"] for e in batch]), begin)
        for index, entry in enumerate(batch):
            for name, right in judged(detector, clips.frames[index : index + 1], entry):
                group = "new" if (begin + index) % 2 else "seen"
                for key in ("all facts", f"{group}: all facts", name, f"kind: {entry['kind']}"):
                    facts[key].append(right)
    rows = [(name, f"{100 * sum(right) / len(right):.0f} %", f"of {len(right)}") for name, right in facts.items()]
    write(
        "prompts",
        sorted(rows),
        f"{len(entries)} prompts, clips of two seconds, 20 steps, guidance 3. % are right ones.",
    )


@torch.inference_mode()
def judged(detector: Detector, frames: torch.Tensor, entry: dict[str, Any]) -> Right:
    """Name of each fact of a prompt, and whether it is seen in its clip `[1, f, 3, h, w]`."""
    reading = detector.see(frames)
    for name in SCENE:
        if name in entry:
            yield name, LABEL_NAMES[name][int(reading.scene[name].argmax())] == entry[name]
    area = reading.cells["colour"].softmax(2)[:, :, 1:].sum((3, 4)).mean(1)[0]
    objects = entry.get("objects", [])
    if len(objects) > 1:
        yield "count", int((area > LEAST_AREA).sum()) == len(objects)
    for place, (thing, colour) in enumerate(zip(objects, colours(objects, area), strict=True)):
        if "colour" in thing:
            yield "colour", float(area[colour]) > LEAST_AREA
        acts = _acts(detector, reading, frames, colour)
        yield "shape", acts["shape"] == thing["shape"]
        if place == 0:
            yield from ((name, acts[name] == entry[name]) for name in ("action", "direction") if name in entry)


def colours(objects: list[dict[str, str]], area: torch.Tensor) -> list[int]:
    """The colour of each object: as it was said, or else of the largest that is not taken."""
    said = [LABEL_NAMES["colour"].index(thing["colour"]) if "colour" in thing else None for thing in objects]
    rest = iter(index for index in area.argsort(descending=True).tolist() if index not in said)
    return [next(rest) if colour is None else colour for colour in said]


def _acts(detector: Detector, reading: Reading, frames: torch.Tensor, colour: int) -> dict[str, str]:
    acts = detector.follow(reading, frames, torch.tensor([colour])).acts
    return {name: LABEL_NAMES[name][int(scores.argmax())] for name, scores in acts.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
