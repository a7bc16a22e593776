"""Screenplay stage."""

from __future__ import annotations

from comfy_api.latest import io, ui

from ..pipelines.screenplay.options import STYLES, TARGETS

Screenplay = io.Custom("KINETOPHONE_SCREENPLAY")
Server = io.Custom("KINETOPHONE_LANGUAGE_SERVER")
EXAMPLE = """0-2 a large red ball bounces on green grass under a clear blue sky
2-4 a large red ball bounces on green grass at sunset
4-6 a large red ball bounces on green grass at night
"""
FORMAT = (
    "One shot a line: its time, what it shows, then fields behind bars, such as: "
    '2-4.5 the ball rolls away | camera: pan left | sound@3: a bird calls | ANNA: "There it goes." | blend: 0.5'
)


class Recaption(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneRecaption",
            display_name="Recaption",
            category="Kinetophone/screenplay",
            description=(
                "Writes the dense caption that a model was trained on from a short prompt, and lists what was added. "
                "Your words stay as they are. Works offline; or feed it the reply of any language model."
            ),
            inputs=[
                io.String.Input(
                    "prompt", multiline=True, default="a red ball bounces", tooltip="What should be seen and heard."
                ),
                io.Float.Input("seconds", default=4.0, min=0.1, max=3600.0, step=0.1, tooltip="Length of the video."),
                io.Combo.Input(
                    "target", options=list(TARGETS), default=TARGETS[0], tooltip="The model that will read the caption."
                ),
                io.Combo.Input(
                    "style", options=list(STYLES), default=STYLES[0], tooltip="Used for what the prompt leaves open."
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**32 - 1,
                    # Left open, the editor would draw another seed after every run.
                    control_after_generate=False,
                    tooltip="Chooses among equally good additions.",
                ),
                io.String.Input(
                    "reply",
                    optional=True,
                    force_input=True,
                    tooltip="A language model's reply to the instruction output; used instead of the built-in rules.",
                ),
                Server.Input(
                    "server", optional=True, tooltip="A language model that is asked instead of the built-in rules."
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="A look reference: its colours, light and contrast are described. What it shows is not.",
                ),
            ],
            outputs=[
                Screenplay.Output("screenplay", display_name="screenplay", tooltip="The timed shots."),
                io.String.Output("caption", display_name="caption", tooltip="One text for a text encoder."),
                io.String.Output("difference", display_name="difference", tooltip="What you said, and what was added."),
                io.String.Output("instruction", display_name="instruction", tooltip="What to ask a language model."),
                io.Float.Output("length", display_name="seconds", tooltip="Length of all shots together."),
            ],
        )

    @classmethod
    async def execute(
        cls,
        prompt: str,
        seconds: float,
        target: str,
        style: str,
        seed: int,
        reply: str | None = None,
        server: object = None,
        image: io.Image.Type | None = None,
    ) -> io.NodeOutput:
        from ..pipelines.host.endpoint import recaption
        from ..pipelines.screenplay.look import describe_look
        from ..pipelines.screenplay.recaption import Brief, instruction

        look = "" if image is None else describe_look(image)
        brief = Brief(prompt, seconds, target, style, seed, look)
        draft = await recaption(brief, reply, server)
        told, seconds = draft.difference(), draft.screenplay.seconds
        return io.NodeOutput(
            draft.screenplay, draft.caption, told, instruction(brief), seconds, ui=ui.PreviewText(told)
        )


