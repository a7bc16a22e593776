"""The whole flow on one page: prompt, text context, noise, latents, clip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .clip.clip import Clip
from .clip.decode import decode_clip
from .clock import Plan
from .model.config import Config
from .sampling import loop
from .sampling.denoise import guided_denoiser, keeping
from .sampling.guidance import Guidance
from .sampling.noise import draw_noise
from .sampling.schedule import flow_schedule
from .screenplay.recaption import shot_description
from .text.shots import shots_in_time
from .types import AVLatent, Shot, TextContext, VideoShape
from .weights.load import Models

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """What to make. Sizes and length are snapped to the model's grid; `plan` says how.

    `shots` take the place of the prompt where there are any, each for its time.
    """

    prompt: str
    width: int
    height: int
    seconds: float
    negative: str = ""
    seed: int = 0
    steps: int = 20
    shift: float = 1.5
    guidance: Guidance = field(default_factory=Guidance)
    shots: tuple[Shot, ...] = ()
    sampler: str = loop.DEFAULT_SAMPLER

    def plan(self, config: Config) -> Plan:
        """The shape that the grid gives, and what it changed."""
        return config.grid.plan(self.width, self.height, self.seconds)


@dataclass(frozen=True)
class Pictures:
    """Pictures that a video begins or ends with, uint8 `[1, H, W, 3]` of its size, and the files that they are from."""

    first: Tensor | None = None
    last: Tensor | None = None
    sources: tuple[Path, ...] = ()


def generate(request: Request, models: Models, on_step: OnStep | None = None, pictures: Pictures | None = None) -> Clip:
    """Sample a clip; its frames are decoded when they are asked for. What `on_step(step, total)` raises stops it."""
    shape = request.plan(models.config).shape
    with torch.inference_mode():
        latent = sample(request, models, shape, on_step, pictures)
    lineage: dict[str, Any] = {**asdict(request), "model": models.config.name, "weights": models.digest}
    if models.turbo:
        lineage["turbo"] = models.turbo
    clip = decode_clip(latent, models.video, models.audio, lineage)
    return replace(clip, sources=pictures.sources) if pictures else clip


def sample(
    request: Request,
    models: Models,
    shape: VideoShape,
    on_step: OnStep | None = None,
    pictures: Pictures | None = None,
) -> AVLatent:
    """Latents of picture and sound."""
    wanted = encode_shots(models, request.shots) if request.shots else encode_text(models, request.prompt)
    device, empty = models.dit.modality.device, empty_latent(models.config, shape)
    given, mask = _given(models, empty, pictures) if pictures else (empty, None)
    denoiser = guided_denoiser(models.dit, wanted, encode_text(models, request.negative), request.guidance, mask)
    if mask is not None:
        denoiser = keeping(denoiser, given.to(device), mask.to(device))
    noise = draw_noise(empty, request.seed).to(device)

    def callback(step: int, total: int, denoised: AVLatent) -> None:
        if on_step is not None:
            on_step(step, total)

    sigmas = flow_schedule(request.steps, request.shift)
    return loop.sample(request.sampler, denoiser, noise, sigmas, request.seed, callback)


def _given(models: Models, empty: AVLatent, pictures: Pictures) -> tuple[AVLatent, AVLatent]:
    """Latents with the pictures in them, and where they are still to be made (1) or given (0).

    Raises ValueError where all is given.
    """
    video, made = empty.video.clone(), torch.ones_like(empty.video)
    # A clip begins with one frame, and every other step is of several.
    for at, picture, frames in ((0, pictures.first, 1), (-1, pictures.last, models.config.grid.temporal + 1)):
        if picture is not None:
            pixels = (picture.movedim(-1, 1).float() / 127.5 - 1)[:, :, None].expand(-1, -1, frames, -1, -1)
            video[:, :, at] = models.video.encode(pixels.to(models.dit.modality.device))[:, :, -1].to(video)
            made[:, :, at] = 0
    if not made.any():
        raise ValueError("The video is so short that all of it is given. Make it longer.")
    return AVLatent(video, empty.audio), AVLatent(made, torch.ones_like(empty.audio))


def encode_text(models: Models, prompt: str) -> TextContext:
    """The context of one prompt."""
    return models.text(models.tokenizer.encode([prompt]).to(models.text.words.weight.device))


def encode_shots(models: Models, shots: tuple[Shot, ...]) -> TextContext:
    """The context of a screenplay, each caption in its time."""
    contexts = [encode_text(models, shot_description(shot)) for shot in shots]
    return shots_in_time(contexts, shots) if len(shots) > 1 else contexts[0]


def empty_latent(config: Config, shape: VideoShape, batch: int = 1) -> AVLatent:
    """A latent of zeros for a shape on the grid."""
    return AVLatent(
        torch.zeros(batch, config.dit.video_channels, *config.grid.latent_size(shape)),
        torch.zeros(batch, config.dit.audio_channels, config.grid.audio_steps(shape.frames)),
    )
