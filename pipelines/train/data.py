"""Encoded clips of the procedural world, kept in shards on disk and rendered when first needed.

A shard is a pure function of (pool seed, bucket, index), so a pool can be deleted, filled by another process
beforehand, or continued, and training sees the same clips.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from .. import world
from ..clock import Grid
from ..vae.audio import AudioAutoencoder
from ..vae.video import VideoAutoencoder
from ..weights.checkpoint import digest_of, opened, write_tensors
from .cuts import under_another_sky
from .fill import wait_for
from .task import seed_of

CAPTIONS_PER_CLIP = 4
RENDER_BATCH = 8
# Begins the names of labels in a shard's file.
LABEL = "label."
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

    @functools.cached_property
    def digest(self) -> str:
        """The hash of its tensors: a codec reads nothing in the latents of another."""
        parts = {"video.codec": self.video.codec, "audio.codec": self.audio.codec}
        return digest_of({f"{k}.{name}": x.cpu() for k, part in parts.items() for name, x in part.state_dict().items()})

    @property
    def device(self) -> torch.device:
        return self.video.codec.mean.device


class ClipPool:
    """Shards of encoded clips in `folder`, rendered on demand, or with `wait` by another process."""

    def __init__(
        self, folder: Path, codec: Codec, *, seed: int = 0, clips: int = 64, fast: bool = False, wait: bool = False
    ) -> None:
        self.folder, self.codec, self.seed, self.clips, self.fast, self.wait = folder, codec, seed, clips, fast, wait

    def path(self, bucket: Bucket, index: int, twin: bool = False) -> Path:
        return self.folder / f"{bucket.name}-{self.seed}-{index:05d}{'-twin' if twin else ''}.safetensors"

    def shard(self, bucket: Bucket, index: int, twin: bool = False) -> Shard:
        """A shard from disk, or rendered now and kept; its twin shows the same scenes under other skies."""
        path = self.path(bucket, index, twin)
        if self.wait:
            wait_for(path)
        elif not path.is_file():
            self.render(bucket, index, twin)
        with opened(path) as file:
            told, parts = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}
        labels = {name.removeprefix(LABEL): parts.pop(name) for name in list(parts) if name.startswith(LABEL)}
        if parts.keys() | {"captions", "labels"} != {field.name for field in fields(Shard)}:
            raise ValueError(f"{path} was written by an older version. Delete it, and what is beside it.")
        if told.get("codec", self.codec.digest) != self.codec.digest:
            raise ValueError(f"{path} was encoded by another codec. Name that one, or another options.pool=FOLDER.")
        shard = Shard(captions=json.loads(told.get("captions", "[]")), labels=labels, **parts)
        self._check(path, shard, bucket, index, twin)
        return shard

    @torch.no_grad()
    def render(self, bucket: Bucket, index: int, twin: bool = False) -> None:
        """Render and encode the clips of one shard, and keep them."""
        grid, originals = self.codec.grid, self.scenes(bucket, index)
        batches = [under_another_sky(scenes) for scenes in originals] if twin else originals
        # Pictures all at once, which an accelerator wants; sounds have noise of their own in each group.
        base = render_frames(grid, bucket, world.Scenes.joined(batches), self.fast, self.codec.device)
        wave = torch.cat([render_sound(grid, bucket, scenes) for scenes in batches])
        whole = world.Scenes.joined(originals)
        classes, moments = cell_truths(grid, bucket, whole)
        parts = {
            "video": self.codec.video.encode_base(base * 2 - 1).half().cpu(),
            "audio": self.codec.audio.encode(wave.to(self.codec.device)).half().cpu(),
            "classes": classes,
            "moments": moments,
        }
        parts |= {LABEL + name: value for name, value in clip_labels(whole).items()}
        captions = json.dumps(self._captions(bucket, index, originals, twin))
        metadata = {"captions": captions, "codec": self.codec.digest}
        write_tensors(self.path(bucket, index, twin), {k: part.contiguous() for k, part in parts.items()}, metadata)

    def scenes(self, bucket: Bucket, index: int) -> list[world.Scenes]:
        """The scenes of a shard, in the groups that it was rendered in."""
        return [clip_scenes(self.codec.grid, bucket, count, seed) for count, seed in self._groups(bucket, index)]

    def _check(self, path: Path, shard: Shard, bucket: Bucket, index: int, twin: bool) -> None:
        """Raise ValueError for a shard of other scenes, by their captions and labels: its classes would be wrong."""
        scenes = self.scenes(bucket, index)
        labels = clip_labels(world.Scenes.joined(scenes))
        same = shard.labels.keys() == labels.keys() and all(torch.equal(shard.labels[k], labels[k]) for k in labels)
        if not same or shard.captions != self._captions(bucket, index, scenes, twin):
            raise ValueError(
                f"{path} was rendered for another world, or with other settings. Delete it, and what is beside it."
            )

    def _captions(self, bucket: Bucket, index: int, originals: list[world.Scenes], twin: bool) -> list[list[str]]:
        told = [under_another_sky(scenes) if twin else scenes for scenes in originals]
        groups = zip(told, self._groups(bucket, index), strict=True)
        return [captions for scenes, (_, seed) in groups for captions in clip_captions(scenes, seed)]

    def _groups(self, bucket: Bucket, index: int) -> list[tuple[int, int]]:
        """Size and seed of each group of scenes of a shard."""
        return [
            (
                min(RENDER_BATCH, self.clips - start),
                seed_of(self.seed, index, start, bucket.steps, bucket.rows, bucket.columns),
            )
            for start in range(0, self.clips, RENDER_BATCH)
        ]


def render_frames(
    grid: Grid, bucket: Bucket, scenes: world.Scenes, fast: bool = False, device: torch.device | str = "cpu"
) -> Tensor:
    """Base video `[N, 3, F, H, W]` in 0..1 of scenes of a bucket's shape, rendered on `device`."""
    size = (bucket.rows * grid.base_cell, bucket.columns * grid.base_cell)
    motion, times = world.simulate(scenes), base_times(grid, bucket.steps)
    return world.render(scenes, motion, times, *size, samples=2, fast=fast, device=device).transpose(1, 2)


def render_sound(grid: Grid, bucket: Bucket, scenes: world.Scenes) -> Tensor:
    """The sound `[N, 1, S]` of scenes of a bucket's length."""
    samples = grid.samples(grid.frames(bucket.steps))
    return world.synthesise(scenes, world.simulate(scenes), samples, grid.sample_rate)[:, None]


def clip_captions(scenes: world.Scenes, seed: int) -> list[list[str]]:
    """The captions of each scene, several ways to say it."""
    variants = [world.captions(scenes, seed=seed_of(seed, k)) for k in range(CAPTIONS_PER_CLIP)]
    return [list(texts) for texts in zip(*variants, strict=True)]


def clip_labels(scenes: world.Scenes) -> dict[str, Tensor]:
    """Labels `[N]` of scenes and of their first objects, by name; sounds may be several at once, and are left out."""
    told = {name: value for name, value in world.labels(scenes).items() if name != "sound"}
    return {name: value if value.ndim == 1 else value[:, 0].contiguous() for name, value in told.items()}


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
