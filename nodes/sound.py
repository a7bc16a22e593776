"""Sound stage."""

from __future__ import annotations

from comfy_api.latest import io, ui

from .screenplay import Screenplay


class Speak(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneSpeak",
            display_name="Speak",
            category="Kinetophone/sound",
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


class MixSound(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneMixSound",
            display_name="Mix Sound",
            category="Kinetophone/sound",
            description=(
                "Puts a sound under a video, or in place of its own; sets levels, fades, loudness, channels and sample "
                "rate. The track is exactly as long as the picture, true peaks stay below -1 dB, and nothing is "
                "computed before the video is saved or shown."
            ),
            inputs=[
                io.Video.Input("video", tooltip="Any video."),
                io.Audio.Input("audio", optional=True, tooltip="A sound to add: speech, music, an effect."),
                _decibels("own_level", "The video's own sound. At -60 it is left out."),
                _decibels("added_level", "The added sound. At -60 it is left out."),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=-3600.0,
                    max=3600.0,
                    step=0.01,
                    tooltip="When the added sound begins, in seconds. Below 0 its beginning is cut off.",
                ),
                io.Float.Input("fade_in", default=0.0, min=0.0, max=60.0, step=0.05, tooltip="Seconds to full level."),
                io.Float.Input("fade_out", default=0.0, min=0.0, max=60.0, step=0.05, tooltip="Seconds to silence."),
                io.Combo.Input(
                    "loudness",
                    options=["as it is", "-14 LUFS (web)", "-16 LUFS (podcast)", "-23 LUFS (broadcast)"],
                    default="as it is",
                    tooltip="Level the whole track as heard (ITU-R BS.1770).",
                ),
                io.Combo.Input(
                    "channels",
                    options=["as they are", "mono", "stereo"],
                    default="as they are",
                    tooltip="Mono is copied to both sides of stereo; stereo is averaged to mono.",
                ),
                io.Combo.Input(
                    "rate",
                    options=["as it is", "48000", "44100", "24000", "16000"],
                    default="as it is",
                    tooltip="Samples a second. As it is: the highest of the parts.",
                ),
            ],
            outputs=[io.Video.Output("mixed", display_name="video", tooltip="The same picture with the new sound.")],
        )

    @classmethod
    def execute(cls, video: io.Video.Type, audio: io.Audio.Type | None = None, **settings: object) -> io.NodeOutput:
        from ..pipelines.host.mix import mix_sound

        return io.NodeOutput(mix_sound(video, audio, settings))


def _decibels(name: str, tooltip: str) -> io.Float.Input:
    return io.Float.Input(name, default=0.0, min=-60.0, max=24.0, step=0.5, tooltip=f"{tooltip} In dB; 0 as it is.")
