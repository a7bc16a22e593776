"""The causal video decoder: linear inverse plus what a network adds, one latent step at a time.

A step sees its own latent and the two before, nothing later, so that a stream of latents decodes as it arrives. The
trunk works once a step at low resolution; the head works frame by frame, so that memory does not grow with length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model.config import VideoConfig
from ..model.ops import Ops
from .motion import halfway

HISTORY = 3
# The trunk has this many cells along each side of a latent cell; the head doubles it, pixel shuffle does the rest.
TRUNK_SCALE = 4
# Frames of base size that the head sees of each output frame: itself, the one before, and the one after.
GUIDES = 3


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
        self.look = ops.Conv2d(3 * GUIDES, head, 3, padding=1, **factory)
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
        nn.init.zeros_(self.look.weight)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def features(self, latents: Tensor) -> Tensor:
        """Features `[N, frames, head, 4h, 4w]` of a step, from `[N, 3C, h, w]`."""
        x = F.pixel_shuffle(self.enter(latents), 2)
        x = F.pixel_shuffle(self.widen(F.silu(x)), 2)
        for block in self.trunk:
            x = block(x)
        return self.split(F.silu(x)).unflatten(1, (self.frames, -1))

    def details(self, features: Tensor, guides: Tensor) -> Tensor:
        """Pixels `[N, 3, H, W]` to add to the upsampled base frames, from `[N, head, 4h, 4w]` and `[N, 9, 8h, 8w]`."""
        x = F.pixel_shuffle(self.grow(features), 2).add_(self.look(guides.to(features.dtype)))
        for block in self.head:
            x = block(x)
        return F.pixel_shuffle(self.out(F.silu(x)), self.shuffle)


@dataclass(frozen=True)
class Guides:
    """What the linear inverse says of a step of 2f frames: every second one, `base [N, 3, f + 1, h, w]`, which begins
    with the frame before, and by interpolation those between."""

    base: Tensor

    def of(self, frames: slice) -> Tensor:
        """What the head sees of some frames `[N, 9, n, h, w]`: each, and the base frames before and after."""
        ends = self.base[:, :, :-1], self.base[:, :, 1:]
        before, after = (end.repeat_interleave(2, dim=2)[:, :, frames] for end in ends)
        shown, between = after.clone(), slice(frames.start % 2, None, 2)
        pair = [x[:, :, between].transpose(1, 2).flatten(0, 1) for x in (before, after)]
        if len(pair[0]):
            shown[:, :, between] = halfway(*pair).unflatten(0, (len(shown), -1)).transpose(1, 2)
        return torch.cat((shown, before, after), dim=1)
