"""Sound and picture of a clip: how far apart they are, and putting them together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from kinetophone.pipelines.clip.clip import Clip, Sound
from kinetophone.pipelines.sync.align import aligned, stretched
from kinetophone.pipelines.sync.events import heard
from kinetophone.pipelines.sync.measure import measure_sync
from kinetophone.pipelines.sync.plot import plot
from kinetophone.pipelines.types import VideoShape

RATE, FPS, SECONDS = 24_000, 24, 4
HITS = (0.52, 1.21, 1.65, 2.77, 3.4)


def rings(times: tuple[float, ...], rate: int = RATE) -> Tensor:
    """Struck bells `[1, samples]`."""
    t = torch.arange(SECONDS * rate) / rate
    wave = torch.zeros_like(t)
    for time in times:
        since = (t - time).clamp(min=0)
        wave += (t >= time) * torch.exp(-since * 12) * torch.sin(2 * math.pi * 640 * since)
    return wave[None] * 0.4


def bouncing(times: tuple[float, ...]) -> Tensor:
    """A disc that touches the ground at `times`, `[T, 90, 160, 3]` uint8."""
    y, x = torch.meshgrid(torch.arange(90.0), torch.arange(160.0), indexing="ij")
    edges = [2 * times[0] - times[1], *times, 2 * times[-1] - times[-2]]
    frames = []
    for index in range(SECONDS * FPS):
        now = index / FPS
        last = max((edge for edge in edges if edge <= now), default=edges[0])
        nxt = min((edge for edge in edges if edge > now), default=edges[-1] + 1)
        height = 90 * (now - last) * (nxt - now)
        inside = (12 - ((x - 40 - 15 * now) ** 2 + (y - 74 + height) ** 2).sqrt()).clamp(0, 1)
        grey = 60 + 0.5 * y
        frames.append(torch.stack((grey + inside * 140, grey, grey), -1))
    return torch.stack(frames).round().to(torch.uint8)


def flashing(times: tuple[float, ...]) -> Tensor:
    """A lamp that lights up for 0.1 s at `times`."""
    frames = torch.full((SECONDS * FPS, 90, 160, 3), 40, dtype=torch.uint8)
    for time in times:
        first = math.ceil(time * FPS)
        frames[first : first + 3, 30:60, 60:90] = 240
    return frames


def clip(frames: Tensor, wave: Tensor | None, rate: int = RATE) -> Clip:
    def source(start: int, stop: int) -> Iterator[Tensor]:
        for first in range(start, stop, 8):
            yield frames[first : min(first + 8, stop)]

    shape = VideoShape(frames.shape[2], frames.shape[1], len(frames), Fraction(FPS))
    return Clip(shape, source, lambda: None if wave is None else Sound(wave, rate))


def moved(wave: Tensor, seconds: float) -> Tensor:
    return F.pad(wave, (round(seconds * RATE), -round(seconds * RATE)))


@pytest.mark.parametrize("offset", [-0.83, -0.2, -0.031, 0.0, 0.012, 0.117, 0.64, 1.0])
@pytest.mark.parametrize("picture", [bouncing, flashing], ids=["impacts", "flashes"])
def test_a_known_offset_is_found(picture, offset: float) -> None:
    found = measure_sync(clip(picture(HITS), moved(rings(HITS), offset)))
    assert found.offset == pytest.approx(offset, abs=0.012), found.report()
    assert found.confidence > 0.5 and found.matched >= 3


@pytest.mark.parametrize(
    ("frames", "wave", "reason"),
    [
        (
            bouncing(HITS),
            torch.randn(1, SECONDS * RATE, generator=torch.Generator().manual_seed(0)) * 0.1,
            "in the sound",
        ),
        (bouncing(HITS), torch.zeros(1, SECONDS * RATE), "in the sound"),
        (bouncing(HITS), None, "has no sound"),
        (torch.full((96, 90, 160, 3), 90, dtype=torch.uint8), rings(HITS), "in the picture"),
        (bouncing(HITS), rings((0.1, 2.2)), "do not fit together"),
    ],
    ids=["rain", "silence", "no track", "still", "unrelated"],
)
def test_where_there_is_nothing_to_measure_it_says_so(frames: Tensor, wave: Tensor | None, reason: str) -> None:
    found = measure_sync(clip(frames, wave))
    assert found.confidence == 0 and found.offset == 0
    assert reason in found.report() and "cannot be measured" in found.report()


def test_events_that_repeat_evenly_are_not_guessed_at() -> None:
    steady = tuple(0.4 + 0.5 * i for i in range(7))
    found = measure_sync(clip(flashing(steady), rings(steady)))
    assert found.confidence == 0 and "repeats evenly" in found.report()


def test_onsets_are_heard_to_the_millisecond() -> None:
    assert heard(Sound(rings(HITS), RATE)).time.tolist() == pytest.approx(HITS, abs=0.002)


def test_aligning_takes_the_offset_away_to_the_sample() -> None:
    late = clip(bouncing(HITS), moved(rings(HITS), 0.25))
    mended = aligned(late, 0.25).sound
    assert mended is not None and mended.waveform.shape == (1, SECONDS * RATE)
    assert torch.equal(mended.waveform[:, : -RATE // 4], rings(HITS)[:, : -RATE // 4])
    assert measure_sync(aligned(late, measure_sync(late).offset)).offset == pytest.approx(0.0, abs=0.008)
    early = aligned(clip(bouncing(HITS), rings(HITS)), -0.5).sound
    assert early is not None and torch.equal(early.waveform[:, RATE // 2 :], rings(HITS)[:, : -RATE // 2])


def test_aligning_keeps_rate_and_channels_and_what_lies_after_the_picture() -> None:
    """Sound that goes on for half a second after the picture fills the place that moving it leaves."""
    wave = torch.rand(2, 44_100 * SECONDS + 22_050) - 0.5
    mended = aligned(clip(bouncing(HITS), wave, 44_100), 0.5).sound
    assert mended is not None and mended.rate == 44_100
    assert torch.equal(mended.waveform, wave[:, 22_050:])


def test_aligning_does_nothing_before_the_sound_is_heard() -> None:
    def never(*span: int) -> None:
        raise AssertionError("something was read")

    shape = VideoShape(160, 90, SECONDS * FPS, Fraction(FPS))
    mended = aligned(Clip(shape, never, never), 0.2, 1.1)
    # The picture stays the very same source, so that a file's is not coded again.
    assert mended.source is never and mended.shape == shape


@pytest.mark.parametrize("ratio", [0.5, 0.8, 1.25, 2.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_stretching_keeps_the_pitch_and_gives_the_length(ratio: float, channels: int) -> None:
    tone = Sound((torch.sin(2 * math.pi * 440 * torch.arange(RATE * 2) / RATE) * 0.3).expand(channels, -1), RATE)
    made = stretched(tone, ratio)
    assert made.waveform.shape == (channels, round(2 * RATE * ratio))
    spectrum = torch.fft.rfft(made.waveform[0, RATE // 4 : RATE // 4 + 12_000]).abs()
    assert spectrum.argmax().item() * RATE / 12_000 == pytest.approx(440, abs=3)


def test_stretching_brings_a_slow_track_back_into_step() -> None:
    slow = stretched(Sound(rings(HITS), RATE), 1.15).waveform[:, : SECONDS * RATE]
    mended = measure_sync(aligned(clip(bouncing(HITS), slow), 0.0, 1 / 1.15))
    # The filter moves whole waves, so that single onsets are 40 ms off at most.
    assert mended.offset == pytest.approx(0.0, abs=0.04) and mended.matched >= 3
    with pytest.raises(ValueError, match=r"0\.5 to 2"):
        aligned(clip(bouncing(HITS), slow), 0.0, 3.0)


def test_the_plot_shows_what_was_found() -> None:
    image = plot(measure_sync(clip(bouncing(HITS), rings(HITS))), SECONDS)
    assert image.shape[2] == 3 and image.min() >= 0 and image.max() <= 1
    blue = (image - torch.tensor([110, 190, 255]) / 255).abs().sum(-1) < 0.02
    columns = blue.any(0).nonzero().flatten()
    assert len(columns) >= 2 * 3
    assert plot(measure_sync(clip(bouncing(HITS), None)), SECONDS).shape == image.shape
