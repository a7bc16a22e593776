"""The whole flow on one page: prompt, text context, noise, latents, clip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from .clip.clip import Clip
from .clip.decode import decode_clip
from .clock import Plan
from .model.config import Config
from .sampling import loop
from .sampling.denoise import guided_denoiser
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


def generate(request: Request, models: Models, on_step: OnStep | None = None) -> Clip:
    """Sample a clip; its frames are decoded when they are asked for. What `on_step(step, total)` raises stops it."""
    shape = request.plan(models.config).shape
    with torch.inference_mode():
        latent = sample(request, models, shape, on_step)
    lineage: dict[str, Any] = {**asdict(request), "model": models.config.name, "weights": models.digest}
    if models.turbo:
        lineage["turbo"] = models.turbo
    return decode_clip(latent, models.video, models.audio, lineage)


def sample(request: Request, models: Models, shape: VideoShape, on_step: OnStep | None = None) -> AVLatent:
    """Latents of picture and sound."""
    wanted = encode_shots(models, request.shots) if request.shots else encode_text(models, request.prompt)
    denoiser = guided_denoiser(models.dit, wanted, encode_text(models, request.negative), request.guidance)
    device = models.dit.modality.device
    noise = draw_noise(empty_latent(models.config, shape), request.seed).to(device)

    def callback(step: int, total: int, denoised: AVLatent) -> None:
        if on_step is not None:
            on_step(step, total)

    sigmas = flow_schedule(request.steps, request.shift)
    return loop.sample(request.sampler, denoiser, noise, sigmas, request.seed, callback)


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
