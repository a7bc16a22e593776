"""Clips as the transformer remakes them, beside the originals, for a decoder that forgives its mistakes.

A token is predicted as a whole, so that what is wrong with it ends at its edges, in seams that white noise never has.
Real clips are noised part of the way and sampled back (SDEdit, arXiv 2108.01073): coarse structure stays, so that the
original is still the right answer, and the rest is the transformer's own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from tqdm import tqdm

from ..model.ops import best_cpu_dtype
from ..sampling.denoise import guided_denoiser
from ..sampling.guidance import Guidance
from ..sampling.loop import sample_euler, start
from ..sampling.noise import draw_noise
from ..sampling.schedule import flow_schedule
from ..types import AVLatent
from ..weights.checkpoint import write_tensors
from .config import RunConfig
from .joint import JointTask

STEPS = 5
# Shares of the way to noise; from further the original does not come back.
LEVELS = (0.3, 0.5, 0.65, 0.75)


@torch.no_grad()
def make_pairs(run: RunConfig, weights: Path, out: Path, batches: int = 16) -> None:
    """Write `made` and `clean` video latents `[N, C, T, H, W]`, half precision, from joint `weights`."""
    task = JointTask(replace(run, options={**run.options, "init": str(weights), "text": ""}))
    model = task.model().eval().to(task.device)
    model.dit.to(best_cpu_dtype() if task.device.type == "cpu" else torch.bfloat16)
    made, originals = [], []
    for step in tqdm(range(batches), desc="pairs"):
        batch = task.batch(step, 0, 1)
        clean = AVLatent(batch["video"], batch["audio"])
        context = model.text(batch["ids"])
        denoiser = guided_denoiser(model.dit, context, context, Guidance(1, 1))
        level = LEVELS[step % len(LEVELS)]
        noisy = start(draw_noise(clean, step).to(task.device), clean, level)
        made.append(sample_euler(denoiser, noisy, flow_schedule(STEPS, 1.0, level)).video.half().cpu())
        originals.append(clean.video.half().cpu())
    write_tensors(out, {"made": torch.cat(made), "clean": torch.cat(originals)})
