"""Speech stage."""

from __future__ import annotations

from comfy_api.latest import io, ui

from .screenplay import Screenplay


class Speak(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneSpeak",
            display_name="Speak",
            category="Kinetophone/speech",
            description=(
                "Says the lines of a screenplay with offline voices, each at its time, and lists when every word is "
                "said. Feed the sound to Encode Audio with keep switched on, and the picture is generated to it. "
                "Needs the packages hibari-tts, pyworld-prebuilt and, for word times, pocketsphinx."
            ),
            inputs=[
                Screenplay.Input("screenplay", tooltip='Its lines are said, such as: ANNA@1.5: "There it goes."'),
                io.String.Input(
                    "voices",
                    multiline=True,
                    default="",
                    tooltip="Who has which voice, one a line, such as ANNA: woman. Voices are woman, man, older woman, "
                    "deep man and child. Speakers who are not named get one each, in this order.",
                ),
                io.Float.Input(
                    "pace", default=1.0, min=0.5, max=2.0, step=0.05, tooltip="1 is conversational, 2 twice as fast."
                ),
                io.Boolean.Input(
                    "hurry",
                    default=True,
                    tooltip="Say a line up to 1.35 times as fast where it would not fit into its time.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**32 - 1,
                    # Left open, the editor would draw another seed after every run.
                    control_after_generate=False,
                    tooltip="Another seed breathes a little differently.",
                ),
            ],
            outputs=[
                io.Audio.Output("audio", display_name="audio", tooltip="All lines, as long as the screenplay."),
                io.String.Output(
                    "timing", display_name="timing", tooltip="Lines, words and phones with their times, as JSON."
                ),
                io.String.Output("report", display_name="report", tooltip="Who says what when, and what does not fit."),
            ],
        )

    @classmethod
    def execute(cls, screenplay: object, voices: str, pace: float, hurry: bool, seed: int) -> io.NodeOutput:
        from ..pipelines.host.speak import spoken

        audio, timing, report = spoken(screenplay, voices, pace, hurry, seed)
        return io.NodeOutput(audio, timing, report, ui=ui.PreviewText(report))
