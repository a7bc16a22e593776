"""Text stage."""

from __future__ import annotations

from comfy_api.latest import io, ui

from .screenplay import Screenplay


class TextEncode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneTextEncode",
            display_name="Encode Prompt",
            category="Kinetophone/text",
            description=(
                "Turns a prompt and a negative prompt into conditioning, with any text encoder. A screenplay takes the "
                "prompt's place: the built-in model then follows each shot in its time, other models read one text "
                "with times. For the built-in model the node says which words are read as others, and which left out."
            ),
            inputs=[
                io.Clip.Input("clip", tooltip="The text encoder that belongs to the model."),
                io.String.Input(
                    "prompt",
                    multiline=True,
                    default="a large red ball bounces on green grass under a clear blue sky",
                    tooltip="What should be seen and heard. (words:1.2) gives words more weight.",
                ),
                io.String.Input(
                    "negative", multiline=True, default="", tooltip="What should not be there. May stay empty."
                ),
                Screenplay.Input("screenplay", optional=True, tooltip="Timed shots, instead of the prompt."),
            ],
            outputs=[
                io.Conditioning.Output("positive", display_name="positive", tooltip="The prompt."),
                io.Conditioning.Output("negative_out", display_name="negative", tooltip="The negative prompt."),
            ],
        )

    @classmethod
    def execute(cls, clip: io.Clip.Type, prompt: str, negative: str, screenplay: object = None) -> io.NodeOutput:
        from ..pipelines.host.clip import encode_prompt, encode_screenplay, prompt_note, screenplay_note

        if screenplay is None:
            positive, note = encode_prompt(clip, prompt), prompt_note(clip, prompt)
        else:
            positive, note = encode_screenplay(clip, screenplay), screenplay_note(clip, screenplay)
            negative = negative or screenplay.negative
        return io.NodeOutput(positive, encode_prompt(clip, negative), ui=ui.PreviewText(note))
