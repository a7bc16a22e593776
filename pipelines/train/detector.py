"""A detector of what a clip shows and sounds like, trained on the world alone and never on generated clips.

`Stills` looks at frames one by one; what is read from one frame to the next, and heard, is small and comes after it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import world
from .checkpoint import load_averaged

# The one that measures all weights that land: tables of different days can be compared.
LANDED = Path(__file__).parents[2] / "benchmarks" / "detector.safetensors"
SCENE = ("sky", "ground", "weather")
ACTS = ("shape", "action", "direction")
WIDTH = 96
# What is known of an object in each frame: its looks, four states and their rates, its flow and how much it changes.
SERIES = WIDTH + 2 * 4 + 3
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
        return self.cells["colour"].softmax(2)[torch.arange(len(colour), device=colour.device), :, colour + 1]


@dataclass(frozen=True)
class Trace:
    """One object through time: `x`, `y` (down) in 0..1 and `area` in cells, all `[B, f]`, and what acts are read from.

    `series [B, SERIES, f]` is what it looks like, where it is and how it moves, `went [B, 4]` how far its states went.
    """

    x: Tensor
    y: Tensor
    area: Tensor
    series: Tensor
    went: Tensor


@dataclass(frozen=True)
class Track:
    """One object over time: `x`, `y` (down) in 0..1, `area` in cells, all `[B, f]`; scores of what it is and does."""

    x: Tensor
    y: Tensor
    area: Tensor
    acts: dict[str, Tensor]

    def cpu(self) -> Track:
        """The same on the CPU."""
        acts = {name: scores.cpu() for name, scores in self.acts.items()}
        return Track(self.x.cpu(), self.y.cpu(), self.area.cpu(), acts)


def _classes(name: str) -> int:
    return len(world.LABEL_NAMES[name])


class Stills(nn.Module):
    """What single frames tell: dense classes a cell, and the classes of the scene."""

    def __init__(self) -> None:
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

    def forward(self, frames: Tensor) -> Reading:
        """Reading of `frames [B, f, 3, h, w]` in -1..1 at base size."""
        count = frames.shape[1]
        x = self.stem(frames.flatten(0, 1))
        for block in self.blocks:
            x = x + block(x)
        x = F.silu(x)
        cells = {name: head(x).unflatten(0, (-1, count)) for name, head in self.cells.items()}
        pooled = torch.cat((x.mean((2, 3)), x.amax((2, 3))), 1).unflatten(0, (-1, count)).mean(1)
        scene = {name: head(pooled) for name, head in self.scene.items()}
        return Reading(cells, scene, x.unflatten(0, (-1, count)))


class Detector(nn.Module):
    """What `Stills` sees, the camera's move, what objects are and do along their tracks, and classes of sound."""

    def __init__(self, mels: int) -> None:
        super().__init__()
        self.stills = Stills()
        self.camera = _perceptron(4 * REGIONS[0] * REGIONS[1], _classes("camera"))
        self.track = nn.Sequential(
            nn.Conv1d(SERIES, WIDTH, 5, padding=2), nn.SiLU(), nn.Conv1d(WIDTH, WIDTH, 5, padding=2), nn.SiLU()
        )
        # Where the camera goes, everything seems to go the other way; where an object ends up says where it goes.
        known = 3 * WIDTH + _classes("camera") + 4
        self.acts = nn.ModuleDict({name: _perceptron(known, _classes(name)) for name in ACTS})
        self.sound = nn.Sequential(
            nn.Conv1d(mels, WIDTH, 5, padding=2), nn.SiLU(), nn.Conv1d(WIDTH, WIDTH, 5, 2, 2), nn.SiLU(),
            nn.Conv1d(WIDTH, WIDTH, 5, 2, 2), nn.SiLU(),
        )  # fmt: skip
        self.sound_out = nn.Linear(2 * WIDTH, _classes("sound"))

    def forward(self, series: Tensor, went: Tensor, flow: Tensor, mel: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Scores `[B, classes]` of the camera and of each act, by name, and of sound.

        `series [B, SERIES, f]` and `went [B, 4]` as in `Trace`, `flow` as from `region_flow`, `mel` as for `hear`.
        """
        camera = self.camera(flow)
        return {"camera": camera, **self._judge(series, went, camera)}, self.hear(mel)

    def see(self, frames: Tensor) -> Reading:
        """All that stills and pairs of them tell of `frames [B, f, 3, h, w]` in -1..1 at base size and rate."""
        reading = self.stills(frames)
        camera = self.camera(region_flow(frames).to(frames.dtype))
        return replace(reading, scene={**reading.scene, "camera": camera})

    def follow(self, reading: Reading, frames: Tensor, colour: Tensor) -> Track:
        """The object of class `colour [B]` through time."""
        found = trace(reading, frames, colour)
        dtype = frames.dtype
        acts = self._judge(found.series.to(dtype), found.went.to(dtype), reading.scene["camera"])
        return Track(found.x, found.y, found.area, acts)

    def hear(self, mel: Tensor) -> Tensor:
        """Scores of each class of sound, above 0 where it is heard, from `mel [B, mels, n]`, natural log."""
        hidden = self.sound(mel / 4 + 1)
        return self.sound_out(torch.cat((hidden.mean(2), hidden.amax(2)), 1))

    def _judge(self, series: Tensor, went: Tensor, camera: Tensor) -> dict[str, Tensor]:
        hidden = self.track(series)
        # How much it varies tells what turns in its place from what stands.
        pooled = torch.cat((hidden.mean(2), hidden.amax(2), hidden.std(2), camera.softmax(1), went), 1)
        return {name: head(pooled) for name, head in self.acts.items()}


def _perceptron(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, WIDTH), nn.SiLU(), nn.Linear(WIDTH, outputs))


def trace(reading: Reading, frames: Tensor, colour: Tensor) -> Trace:
    """Where the object of class `colour [B]` is in each frame, what it looks like there, and how it moves.

    `frames [B, f, 3, h, w]` in -1..1 are those of the reading.
    """
    presence = reading.presence(colour).float()
    rows, columns = presence.shape[2:]
    area = presence.sum((2, 3))
    share = presence / area.clamp_min(1e-3)[..., None, None]
    y = (share * ((torch.arange(rows, device=share.device) + 0.5) / rows)[:, None]).sum((2, 3))
    x = (share * ((torch.arange(columns, device=share.device) + 0.5) / columns)).sum((2, 3))
    looks = (reading.features.float() * share[:, :, None]).sum((3, 4))
    grey = frames.float().mean(2)
    light = (F.avg_pool2d(grey, CELL) * share).sum((2, 3))
    states = torch.stack((x * 4, y * 4, area.clamp_min(0.1).log(), light * 2), 2)
    rates = 5 * states.diff(dim=1, prepend=states[:, :1])
    series = torch.cat((looks, states, rates, _motion(grey, share)), 2).transpose(1, 2)
    return Trace(x, y, area, series, 3 * (states[:, -ENDS:].mean(1) - states[:, :ENDS].mean(1)))


def _motion(grey: Tensor, share: Tensor) -> Tensor:
    """Flow in pixels a frame to the right and down, and change of light, of an object: `[B, f, 3]`, 0 in the first.

    `grey [B, f, h, w]`, and `share [B, f, H, W]` of each cell in the object, which sums to 1 in a frame.
    """
    cells = F.avg_pool2d(F.pad(_slopes(grey), (1, 1, 1, 1)).flatten(0, 1), CELL).unflatten(0, (6, -1))
    sums = (cells * (share[:, 1:] + share[:, :-1]) / 2).sum((3, 4))
    moves = torch.stack((*_flow(sums), 5 * sums[5].sqrt()), 2)
    return F.pad(moves, (0, 0, 1, 0))


def region_flow(frames: Tensor) -> Tensor:
    """How the regions of a clip `[B, f, 3, h, w]` move, pixels a frame: `[B, 4 * rows * columns]`, mean and median.

    A camera moves all regions, an object few.
    """
    sums = F.adaptive_avg_pool2d(_slopes(frames.float().mean(2)).flatten(0, 1), REGIONS).unflatten(0, (6, -1))
    flow = torch.stack(_flow(sums)).movedim(0, 2).flatten(2)
    return torch.cat((flow.mean(1), flow.median(1).values), 1)


def _slopes(grey: Tensor) -> Tensor:
    """Products of the slopes of light along x, y and time between the frames of `grey [B, f, h, w]`.

    `[6, B, f - 1, h - 2, w - 2]`: xx, xy, yy, xt, yt, tt.
    """
    grey = F.avg_pool2d(grey, 3, 1, 1)
    middle = (grey[:, 1:] + grey[:, :-1]) / 2
    later = grey.diff(dim=1)[..., 1:-1, 1:-1]
    along = (middle[..., 1:-1, 2:] - middle[..., 1:-1, :-2]) / 2
    down = (middle[..., 2:, 1:-1] - middle[..., :-2, 1:-1]) / 2
    return torch.stack((along * along, along * down, down * down, along * later, down * later, later * later))


def _flow(sums: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels a frame to the right and down, by least squares on the slopes of light (Lucas and Kanade, IJCAI 1981).

    `sums [6, ..]` are the products of `_slopes`, summed over a region.
    """
    xx, xy, yy, xt, yt, _ = sums
    xx, yy = xx + PLAIN, yy + PLAIN
    area = xx * yy - xy * xy
    return ((xy * yt - yy * xt) / area).clamp(-4, 4), ((xy * xt - xx * yt) / area).clamp(-4, 4)


def load_detector(path: Path, mels: int) -> Detector:
    """A trained detector; raises ValueError where there is none, or one for a world with other things in it."""
    if not path.is_file():
        raise ValueError(f"No detector at {path}: run `python -m kinetophone.pipelines.train detector` first.")
    detector = Detector(mels)
    try:
        detector.load_state_dict(load_averaged(path))
    except RuntimeError as error:
        raise ValueError(f"{path} is no detector, or knows another world: train one on this world first.") from error
    return detector.eval().requires_grad_(False)
