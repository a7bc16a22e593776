"""The vocoder: log-mel spectrogram to waveform.

A small ConvNeXt (arXiv 2201.03545, in one dimension after Vocos, arXiv 2306.00814) restores the magnitudes that the mel
filters blurred; phases come from fast Griffin-Lim (Perraudin et al. 2013), started from each bin's own frequency, so
that the same latents always sound the same.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model.config import AudioConfig
from ..model.ops import Ops
from .mel import FLOOR, inverse_spectrum, spectrum

ITERATIONS = 24
MOMENTUM = 0.9


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution over time, then a pointwise two-layer network, `[B, width, frames]`."""

    def __init__(self, width: int, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.depthwise = ops.Conv1d(width, width, 7, padding=3, groups=width, **factory)
        self.norm = ops.LayerNorm(width, eps=1e-6, **factory)
        self.up = ops.Linear(width, 3 * width, **factory)
        self.down = ops.Linear(3 * width, width, **factory)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.depthwise(x).transpose(1, 2))
        return x + self.down(F.gelu(self.up(h))).transpose(1, 2)


class Vocoder(nn.Module):
    """Log-mel `[B, mels, frames]` to waveform `[B, frames * hop]`."""

    def __init__(self, config: AudioConfig, hop: int, filters: Tensor, ops: Ops, **factory: Any) -> None:
        super().__init__()
        self.hop, self.fft = hop, config.fft
        bins = config.fft // 2 + 1
        # Spread each mel band over its bins, weighted by its filter: exact for a flat spectrum.
        spread = filters.T / filters.sum(0).clamp_min(1e-3)[:, None]
        self.register_buffer("spread", spread / filters.sum(1), persistent=False)
        self.enter = ops.Conv1d(config.mels, config.width, 7, padding=3, **factory)
        self.layers = nn.ModuleList(ConvNeXtBlock(config.width, ops, **factory) for _ in range(config.depth))
        self.norm = ops.LayerNorm(config.width, eps=1e-6, **factory)
        self.out = ops.Linear(config.width, bins, **factory)

    def reset_parameters(self) -> None:
        """Initialise for training; magnitudes are then the plain inverse of the mel filters."""
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def log_magnitude(self, mel: Tensor) -> Tensor:
        """Natural log of magnitudes `[B, bins, frames]`."""
        h = self.enter(mel.to(self.enter.weight.dtype))
        for layer in self.layers:
            h = layer(h)
        residual = self.out(self.norm(h.transpose(1, 2))).transpose(1, 2)
        spread = self.spread.to(mel.device).float()
        flat = (spread @ (mel.float().exp() - FLOOR).clamp_min(0)).clamp_min(FLOOR * 1e-2).log()
        return flat + residual.float()

    def forward(self, mel: Tensor) -> Tensor:
        magnitude = self.log_magnitude(mel).clamp_max(8).exp()
        return griffin_lim(magnitude, self.fft, self.hop)


def griffin_lim(magnitude: Tensor, fft: int, hop: int, iterations: int = ITERATIONS) -> Tensor:
    """Waveform `[B, frames * hop]` whose spectrogram has about these magnitudes `[B, bins, frames]`."""
    frames = torch.arange(magnitude.shape[-1], device=magnitude.device)
    bins = torch.arange(magnitude.shape[1], device=magnitude.device)[:, None]
    advance = 2 * math.pi * hop / fft * bins * frames
    estimate = torch.polar(magnitude, advance.expand_as(magnitude).to(magnitude.dtype))
    previous = torch.zeros_like(estimate)
    for _ in range(iterations):
        rebuilt = spectrum(inverse_spectrum(estimate, hop), fft, hop)
        pushed = rebuilt + MOMENTUM * (rebuilt - previous)
        previous = rebuilt
        estimate = magnitude * pushed / pushed.abs().clamp_min(1e-9)
    return inverse_spectrum(estimate, hop)
