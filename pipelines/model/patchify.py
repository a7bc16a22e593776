"""Latents to tokens and back."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor


def patchify_video(latent: Tensor, patch: int) -> Tensor:
    """`[B, C, T, H, W]` to tokens `[B, T * H/p * W/p, C * p * p]`; raises ValueError when p does not divide."""
    height, width = latent.shape[-2:]
    if height % patch or width % patch:
        raise ValueError(
            f"Latent height and width must be multiples of {patch}; got {height} x {width}. "
            "Use a size that Empty Picture and Sound makes."
        )
    return rearrange(latent, "b c t (h p) (w q) -> b (t h w) (c p q)", p=patch, q=patch)


def unpatchify_video(tokens: Tensor, size: tuple[int, int, int], patch: int) -> Tensor:
    """Inverse of `patchify_video` for a latent of `size` (T, H, W)."""
    steps, height, width = size
    return rearrange(
        tokens, "b (t h w) (c p q) -> b c t (h p) (w q)", t=steps, h=height // patch, w=width // patch, p=patch, q=patch
    )


def patchify_audio(latent: Tensor) -> Tensor:
    """`[B, C, T']` to tokens `[B, T', C]`."""
    return rearrange(latent, "b c t -> b t c")


def unpatchify_audio(tokens: Tensor) -> Tensor:
    """`[B, T', C]` to `[B, C, T']`."""
    return rearrange(tokens, "b t c -> b c t")
