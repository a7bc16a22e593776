"""Checkpoints with random weights, for tests that need a model and not a good one."""

from __future__ import annotations

from pathlib import Path

import torch

from kinetophone.pipelines import world
from kinetophone.pipelines.model.config import Config
from kinetophone.pipelines.model.dit import AVTransformer
from kinetophone.pipelines.text.encoder import TextEncoder
from kinetophone.pipelines.vae.audio import AudioAutoencoder
from kinetophone.pipelines.vae.video import VideoAutoencoder
from kinetophone.pipelines.weights.checkpoint import save_checkpoint


def random_networks(config: Config, seed: int = 0) -> dict[str, torch.nn.Module]:
    """The four networks; every weight is random, none is zero, so that every path matters."""
    generator = torch.Generator().manual_seed(seed)
    networks = {
        "dit": AVTransformer(config.dit, config.grid, config.text.width),
        "text": TextEncoder(config.text),
        "video": VideoAutoencoder(config.video, config.grid),
        "audio": AudioAutoencoder(config.audio, config.grid),
    }
    networks["dit"].reset_parameters(generator)
    networks["text"].reset_parameters(generator)
    for network in networks.values():
        for parameter in network.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.05, generator=generator)
        network.eval().requires_grad_(False)
    return networks


def write_checkpoint(path: Path, config: Config, seed: int = 0) -> Path:
    """A checkpoint file with random weights."""
    tensors = {}
    for name, network in random_networks(config, seed).items():
        tensors |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
    save_checkpoint(path, config, tuple(world.vocabulary()), tensors, licence="Apache-2.0", metrics={})
    return path
