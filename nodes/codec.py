"""Codec stage."""

from __future__ import annotations

from comfy_api.latest import io, ui


class Decode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneDecode",
            display_name="Decode to Video",
            category="Kinetophone/codec",
            description=(
                "Makes a video of picture and sound. With the built-in model it is a stream: frames are decoded when "
                "they are saved or shown, a few at a time, so that length does not cost memory. Clips of other models "
                "are decoded whole."
            ),
            inputs=[
                io.Latent.Input("latent", tooltip="Picture and sound, or picture alone."),
                io.Vae.Input("video_vae", tooltip="Decodes the picture."),
                io.Vae.Input("audio_vae", optional=True, tooltip="Decodes the sound; without it the video is silent."),
                io.Float.Input(
                    "fps",
                    default=24.0,
                    min=1.0,
                    max=120.0,
                    step=0.01,
                    tooltip="Frames a second, for models that do not fix it. The built-in model always makes 24.",
                ),
            ],
            outputs=[
                io.Video.Output(
                    "video", display_name="video", is_output_list=True, tooltip="One video for each of the batch."
                )
            ],
        )

    @classmethod
    def execute(
        cls, latent: io.Latent.Type, video_vae: io.Vae.Type, fps: float, audio_vae: io.Vae.Type | None = None
    ) -> io.NodeOutput:
        from ..pipelines.host.codec import decode_videos

        return io.NodeOutput(decode_videos(latent, video_vae, audio_vae, fps))


class EncodeVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneEncodeVideo",
            display_name="Encode Video",
            category="Kinetophone/codec",
            description="Turns the picture of a video into a latent, fitted to the grid in size, rate and length.",
            inputs=[
                io.Video.Input("video", tooltip="Any video; its sound is not used here."),
                io.Vae.Input("video_vae", tooltip="Encodes the picture."),
                io.Boolean.Input(
                    "keep", default=False, optional=True, tooltip="Keep it as it is while the sound is generated to it."
                ),
            ],
            outputs=[
                io.Latent.Output("latent", display_name="latent", tooltip="The picture."),
                io.String.Output("info", display_name="info", tooltip="What was changed to fit the grid."),
            ],
        )

    @classmethod
    def execute(cls, video: io.Video.Type, video_vae: io.Vae.Type, keep: bool = False) -> io.NodeOutput:
        from ..pipelines.host.codec import encode_video
        from ..pipelines.host.latents import kept

        latent, info = encode_video(video, video_vae)
        return io.NodeOutput(kept(latent) if keep else latent, info, ui=ui.PreviewText(info))


class EncodeAudio(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneEncodeAudio",
            display_name="Encode Audio",
            category="Kinetophone/codec",
            description="Turns sound into a latent. Any sample rate; channels are mixed down where the model is mono.",
            inputs=[
                io.Audio.Input("audio", tooltip="Any sound."),
                io.Vae.Input("audio_vae", tooltip="Encodes the sound."),
                io.Latent.Input(
                    "like", optional=True, tooltip="A joint latent whose length the sound shall have: cut or padded."
                ),
                io.Boolean.Input(
                    "keep",
                    default=False,
                    optional=True,
                    tooltip="Keep it as it is while the picture is generated to it.",
                ),
            ],
            outputs=[
                io.Latent.Output("latent", display_name="latent", tooltip="The sound."),
                io.String.Output("info", display_name="info", tooltip="What was changed to fit the model."),
            ],
        )

    @classmethod
    def execute(
        cls, audio: io.Audio.Type, audio_vae: io.Vae.Type, like: io.Latent.Type | None = None, keep: bool = False
    ) -> io.NodeOutput:
        from ..pipelines.host.codec import encode_audio
        from ..pipelines.host.latents import kept

        latent, info = encode_audio(audio, audio_vae, like)
        return io.NodeOutput(kept(latent) if keep else latent, info, ui=ui.PreviewText(info))


class DecodeAudio(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="KinetophoneDecodeAudio",
            display_name="Decode Audio",
            category="Kinetophone/codec",
            description="Makes sound of a sound latent, or of the sound of a joint latent, at its true level and rate.",
            inputs=[
                io.Latent.Input("latent", tooltip="Sound, or picture and sound."),
                io.Vae.Input("audio_vae", tooltip="Decodes the sound."),
            ],
            outputs=[io.Audio.Output("audio", display_name="audio", tooltip="The sound, one for each of the batch.")],
        )

    @classmethod
    def execute(cls, latent: io.Latent.Type, audio_vae: io.Vae.Type) -> io.NodeOutput:
        from ..pipelines.host.codec import decode_audio

        return io.NodeOutput(decode_audio(latent, audio_vae))
