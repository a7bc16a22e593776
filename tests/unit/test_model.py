from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from kinetophone.pipelines.model.config import BASE, CONFIGS, DEBUG, MINI, Config
from kinetophone.pipelines.model.dit import AVTransformer, Coupling
from kinetophone.pipelines.model.ops import TORCH, RMSNorm, attention, best_cpu_dtype, quick_norm
from kinetophone.pipelines.model.refiner import CellRefiner
from kinetophone.pipelines.model.spans import pool_text, span_weights
from kinetophone.pipelines.text.encoder import TextEncoder
from kinetophone.pipelines.types import TextContext
from kinetophone.pipelines.vae.audio import AudioAutoencoder
from kinetophone.pipelines.vae.video import VideoAutoencoder

SIGMA = torch.tensor([0.7])


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor, TextContext]:
    generator = torch.Generator().manual_seed(1)
    video = torch.randn(1, DEBUG.dit.video_channels, 3, 4, 6, generator=generator)
    audio = torch.randn(1, 64, 11, generator=generator)
    tokens = torch.randn(1, 48, DEBUG.text.width, generator=generator)
    return video, audio, TextContext(tokens, torch.arange(48)[None] < 9)


def test_a_stream_alone_is_the_joint_model_with_coupling_off(networks, inputs) -> None:
    video, audio, text = inputs
    dit = networks["dit"]
    apart = dit(video, audio, SIGMA, SIGMA, text, Coupling(False, False))
    assert torch.allclose(dit(video, None, SIGMA, None, text)[0], apart[0], atol=1e-4)
    assert torch.allclose(dit(None, audio, None, SIGMA, text)[1], apart[1], atol=1e-4)


def test_streams_see_each_other_and_each_direction_can_be_cut(networks, inputs) -> None:
    video, audio, text = inputs
    dit = networks["dit"]

    def moved(coupling: Coupling) -> tuple[bool, bool]:
        first = dit(video, audio, SIGMA, SIGMA, text, coupling)
        other_sound = dit(video, audio + 1, SIGMA, SIGMA, text, coupling)
        other_picture = dit(video + 1, audio, SIGMA, SIGMA, text, coupling)
        return not torch.allclose(first[0], other_sound[0]), not torch.allclose(first[1], other_picture[1])

    assert moved(Coupling()) == (True, True)
    assert moved(Coupling(audio_to_video=False)) == (False, True)
    assert moved(Coupling(video_to_audio=False)) == (True, False)


def test_the_prompt_matters_and_padding_does_not(networks, inputs) -> None:
    video, audio, text = inputs
    dit = networks["dit"]
    first = dit(video, audio, SIGMA, SIGMA, text)[0]
    noise = torch.where(text.mask[..., None], text.tokens, torch.randn_like(text.tokens))
    assert torch.allclose(first, dit(video, audio, SIGMA, SIGMA, TextContext(noise, text.mask))[0])
    assert not torch.allclose(first, dit(video, audio, SIGMA, SIGMA, TextContext(-text.tokens, text.mask))[0])


def test_a_text_that_follows_itself_in_time_is_that_text(networks, inputs) -> None:
    video, audio, text = inputs
    dit = networks["dit"]
    plain = dit(video, audio, SIGMA, SIGMA, text)
    turns = [text.during(-math.inf, 0.5, 0, 0.2), text.during(0.5, math.inf, 0.2)]
    for spans in (text.during(-math.inf, math.inf), TextContext.in_turn(*turns)):
        timed = dit(video, audio, SIGMA, SIGMA, spans)
        assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(plain, timed, strict=True))
    both = TextContext.concatenate(text, TextContext.in_turn(*turns))
    levels = SIGMA.expand(2)
    batched = dit(video.expand(2, -1, -1, -1, -1), audio.expand(2, -1, -1), levels, levels, both)
    assert torch.allclose(batched[0], plain[0].expand_as(batched[0]), atol=1e-4)


