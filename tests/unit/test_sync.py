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
from kinetophone.pipelines.sync.events import Events, heard
from kinetophone.pipelines.sync.measure import match, measure_sync
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


def bouncing(times: tuple[float, ...], fps: int = FPS) -> Tensor:
    """A disc that touches the ground at `times`, `[T, 90, 160, 3]` uint8."""
    y, x = torch.meshgrid(torch.arange(90.0), torch.arange(160.0), indexing="ij")
    edges = [2 * times[0] - times[1], *times, 2 * times[-1] - times[-2]]
    frames = []
    for index in range(SECONDS * fps):
        now = index / fps
        last = max((edge for edge in edges if edge <= now), default=edges[0])
        nxt = min((edge for edge in edges if edge > now), default=edges[-1] + 1)
        height = 90 * (now - last) * (nxt - now)
        inside = (12 - ((x - 40 - 15 * now) ** 2 + (y - 74 + height) ** 2).sqrt()).clamp(0, 1)
        grey = 60 + 0.5 * y
        frames.append(torch.stack((grey + inside * 140, grey, grey), -1))
    return torch.stack(frames).round().to(torch.uint8)


def flashing(times: tuple[float, ...], fps: int = FPS, side: int = 30) -> Tensor:
    """A lamp of `side` pixels that lights up for 0.1 s at `times`."""
    frames = torch.full((SECONDS * fps, 90, 160, 3), 40, dtype=torch.uint8)
    for time in times:
        first = math.ceil(time * fps)
        frames[first : first + round(fps / 8), 30 : 30 + side, 60 : 60 + side] = 240
    return frames


def clip(frames: Tensor, wave: Tensor | None, rate: int = RATE, fps: int = FPS) -> Clip:
    def source(start: int, stop: int) -> Iterator[Tensor]:
        for first in range(start, stop, 8):
            yield frames[first : min(first + 8, stop)]

    shape = VideoShape(frames.shape[2], frames.shape[1], len(frames), Fraction(fps))
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


@pytest.mark.parametrize("fps", [15, 30, 60])
@pytest.mark.parametrize("picture", [bouncing, flashing], ids=["impacts", "flashes"])
def test_any_frame_rate_will_do(picture, fps: int) -> None:
    found = measure_sync(clip(picture(HITS, fps), moved(rings(HITS), 0.21), fps=fps))
    assert found.offset == pytest.approx(0.21, abs=0.3 / fps) and found.matched >= 3, found.report()


def test_a_single_event_is_enough_where_nothing_else_happens() -> None:
    found = measure_sync(clip(flashing((1.4,)), rings((1.7,))))
    assert found.offset == pytest.approx(0.3, abs=0.5 / FPS) and found.matched == 1


def test_a_light_of_a_few_pixels_is_seen() -> None:
    found = measure_sync(clip(flashing(HITS, side=4), moved(rings(HITS), -0.3)))
    assert found.offset == pytest.approx(-0.3, abs=0.012) and found.matched == len(HITS), found.report()


def test_rain_masks_neither_impacts_nor_their_sound() -> None:
    """Hiss above 1 kHz about as loud as the bells of 640 Hz, and grain in the picture."""
    g = torch.Generator().manual_seed(0)
    spectrum = torch.fft.rfft(torch.randn(1, SECONDS * RATE, generator=g))
    spectrum[:, : 1000 * SECONDS] = 0
    hiss = torch.fft.irfft(spectrum, SECONDS * RATE) * 0.3
    frames = bouncing(HITS).float()
    frames = (frames + 3 * torch.randn(frames.shape, generator=g)).clamp(0, 255).round().to(torch.uint8)
    found = measure_sync(clip(frames, moved(rings(HITS), 0.4) + hiss))
    assert found.offset == pytest.approx(0.4, abs=0.02) and found.matched >= 3, found.report()


