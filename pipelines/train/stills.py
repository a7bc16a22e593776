"""Training of the part of the detector that looks at single frames."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import world
from ..clock import Grid
from ..model.config import CONFIGS, Config
from .checkpoint import load_averaged
from .config import RunConfig, at_least, parse_options
from .data import Bucket, ClipPool, Shard, cell_truths
from .detector import CELL, SCENE, Stills
from .joint import load_codec
from .task import Batch, Forward, Values, seed_of

# Noise of training frames, at most: a generator's pictures are not as clean as rendered ones.
NOISE = 0.05


@dataclass(frozen=True, kw_only=True)
class DetectorOptions:
    """What both runs of the detector read from their configuration.

    `shards` of one `bucket`, with so many `clips`, are read from `pool` and rendered when missing; `init` is an older
    detector.
    """

    codec: str
    init: str = ""
    pool: str = "runs/pool"
    pool_seed: int = 0
    bucket: str = "7x8x14"
    shards: int = 32
    clips: int = 64
    compile_renderer: bool = False

    def __post_init__(self) -> None:
        at_least(1, shards=self.shards, clips=self.clips)


@dataclass(frozen=True, kw_only=True)
class StillsOptions(DetectorOptions):
    """Those, and clips in a batch."""

    batch: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, batch=self.batch)


class DetectorClips:
    """Clips of the pool as the frozen codec gives them back, and their labels."""

    def __init__(self, config: Config, o: DetectorOptions) -> None:
        self.shards, self.bucket = o.shards, Bucket.parse(o.bucket)
        self.codec = load_codec(config, Path(o.codec))
        self.pool = ClipPool(Path(o.pool), self.codec, seed=o.pool_seed, clips=o.clips, fast=o.compile_renderer)

    @functools.lru_cache(maxsize=1024)  # noqa: B019 - one task a process, and the shards are small
    def shard(self, index: int) -> Shard:
        return self.pool.shard(self.bucket, index)

    def frames(self, index: int, picked: Tensor, generator: torch.Generator) -> Tensor:
        """Base frames `[n, f, 3, h, w]` of some clips of a shard, a little noisy."""
        base = self.codec.video.decode_base(self.shard(index).video[picked].float()).transpose(1, 2)
        level = NOISE * torch.rand(len(picked), 1, 1, 1, 1, generator=generator)
        return base + level * torch.randn(base.shape, generator=generator)

    @functools.lru_cache(maxsize=1024)  # noqa: B019 - one task a process
    def labels(self, index: int) -> dict[str, Tensor]:
        """Labels of the clips of a shard, and the classes of the cells of the detector's map."""
        grid, finer = self.codec.grid, self.codec.grid.base_cell // CELL
        fine = replace(self.bucket, rows=self.bucket.rows * finer, columns=self.bucket.columns * finer)
        groups = []
        for scenes in self.pool.scenes(self.bucket, index):
            colour, shape = cell_truths(grid, fine, scenes)[0][:, :2].unbind(1)
            groups.append({**world.labels(scenes), "cell-colour": colour, "cell-shape": shape})
        return {name: torch.cat([group[name] for group in groups]) for name in groups[0]}


class StillsTask:
    """Cross-entropy of the cells and of the scene, on the frame in the middle of each latent step."""

    name = "stills"
    words = ()

    def __init__(self, run: RunConfig) -> None:
        self.run, self.options = run, parse_options(StillsOptions, run)
        self.clips = DetectorClips(CONFIGS[run.model], self.options)

    def model(self) -> Stills:
        torch.manual_seed(self.run.seed)
        stills = Stills()
        if self.options.init:
            stills.load_state_dict(known_weights(Path(self.options.init), stills, "stills."))
        return stills

    def batch(self, step: int, rank: int, ranks: int) -> Batch:
        g = torch.Generator().manual_seed(seed_of(self.run.seed, step, rank, ranks))
        index = int(torch.randint(0, self.clips.shards, (), generator=g))
        labels = self.clips.labels(index)
        picked = torch.randperm(len(labels["sky"]), generator=g)[: self.options.batch]
        frames = self.clips.frames(index, picked, g)
        middle = middle_frames(self.clips.codec.grid, frames.shape[1])
        wanted = {name: labels[name][picked] for name in (*SCENE, "cell-colour", "cell-shape")}
        return {"frames": frames[:, middle], **wanted}

    def loss(self, forward: Forward, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Values]:
        reading = forward(batch["frames"].to(getattr(forward, "dtype", torch.float32)))
        losses = {name: F.cross_entropy(score.float(), batch[name]) for name, score in reading.scene.items()}
        right = {name: _share_right(score, batch[name]) for name, score in reading.scene.items()}
        for name, score in reading.cells.items():
            score, wanted = score.float().transpose(1, 2), batch[f"cell-{name}"].long()
            there = wanted > 0
            each = F.cross_entropy(score, wanted, reduction="none")
            # Most cells show no object: what the others show must not drown in them.
            losses[f"cell-{name}"] = 3 * each.mean() + (each * there).sum() / there.sum().clamp_min(1)
            right[f"cell-{name}"] = float(((score.argmax(1) == wanted) & there).sum() / there.sum().clamp_min(1))
        return torch.stack(list(losses.values())).sum(), right

    def sheet(self, model: nn.Module, folder: Path, step: int) -> None:
        """Nothing to see: the accuracies are in the log."""


def known_weights(path: Path, module: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    """State of `module` with what an older detector has of the same name, with `prefix` or without, and shape.

    A detector of a world with fewer things has smaller heads: these start afresh. Raises ValueError where nothing fits.
    """
    fresh = module.state_dict()
    older = {key.removeprefix(prefix): value for key, value in load_averaged(path).items()}
    known = {key: value for key, value in older.items() if key in fresh and value.shape == fresh[key].shape}
    if not known:
        raise ValueError(f"{path} holds nothing of a detector: name the last.safetensors of stills, or a detector.")
    return fresh | known


def middle_frames(grid: Grid, frames: int) -> list[int]:
    """The base frame nearest to the middle of each latent step, for `frames` base frames."""
    stride = grid.temporal // grid.base_stride
    return [0, *range((stride + 1) // 2, frames, stride)]


def _share_right(score: Tensor, wanted: Tensor) -> float:
    return float((score.argmax(-1) == wanted).float().mean())
