"""What is given of a clip, and what is made around it: pictures to start from and to end with, a clip that goes on, a
span that is made anew.

All of these are a latent and its masks: 1 is made, 0 is kept, and what is kept runs at noise level 0, as the built-in
model was trained to see it (train/levels.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import comfy.utils
import torch
import torch.nn.functional as F
from torch import Tensor

from ..clock import Grid, frames_of
from ..model.config import MINI
from ..types import AVLatent
from ..weights.card import DEFAULT_CARD, length_notes, read_card
from .codec import check_video_vae
from .latents import Latent, is_ours, masked, masks_of, ones, streams_of
from .options import BOTH, PICTURE, SOUND

# The dimension of time, of pictures `[B, C, T, H, W]` and of sound `[B, C, T', ...]`.
TIME = 2


@dataclass(frozen=True)
class TimeLine:
    """Where the steps of a latent lie in time: frames of so many steps of picture, and steps of sound a second."""

    frames: Callable[[int], int]
    fps: Fraction
    sound_rate: Fraction

    def seconds(self, streams: AVLatent) -> Fraction:
        """Of the picture, or of the sound where that is alone."""
        if streams.video is not None:
            return self.frames(streams.video.shape[TIME]) / self.fps
        return streams.audio.shape[TIME] / self.sound_rate

    def edges(self, streams: AVLatent) -> tuple[list[Fraction], list[Fraction]]:
        """When each step of picture and sound begins, and when the last ends."""
        steps = 0 if streams.video is None else streams.video.shape[TIME]
        heard = 0 if streams.audio is None else streams.audio.shape[TIME]
        return [self.frames(n) / self.fps for n in range(steps + 1)], [n / self.sound_rate for n in range(heard + 1)]


def time_line(streams: AVLatent, video_vae: Any | None, fps: float, grid: Grid = MINI.grid) -> TimeLine:
    """That of the built-in model, or of another by its autoencoder and `fps`.

    Raises ValueError where the latent is of another model, and no autoencoder says how long its steps are.
    """
    if is_ours(streams):
        return TimeLine(lambda steps: grid.frames(steps) if steps else 0, grid.fps, grid.audio_rate)
    if streams.video is None or video_vae is None:
        raise ValueError(
            "This latent is of another model than the built-in one, and only its video VAE says how long a step is. "
            "Connect its video VAE, and a latent with a picture."
        )
    check_video_vae(video_vae, "VAE Encode")
    up, rate = video_vae.upscale_ratio[0], Fraction(fps).limit_denominator(1001)

    def frames(steps: int) -> int:
        return (up(steps) if callable(up) else steps * up) if steps else 0

    heard = 1 if streams.audio is None else streams.audio.shape[TIME]
    return TimeLine(frames, rate, heard * rate / frames(streams.video.shape[TIME]))


def with_pictures(latent: Latent, video_vae: Any, first: Tensor | None, last: Tensor | None) -> tuple[Latent, str]:
    """The latent with pictures `[1 or B, H, W, 3 or 4]` in 0..1 as its first and last moments, and what was changed.

    Raises ValueError for pictures of another number, and where nothing is left to be made.
    """
    streams = streams_of(latent)
    if streams.video is None:
        raise ValueError("This latent has no picture to put a first or last moment into. Connect picture and sound.")
    if first is None and last is None:
        raise ValueError("There is no picture to start from or to end with. Connect first, last, or both.")
    check_video_vae(video_vae, "VAE Encode")
    given = {name: image for name, image in (("first", first), ("last", last)) if image is not None}
    video, steps = streams.video.clone(), streams.video.shape[TIME]
    if steps <= len(given):
        raise ValueError(f"The latent has {steps} step{'s' * (steps > 1)}, and all would be given. Make it longer.")
    before, sound_mask = masks_of(latent)
    mask = ones(video) if before is None else comfy.utils.reshape_mask(before.float(), ones(video).shape).clone()
    told = [f"Given: the {' and the '.join(given)} picture. The rest is made."]
    for name, image in given.items():
        at = 0 if name == "first" else steps - 1
        fitted, note = _fitted(name, image, video, video_vae)
        moments = torch.cat([_moment(single[None], video_vae, name == "last") for single in fitted])
        video[:, :, at] = moments.to(video)[:, :, 0].expand(len(video), -1, -1, -1)
        mask[:, :, at] = 0
        told += note
    return masked(latent, AVLatent(video, streams.audio), mask, sound_mask), "\n".join(told)


def extended(latent: Latent, seconds: float, video_vae: Any | None = None, fps: float = 24.0) -> tuple[Latent, str]:
    """The latent kept as it is, with so many seconds behind it that are made, and what comes out."""
    streams = streams_of(latent)
    line = time_line(streams, video_vae, fps)
    before = line.seconds(streams)
    video, audio = streams.video, streams.audio
    picture_mask = sound_mask = None
    if video is not None:
        steps = video.shape[TIME]
        wanted = line.frames(steps) + frames_of(seconds, line.fps)
        while line.frames(steps) < wanted:
            steps += 1
        video, picture_mask = _longer(video, steps)
        wanted_sound = line.frames(steps) / line.fps * line.sound_rate
    else:
        wanted_sound = audio.shape[TIME] + Fraction(seconds) * line.sound_rate
    if audio is not None:
        audio, sound_mask = _longer(audio, max(audio.shape[TIME], math.ceil(wanted_sound)))
    made = AVLatent(video, audio)
    after = line.seconds(made)
    told = f"{float(before):.2f} s are kept, {float(after - before):.2f} s are made: {float(after):.2f} s in all."
    risky = length_notes(float(after), read_card(DEFAULT_CARD).seconds) if is_ours(streams) else []
    return masked(latent, made, picture_mask, sound_mask), "\n".join((told, *risky))


def retaken(
    latent: Latent, start: float, end: float, what: str = BOTH, video_vae: Any | None = None, fps: float = 24.0
) -> tuple[Latent, str]:
    """The latent in which all is kept but a span, in picture, sound or both, and which span that is on the grid.

    Raises ValueError for a span that is empty or outside of the clip, and for a stream that is not there.
    """
    streams = streams_of(latent)
    line = time_line(streams, video_vae, fps)
    lasting = line.seconds(streams)
    if not 0 <= start < end or start >= lasting:
        raise ValueError(
            f"The span from {start:g} to {end:g} s is not one of this clip, which lasts {float(lasting):.2f} s. Choose "
            "a start inside of it, and an end after that."
        )
    for name, stream in ((PICTURE, streams.video), (SOUND, streams.audio)):
        if stream is None and what == name:
            raise ValueError(f"This latent has no {name} to make anew. Choose another part, or connect both.")
    span, masks, told = (Fraction(start), Fraction(end)), [], []
    for name, stream, edges in zip((PICTURE, SOUND), (streams.video, streams.audio), line.edges(streams), strict=True):
        if stream is None:
            masks.append(None)
            continue
        mask = torch.zeros_like(ones(stream))
        if what in (BOTH, name):
            begin = min(range(len(edges) - 1), key=lambda n: abs(edges[n] - span[0]))
            stop = max(begin + 1, min(range(len(edges)), key=lambda n: abs(edges[n] - span[1])))
            mask.narrow(TIME, begin, stop - begin).fill_(1)
            # The sound of what is seen anew.
            span = edges[begin], edges[stop]
            told.append(f"{name} from {float(span[0]):.2f} to {float(span[1]):.2f} s")
        masks.append(mask)
    return masked(latent, streams, *masks), f"Made anew: {' and '.join(told)}. The rest is kept."


def _fitted(name: str, image: Tensor, video: Tensor, vae: Any) -> tuple[Tensor, list[str]]:
    """Pictures `[n, H, W, 3]` of the size of a latent, their middle where the aspect is another, and what was changed.

    Raises ValueError where there is neither one for all of the batch, nor one for each.
    """
    if len(image) not in (1, len(video)):
        raise ValueError(
            f"The {name} picture is a batch of {len(image)} images, and the latent one of {len(video)}. Give one "
            "image, or one for each; to go on from a video, encode it and use Extend."
        )
    cell = vae.spacial_compression_decode()
    height, width = (side * cell for side in video.shape[-2:])
    if image.shape[1:3] == (height, width):
        return image[..., :3], []
    made = comfy.utils.common_upscale(image[..., :3].movedim(-1, 1), width, height, "lanczos", "center").movedim(1, -1)
    return made, [f"The {name} picture: {image.shape[2]} x {image.shape[1]} scaled and cropped to {width} x {height}."]


def _moment(image: Tensor, vae: Any, moving: bool) -> Tensor:
    """One latent step `[1, C, 1, h, w]` of a picture `[1, H, W, 3]`: the still one that a clip begins with, or one of
    those `moving`, in which the picture stands."""
    up = vae.upscale_ratio[0]
    frames = (up(2) if callable(up) else up) if moving else 1
    return vae.encode(image.expand(frames, -1, -1, -1))[:, :, -1:]


def _longer(stream: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """A stream of so many steps, nothing in those that are new, and the mask by which they alone are made."""
    old = stream.shape[TIME]
    padding = (0, 0) * (stream.ndim - TIME - 1) + (0, steps - old)
    made = F.pad(stream, padding)
    mask = torch.zeros_like(ones(made))
    mask.narrow(TIME, old, steps - old).fill_(1)
    return made, mask
