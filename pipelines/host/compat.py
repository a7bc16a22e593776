"""What differs between host versions, found by looking, never by parsing a version."""

from __future__ import annotations

import inspect
from typing import Any

import comfy.model_patcher
import comfy.sd
import torch


def patcher_class() -> Any:
    """The model patcher that this host uses for its own models."""
    return getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)


def is_dynamic(patcher: Any) -> bool:
    """Whether the patcher faults weights in as they are needed."""
    return bool(getattr(patcher, "is_dynamic", lambda: False)())


def load_weights(model: Any, patcher: Any, state: dict[str, torch.Tensor]) -> None:
    """Load weights into a model of the host, which newer hosts may assign instead of copy."""
    accepted = inspect.signature(model.load_model_weights).parameters
    options = {"assign": is_dynamic(patcher)} if "assign" in accepted else {}
    model.load_model_weights(state, "", **options)


def core_audio_rate() -> int:
    """Sample rate that the host's own audio nodes assume for every audio VAE; 0 where they ask the VAE."""
    vae = comfy.sd.VAE(sd={"pixel_space_vae": torch.tensor(1.0)})
    return 0 if hasattr(vae, "audio_sample_rate") else 44100
