"""Fixtures of the unit tests: the debug configuration with random weights."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from weights import random_networks, write_checkpoint

from kinetophone.pipelines.model.config import DEBUG

# Beside other processes of the same run each has its share of the cores, or they would wait for one another.
if (processes := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))


@pytest.fixture(scope="session")
def networks() -> dict[str, torch.nn.Module]:
    return random_networks(DEBUG)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("weights") / "debug.safetensors", DEBUG)