def test_what_holds_later_is_heard_by_later_steps_alone(networks, inputs) -> None:
    text = inputs[2]
    other = replace(text, tokens=-text.tokens)
    turns = TextContext.in_turn(text.during(-math.inf, 0.5), other.during(0.5, math.inf))
    weights = span_weights(turns.spans, torch.tensor([0.0, 0.49, 0.5, 9.0]))
    assert weights[0, :, 0].tolist() == [1, 1, 0, 0] and weights[0, :, -1].tolist() == [0, 0, 1, 1]
    pooled = pool_text(turns.tokens, weights)
    assert torch.allclose(pooled[0, 0], text.tokens[0].mean(0), atol=1e-5)
    assert torch.allclose(pooled[0, 3], other.tokens[0].mean(0), atol=1e-5)
    video, dit = inputs[0], networks["dit"]
    moved = (dit(video, None, SIGMA, None, turns)[0] - dit(video, None, SIGMA, None, text)[0]).abs().mean((0, 1, 3, 4))
    assert float(moved[-1]) > float(moved[0])


def test_levels_per_step_and_per_cell_agree_with_one_level(networks, inputs) -> None:
    video, audio, text = inputs
    dit = networks["dit"]
    whole = dit(video, audio, SIGMA, SIGMA, text)
    steps = dit(video, audio, SIGMA.expand(1, 3), SIGMA.expand(1, 11), text)
    cells = dit(video, audio, SIGMA.expand(1, 3, 4, 6), SIGMA, text)
    for other in (steps, cells):
        assert torch.allclose(whole[0], other[0], atol=1e-4)
        assert torch.allclose(whole[1], other[1], atol=1e-4)


@pytest.mark.parametrize(("steps", "rows", "columns", "sound"), [(1, 2, 2, 1), (4, 8, 2, 9), (2, 2, 8, 40)])
def test_any_length_and_aspect_on_the_grid(networks, inputs, steps: int, rows: int, columns: int, sound: int) -> None:
    video, audio = torch.randn(2, DEBUG.dit.video_channels, steps, rows, columns), torch.randn(2, 64, sound)
    text = TextContext(inputs[2].tokens.expand(2, -1, -1), inputs[2].mask.expand(2, -1))
    made = networks["dit"](video, audio, torch.tensor([0.2, 0.9]), torch.tensor([0.2, 0.9]), text)
    assert made[0].shape == video.shape and made[1].shape == audio.shape
    assert made[0].isfinite().all() and made[1].isfinite().all()


def test_gradients_reach_every_weight(networks, inputs) -> None:
    video, audio, _ = inputs
    dit, text = AVTransformer(DEBUG.dit, DEBUG.grid, DEBUG.text.width), TextEncoder(DEBUG.text)
    dit.load_state_dict(networks["dit"].state_dict())
    text.load_state_dict(networks["text"].state_dict())
    ids = torch.randint(1, 60, (1, 48), generator=torch.Generator().manual_seed(0))
    ids[:, 40:] = 0
    made = dit(video, audio, SIGMA, SIGMA, text(ids))
    (made[0].square().sum() + made[1].square().sum()).backward()
    missing = [n for n, p in [*dit.named_parameters(), *text.named_parameters()] if p.grad is None or not p.grad.any()]
    assert missing == []


def test_a_latent_of_another_model_is_refused(networks, inputs) -> None:
    with pytest.raises(ValueError, match="has 64 channels, and this model takes 192"):
        networks["dit"](inputs[0][:, :64], None, SIGMA, None, inputs[2])


def test_a_new_refiner_adds_nothing_and_a_trained_one_looks_past_the_border_of_a_token(inputs) -> None:
    noisy = inputs[0]
    refiner = CellRefiner(DEBUG.dit.video_channels, 16, 24, 2, TORCH)
    torch.nn.init.zeros_(refiner.out.weight)
    torch.nn.init.zeros_(refiner.out.bias)
    clean, tokens = noisy.roll(1, 1), torch.randn(1, 3 * 2 * 3, 24)
    assert torch.equal(refiner(clean, noisy, SIGMA.reshape(1, 1, 1, 1, 1), tokens), clean)
    torch.nn.init.normal_(refiner.out.weight)
    touched = noisy.clone()
    touched[..., 0, 0] += 1
    moved = [refiner(clean, x, SIGMA.reshape(1, 1, 1, 1, 1), tokens)[0, :, 1] for x in (noisy, touched)]
    assert not torch.allclose(moved[0][:, 2, 2], moved[1][:, 2, 2], atol=1e-6)


