"""Turbo adapters: low-rank updates of a checkpoint's transformer, with which few steps of one pass each are enough.

Their names are those that the host's own LoRA loaders read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from .checkpoint import Checkpoint, digest_of, read_tensors, write_tensors

FORMAT = "kinetophone-turbo/1"
PREFIX, UP, DOWN = "diffusion_model.", ".lora_up.weight", ".lora_down.weight"


@dataclass(frozen=True)
class Adapter:
    """`tensors` has `lora_up [out, rank]` and `lora_down [rank, in]` of each linear layer.

    `base` is the hash of the transformer that it was made for, `steps` how many it needs, and `guidance` the scale that
    it stands for.
    """

    tensors: dict[str, Tensor]
    base: str
    steps: int
    guidance: float
    digest: str

    def updates(self) -> Iterator[tuple[str, Tensor]]:
        """Name of each weight in the transformer, and what to add to it."""
        for name, up in self.tensors.items():
            if name.endswith(UP):
                layer = name.removesuffix(UP)
                yield layer.removeprefix(PREFIX) + ".weight", up.float() @ self.tensors[layer + DOWN].float()

    def applied(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint with the updates added. Raises ValueError when it has another transformer."""
        if self.base != base_of(checkpoint):
            raise ValueError("This turbo adapter was made for other weights. Use those, or sample without turbo.")
        tensors = dict(checkpoint.tensors)
        for name, update in self.updates():
            tensors[f"dit.{name}"] = tensors[f"dit.{name}"].float() + update
        return replace(checkpoint, tensors=tensors)


def base_of(checkpoint: Checkpoint) -> str:
    """The hash of a checkpoint's transformer alone: an adapter outlives another decoder."""
    return digest_of(checkpoint.part("dit"))


def read_adapter(path: Path) -> Adapter:
    """Read and verify an adapter. Raises ValueError that says what is wrong with the file."""
    tensors, told = read_tensors(path, FORMAT, "a turbo adapter", "Install the pack again.")
    return Adapter(tensors, told["base"], int(told["steps"]), float(told["guidance"]), told["digest"])


def save_adapter(
    path: Path, tensors: dict[str, Tensor], base: str, *, steps: int, guidance: float, licence: str
) -> str:
    """Write an adapter atomically, in half precision, and return its hash."""
    stored = {key: value.detach().cpu().half().contiguous() for key, value in sorted(tensors.items())}
    digest = digest_of(stored)
    metadata = {
        "format": FORMAT, "base": base, "steps": str(steps), "guidance": str(guidance), "licence": licence,
        "digest": digest,
    }  # fmt: skip
    write_tensors(path, stored, metadata)
    return digest
