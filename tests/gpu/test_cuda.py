"""The networks on an accelerator. Run with `pytest tests/gpu -m gpu` where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from kinetophone.pipelines.generate import Request, generate
from kinetophone.pipelines.model.config import MINI
from kinetophone.pipelines.train.checkpoint import load_averaged
from kinetophone.pipelines.train.config import read_config
from kinetophone.pipelines.train.data import Bucket, ClipPool
from kinetophone.pipelines.train.joint import load_codec
from kinetophone.pipelines.train.loop import train
from kinetophone.pipelines.train.tasks import make_task
from kinetophone.pipelines.weights.load import load_models

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")]

WEIGHTS = Path(__file__).parents[2] / "pipelines" / "weights" / "mini" / "mini.safetensors"
REQUEST = Request("a red ball bounces on green grass", 448, 256, 2.0, seed=3, steps=8)


def test_the_accelerator_makes_the_picture_that_the_processor_makes() -> None:
    clips = [generate(REQUEST, load_models("mini", device)) for device in ("cpu", "cuda")]
    cpu, cuda = (torch.cat(list(clip.frames())).float() for clip in clips)
    assert (cpu - cuda).abs().mean() < 4
    assert clips[0].sound.waveform.shape == clips[1].sound.waveform.shape


def test_training_runs_in_reduced_precision_and_resumes(tmp_path: Path) -> None:
    for steps in (10, 20):
        config = read_config("words", [f"out={tmp_path}", f"steps={steps}", "model=debug"])
        train(make_task(config), config)
        with safe_open(tmp_path / "last.safetensors", "pt") as file:
            assert file.metadata()["step"] == str(steps)


def test_the_accelerator_renders_and_codes_the_clips_that_the_processor_does(tmp_path: Path) -> None:
    codec, bucket = (load_codec(MINI, WEIGHTS, device) for device in ("cpu", "cuda")), Bucket.parse("2x2x4")
    cpu, cuda = (ClipPool(tmp_path / one.device.type, one, clips=12).shard(bucket, 0) for one in codec)
    assert cpu.captions == cuda.captions and torch.equal(cpu.classes, cuda.classes)
    for name in ("video", "audio"):
        one, other = (getattr(shard, name).float() for shard in (cpu, cuda))
        assert (one - other).abs().mean() < 0.01 * one.abs().mean()


def test_the_joint_task_draws_and_learns_on_the_accelerator(tmp_path: Path) -> None:
    options = [f"options.codec={WEIGHTS}", f"options.init={WEIGHTS}", f"options.pool={tmp_path / 'pool'}",
               "options.clips=4", "options.batch=3", "options.shards=1", "options.twins=1", "options.cuts=0.5",
               "options.buckets={7x2x4: 1.0}", "options.compile_renderer=false", "options.text="]  # fmt: skip
    config = read_config("cpu", [f"out={tmp_path}", "steps=6", *options])
    task = make_task(config)
    assert all(tensor.is_cuda for tensor in task.batch(0, 0, 1).values())
    train(task, config)
    assert load_averaged(tmp_path / "last.safetensors")["dit.video_out.weight"].isfinite().all()