def test_a_correction_that_has_run_away_fades(inputs) -> None:
    """A small one is added as it is; ten times the largest common one, hardly anything of it."""
    refiner = CellRefiner(DEBUG.dit.video_channels, 16, 24, 2, TORCH)
    clean, tokens = inputs[0], torch.randn(1, 18, 24)
    torch.nn.init.zeros_(refiner.out.weight)
    added = {}
    for size in (0.1, 1.0, 50.0):
        torch.nn.init.constant_(refiner.out.bias, size)
        added[size] = refiner(clean, clean, SIGMA.reshape(1, 1, 1, 1, 1), tokens) - clean
    assert torch.allclose(added[0.1], torch.full_like(clean, 0.1), atol=1e-4)
    assert torch.allclose(added[1.0], torch.full_like(clean, 1.0), atol=0.01)
    assert float(added[50.0].detach().abs().max()) < 0.01


@pytest.mark.parametrize("rows", [1, 600])
def test_attention_some_queries_at_a_time_equals_the_fused_kernel(rows: int) -> None:
    """With scores offset alike for all queries, and for each its own way."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 2, length, 32, generator=generator) for length in (600, 30, 30))
    bias = torch.zeros(2, 1, rows, 30).masked_fill(torch.rand(2, 1, rows, 30, generator=generator) < 0.3, -torch.inf)
    exact = attention(q, k, v, bias)
    made = attention(*(t.bfloat16() for t in (q, k, v)), bias.bfloat16()).float()
    assert made.shape == exact.shape and torch.allclose(made, exact, atol=0.03)


def test_configurations_survive_a_round_trip_and_refuse_unknown_keys() -> None:
    for config in CONFIGS.values():
        assert Config.from_dict(config.to_dict()) == config
    with pytest.raises(ValueError, match="wdith"):
        Config.from_dict({"name": "x", "dit": {"wdith": 3}})
    with pytest.raises(ValueError, match="mapping"):
        Config.from_dict({"name": "x", "dit": 3})


def _size(config: Config) -> dict[str, int]:
    networks = {
        "dit": AVTransformer(config.dit, config.grid, config.text.width, device="meta"),
        "text": TextEncoder(config.text, device="meta"),
        "video": VideoAutoencoder(config.video, config.grid, device="meta"),
        "audio": AudioAutoencoder(config.audio, config.grid, device="meta"),
    }
    return {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}


def test_mini_fits_into_48_megabytes_in_half_precision() -> None:
    assert 2 * sum(_size(MINI).values()) < 48e6


def test_base_is_the_same_code_at_a_billion_parameters() -> None:
    assert _size(BASE)["dit"] > 1e9


def test_the_cpu_type_is_one_that_the_processor_multiplies() -> None:
    assert best_cpu_dtype() in (torch.bfloat16, torch.float32)


def test_the_quick_norm_is_torchs_up_to_rounding() -> None:
    norm = RMSNorm(64, eps=1e-6)
    torch.nn.init.uniform_(norm.weight, 0.5, 2)
    x = torch.randn(3, 7, 64) * torch.logspace(-3, 3, 7)[:, None]
    with torch.no_grad():
        wanted = torch.nn.functional.rms_norm(x, (64,), norm.weight, 1e-6)
        assert torch.equal(norm(x), wanted)
        quick = norm.bfloat16()(x.bfloat16()).float()
    assert quick_norm(x, None, 1e-6) is None
    assert float(((quick - wanted).abs() / wanted.abs().clamp_min(0.05)).max()) < 0.03
