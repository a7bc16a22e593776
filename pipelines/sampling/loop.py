"""The samplers: plain functions from noise to latents, equal to those that the host has by the same names."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..types import AVLatent
from .denoise import Denoiser

SAMPLERS = ("euler", "euler_ancestral")
DEFAULT_SAMPLER = "euler_ancestral"
StepCallback = Callable[[int, int, AVLatent], None]


def sample(
    name: str, denoiser: Denoiser, x: AVLatent, sigmas: Tensor, seed: int, callback: StepCallback | None = None
) -> AVLatent:
    """From noise to latents by one of `SAMPLERS`. Raises ValueError for another name."""
    if name not in SAMPLERS:
        raise ValueError(f"There is no sampler {name!r}: choose one of {', '.join(SAMPLERS)}.")
    if name == "euler":
        return sample_euler(denoiser, x, sigmas, callback)
    return sample_euler_ancestral(denoiser, x, sigmas, seed, callback)


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


def sample_euler_ancestral(
    denoiser: Denoiser, x: AVLatent, sigmas: Tensor, seed: int, callback: StepCallback | None = None
) -> AVLatent:
    """Euler steps that go further down than they must, and back up with new noise: what a step got wrong is drawn anew.

    Ancestral sampling (arXiv 2011.13456, app. F) in the form of rectified flow: from level a to b by way of b^2 / a.
    Arguments as `sample_euler`; `seed` draws the noise.
    """
    total = len(sigmas) - 1
    generator = torch.Generator("cpu").manual_seed((seed + 1) % 2**64)
    for step, (sigma, following) in enumerate(zip(sigmas[:-1].tolist(), sigmas[1:].tolist(), strict=True)):
        denoised = denoiser(x, sigma)
        down = following**2 / sigma
        kept = (1 - following) / (1 - down)
        x = _towards(x, denoised, down / sigma)
        if following > 0:
            x = _noisier(x, kept, max(0.0, following**2 - (kept * down) ** 2) ** 0.5, generator)
        if callback is not None:
            callback(step + 1, total, denoised)
    return x


def start(noise: AVLatent, latent: AVLatent, sigma: float) -> AVLatent:
    """`latent` noised to level `sigma`."""
    return AVLatent(*(None if n is None else torch.lerp(z, n, sigma) for n, z in _streams(noise, latent)))


def _noisier(x: AVLatent, kept: float, added: float, generator: torch.Generator) -> AVLatent:
    """`kept` of both streams, and `added` of noise that is drawn for both at once, as the host does."""
    streams = [stream for stream in (x.video, x.audio) if stream is not None]
    sizes = [stream[0].numel() for stream in streams]
    parts = iter(torch.randn(len(streams[0]), sum(sizes), generator=generator).split(sizes, dim=1))
    return AVLatent(
        *(None if s is None else s * kept + next(parts).view(s.shape).to(s) * added for s in (x.video, x.audio))
    )


def _towards(x: AVLatent, denoised: AVLatent, remaining: float) -> AVLatent:
    """The point between `denoised` (remaining 0) and `x` (remaining 1)."""
    return AVLatent(*(None if s is None else torch.lerp(d, s, remaining) for s, d in _streams(x, denoised)))


def _streams(a: AVLatent, b: AVLatent) -> list[tuple[Tensor | None, Tensor | None]]:
    return [(a.video, b.video), (a.audio, b.audio)]
