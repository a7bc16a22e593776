"""Starting noise."""

from __future__ import annotations

import torch

from ..types import AVLatent


def draw_noise(latent: AVLatent, seed: int) -> AVLatent:
    """Gaussian noise shaped like `latent`, float32 from one CPU generator, video first: the host draws the same."""
    generator = torch.Generator("cpu").manual_seed(seed)
    draw = [None if s is None else torch.randn(s.shape, generator=generator) for s in (latent.video, latent.audio)]
    return AVLatent(*draw)
