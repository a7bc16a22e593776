"""Text stage."""

from __future__ import annotations

from comfy_api.latest import io, ui


class TextEncode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneTextEncode",
            display_name="Encode Prompt",
            category="Kinetophone/text",
            description=(
                "Turns a prompt and a negative prompt into conditioning, with any text encoder. For the built-in model "
                "it lists the words that the model was not trained on."
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
            ],
            outputs=[
                io.Conditioning.Output("positive", display_name="positive", tooltip="The prompt."),
                io.Conditioning.Output("negative_out", display_name="negative", tooltip="The negative prompt."),
            ],
        )

    @classmethod
    def execute(cls, clip: io.Clip.Type, prompt: str, negative: str) -> io.NodeOutput:
        from ..pipelines.host.clip import encode_prompt, prompt_note

        positive, unwanted = encode_prompt(clip, prompt), encode_prompt(clip, negative)
        return io.NodeOutput(positive, unwanted, ui=ui.PreviewText(prompt_note(clip, prompt)))
