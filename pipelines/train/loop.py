"""The training loop: one process, or many through torchrun with FSDP2. Knows no task."""

from __future__ import annotations

import contextlib
import csv
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.func import functional_call
from torch.nn.utils.parametrize import ParametrizationList
from tqdm import tqdm

from ..model.ops import best_cpu_dtype
from ..weights.checkpoint import replacing
from . import checkpoint
from .config import RunConfig
from .task import Forward, Task, Values, seed_of, training_device

log = logging.getLogger(__name__)

# Steps between two looks at what was learned. Each look waits for the accelerator, so that no step has one of its own.
LOOK_EVERY = 20


@dataclass(frozen=True)
class Place:
    """Where this process computes: device, its rank among `ranks`, and the compute precision."""

    device: torch.device
    rank: int
    ranks: int
    dtype: torch.dtype


def train(task: Task, config: RunConfig) -> nn.Module:
    """Train to the end of the run or of this leg, resuming from `<out>/last.safetensors`.

    Returns the model with averaged weights.
    """
    with _place(config) as place:
        model = task.model().to(place.device)
        if config.compile:
            compile_layers(model)
        if place.ranks > 1:
            _shard(model, place)
        optimizers = _optimizers(model, config)
        ema = {name: p.detach().clone() for name, p in model.named_parameters()}
        out = Path(config.out)
        last, done = out / "last.safetensors", checkpoint.Progress()
        origin = checkpoint.origin_of(config, task.words)
        if last.is_file():
            done = checkpoint.load(last, model, optimizers, ema, origin)
            log.info("resumed %s at step %d", last, done.step)
        if place.rank == 0:
            _cut_rows(out / "loss.csv", done.step)
        finite = torch.ones((), dtype=torch.bool, device=place.device)
        _run(task, config, place, _State(model, optimizers, ema, done.step, done.seconds, out, origin, finite))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(ema[name])
    return model


@dataclass
class _State:
    model: nn.Module
    optimizers: list[torch.optim.Optimizer]
    ema: dict[str, Tensor]
    step: int
    seconds: float
    out: Path
    origin: dict[str, str]
    finite: Tensor

    def save(self) -> None:
        """Raises FloatingPointError, and keeps what was saved before, when a gradient since then was not finite."""
        if not self.finite:
            raise FloatingPointError(
                f"A gradient was not finite, not long before step {self.step}. What was saved before is kept: start "
                "the same command again, with lower rates (adam_rate, muon_rate) if it comes back."
            )
        progress = checkpoint.Progress(self.step, self.seconds)
        path = self.out / "last.safetensors"
        checkpoint.save(path, self.model, self.optimizers, self.ema, progress, self.origin)


def _run(task: Task, config: RunConfig, place: Place, state: _State) -> None:
    began, before = time.monotonic(), state.seconds
    forward = _forward(state.model, place)
    bar = tqdm(total=config.steps, initial=state.step, desc=task.name, disable=place.rank != 0, mininterval=5)
    while share_done(state.step, state.seconds, config) < 1:
        loss, values = _step(task, config, place, state, forward)
        state.step += 1
        state.seconds = _agreed(before + time.monotonic() - began, place)
        bar.update()
        if state.step % LOOK_EVERY == 0 and place.rank == 0:
            told = {key: float(value) for key, value in values.items()}
            bar.set_postfix({key: f"{value:.3f}" for key, value in told.items()})
            _log_row(state.out / "loss.csv", {"step": state.step, "loss": float(loss), **told})
        if state.step % config.save_every == 0:
            state.save()
        if state.step % config.sheet_every == 0 and place.ranks == 1:
            _sheet(task, state)
        if config.leg and state.seconds - before >= 60 * config.leg:
            break
    state.save()
    if place.rank == 0:
        _plot(state.out / "loss.csv")
    bar.close()


