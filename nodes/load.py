"""Load stage."""

from __future__ import annotations

from comfy_api.latest import io

from ..pipelines.host.paths import checkpoint_path, checkpoints


class Loader(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneLoader",
            display_name="Load Kinetophone",
            category="Kinetophone/load",
            description="Loads a joint picture-and-sound model. The built-in one ships with this pack: no download.",
            inputs=[
                io.Combo.Input(
                    "card",
                    options=checkpoints(),
                    tooltip="The model: mini is built in; others are files in models/kinetophone.",
                ),
                io.Combo.Input(
                    "precision",
                    options=["auto", "bf16", "fp32"],
                    default="auto",
                    tooltip="Number format of the transformer. auto takes the fastest that this machine computes well.",
                ),
            ],
            outputs=[
                io.Model.Output("model", display_name="model", tooltip="Denoises picture and sound together."),
                io.Clip.Output("clip", display_name="clip", tooltip="Text encoder."),
                io.Vae.Output("video_vae", display_name="video VAE", tooltip="Encodes and decodes the picture."),
                io.Vae.Output("audio_vae", display_name="audio VAE", tooltip="Encodes and decodes the sound."),
            ],
        )

    @classmethod
    def execute(cls, card: str, precision: str) -> io.NodeOutput:
        from ..pipelines.host.loader import load

        loaded = load(checkpoint_path(card), precision)
        return io.NodeOutput(loaded.model, loaded.clip, loaded.video_vae, loaded.audio_vae)
