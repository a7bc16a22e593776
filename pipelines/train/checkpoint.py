"""Training state on disk, safetensors only: weights, averaged weights, optimiser moments, the step, and what for.

Tensors are stored whole, by parameter name, so that any number of processes can resume what any other number wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from ..weights.checkpoint import FORMAT, digest_of, opened, write_tensors
from .config import RunConfig

Optimizers = list[torch.optim.Optimizer]


@dataclass(frozen=True)
class Progress:
    """How far a run has come: steps done, and seconds spent on them by all its legs."""

    step: int = 0
    seconds: float = 0.0


def origin_of(run: RunConfig, words: Sequence[str] = ()) -> dict[str, str]:
    """What a run is started for: task, model, seed, the `words` that it reads, and hashes of what it begins with."""
    init, codec = (Path(name) if (name := run.options.get(key)) else None for key in ("init", "codec"))
    return {
        "task": run.task, "model": run.model, "seed": str(run.seed), "words": json.dumps(list(words)),
        "init": _hash_of(init) if init else "", "codec": digest_of(read_codec(codec)) if codec else "",
    }  # fmt: skip


def check_origin(path: Path, told: Mapping[str, str], origin: dict[str, str]) -> None:
    """Raises ValueError where a checkpoint was `told` to be of a run that was started for something else."""
    if other := [name for name, value in origin.items() if told.get(name, value) != value]:
        differ = "; ".join(f"{name}: {told[name]:.24} there, {origin[name]:.24} here" for name in other)
        raise ValueError(
            f"{path} belongs to another run ({differ}). Go on with what that run was started for, name another folder, "
            "out=FOLDER, or delete the file to begin anew."
        )


def save(
    path: Path,
    model: nn.Module,
    optimizers: Optimizers,
    ema: dict[str, Tensor],
    progress: Progress,
    origin: dict[str, str],
) -> None:
    """Write everything that a resumed run needs; atomic; all ranks take part, the first one writes."""
    tensors = {f"model.{name}": whole(value) for name, value in model.state_dict().items()}
    tensors |= {f"ema.{name}": whole(value) for name, value in ema.items()}
    for name, _, moments in _moments(model, optimizers):
        tensors |= {f"optim.state.{name}.{key}": whole(value) for key, value in moments.items()}
    if dist.is_initialized() and dist.get_rank() != 0:
        return
    metadata = {"step": str(progress.step), "seconds": str(progress.seconds), **origin}
    write_tensors(path, {name: value.contiguous().clone() for name, value in tensors.items()}, metadata)


@torch.no_grad()
def load(
    path: Path, model: nn.Module, optimizers: Optimizers, ema: dict[str, Tensor], origin: dict[str, str]
) -> Progress:
    """Restore what `save` wrote, in place; returns how far it had come. Raises ValueError for another run's."""
    with opened(path) as file:
        told = file.metadata() or {}
        check_origin(path, told, origin)
        stored = {key: file.get_tensor(key) for key in file.keys()}
    known = model.state_dict()
    weights = {key.removeprefix("model."): value for key, value in stored.items() if key.startswith("model.")}
    check_fit(weights, known, f"{path} belongs to another run, and has another model")
    for name, tensor in known.items():
        tensor.copy_(_placed(weights[name], tensor))
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
    with opened(path) as file:
        published = (file.metadata() or {}).get("format") == FORMAT
        names = [key for key in file.keys() if published or key.startswith("ema.")]
        return {key if published else key[4:]: file.get_tensor(key).float() for key in names}


def average(out: Path, run: Path) -> None:
    """Write `out` with the averaged weights of the training checkpoint `run` alone, in half precision; atomic.

    It can be started from, or measured with.
    """
    weights = load_averaged(run)
    if not weights:
        raise ValueError(f"{run} holds no averaged weights: name the last.safetensors of a run.")
    write_tensors(out, {f"ema.{name}": value.half() for name, value in weights.items()})


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


def fill(module: nn.Module, weights: dict[str, Tensor], otherwise: str) -> None:
    """Load `weights`, if they are all that a module has. Raises ValueError that begins with `otherwise`."""
    check_fit(weights, module.state_dict(), otherwise)
    module.load_state_dict(weights)


def check_fit(weights: Mapping[str, Tensor], known: Mapping[str, Tensor], otherwise: str) -> None:
    """Raises ValueError that begins with `otherwise` where `weights` have other names or shapes than those `known`."""
    sizes, wanted = ({name: tuple(tensor.shape) for name, tensor in of.items()} for of in (weights, known))
    if strange := sorted(dict(sizes.items() ^ wanted.items())):
        name = strange[0]
        raise ValueError(f"{otherwise}: {name} is {sizes.get(name)} and not {wanted.get(name)}.")


def read_codec(path: Path) -> dict[str, Tensor]:
    """The fitted codecs `video.codec.*` and `audio.codec.*` in a file of `train fit`, or in published weights."""
    with opened(path) as file:
        return {key: file.get_tensor(key) for key in file.keys() if key.startswith(("video.codec.", "audio.codec."))}


def whole(tensor: Tensor) -> Tensor:
    """The full tensor of a sharded one, on CPU."""
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach().cpu()


def _hash_of(path: Path) -> str:
    """The hash of weights to begin with, which published weights know themselves."""
    with opened(path) as file:
        known = (file.metadata() or {}).get("digest")
    return known or digest_of(load_averaged(path))


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
