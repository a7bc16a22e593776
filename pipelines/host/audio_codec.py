"""What an audio VAE takes and gives, whichever it is: ours, the host's, or a model that the host passes as a VAE.

Knows rates, channels and steps; not what is encoded, nor why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from ..clip.clip import Sound
from .vae import KinetophoneAudioVAE

# What the host takes for the rate of an audio VAE that does not tell its own.
CORE_RATE = 44100


@dataclass(frozen=True)
class AudioCodec:
    """An audio VAE.

    `encode` makes latents of sound `[B, channels, samples]` at `rate`, `decode` the sound of one latent. Dimension
    `time` of a latent counts steps of `step` seconds; None where the VAE does not tell. The VAE crops sound, at both
    ends, to a multiple of `whole` samples.
    """

    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Sound]
    rate: int
    channels: int
    latent_channels: int | None
    step: Fraction | None
    time: int = -1
    whole: int = 1

    def check(self, latent: Tensor, name: str) -> None:
        """Raises ValueError for the latent of another model."""
        if self.latent_channels not in (None, latent.shape[1]):
            raise ValueError(
                f"{name} has {latent.shape[1]} channels of sound; this audio VAE has {self.latent_channels}. Connect "
                "the audio VAE of the model that made the latent."
            )


def audio_codec(vae: Any) -> AudioCodec:
    """The codec of any audio VAE. Raises ValueError for nothing, and for a VAE of pictures."""
    if isinstance(vae, KinetophoneAudioVAE):
        return _own(vae)
    if hasattr(vae, "output_sample_rate"):
        return _bare(vae)
    # The host has no other sign: every VAE of pictures has three channels or more.
    if vae is None or getattr(vae, "output_channels", 2) > 2:
        raise ValueError(f"An audio VAE is needed for the sound; got {vae_name(vae)}. Connect the model's audio VAE.")
    return _wrapped(vae)


def vae_name(vae: Any) -> str:
    """What to call a VAE in an error."""
    model = getattr(vae, "first_stage_model", vae)
    return "nothing" if model is None else type(model).__name__


def _own(vae: KinetophoneAudioVAE) -> AudioCodec:
    grid = vae.first_stage_model.grid
    return AudioCodec(
        encode=lambda wave: vae.encode_sound(wave, vae.rate),
        decode=vae.decode_sound,
        rate=vae.rate,
        channels=1,
        latent_channels=vae.latent_channels,
        step=1 / grid.audio_rate,
    )


def _wrapped(vae: Any) -> AudioCodec:
    """The host's own VAE class, which takes and gives `[B, samples, channels]`."""
    rate = int(getattr(vae, "audio_sample_rate", CORE_RATE))
    ratio = getattr(vae, "downscale_ratio", None)
    # MMAudio's is 1411.2 samples.
    step = Fraction(ratio).limit_denominator(1000) / rate if isinstance(ratio, int | float) else None
    model, time = getattr(vae, "first_stage_model", None), -1
    if hasattr(model, "latents_per_second"):
        # LTX-2 has its spectrum in the last dimension, and a ratio that is not the length of a step.
        step, time = 1 / Fraction(model.latents_per_second), 2

    def decode(latent: Tensor) -> Sound:
        with torch.inference_mode():
            wave = vae.decode(latent)
        return Sound(wave[0].movedim(-1, 0).float().cpu(), int(getattr(vae, "audio_sample_rate_output", rate)))

    return AudioCodec(
        encode=lambda wave: vae.encode(wave.movedim(1, -1)),
        decode=decode,
        rate=rate,
        channels=getattr(vae, "output_channels", 2),
        latent_channels=getattr(vae, "latent_channels", None),
        step=step,
        time=time,
        whole=ratio if isinstance(ratio, int) and getattr(vae, "crop_input", True) else 1,
    )


def _bare(vae: Any) -> AudioCodec:
    """LTX-2's model as hosts from 0.8 on passed it: takes the host's AUDIO, gives `[B, channels, samples]`."""

    def decode(latent: Tensor) -> Sound:
        with torch.inference_mode():
            wave = vae.decode(latent)
        return Sound(wave[0].float().cpu(), int(vae.output_sample_rate))

    return AudioCodec(
        encode=lambda wave: vae.encode({"waveform": wave, "sample_rate": vae.sample_rate}),
        decode=decode,
        rate=vae.sample_rate,
        channels=2,
        latent_channels=vae.latent_channels,
        step=1 / Fraction(vae.latents_per_second),
        time=2,
    )
