"""What the training loop needs to know of a task."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

Batch = dict[str, Tensor]
Forward = Callable[..., object]
# To log. Tensors stay on their device until then: reading one waits for all that an accelerator still has to do.
Values = Mapping[str, Tensor | float]


class Task(Protocol):
    """A model, its data and its loss. The loop owns precision, optimiser, averaging and checkpoints."""

    name: str
    # What the rows of its text encoder stand for, in their order; none where it has no such encoder.
    words: tuple[str, ...]

    def model(self) -> nn.Module:
        """The module to train, initialised the same way on every call; only its `forward` is called."""
        ...

    def batch(self, step: int, rank: int, ranks: int) -> Batch:
        """The batch of a step, of its arguments alone, so that a resumed run continues exactly.

        But of clips that other processes render meanwhile: those are drawn from as they come.
        """
        ...

    def loss(self, forward: Forward, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Values]:
        """Scalar loss of `forward` (the model at training precision) on a batch, and values to log."""
        ...

    def sheet(self, model: nn.Module, folder: Path, step: int) -> None:
        """Write a picture of what the model does now."""
        ...


def training_device() -> torch.device:
    """Where this process trains: its own accelerator where there is one, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def seed_of(*parts: int) -> int:
    """One seed from several integers, so that neighbouring steps and ranks share no random numbers."""
    mixed = 0x9E3779B97F4A7C15
    for part in parts:
        mixed = ((mixed ^ (part + 0x7F4A7C15)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        mixed ^= mixed >> 31
    return mixed >> 1
