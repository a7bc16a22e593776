"""The sampler: a plain function from noise to latents."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..types import AVLatent
from .denoise import Denoiser

StepCallback = Callable[[int, int, AVLatent], None]


def sample_euler(denoiser: Denoiser, x: AVLatent, sigmas: Tensor, callback: StepCallback | None = None) -> AVLatent:
    """Integrate rectified flow from `sigmas[0]` to `sigmas[-1]` with Euler steps.

    `callback(step, total, denoised)` runs after each step; what it raises stops the run.
    """
    total = len(sigmas) - 1
    for step, (sigma, following) in enumerate(zip(sigmas[:-1].tolist(), sigmas[1:].tolist(), strict=True)):
        denoised = denoiser(x, sigma)
        x = _towards(x, denoised, following / sigma)
        if callback is not None:
            callback(step + 1, total, denoised)
    return x


def start(noise: AVLatent, latent: AVLatent, sigma: float) -> AVLatent:
    """`latent` noised to level `sigma`."""
    return AVLatent(*(None if n is None else torch.lerp(z, n, sigma) for n, z in _streams(noise, latent)))


def _towards(x: AVLatent, denoised: AVLatent, remaining: float) -> AVLatent:
    """The point between `denoised` (remaining 0) and `x` (remaining 1)."""
    return AVLatent(*(None if s is None else torch.lerp(d, s, remaining) for s, d in _streams(x, denoised)))


def _streams(a: AVLatent, b: AVLatent) -> list[tuple[Tensor | None, Tensor | None]]:
    return [(a.video, b.video), (a.audio, b.audio)]
