"""Encoding and decoding for the nodes, with our autoencoders or any of the host's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..clip.clip import Clip, Sound, silent
from ..clip.stages import scale
from ..clock import Grid, frames_of
from ..types import VideoShape
from ..vae.video import check_latent
from .latents import ORIGIN, Latent, Origin, origin_of, streams_of
from .media import StreamVideo, clip_of
from .progress import frame_progress
from .vae import KinetophoneAudioVAE, KinetophoneVideoVAE


def decode_videos(latent: Latent, video_vae: Any, audio_vae: Any | None, fps: float) -> list[StreamVideo]:
    """A lazy video for each of the batch. Raises ValueError for latents that cannot be decoded."""
    streams = streams_of(latent)
    if streams.video is None:
        raise ValueError("This latent has no picture. Use Decode Audio for sound alone.")
    if not streams.video.isfinite().all():
        raise ValueError("The picture latent holds NaN or infinity. Sample it again, with a lower guidance scale.")
    ours = isinstance(video_vae, KinetophoneVideoVAE)
    origin, videos = origin_of(latent), []
    for index in range(len(streams.video)):
        picture = streams.video[index : index + 1]
        clip = _own_clip(picture, video_vae) if ours else _foreign_clip(picture, video_vae, fps)
        if streams.audio is not None and audio_vae is not None:
            clip = replace(clip, voice=_voice(streams.audio[index : index + 1], audio_vae))
        videos.append(StreamVideo(replace(clip, lineage=origin.of(clip.lineage), sources=origin.sources)))
    return videos


def encode_video(video: Any, vae: Any) -> tuple[Latent, str]:
    """The picture of a video as a latent, and what was changed to fit the grid."""
    clip = clip_of(video)
    origin = Origin((dict(clip.lineage),), clip.sources)
    if not isinstance(vae, KinetophoneVideoVAE):
        images = torch.cat([chunk.float().div(255) for chunk in clip.frames()])
        encoded = {"samples": vae.encode(images), ORIGIN: origin}
        return encoded, "Encoded as it is; the VAE crops what does not fit its grid."
    fitted, notes = _fit(clip, vae.grid)
    count = len(range(0, fitted.frames, vae.grid.base_stride))
    report, frames = frame_progress(count, None, "encoding"), []
    for frame in _base_frames(clip, fitted, vae):
        frames.append(frame)
        report(len(frames), count)
    base = torch.cat(frames, dim=2)
    latent = vae.ready().encode_base(base.to(vae.device))
    return {"samples": latent.to(vae.output_device), ORIGIN: origin}, "\n".join(notes) or "Nothing had to be changed."


def encode_audio(audio: dict[str, Any], vae: Any, like: Latent | None) -> tuple[Latent, str]:
    """Sound as a latent, and what was changed. `like` gives the length in latents."""
    wave, rate = audio["waveform"].float(), int(audio["sample_rate"])
    if not isinstance(vae, KinetophoneAudioVAE):
        return {"samples": vae.encode(wave.movedim(1, -1)), "type": "audio"}, "Encoded as it is."
    notes = []
    if wave.shape[1] > 1:
        notes.append(f"Mixed {wave.shape[1]} channels down to one, because the model is mono.")
    if rate != vae.rate:
        notes.append(f"Resampled from {rate} to {vae.rate} Hz, the rate of the model.")
    mono = wave.mean(1, keepdim=True)
    target = streams_of(like).audio if like is not None else None
    if target is not None:
        wanted = target.shape[-1] * vae.first_stage_model.grid.audio_stride * rate // vae.rate
        if wanted != mono.shape[-1]:
            verb = "Cut" if wanted < mono.shape[-1] else "Padded"
            notes.append(
                f"{verb} from {mono.shape[-1] / rate:.2f} s to {wanted / rate:.2f} s, the length of the latent."
            )
        mono = F.pad(mono, (0, wanted - mono.shape[-1]))
    latent = vae.encode_sound(mono, rate)
    if target is not None:
        latent = latent[..., : target.shape[-1]]
    return {"samples": latent, "type": "audio"}, "\n".join(notes) or "Nothing had to be changed."


def decode_audio(latent: Latent, vae: Any) -> dict[str, Any]:
    """The host's AUDIO of a sound latent, or of the sound of a joint one."""
    sound = streams_of(latent).audio
    if sound is None:
        raise ValueError("This latent has no sound. Use Decode to Video for picture alone.")
    voices = [_voice(sound[index : index + 1], vae)() for index in range(len(sound))]
    return {"waveform": torch.stack([voice.waveform for voice in voices]), "sample_rate": voices[0].rate}


