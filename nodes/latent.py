"""Latent stage."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..pipelines.clock import ASPECT_NAMES, MAX_SIDE
from ..pipelines.host.options import STREAMS


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


def _of_other_models() -> list[io.Input]:
    """How long a step of other models is."""
    return [
        io.Vae.Input(
            "video_vae",
            optional=True,
            tooltip="Only for other models than the built-in one: says how many frames a step of the latent has.",
        ),
        io.Float.Input(
            "fps",
            default=24.0,
            min=1.0,
            max=120.0,
            step=0.01,
            optional=True,
            tooltip="Frames a second; only for other models than the built-in one.",
        ),
    ]


class ImageToVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneImageToVideo",
            display_name="Image to Video",
            category="Kinetophone/latent",
            description=(
                "Puts a picture at the beginning of a video that is to be made, at its end, or both. The rest is made "
                "to fit, and the sound with it."
            ),
            inputs=[
                io.Latent.Input(
                    "latent", tooltip="What is to be made: Empty Picture and Sound, or another model's empty latent."
                ),
                io.Vae.Input("video_vae", tooltip="Encodes the pictures."),
                io.Image.Input(
                    "first",
                    optional=True,
                    tooltip="The first frame: one image, or one for each of the batch. Scaled and cropped to fit.",
                ),
                io.Image.Input(
                    "last", optional=True, tooltip="The picture that the video arrives at. Scaled and cropped to fit."
                ),
            ],
            outputs=[
                io.Latent.Output(
                    "given", display_name="latent", tooltip="What is given, and what is still to be made."
                ),
                io.String.Output("info", display_name="info", tooltip="What is given, and what was changed to fit."),
            ],
        )

    @classmethod
    def execute(
        cls,
        latent: io.Latent.Type,
        video_vae: io.Vae.Type,
        first: io.Image.Type | None = None,
        last: io.Image.Type | None = None,
    ) -> io.NodeOutput:
        from ..pipelines.host.given import with_pictures

        made, info = with_pictures(latent, video_vae, first, last)
        return io.NodeOutput(made, info, ui=ui.PreviewText(info))


class Extend(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneExtend",
            display_name="Extend",
            category="Kinetophone/latent",
            description=(
                "Lets a clip go on: what is there is kept as it is, and what the sampler makes follows from it."
            ),
            inputs=[
                io.Latent.Input("latent", tooltip="The clip: from a sampler, or encoded and joined."),
                io.Float.Input(
                    "seconds", default=2.0, min=0.04, max=120.0, step=0.1, tooltip="How much longer it gets, at least."
                ),
                *_of_other_models(),
            ],
            outputs=[
                io.Latent.Output("extended", display_name="latent", tooltip="The clip, and what is still to be made."),
                io.String.Output("info", display_name="info", tooltip="How much is kept, and how much is made."),
            ],
        )

    @classmethod
    def execute(
        cls, latent: io.Latent.Type, seconds: float, video_vae: io.Vae.Type | None = None, fps: float = 24.0
    ) -> io.NodeOutput:
        from ..pipelines.host.given import extended

        made, info = extended(latent, seconds, video_vae, fps)
        return io.NodeOutput(made, info, ui=ui.PreviewText(info))


class Retake(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneRetake",
            display_name="Retake",
            category="Kinetophone/latent",
            description=(
                "Makes a part of a clip anew, in picture, sound or both. The rest is kept, and the new part fits in."
            ),
            inputs=[
                io.Latent.Input("latent", tooltip="The clip: from a sampler, or encoded and joined."),
                io.Float.Input(
                    "start",
                    default=1.0,
                    min=0.0,
                    max=3600.0,
                    step=0.05,
                    tooltip="Where that part begins, in seconds.",
                ),
                io.Float.Input(
                    "end", default=2.0, min=0.0, max=3600.0, step=0.05, tooltip="Where it ends, in seconds."
                ),
                io.Combo.Input("what", options=list(STREAMS), default=STREAMS[0], tooltip="What is made anew there."),
                *_of_other_models(),
            ],
            outputs=[
                io.Latent.Output("retaken", display_name="latent", tooltip="The clip, and what is made of it anew."),
                io.String.Output("info", display_name="info", tooltip="Which span that is on the grid of the model."),
            ],
        )

    @classmethod
    def execute(
        cls,
        latent: io.Latent.Type,
        start: float,
        end: float,
        what: str,
        video_vae: io.Vae.Type | None = None,
        fps: float = 24.0,
    ) -> io.NodeOutput:
        from ..pipelines.host.given import retaken

        made, info = retaken(latent, start, end, what, video_vae, fps)
        return io.NodeOutput(made, info, ui=ui.PreviewText(info))
