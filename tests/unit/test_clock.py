from __future__ import annotations

from fractions import Fraction

import pytest

from kinetophone.pipelines.clock import ASPECTS, Grid, frames_of, samples_of, spoken_time

GRID = Grid()


@pytest.mark.parametrize("rate", [8000, 24000, 44100, 48000])
@pytest.mark.parametrize("fps", [Fraction(24), Fraction(30000, 1001), Fraction(25)])
def test_every_length_has_its_samples_to_the_nearest(rate: int, fps: Fraction) -> None:
    for frames in range(1, 600):
        error = samples_of(frames, fps, rate) - frames / fps * rate
        assert -Fraction(1, 2) <= error <= Fraction(1, 2)


def test_steps_and_frames_round_trip_for_every_length() -> None:
    for frames in range(1, 2000):
        steps = GRID.steps(frames)
        assert GRID.frames(steps) >= frames > GRID.frames(steps) - GRID.temporal
        assert GRID.steps(GRID.frames(steps)) == steps
        assert GRID.audio_steps(frames) * GRID.audio_stride >= GRID.samples(frames)
        assert (GRID.audio_steps(frames) - 1) * GRID.audio_stride < GRID.samples(frames)


def test_steps_cover_all_frames_once() -> None:
    covered = [frame for step in range(12) for frame in GRID.step_frames(step)]
    assert covered == list(range(GRID.frames(12)))


def test_streams_share_one_time_line() -> None:
    last_video = GRID.video_seconds(12)
    last_audio = GRID.audio_seconds(GRID.audio_steps(GRID.frames(13)) - 1)
    assert abs(float(last_video - last_audio)) < 0.25


def test_plan_keeps_what_fits_and_says_what_it_changes() -> None:
    exact = GRID.plan(448, 256, 97 / 24)
    assert exact.notes == () and exact.shape.frames == 97
    plan = GRID.plan(450, 250, 1.0)
    assert (plan.shape.width, plan.shape.height, plan.shape.frames) == (448, 256, 25)
    assert len(plan.notes) == 2
    assert "450 x 250" in plan.notes[0] and "448 x 256" in plan.notes[0] and "64" in plan.notes[0]
    assert "1.00 s" in plan.notes[1] and "1.04 s" in plan.notes[1]


def test_no_length_is_shortened() -> None:
    for tenths in range(1, 300):
        assert GRID.plan(448, 256, tenths / 10).shape.frames >= frames_of(tenths / 10, GRID.fps)


@pytest.mark.parametrize(
    ("width", "height", "seconds"),
    [(0, 256, 1), (448, -1, 1), (10**9, 256, 1), (448, 256, 0), (448, 256, float("nan")), (448, 256, 1e9)],
)
def test_impossible_requests_are_refused_with_the_limit(width: int, height: int, seconds: float) -> None:
    with pytest.raises(ValueError, match=r"between 1 and|more than 0 and at most"):
        GRID.plan(width, height, seconds)


def test_aspects_are_on_the_grid_and_have_their_ratio() -> None:
    for name, ratio in ASPECTS.items():
        width, height = GRID.size_of(name)
        assert width % GRID.size_multiple == height % GRID.size_multiple == 0
        assert width / height == pytest.approx(float(ratio), rel=0.15)
    with pytest.raises(ValueError, match="landscape"):
        GRID.size_of("cinema")


def test_spoken_time() -> None:
    assert spoken_time(6.2) == "7 s"
    assert spoken_time(125) == "2 min 05 s"
