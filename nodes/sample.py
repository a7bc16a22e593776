"""Sample stage."""

from __future__ import annotations

from comfy.samplers import SAMPLER_NAMES
from comfy_api.latest import io, ui

from .screenplay import Screenplay


class Schedule(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneSchedule",
            display_name="Schedule",
            category="Kinetophone/sample",
            description="The noise levels of a sampling run, from noise down to nothing, for flow models.",
            inputs=[
                io.Int.Input(
                    "steps",
                    default=20,
                    min=1,
                    max=1000,
                    tooltip="More steps are finer and slower. 8 to 10 for a draft.",
                ),
                io.Float.Input(
                    "shift",
                    default=1.5,
                    min=0.1,
                    max=20.0,
                    step=0.05,
                    tooltip="Above 1 spends more steps on coarse structure and motion. Larger videos want more.",
                ),
                io.Float.Input(
                    "denoise",
                    default=1.0,
                    min=0.01,
                    max=1.0,
                    step=0.01,
                    tooltip="How much of a given latent to make anew: 1 is everything.",
                ),
            ],
            outputs=[io.Sigmas.Output("sigmas", display_name="sigmas", tooltip="Noise levels, one more than steps.")],
        )

    @classmethod
    def execute(cls, steps: int, shift: float, denoise: float) -> io.NodeOutput:
        from ..pipelines.host.sampler import sigmas_of

        return io.NodeOutput(sigmas_of(steps, shift, denoise))


class Turbo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneTurbo",
            display_name="Turbo",
            category="Kinetophone/sample",
            description="The built-in model in a fourth of the passes: 10 steps of one each, which need no guidance.",
            inputs=[
                io.Model.Input("model", tooltip="The built-in model, from Load Kinetophone."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    tooltip="1 is as literal as a guidance of 3; less follows the prompt more freely.",
                ),
            ],
            outputs=[
                io.Model.Output(
                    "turbo", display_name="model", tooltip="Sample it with a guidance (or cfg) of 1 and 10 steps."
                )
            ],
        )

    @classmethod
    def execute(cls, model: io.Model.Type, strength: float) -> io.NodeOutput:
        from ..pipelines.host.turbo import with_turbo

        return io.NodeOutput(with_turbo(model, strength))


class GuidanceNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        def scale(name: str, default: float, tooltip: str) -> io.Float.Input:
            return io.Float.Input(name, default=default, min=0.0, max=20.0, step=0.1, tooltip=tooltip)

        return io.Schema(
            node_id="KinetophoneGuidance",
            display_name="Guidance",
            category="Kinetophone/sample",
            description="How literally picture and sound follow the prompt, and how closely they follow each other.",
            inputs=[
                io.Model.Input("model", tooltip="A joint model, or one of picture or sound alone."),
                io.Conditioning.Input("positive", tooltip="What should be there."),
                io.Conditioning.Input("negative", tooltip="What should not be there."),
                scale("picture", 3.0, "How literally the picture follows the prompt. 1 ignores the negative prompt."),
                scale("sound", 3.0, "How literally the sound follows the prompt. 1 ignores the negative prompt."),
                scale(
                    "coupling",
                    1.0,
                    "Above 1, picture and sound follow each other more closely, below 1 less. 1 is off; anything else "
                    "costs one more pass a step.",
                ),
            ],
            outputs=[
                io.Guider.Output(
                    "guider", display_name="guider", tooltip="For Sampler, or ComfyUI's SamplerCustomAdvanced."
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        model: io.Model.Type,
        positive: io.Conditioning.Type,
        negative: io.Conditioning.Type,
        picture: float,
        sound: float,
        coupling: float,
    ) -> io.NodeOutput:
        from ..pipelines.host.guider import KinetophoneGuider
        from ..pipelines.sampling.guidance import Guidance

        return io.NodeOutput(KinetophoneGuider(model, positive, negative, Guidance(picture, sound, coupling)))


class Preflight(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophonePreflight",
            display_name="Preflight",
            category="Kinetophone/sample",
            description=(
                "Says what a run takes before it starts: sizes, time, memory, disk, licence, and what may go wrong. "
                "Times come from three sampling steps and a few frames, done now, on this machine. Put it before the "
                "sampler: the latent passes through."
            ),
            is_output_node=True,
            inputs=[
                io.Latent.Input("latent", tooltip="What will be sampled."),
                io.Guider.Input("guider", optional=True, tooltip="The guider that will sample it."),
                io.Sigmas.Input("sigmas", optional=True, tooltip="The schedule that will be used."),
                io.Vae.Input("video_vae", optional=True, tooltip="The autoencoder that will decode it."),
                Screenplay.Input("screenplay", optional=True, tooltip="Its dialogue is checked against its times."),
            ],
            outputs=[
                io.Latent.Output("checked", display_name="latent", tooltip="The latent, as it came."),
                io.String.Output("report", display_name="report", tooltip="Everything that was found."),
                io.Float.Output("seconds", display_name="run time in seconds", tooltip="Estimated time of the run."),
            ],
        )

    @classmethod
    def execute(cls, latent: io.Latent.Type, **parts: object) -> io.NodeOutput:
        from ..pipelines.host.preflight import Run, preflight

        report, seconds = preflight(Run(latent, **parts))
        return io.NodeOutput(latent, report, seconds, ui=ui.PreviewText(report))


class Sampler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneSampler",
            display_name="Sampler",
            category="Kinetophone/sample",
            description=(
                "Turns noise into picture and sound, with any guider, ComfyUI's samplers by name, and previews. For a "
                "SAMPLER or NOISE of another node use ComfyUI's SamplerCustomAdvanced, with the same guider and latent."
            ),
            inputs=[
                io.Guider.Input("guider", tooltip="Model, prompts and how to follow them."),
                io.Sigmas.Input("sigmas", tooltip="Noise levels, from Schedule or any scheduler of ComfyUI."),
                io.Latent.Input("latent", tooltip="Where to start: empty, or a given one with masks."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="The same seed gives the same video.",
                ),
                io.Combo.Input(
                    "sampler_name",
                    options=list(SAMPLER_NAMES),
                    default="euler",
                    tooltip="How to step. euler suits any model; euler_ancestral is cleaner with the built-in one.",
                ),
            ],
            outputs=[io.Latent.Output("samples", display_name="latent", tooltip="Picture and sound, ready to decode.")],
        )

    @classmethod
    def execute(
        cls, guider: io.Guider.Type, sigmas: io.Sigmas.Type, latent: io.Latent.Type, seed: int, sampler_name: str
    ) -> io.NodeOutput:
        from ..pipelines.host.sampler import sample

        return io.NodeOutput(sample(guider, sigmas, latent, seed, sampler_name))