def test_faint_sounds_in_the_background_do_not_mislead() -> None:
    background = rings((0.2, 0.61, 0.93, 1.87, 2.3, 2.71, 3.2)) * 0.05
    found = measure_sync(clip(flashing((1.4,)), rings((1.5,)) + background))
    assert found.offset == pytest.approx(0.1, abs=0.5 / FPS), found.report()


def random_events(count: int, seconds: float, seed: int, rate: float = 24.0) -> Events:
    g = torch.Generator().manual_seed(seed)
    time = (torch.rand(count, generator=g) * seconds).sort().values
    return Events(time, 0.3 + 0.65 * torch.rand(count, generator=g), torch.zeros(1), rate)


def speaking(seed: int) -> Tensor:
    """How loud a voice is, `[SECONDS * RATE]`: syllables of unequal length that rise and fall without a moment."""
    draw = torch.Generator().manual_seed(seed)
    loud, now = torch.zeros(SECONDS * RATE), 0.1
    while now < SECONDS:
        long, gap, strength = (torch.rand(3, generator=draw) * torch.tensor([0.2, 0.15, 0.5])).tolist()
        first, last = round(now * RATE), round((now + 0.12 + long) * RATE)
        rise = torch.sin(torch.linspace(0, math.pi, last - first))[: max(0, len(loud) - first)]
        loud[first : first + len(rise)] = (0.5 + strength) * rise
        now += 0.2 + long + gap
    return loud


def face(loud: Tensor) -> Tensor:
    """A grey picture with a mouth that opens with the loudness, `[T, 90, 160, 3]` uint8."""
    frames = torch.full((SECONDS * FPS, 90, 160, 3), 150.0)
    frames[:, 50:66, 70:100] -= 120 * loud[:: RATE // FPS][: len(frames), None, None, None]
    return frames.to(torch.uint8)


@pytest.mark.parametrize("offset", [-0.6, 0.0, 0.31])
def test_a_mouth_tells_where_its_voice_belongs(offset: float) -> None:
    loud = speaking(3)
    t = torch.arange(len(loud)) / RATE
    voice = sum(torch.sin(2 * math.pi * 120 * k * t) / k for k in range(1, 9))
    found = measure_sync(clip(face(loud), moved((0.2 * voice * loud)[None], offset)))
    assert found.confidence > 0 and abs(found.offset - offset) < 0.02
    other = measure_sync(clip(face(speaking(4)), (0.2 * voice * loud)[None]))
    assert other.confidence == 0


@pytest.mark.parametrize(("shown", "sounded"), [(20, 40), (60, 60), (60, 240), (180, 180)])
def test_chance_is_not_believed_and_half_of_the_events_are(shown: int, sounded: int) -> None:
    for seed in range(8):
        picture, noise = random_events(shown, 60, seed), random_events(sounded, 60, 100 + seed)
        assert match(picture, noise, 60).confidence == 0
    both = torch.cat((picture.time[::2] + 0.37, noise.time[: sounded // 4])).sort().values
    found = match(picture, Events(both, torch.full_like(both, 0.8), torch.zeros(1), 250.0), 60)
    assert found.offset == pytest.approx(0.37, abs=0.01) and found.confidence > 0.5


def test_a_track_that_starts_late_is_no_event() -> None:
    g = torch.Generator().manual_seed(0)
    hum = F.pad(torch.randn(1, 3 * RATE, generator=g) * 0.1, (RATE, 0))
    found = heard(Sound(hum + rings((2.3,)), RATE))
    assert not ((found.time - 1).abs() < 0.2).any()
    assert found.time[found.strength.argmax()].item() == pytest.approx(2.3, abs=0.01)


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


def test_a_track_that_is_moved_out_of_the_picture_is_silence() -> None:
    second = clip(bouncing(HITS), rings(HITS)[:, :RATE])
    for offset, stretch in ((1.0, 1.0), (2.0, 1.0), (60.0, 1.5), (-60.0, 1.0)):
        mended = aligned(second, offset, stretch).sound
        assert mended is not None and mended.waveform.shape == (1, SECONDS * RATE) and not mended.waveform.any()


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
