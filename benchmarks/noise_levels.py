"""What the transformer makes of each noise level: how wrong its clean estimate is, and how much more so with a caption
that is wrong in one word. Where the noisy latent itself is less wrong, the estimate loses detail.

python benchmarks/noise_levels.py [WEIGHTS]
"""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path

import torch
from report import write
from torch import Tensor

from kinetophone.pipelines import world
from kinetophone.pipelines.generate import encode_text
from kinetophone.pipelines.train.data import Bucket, base_times, clip_scenes
from kinetophone.pipelines.types import TextContext
from kinetophone.pipelines.weights.load import Models, load_models
from kinetophone.pipelines.world.scene import ROLL, STILL

MINI = Path(__file__).parents[1] / "pipelines" / "weights" / "mini" / "mini.safetensors"
BUCKET, DRAWN, SEED = Bucket.parse("7x8x14"), 400, 777
LEVELS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.65, 0.8, 0.87, 0.93, 0.96, 0.98, 1.0)


def rolling(models: Models) -> world.Scenes:
    """Scenes in which one object rolls before a still camera."""
    scenes = clip_scenes(models.config.grid, BUCKET, DRAWN, SEED)
    kept = (scenes.action[:, 0] == ROLL) & (scenes.present.sum(1) == 1) & (scenes.camera == 0)
    values = {f.name: getattr(scenes, f.name) for f in fields(scenes)}
    return world.Scenes(**{name: value[kept] if isinstance(value, Tensor) else value for name, value in values.items()})


def wrong(scenes: world.Scenes) -> dict[str, world.Scenes]:
    """The same scenes as captions would describe them that are wrong in one thing."""
    moves = scenes.direction > 0
    return {
        "direction": replace(scenes, direction=torch.where(moves, 3 - scenes.direction, scenes.direction)),
        "action": replace(scenes, action=torch.full_like(scenes.action, STILL)),
        "shape": replace(scenes, shape=(scenes.shape + 1) % 4),
        "colour": replace(scenes, colour=(scenes.colour + 3) % 10),
        "ground": replace(scenes, ground=(scenes.ground + 1) % 6),
    }


@torch.inference_mode()
def main() -> None:
    models = load_models(Path(sys.argv[1]) if len(sys.argv) > 1 else MINI)
    grid, scenes = models.config.grid, rolling(models)
    motion = world.simulate(scenes)
    size = (BUCKET.rows * grid.base_cell, BUCKET.columns * grid.base_cell)
    frames = world.render(scenes, motion, base_times(grid, BUCKET.steps), *size) * 2 - 1
    wave = world.synthesise(scenes, motion, grid.samples(grid.frames(BUCKET.steps)), grid.sample_rate)
    video, audio = models.video.encode_base(frames.transpose(1, 2)), models.audio.encode(wave[:, None])
    captioned = {"": scenes, **wrong(scenes)}
    texts = {name: world.captions(scene, seed=5, form="dense") for name, scene in captioned.items()}
    contexts = {name: TextContext.concatenate(*(encode_text(models, t) for t in said)) for name, said in texts.items()}
    generator, dtype, rows = torch.Generator().manual_seed(0), next(models.dit.parameters()).dtype, []
    noises = [torch.randn(clean.shape, generator=generator) for clean in (video, audio)]
    for level in LEVELS:
        sigma = torch.full((len(video),), level)
        noisy = [torch.lerp(clean, noise, level) for clean, noise in zip((video, audio), noises, strict=True)]
        errors = {}
        for name, context in contexts.items():
            context = replace(context, tokens=context.tokens.to(dtype))
            velocity, _ = models.dit(*(x.to(dtype) for x in noisy), sigma, sigma, context)
            errors[name] = float((noisy[0] - velocity.float() * level - video).square().mean())
        told = ", ".join(f"{name} +{100 * (error / errors[''] - 1):.0f} %" for name, error in errors.items() if name)
        alone = f", of the noisy latent {(level / (1 - level)) ** 2:.3f}" if level <= 0.5 else ""
        rows.append((f"level {level:g}: error {errors['']:.3f}{alone}; wrong caption", told, ""))
    write("noise_levels", rows, f"{len(video)} clips in which one object rolls before a still camera.")


if __name__ == "__main__":
    main()
