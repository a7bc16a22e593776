"""What a run takes, before it starts: sizes, time and memory, measured by doing a small part of it on this machine."""

from __future__ import annotations

import io
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.sample
import comfy.samplers
import folder_paths
import torch
from torch import Tensor

from ..clip.stages import trim
from ..clock import spoken_time
from ..media.formats import DEFAULT_FORMAT, find_format
from ..media.write import write_to
from ..screenplay.dialogue import dialogue_notes
from ..types import AVLatent, Screenplay
from ..weights.card import length_notes
from .codec import decode_videos
from .latents import Latent, streams_of
from .loader import CARD_KEY, About
from .vae import KinetophoneVideoVAE

# The first step warms up, the others are measured; two pieces of video, so that what happens once is told from what
# repeats.
PROBE_STEPS = 3
PROBE_LATENTS = (2, 4)
GIGABYTE = 1e9
# CUDA has a class of its own for this; a CPU and other devices have only words.
NO_MEMORY = ("out of memory", "allocate memory", "enough memory")
SMALLER = "Make it smaller or shorter, or the batch smaller."


@dataclass(frozen=True)
class Run:
    """What will run. Everything but the latent may be missing; then there is less to say."""

    latent: Latent
    guider: Any = None
    sigmas: Tensor | None = None
    video_vae: Any = None
    screenplay: Screenplay | None = None


@dataclass(frozen=True)
class Cost:
    """Seconds and bytes."""

    sampling: float = 0.0
    decoding: float = 0.0
    file: float = 0.0

    @property
    def seconds(self) -> float:
        return self.sampling + self.decoding


@dataclass(frozen=True)
class Memory:
    """Bytes, as the host reckons: what all needs, what a step needs without the weights, and what there is.

    `room` is what the host can make free for a step, by taking other models and weights off the device.
    """

    need: float
    step: float
    free: float
    room: float


def preflight(run: Run) -> tuple[str, float]:
    """A report for people, and the seconds that sampling, decoding and saving take together."""
    streams = streams_of(run.latent)
    memory = _reckoned(run, streams)
    sampling, told = _sampling(run, memory)
    cost = Cost(sampling, *_decoding_cost(run, streams))
    lines = [*_sizes(run, streams), told, *_decoding(cost), *_memory(memory, cost), *_warnings(run, streams)]
    return "\n".join(lines), cost.seconds


def _reckoned(run: Run, streams: AVLatent) -> Memory:
    """Memory for the run, from shapes alone."""
    management = comfy.model_management
    device = management.get_torch_device()
    need = step = 0.0
    if run.guider is not None:
        patcher = run.guider.model_patcher
        # The host takes both prompts at once where it can, and one after the other where it must.
        doubled = [[2 * len(stream), *stream.shape[1:]] for stream in streams.streams]
        need = patcher.model_size() + sum(patcher.model.memory_required(shape) for shape in doubled)
        step = sum(patcher.model.memory_required(list(stream.shape)) for stream in streams.streams)
    if streams.video is not None and run.video_vae is not None:
        need = max(need, run.video_vae.memory_used_decode(streams.video.shape, run.video_vae.vae_dtype))
    free = management.get_free_memory(device)
    return Memory(need, step, free, free if device.type == "cpu" else management.get_total_memory(device))


def _sampling(run: Run, memory: Memory) -> tuple[float, str]:
    """Seconds of all steps, from a few of them, and what to tell of it; 0 where it cannot be measured."""
    if run.guider is None or run.sigmas is None:
        return 0.0, "Sampling: connect guider and sigmas to have it estimated."
    steps = len(run.sigmas) - 1
    if steps < 1:
        return 0.0, (
            f"Sampling: the schedule has {steps + 1} of the 2 noise levels that sampling needs at least. Check the "
            "steps and denoise of what makes sigmas."
        )
    if memory.step > memory.room:
        return 0.0, (
            f"Sampling: not tried, because a step needs about {_size(memory.step)} and there are {_size(memory.room)}. "
            f"{SMALLER}"
        )
    try:
        seconds = _step_seconds(run) * steps
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        seconds = 0.0
    if not seconds:
        # Not in the handler: there the error still holds what filled the memory.
        comfy.model_management.soft_empty_cache()
        return 0.0, f"Sampling: a step was tried, and ran out of memory. {SMALLER}"
    return seconds, (
        f"Sampling: {steps} steps, {spoken_time(seconds)}, from {PROBE_STEPS} steps taken now with euler. Samplers "
        "that run the model twice a step, such as heun, dpm_2 and dpmpp_sde, take twice as long."
    )


