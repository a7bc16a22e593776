"""Log-mel spectrograms, in torch alone. Frame i is centred on sample `hop * i + hop / 2`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Amplitudes below this are silence; a lower floor would spend the latents on inaudible noise.
FLOOR = 1e-4


def mel_filters(mels: int, fft: int, rate: int) -> Tensor:
    """Triangular filters `[mels, fft / 2 + 1]` with unit peaks, evenly spaced on the mel scale (O'Shaughnessy 1987)."""
    top = 2595 * torch.log10(torch.tensor(1 + rate / 2 / 700, dtype=torch.float64))
    edges = 700 * (10 ** (torch.linspace(0, 1, mels + 2, dtype=torch.float64) * top / 2595) - 1)
    # Narrow low filters would fall between bins: no filter is narrower than the spacing of the bins.
    spacing = rate / fft
    bins = torch.arange(fft // 2 + 1, dtype=torch.float64) * spacing
    rise = torch.maximum(edges[1:-1] - edges[:-2], torch.tensor(spacing))[:, None]
    fall = torch.maximum(edges[2:] - edges[1:-1], torch.tensor(spacing))[:, None]
    offset = bins - edges[1:-1, None]
    return torch.where(offset < 0, 1 + offset / rise, 1 - offset / fall).clamp_min(0).float()


def spectrum(wave: Tensor, fft: int, hop: int) -> Tensor:
    """Complex spectrogram `[B, fft / 2 + 1, S / hop]` of `wave [B, S]`; S must be a multiple of `hop`."""
    if wave.shape[-1] % hop:
        raise ValueError(f"The sound must be a multiple of {hop} samples long; got {wave.shape[-1]}.")
    margin = (fft - hop) // 2
    padded = F.pad(wave, (margin, margin))
    window = torch.hann_window(fft, device=wave.device)
    return torch.stft(padded, fft, hop, window=window, center=False, return_complex=True)


def inverse_spectrum(spectrogram: Tensor, hop: int) -> Tensor:
    """Waveform `[B, S]` of a spectrogram made by `spectrum` (weighted overlap-add)."""
    fft = 2 * (spectrogram.shape[1] - 1)
    window = torch.hann_window(fft, device=spectrogram.device)
    frames = torch.fft.irfft(spectrogram, fft, dim=1) * window[:, None]
    length = (frames.shape[-1] - 1) * hop + fft
    margin = (fft - hop) // 2

    def overlap(columns: Tensor) -> Tensor:
        return F.fold(columns, (1, length), (1, fft), stride=(1, hop))[:, 0, 0, margin : length - margin]

    energy = overlap((window**2)[None, :, None].expand(1, fft, frames.shape[-1]))
    return overlap(frames) / energy.clamp_min(1e-6)


def log_mel(wave: Tensor, filters: Tensor, hop: int) -> Tensor:
    """Natural log of mel amplitudes `[B, mels, S / hop]`, never below log(1e-4)."""
    fft = 2 * (filters.shape[1] - 1)
    return (filters @ spectrum(wave, fft, hop).abs()).clamp_min(FLOOR).log()
