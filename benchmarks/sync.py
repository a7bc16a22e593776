"""Measure Sync on rendered clips of the world, their sound shifted by known offsets within a second."""

from __future__ import annotations

import random
from fractions import Fraction

import torch
import torch.nn.functional as F
from report import write
from torch import Tensor

from kinetophone.pipelines import world
from kinetophone.pipelines.clip.clip import Sound
from kinetophone.pipelines.sync.measure import REACH, RIVAL, TOGETHER, compare
from kinetophone.pipelines.world.scene import DRY

CLIPS, SHIFTS, SECONDS, FPS, RATE = 128, 3, 4.0, Fraction(24), 24_000
SIZE, SMALL = (72, 128), (27, 48)
# Another offset that explains this share of what happens makes a clip one that repeats.
SHARE = 0.8


def main() -> None:
    scenes = world.sample_scenes(CLIPS, seed=4242, seconds=SECONDS)
    motion = world.simulate(scenes)
    times = torch.arange(round(SECONDS * FPS)) / float(FPS)
    frames = world.render(scenes, motion, times, *SIZE).mul(255).round()
    sounds = world.synthesise(scenes, motion, round(SECONDS * RATE), RATE)
    draw = random.Random(7)
    missed: list[float] = []
    # Whether it is dry and whether it repeats: whether each such clip got an offset.
    given: dict[tuple[bool, bool], list[bool]] = {(dry, even): [] for dry in (True, False) for even in (False, True)}
    guesses: list[bool] = []
    for index in range(CLIPS):
        small = F.interpolate(frames[index], SMALL, mode="area")
        happens = moments(motion, index)
        for _ in range(SHIFTS):
            shift = round(draw.uniform(-1, 1) * RATE)
            found = compare(small, float(FPS), Sound(F.pad(sounds[index : index + 1], (shift, -shift)), RATE))
            if not len(happens):
                guesses.append(found.confidence > 0)
                continue
            given[bool(scenes.weather[index] == DRY), repeats(happens, shift / RATE)].append(found.confidence > 0)
            if found.confidence > 0:
                missed.append(abs(found.offset - shift / RATE))
    missed.sort()
    dry, wet = ([*given[weather, False], *given[weather, True]] for weather in (True, False))
    shares = (
        ("an offset was given, dry weather", dry, ""),
        ("an offset was given, rain, snow, storm", wet, ""),
        ("the same where nothing repeats evenly, dry weather", given[True, False], ""),
        ("the same where nothing repeats evenly, rain, snow, storm", given[False, False], ""),
        ("an offset was guessed where nothing happens", guesses, "0"),
    )
    median, most = (f"{missed[int(share * len(missed))] * 1000:.1f} ms" for share in (0.5, 0.95))
    rows = [
        ("error where an offset was given, median", median, "10 ms"),
        ("error where an offset was given, 95th percentile", most, "40 ms"),
        *((what, f"{sum(got)} of {len(got)}", bar) for what, got, bar in shares),
    ]
    write(
        "sync",
        rows,
        "Clips in which nothing happens at one moment get no offset, by design. What happens repeats evenly where, by "
        f"the exact times, an offset more than {RIVAL * 1000:.0f} ms from the true one explains {SHARE:.0%} of it too.",
    )


def moments(motion: world.Motion, index: int) -> Tensor:
    """When something happens in clip `index` that is both seen and heard, lightning included, in seconds, in order."""
    there = motion.scenes.present[index]
    time = torch.cat((motion.events.time[index][there].flatten(), motion.flashes[index]))
    return time[time < SECONDS - 0.3].unique()


def repeats(happens: Tensor, shift: float) -> bool:
    """Whether another offset than `shift` explains moments and their sounds almost as well."""
    sounds = happens + shift
    sounds = sounds[(sounds > 0) & (sounds < SECONDS)]
    for lag in torch.arange(-REACH, REACH, 0.01).tolist():
        shares = [met(happens + lag, sounds), met(sounds - lag, happens)]
        if abs(lag - shift) > RIVAL and min(shares) >= SHARE:
            return True
    return False


def met(expected: Tensor, found: Tensor) -> float:
    """The share of `expected` times within the clip that are found; 0 where these are few."""
    expected = expected[(expected > 0) & (expected < SECONDS)]
    if len(expected) < max(2, len(found) / 2):
        return 0.0
    return ((expected[:, None] - found).abs().amin(1) < TOGETHER).float().mean().item()


if __name__ == "__main__":
    main()
