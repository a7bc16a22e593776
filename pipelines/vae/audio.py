"""The audio autoencoder: waveform to latents through a log-mel spectrogram, and back through a vocoder."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..clock import Grid
from ..model.config import AudioConfig
from ..model.ops import TORCH, Ops
from .causal import CausalCodec
from .linear import LinearCodec
from .mel import log_mel, mel_filters
from .vocoder import Vocoder


class AudioAutoencoder(nn.Module):
    """Mono sound `[B, 1, S]` at the grid's sample rate to latents `[B, C, T']` and back.

    Latent j covers samples `stride * j .. stride * (j + 1) - 1`; shorter sound is padded with silence.
    """

    def __init__(
        self,
        config: AudioConfig,
        grid: Grid,
        ops: Ops = TORCH,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.config, self.grid = config, grid
        size = grid.hops_per_latent * config.mels
        self.codec: LinearCodec | CausalCodec
        if config.encoder == "klt":
            self.codec = LinearCodec((grid.hops_per_latent, config.mels), config.channels, device)
        else:
            learned: dict[str, Any] = {"dtype": dtype, "device": device}
            self.codec = CausalCodec(size, config.channels, config.width, config.depth // 2 or 1, 0, ops, **learned)
        filters = mel_filters(config.mels, config.fft, grid.sample_rate).to(device)
        self.register_buffer("filters", filters, persistent=False)
        self.vocoder = Vocoder(config, grid.hop, filters, ops, dtype=dtype, device=device)

    def mel(self, wave: Tensor) -> Tensor:
        """Log-mel `[B, mels, frames]`; the sound is padded to whole latents."""
        if wave.ndim != 3 or wave.shape[1] != 1:
            raise ValueError(f"The audio encoder takes mono sound [B, 1, samples]; got {list(wave.shape)}.")
        padding = -wave.shape[-1] % self.grid.audio_stride
        return log_mel(F.pad(wave[:, 0].float(), (0, padding)), self.filters.to(wave.device).float(), self.grid.hop)

    def encode(self, wave: Tensor) -> Tensor:
        """Latents `[B, C, ceil(S / stride)]` of `wave [B, 1, S]`."""
        blocks = rearrange(self.mel(wave), "b m (t i) -> b t (i m)", i=self.grid.hops_per_latent)
        return rearrange(self.codec.encode(blocks), "b t c -> b c t")

    def decode_mel(self, latent: Tensor) -> Tensor:
        """Log-mel `[B, mels, frames]` of latents."""
        blocks = self.codec.decode(rearrange(latent, "b c t -> b t c"))
        return rearrange(blocks, "b t (i m) -> b m (t i)", i=self.grid.hops_per_latent)

    def decode(self, latent: Tensor) -> Tensor:
        """Waveform `[B, 1, T' * stride]` of latents `[B, C, T']`."""
        if latent.ndim != 3 or latent.shape[1] != self.config.channels:
            raise ValueError(f"The audio decoder takes [B, {self.config.channels}, steps]; got {list(latent.shape)}.")
        if not latent.isfinite().all():
            raise ValueError("The audio latent holds NaN or infinity. Sample it again, with a lower guidance scale.")
        return self.vocoder(self.decode_mel(latent))[:, None].clamp(-1, 1)
