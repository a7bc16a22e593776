"""Fit the linear codecs on renders of the world and write them as one safetensors file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor

from ..model.config import Config
from ..vae.audio import AudioAutoencoder
from ..vae.linear import LinearCodec
from ..vae.video import VideoAutoencoder
from ..weights.checkpoint import write_tensors
from .data import Bucket, clip_scenes, render_frames, render_sound

log = logging.getLogger(__name__)

FIT_BUCKETS = ("7x8x14", "7x10x10", "7x14x8")
BATCHES = 8
SEED = 90210


def fit_codec(config: Config, path: Path, fast: bool = False) -> None:
    """Fit on all sizes and weathers together, report the error on held-out clips, and save.

    `fast` compiles the renderer.
    """
    video, audio = VideoAutoencoder(config.video, config.grid), AudioAutoencoder(config.audio, config.grid)
    pixels, mels = [], []
    for base, wave in _all_clips(config, fast):
        pixels.append(_video_blocks(base, config))
        mels.append(rearrange(audio.mel(wave), "b m (t i) -> (b t) (i m)", i=config.grid.hops_per_latent))
    video.codec.fit(torch.cat(pixels))
    audio.codec.fit(torch.cat(mels))
    _report(config, video, audio)
    tensors = {f"video.codec.{k}": v for k, v in video.codec.state_dict().items()}
    tensors |= {f"audio.codec.{k}": v for k, v in audio.codec.state_dict().items()}
    write_tensors(path, tensors)


def extend_codec(config: Config, narrow: LinearCodec, fast: bool = False) -> LinearCodec:
    """The picture's linear codec of `config`, whose first channels are those of `narrow`; renders as `fit_codec`."""
    video = VideoAutoencoder(config.video, config.grid)
    video.codec.extend(narrow, torch.cat([_video_blocks(base, config) for base, _ in _all_clips(config, fast)]))
    return video.codec


def _all_clips(config: Config, fast: bool) -> Iterator[tuple[Tensor, Tensor]]:
    """Base video in -1..1 and sound to fit on."""
    for index in range(BATCHES):
        for number, name in enumerate(FIT_BUCKETS):
            base, wave = _clips(config, name, 6, SEED + 10 * index + number, fast)
            yield base * 2 - 1, wave


def _video_blocks(base: Tensor, config: Config) -> Tensor:
    n, p = config.video.frames, config.video.block
    still = base[:, :, :1].repeat_interleave(n, dim=2)
    whole = torch.cat((still, base[:, :, 1:]), dim=2)
    blocks = rearrange(whole, "b c (t n) (h p) (w q) -> (b t h w) (c n p q)", n=n, p=p, q=p)
    return blocks[torch.randperm(len(blocks), generator=torch.Generator().manual_seed(0))[:4000]]


def _report(config: Config, video: VideoAutoencoder, audio: AudioAutoencoder) -> None:
    base, wave = _clips(config, FIT_BUCKETS[0], 16, SEED - 1)
    latent = video.encode_base(base * 2 - 1)
    again = (video.decode_base(latent) / 2 + 0.5).clamp(0, 1)
    psnr = -10 * (again - base).square().mean((1, 2, 3, 4)).log10()
    sound = audio.encode(wave)
    error = (audio.decode_mel(sound) - audio.mel(wave)).square().mean().sqrt() * 8.686
    log.info("video: %.2f dB mean, %.2f dB worst, latent deviation %.3f", psnr.mean(), psnr.min(), latent.std())
    log.info("audio: %.2f dB log-mel error, latent deviation %.3f", error, sound.std())


def _clips(config: Config, name: str, count: int, seed: int, fast: bool = False) -> tuple[Tensor, Tensor]:
    """Base video in 0..1 and sound of `count` scenes of a bucket."""
    bucket = Bucket.parse(name)
    scenes = clip_scenes(config.grid, bucket, count, seed)
    return render_frames(config.grid, bucket, scenes, fast), render_sound(config.grid, bucket, scenes)
