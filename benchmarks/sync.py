"""Measure Sync on rendered clips of the world, their sound shifted by known offsets within a second."""

from __future__ import annotations

import random
import statistics
from fractions import Fraction

import torch
import torch.nn.functional as F
from report import write

from kinetophone.pipelines import world
from kinetophone.pipelines.clip.clip import Sound
from kinetophone.pipelines.sync.events import heard, seen
from kinetophone.pipelines.sync.measure import match
from kinetophone.pipelines.world.scene import DRY

CLIPS, SHIFTS, SECONDS, FPS, RATE = 128, 3, 4.0, Fraction(24), 24_000
SIZE, SMALL = (72, 128), (27, 48)


def main() -> None:
    scenes = world.sample_scenes(CLIPS, seed=4242, seconds=SECONDS)
    motion = world.simulate(scenes)
    times = torch.arange(round(SECONDS * FPS)) / float(FPS)
    frames = world.render(scenes, motion, times, *SIZE).mul(255).round()
    sounds = world.synthesise(scenes, motion, round(SECONDS * RATE), RATE)
    draw = random.Random(7)
    happens = [bool((motion.events.time[i][scenes.present[i]] < SECONDS - 0.3).any()) for i in range(CLIPS)]
    missed: dict[bool, list[float]] = {True: [], False: []}
    asked = {True: 0, False: 0}
    guessed = 0
    for index in range(CLIPS):
        picture = seen(F.interpolate(frames[index], SMALL, mode="area"), float(FPS))
        dry = bool(scenes.weather[index] == DRY)
        for _ in range(SHIFTS):
            shift = round(draw.uniform(-1, 1) * RATE)
            found = match(picture, heard(Sound(F.pad(sounds[index : index + 1], (shift, -shift)), RATE)), SECONDS)
            if not happens[index]:
                guessed += found.confidence > 0
                continue
            asked[dry] += 1
            if found.confidence > 0:
                missed[dry].append(abs(found.offset - shift / RATE))
    both = sorted(missed[True] + missed[False])
    rows = [
        ("error where an offset was given, median", f"{statistics.median(both) * 1000:.1f} ms", "10 ms"),
        ("error where an offset was given, 95th percentile", f"{both[int(0.95 * len(both))] * 1000:.1f} ms", "40 ms"),
        ("an offset was given, dry weather", f"{len(missed[True])} of {asked[True]}", ""),
        ("an offset was given, rain, snow, storm", f"{len(missed[False])} of {asked[False]}", ""),
        ("an offset was guessed where nothing happens", f"{guessed} of {SHIFTS * happens.count(False)}", "0"),
    ]
    write("sync", rows, "Clips in which nothing can be seen to happen at one moment get no offset, by design.")


if __name__ == "__main__":
    main()
