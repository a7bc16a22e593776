"""Sync stage."""

from __future__ import annotations

from comfy_api.latest import io, ui


class MeasureSync(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneMeasureSync",
            display_name="Measure Sync",
            category="Kinetophone/sync",
            description=(
                "Measures how far the sound of a video is from its picture, from instants that can be seen and heard: "
                "impacts, flashes, cuts. Says so when there is nothing to measure. Works on any video."
            ),
            is_output_node=True,
            inputs=[io.Video.Input("video", tooltip="Any video with sound.")],
            outputs=[
                io.Float.Output(
                    "offset",
                    display_name="offset",
                    tooltip="Seconds that the sound is late; below 0, early. For Align Sync.",
                ),
                io.Float.Output(
                    "confidence", display_name="confidence", tooltip="From 0, nothing could be measured, to 1."
                ),
                io.String.Output("report", display_name="report", tooltip="The result in words."),
                io.Image.Output("plot", display_name="plot", tooltip="What was seen and heard, and the offsets tried."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, video: io.Video.Type) -> io.NodeOutput:
        from ..pipelines.host.sync import measured

        offset, confidence, report, plot = measured(video, cls.hidden.unique_id)
        return io.NodeOutput(offset, confidence, report, plot, ui=ui.PreviewText(report))


class AlignSync(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneAlignSync",
            display_name="Align Sync",
            category="Kinetophone/sync",
            description=(
                "Moves the sound of a video to its picture, to the sample, and stretches it with its pitch kept. Rate "
                "and channels stay as they are, the picture is not touched, and nothing is computed before the video "
                "is saved or shown."
            ),
            inputs=[
                io.Video.Input("video", tooltip="Any video with sound."),
                io.Float.Input(
                    "offset",
                    default=0.0,
                    min=-600.0,
                    max=600.0,
                    step=0.001,
                    tooltip="Seconds that the sound is late, as Measure Sync says: it is moved that much earlier.",
                ),
                io.Float.Input(
                    "stretch",
                    default=1.0,
                    min=0.5,
                    max=2.0,
                    step=0.001,
                    tooltip="Makes the sound that many times as long before it is moved; its pitch stays.",
                ),
            ],
            outputs=[io.Video.Output("aligned", display_name="video", tooltip="The same picture, its sound in place.")],
        )

    @classmethod
    def execute(cls, video: io.Video.Type, offset: float, stretch: float) -> io.NodeOutput:
        from ..pipelines.host.sync import aligned_video

        return io.NodeOutput(aligned_video(video, offset, stretch))