class LanguageServer(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneLanguageServer",
            display_name="Language Model Server",
            category="Kinetophone/screenplay",
            description=(
                "A language model that Recaption asks: Ollama, llama.cpp, LM Studio, vLLM or any other server that "
                "speaks OpenAI's protocol. Only this machine is asked, and servers that you have listed in "
                "kinetophone/endpoints.yaml of ComfyUI's user folder, where their keys stand too."
            ),
            inputs=[
                io.String.Input(
                    "url", default="http://127.0.0.1:11434/v1", tooltip="The server's address, up to and with /v1."
                ),
                io.String.Input("model", default="", tooltip="One of the server's models. Empty takes its first."),
                io.Float.Input(
                    "temperature", default=0.7, min=0.0, max=2.0, step=0.05, tooltip="How freely the model writes."
                ),
                io.Float.Input(
                    "timeout",
                    default=120.0,
                    min=1.0,
                    max=3600.0,
                    step=1.0,
                    tooltip="Seconds to wait for the reply. A model that must be loaded first takes longer.",
                ),
            ],
            outputs=[Server.Output("server", display_name="server", tooltip="For Recaption.")],
        )

    @classmethod
    def execute(cls, url: str, model: str, temperature: float, timeout: float) -> io.NodeOutput:
        from ..pipelines.host.endpoint import LanguageServer

        return io.NodeOutput(LanguageServer(url, model, temperature, timeout))


class Storyboard(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneStoryboard",
            display_name="Storyboard",
            category="Kinetophone/screenplay",
            description=(
                "Several shots in one video: one a line, its time first. The built-in model follows each shot in its "
                "time, in one sampling run, so that what the shots share stays the same."
            ),
            inputs=[
                io.String.Input("storyboard", multiline=True, default=EXAMPLE, tooltip=FORMAT),
                io.Float.Input(
                    "blend",
                    default=0.0,
                    min=0.0,
                    max=10.0,
                    step=0.1,
                    tooltip="Seconds that a shot takes to come in over the one before, where its line does not say. "
                    "0 is a cut.",
                ),
            ],
            outputs=[
                Screenplay.Output("screenplay", display_name="screenplay", tooltip="The timed shots."),
                io.Float.Output("seconds", display_name="seconds", tooltip="Length of all shots together."),
                io.String.Output("caption", display_name="caption", tooltip="One text with times, for a text encoder."),
            ],
        )

    @classmethod
    def execute(cls, storyboard: str, blend: float) -> io.NodeOutput:
        from ..pipelines.screenplay.dialogue import summary
        from ..pipelines.screenplay.recaption import timed_caption
        from ..pipelines.screenplay.storyboard import parse

        written = parse(storyboard, blend)
        return io.NodeOutput(written, written.seconds, timed_caption(written), ui=ui.PreviewText(summary(written)))


class ScreenplayEdit(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneScreenplayEdit",
            display_name="Edit Screenplay",
            category="Kinetophone/screenplay",
            description=(
                "Review a screenplay before it is used. Locked, your text is used, whatever comes in, and the node "
                "shows what has changed before it; it is saved and shared with the workflow."
            ),
            is_output_node=True,
            inputs=[
                Screenplay.Input("screenplay", optional=True, tooltip="What to review. May be left open."),
                io.String.Input(
                    "text",
                    multiline=True,
                    default="",
                    tooltip="The storyboard, or a screenplay document. Yours to edit.",
                ),
                io.Boolean.Input("locked", default=False, tooltip="Use the text, and keep it."),
            ],
            outputs=[
                Screenplay.Output("edited", display_name="screenplay", tooltip="What is used."),
                io.String.Output("caption", display_name="caption", tooltip="One text with times, for a text encoder."),
                io.String.Output("storyboard", display_name="storyboard", tooltip="What is used, as a storyboard."),
                io.String.Output("document", display_name="document", tooltip="What is used, as JSON."),
                io.Float.Output("seconds", display_name="seconds", tooltip="Length of all shots together."),
            ],
        )

    @classmethod
    def execute(cls, text: str, locked: bool, screenplay: object = None) -> io.NodeOutput:
        from ..pipelines.screenplay.dialogue import summary
        from ..pipelines.screenplay.document import to_json
        from ..pipelines.screenplay.edit import edited
        from ..pipelines.screenplay.recaption import timed_caption
        from ..pipelines.screenplay.storyboard import format_storyboard

        used, note = edited(screenplay, text, locked=locked)
        board = format_storyboard(used)
        shown = {"text": (f"{note}\n{summary(used)}\n\n{board}",), "storyboard": (board,)}
        return io.NodeOutput(used, timed_caption(used), board, to_json(used), used.seconds, ui=shown)
