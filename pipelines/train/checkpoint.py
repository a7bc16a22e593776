"""Training state on disk, safetensors only: weights, averaged weights, optimiser moments and the step."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict
from torch.distributed.tensor import DTensor, distribute_tensor

OPTIONS = StateDictOptions(full_state_dict=True, cpu_offload=True, flatten_optimizer_state_dict=True)


def save(path: Path, model: nn.Module, optimizers: list[torch.optim.Optimizer], ema: dict[str, Tensor], step: int) -> None:
    """Write everything that a resumed run needs; atomic; all ranks take part, the first one writes."""
    weights, moments = get_state_dict(model, optimizers, options=OPTIONS)
    averaged = {name: whole(tensor) for name, tensor in ema.items()}
    if dist.is_initialized() and dist.get_rank() != 0:
        return
    tensors = {f"model.{name}": value for name, value in weights.items()}
    tensors |= {f"ema.{name}": value for name, value in averaged.items()}
    plain: dict[str, Any] = {}
    for name, value in moments.items():
        if isinstance(value, Tensor):
            tensors[f"optim.{name}"] = value
        else:
            plain[name] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    metadata = {"step": str(step), "optim": json.dumps(plain)}
    save_file({name: value.contiguous().clone() for name, value in tensors.items()}, partial, metadata)
    os.replace(partial, path)


def load(path: Path, model: nn.Module, optimizers: list[torch.optim.Optimizer], ema: dict[str, Tensor]) -> int:
    """Restore what `save` wrote, in place; returns the step."""
    groups: dict[str, dict[str, Any]] = {"model": {}, "ema": {}, "optim": {}}
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        for key in file.keys():
            kind, _, name = key.partition(".")
            groups[kind][name] = file.get_tensor(key)
    groups["optim"].update(json.loads(metadata["optim"]))
    set_state_dict(
        model, optimizers, model_state_dict=groups["model"], optim_state_dict=groups["optim"], options=OPTIONS
    )
    for name, tensor in ema.items():
        value = groups["ema"][name]
        if isinstance(tensor, DTensor):
            value = distribute_tensor(value, tensor.device_mesh, tensor.placements)
        tensor.copy_(value)
    return int(metadata["step"])


def load_averaged(path: Path) -> dict[str, Tensor]:
    """Only the averaged weights of a checkpoint, by parameter name."""
    with safe_open(path, framework="pt") as file:
        return {key[4:]: file.get_tensor(key) for key in file.keys() if key.startswith("ema.")}


def whole(tensor: Tensor) -> Tensor:
    """The full tensor of a sharded one, on CPU."""
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).cpu()
