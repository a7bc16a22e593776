"""From a transformer to a denoiser: a function of noisy latents and a noise level that returns clean latents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ..model.dit import AVTransformer, Coupling
from ..types import AVLatent, TextContext
from .guidance import Guidance

Denoiser = Callable[[AVLatent, float], AVLatent]


def guided_denoiser(
    model: AVTransformer,
    positive: TextContext,
    negative: TextContext,
    guidance: Guidance,
    mask: AVLatent | None = None,
) -> Denoiser:
    """Denoiser with guidance. `mask` is 1 where to generate and 0 where to keep; kept cells run at noise level 0."""

    def denoise(x: AVLatent, sigma: float) -> AVLatent:
        if not guidance.needs_negative:
            cond, uncond = _predict(model, x, sigma, positive, mask), None
        else:
            both = TextContext.concatenate(negative, positive)
            uncond, cond = _halves(_predict(model, _twice(x), sigma, both, mask and _twice(mask)))
        alone = _predict(model, x, sigma, positive, mask, Coupling(False, False)) if guidance.needs_uncoupled else None
        return guidance.combine(cond, uncond, alone)

    return denoise


def keeping(denoiser: Denoiser, given: AVLatent, mask: AVLatent) -> Denoiser:
    """A denoiser that keeps `given` where `mask` is 0, whatever a sampler adds there."""
    return lambda x, sigma: mixed(given, denoiser(mixed(given, x, mask), sigma), mask)


def mixed(given: AVLatent, made: AVLatent, mask: AVLatent) -> AVLatent:
    """`made` where `mask` is 1, `given` where it is 0."""
    return AVLatent(torch.lerp(given.video, made.video, mask.video), torch.lerp(given.audio, made.audio, mask.audio))


def _predict(
    model: AVTransformer,
    x: AVLatent,
    sigma: float,
    context: TextContext,
    mask: AVLatent | None,
    coupling: Coupling = Coupling(),
) -> AVLatent:
    """Clean prediction in float32, whatever the model computes in."""
    dtype = next(model.parameters()).dtype
    context = replace(context, tokens=context.tokens.to(dtype))
    levels = [_level(stream, sigma, keep) for stream, keep in _pairs(x, mask)]
    noisy = [None if s is None else s.to(dtype) for s in (x.video, x.audio)]
    velocity = model(*noisy, *levels, context, coupling)
    return AVLatent(
        *(None if s is None else s - v.float() * sigma for s, v in zip((x.video, x.audio), velocity, strict=True))
    )


def _pairs(x: AVLatent, mask: AVLatent | None) -> list[tuple[Tensor | None, Tensor | None]]:
    return [(x.video, mask and mask.video), (x.audio, mask and mask.audio)]


def _level(stream: Tensor | None, sigma: float, keep: Tensor | None) -> Tensor | None:
    if stream is None:
        return None
    if keep is None:
        return torch.full((len(stream),), sigma, device=stream.device)
    return keep.amax(1).to(stream.device) * sigma


def _twice(x: AVLatent) -> AVLatent:
    return AVLatent(*(None if s is None else torch.cat((s, s)) for s in (x.video, x.audio)))


def _halves(x: AVLatent) -> tuple[AVLatent, AVLatent]:
    pairs = [(None, None) if s is None else s.chunk(2) for s in (x.video, x.audio)]
    return AVLatent(pairs[0][0], pairs[1][0]), AVLatent(pairs[0][1], pairs[1][1])
