"""From a checkpoint to the host's MODEL, CLIP and two VAEs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.ops
import comfy.sd
import torch
from torch import Tensor

from ..model.ops import TORCH, best_cpu_dtype
from ..vae.video import VideoAutoencoder
from ..weights.card import card_names, read_card
from ..weights.checkpoint import Checkpoint, read_checkpoint
from ..weights.load import build_audio, build_video
from .clip import make_clip
from .compat import load_weights, patcher_class
from .guider import install
from .model import KinetophoneModel, model_config
from .ops import host_ops
from .vae import KinetophoneAudioVAE, KinetophoneVideoVAE

PRECISIONS = {"auto": None, "bf16": torch.bfloat16, "fp32": torch.float32}


# Where a MODEL of ours keeps what is known about it.
CARD_KEY = "kinetophone_card"


@dataclass(frozen=True)
class About:
    """What is known of a model: the trained range of its lengths, and its turbo adapter, where its card tells them."""

    licence: str
    seconds: tuple[float, float] | None = None
    turbo: Path | None = None


@dataclass(frozen=True)
class Loaded:
    """The host's objects of one checkpoint."""

    model: Any
    clip: comfy.sd.CLIP
    video_vae: KinetophoneVideoVAE
    audio_vae: KinetophoneAudioVAE


def load(path: Path, precision: str = "auto") -> Loaded:
    """Load everything. Raises ValueError for a bad file or an unknown precision."""
    if precision not in PRECISIONS:
        raise ValueError(f"The precision must be one of {', '.join(PRECISIONS)}; got {precision!r}.")
    checkpoint = read_checkpoint(path)
    layers = host_ops(comfy.ops.disable_weight_init, TORCH.attention)
    video = build_video(checkpoint, layers)
    model = make_model(checkpoint, PRECISIONS[precision])
    model.model.latent_format.preview = _preview(video)
    card = next((card for card in map(read_card, card_names()) if card.path == path), None)
    known = (card.seconds, card.turbo_path) if card else ()
    model.set_attachments(CARD_KEY, About(checkpoint.licence, *known))
    model.cached_patcher_init = (_reload, (str(path), precision))
    return Loaded(
        model,
        make_clip(checkpoint),
        KinetophoneVideoVAE(video, checkpoint.digest),
        KinetophoneAudioVAE(build_audio(checkpoint, layers)),
    )


def make_model(checkpoint: Checkpoint, dtype: torch.dtype | None = None) -> Any:
    """The host's MODEL of a checkpoint, its weights kept in `dtype` or what suits the device best."""
    management = comfy.model_management
    config = model_config(checkpoint.config)
    device, offload = management.get_torch_device(), management.unet_offload_device()
    state = checkpoint.part("dit")
    if dtype is None:
        dtype = _best_dtype(device, sum(value.numel() for value in state.values()), config)
    config.set_inference_dtype(dtype, _computing_dtype(dtype, device, config))
    model: KinetophoneModel = config.get_model(state, "", device=None)
    model.to(offload)
    patcher = patcher_class()(model, load_device=device, offload_device=offload)
    load_weights(model, patcher, {key: value.to(dtype) for key, value in state.items()})
    install(patcher)
    return patcher


def _best_dtype(device: torch.device, parameters: int, config: Any) -> torch.dtype:
    # The host takes float32 on every CPU; ours multiplies bfloat16 faster where the processor has units for it.
    if comfy.model_management.is_device_cpu(device):
        return best_cpu_dtype()
    return comfy.model_management.unet_dtype(
        model_params=parameters, supported_dtypes=config.supported_inference_dtypes, weight_dtype=torch.float16
    )


def _computing_dtype(dtype: torch.dtype, device: torch.device, config: Any) -> torch.dtype | None:
    """What weights of `dtype` are cast to where the device does not compute in that; None where it does."""
    supported = config.supported_inference_dtypes
    # The host takes no CPU for one that computes in bfloat16.
    if comfy.model_management.is_device_cpu(device) and dtype in supported:
        return None
    return comfy.model_management.unet_manual_cast(dtype, device, supported)


def _reload(path: str, precision: str, disable_dynamic: bool = False, **unused: Any) -> Any:
    """The host's way to make the same model again."""
    return make_model(read_checkpoint(Path(path)), PRECISIONS[precision])


def _preview(video: VideoAutoencoder) -> Callable[[Tensor], Tensor]:
    """A small frame of the newest step of a latent, from the codec alone."""

    def preview(latent: Tensor) -> Tensor:
        where = next(video.parameters()).device
        base = video.decode_base(latent.float().to(where).expand(-1, -1, 2, -1, -1))
        return base[:, :, -1:].to(latent.device)

    return preview
