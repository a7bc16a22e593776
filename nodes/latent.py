"""Latent stage."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..pipelines.clock import ASPECT_NAMES, MAX_SIDE


class EmptyLatent(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneEmptyLatent",
            display_name="Empty Picture and Sound",
            category="Kinetophone/latent",
            description=(
                "The blank that sampling with the built-in model starts from: picture and sound of the same length. "
                "The model works on a grid; the node shows what you asked for, what the grid gives, and why. For other "
                "models use their own empty latent node."
            ),
            inputs=[
                io.Combo.Input(
                    "aspect", options=list(ASPECT_NAMES), default="landscape", tooltip="Shape of the picture."
                ),
                io.Int.Input(
                    "width",
                    default=448,
                    min=64,
                    max=MAX_SIDE,
                    step=64,
                    tooltip="In pixels; used when aspect is custom.",
                ),
                io.Int.Input(
                    "height",
                    default=256,
                    min=64,
                    max=MAX_SIDE,
                    step=64,
                    tooltip="In pixels; used when aspect is custom.",
                ),
                io.Float.Input(
                    "seconds", default=4.0, min=0.04, max=120.0, step=0.1, tooltip="Length of picture and sound."
                ),
                io.Int.Input("batch", default=1, min=1, max=64, tooltip="How many different videos to make at once."),
            ],
            outputs=[
                io.Latent.Output("latent", display_name="latent", tooltip="Empty picture and sound."),
                io.String.Output("info", display_name="info", tooltip="What was asked, what the grid gives, and why."),
            ],
        )

    @classmethod
    def execute(cls, aspect: str, width: int, height: int, seconds: float, batch: int) -> io.NodeOutput:
        from ..pipelines.host.latents import empty, requested_size

        latent, info = empty(*requested_size(aspect, width, height), seconds, batch)
        return io.NodeOutput(latent, info, ui=ui.PreviewText(info))


class ConcatAV(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneConcatAV",
            display_name="Join Picture and Sound",
            category="Kinetophone/latent",
            description="Joins a picture latent and a sound latent, with their masks, for a joint model.",
            inputs=[
                io.Latent.Input("video", tooltip="Picture, or a joint latent whose picture is taken."),
                io.Latent.Input("audio", tooltip="Sound, or a joint latent whose sound is taken."),
            ],
            outputs=[io.Latent.Output("latent", display_name="latent", tooltip="Picture and sound together.")],
        )

    @classmethod
    def execute(cls, video: io.Latent.Type, audio: io.Latent.Type) -> io.NodeOutput:
        from ..pipelines.host.latents import concatenate

        return io.NodeOutput(concatenate(video, audio))


class SeparateAV(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneSeparateAV",
            display_name="Separate Picture and Sound",
            category="Kinetophone/latent",
            description="Takes a joint latent apart, so that picture or sound can be decoded, kept or replaced alone.",
            inputs=[
                io.Latent.Input("latent", tooltip="Picture and sound together."),
                io.Latent.Input(
                    "like",
                    optional=True,
                    tooltip="Only for packed latents, which old versions of ComfyUI return as denoised output: the "
                    "latent that was sampled, for its shapes.",
                ),
            ],
            outputs=[
                io.Latent.Output("video", display_name="video", tooltip="The picture alone."),
                io.Latent.Output("audio", display_name="audio", tooltip="The sound alone."),
            ],
        )

    @classmethod
    def execute(cls, latent: io.Latent.Type, like: io.Latent.Type | None = None) -> io.NodeOutput:
        from ..pipelines.host.latents import separate

        return io.NodeOutput(*separate(latent, like))