def _step_seconds(run: Run) -> float:
    samples = comfy.sample.fix_empty_latent_channels(run.guider.model_patcher, run.latent["samples"])
    moments: list[float] = []
    levels = run.sigmas[:1].expand(PROBE_STEPS + 1) * torch.linspace(1, 0.9, PROBE_STEPS + 1)
    run.guider.sample(
        comfy.sample.prepare_noise(samples, 0), samples, comfy.samplers.sampler_object("euler"), levels,
        denoise_mask=run.latent.get("noise_mask"), callback=lambda *_: moments.append(time.perf_counter()),
        disable_pbar=True, seed=0,
    )  # fmt: skip
    return (moments[-1] - moments[0]) / (len(moments) - 1)


def _is_out_of_memory(error: Exception) -> bool:
    words = str(error).lower()
    return isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or any(said in words for said in NO_MEMORY)


def _decoding_cost(run: Run, streams: AVLatent) -> tuple[float, float]:
    """Seconds to decode and save the batch, and the bytes of the files; zeros for other autoencoders than ours."""
    if streams.video is None or not isinstance(run.video_vae, KinetophoneVideoVAE):
        return 0.0, 0.0
    # Faint noise: an empty picture would be written faster than any real one.
    steps = min(streams.video.shape[2], PROBE_LATENTS[1])
    shape = streams.video[:1, :, :steps].shape
    picture = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 0.3
    video = decode_videos({"samples": picture}, run.video_vae, None, 24.0)[0]
    frames = [run.video_vae.grid.frames(min(count, steps)) for count in PROBE_LATENTS]
    spent, sizes = [], []
    for count in (1, *frames):
        file, began = io.BytesIO(), time.perf_counter()
        write_to(trim(video.clip, 0, count), file, find_format(DEFAULT_FORMAT), {})
        spent.append(time.perf_counter() - began)
        sizes.append(len(file.getvalue()))
    whole, few = run.video_vae.grid.frames(streams.video.shape[2]), max(1, frames[1] - frames[0])
    seconds = spent[1] + max(0.0, spent[2] - spent[1]) / few * (whole - frames[0])
    return seconds * len(streams.video), sizes[2] / frames[1] * whole * len(streams.video)


def _sizes(run: Run, streams: AVLatent) -> list[str]:
    lines = []
    if streams.video is not None and isinstance(run.video_vae, KinetophoneVideoVAE):
        shape = run.video_vae.grid.shape(*streams.video.shape[2:])
        lines.append(
            f"Picture: {shape.width} x {shape.height}, {shape.frames} frames at {shape.fps} a second = "
            f"{float(shape.seconds):.2f} s."
        )
    for name, stream in (("Picture", streams.video), ("Sound", streams.audio)):
        if stream is not None:
            grid = " x ".join(str(size) for size in stream.shape[2:])
            lines.append(f"{name} latent: {grid} cells of {stream.shape[1]} numbers, batch of {len(stream)}.")
    return lines


def _decoding(cost: Cost) -> list[str]:
    if not cost.decoding:
        return ["Decoding and saving: estimated for the built-in model's own autoencoder only."]
    return [f"Decoding and saving: {spoken_time(cost.decoding)}, from a few frames made now."]


def _memory(memory: Memory, cost: Cost) -> list[str]:
    lines = []
    if memory.need:
        device = comfy.model_management.get_torch_device()
        lines.append(f"Memory on {device.type}: about {_size(memory.need)} needed, {_size(memory.free)} free.")
        if memory.need > memory.free:
            lines.append("  Warning: that does not fit. Make it smaller or shorter; ComfyUI may offload, and be slow.")
    if cost.file:
        output = Path(folder_paths.get_output_directory())
        # The folder may not be there before the first file is saved.
        free = shutil.disk_usage(next(path for path in (output, *output.parents) if path.exists())).free
        lines.append(f"Disk: a file of about {_size(cost.file)}, {_size(free)} free.")
        if cost.file > free:
            lines.append("  Warning: that does not fit. Free some space, or choose another output folder.")
    return lines


def _warnings(run: Run, streams: AVLatent) -> list[str]:
    about: About | None = run.guider.model_patcher.get_attachment(CARD_KEY) if run.guider is not None else None
    lines = [f"Licence of the model: {about.licence}."] if about else []
    if about and about.seconds and streams.video is not None and isinstance(run.video_vae, KinetophoneVideoVAE):
        lines += length_notes(float(run.video_vae.grid.shape(*streams.video.shape[2:]).seconds), about.seconds)
    return lines + (dialogue_notes(run.screenplay) if run.screenplay is not None else [])


def _size(size: float) -> str:
    return f"{size / GIGABYTE:.1f} GB" if size >= GIGABYTE else f"{max(1, round(size / 1e6))} MB"
