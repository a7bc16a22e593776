"""What the video autoencoder gives back of held-out clips: PSNR of the base video, and at full size and rate, and what
is lost there by coding, by enlarging, and by making every second frame.

python benchmarks/reconstruction.py [WEIGHTS]
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from report import write

from kinetophone.pipelines import world
from kinetophone.pipelines.train.data import Bucket, clip_scenes
from kinetophone.pipelines.weights.load import load_models

MINI = Path(__file__).parents[1] / "pipelines" / "weights" / "mini" / "mini.safetensors"
# Half a second of each: the renderer is what takes long.
BUCKET, CLIPS, SEED = Bucket.parse("3x8x14"), 16, 20_261_126


@torch.inference_mode()
def main() -> None:
    models = load_models(Path(sys.argv[1]) if len(sys.argv) > 1 else MINI)
    grid, video = models.config.grid, models.video
    height, width = BUCKET.rows * grid.spatial, BUCKET.columns * grid.spatial
    times = 0.5 + torch.arange(grid.frames(BUCKET.steps)) / float(grid.fps)
    base, full, coded, between, enlarged = [], [], [], [], []
    for index in range(CLIPS):
        scenes = clip_scenes(grid, BUCKET, 1, SEED + index)
        pixels = world.render(scenes, world.simulate(scenes), times, height, width).transpose(1, 2) * 2 - 1
        made = video.decode(video.encode(pixels)).float().clamp(-1, 1)
        full.append(psnr(made, pixels))
        coded.append(psnr(made[:, :, :: grid.base_stride], pixels[:, :, :: grid.base_stride]))
        between.append(psnr(made[:, :, 1 :: grid.base_stride], pixels[:, :, 1 :: grid.base_stride]))
        small = video.base(pixels)
        base.append(psnr(video.base(made[:, :, :: grid.base_stride]), small[:, :, :: grid.base_stride]))
        enlarged.append(psnr(larger(small, height, width), pixels))
    rows = [
        ("base video, 112 x 64, 12 frames a second, mean", f"{statistics.mean(base):.1f} dB", "33 dB"),
        ("base video, worst clip", f"{min(base):.1f} dB", ""),
        ("448 x 256, 24 frames a second, mean", f"{statistics.mean(full):.1f} dB", "30 dB"),
        ("448 x 256, worst clip", f"{min(full):.1f} dB", ""),
        ("448 x 256, frames that are coded, mean", f"{statistics.mean(coded):.1f} dB", ""),
        ("448 x 256, frames between these, mean", f"{statistics.mean(between):.1f} dB", ""),
        ("all frames at base size, uncoded, enlarged (bicubic), mean", f"{statistics.mean(enlarged):.1f} dB", ""),
    ]
    write("reconstruction", rows, f"{CLIPS} held-out clips of half a second, encoded and decoded.")


def larger(frames: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """A video `[B, C, T, h, w]` at another size."""
    large = F.interpolate(frames.transpose(1, 2).flatten(0, 1), (height, width), mode="bicubic")
    return large.unflatten(0, (len(frames), -1)).transpose(1, 2)


def psnr(made: torch.Tensor, wanted: torch.Tensor) -> float:
    """Of values in -1..1."""
    return float(-10 * torch.log10((made - wanted).square().mean() / 4))


if __name__ == "__main__":
    main()
