"""Training of the video decoder: from latents of the small base video back to full-size renders."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import world
from ..model.config import CONFIGS
from ..vae.video import VideoAutoencoder
from ..weights.checkpoint import opened, write_tensors
from .checkpoint import fill, load_part
from .config import RunConfig, at_least, parse_options
from .fill import unclaimed
from .joint import load_codec
from .sheet import contact_sheet
from .task import Batch, Forward, Values, seed_of, training_device

STEPS = 3
# Share of the crops that show an object: most of a picture is sky and ground.
FOCUS = 0.75
# Rows and columns of the picture in which an object is looked for.
CELLS = (32, 56)
# The transformer's latents are never perfect: the decoder learns to clean up this much error, and mostly less.
LATENT_NOISE = 0.25
# How much squared errors count beside absolute ones, which alone would forget rain.
SQUARED = 8.0


@dataclass(frozen=True)
class DecoderOptions:
    """What such a run reads from its configuration.

    There are `crops` crops of `side` pixels in the folder `pool`; a run draws batches of `batch`. It begins with the
    decoder of `init`, and `pairs` are clips as a transformer remade them (`pairs.py`).
    """

    codec: str
    init: str = ""
    pairs: str = ""
    pool: str = "runs/crops"
    batch: int = 4
    crops: int = 384
    side: int = 128
    compile_renderer: bool = False

    def __post_init__(self) -> None:
        at_least(1, batch=self.batch, crops=self.crops, side=self.side)


class DecoderModel(nn.Module):
    """Latents in, full-size frames out; only the decoder's weights are trained."""

    def __init__(self, vae: VideoAutoencoder) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latent: Tensor) -> Tensor:
        return self.vae.reconstruct(latent)


