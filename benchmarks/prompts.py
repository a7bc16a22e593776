"""Prompts as people write them: how much of what they say is in the clip.

    python benchmarks/prompts.py [all | seen | new] [WEIGHTS]

`prompts.yaml` holds prompts that were written without sight of the model's vocabulary, each with the facts that it
states. A detector that was trained on renders alone looks for them in clips of two seconds. Those that it calls `seen`
were looked at while the bank of meanings (`pipelines/text/banks`) grew; the `new` ones tell how it does on others.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from report import write
from scipy.ndimage import label
from tqdm import tqdm

from kinetophone.pipelines.train.detector import LANDED, Detector, Reading, load_detector
from kinetophone.pipelines.train.evaluate import Case, Settings, generator
from kinetophone.pipelines.train.measure import LEAST_AREA, Clips
from kinetophone.pipelines.weights.load import load_models
from kinetophone.pipelines.world import LABEL_NAMES

BATCH = 10
SCENE = ("sky", "ground", "weather", "camera")
Right = Iterator[tuple[str, bool]]


def main(wanted: str = "all", weights: str = "") -> None:
    models = load_models(Path(weights)) if weights else load_models("mini")
    if wanted not in ("all", "seen", "new"):
        raise ValueError(f"Prompts are all, seen or new; got {wanted!r}.")
    groups = yaml.safe_load(Path(__file__).with_name("prompts.yaml").read_text("utf-8"))
    entries = [{**entry, "group": group} for group in groups if wanted in ("all", group) for entry in groups[group]]
    detector = load_detector(LANDED, models.config.audio.mels)
    source = generator(models, Settings())
    facts: dict[str, list[bool]] = defaultdict(list)
    for begin in tqdm(range(0, len(entries), BATCH)):
        batch = entries[begin : begin + BATCH]
        clips = source(Case(None, Clips(torch.empty(0), torch.empty(0, 0)), [e["prompt"] for e in batch]), begin)
        for index, entry in enumerate(batch):
            for name, right in judged(detector, clips.frames[index : index + 1], entry):
                group, kind = entry["group"], entry["kind"]
                for key in ("all facts", f"{group}: all facts", name, f"{group}: {name}", f"kind: {kind}"):
                    facts[key].append(right)
                if not right:
                    tqdm.write(f"{name} is not seen: {entry['prompt']}")
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
        yield "count", _count(reading.cells["colour"][0], objects) == len(objects)
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


def _count(cells: torch.Tensor, objects: list[dict[str, str]]) -> int:
    """How many things are seen in `cells [f, colours + 1, h, w]`: one a colour.

    In a colour that several of the `objects` are said to have they are as many as lie apart in half of the frames.
    """
    area = cells.softmax(1)[:, 1:].sum((2, 3)).mean(0)
    seen = [index for index, cover in enumerate(area) if cover > LEAST_AREA]
    told = [LABEL_NAMES["colour"].index(thing["colour"]) for thing in objects if "colour" in thing]
    return sum(_apart(cells.argmax(1) == index + 1) if told.count(index) > 1 else 1 for index in seen)


def _apart(here: torch.Tensor) -> int:
    """How many parts `here [f, h, w]` has that do not touch, in the median of the frames."""
    found = []
    for frame in here.numpy():
        parts, _ = label(frame)
        found.append(sum(count > LEAST_AREA for count in np.bincount(parts.ravel())[1:]))
    return int(np.median(found))


def _acts(detector: Detector, reading: Reading, frames: torch.Tensor, colour: int) -> dict[str, str]:
    acts = detector.follow(reading, frames, torch.tensor([colour])).acts
    return {name: LABEL_NAMES[name][int(scores.argmax())] for name, scores in acts.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
