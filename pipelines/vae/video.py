"""The video autoencoder: pixels to latents through a smaller base video, and back through a causal decoder."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..clock import Grid
from ..model.config import VideoConfig
from ..model.ops import TORCH, Ops
from .linear import LinearCodec


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
        self.codec = LinearCodec((3, config.frames, config.block, config.block), config.channels, device)

    def encode(self, pixels: Tensor) -> Tensor:
        """Latents of a video at output size and rate; frames must be 8k+1 and sides multiples of 32."""
        _check_pixels(pixels, self.grid.spatial, self.grid.temporal)
        base = pixels[:, :, :: self.grid.base_stride].float()
        frames = rearrange(base, "b c f h w -> (b f) c h w")
        small = F.avg_pool2d(frames, self.config.upscale)
        return self.encode_base(rearrange(small, "(b f) c h w -> b c f h w", b=len(pixels)))

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
        n, p = self.config.frames, self.config.block
        blocks = self.codec.decode(rearrange(latent, "b c t h w -> b t h w c"))
        base = rearrange(blocks, "b t h w (c n p q) -> b c (t n) (h p) (w q)", c=3, n=n, p=p, q=p)
        return torch.cat((base[:, :, :n].mean(2, keepdim=True), base[:, :, n:]), dim=2)


def _check_pixels(pixels: Tensor, side: int, temporal: int) -> None:
    if pixels.ndim != 5 or pixels.shape[1] != 3:
        raise ValueError(f"The video encoder takes [B, 3, frames, height, width]; got {list(pixels.shape)}.")
    frames, height, width = pixels.shape[2:]
    if (frames - 1) % temporal:
        raise ValueError(f"The video must have {temporal} k + 1 frames; got {frames}.")
    if height % side or width % side:
        raise ValueError(f"Height and width must be multiples of {side}; got {height} x {width}.")
