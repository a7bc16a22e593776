"""Marks stage."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..pipelines.marks.options import BADGE, BADGE_SIZE, INVISIBLE, KEYS, PLACES
from .screenplay import Screenplay


class PolicyNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophonePolicy",
            display_name="Policy",
            category="Kinetophone/marks",
            description=(
                "Checks a prompt and a screenplay before anything is sampled, and a video as it is saved: categories, "
                "the rights of others, consent of persons, from a file that you can read and change. Refuses, warns or "
                "lets pass, says which rule decided, and never changes a frame."
            ),
            is_output_node=True,
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
            inputs=[
                io.String.Input(
                    "prompt", default="", multiline=True, optional=True, tooltip="Checked here, and given on."
                ),
                Screenplay.Input("screenplay", optional=True, tooltip="Every caption, sound and line is checked."),
                io.Video.Input(
                    "video", optional=True, tooltip="Frames and sound are checked as the video is saved or shown."
                ),
                io.String.Input(
                    "override",
                    default="",
                    optional=True,
                    tooltip="Why something may be made although the policy refuses it. Where it was refused, this is "
                    "kept in the file's signed provenance. Empty: what is refused stops.",
                ),
            ],
            outputs=[
                io.String.Output("checked_prompt", display_name="prompt", tooltip="The same prompt."),
                Screenplay.Output("checked_screenplay", display_name="screenplay", tooltip="The same screenplay."),
                io.Video.Output("checked_video", display_name="video", tooltip="The same video, with its policy."),
                io.String.Output("outcome", display_name="outcome", tooltip="allow, warn or refuse."),
                io.String.Output("report", display_name="report", tooltip="Which rules applied to what."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, **inputs: object) -> str:
        from ..pipelines.host.policy import state

        return state()

    @classmethod
    def execute(
        cls,
        prompt: str = "",
        screenplay: Screenplay.Type | None = None,
        video: io.Video.Type | None = None,
        override: str = "",
    ) -> io.NodeOutput:
        from ..pipelines.host.policy import judged

        hidden = cls.hidden
        found = judged(prompt, screenplay, video, override, hidden.prompt, hidden.unique_id)
        shown = ui.PreviewText(found.report)
        return io.NodeOutput(prompt, screenplay, found.video, found.outcome, found.report, ui=shown)


class Watermark(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneWatermark",
            display_name="Watermark",
            category="Kinetophone/marks",
            description=(
                "Puts a visible badge on every frame, a text of yours or your own image. It moves, so that a crop to "
                "another screen still has it in some frames, and is drawn as the video is saved: memory does not grow."
            ),
            inputs=[
                io.Video.Input("video", tooltip="Any video."),
                io.String.Input("text", default=BADGE, tooltip="What the badge says, 60 letters at most."),
                io.Float.Input(
                    "size",
                    default=BADGE_SIZE,
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
                    tooltip="moving changes the place every two seconds.",
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


class InvisibleWatermark(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneInvisibleWatermark",
            display_name="Invisible Watermark",
            category="Kinetophone/marks",
            description=(
                "Hides a mark in the picture and in the sound that survives compression, scaling, cropping and "
                "cutting, and that Detect Watermark finds again. Drawn frame by frame as the video is saved: it adds "
                "no memory."
            ),
            inputs=[
                io.Video.Input("video", tooltip="Any video."),
                io.String.Input(
                    "says",
                    default="",
                    tooltip="Twelve hexadecimal digits, or any text, of which a fingerprint of twelve digits is "
                    "hidden. Empty: drawn from the workflow.",
                ),
                io.Combo.Input(
                    "where", options=list(INVISIBLE), default=INVISIBLE[0], tooltip="What is marked; the rest stays."
                ),
                io.Combo.Input(
                    "key",
                    options=list(KEYS),
                    default=KEYS[0],
                    tooltip="public: everybody can find the mark. own: only you, with a secret that is kept in "
                    "ComfyUI's user folder and never in the workflow.",
                ),
            ],
            outputs=[
                io.Video.Output("marked", display_name="video", tooltip="The same video with the mark."),
                io.String.Output("payload", display_name="payload", tooltip="What Detect Watermark will find."),
            ],
            hidden=[io.Hidden.prompt],
        )

    @classmethod
    def execute(cls, video: io.Video.Type, says: str, where: str, key: str) -> io.NodeOutput:
        from ..pipelines.host.marks import marked_invisibly

        marked, payload, told = marked_invisibly(video, says, where, key, cls.hidden.prompt)
        return io.NodeOutput(marked, payload, ui=ui.PreviewText(told))


class DetectWatermark(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneDetectWatermark",
            display_name="Detect Watermark",
            category="Kinetophone/marks",
            description=(
                "Looks for invisible marks in picture and sound: what they say, from when to when, and over which part "
                "of the picture. The original is not needed."
            ),
            is_output_node=True,
            inputs=[
                io.Video.Input("video", tooltip="Any video."),
                io.Combo.Input(
                    "key", options=list(KEYS), default=KEYS[0], tooltip="The key with which the video was marked."
                ),
            ],
            outputs=[
                io.String.Output("payload", display_name="payload", tooltip="Its twelve digits; empty without one."),
                io.Boolean.Output("found", display_name="found", tooltip="Whether there is a mark."),
                io.String.Output("report", display_name="report", tooltip="What was found, where and when."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, video: io.Video.Type, key: str) -> io.NodeOutput:
        from ..pipelines.host.marks import detected

        detection = detected(video, key, cls.hidden.unique_id)
        found, report = detection.payloads, detection.report()
        return io.NodeOutput(found[0] if found else "", bool(found), report, ui=ui.PreviewText(report))


class Verify(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneVerify",
            display_name="Verify",
            category="Kinetophone/marks",
            description=(
                "Reads a file's signed provenance (C2PA): who signed it, whether anything was changed since, how it "
                "was made and of what. A file without it is searched for invisible marks. Says plainly what is not "
                "known. Signatures need the packages c2pa-python and cryptography; without them, marks are looked for."
            ),
            is_output_node=True,
            hidden=[io.Hidden.unique_id],
            inputs=[io.Video.Input("video", tooltip="A file, straight from Load Video or Save Video with Provenance.")],
            outputs=[
                io.String.Output("report", display_name="report", tooltip="The verdict in words."),
                io.String.Output(
                    "state",
                    display_name="state",
                    tooltip="Trusted, Valid, Invalid, or none where no signature was read.",
                ),
            ],
        )

    @classmethod
    def execute(cls, video: io.Video.Type) -> io.NodeOutput:
        from ..pipelines.host.marks import verified

        verdict = verified(video, cls.hidden.unique_id)
        return io.NodeOutput(verdict.text, verdict.state or "none", ui=ui.PreviewText(verdict.text))
