"""Save stage."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..pipelines.marks.options import LANGUAGES, SIGNING
from ..pipelines.media.formats import DEFAULT_FORMAT, DEFAULT_QUALITY, find_format, formats


class Save(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneSave",
            display_name="Save Video with Provenance",
            category="Kinetophone/save",
            description=(
                "Writes a video frame by frame, with its sound, its colours tagged and the workflow inside: drop the "
                "file into the editor to get the workflow back."
            ),
            is_output_node=True,
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.Video.Input("video", tooltip="Any video, from this pack or another."),
                io.String.Input(
                    "filename_prefix",
                    default="kinetophone/video",
                    tooltip="Name below the output folder; a number follows.",
                ),
                io.Combo.Input(
                    "format", options=list(formats()), default=DEFAULT_FORMAT, tooltip="mp4-h264 plays everywhere."
                ),
                io.Combo.Input(
                    "quality",
                    options=list(find_format(DEFAULT_FORMAT).quality),
                    default=DEFAULT_QUALITY,
                    tooltip="high is larger, small is smaller and slower.",
                ),
                io.Combo.Input(
                    "disclosure",
                    display_name="disclosure language",
                    options=list(LANGUAGES),
                    default=LANGUAGES[0],
                    optional=True,
                    tooltip="The language in which the file says that it was made by a model, in its comment.",
                ),
                io.Combo.Input(
                    "sign",
                    options=list(SIGNING),
                    default=SIGNING[0],
                    optional=True,
                    tooltip="Signed provenance (C2PA) in mp4 files: how it was made, of what, and that nothing was "
                    "changed since. Needs the packages c2pa-python and cryptography; always stops without them.",
                ),
            ],
            outputs=[
                io.Video.Output("saved", display_name="video", tooltip="The same video, to use further."),
                io.String.Output("path", display_name="path", tooltip="Where the file is."),
                io.String.Output(
                    "told",
                    display_name="disclosure",
                    tooltip="The sentence that says that a model made it, for the caption of a post; empty for none.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        video: io.Video.Type,
        filename_prefix: str,
        format: str,
        quality: str,
        disclosure: str = LANGUAGES[0],
        sign: str = SIGNING[0],
    ) -> io.NodeOutput:
        from ..pipelines.host.save import saved
        from ..pipelines.marks.disclosure import sentence

        hidden = cls.hidden
        workflow = {**(hidden.extra_pnginfo or {}), "prompt": hidden.prompt} if hidden.prompt else {}
        marks = (disclosure, sign)
        file, at, told = saved(video, filename_prefix, (format, quality), marks, workflow, hidden.unique_id)
        shown = ui.PreviewVideo([ui.SavedResult(at.filename, at.subfolder, io.FolderType.output)]).as_dict()
        return io.NodeOutput(file, str(at.path), sentence(disclosure), ui={**shown, "text": (told,)})
