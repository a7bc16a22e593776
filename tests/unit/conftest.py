"""Fixtures of the unit tests: the debug configuration with random weights."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from weights import random_networks, write_checkpoint

from kinetophone.pipelines.model.config import DEBUG


@pytest.fixture(scope="session")
def networks() -> dict[str, torch.nn.Module]:
    return random_networks(DEBUG)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("weights") / "debug.safetensors", DEBUG)
