"""Make the host's own loaders recognise files that its save nodes wrote of our model."""

from __future__ import annotations

from typing import Any

import comfy.model_detection

# Two tensor names that no other model of the host has together.
SIGNATURE = ("table_out", "modality")
MARK = "kinetophone"


def register() -> None:
    """Extend the host's detection; safe to call again. Nothing of ours is imported before such a file is seen."""
    original = comfy.model_detection.detect_unet_config
    if getattr(original, MARK, False):
        return

    def detect_unet_config(state_dict: Any, key_prefix: str, *args: Any, **kwargs: Any) -> Any:
        if all(key_prefix + name in state_dict for name in SIGNATURE):
            from .model import detect

            return detect(state_dict, key_prefix)
        return original(state_dict, key_prefix, *args, **kwargs)

    setattr(detect_unet_config, MARK, True)
    comfy.model_detection.detect_unet_config = detect_unet_config
