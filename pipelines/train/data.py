"""Encoded clips of the procedural world, kept in shards on disk and rendered when first needed.

A shard is a pure function of (pool seed, bucket, index), so a pool can be deleted, filled by another process
beforehand, or continued, and training sees the same clips.
"""

from __future__ import annotations

import functools
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from .. import world
from ..clock import Grid
from ..vae.audio import AudioAutoencoder
from ..vae.video import VideoAutoencoder
from .cuts import under_another_sky
from .task import seed_of

log = logging.getLogger(__name__)

CAPTIONS_PER_CLIP = 4
RENDER_BATCH = 8
# What is known of the object in a latent cell.
CELL_LABELS = ("colour", "shape", "action", "direction")


@dataclass(frozen=True)
class Bucket:
    """A latent size that batches are made of: steps, rows and columns."""

    name: str
    steps: int
    rows: int
    columns: int

    @classmethod
    def parse(cls, name: str) -> Bucket:
        """From `steps x rows x columns`, for example `7x8x14`."""
        try:
            steps, rows, columns = (int(part) for part in name.split("x"))
        except ValueError as error:
            raise ValueError(f"A bucket is steps x rows x columns, for example 7x8x14; got {name!r}.") from error
        return cls(name, steps, rows, columns)


@dataclass(frozen=True)
class Shard:
    """Latents `video [N, C, T, H, W]`, `audio [N, C, T']` and N lists of captions.

    `classes [N, 4, T, H, W]` and `moments [N, 4, T, H, W]` tell of the object in each latent cell (`cell_truths`);
    `labels` are those of the scenes and of their first objects, `[N]` by name.
    """

    video: Tensor
    audio: Tensor
    captions: list[list[str]]
    classes: Tensor
    moments: Tensor
    labels: dict[str, Tensor]


@dataclass(frozen=True)
class Codec:
    """The frozen encoders and the grid that they work on."""

    grid: Grid
    video: VideoAutoencoder
    audio: AudioAutoencoder


