"""Our transformer as the host's MODEL: latent format, model classes, configuration and detection."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import comfy.conds
import comfy.latent_formats
import comfy.model_base
import comfy.patcher_extension
import comfy.supported_models
import comfy.supported_models_base
import comfy.utils
import torch
from torch import Tensor

from ..model.config import Config, DiTConfig, TextConfig
from ..model.dit import AVTransformer, Coupling
from ..types import TextContext
from .ops import HostAttention, host_ops

IMAGE_MODEL = "kinetophone"
MULTIPLIER = 1000
# Where a conditioning keeps the spans of its text tokens, in seconds.
SPANS = "kinetophone_spans"
# Marks a conditioning that is also evaluated without coupling.
UNCOUPLED = "kinetophone_uncoupled"
# Text tokens to reckon with: a long prompt has about as many.
TEXT_TOKENS = 128
FOREVER = 10**9
HEAD_WIDTHS = {64: 32}
DEFAULT_HEAD_WIDTH = 128


class _Channels(int):
    """Channels of the picture, equal to those of the sound too.

    The host repeats an empty latent of another number until it fits, and an empty sound alone is no picture.
    """

    def __new__(cls, picture: int, sound: int) -> _Channels:
        channels = super().__new__(cls, picture)
        channels.sound = sound
        return channels

    def __eq__(self, other: object) -> bool:
        return int(self) == other or self.sound == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = int.__hash__


class KinetophoneLatentFormat(comfy.latent_formats.LatentFormat):
    """Latents as they are; previews through the linear codec, one real small frame instead of one dot a cell."""

    latent_dimensions = 3
    spacial_downscale_ratio = 32
    temporal_downscale_ratio = 8
    latent_rgb_factors = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]

    def __init__(self) -> None:
        self.model: KinetophoneModel | None = None
        self.preview: Callable[[Tensor], Tensor] = lambda latent: latent[:, :3]

    def latent_rgb_factors_reshape(self, x0: Tensor) -> Tensor:
        """The middle of the picture stream as one frame `[1, 3, 1, h, w]` in -1..1."""
        shapes = self.model.latent_shapes if self.model is not None else None
        if x0.ndim == 3 and shapes is not None and len(shapes) > 1:
            x0 = comfy.utils.unpack_latents(x0, shapes)[0]
        if x0.ndim != 5:
            return x0.new_zeros(1, 3, 1, 1, 1)
        middle = x0.shape[2] // 2
        return self.preview(x0[:1, :, middle : middle + 1])


class HostTransformer(AVTransformer):
    """The transformer with the host's calling convention: a picture, a sound, or both as a list, and time 0..1000."""

    def __init__(
        self,
        image_model: str | None = None,
        dtype: torch.dtype | None = None,
        device: Any = None,
        operations: Any = None,
        dit: dict[str, Any] | None = None,
        text_width: int = TextConfig.width,
        **unused: Any,
    ) -> None:
        attend = HostAttention()
        config = Config.from_dict({"name": "host", "dit": dit or {}})
        super().__init__(config.dit, config.grid, text_width, host_ops(operations, attend), dtype=dtype, device=device)
        self.dtype = dtype
        self.attend = attend

    def forward(
        self,
        x: Tensor | list[Tensor],
        timestep: Tensor,
        context: Tensor | None = None,
        transformer_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Tensor | list[Tensor]:
        """Velocities in the form of `x`, through whatever other packs wrapped around diffusion models."""
        options = transformer_options or {}
        wrappers = comfy.patcher_extension.get_all_wrappers(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, options)
        executor = comfy.patcher_extension.WrapperExecutor.new_class_executor(self._forward, self, wrappers)
        return executor.execute(x, timestep, context, options, **kwargs)

    def _forward(
        self, x: Tensor | list[Tensor], timestep: Tensor, context: Tensor, options: dict[str, Any], **kwargs: Any
    ) -> Tensor | list[Tensor]:
        streams = x if isinstance(x, list) else [x]
        video = next((s for s in streams if s.ndim == 5), None)
        audio = next((s for s in streams if s.ndim == 3), None)
        sigma = timestep.float() / MULTIPLIER
        named = kwargs.get("masks") or {}
        masks = [_fitted(named.get(name), stream) for name, stream in (("video", video), ("audio", audio))]
        levels = [_levels(sigma, stream, mask) for stream, mask in zip((video, audio), masks, strict=True)]
        # Padding of the text is exactly zero, so that nodes which join or blank conditionings need no mask of ours.
        tokens = TextContext(context, context.ne(0).any(-1), _spans(kwargs.get("spans"), context))
        self.attend.options = options
        try:
            made = super().forward(video, audio, *levels, tokens, _coupling(options), _wrapper(options))
        finally:
            self.attend.options = {}
        # The velocity is that of each cell's own noise level, and the host multiplies it by that of the step.
        scaled = [v if mask is None else v * mask[:, None].to(v) for v, mask in zip(made, masks, strict=True)]
        outputs = [stream for stream in scaled if stream is not None]
        return outputs if isinstance(x, list) else outputs[0]


class KinetophoneModel(comfy.model_base.BaseModel):
    """The host's model object: rectified flow, joint latents, kept regions at noise level 0."""

    def __init__(self, model_config: Any, device: Any = None) -> None:
        super().__init__(model_config, comfy.model_base.ModelType.FLOW, device=device, unet_model=HostTransformer)
        self.latent_shapes: list[Any] | None = None
        self.latent_format.model = self
        dit: DiTConfig = self.diffusion_model.config
        self.latent_format.latent_channels = _Channels(dit.video_channels, dit.audio_channels)

    def extra_conds(self, **kwargs: Any) -> dict[str, Any]:
        """What goes to the transformer with each conditioning: text, stream shapes, masks."""
        out: dict[str, Any] = {}
        if (context := kwargs.get("cross_attn")) is not None:
            # Joint attention sees every token: the host's repetition to a common length would change the result.
            out["c_crossattn"] = comfy.conds.CONDRegular(context)
        if (spans := kwargs.get(SPANS)) is not None:
            # Whole milliseconds: the host rounds every other number to the type that it computes in.
            out["spans"] = comfy.conds.CONDRegular(spans.mul(1000).clamp(-FOREVER, FOREVER).round().int())
        shapes = kwargs.get("latent_shapes") or [kwargs["noise"].shape]
        if len(shapes) > 1:
            out["latent_shapes"] = comfy.conds.CONDConstant(shapes)
        if (mask := kwargs.get("denoise_mask")) is not None and bool((mask < 1).any()):
            out["masks"] = comfy.conds.CONDConstant(_SameMasks(_stream_masks(mask, shapes)))
        return out

    def scale_latent_inpaint(self, latent_image: Tensor, **kwargs: Any) -> Tensor:
        """Kept regions stay clean: their tokens run at noise level 0."""
        return latent_image

    def extra_conds_shapes(self, **kwargs: Any) -> dict[str, list[int]]:
        """What else than the latents needs memory, for `memory_required` before sampling."""
        timed = {} if (spans := kwargs.get(SPANS)) is None else {"spans": list(spans.shape)}
        return timed | ({UNCOUPLED: [1]} if UNCOUPLED in kwargs else {})

    def memory_required(self, input_shape: Any, cond_shapes: dict[str, Any] | None = None) -> float:
        """Bytes of activations, from the number of tokens; packed latents hide it from the host's own formula.

        Timed text adds offsets to the scores of every query and key, for each of the batch; cut coupling once.
        """
        dit: DiTConfig = self.diffusion_model.config
        known = cond_shapes or {}
        spans = known.get("spans") or []
        batch, length = input_shape[0], self._length(input_shape)
        keys = length + max([TEXT_TOKENS, *(shape[1] for shape in spans)])
        offsets = (batch if spans else 0) + (1 if known.get(UNCOUPLED) else 0)
        return 4 * (batch * (length + TEXT_TOKENS) * (12 * dit.width + 4 * dit.hidden) + offsets * length * keys)

    def _length(self, shape: Any) -> float:
        """Tokens of one picture `[B, C, T, H, W]`, one sound `[B, C, T']`, or both packed `[B, 1, N]`."""
        dit: DiTConfig = self.diffusion_model.config
        packed = len(shape) == 3 and shape[1] == 1
        streams = self.latent_shapes if packed and self.latent_shapes else [shape]
        return sum(
            stream[2]
            if len(stream) == 3 and stream[1] > 1
            else math.prod(stream[1:]) / (dit.video_channels * dit.patch**2)
            for stream in streams
        )


class _SameMasks(dict):
    """Masks by stream; conditionings of one run share them and may be batched."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _SameMasks)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None


class KinetophoneConfig(comfy.supported_models_base.BASE):
    """What the host asks about the model."""

    unet_config = {"image_model": IMAGE_MODEL}
    unet_extra_config: dict[str, Any] = {}
    sampling_settings = {"shift": 1.5, "multiplier": MULTIPLIER}
    latent_format = KinetophoneLatentFormat
    memory_usage_factor = 1.0
    supported_inference_dtypes = [torch.bfloat16, torch.float32]

    @classmethod
    def matches(cls, unet_config: dict[str, Any], *args: Any, **kwargs: Any) -> bool:
        return unet_config.get("image_model") == IMAGE_MODEL

    def get_model(self, state_dict: dict[str, Tensor], prefix: str = "", device: Any = None) -> KinetophoneModel:
        return KinetophoneModel(self, device=device)

    def inpaint_model(self) -> bool:
        return False

    def clip_target(self, state_dict: dict[str, Tensor] | None = None) -> None:
        return None


def model_config(config: Config) -> KinetophoneConfig:
    """The host's configuration object of a member of the family."""
    return KinetophoneConfig(_unet_config(config.to_dict()["dit"], config.text.width))


def detect(state: dict[str, Tensor], prefix: str) -> dict[str, Any]:
    """Sizes of a transformer from its tensors, and the configuration class made known to the host."""
    if KinetophoneConfig not in comfy.supported_models.models:
        comfy.supported_models.models.append(KinetophoneConfig)
    width = state[prefix + "modality"].shape[1]
    layers = {key[len(prefix) :].split(".")[1] for key in state if key.startswith(prefix + "layers.")}
    hidden = state[prefix + "layers.0.feed.down.weight"].shape[1]
    # The refiner works on cells, everything before it on tokens.
    refiner = state.get(prefix + "refiner.out.weight")
    token = len(state[prefix + "video_out.bias"])
    channels = token // DiTConfig.patch**2 if refiner is None else len(refiner)
    dit = {
        "width": width,
        "depth": len(layers),
        "heads": width // HEAD_WIDTHS.get(width, DEFAULT_HEAD_WIDTH),
        "hidden": hidden,
        "video_channels": channels,
        "audio_channels": state[prefix + "audio_out.weight"].shape[0],
        "bottleneck": state[prefix + "audio_in.down.weight"].shape[0],
        "patch": math.isqrt(token // channels),
        "refine": 0 if refiner is None else refiner.shape[1],
    }
    return _unet_config(dit, len(state[prefix + "text_null"]))


def _unet_config(dit: dict[str, Any], text_width: int) -> dict[str, Any]:
    return {"image_model": IMAGE_MODEL, "dit": dit, "text_width": text_width}


def _spans(milliseconds: Tensor | None, context: Tensor) -> Tensor | None:
    """Spans of all tokens in seconds; tokens that another node appended hold all the time."""
    if milliseconds is None:
        return None
    always = milliseconds.new_tensor([-FOREVER, FOREVER, 0, 0])
    added = always.expand(len(context), context.shape[1] - milliseconds.shape[1], 4)
    return torch.cat((milliseconds, added), dim=1).float() / 1000


def _fitted(mask: Tensor | None, stream: Tensor | None) -> Tensor | None:
    """The mask of a stream for its whole batch."""
    return None if stream is None or mask is None else comfy.utils.repeat_to_batch_size(mask, len(stream))


def _levels(sigma: Tensor, stream: Tensor | None, mask: Tensor | None) -> Tensor | None:
    if stream is None or mask is None:
        return None if stream is None else sigma.expand(len(stream))
    return sigma.reshape(-1, *[1] * (mask.ndim - 1)) * mask.to(sigma)


def _stream_masks(mask: Tensor, shapes: list[Any]) -> dict[str, Tensor]:
    """Per stream, the mask without channels: `[B, T, H, W]` and `[B, T']`."""
    masks = comfy.utils.unpack_latents(mask, shapes) if len(shapes) > 1 else [mask]
    return {"video" if part.ndim == 5 else "audio": part.amax(1) for part in masks}


def _coupling(options: dict[str, Any]) -> Coupling:
    return Coupling(bool(options.get("a2v_cross_attn", True)), bool(options.get("v2a_cross_attn", True)))


def _wrapper(options: dict[str, Any]) -> Callable[..., Tensor] | None:
    """Blocks that other packs replace, in the host's form for double blocks."""
    replaced = options.get("patches_replace", {}).get("dit", {})
    if not replaced:
        return None

    def wrap(index: int, block: Callable[..., Tensor], x: Tensor, sequence: Any) -> Tensor:
        patch = replaced.get(("double_block", index))
        if patch is None:
            return block(x, sequence)

        def original(arguments: dict[str, Any]) -> dict[str, Any]:
            return {"img": block(arguments["img"], sequence)}

        arguments = {"img": x, "txt": sequence.text, "transformer_options": options}
        return patch(arguments, {"original_block": original})["img"]

    return wrap
