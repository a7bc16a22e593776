"""Training state on disk, safetensors only: weights, averaged weights, optimiser moments and the step.

Tensors are stored whole, by parameter name, so that any number of processes can resume what any other number wrote.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from ..weights.checkpoint import FORMAT

Optimizers = list[torch.optim.Optimizer]


@dataclass(frozen=True)
class Progress:
    """How far a run has come: steps done, and seconds spent on them by all its legs."""

    step: int = 0
    seconds: float = 0.0


def save(path: Path, model: nn.Module, optimizers: Optimizers, ema: dict[str, Tensor], progress: Progress) -> None:
    """Write everything that a resumed run needs; atomic; all ranks take part, the first one writes."""
    tensors = {f"model.{name}": whole(value) for name, value in model.state_dict().items()}
    tensors |= {f"ema.{name}": whole(value) for name, value in ema.items()}
    for name, _, moments in _moments(model, optimizers):
        tensors |= {f"optim.state.{name}.{key}": whole(value) for key, value in moments.items()}
    if dist.is_initialized() and dist.get_rank() != 0:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    metadata = {"step": str(progress.step), "seconds": str(progress.seconds)}
    save_file({name: value.contiguous().clone() for name, value in tensors.items()}, partial, metadata)
    os.replace(partial, path)


@torch.no_grad()
def load(path: Path, model: nn.Module, optimizers: Optimizers, ema: dict[str, Tensor]) -> Progress:
    """Restore what `save` wrote, in place; returns how far it had come."""
    with safe_open(path, framework="pt") as file:
        stored = {key: file.get_tensor(key) for key in file.keys()}
        told = file.metadata()
    for name, tensor in model.state_dict().items():
        tensor.copy_(_placed(stored[f"model.{name}"], tensor))
    for name, tensor in ema.items():
        tensor.copy_(_placed(stored[f"ema.{name}"], tensor))
    for name, parameter, moments in _moments(model, optimizers):
        prefix = f"optim.state.{name}."
        for key in [key for key in stored if key.startswith(prefix) and "." not in key[len(prefix) :]]:
            value = stored[key]
            same = value.shape == parameter.shape
            # Counters stay on the CPU, moments live where their parameter does.
            moments[key[len(prefix) :]] = _placed(value, parameter) if same else value
    return Progress(int(told["step"]), float(told["seconds"]))


def load_averaged(path: Path) -> dict[str, Tensor]:
    """The averaged weights of a training checkpoint, or the weights of a published one, float32, by name."""
    try:
        with safe_open(path, framework="pt") as file:
            published = (file.metadata() or {}).get("format") == FORMAT
            names = [key for key in file.keys() if published or key.startswith("ema.")]
            return {key if published else key[4:]: file.get_tensor(key).float() for key in names}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"No weights can be read from {path}: {error}.") from error


def average(out: Path, run: Path) -> None:
    """Write `out` with the averaged weights of the training checkpoint `run` alone, in half precision; atomic.

    It can be started from, or measured with.
    """
    partial = out.with_suffix(".partial")
    save_file({f"ema.{name}": value.half() for name, value in load_averaged(run).items()}, partial)
    os.replace(partial, out)


def load_part(path: Path, *prefixes: str) -> dict[str, Tensor]:
    """Those weights of `load_averaged` that start with one of `prefixes`, without it."""
    part = {
        key[len(prefix) :]: value
        for key, value in load_averaged(path).items()
        for prefix in prefixes
        if key.startswith(prefix)
    }
    if not part:
        raise ValueError(f"{path} holds no weights named {' or '.join(f'{prefix}*' for prefix in prefixes)}.")
    return part


def whole(tensor: Tensor) -> Tensor:
    """The full tensor of a sharded one, on CPU."""
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach().cpu()


def _placed(value: Tensor, like: Tensor) -> Tensor:
    """A whole tensor on the device, and in the shards, of another."""
    value = value.to(like.device)
    return distribute_tensor(value, like.device_mesh, like.placements) if isinstance(like, DTensor) else value


def _moments(model: nn.Module, optimizers: Optimizers) -> Iterator[tuple[str, Tensor, dict[str, Tensor]]]:
    """Name, parameter and moments of every parameter that an optimiser updates."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                yield names[parameter], parameter, optimizer.state[parameter]
