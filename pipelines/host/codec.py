"""Encoding and decoding for the nodes, with our autoencoders or any of the host's."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..clip.clip import Clip, Sound, silent
from ..clip.sound import resampled, with_channels
from ..clip.stages import scale
from ..clock import Grid, frames_of
from ..types import VideoShape
from ..vae.video import check_latent
from .audio_codec import AudioCodec, audio_codec, vae_name
from .latents import ORIGIN, Latent, Origin, origin_of, sound_in, streams_of
from .media import StreamVideo, clip_of
from .progress import frame_progress
from .vae import KinetophoneVideoVAE


def decode_videos(latent: Latent, video_vae: Any, audio_vae: Any | None, fps: float) -> list[StreamVideo]:
    """A lazy video for each of the batch. Raises ValueError for latents that cannot be decoded."""
    streams = streams_of(latent)
    if streams.video is None:
        raise ValueError("This latent has no picture. Use Decode Audio for sound alone.")
    check_video_vae(video_vae, "VAE Decode")
    if not streams.video.isfinite().all():
        raise ValueError("The picture latent holds NaN or infinity. Sample it again, with a lower guidance scale.")
    ours = isinstance(video_vae, KinetophoneVideoVAE)
    codec = None
    if streams.audio is not None and audio_vae is not None:
        codec = audio_codec(audio_vae)
        codec.check(streams.audio, "This latent")
    origin, videos = origin_of(latent), []
    for index in range(len(streams.video)):
        picture = streams.video[index : index + 1]
        clip = _own_clip(picture, video_vae) if ours else _foreign_clip(picture, video_vae, fps)
        if codec is not None:
            clip = replace(clip, voice=partial(codec.decode, streams.audio[index : index + 1]))
        videos.append(StreamVideo(replace(clip, lineage=origin.of(clip.lineage), sources=origin.sources)))
    return videos


def encode_video(video: Any, vae: Any) -> tuple[Latent, str]:
    """The picture of a video as a latent, and what was changed to fit the grid. Raises ValueError for other VAEs."""
    check_video_vae(vae, "VAE Encode")
    clip = clip_of(video)
    origin = Origin((dict(clip.lineage),), clip.sources)
    if not isinstance(vae, KinetophoneVideoVAE):
        frames, notes = _foreign_fit(clip.shape, vae)
        images = torch.cat([chunk.float().div(255) for chunk in clip.frames(0, frames)])
        encoded = {"samples": vae.encode(images), ORIGIN: origin}
        return encoded, "\n".join(notes) or "Nothing had to be changed."
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
    """Sound as a latent, and what was changed. `like` gives the length in latents, if it is of the same model."""
    codec = audio_codec(vae)
    wave, notes = _taken(audio, codec)
    wanted = None if like is None else _steps_of(like, codec)
    if wanted is not None and codec.step is not None:
        samples = math.ceil(wanted * codec.step * codec.rate)
        before, after = (f"{length / codec.rate:.2f} s" for length in (wave.shape[-1], samples))
        if before != after:
            verb = "Cut" if samples < wave.shape[-1] else "Padded"
            notes.append(f"{verb} from {before} to {after}, the length of the latent.")
        wave = F.pad(wave, (0, samples - wave.shape[-1]))
    latent = codec.encode(F.pad(wave, (0, -wave.shape[-1] % codec.whole)))
    if wanted is not None:
        made = latent.shape[codec.time]
        if made < wanted:
            raise ValueError(
                f"The sound fills {made} of the {wanted} steps of the latent `like`. Make the sound longer, with "
                "silence at its end."
            )
        if made > wanted and codec.step is None:
            notes.append(f"Cut to {wanted} steps, the length of the latent.")
        latent = latent.narrow(codec.time, 0, wanted)
    return {"samples": latent, "type": "audio"}, "\n".join(notes) or "Nothing had to be changed."


def decode_audio(latent: Latent, vae: Any) -> dict[str, Any]:
    """The host's AUDIO of a sound latent, or of the sound of a joint one."""
    codec, sound = audio_codec(vae), sound_in(latent)
    if sound is None:
        raise ValueError("This latent has no sound. Use Decode to Video for picture alone.")
    codec.check(sound, "This latent")
    voices = [codec.decode(sound[index : index + 1]) for index in range(len(sound))]
    return {"waveform": torch.stack([voice.waveform for voice in voices]), "sample_rate": voices[0].rate}


