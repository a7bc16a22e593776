"""Our autoencoders as the host's VAE, so that its nodes decode, encode and tile with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import comfy.model_management
import comfy.sd
import torch
from torch import Tensor, nn

from ..clip.clip import Sound
from ..clip.decode import decoded_frames
from ..clip.sound import resample
from ..clock import Grid
from ..vae.audio import AudioAutoencoder
from ..vae.video import VideoAutoencoder
from .compat import core_audio_rate, patcher_class

# Activations of one step of the streaming decoder, in bytes per output pixel (benchmarks/decode_save).
BYTES_PER_PIXEL = 260


class _HostVAE(comfy.sd.VAE):
    """The host's VAE with another model inside: its constructor sets what this version knows, then we replace."""

    def adopt(self, model: nn.Module, **attributes: Any) -> None:
        super().__init__(sd={"pixel_space_vae": torch.tensor(1.0)})
        for name, value in attributes.items():
            setattr(self, name, value)
        self.device = comfy.model_management.vae_device()
        self.vae_dtype = torch.float32
        self.first_stage_model = model.eval().requires_grad_(False)
        patcher = patcher_class()
        self.patcher = patcher(
            self.first_stage_model,
            load_device=self.device,
            offload_device=comfy.model_management.vae_offload_device(),
        )
        self.size = None
        self.model_size()

    def ready(self, memory: float = 0) -> nn.Module:
        """The model on its device."""
        comfy.model_management.load_models_gpu([self.patcher], memory_required=memory)
        return self.first_stage_model


class KinetophoneVideoVAE(_HostVAE):
    """Video autoencoder for every node of the host that takes a VAE; joint latents give their picture."""

    def __init__(self, model: VideoAutoencoder, digest: str = "unknown") -> None:
        self.grid: Grid = model.grid
        # The hash of the weights, for the provenance of what they make.
        self.digest = digest
        spatial, temporal = self.grid.spatial, self.grid.temporal
        self.adopt(
            model,
            latent_channels=model.config.channels,
            latent_dim=3,
            output_channels=3,
            upscale_ratio=(lambda steps: max(0, steps * temporal - temporal + 1), spatial, spatial),
            upscale_index_formula=(temporal, spatial, spatial),
            downscale_ratio=(lambda frames: max(0, (frames + temporal - 1) // temporal), spatial, spatial),
            downscale_index_formula=(temporal, spatial, spatial),
            process_input=lambda image: image * 2 - 1,
            process_output=lambda image: image.add_(1).div_(2).clamp_(0, 1),
            memory_used_decode=lambda shape, dtype: shape[3] * shape[4] * spatial**2 * BYTES_PER_PIXEL,
            memory_used_encode=lambda shape, dtype: shape[2] * shape[3] * shape[4] * 16,
            working_dtypes=[torch.float32],
        )

    def decode(self, samples: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return super().decode(picture_of(samples), *args, **kwargs)

    def decode_tiled(self, samples: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return super().decode_tiled(picture_of(samples), *args, **kwargs)

    def encode(self, pixels: Tensor) -> Tensor:
        return super().encode(self._whole_steps(pixels))

    def encode_tiled(self, pixels: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return super().encode_tiled(self._whole_steps(pixels), *args, **kwargs)

    def decode_frames(self, latent: Tensor, start: int, stop: int) -> Iterator[Tensor]:
        """Frames `start .. stop - 1` as uint8 chunks `[n, H, W, 3]`, in memory that does not grow with length."""
        pixels = latent.shape[3] * latent.shape[4] * self.grid.spatial**2
        yield from decoded_frames(self.ready(pixels * BYTES_PER_PIXEL), latent, start, stop)

    def _whole_steps(self, pixels: Tensor) -> Tensor:
        """Frames that fill latent steps; the rest is left out, as the host's own video VAEs do."""
        if pixels.ndim == 4:
            return pixels[: self.grid.frames((len(pixels) - 1) // self.grid.temporal + 1)]
        return pixels[:, : self.grid.frames((pixels.shape[1] - 1) // self.grid.temporal + 1)]


class KinetophoneAudioVAE(_HostVAE):
    """Audio autoencoder; joint latents give their sound.

    Where the host's audio nodes take every VAE for one of 44.1 kHz, `decode` and `encode` resample to that.
    """

    def __init__(self, model: AudioAutoencoder) -> None:
        grid = model.grid
        self.rate, self.core_rate = grid.sample_rate, core_audio_rate() or grid.sample_rate
        stride = grid.audio_stride * self.core_rate // self.rate
        self.adopt(
            model,
            latent_channels=model.config.channels,
            latent_dim=1,
            output_channels=1,
            upscale_ratio=stride,
            downscale_ratio=stride,
            audio_sample_rate=self.core_rate,
            audio_sample_rate_output=self.core_rate,
            process_input=lambda audio: audio,
            process_output=lambda audio: audio,
            crop_input=False,
            pad_channel_value="replicate",
            memory_used_decode=lambda shape, dtype: shape[-1] * stride * 64,
            memory_used_encode=lambda shape, dtype: shape[-1] * 64,
            working_dtypes=[torch.float32],
        )

    def decode(self, samples: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Waveform `[B, samples, 1]` at the rate that the host expects."""
        waves = self.ready().decode(sound_of(samples).to(self.device))
        return resample(waves, self.rate, self.core_rate).to(self.output_device).movedim(1, -1)

    def decode_tiled(self, samples: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self.decode(samples)

    def encode(self, pixels: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Latents of sound `[B, samples, channels]` at the rate that the host hands over; channels are mixed down."""
        mono = pixels.movedim(-1, 1).mean(1, keepdim=True)
        return self.encode_sound(mono, self.core_rate)

    def encode_tiled(self, pixels: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self.encode(pixels)

    def encode_sound(self, mono: Tensor, rate: int) -> Tensor:
        """Latents `[B, C, T']` of `mono [B, 1, samples]` at any rate."""
        model = self.ready()
        return model.encode(resample(mono.to(self.device).float(), rate, self.rate)).to(self.output_device)

    def decode_sound(self, latent: Tensor) -> Sound:
        """The sound of one latent `[1, C, T']` at the model's own rate."""
        with torch.inference_mode():
            wave = self.ready().decode(latent.to(self.device))
        return Sound(wave[0].float().cpu(), self.rate)


def picture_of(samples: Tensor) -> Tensor:
    """The video stream of joint latents, or the latent itself."""
    return samples.unbind()[0] if samples.is_nested else samples


def sound_of(samples: Tensor) -> Tensor:
    """The audio stream of joint latents, or the latent itself."""
    return samples.unbind()[-1] if samples.is_nested else samples
