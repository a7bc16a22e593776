"""From a checkpoint to networks that run without a host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..model.config import Config
from ..model.dit import AVTransformer
from ..model.ops import TORCH, Ops, best_cpu_dtype
from ..text.encoder import TextEncoder
from ..text.tokenizer import Tokenizer
from ..vae.audio import AudioAutoencoder
from ..vae.video import VideoAutoencoder
from .adapter import read_adapter
from .card import read_card
from .checkpoint import Checkpoint, read_checkpoint

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Models:
    """The networks of one checkpoint, in evaluation mode, and the hashes of it and of its turbo adapter, if any."""

    config: Config
    tokenizer: Tokenizer
    text: TextEncoder
    dit: AVTransformer
    video: VideoAutoencoder
    audio: AudioAutoencoder
    digest: str
    turbo: str = ""


def load_models(source: str | Path, device: torch.device | str = "cpu", turbo: Path | None = None) -> Models:
    """Load a card by name, or a checkpoint by path, for use on `device`, with a `turbo` adapter if one is given.

    The transformer and the text encoder compute in the best type of the device, the autoencoders in float32.
    """
    path = source if isinstance(source, Path) else read_card(source).path
    checkpoint = read_checkpoint(path)
    adapter = read_adapter(turbo) if turbo else None
    if adapter:
        checkpoint = adapter.applied(checkpoint)
    config = checkpoint.config
    cuda = torch.device(device).type == "cuda"
    dtype = torch.bfloat16 if cuda else best_cpu_dtype()
    return Models(
        config,
        Tokenizer(config.text, checkpoint.words),
        build_text(checkpoint).to(device, dtype),
        build_dit(checkpoint).to(device, dtype),
        build_video(checkpoint).to(device),
        build_audio(checkpoint).to(device),
        checkpoint.digest,
        adapter.digest if adapter else "",
    )


def build_dit(checkpoint: Checkpoint) -> AVTransformer:
    """The transformer of a checkpoint, float32 on CPU."""
    config = checkpoint.config
    return _fill(AVTransformer(config.dit, config.grid, config.text.width, device="meta"), checkpoint.part("dit"))


def build_text(checkpoint: Checkpoint) -> TextEncoder:
    """The text encoder of a checkpoint, float32 on CPU."""
    return _fill(TextEncoder(checkpoint.config.text, device="meta"), checkpoint.part("text"))


def build_video(checkpoint: Checkpoint, ops: Ops = TORCH) -> VideoAutoencoder:
    """The video autoencoder of a checkpoint, float32 on CPU."""
    config = checkpoint.config
    return _fill(VideoAutoencoder(config.video, config.grid, ops), checkpoint.part("video"))


def build_audio(checkpoint: Checkpoint, ops: Ops = TORCH) -> AudioAutoencoder:
    """The audio autoencoder of a checkpoint, float32 on CPU."""
    config = checkpoint.config
    return _fill(AudioAutoencoder(config.audio, config.grid, ops), checkpoint.part("audio"))


def _fill(module: M, state: dict[str, Tensor]) -> M:
    state = {key: value.float() for key, value in state.items()}
    try:
        module.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        raise ValueError(f"The weights do not fit the configuration in the same file: {error}") from error
    return module.eval().requires_grad_(False)