class ClipPool:
    """Shards of encoded clips in `folder`, rendered on demand."""

    def __init__(self, folder: Path, codec: Codec, *, seed: int = 0, clips: int = 64, fast: bool = False) -> None:
        self.folder, self.codec, self.seed, self.clips, self.fast = folder, codec, seed, clips, fast

    def path(self, bucket: Bucket, index: int, twin: bool = False) -> Path:
        return self.folder / f"{bucket.name}-{self.seed}-{index:05d}{'-twin' if twin else ''}.safetensors"

    @functools.lru_cache(maxsize=1024)  # noqa: B019 - one pool a process, and the shards are small
    def shard(self, bucket: Bucket, index: int, twin: bool = False) -> Shard:
        """A shard from disk, or rendered now and kept; its twin shows the same scenes under other skies."""
        path = self.path(bucket, index, twin)
        if not path.is_file():
            log.info("rendering %s", path.name)
            self._write(path, *self._render(bucket, index, twin))
        with safe_open(path, framework="pt") as file:
            captions = json.loads(file.metadata()["captions"])
            self._check(path, captions, bucket, index, twin)
            return Shard(file.get_tensor("video"), file.get_tensor("audio"), captions, *self._truths(bucket, index))

    @torch.no_grad()
    def _render(self, bucket: Bucket, index: int, twin: bool) -> tuple[Tensor, Tensor, list[list[str]]]:
        """Render and encode the clips of one shard."""
        videos, audios, captions = [], [], []
        for count, seed in self._groups(bucket, index):
            scenes = clip_scenes(self.codec.grid, bucket, count, seed)
            scenes = under_another_sky(scenes) if twin else scenes
            base, wave, texts = render_clips(self.codec.grid, bucket, scenes, seed, self.fast)
            videos.append(self.codec.video.encode_base(base * 2 - 1).half())
            audios.append(self.codec.audio.encode(wave).half())
            captions += texts
        return torch.cat(videos), torch.cat(audios), captions

    def scenes(self, bucket: Bucket, index: int) -> list[world.Scenes]:
        """The scenes of a shard, in the groups that it was rendered in."""
        return [clip_scenes(self.codec.grid, bucket, count, seed) for count, seed in self._groups(bucket, index)]

    def _check(self, path: Path, captions: list[list[str]], bucket: Bucket, index: int, twin: bool) -> None:
        """Raise ValueError for a shard that was rendered from other scenes: its classes would be wrong."""
        count, seed = self._groups(bucket, index)[0]
        scenes = clip_scenes(self.codec.grid, bucket, count, seed)
        expected = clip_captions(under_another_sky(scenes) if twin else scenes, seed)
        if len(captions) != self.clips or captions[:count] != expected:
            raise ValueError(
                f"{path} was rendered for another world, or with other settings. Delete it, and what is beside it."
            )

    def _truths(self, bucket: Bucket, index: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """What is true of the cells of a shard, and what its clips show."""
        groups = self.scenes(bucket, index)
        classes, moments = zip(*(cell_truths(self.codec.grid, bucket, scenes) for scenes in groups), strict=True)
        told = [world.labels(scenes) for scenes in groups]
        labels = {name: torch.cat([one[name] for one in told]) for name in told[0] if name != "sound"}
        firsts = {name: value if value.ndim == 1 else value[:, 0] for name, value in labels.items()}
        return torch.cat(classes), torch.cat(moments), firsts

    def _groups(self, bucket: Bucket, index: int) -> list[tuple[int, int]]:
        """Size and seed of each group of scenes of a shard."""
        return [
            (
                min(RENDER_BATCH, self.clips - start),
                seed_of(self.seed, index, start, bucket.steps, bucket.rows, bucket.columns),
            )
            for start in range(0, self.clips, RENDER_BATCH)
        ]

    def _write(self, path: Path, video: Tensor, audio: Tensor, captions: list[list[str]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        tensors = {"video": video.contiguous(), "audio": audio.contiguous()}
        save_file(tensors, partial, {"captions": json.dumps(captions)})
        os.replace(partial, path)


def render_clips(
    grid: Grid, bucket: Bucket, scenes: world.Scenes, seed: int, fast: bool = False
) -> tuple[Tensor, Tensor, list[list[str]]]:
    """Base video `[N, 3, F, H, W]` in 0..1, sound `[N, 1, S]` and the captions of scenes of a bucket's shape."""
    frames = grid.frames(bucket.steps)
    motion = world.simulate(scenes)
    times = base_times(grid, bucket.steps)
    size = (bucket.rows * grid.base_cell, bucket.columns * grid.base_cell)
    base = world.render(scenes, motion, times, *size, samples=2, fast=fast).transpose(1, 2)
    wave = world.synthesise(scenes, motion, grid.samples(frames), grid.sample_rate)[:, None]
    return base, wave, clip_captions(scenes, seed)


def clip_captions(scenes: world.Scenes, seed: int) -> list[list[str]]:
    """The captions of each scene, several ways to say it."""
    variants = [world.captions(scenes, seed=seed_of(seed, k)) for k in range(CAPTIONS_PER_CLIP)]
    return [list(texts) for texts in zip(*variants, strict=True)]


def cell_truths(grid: Grid, bucket: Bucket, scenes: world.Scenes) -> tuple[Tensor, Tensor]:
    """Of the object in each latent cell: `CELL_LABELS` and how far its event is on at each base frame of the step.

    Classes `[N, 4, T, H, W]` uint8 are those of `world.LABEL_NAMES` plus 1, 0 = no object. Moments
    `[N, frames, T, H, W]` float16 are 0..1 (`Motion.moments`). A step is looked at in its middle, and the first step is
    one frame, with which its moments are filled.
    """
    times, stride = base_times(grid, bucket.steps), grid.temporal // grid.base_stride
    steps = torch.cat((times[:1].expand(1, stride), times[1:].unflatten(0, (-1, stride))))
    motion = world.simulate(scenes)
    seen = world.object_map(scenes, motion, steps.mean(1), bucket.rows, bucket.columns)
    shown = (seen[..., None] == torch.arange(world.MAX_OBJECTS)).float()
    known = torch.stack([getattr(scenes, name) for name in CELL_LABELS], 1) + 1.0
    moments = motion.moments(steps.flatten()).unflatten(1, steps.shape)
    return (
        torch.einsum("nthwo,nlo->nlthw", shown, known).to(torch.uint8),
        torch.einsum("nthwo,ntfo->nfthw", shown, moments).half(),
    )


def clip_scenes(grid: Grid, bucket: Bucket, count: int, seed: int) -> world.Scenes:
    """Random scenes of a bucket's length and shape."""
    seconds = grid.frames(bucket.steps) / float(grid.fps)
    return world.sample_scenes(count, seed=seed, seconds=seconds, aspect=bucket.columns / bucket.rows)


def base_times(grid: Grid, steps: int) -> Tensor:
    """Seconds of the base frames: every second output frame."""
    return torch.arange(0, grid.frames(steps), grid.base_stride) / float(grid.fps)
