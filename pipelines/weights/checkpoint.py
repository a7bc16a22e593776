"""One safetensors file holds a whole model: weights of the four networks, configuration, vocabulary, hash, metrics."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..model.config import Config

FORMAT = "kinetophone/1"
PARTS = ("dit", "text", "video", "audio")
LFS_POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory; `tensors` has names `dit.*`, `text.*`, `video.*` and `audio.*`."""

    config: Config
    words: tuple[str, ...]
    tensors: dict[str, Tensor]
    digest: str
    licence: str
    metrics: dict[str, float]

    def part(self, name: str) -> dict[str, Tensor]:
        """The state dict of one of the four networks."""
        return {key[len(name) + 1 :]: value for key, value in self.tensors.items() if key.startswith(name + ".")}


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and verify a checkpoint. Raises ValueError that says what is wrong with the file and what to do."""
    tensors, metadata = read_tensors(
        path, FORMAT, "a Kinetophone checkpoint", "Load other models with ComfyUI's own loader nodes."
    )
    return _parse(path, metadata, tensors)


def read_tensors(path: Path, expected: str, kind: str, otherwise: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a file of the format `expected`, its hash verified.

    Raises ValueError that says what is wrong with the file and what to do; `otherwise` is for one that is not `kind`.
    """
    with opened(path) as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != expected:
            raise ValueError(
                f"{path.name} is not {kind} (its format is {metadata.get('format')!r}, expected {expected!r}). "
                f"{otherwise}"
            )
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    if digest_of(tensors) != metadata.get("digest"):
        raise ValueError(f"{path.name} is damaged: its weights do not match their recorded hash. Get the file again.")
    return tensors, metadata


def published_words(path: Path) -> tuple[str, ...]:
    """The words that a checkpoint was trained on, in their order; weights are not read.

    Empty for a file of another format. Raises ValueError for one that cannot be read.
    """
    with opened(path) as file:
        metadata = file.metadata() or {}
    return tuple(json.loads(metadata.get("words", "[]")))


@contextmanager
def opened(path: Path) -> Iterator[safe_open]:
    """A safetensors file to read from. Raises ValueError that says why it cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path.name} cannot be read: {_reason(path)} ({error}).") from error


def save_checkpoint(
    path: Path,
    config: Config,
    words: tuple[str, ...],
    tensors: dict[str, Tensor],
    *,
    licence: str,
    metrics: dict[str, float],
) -> str:
    """Write a checkpoint atomically and return its hash; weights of networks in float16, everything else as it is."""
    stored = {key: _stored(key, value) for key, value in sorted(tensors.items())}
    digest = digest_of(stored)
    metadata = {
        "format": FORMAT,
        "config": json.dumps(config.to_dict()),
        "words": json.dumps(list(words)),
        "metrics": json.dumps(metrics),
        "licence": licence,
        "digest": digest,
    }
    write_tensors(path, stored, metadata)
    return digest


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file, all of it or nothing."""
    with replacing(path) as partial:
        save_file(tensors, partial, metadata)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write, which takes the place of `path` when it is whole; what fails leaves nothing behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Several processes may write the same at once.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def digest_of(tensors: dict[str, Tensor]) -> str:
    """SHA-256 over names, shapes, types and bytes, independent of the order in the file."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        sha.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        sha.update(tensor.contiguous().view(torch.uint8).numpy() if tensor.ndim else tensor.numpy().tobytes())
    return sha.hexdigest()


def _parse(path: Path, metadata: dict[str, str], tensors: dict[str, Tensor]) -> Checkpoint:
    try:
        config = Config.from_dict(json.loads(metadata["config"]))
        words = tuple(json.loads(metadata["words"]))
        metrics: dict[str, Any] = json.loads(metadata.get("metrics", "{}"))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path.name} has no valid configuration in its metadata: {error}.") from error
    foreign = {key for key in tensors if key.partition(".")[0] not in PARTS}
    if foreign:
        raise ValueError(f"{path.name} holds tensors that belong to no network: {sorted(foreign)[:3]}.")
    return Checkpoint(config, words, tensors, metadata["digest"], metadata.get("licence", "unknown"), metrics)


def _stored(key: str, value: Tensor) -> Tensor:
    value = value.detach().cpu().contiguous()
    if ".codec." in key or not value.is_floating_point():
        return value
    limit = torch.finfo(torch.float16).max
    if value.abs().max() > limit:
        raise ValueError(f"The weight {key} exceeds the range of float16 ({float(value.abs().max()):.3g}).")
    return value.half()


def _reason(path: Path) -> str:
    if not path.exists():
        return f"there is no such file in {path.parent}"
    with path.open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            return "it is a Git LFS pointer, not the weights; fetch the real file"
    return "it is not a complete safetensors file; the download or copy was probably cut off, get it again"
