"""The causal video decoder: linear inverse plus what a network adds, one latent step at a time.

A step sees its own latent and the two before, nothing later, so that a stream of latents decodes as it arrives. The
trunk works once a step at low resolution; the head works frame by frame, so that memory does not grow with length.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model.config import VideoConfig
from ..model.ops import Ops

HISTORY = 3
# The trunk has this many cells along each side of a latent cell; the head doubles it, pixel shuffle does the rest.
TRUNK_SCALE = 4


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around SiLU; the second starts at zero."""

    def __init__(self, width: int, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.first = ops.Conv2d(width, width, 3, padding=1, **factory)
        self.second = ops.Conv2d(width, width, 3, padding=1, **factory)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))


class VideoDecoder(nn.Module):
    """From three latents `[N, 3C, h, w]`, oldest first, to the detail of the newest step's frames."""

    def __init__(self, config: VideoConfig, frames: int, pixels: int, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.frames = frames
        self.shuffle = pixels // (2 * TRUNK_SCALE)
        trunk, head = config.width, config.head_width
        self.enter = ops.Conv2d(HISTORY * config.channels, 4 * trunk, 3, padding=1, **factory)
        self.widen = ops.Conv2d(trunk, 4 * trunk, 3, padding=1, **factory)
        self.trunk = nn.ModuleList(ResidualBlock(trunk, ops, **factory) for _ in range(config.depth))
        self.split = ops.Conv2d(trunk, frames * head, 3, padding=1, **factory)
        self.grow = ops.Conv2d(head, 4 * head, 3, padding=1, **factory)
        self.head = nn.ModuleList(ResidualBlock(head, ops, **factory) for _ in range(2))
        self.out = ops.Conv2d(head, 3 * self.shuffle**2, 3, padding=1, **factory)

    def reset_parameters(self) -> None:
        """Initialise for training; the network then adds nothing to the linear inverse."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
                nn.init.zeros_(module.bias)
        for block in (*self.trunk, *self.head):
            nn.init.zeros_(block.second.weight)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def features(self, latents: Tensor) -> Tensor:
        """Features `[N, frames, head, 4h, 4w]` of a step, from `[N, 3C, h, w]`."""
        x = F.pixel_shuffle(self.enter(latents), 2)
        x = F.pixel_shuffle(self.widen(F.silu(x)), 2)
        for block in self.trunk:
            x = block(x)
        return self.split(F.silu(x)).unflatten(1, (self.frames, -1))

    def details(self, features: Tensor) -> Tensor:
        """Pixels `[N, 3, H, W]` to add to the upsampled base frames, from `[N, head, 4h, 4w]`."""
        x = F.pixel_shuffle(self.grow(features), 2)
        for block in self.head:
            x = block(x)
        return F.pixel_shuffle(self.out(F.silu(x)), self.shuffle)


def between(previous: Tensor, base: Tensor) -> Tensor:
    """Twice as many frames `[N, 3, 2f, h, w]`, interpolated from `base [N, 3, f, h, w]` and the frame before."""
    earlier = torch.cat((previous[:, :, None], base[:, :, :-1]), dim=2)
    return torch.stack(((earlier + base) / 2, base), dim=3).flatten(2, 3)
