"""Guidance with separate scales as the host's GUIDER, and the wrapper that old hosts need for joint latents."""

from __future__ import annotations

import math
from typing import Any

import comfy.latent_formats
import comfy.patcher_extension
import comfy.samplers
import comfy.utils
import torch
from comfy.k_diffusion.sampling import default_noise_sampler
from torch import Tensor

from ..sampling.guidance import Guidance
from ..types import AVLatent
from .model import UNCOUPLED

WRAPPER_KEY = "kinetophone"
# Set on a MODEL that follows the prompt without guidance.
TURBO_KEY = "kinetophone_turbo"


class KinetophoneGuider(comfy.samplers.CFGGuider):
    """The host's guider with a scale each for picture, sound and their coupling."""

    def __init__(self, patcher: Any, positive: Any, negative: Any, guidance: Guidance) -> None:
        super().__init__(patcher)
        if guidance.needs_negative and patcher.get_attachment(TURBO_KEY):
            raise ValueError(
                "A model with Turbo follows the prompt by itself, and would follow it twice: set picture and sound of "
                "Guidance to 1."
            )
        self.guidance = guidance
        self.shapes: list[Any] = []
        if guidance.needs_uncoupled:
            positive = [[context, {**known, UNCOUPLED: True}] for context, known in positive]
        self.is_own = False
        self.set_conds(positive, negative)

    def inner_sample(self, *args: Any, **kwargs: Any) -> Tensor:
        self.shapes = kwargs.get("latent_shapes") or [args[0].shape]
        scales = self._scales()
        # What other nodes read as the scale; 1 makes the host leave out the negative prompt.
        self.set_cfg(next((scale for scale in scales if scale != 1), 1.0))
        self.is_own = len(set(scales)) > 1 or (len(scales) > 1 and self.guidance.needs_uncoupled)
        return super().inner_sample(*args, **kwargs)

    def predict_noise(
        self, x: Tensor, timestep: Tensor, model_options: dict[str, Any] | None = None, seed: int | None = None
    ) -> Tensor:
        options = model_options or {}
        if not self.is_own:
            # With one scale the host's way is the same, and keeps what other nodes do with it.
            return super().predict_noise(x, timestep, options, seed)
        alone = self._uncoupled(x, timestep, options) if self.guidance.needs_uncoupled else None

        def combine(args: dict[str, Any]) -> Tensor:
            negative = args["uncond_denoised"] if self.guidance.needs_negative else None
            return x - self._combine(args["cond_denoised"], negative, alone)

        return comfy.samplers.sampling_function(
            self.inner_model, x, timestep, self.conds.get("negative"), self.conds.get("positive"), self.cfg,
            model_options={**options, "sampler_cfg_function": combine}, seed=seed,
        )  # fmt: skip

    def _uncoupled(self, x: Tensor, timestep: Tensor, options: dict[str, Any]) -> Tensor:
        """The prediction in which the streams do not see each other."""
        transformer = {
            **options.get("transformer_options", {}), "a2v_cross_attn": False, "v2a_cross_attn": False,
        }  # fmt: skip
        options = {**options, "transformer_options": transformer}
        return comfy.samplers.calc_cond_batch(self.inner_model, [self.conds["positive"]], x, timestep, options)[0]

    def _combine(self, cond: Tensor, uncond: Tensor | None, alone: Tensor | None) -> Tensor:
        parts = [None if value is None else self._split(value) for value in (cond, uncond, alone)]
        made = self.guidance.combine(*parts)
        return comfy.utils.pack_latents(made.streams)[0]

    def _scales(self) -> list[float]:
        """The scale of each stream."""
        if len(self.shapes) > 1:
            return [self.guidance.video, self.guidance.audio]
        return [self.guidance.video if self._is_picture(len(self.shapes[0])) else self.guidance.audio]

    def _is_picture(self, dimensions: int) -> bool:
        kind = self.model_patcher.model.latent_format
        # ACE-Step's sound has the dimensions of a still image, and so has that of some video models.
        still = kind.latent_dimensions == 2 and not isinstance(kind, comfy.latent_formats.ACEAudio)
        return dimensions == 5 or (dimensions == 4 and still)

    def _split(self, packed: Tensor) -> AVLatent:
        return AVLatent(*comfy.utils.unpack_latents(packed, self.shapes))


def joint_sampling(
    executor: Any,
    noise: Tensor,
    latent_image: Tensor,
    sampler: Any,
    sigmas: Tensor,
    denoise_mask: Any = None,
    callback: Any = None,
    disable_pbar: bool = False,
    seed: int | None = None,
    latent_shapes: Any = None,
) -> Tensor:
    """OUTER_SAMPLE wrapper: masks, disabled noise and previews of joint latents, and new noise on the way, on hosts
    that lack them."""
    executor.class_obj.model_patcher.model.latent_shapes = latent_shapes
    if latent_shapes is not None and len(latent_shapes) > 1:
        if noise.shape != latent_image.shape:
            # The host hands over the noise of the first stream alone when noise is disabled.
            noise = torch.zeros_like(latent_image)
        if denoise_mask is not None and not _is_packed(denoise_mask, latent_shapes):
            denoise_mask = _pack_masks(denoise_mask, latent_shapes)
    if seed is not None and _repeats_noise(executor.class_obj.model_patcher.load_device):
        seed = (seed + 1) % 2**64
    return executor(
        noise, latent_image, sampler, sigmas, denoise_mask, callback, disable_pbar, seed, latent_shapes=latent_shapes
    )


def install(patcher: Any) -> None:
    """Add `joint_sampling` to a model."""
    kind = comfy.patcher_extension.WrappersMP.OUTER_SAMPLE
    patcher.add_wrapper_with_key(kind, WRAPPER_KEY, joint_sampling)


def _repeats_noise(device: torch.device) -> bool:
    """Whether the noise that samplers add on the way is that which they start from, as hosts had it on a CPU
    (Comfy-Org/ComfyUI#11528): twice the same adds up, and the second step meets more noise than it is told."""
    added = default_noise_sampler(torch.zeros(1, device=device), seed=0)(None, None)
    return torch.equal(added.cpu(), torch.randn(1, generator=torch.Generator("cpu").manual_seed(0)))


def _is_packed(mask: Any, shapes: Any) -> bool:
    values = sum(math.prod(shape[1:]) for shape in shapes)
    return not mask.is_nested and mask.ndim == 3 and mask.shape[-1] == values


def _pack_masks(mask: Any, shapes: Any) -> Tensor:
    masks = list(mask.unbind()) if mask.is_nested else [mask]
    masks += [torch.ones(shape) for shape in shapes[len(masks) :]]
    fitted = [comfy.utils.reshape_mask(m.float(), shape) for m, shape in zip(masks, shapes, strict=True)]
    return comfy.utils.pack_latents(fitted)[0]
