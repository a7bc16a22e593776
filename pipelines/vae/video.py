"""The video autoencoder: pixels to latents through a smaller base video, and back through a causal decoder."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..clock import Grid
from ..model.config import VideoConfig
from ..model.ops import TORCH, Ops
from .causal import CausalCodec
from .decoder import HISTORY, Guides, VideoDecoder
from .linear import LinearCodec

# Pixels that the head makes at once: larger frames come in smaller groups, so that memory stays bounded.
GROUP_PIXELS = 1 << 21


class VideoAutoencoder(nn.Module):
    """Video `[B, 3, F, H, W]` in -1..1 at output size and rate to latents `[B, C, T, H/32, W/32]` and back.

    The first latent step is one frame, coded as a still block; every other step is `grid.temporal` frames.
    """

    def __init__(
        self,
        config: VideoConfig,
        grid: Grid,
        ops: Ops = TORCH,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.config, self.grid = config, grid
        axes = (3, config.frames, config.block, config.block)
        self.codec: LinearCodec | CausalCodec
        if config.encoder == "klt":
            self.codec = LinearCodec(axes, config.channels, device)
        else:
            learned: dict[str, Any] = {"dtype": dtype, "device": device}
            self.codec = CausalCodec(
                math.prod(axes), config.channels, config.width, config.depth // 2 or 1, 1, ops, **learned
            )
        self.decoder = VideoDecoder(config, grid.temporal, grid.spatial, ops, dtype=dtype, device=device)

    def encode(self, pixels: Tensor) -> Tensor:
        """Latents of a video at output size and rate; frames must be 8k+1 and sides multiples of 32."""
        _check_pixels(pixels, self.grid.spatial, self.grid.temporal)
        return self.encode_base(self.base(pixels[:, :, :: self.grid.base_stride]))

    def base(self, pixels: Tensor) -> Tensor:
        """Frames `[B, 3, f, H, W]` at base size."""
        frames = rearrange(pixels.float(), "b c f h w -> (b f) c h w")
        return rearrange(F.avg_pool2d(frames, self.config.upscale), "(b f) c h w -> b c f h w", b=len(pixels))

    def encode_base(self, base: Tensor) -> Tensor:
        """Latents of a base video `[B, 3, 4k+1, h, w]` in -1..1."""
        n, p = self.config.frames, self.config.block
        _check_pixels(base, p, n)
        still = base[:, :, :1].repeat_interleave(n, dim=2)
        blocks = rearrange(
            torch.cat((still, base[:, :, 1:]), dim=2), "b c (t n) (h p) (w q) -> b t h w (c n p q)", n=n, p=p, q=p
        )
        return rearrange(self.codec.encode(blocks), "b t h w c -> b c t h w")

    def decode_base(self, latent: Tensor) -> Tensor:
        """The base video `[B, 3, 4k+1, h, w]` that the linear inverse gives."""
        n, base = self.config.frames, self._blocks(latent)
        return torch.cat((base[:, :, :n].mean(2, keepdim=True), base[:, :, n:]), dim=2)

    def decode(self, latent: Tensor) -> Tensor:
        """The video `[B, 3, F, H, W]`, about -1..1: all that `decode_frames` yields."""
        return torch.cat(list(self.decode_frames(latent)), dim=2)

    def decode_frames(self, latent: Tensor, first: int = 0) -> Iterator[Tensor]:
        """Yield the video `[B, 3, n, H, W]` a few frames at a time, from latent step `first` on."""
        check_latent(latent, self.config.channels)
        for step in range(first, latent.shape[2]):
            window = self._window(latent, step)
            features = self.decoder.features(window.flatten(1, 2).to(self._dtype))
            known = self._guides(window)
            wanted = range(self.grid.temporal) if step else range(self.grid.temporal - 1, self.grid.temporal)
            for frames in self._groups(wanted, window):
                yield self._render(features[:, frames], known.of(frames))

    def reconstruct(self, latent: Tensor) -> Tensor:
        """`decode` with all steps in one batch: more memory, better for training; equal up to rounding."""
        steps = latent.shape[2]
        windows = torch.stack([self._window(latent, step) for step in range(steps)], dim=1).flatten(0, 1)
        features = self.decoder.features(windows.flatten(1, 2).to(self._dtype))
        known = self._guides(windows).of(slice(0, self.grid.temporal))
        frames = self._render(features, known).unflatten(0, (-1, steps))
        first, rest = frames[:, 0, :, -1:], frames[:, 1:].transpose(1, 2).flatten(2, 3)
        return torch.cat((first, rest), dim=2)

    def _blocks(self, latent: Tensor) -> Tensor:
        """Linear inverse `[B, 3, 4T, h, w]`, the first step as its still block."""
        n, p = self.config.frames, self.config.block
        blocks = self.codec.decode(rearrange(latent, "b c t h w -> b t h w c"))
        return rearrange(blocks, "b t h w (c n p q) -> b c (t n) (h p) (w q)", c=3, n=n, p=p, q=p)

    @property
    def _dtype(self) -> torch.dtype:
        return self.decoder.enter.weight.dtype

    def _window(self, latent: Tensor, step: int) -> Tensor:
        """The latents that a step sees `[B, 3, C, h, w]`, oldest first; zeros stand before the start."""
        seen = latent[:, :, max(0, step + 1 - HISTORY) : step + 1].transpose(1, 2)
        return F.pad(seen, (0, 0, 0, 0, 0, 0, HISTORY - seen.shape[1], 0))

    def _guides(self, window: Tensor) -> Guides:
        """What the linear inverse says of the newest latent."""
        return Guides(self._blocks(window[:, -2:].transpose(1, 2))[:, :, self.config.frames - 1 :])

    def _render(self, features: Tensor, known: Tensor) -> Tensor:
        """Frames `[B, 3, n, H, W]` of features `[B, n, ...]` and what is known of them `[B, 9, n, h, w]`."""
        count = features.shape[1]
        seen = known.transpose(1, 2).flatten(0, 1)
        large = F.interpolate(seen[:, :3], scale_factor=self.config.upscale, mode="bilinear", align_corners=False)
        # In place: at 1080p every copy of a frame counts.
        pixels = large.add_(self.decoder.details(features.flatten(0, 1), seen))
        return pixels.unflatten(0, (-1, count)).transpose(1, 2)

    def _groups(self, frames: range, window: Tensor) -> Iterator[slice]:
        pixels = window.shape[0] * window.shape[-1] * window.shape[-2] * self.grid.spatial**2
        size = max(1, GROUP_PIXELS // pixels)
        for start in range(frames.start, frames.stop, size):
            yield slice(start, min(start + size, frames.stop))


def check_latent(latent: Tensor, channels: int) -> None:
    """Refuse what is not a finite video latent `[B, channels, T, h, w]`."""
    if latent.ndim != 5 or latent.shape[1] != channels:
        raise ValueError(f"The video decoder takes [B, {channels}, steps, height, width]; got {list(latent.shape)}.")
    if not latent.isfinite().all():
        raise ValueError("The video latent holds NaN or infinity. Sample it again, with a lower guidance scale.")


def _check_pixels(pixels: Tensor, side: int, temporal: int) -> None:
    if pixels.ndim != 5 or pixels.shape[1] != 3:
        raise ValueError(f"The video encoder takes [B, 3, frames, height, width]; got {list(pixels.shape)}.")
    frames, height, width = pixels.shape[2:]
    if (frames - 1) % temporal:
        raise ValueError(f"The video must have {temporal} k + 1 frames; got {frames}.")
    if height % side or width % side:
        raise ValueError(f"Height and width must be multiples of {side}; got {height} x {width}.")