def _step(task: Task, config: RunConfig, place: Place, state: _State, forward: Forward) -> tuple[Tensor, Values]:
    scale = rate_scale(state.step, config, state.seconds)
    for optimizer in state.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * scale
    batch = {k: v.to(place.device) for k, v in task.batch(state.step, place.rank, place.ranks).items()}
    # Of another seed than the task draws its batch from: else the noise of a clip would depend on which clip it is.
    seed = seed_of(config.seed, state.step, place.rank, place.ranks, 2)
    generator = torch.Generator(place.device).manual_seed(seed)
    loss, values = task.loss(forward, batch, generator)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(state.model.parameters(), config.clip)
    state.finite &= (norm.full_tensor() if isinstance(norm, DTensor) else norm).isfinite()
    for optimizer in state.optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    decay = min(config.ema, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        parameters = dict(state.model.named_parameters())
        torch._foreach_lerp_(list(state.ema.values()), [parameters[name] for name in state.ema], 1 - decay)
    return loss.detach(), values


def share_done(step: int, seconds: float, config: RunConfig) -> float:
    """How much of a run is done, 0..1, by its steps or by its time, whichever is further."""
    return max(step / config.steps, seconds / (60 * config.minutes) if config.minutes else 0.0)


def rate_scale(step: int, config: RunConfig, seconds: float = 0.0) -> float:
    """Learning-rate factor: linear warm-up, flat, linear to zero over the last `decay` fraction."""
    warm = min(1.0, (step + 1) / max(1, config.warmup))
    left = (1 - share_done(step, seconds, config)) / max(config.decay, 1 / config.steps)
    return warm * min(1.0, max(0.0, left))


def _agreed(seconds: float, place: Place) -> float:
    """The first process's clock: all must stop at the same step."""
    if place.ranks == 1:
        return seconds
    told = torch.tensor([seconds], device=place.device)
    dist.broadcast(told, 0)
    return float(told)


def _optimizers(model: nn.Module, config: RunConfig) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside layers, AdamW for everything else (Muon: Jordan 2024)."""
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        matrix = bool(config.muon_rate) and parameter.ndim == 2 and "layers." in name and "table" not in name
        factor = next((f for prefix, f in config.rates.items() if name.startswith(prefix)), 1.0)
        groups.setdefault((matrix, factor), []).append(parameter)
    adam = [_group(v, config.adam_rate * f) for (matrix, f), v in groups.items() if not matrix]
    muon = [_group(v, config.muon_rate * f) for (matrix, f), v in groups.items() if matrix]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(adam, betas=(0.9, 0.98), weight_decay=config.weight_decay)
    ]
    if muon:
        optimizers.append(torch.optim.Muon(muon, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"))
    return optimizers


def _group(parameters: list[nn.Parameter], rate: float) -> dict[str, Any]:
    return {"params": parameters, "lr": rate, "initial_lr": rate}


def _forward(model: nn.Module, place: Place) -> Forward:
    """The model's forward at compute precision; weights stay float32 and receive the gradients."""
    if place.dtype == torch.float32:
        return model

    def call(*args: object, **kwargs: object) -> object:
        if place.ranks > 1:
            # Shards are gathered at this precision already.
            return model(*args, **kwargs)
        weights = {name: p.to(place.dtype) for name, p in model.named_parameters()}
        return functional_call(model, weights, args, kwargs)

    call.dtype = place.dtype
    return call


def compile_layers(model: nn.Module) -> None:
    """Compile layer by layer: one layer's code serves all, and a new clip size costs seconds, not minutes."""
    torch._dynamo.config.recompile_limit = 64
    for layer in _layers(model):
        layer.compile(dynamic=False)


def _layers(model: nn.Module) -> list[nn.Module]:
    """The layers of every stack; what a weight is computed from (`LowRank`) is a list too, but part of its layer."""
    stacks = [m for m in model.modules() if isinstance(m, nn.ModuleList) and not isinstance(m, ParametrizationList)]
    return [layer for stack in stacks for layer in stack]


def _shard(model: nn.Module, place: Place) -> None:
    mesh = init_device_mesh(place.device.type, (place.ranks,))
    # Noise levels and spans stay exact, as in one process: the task lowers what is to be lowered (`Forward.dtype`).
    policy = MixedPrecisionPolicy(place.dtype, torch.float32, cast_forward_inputs=False)
    for layer in _layers(model):
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)


@contextlib.contextmanager
def _place(config: RunConfig) -> Iterator[Place]:
    device = training_device()
    cuda = device.type == "cuda"
    ranks, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    best = torch.bfloat16 if cuda else best_cpu_dtype()
    dtype = {"auto": best, "fp32": torch.float32, "bf16": torch.bfloat16}[config.precision]
    if cuda:
        torch.cuda.set_device(device)
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    if ranks > 1:
        dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Place(device, rank, ranks, dtype)
    finally:
        if ranks > 1:
            dist.destroy_process_group()


def _sheet(task: Task, state: _State) -> None:
    raw = {name: p.detach().clone() for name, p in state.model.named_parameters()}
    with torch.no_grad():
        for name, parameter in state.model.named_parameters():
            parameter.copy_(state.ema[name])
        try:
            task.sheet(state.model, state.out, state.step)
        finally:
            for name, parameter in state.model.named_parameters():
                parameter.copy_(raw[name])


def _log_row(path: Path, row: dict[str, float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = not path.is_file()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)


def _cut_rows(path: Path, step: int) -> None:
    """Forget what was logged after a step, and half a row: a run that was killed does those steps again."""
    if not path.is_file():
        return
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    kept = [row for row in lines[1:] if int(row.partition(b",")[0]) <= step]
    with replacing(path) as partial:
        partial.write_bytes(b"".join(lines[:1] + kept))


def _plot(path: Path) -> None:
    """The loss curve as a picture beside the numbers, where matplotlib is installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        log.info("matplotlib is not installed: no loss curve drawn, the numbers are in %s", path)
        return
    if not path.is_file():
        return
    with path.open() as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(8, 4))
    axes = figure.add_subplot()
    for key in [k for k in rows[0] if k != "step"]:
        axes.plot([int(r["step"]) for r in rows], [float(r[key]) for r in rows], label=key, linewidth=0.8)
    axes.set(xlabel="step", ylabel="loss", yscale="log")
    axes.legend()
    figure.savefig(path.with_suffix(".png"), dpi=120)
