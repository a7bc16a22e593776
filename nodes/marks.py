"""Marks stage."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..pipelines.marks.options import PLACES


class Watermark(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneWatermark",
            display_name="Watermark",
            category="Kinetophone/marks",
            description=(
                "Puts a visible badge on every frame, a text of yours or your own image. It moves between safe places, "
                "so that no crop takes it away, and is drawn as the video is saved: memory does not grow."
            ),
            inputs=[
                io.Video.Input("video", tooltip="Any video."),
                io.String.Input("text", default="Made with AI", tooltip="What the badge says, 60 letters at most."),
                io.Float.Input(
                    "size",
                    default=0.07,
                    min=0.02,
                    max=0.5,
                    step=0.005,
                    tooltip="Height of the badge, as a share of the picture's shorter side.",
                ),
                io.Float.Input(
                    "opacity", default=0.9, min=0.05, max=1.0, step=0.05, tooltip="1 covers the picture below it."
                ),
                io.Combo.Input(
                    "place",
                    options=list(PLACES),
                    default=PLACES[0],
                    tooltip="moving changes the place every three seconds.",
                ),
                io.Image.Input("image", optional=True, tooltip="Your own badge, instead of the text."),
                io.Mask.Input(
                    "mask", optional=True, tooltip="Where your badge is transparent, as Load Image gives it."
                ),
            ],
            outputs=[io.Video.Output("marked", display_name="video", tooltip="The same video with the badge.")],
        )

    @classmethod
    def execute(
        cls,
        video: io.Video.Type,
        text: str,
        size: float,
        opacity: float,
        place: str,
        image: io.Image.Type | None = None,
        mask: io.Mask.Type | None = None,
    ) -> io.NodeOutput:
        from ..pipelines.host.marks import watermarked

        return io.NodeOutput(watermarked(video, text, size, opacity, place, image, mask))


class Verify(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneVerify",
            display_name="Verify",
            category="Kinetophone/marks",
            description=(
                "Reads a file's signed provenance (C2PA): who signed it, whether anything was changed since, how it "
                "was made and of what. Says plainly what is not known. Needs the packages c2pa-python and cryptography."
            ),
            is_output_node=True,
            inputs=[io.Video.Input("video", tooltip="A file, straight from Load Video or Save Video.")],
            outputs=[
                io.String.Output("report", display_name="report", tooltip="The verdict in words."),
                io.String.Output(
                    "state", display_name="state", tooltip="Trusted, Valid, Invalid, or none where nothing is signed."
                ),
            ],
        )

    @classmethod
    def execute(cls, video: io.Video.Type) -> io.NodeOutput:
        from ..pipelines.host.marks import verified

        verdict = verified(video)
        return io.NodeOutput(verdict.text, verdict.state or "none", ui=ui.PreviewText(verdict.text))
