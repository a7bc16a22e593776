"""The real host, booted once, with the pack loaded from a folder of an unusual name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from harness import Host
from weights import write_checkpoint

from kinetophone.pipelines.model.config import DEBUG

CARD = "debug.safetensors"


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The host's base folder, with a checkpoint of random weights among its models."""
    folder = tmp_path_factory.mktemp("base")
    models = folder / "models" / "kinetophone"
    models.mkdir(parents=True)
    write_checkpoint(models / CARD, DEBUG)
    return folder


@pytest.fixture(scope="session")
def host(base: Path) -> Host:
    return Host(base)


@pytest.fixture(scope="session")
def loaded(host: Host) -> tuple:
    """MODEL, CLIP, video VAE and audio VAE of the random checkpoint."""
    return host.call("KinetophoneLoader", card=CARD, precision="fp32")
