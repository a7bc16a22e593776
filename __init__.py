"""Kinetophone: joint picture-and-sound generation for ComfyUI, with a small model of its own inside."""

from __future__ import annotations

WEB_DIRECTORY = "./web"


async def comfy_entrypoint():
    """Return the extension that lists the pack's nodes (ComfyUI's V3 entry point)."""
    from .nodes import KinetophoneExtension

    return KinetophoneExtension()
