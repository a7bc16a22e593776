"""Sampling through the host: its samplers, previews, progress and interrupt."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
from torch import Tensor

from ..sampling.schedule import flow_schedule
from .latents import Latent


def sigmas_of(steps: int, shift: float, denoise: float) -> Tensor:
    """Noise levels `[steps + 1]` for flow models. Raises ValueError for values out of range."""
    return flow_schedule(steps, shift, denoise)


def sample(guider: Any, sigmas: Tensor, latent: Latent, seed: int, sampler_name: str) -> Latent:
    """Run the host's sampler on `latent`; equal to its own advanced sampler node, bit for bit.

    Raises ValueError for an unknown sampler or an empty schedule.
    """
    if sampler_name not in comfy.samplers.SAMPLER_NAMES:
        raise ValueError(
            f"There is no sampler {sampler_name!r}: choose one of {', '.join(comfy.samplers.SAMPLER_NAMES)}."
        )
    if len(sigmas) < 2:
        raise ValueError(f"The schedule has {len(sigmas)} noise levels; sampling needs at least 2.")
    samples = comfy.sample.fix_empty_latent_channels(guider.model_patcher, latent["samples"])
    noise = comfy.sample.prepare_noise(samples, seed, latent.get("batch_index"))
    callback = latent_preview.prepare_callback(guider.model_patcher, len(sigmas) - 1)
    made = guider.sample(
        noise, samples, comfy.samplers.sampler_object(sampler_name), sigmas, denoise_mask=latent.get("noise_mask"),
        callback=callback, disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED, seed=seed,
    )  # fmt: skip
    return {**latent, "samples": _on_host(made)}


def _on_host(samples: Any) -> Any:
    return samples.to(comfy.model_management.intermediate_device())
