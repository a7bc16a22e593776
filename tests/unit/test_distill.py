"""Turbo: what the distilled student learns, and what becomes of its adapter."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tags import read_tags
from weights import write_checkpoint

from kinetophone.pipelines import cli
from kinetophone.pipelines.generate import Request, generate
from kinetophone.pipelines.model.config import DEBUG
from kinetophone.pipelines.sampling.denoise import guided_denoiser
from kinetophone.pipelines.sampling.guidance import Guidance
from kinetophone.pipelines.sampling.loop import sample_euler
from kinetophone.pipelines.sampling.schedule import flow_schedule
from kinetophone.pipelines.train.__main__ import main
from kinetophone.pipelines.train.config import read_config
from kinetophone.pipelines.train.distill import DistillTask
from kinetophone.pipelines.train.joint import broadcast
from kinetophone.pipelines.train.levels import AVLevels
from kinetophone.pipelines.train.loop import train
from kinetophone.pipelines.types import AVLatent
from kinetophone.pipelines.weights.adapter import read_adapter, save_adapter
from kinetophone.pipelines.weights.card import DEFAULT_CARD, read_card
from kinetophone.pipelines.weights.checkpoint import read_checkpoint
from kinetophone.pipelines.weights.load import build_dit, load_models

STEPS = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("distill")
    write_checkpoint(root / "teacher.safetensors", DEBUG, seed=3)
    return root


def overrides(folder: Path, **more: object) -> list[str]:
    values = {
        "model": "debug", "out": folder / "run", "steps": 40, "minutes": 0, "precision": "fp32", "warmup": 2,
        "adam_rate": 2e-3, "ema": 0.5, "sheet_every": 40, "options.codec": folder / "teacher.safetensors",
        "options.init": folder / "teacher.safetensors", "options.pool": folder / "pool", "options.batch": 4,
        "options.clips": 8, "options.shards": 1, "options.first_shards": 1, "options.buckets": "{2x2x2: 1.0}",
        "options.compile_renderer": "false", "options.sheet_bucket": "2x2x2", "options.cuts": 0, "options.rank": 16,
        "options.turbo_steps": STEPS, **more,
    }  # fmt: skip
    return [f"{key}={value}" for key, value in values.items()]


def task_of(folder: Path, **more: object) -> DistillTask:
    return DistillTask(read_config("distill", overrides(folder, **more)))


@pytest.fixture(scope="module")
def trained(folder: Path) -> tuple[DistillTask, torch.nn.Module]:
    config = read_config("distill", overrides(folder))
    task = DistillTask(config)
    return task, train(task, config)


@pytest.fixture(scope="module")
def adapter(folder: Path, trained) -> Path:
    out = folder / "turbo.safetensors"
    assert main(["adapter", str(out), "distill", *overrides(folder)]) == 0
    return out


@torch.inference_mode()
def test_one_step_towards_the_target_ends_where_two_guided_steps_end(folder: Path) -> None:
    task = task_of(folder)
    batch = task.batch(0, 0, 1)
    teacher = task._teacher
    noisy = AVLatent(torch.randn_like(batch["video"]), torch.randn_like(batch["audio"]))
    schedule = flow_schedule(2 * STEPS)[2:5]
    levels = [
        AVLevels(*(sigma.expand(4, stream.shape[2]) for stream in (noisy.video, noisy.audio))) for sigma in schedule
    ]
    target = task._target((batch["ids"], None), noisy, tuple(levels))
    silent = teacher.text(task.tokenizer.encode([""] * 4))
    denoiser = guided_denoiser(teacher.dit, teacher.text(batch["ids"]), silent, Guidance(3.0, 3.0))
    wanted = sample_euler(denoiser, noisy, schedule)
    reached = sample_euler(lambda x, sigma: target, noisy, schedule[[0, 2]])
    assert torch.allclose(reached.video, wanted.video, atol=1e-4)
    assert torch.allclose(reached.audio, wanted.audio, atol=1e-4)
    assert (target.video - noisy.video).abs().mean() > 0.1


@torch.inference_mode()
def test_what_is_given_stays_and_is_not_learned(folder: Path) -> None:
    task = task_of(folder)
    batch = task.batch(0, 0, 1)
    noisy = AVLatent(batch["video"], batch["audio"])
    given = AVLevels(torch.ones(4, 2), torch.ones(4, noisy.audio.shape[2]))
    given.video[:, 0] = 0
    levels = tuple(task._levels(given, torch.full((4, 1), place)) for place in (0.6, 0.5, 0.4))
    assert all(not level.video[:, 0].any() and level.video[:, 1].all() for level in levels)
    target = task._target((batch["ids"], None), noisy, levels)
    kept = broadcast(levels[0].video, noisy.video).expand_as(noisy.video) == 0
    assert torch.allclose(target.video[kept], noisy.video[kept], atol=1e-5)
    assert not torch.allclose(target.video[~kept], noisy.video[~kept], atol=1e-2)


def test_a_student_comes_nearer_to_its_teacher_and_leaves_it_as_it_is(folder: Path, trained) -> None:
    task, student = trained
    batch = task.batch(1000, 0, 1)
    with torch.no_grad():
        before, after = (
            float(task.loss(model, batch, torch.Generator().manual_seed(5))[0]) for model in (task.model(), student)
        )
    assert after < 0.85 * before
    state, teacher = student.state_dict(), read_checkpoint(folder / "teacher.safetensors").part("dit")
    kept = {name.replace(".parametrizations.weight.original", ".weight"): value for name, value in state.items()}
    assert all(torch.equal(kept[f"dit.{name}"], value.float()) for name, value in teacher.items())
    assert list((folder / "run").glob("sheet-*.png"))


def test_an_adapter_makes_the_student_of_the_teacher(folder: Path, trained, adapter: Path) -> None:
    checkpoint = read_checkpoint(folder / "teacher.safetensors")
    adapted = build_dit(read_adapter(adapter).applied(checkpoint))
    expected, found = dict(trained[1].dit.named_modules()), dict(adapted.named_modules())
    for name in ("layers.0.qkv", "layers.1.feed.down", "video_out", "noise.up", "modulation"):
        assert torch.allclose(found[name].weight, expected[name].weight, atol=2e-3), name
        assert not torch.allclose(found[name].weight, checkpoint.part("dit")[f"{name}.weight"].float(), atol=2e-3), name
    assert read_adapter(adapter).steps == STEPS and read_adapter(adapter).guidance == 3


def test_an_adapter_changes_the_clip_and_its_lineage(folder: Path, adapter: Path) -> None:
    request = Request("a red ball bounces", 128, 64, 0.5, seed=3, steps=2, guidance=Guidance(1.0, 1.0))
    plain, turbo = (
        generate(request, load_models(folder / "teacher.safetensors", turbo=path)) for path in (None, adapter)
    )
    assert turbo.lineage["turbo"] == read_adapter(adapter).digest and "turbo" not in plain.lineage
    assert not torch.equal(*(torch.cat(list(clip.frames())) for clip in (plain, turbo)))


def test_no_adapter_is_made_for_other_weights_than_it_learned_from(
    folder: Path, trained, caplog: pytest.LogCaptureFixture
) -> None:
    other, out = write_checkpoint(folder / "wrong.safetensors", DEBUG, seed=4), folder / "wrong-turbo.safetensors"
    assert main(["adapter", str(out), "distill", *overrides(folder, **{"options.init": other})]) == 2
    assert "belongs to another run (init: " in caplog.text and not out.exists()


def test_an_adapter_of_other_weights_is_refused(folder: Path, adapter: Path) -> None:
    other = write_checkpoint(folder / "other.safetensors", DEBUG, seed=4)
    with pytest.raises(ValueError, match="made for other weights"):
        load_models(other, turbo=adapter)


def test_damaged_and_foreign_adapters_are_refused(folder: Path, adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a turbo adapter"):
        read_adapter(folder / "teacher.safetensors")
    with pytest.raises(ValueError, match="cannot be read"):
        read_adapter(tmp_path / "none.safetensors")
    kept = read_adapter(adapter)
    save_adapter(tmp_path / "a.safetensors", kept.tensors, kept.base, steps=3, guidance=3.0, licence="Apache-2.0")
    changed = dict(kept.tensors)
    changed[next(iter(changed))] = changed[next(iter(changed))] + 1
    metadata = {
        "format": "kinetophone-turbo/1", "digest": kept.digest, "base": kept.base, "steps": "3", "guidance": "3",
    }  # fmt: skip
    save_file(changed, tmp_path / "b.safetensors", metadata)
    with pytest.raises(ValueError, match="is damaged"):
        read_adapter(tmp_path / "b.safetensors")


def test_a_student_begins_as_an_earlier_adapter(folder: Path, trained, adapter: Path) -> None:
    student = task_of(folder, **{"options.adapter": adapter}).model()
    fresh, learned = (dict(model.dit.named_parameters()) for model in (task_of(folder).model(), student))
    earlier = read_adapter(adapter).tensors
    for name, value in learned.items():
        layer, _, part = name.partition(".parametrizations.weight.0.")
        if part in ("up", "down"):
            kept = earlier[f"diffusion_model.{layer}.lora_{part}.weight"]
            assert torch.equal(value, kept.float()) and not torch.equal(value, fresh[name])


def test_an_adapter_of_another_rank_is_refused(folder: Path, adapter: Path) -> None:
    with pytest.raises(ValueError, match=r"has rank 16, and this run 8: set options\.rank=16"):
        task_of(folder, **{"options.adapter": adapter, "options.rank": 8}).model()


@pytest.mark.parametrize("rows", [0, 7])
def test_an_adapter_of_another_model_is_no_start(folder: Path, adapter: Path, tmp_path: Path, rows: int) -> None:
    kept, layer = read_adapter(adapter), "diffusion_model.layers.0.qkv.lora_up.weight"
    others = dict(kept.tensors)
    update = others.pop(layer)
    if rows:
        others[layer] = update[:rows]
    foreign = tmp_path / "foreign.safetensors"
    save_adapter(foreign, others, kept.base, steps=3, guidance=3.0, licence="Apache-2.0")
    with pytest.raises(ValueError, match=r"made for another model: leave options\.adapter out"):
        task_of(folder, **{"options.adapter": foreign}).model()


@pytest.mark.parametrize("option", ["noise_mean", "fine_after"])
def test_options_without_effect_are_refused(folder: Path, option: str) -> None:
    with pytest.raises(ValueError, match=f"no use for {option}"):
        task_of(folder, **{f"options.{option}": 1})


def test_distillation_needs_a_teacher(folder: Path) -> None:
    with pytest.raises(ValueError, match="needs weights to learn from"):
        task_of(folder, **{"options.init": "''"})


def test_the_shipped_adapter_is_for_the_shipped_weights() -> None:
    card = read_card(DEFAULT_CARD)
    adapter = read_adapter(card.turbo_path)
    applied = adapter.applied(read_checkpoint(card.path))
    assert adapter.steps == card.turbo_steps and adapter.guidance == card.guidance_video == card.guidance_audio
    assert replace(applied, tensors={}) == replace(read_checkpoint(card.path), tensors={})


@pytest.mark.parametrize("more", [["--guidance", "2"], ["--guidance", "0"], ["--negative", "rain"]])
def test_turbo_has_no_guidance_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]) -> None:
    assert cli.main(["a red ball", "--turbo", "-o", str(tmp_path / "out.mp4"), *more]) == 2
    assert "Turbo has its guidance built in" in capsys.readouterr().err


def test_the_command_makes_a_draft_with_turbo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["a red ball bounces", "--turbo", "--size", "128x64", "--seconds", "0.5", "-o", str(tmp_path / "a.mp4")]
    assert cli.main(arguments) == 0
    made = json.loads(read_tags(tmp_path / "a.mp4")["kinetophone"])
    card = read_card(DEFAULT_CARD)
    assert made["steps"] == card.turbo_steps and made["turbo"] == read_adapter(card.turbo_path).digest
    assert made["guidance"]["video"] == made["guidance"]["audio"] == 1
    assert "sampling" in capsys.readouterr().err
