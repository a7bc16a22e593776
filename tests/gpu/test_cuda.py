"""The networks on an accelerator. Run with `pytest tests/gpu -m gpu` where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kinetophone.pipelines.generate import Request, generate
from kinetophone.pipelines.weights.load import load_models

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")]

REQUEST = Request("a red ball bounces on green grass", 448, 256, 2.0, seed=3, steps=8)


def test_the_accelerator_makes_the_picture_that_the_processor_makes() -> None:
    clips = [generate(REQUEST, load_models("mini", device)) for device in ("cpu", "cuda")]
    cpu, cuda = (torch.cat(list(clip.frames())).float() for clip in clips)
    assert (cpu - cuda).abs().mean() < 4
    assert clips[0].sound.waveform.shape == clips[1].sound.waveform.shape


def test_training_runs_in_reduced_precision(tmp_path: Path) -> None:
    from kinetophone.pipelines.train.config import read_config
    from kinetophone.pipelines.train.loop import train
    from kinetophone.pipelines.train.tasks import make_task

    config = read_config("words", [f"out={tmp_path}", "steps=20", "model=debug"])
    train(make_task(config), config)
    assert (tmp_path / "last.safetensors").is_file()