def _own_clip(latent: Tensor, vae: KinetophoneVideoVAE) -> Clip:
    check_latent(latent, vae.latent_channels)
    shape = vae.grid.shape(*latent.shape[2:])

    def frames(start: int, stop: int) -> Iterator[Tensor]:
        return vae.decode_frames(latent, start, stop)

    return Clip(shape, frames, silent, {"model": "kinetophone", "weights": vae.digest})


def _foreign_clip(latent: Tensor, vae: Any, fps: float) -> Clip:
    """Other autoencoders decode whole clips: once, at the first frame asked for."""
    temporal, spatial = vae.upscale_ratio[0], vae.spacial_compression_decode()
    frames = temporal(latent.shape[2]) if callable(temporal) else latent.shape[2] * temporal
    rate = Fraction(fps).limit_denominator(1001)
    shape = VideoShape(latent.shape[4] * spatial, latent.shape[3] * spatial, frames, rate)

    def source(start: int, stop: int) -> Iterator[Tensor]:
        images = vae.decode(latent)
        images = images.reshape(-1, *images.shape[-3:])
        for index in range(start, stop):
            yield images[index : index + 1, ..., :3].mul(255).round().clamp(0, 255).to(torch.uint8).cpu()

    return Clip(shape, source, silent, {"model": type(vae.first_stage_model).__name__})


def _voice(latent: Tensor, vae: Any) -> Any:
    def own() -> Sound:
        return vae.decode_sound(latent)

    def foreign() -> Sound:
        rate = int(getattr(vae, "audio_sample_rate_output", getattr(vae, "audio_sample_rate", 44100)))
        return Sound(vae.decode(latent)[0].movedim(-1, 0).float().cpu(), rate)

    return own if isinstance(vae, KinetophoneAudioVAE) else foreign


def _fit(clip: Clip, grid: Grid) -> tuple[VideoShape, list[str]]:
    """The shape of a clip on the grid; frames that do not fill a step are left out."""
    shape = clip.shape
    asked = frames_of(shape.seconds, grid.fps)
    frames = grid.frames(max(1, (asked - 1) // grid.temporal + 1))
    fitted = VideoShape(grid.snap_side(shape.width), grid.snap_side(shape.height), frames, grid.fps)
    notes = []
    if (fitted.width, fitted.height) != (shape.width, shape.height):
        notes.append(
            f"Size: {shape.width} x {shape.height} scaled to {fitted.width} x {fitted.height}, because sides must be "
            f"multiples of {grid.size_multiple} pixels."
        )
    if shape.fps != grid.fps:
        notes.append(f"Frame rate: {float(shape.fps):.3g} to {grid.fps} frames a second, by nearest frame.")
    if frames != asked:
        notes.append(
            f"Length: {float(shape.seconds):.2f} s to {float(fitted.seconds):.2f} s ({frames} frames), because the "
            f"model works in {grid.temporal} frames a step after the first frame."
        )
    return fitted, notes


def _base_frames(clip: Clip, fitted: VideoShape, vae: KinetophoneVideoVAE) -> Iterator[Tensor]:
    """The base video `[1, 3, 1, h, w]` in -1..1, frame by frame: small and every second frame."""
    grid = vae.grid
    wanted = [
        min(round(Fraction(index) / grid.fps * clip.shape.fps), clip.shape.frames - 1)
        for index in range(0, fitted.frames, grid.base_stride)
    ]
    position = 0
    for number, frame in enumerate(single for chunk in clip.frames() for single in chunk):
        while position < len(wanted) and wanted[position] == number:
            pixels = scale(frame[None], fitted.width, fitted.height).movedim(-1, 1).float() / 127.5 - 1
            yield vae.first_stage_model.base(pixels[:, :, None])
            position += 1
        if position == len(wanted):
            return
