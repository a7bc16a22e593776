"""A detector of what a clip shows and sounds like, trained on the world alone and never on generated clips."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import world
from ..clock import Grid
from ..model.config import CONFIGS
from .checkpoint import load_averaged
from .config import RunConfig
from .data import Bucket, ClipPool, cell_classes
from .joint import load_codec
from .task import Batch, Forward, seed_of

SCENE = ("sky", "ground", "weather")
ACTS = ("shape", "action", "direction")
WIDTH = 96
# Pixels of the base video in a cell of the detector's map: an edge must be seen to tell a cone from a cylinder.
CELL = 4
# Frames at both ends of a clip between which an object is seen to have gone somewhere.
ENDS = 4
# The picture is looked at for its flow in so many rows and columns of regions.
REGIONS = (4, 6)
# Squared slope of light below which a region is too plain to tell how it moves.
PLAIN = 1e-4


@dataclass(frozen=True)
class Reading:
    """What the detector sees in `B` clips of `f` frames.

    `cells` maps colour and shape to scores `[B, f, classes + 1, H, W]` (0 = no object), `scene` maps a label to scores
    `[B, classes]`, `features [B, f, C, H, W]`.
    """

    cells: dict[str, Tensor]
    scene: dict[str, Tensor]
    features: Tensor

    def presence(self, colour: Tensor) -> Tensor:
        """Probability `[B, f, H, W]` that a cell shows an object of class `colour [B]`."""
        return self.cells["colour"].softmax(2)[torch.arange(len(colour)), :, colour + 1]


@dataclass(frozen=True)
class Track:
    """One object over time: `x`, `y` (down) in 0..1, `area` in cells, all `[B, f]`; scores of what it does."""

    x: Tensor
    y: Tensor
    area: Tensor
    acts: dict[str, Tensor]


def _classes(name: str) -> int:
    return len(world.LABEL_NAMES[name])


class Detector(nn.Module):
    """Dense classes a cell, scene classes, camera move, tracks of objects by colour, and classes of sound.

    Shape, action and direction are read along the track of an object: what it looks like on average, and where it goes.
    """

    def __init__(self, mels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 48, 5, 2, 2), nn.SiLU(), nn.Conv2d(48, WIDTH, 3, 2, 1))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(8, WIDTH), nn.SiLU(), nn.Conv2d(WIDTH, WIDTH, 3, padding=dilation, dilation=dilation)
            )
            for dilation in (1, 2, 4, 1, 2)
        )
        self.cells = nn.ModuleDict({name: nn.Conv2d(WIDTH, _classes(name) + 1, 1) for name in ("colour", "shape")})
        self.scene = nn.ModuleDict({name: nn.Linear(2 * WIDTH, _classes(name)) for name in SCENE})
        self.camera = nn.Sequential(
            nn.Linear(4 * REGIONS[0] * REGIONS[1], WIDTH), nn.SiLU(), nn.Linear(WIDTH, _classes("camera"))
        )
        self.track = nn.Sequential(
            nn.Conv1d(WIDTH + 8, WIDTH, 5, padding=2), nn.SiLU(), nn.Conv1d(WIDTH, WIDTH, 5, padding=2), nn.SiLU()
        )
        # Where the camera goes, everything seems to go the other way; where an object ends up says where it goes.
        known = 2 * WIDTH + _classes("camera") + 4
        self.acts = nn.ModuleDict({name: nn.Linear(known, _classes(name)) for name in ACTS})
        self.sound = nn.Sequential(
            nn.Conv1d(mels, WIDTH, 5, padding=2), nn.SiLU(), nn.Conv1d(WIDTH, WIDTH, 5, 2, 2), nn.SiLU(),
            nn.Conv1d(WIDTH, WIDTH, 5, 2, 2), nn.SiLU(),
        )  # fmt: skip
        self.sound_out = nn.Linear(2 * WIDTH, _classes("sound"))

    def forward(self, frames: Tensor, mel: Tensor, colour: Tensor) -> tuple[Reading, Track, Tensor]:
        """Reading, track of the object of class `colour [B]`, and sound scores `[B, classes]`.

        `frames [B, f, 3, h, w]` in -1..1 at base size and rate, `mel [B, mels, n]` natural log.
        """
        reading = self.see(frames)
        return reading, self.follow(reading, frames, colour), self.hear(mel)

    def see(self, frames: Tensor) -> Reading:
        """All that stills and pairs of them tell."""
        count = frames.shape[1]
        x = self.stem(frames.flatten(0, 1))
        for block in self.blocks:
            x = x + block(x)
        x = F.silu(x)
        cells = {name: head(x).unflatten(0, (-1, count)) for name, head in self.cells.items()}
        pooled = torch.cat((x.mean((2, 3)), x.amax((2, 3))), 1).unflatten(0, (-1, count)).mean(1)
        features = x.unflatten(0, (-1, count))
        scene = {name: head(pooled) for name, head in self.scene.items()}
        scene["camera"] = self.camera(region_flow(frames).to(frames.dtype))
        return Reading(cells, scene, features)

    def follow(self, reading: Reading, frames: Tensor, colour: Tensor) -> Track:
        """The object of class `colour [B]` through time."""
        presence = reading.presence(colour).float()
        rows, columns = presence.shape[2:]
        area = presence.sum((2, 3))
        share = presence / area.clamp_min(1e-3)[..., None, None]
        y = (share * ((torch.arange(rows, device=share.device) + 0.5) / rows)[:, None]).sum((2, 3))
        x = (share * ((torch.arange(columns, device=share.device) + 0.5) / columns)).sum((2, 3))
        looks = (reading.features.float() * share[:, :, None]).sum((3, 4))
        light = F.avg_pool2d(frames.flatten(0, 1).float().mean(1, keepdim=True), CELL).unflatten(0, (-1, len(area[0])))
        bright = (light[:, :, 0] * share).sum((2, 3))
        states = torch.stack((x * 4, y * 4, area.clamp_min(0.1).log(), bright * 2), 2)
        rates = 5 * states.diff(dim=1, prepend=states[:, :1])
        series = torch.cat((looks, states, rates), 2)
        hidden = self.track(series.transpose(1, 2).to(frames.dtype))
        went = 3 * (states[:, -ENDS:].mean(1) - states[:, :ENDS].mean(1))
        pooled = torch.cat(
            (hidden.mean(2), hidden.amax(2), reading.scene["camera"].softmax(1), went.to(hidden.dtype)), 1
        )
        return Track(x, y, area, {name: head(pooled) for name, head in self.acts.items()})

    def hear(self, mel: Tensor) -> Tensor:
        """Scores of each class of sound, above 0 where it is heard."""
        hidden = self.sound(mel / 4 + 1)
        return self.sound_out(torch.cat((hidden.mean(2), hidden.amax(2)), 1))


def region_flow(frames: Tensor) -> Tensor:
    """How the regions of a clip `[B, f, 3, h, w]` move, pixels a frame: `[B, 4 * rows * columns]`, mean and median.

    Least squares on the slopes of light (Lucas and Kanade, IJCAI 1981): a camera moves all regions, an object few.
    """
    grey = F.avg_pool2d(frames.float().mean(2), 3, 1, 1)
    middle = (grey[:, 1:] + grey[:, :-1]) / 2
    later = grey.diff(dim=1)[..., 1:-1, 1:-1]
    along = (middle[..., 1:-1, 2:] - middle[..., 1:-1, :-2]) / 2
    down = (middle[..., 2:, 1:-1] - middle[..., :-2, 1:-1]) / 2
    products = torch.stack((along * along, along * down, down * down, along * later, down * later))
    xx, xy, yy, xt, yt = F.adaptive_avg_pool2d(products.flatten(0, 1), REGIONS).unflatten(0, products.shape[:2])
    xx, yy = xx + PLAIN, yy + PLAIN
    flow = torch.stack((xy * yt - yy * xt, xy * xt - xx * yt)) / (xx * yy - xy * xy)
    flow = flow.clamp(-4, 4).movedim(0, 2).flatten(2)
    return torch.cat((flow.mean(1), flow.median(1).values), 1)


class DetectorTask:
    """Cross-entropy of every label on clips of the pool, as the frozen codec gives them back."""

    name = "detector"

    def __init__(self, run: RunConfig) -> None:
        self.run, self.config = run, CONFIGS[run.model]
        self.count = int(run.options.get("batch", 16))
        self.shards = int(run.options.get("shards", 32))
        self.bucket = Bucket.parse(run.options.get("bucket", "7x8x14"))
        self.codec = load_codec(self.config, Path(run.options["codec"]))
        folder, clips = Path(run.options.get("pool", "runs/pool")), int(run.options.get("clips", 64))
        self.pool = ClipPool(folder, self.codec, seed=run.seed, clips=clips)

    def model(self) -> Detector:
        torch.manual_seed(self.run.seed)
        detector = Detector(self.config.audio.mels)
        if init := self.run.options.get("init"):
            # A detector of a world with fewer things has smaller heads: these start afresh.
            fresh = detector.state_dict()
            known = {k: v for k, v in load_averaged(Path(init)).items() if k in fresh and v.shape == fresh[k].shape}
            detector.load_state_dict(fresh | known)
        return detector

    def batch(self, step: int, rank: int, ranks: int) -> Batch:
        g = torch.Generator().manual_seed(seed_of(self.run.seed, step, rank, ranks))
        index = int(torch.randint(0, self.shards, (), generator=g))
        shard = self.pool.shard(self.bucket, index)
        picked = torch.randperm(len(shard.captions), generator=g)[: self.count]
        truth = self._truth(index)
        wanted = {name: value[picked] for name, value in truth.items()}
        base = self.codec.video.decode_base(shard.video[picked].float()).transpose(1, 2)
        slot = torch.randint(0, world.MAX_OBJECTS, (len(picked),), generator=g) % wanted["count"]
        for name in ("colour", *ACTS):
            wanted[name] = wanted[name].gather(1, slot[:, None])[:, 0]
        return {
            "frames": base + 0.05 * torch.randn(base.shape, generator=g),
            "mel": self.codec.audio.decode_mel(shard.audio[picked].float()),
            **{name: wanted[name] for name in ("cell-colour", "cell-shape")},
            **{name: wanted[name] for name in (*SCENE, "camera", "colour", *ACTS, "sound")},
        }

    @functools.lru_cache(maxsize=1024)  # noqa: B019 - one task a process
    def _truth(self, index: int) -> dict[str, Tensor]:
        """Labels of the clips of a shard, and the classes of the cells of the detector's map."""
        grid, finer = self.codec.grid, self.codec.grid.base_cell // CELL
        fine = replace(self.bucket, rows=self.bucket.rows * finer, columns=self.bucket.columns * finer)
        groups = []
        for scenes in self.pool.scenes(self.bucket, index):
            colour, shape = cell_classes(grid, fine, scenes)
            groups.append({**world.labels(scenes), "cell-colour": colour, "cell-shape": shape})
        return {name: torch.cat([group[name] for group in groups]) for name in groups[0]}

    def loss(self, forward: Forward, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        dtype = getattr(forward, "dtype", torch.float32)
        reading, track, sound = forward(batch["frames"].to(dtype), batch["mel"].to(dtype), batch["colour"])
        scores = {**reading.scene, **track.acts}
        # Few objects go anywhere, and a detector that says of all that they do not would be right most of the time.
        weights = {"direction": torch.tensor([0.4, 1.0, 1.0], device=track.x.device)}
        losses = {
            name: F.cross_entropy(score.float(), batch[name], weights.get(name)) for name, score in scores.items()
        }
        middle = middle_frames(self.codec.grid, reading.features.shape[1])
        for name, score in reading.cells.items():
            # A frame of the base video may stand for the step that it is in the middle of.
            seen = score[:, middle].float().transpose(1, 2)
            losses[f"cell-{name}"] = 3 * F.cross_entropy(seen, batch[f"cell-{name}"].long())
        losses["sound"] = 2 * F.binary_cross_entropy_with_logits(sound.float(), batch["sound"].float())
        right = {name: float((score.argmax(-1) == batch[name]).float().mean()) for name, score in scores.items()}
        return torch.stack(list(losses.values())).sum(), {
            **right, "cells": float(losses["cell-colour"].detach()), "sound": float(losses["sound"].detach())
        }  # fmt: skip

    def sheet(self, model: nn.Module, folder: Path, step: int) -> None:
        """Nothing to see: the accuracies are in the log."""


def middle_frames(grid: Grid, frames: int) -> list[int]:
    """The base frame nearest to the middle of each latent step, for `frames` base frames."""
    stride = grid.temporal // grid.base_stride
    return [0, *range((stride + 1) // 2, frames, stride)]


def load_detector(path: Path, mels: int) -> Detector:
    """A trained detector; raises ValueError where there is none."""
    if not path.is_file():
        raise ValueError(f"No detector at {path}: run `python -m kinetophone.pipelines.train detector` first.")
    detector = Detector(mels)
    detector.load_state_dict(load_averaged(path))
    return detector.eval().requires_grad_(False)
