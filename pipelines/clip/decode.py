"""From latents to a lazy clip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ..clock import Grid
from ..types import AVLatent
from ..vae.audio import AudioAutoencoder
from ..vae.video import VideoAutoencoder, check_latent
from .clip import Clip, Sound, silent


def decode_clip(
    latent: AVLatent, video: VideoAutoencoder, audio: AudioAutoencoder | None, lineage: Mapping[str, Any]
) -> Clip:
    """A clip that decodes the one video of `latent`, step by step, as its frames are asked for."""
    check_latent(latent.video, video.config.channels)
    if len(latent.video) != 1:
        raise ValueError(f"A clip decodes one video; the latent holds {len(latent.video)}. Decode them one by one.")
    shape = video.grid.shape(*latent.video.shape[2:])

    def frames(start: int, stop: int) -> Iterator[Tensor]:
        return decoded_frames(video, latent.video, start, stop)

    def voice() -> Sound:
        with torch.inference_mode():
            wave = audio.decode(latent.audio.to(next(audio.parameters()).device))
        return Sound(wave[0].float().cpu(), video.grid.sample_rate)

    has_sound = latent.audio is not None and audio is not None
    return Clip(shape, frames, voice if has_sound else silent, lineage)


def decoded_frames(video: VideoAutoencoder, latent: Tensor, start: int, stop: int) -> Iterator[Tensor]:
    """Frames `start .. stop - 1` of `latent [1, C, T, h, w]` as uint8 `[n, H, W, 3]` on CPU."""
    grid = video.grid
    first = first_step(grid, start)
    position = grid.step_frames(first)[0]
    latent = latent.to(next(video.parameters()).device)
    decoder = video.decode_frames(latent, first)
    while position < stop:
        # The mode must not stay on between two frames: it would leak into whoever consumes them.
        with torch.inference_mode():
            chunk = next(decoder)
            pixels = to_bytes(chunk[0].movedim(0, -1))
        kept = pixels[max(0, start - position) : stop - position]
        position += len(pixels)
        if len(kept):
            yield kept


def first_step(grid: Grid, frame: int) -> int:
    """The latent step that covers `frame`."""
    return grid.steps(frame + 1) - 1


def to_bytes(pixels: Tensor) -> Tensor:
    """Pixels in -1..1 to uint8 on CPU, rounded. Overwrites them: at 1080p every copy of a frame counts."""
    return pixels.float().add_(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8).cpu()
