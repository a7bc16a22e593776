from __future__ import annotations

import pytest
import torch

from kinetophone.pipelines.model.config import DEBUG
from kinetophone.pipelines.sampling.denoise import guided_denoiser
from kinetophone.pipelines.sampling.guidance import Guidance
from kinetophone.pipelines.sampling.loop import sample_euler, sample_euler_ancestral, start
from kinetophone.pipelines.sampling.noise import draw_noise
from kinetophone.pipelines.sampling.schedule import flow_schedule
from kinetophone.pipelines.types import AVLatent, TextContext

EMPTY = AVLatent(torch.zeros(1, 192, 2, 4, 4), torch.zeros(1, 64, 5))


def test_schedule_falls_from_one_to_zero() -> None:
    sigmas = flow_schedule(20, 1.5)
    assert sigmas[0] == 1 and sigmas[-1] == 0 and len(sigmas) == 21
    assert (sigmas.diff() < 0).all()
    assert flow_schedule(20, 3.0)[10] > sigmas[10] > flow_schedule(20, 1.0)[10]
    assert flow_schedule(10, 1.5, denoise=0.5)[0] < 0.7


@pytest.mark.parametrize("bad", [{"steps": 0}, {"steps": 4, "shift": 0}, {"steps": 4, "denoise": 0}])
def test_impossible_schedules_are_refused(bad: dict) -> None:
    with pytest.raises(ValueError, match="got 0"):
        flow_schedule(**bad)


def test_a_denoiser_that_knows_the_answer_is_followed_exactly() -> None:
    answer = AVLatent(torch.randn(1, 192, 2, 4, 4), torch.randn(1, 64, 5))
    steps = []
    made = sample_euler(
        lambda x, sigma: answer,
        draw_noise(EMPTY, 3),
        flow_schedule(7),
        lambda step, total, x: steps.append((step, total)),
    )
    assert torch.allclose(made.video, answer.video, atol=1e-6) and torch.allclose(made.audio, answer.audio, atol=1e-6)
    assert steps == [(n, 7) for n in range(1, 8)]


def test_gaussian_data_comes_out_with_its_own_deviation() -> None:
    # For data N(0, s^2) the best denoiser is known: x s^2 (1 - t) / ((1 - t)^2 s^2 + t^2).
    deviation = 0.5

    def denoise(x: AVLatent, t: float) -> AVLatent:
        gain = deviation**2 * (1 - t) / ((1 - t) ** 2 * deviation**2 + t**2)
        return AVLatent(x.video * gain, None)

    noise = draw_noise(AVLatent(torch.zeros(1, 192, 4, 16, 16), None), 0)
    made = sample_euler(denoise, noise, flow_schedule(200, 1.0))
    anew = sample_euler_ancestral(denoise, noise, flow_schedule(200, 1.0), 0)
    for video in (made.video, anew.video):
        assert float(video.std()) == pytest.approx(deviation, rel=0.02)
    # Without new noise what comes out is the noise that went in, and with it there is little left of that.
    likeness = [torch.corrcoef(torch.stack((x.video.flatten(), noise.video.flatten())))[0, 1] for x in (made, anew)]
    assert likeness[0] > 0.99 and likeness[1] < 0.5


def test_a_callback_that_raises_stops_at_once() -> None:
    def stop(step: int, total: int, x: AVLatent) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample_euler(lambda x, sigma: x, EMPTY, flow_schedule(5), stop)
    with pytest.raises(KeyboardInterrupt):
        sample_euler_ancestral(lambda x, sigma: x, EMPTY, flow_schedule(5), 0, stop)


def test_noise_depends_on_the_seed_and_pictures_do_not_depend_on_sound() -> None:
    both, again, picture = draw_noise(EMPTY, 5), draw_noise(EMPTY, 5), draw_noise(AVLatent(EMPTY.video, None), 5)
    assert torch.equal(both.video, again.video) and torch.equal(both.audio, again.audio)
    assert torch.equal(both.video, picture.video)
    assert not torch.equal(both.video, draw_noise(EMPTY, 6).video)


def test_start_mixes_noise_and_latent_linearly() -> None:
    ones = AVLatent(torch.ones(1, 1, 1, 2, 2), None)
    assert torch.equal(start(ones, AVLatent(torch.zeros(1, 1, 1, 2, 2), None), 0.25).video, ones.video * 0.25)


def test_guidance_scales_each_stream_by_its_own() -> None:
    cond, uncond = (AVLatent(torch.full((1, 1, 1, 1, 1), v), torch.full((1, 1, 1), v)) for v in (2.0, 1.0))
    made = Guidance(3.0, 1.0).combine(cond, uncond, None)
    assert float(made.video) == 4.0 and float(made.audio) == 2.0
    coupled = Guidance(1.0, 1.0, 2.0).combine(cond, None, uncond)
    assert float(coupled.video) == 3.0


def test_kept_cells_run_at_noise_level_zero() -> None:
    tokens = torch.randn(1, 48, DEBUG.text.width)
    text = TextContext(tokens, torch.ones(1, 48, dtype=torch.bool))
    seen = []

    class Spy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, video, audio, sigma_video, sigma_audio, *rest):
            seen.append((sigma_video, sigma_audio))
            return torch.zeros_like(video), torch.zeros_like(audio)

    mask = AVLatent(torch.ones(1, 1, 2, 4, 4), torch.zeros(1, 1, 5))
    mask.video[:, :, 0] = 0
    guided_denoiser(Spy(), text, text, Guidance(1, 1), mask)(EMPTY, 0.8)
    video, audio = seen[0]
    assert (video[:, 0] == 0).all() and torch.allclose(video[:, 1], torch.tensor(0.8)) and (audio == 0).all()
