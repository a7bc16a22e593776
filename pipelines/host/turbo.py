"""The turbo adapter of a MODEL of ours, through the host's own LoRA loading."""

from __future__ import annotations

from typing import Any

import comfy.sd

from ..weights.adapter import read_adapter
from .guider import TURBO_KEY
from .loader import CARD_KEY, About


def with_turbo(model: Any, strength: float) -> Any:
    """A copy of `model` with its card's adapter. Raises ValueError for a model that has none."""
    about: About | None = model.get_attachment(CARD_KEY)
    if about is None or about.turbo is None:
        raise ValueError(
            "This model has no turbo adapter: one is there for the built-in model alone. Leave the node out, or load a "
            "distilled LoRA made for your model with ComfyUI's LoRA loader."
        )
    if model.get_attachment(TURBO_KEY):
        raise ValueError("This model has its turbo adapter already: leave out one of the two Turbo nodes.")
    patched, _ = comfy.sd.load_lora_for_models(model, None, read_adapter(about.turbo).tensors, strength, 0.0)
    patched.set_attachments(TURBO_KEY, True)
    return patched
