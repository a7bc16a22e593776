"""Levels, fades, loudness and placement of a clip's sound."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from kinetophone.pipelines.clip.clip import Clip, Sound
from kinetophone.pipelines.clip.sound import Mix, limited, loudness, resampled, true_peak_db, with_channels, with_sound
from kinetophone.pipelines.types import VideoShape

RATE = 48_000


def tone(seconds: float, level: float = 0.1, rate: int = RATE, channels: int = 1, hertz: float = 997.0) -> Sound:
    time = torch.arange(round(seconds * rate)) / rate
    return Sound((level * torch.sin(2 * math.pi * hertz * time)).expand(channels, -1), rate)


def clip(sound: Sound | None, frames: int = 48) -> Clip:
    return Clip(VideoShape(8, 8, frames, Fraction(24)), lambda a, b: iter([torch.zeros(b - a, 8, 8, 3)]), lambda: sound)


def mixed(sound: Sound | None, added: Sound | None = None, frames: int = 48, **settings: object) -> Sound:
    made = with_sound(clip(sound, frames), added, Mix(**settings)).sound
    assert made is not None
    return made


def test_a_full_scale_sine_measures_what_the_standard_says() -> None:
    """BS.1770: 997 Hz at full scale in one channel is -3.01 LUFS."""
    assert loudness(tone(3.0, 1.0)) == pytest.approx(-3.01, abs=0.02)
    assert loudness(tone(3.0, 1.0, 44_100, 2)) == pytest.approx(0.0, abs=0.02)
    # EBU Tech 3341, case 3: quiet ends are gated out, so that the middle alone counts.
    parts = ((10, -36), (60, -23), (10, -36))
    gated = torch.cat([tone(seconds, 10 ** (level / 20)).waveform for seconds, level in parts], 1).expand(2, -1)
    assert loudness(Sound(gated, RATE)) == pytest.approx(-23.0, abs=0.1)
    assert loudness(Sound(torch.zeros(1, RATE), RATE)) == -math.inf == loudness(tone(0.2))


def test_the_track_comes_to_its_loudness() -> None:
    for target in (-14.0, -23.0):
        assert loudness(mixed(tone(2.0, 0.03), loudness=target)) == pytest.approx(target, abs=0.2)
    assert not mixed(Sound(torch.zeros(1, RATE), RATE), loudness=-14.0).waveform.any()


def test_true_peaks_stay_below_the_ceiling_and_the_rest_is_left_alone() -> None:
    # A quarter of the rate, sampled off its peaks: the samples stay 3 dB below what is between them.
    hidden = Sound(torch.tensor([[1.0, 1.0, -1.0, -1.0]]).repeat(1, 12_000) * 0.8, RATE)
    assert true_peak_db(hidden) == pytest.approx(20 * math.log10(0.8 * 2**0.5), abs=0.3)
    assert true_peak_db(limited(hidden)) <= -0.9
    quiet = tone(1.0)
    assert limited(quiet) is quiet
    loud = quiet.waveform.repeat(1, 2).clone()
    loud[0, 60_000] = 2.0
    tamed = limited(Sound(loud, RATE))
    assert true_peak_db(tamed) <= -0.9
    assert torch.equal(tamed.waveform[:, :50_000], loud[:, :50_000])


def test_an_added_sound_begins_at_its_sample() -> None:
    click = Sound(torch.zeros(1, 4_800).index_fill(1, torch.tensor([0]), 0.5), RATE)
    late = mixed(tone(2.0, 0.0), click, at=1.25)
    assert late.waveform.abs().argmax() == round(1.25 * RATE) and late.waveform.shape == (1, 2 * RATE)
    early = mixed(None, Sound(torch.arange(RATE)[None] / RATE * 0.5, RATE), at=-0.5)
    assert early.waveform[0, 0] == pytest.approx(0.25, abs=1e-4)


def test_an_added_sound_that_ends_before_the_picture_begins_is_silence() -> None:
    own, added = tone(2.0, 0.1), tone(1.0, 0.3, 24_000)
    for at in (-1.0, -2.0, -3600.0):
        assert torch.equal(mixed(own, added, at=at).waveform, own.waveform)
        alone = mixed(None, added, at=at, rate=44_100, loudness=-14.0)
        assert alone.waveform.shape == (1, 88_200) and not alone.waveform.any()


def test_levels_fades_and_silence() -> None:
    own, added = tone(2.0, 0.2), tone(2.0, 0.1)
    assert mixed(own, added, added_db=-60.0).waveform.abs().max() == pytest.approx(0.2, abs=1e-3)
    assert mixed(own, added, own_db=-60.0).waveform.abs().max() == pytest.approx(0.1, abs=1e-3)
    assert mixed(own, own_db=-6.0).waveform.abs().max() == pytest.approx(0.2 * 10**-0.3, abs=1e-3)
    assert with_sound(clip(None), None, Mix()).sound is None
    soft = mixed(own, fade_in=0.5, fade_out=1.0).waveform[0].abs()
    assert soft[:100].max() < 0.001 > soft[-100:].max()
    assert soft[round(0.25 * RATE) - 200 : round(0.25 * RATE) + 200].max() == pytest.approx(0.1, abs=0.01)


def test_the_best_of_both_is_kept_and_asked_formats_are_made() -> None:
    both = mixed(tone(2.0, 0.1, 44_100, 2), tone(1.0, 0.1, 24_000))
    assert both.rate == 44_100 and both.waveform.shape == (2, 88_200)
    small = mixed(tone(2.0, 0.1, 44_100, 2), channels=1, rate=16_000)
    assert small.rate == 16_000 and small.waveform.shape == (1, 32_000)
    assert resampled(tone(1.0), 24_000).waveform.abs().max() == pytest.approx(0.1, abs=0.003)
    assert with_channels(tone(0.1, channels=6), 2).waveform.shape[0] == 2
    assert with_channels(tone(0.1, channels=2), 6).waveform.shape[0] == 6


def test_nothing_is_computed_before_it_is_heard() -> None:
    def never() -> Sound:
        raise AssertionError("the sound was made")

    made = with_sound(Clip(clip(None).shape, clip(None).source, never), None, Mix(loudness=-14.0))
    assert made.shape.frames == 48