class DecoderTask:
    """L1, gradient L1, coarse L1 and squared error on crops rendered at output size and rate.

    With `pairs`, on clips that a transformer remade too. Nobody knows their full-size pictures; at base size they must
    be half-way between what the linear inverse says and the original. Asked for the original alone, whose drops fall
    elsewhere, the decoder wipes rain away; asked for the linear inverse alone, it shows every seam.
    """

    name = "decoder"
    words = ()

    def __init__(self, run: RunConfig) -> None:
        self.run, self.config = run, CONFIGS[run.model]
        self.options = o = parse_options(DecoderOptions, run)
        self.count, self.crops, self.side = o.batch, o.crops, o.side
        self.device = training_device()
        self.codec = load_codec(self.config, Path(o.codec))
        self.codec.video.to(self.device)
        self.pairs = self._read_pairs(Path(o.pairs)) if o.pairs else {}
        self._read: set[int] = set()

    def model(self) -> DecoderModel:
        torch.manual_seed(self.run.seed)
        vae = VideoAutoencoder(self.config.video, self.config.grid)
        vae.codec.load_state_dict(self.codec.video.codec.state_dict())
        vae.decoder.reset_parameters()
        if self.options.init:
            # The decoder alone: the codec is that of `options.codec`, also where the checkpoint has another.
            weights = load_part(Path(self.options.init), "vae.decoder.", "video.decoder.")
            fill(vae.decoder, weights, f"{self.options.init} has another decoder than {self.config.name}")
        return DecoderModel(vae)

    def batch(self, step: int, rank: int, ranks: int) -> Batch:
        g = torch.Generator().manual_seed(seed_of(self.run.seed, step, rank, ranks))
        pixels = self._pixels(torch.randint(0, self.crops, (self.count,), generator=g))
        latent = self.codec.video.encode(pixels)
        # Seeded unlike what picks: on a CPU a crop would always get the same noise.
        noisy = torch.Generator(self.device).manual_seed(seed_of(self.run.seed, step, rank, ranks, 1))
        level = LATENT_NOISE * torch.rand(self.count, 1, 1, 1, 1, generator=noisy, device=self.device).square()
        noise = torch.randn(latent.shape, generator=noisy, device=self.device)
        batch = {"pixels": pixels, "latent": latent + level * noise}
        return {**batch, **self._remade(g)} if self.pairs else batch

    def fill(self) -> None:
        """Render the crops that are missing; other processes may do the same."""
        paths = {self._path(index): index for index in range(self.crops)}
        for path in unclaimed(paths):
            write_tensors(path, {"pixels": self._render(paths[path])})

    def loss(self, forward: Forward, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Values]:
        made, wanted = forward(batch["latent"]).float(), batch["pixels"]
        plain, edges = _distances(made, wanted)
        coarse = F.l1_loss(F.avg_pool3d(made, (1, 4, 4)), F.avg_pool3d(wanted, (1, 4, 4)))
        squared = F.mse_loss(made, wanted)
        psnr = -10 * torch.log10(squared / 4)
        total, values = plain + edges + coarse + SQUARED * squared, {"edges": edges, "psnr": psnr}
        if "remade" in batch:
            base = self.codec.video.base(forward(batch["remade"]).float()[:, :, :: self.config.grid.base_stride])
            away, seams = _distances(base, batch["wanted"])
            total, values = total + away + seams, {**values, "away": away, "seams": seams}
        return total, {name: value.detach() for name, value in values.items()}

    def sheet(self, model: nn.Module, folder: Path, step: int) -> None:
        pixels = self._pixels(torch.arange(min(6, self.crops)))
        with torch.no_grad():
            made = model(self.codec.video.encode(pixels))
        pairs = torch.stack((pixels, made), 1).flatten(0, 1)
        contact_sheet(pairs / 2 + 0.5, folder / f"sheet-{step:06d}.png", columns=5, scale=1)

    def _read_pairs(self, path: Path) -> Batch:
        """Clips as `make_pairs` wrote them. Raises ValueError for anything else."""
        with opened(path) as file:
            if set(file.keys()) != {"made", "clean"}:
                raise ValueError(f"{path} holds no remade clips: make some with `pairs`.")
            return {name: file.get_tensor(name)[:, :, :STEPS].to(self.device) for name in file.keys()}

    def _remade(self, g: torch.Generator) -> Batch:
        """Windows of clips as a transformer remade them, and the base video wanted of each."""
        count, _, _, *size = self.pairs["made"].shape
        picked = torch.randint(0, count, (self.count,), generator=g)
        cells = self.side // self.config.grid.spatial
        down, across = (
            torch.randint(0, side - cells + 1, (self.count, 1), generator=g) + torch.arange(cells) for side in size
        )
        place = self._placed(picked[:, None, None]), ..., self._placed(down[:, :, None]), self._placed(across[:, None])
        made, clean = (self.pairs[name][place].permute(0, 3, 4, 1, 2).float() for name in ("made", "clean"))
        shown, right = (self.codec.video.decode_base(latent) for latent in (made, clean))
        return {"remade": made, "wanted": (shown + right) / 2}

    def _pixels(self, picked: Tensor) -> Tensor:
        """Crops `[N, 3, F, side, side]` in -1..1; each is read once."""
        for index in set(picked.tolist()) - self._read:
            self._pool[index].copy_(self._crop(index), non_blocking=True)
            self._read.add(index)
        return self._pool.index_select(0, self._placed(picked)).float().div_(127.5).sub_(1)

    @functools.cached_property
    def _pool(self) -> Tensor:
        """Room for all crops; a process that only fills the folder needs none."""
        shape = self.crops, 3, self.config.grid.frames(STEPS), self.side, self.side
        return torch.empty(shape, dtype=torch.uint8, device=self.device)

    def _placed(self, index: Tensor) -> Tensor:
        """An index on the training device, without waiting for it."""
        return index.to(self.device, non_blocking=True)

    def _crop(self, index: int) -> Tensor:
        """Crop `[3, F, side, side]` uint8, from its file, rendered when missing."""
        path = self._path(index)
        if not path.is_file():
            write_tensors(path, {"pixels": self._render(index)})
        with opened(path) as file:
            return file.get_tensor("pixels")

    def _path(self, index: int) -> Path:
        return Path(self.options.pool) / f"{self.side}-{self.run.seed}-{index:05d}.safetensors"

    def _render(self, index: int) -> Tensor:
        """A random window of a random scene `[3, F, side, side]`, mostly where an object is."""
        grid, seed = self.config.grid, seed_of(self.run.seed, index, self.side)
        scenes = world.sample_scenes(1, seed=seed)
        motion = world.simulate(scenes)
        g = torch.Generator().manual_seed(seed)
        times = float(torch.rand(1, generator=g)) + torch.arange(grid.frames(STEPS)) / float(grid.fps)
        size = torch.tensor([self.side / 256, self.side / 448])
        corner = torch.rand(2, generator=g) * (1 - size)
        shown = (world.object_map(scenes, motion, times[:1], *CELLS)[0, 0] >= 0).nonzero()
        if len(shown) and float(torch.rand(1, generator=g)) < FOCUS:
            middle = shown[int(torch.randint(0, len(shown), (), generator=g))] / torch.tensor(CELLS)
            corner = (middle - size / 2).clamp(torch.zeros(2), 1 - size)
        window = tuple(torch.cat((corner, corner + size)).tolist())
        frames = world.render(
            scenes, motion, times, self.side, self.side, window=window, samples=2, fast=self.options.compile_renderer,
            device=self.device,
        )  # fmt: skip
        return frames[0].transpose(0, 1).mul(255).round().byte().cpu().contiguous()


def _distances(made: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Mean absolute difference of pixels, and of their differences along time, height and width."""
    edges = torch.stack([F.l1_loss(made.diff(dim=d), wanted.diff(dim=d)) for d in (2, 3, 4)]).sum()
    return F.l1_loss(made, wanted), edges