def _taken(audio: dict[str, Any], codec: AudioCodec) -> tuple[Tensor, list[str]]:
    """Sound `[B, channels, samples]` as a codec takes it, and what was changed for that."""
    wave, rate = audio["waveform"].float(), int(audio["sample_rate"])
    channels, notes = wave.shape[1], []
    if channels > codec.channels == 1:
        notes.append(f"Mixed {channels} channels down to one, because the model is mono.")
    elif channels > codec.channels:
        notes.append(f"Kept the first {codec.channels} of {channels} channels, because the model has no more.")
    elif channels < codec.channels:
        notes.append(f"Copied the sound to {codec.channels} channels, as many as the model has.")
    if rate != codec.rate:
        notes.append(f"Resampled from {rate} to {codec.rate} Hz, the rate of the model.")
    sounds = [resampled(with_channels(Sound(single, rate), codec.channels), codec.rate) for single in wave]
    return torch.stack([sound.waveform for sound in sounds]), notes


def _steps_of(like: Latent, codec: AudioCodec) -> int:
    sound = sound_in(like)
    if sound is None:
        raise ValueError("The latent `like` has no sound, and so no length for it. Connect a joint latent.")
    codec.check(sound, "The latent `like`")
    return sound.shape[codec.time]


def check_video_vae(vae: Any, instead: str) -> None:
    """Raises ValueError for a VAE that does not work in time, and tells what takes that `instead`."""
    # A VAE that works in time has a ratio for each dimension; one for still images has a single number.
    if not isinstance(getattr(vae, "upscale_ratio", None), tuple | list):
        raise ValueError(
            f"A video VAE is needed for the picture; got {vae_name(vae)}. Connect the model's video VAE; for still "
            f"images use {instead}."
        )


def _own_clip(latent: Tensor, vae: KinetophoneVideoVAE) -> Clip:
    check_latent(latent, vae.latent_channels)
    shape = vae.grid.shape(*latent.shape[2:])

    def frames(start: int, stop: int) -> Iterator[Tensor]:
        return vae.decode_frames(latent, start, stop)

    return Clip(shape, frames, silent, {"model": "kinetophone", "weights": vae.digest})


def _foreign_clip(latent: Tensor, vae: Any, fps: float) -> Clip:
    """Other autoencoders decode whole clips: once, at the first frame asked for, kept as bytes from then on."""
    temporal, spatial = vae.upscale_ratio[0], vae.spacial_compression_decode()
    frames = temporal(latent.shape[2]) if callable(temporal) else latent.shape[2] * temporal
    rate = Fraction(fps).limit_denominator(1001)
    shape = VideoShape(latent.shape[4] * spatial, latent.shape[3] * spatial, frames, rate)

    @functools.cache
    def decoded() -> list[Tensor]:
        images = vae.decode(latent)
        images = images.reshape(-1, *images.shape[-3:])
        # One by one: all at once would need the memory of the whole clip, in floats, a second time.
        return [image[None, ..., :3].mul(255).round().clamp(0, 255).to(torch.uint8).cpu() for image in images]

    def source(start: int, stop: int) -> Iterator[Tensor]:
        yield from decoded()[start:stop]

    return Clip(shape, source, silent, {"model": type(vae.first_stage_model).__name__})


def _foreign_fit(shape: VideoShape, vae: Any) -> tuple[int, list[str]]:
    """How many frames another VAE takes, and what is left out: the host crops the size by itself, not the length."""
    cell = vae.spacial_compression_encode() if getattr(vae, "crop_input", True) else 1
    width, height = shape.width // cell * cell, shape.height // cell * cell
    frames, up, down = shape.frames, vae.upscale_ratio[0], vae.downscale_ratio[0]
    if callable(up) and callable(down):
        frames = min(up(down(shape.frames)), shape.frames)
    if not (width and height and frames):
        raise ValueError(
            f"The video is {shape.width} x {shape.height} with {shape.frames} frames; that is less than the "
            f"{cell} x {cell} pixels or the length of a single step of this VAE. Make it larger or longer."
        )
    notes = []
    if (width, height) != (shape.width, shape.height):
        notes.append(
            f"Size: {shape.width} x {shape.height} cropped to {width} x {height}, because sides must be multiples of "
            f"{cell} pixels."
        )
    if frames != shape.frames:
        notes.append(
            f"Length: cut from {shape.frames} to {frames} frames, because the model works in {up(2) - up(1)} frames a "
            "step after the first frame."
        )
    return frames, notes


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
        notes.append(f"Frame rate: {float(shape.fps):.5g} to {grid.fps} frames a second, by nearest frame.")
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
