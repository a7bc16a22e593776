"""The pack's nodes, one file a stage, in the order of the flow.

What does the work is imported when a node first runs: the host's start must not wait for it (benchmarks/startup).
"""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from ..pipelines.host.paths import register_folders
from ..pipelines.host.register import register
from .codec import Decode, DecodeAudio, EncodeAudio, EncodeVideo
from .latent import ConcatAV, EmptyLatent, Extend, ImageToVideo, Retake, SeparateAV
from .load import Loader
from .marks import DetectWatermark, InvisibleWatermark, PolicyNode, Verify, Watermark
from .sample import GuidanceNode, Preflight, Sampler, Schedule, Turbo
from .save import Save
from .screenplay import LanguageServer, Recaption, ScreenplayEdit, Storyboard
from .sound import MixSound, Speak
from .sync import AlignSync, MeasureSync
from .text import TextEncode

NODES: list[type[io.ComfyNode]] = [
    Loader, Recaption, LanguageServer, Storyboard, ScreenplayEdit, Speak, TextEncode, EmptyLatent,
    ImageToVideo, Extend, Retake, ConcatAV, SeparateAV, Schedule, Turbo, GuidanceNode, Preflight, Sampler, Decode,
    EncodeVideo, EncodeAudio, DecodeAudio, MixSound, MeasureSync, AlignSync, PolicyNode, Watermark,
    InvisibleWatermark, Save, Verify, DetectWatermark,
]  # fmt: skip

# The oldest host never calls on_load, so this happens at import.
register_folders()
register()


class KinetophoneExtension(ComfyExtension):
    """What the host asks for the nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return NODES
