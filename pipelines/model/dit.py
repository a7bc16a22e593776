"""The joint audio-video diffusion transformer.

One sequence holds spacetime patches of the picture and tokens of the sound; both attend to each other and to the text.
The network predicts the clean latent (JiT, arXiv 2511.13720); `forward` turns that into the velocity of rectified flow
(arXiv 2209.03003), `x_sigma = (1 - sigma) x0 + sigma noise`, `v = noise - x0`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..clock import Grid
from ..types import TextContext
from .blocks import MODULATIONS, Block, BlockWrapper, Sequence, Stream
from .config import DiTConfig
from .layers import Bottleneck, NoiseEmbedding
from .ops import TORCH, Ops
from .patchify import patchify_audio, patchify_video, unpatchify_audio, unpatchify_video
from .refiner import CellRefiner
from .rope import audio_positions, rotation, video_positions
from .spans import pool_text, span_weights

# Below this noise level the velocity would divide a prediction error by almost nothing.
MIN_SIGMA = 0.02


@dataclass(frozen=True)
class Coupling:
    """Which attention between the modalities is on; with both off, each stream runs as if alone."""

    audio_to_video: bool = True
    video_to_audio: bool = True

    @property
    def full(self) -> bool:
        return self.audio_to_video and self.video_to_audio


@dataclass(frozen=True)
class _Tokens:
    """One modality on its way in: `tokens [B, L, width]` of `steps` moments, levels `[B, n]`, positions `[L, 3]`."""

    tokens: Tensor
    sigma: Tensor
    positions: Tensor
    steps: int

    @property
    def seconds(self) -> Tensor:
        """The moment of each step `[steps]`."""
        return self.positions[:: len(self.positions) // self.steps, 0]


class AVTransformer(nn.Module):
    """Joint denoiser of video `[B, C, T, H, W]` and audio `[B, C, T']` latents."""

    def __init__(
        self,
        config: DiTConfig,
        grid: Grid,
        text_width: int,
        ops: Ops = TORCH,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        factory: dict[str, Any] = {"dtype": dtype, "device": device}
        self.config, self.grid, self.ops = config, grid, ops
        width, patch_channels = config.width, config.video_channels * config.patch**2
        self.video_in = Bottleneck(patch_channels, config.bottleneck, width, ops, **factory)
        self.audio_in = Bottleneck(config.audio_channels, config.bottleneck, width, ops, **factory)
        self.video_out = ops.Linear(width, patch_channels, **factory)
        self.audio_out = ops.Linear(width, config.audio_channels, **factory)
        self.noise = NoiseEmbedding(width, ops, **factory)
        self.text_pool = ops.Linear(text_width, width, **factory)
        self.modulation = ops.Linear(width, MODULATIONS * width, **factory)
        self.norm_out = ops.RMSNorm(width, eps=1e-6, elementwise_affine=False, **factory)
        self.modality = nn.Parameter(torch.zeros(2, width, **factory))
        self.table_out = nn.Parameter(torch.zeros(2, 2, width, **factory))
        self.text_null = nn.Parameter(torch.zeros(text_width, **factory))
        self.layers = nn.ModuleList(Block(config, text_width, ops, **factory) for _ in range(config.depth))
        self.refiner = (
            CellRefiner(config.video_channels, config.refine, width, config.patch, ops, **factory)
            if config.refine
            else None
        )

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Initialise for training: scaled normal weights, gates half open, output zero."""
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2 or "table" in name or name == "modality":
                nn.init.ones_(parameter) if "norm_" in name else nn.init.zeros_(parameter)
            else:
                nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5, generator=generator)
        nn.init.zeros_(self.modulation.weight)
        for block in self.layers:
            nn.init.normal_(block.table, std=0.02, generator=generator)
            with torch.no_grad():
                block.table[[2, 5]] += 0.5
        for layer in (self.video_out, self.audio_out, *([self.refiner.out] if self.refiner else [])):
            nn.init.zeros_(layer.weight)
        nn.init.normal_(self.modality, std=0.5, generator=generator)

    def forward(
        self,
        video: Tensor | None,
        audio: Tensor | None,
        sigma_video: Tensor | None,
        sigma_audio: Tensor | None,
        context: TextContext,
        coupling: Coupling = Coupling(),
        wrap_block: BlockWrapper | None = None,
    ) -> tuple[Tensor | None, Tensor | None]:
        """Velocities of both streams; an absent stream stays None.

        Noise levels in 0..1: `[B]`, or per latent step `[B, T]` (`[B, T']` for sound), or per video cell
        `[B, T, H, W]`.
        """
        clean_video, clean_audio = self.predict(video, audio, sigma_video, sigma_audio, context, coupling, wrap_block)
        return _velocity(video, clean_video, sigma_video), _velocity(audio, clean_audio, sigma_audio)

    def predict(
        self,
        video: Tensor | None,
        audio: Tensor | None,
        sigma_video: Tensor | None,
        sigma_audio: Tensor | None,
        context: TextContext,
        coupling: Coupling = Coupling(),
        wrap_block: BlockWrapper | None = None,
    ) -> tuple[Tensor | None, Tensor | None]:
        """The clean latents themselves, arguments as `forward`."""
        parts: list[_Tokens] = []
        if video is not None:
            parts.append(self._video_tokens(video, sigma_video))
        if audio is not None:
            parts.append(self._audio_tokens(audio, sigma_audio))
        text = self._text_tokens(context)
        embedded = self._condition(parts, text, context.spans, video is not None)
        x = torch.cat([part.tokens for part in parts], dim=1)
        sequence = self._sequence(x, parts, embedded, text, self._bias(x, parts, text, context.spans, coupling))
        for index, block in enumerate(self.layers):
            x = block(x, sequence) if wrap_block is None else wrap_block(index, block, x, sequence)
        tokens = self._modulated(x, parts, embedded, video is not None)
        return (
            None if video is None else self._picture(next(tokens), video, sigma_video),
            None if audio is None else unpatchify_audio(self.audio_out(next(tokens))),
        )

    def _video_tokens(self, video: Tensor, sigma: Tensor) -> _Tokens:
        if video.shape[1] != (channels := self.config.video_channels):
            raise ValueError(
                f"The picture latent has {video.shape[1]} channels, and this model takes {channels}: it was made for "
                "another model. Encode the video again, or begin with an empty latent."
            )
        steps, height, width = video.shape[2:]
        patch = self.config.patch
        tokens = self.video_in(patchify_video(video, patch))
        positions = video_positions(self.grid, steps, height // patch, width // patch, video.device)
        if sigma.ndim == 4:
            # A token is as noisy as its noisiest cell: a partly kept patch is still being generated.
            pooled = sigma.unflatten(3, (width // patch, patch)).unflatten(2, (height // patch, patch)).amax((3, 5))
            sigma = pooled.flatten(1)
        return _Tokens(tokens, sigma.reshape(len(video), -1), positions, steps)

    def _audio_tokens(self, audio: Tensor, sigma: Tensor) -> _Tokens:
        steps = audio.shape[-1]
        positions = audio_positions(self.grid, steps, audio.device)
        return _Tokens(self.audio_in(patchify_audio(audio)), sigma.reshape(len(audio), -1), positions, steps)

    def _text_tokens(self, context: TextContext) -> Tensor:
        null = self.ops.cast(self.text_null, context.tokens)
        return torch.where(context.mask[..., None], context.tokens, null)

    def _condition(self, parts: list[_Tokens], text: Tensor, spans: Tensor | None, has_video: bool) -> list[Tensor]:
        """Embedded noise level, text and modality of each part, `[B, n, width]`."""
        modality = self.ops.cast(self.modality, text)[0 if has_video else 1 :]
        return [
            F.silu(_aligned(self.noise(part.sigma, text.dtype), self._pooled(part, text, spans)) + kind)
            for part, kind in zip(parts, modality, strict=False)
        ]

    def _pooled(self, part: _Tokens, text: Tensor, spans: Tensor | None) -> Tensor:
        """The text as one vector: `[B, 1, width]`, or `[B, steps, width]` where it changes with time."""
        if spans is None:
            return self.text_pool(text.mean(1))[:, None]
        return self.text_pool(pool_text(text, span_weights(spans, part.seconds).to(text)))

    def _sequence(
        self, x: Tensor, parts: list[_Tokens], embedded: list[Tensor], text: Tensor, bias: Tensor | None
    ) -> Sequence:
        streams = tuple(
            Stream(
                part.tokens.shape[1],
                self.modulation(condition).unflatten(-1, (MODULATIONS, -1)),
                part.tokens.shape[1] // condition.shape[1],
            )
            for part, condition in zip(parts, embedded, strict=True)
        )
        cos, sin = rotation(torch.cat([part.positions for part in parts]), self.config.width // self.config.heads)
        return Sequence(streams, cos.to(x), sin.to(x), text, bias)

    def _bias(
        self, x: Tensor, parts: list[_Tokens], text: Tensor, spans: Tensor | None, coupling: Coupling
    ) -> Tensor | None:
        """Score offsets, text keys first: who may see whom, and which text counts when; None = everything."""
        bias = None
        if len(parts) == 2 and not coupling.full:
            bias = _coupling_bias(x, parts[0].tokens.shape[1], text.shape[1], coupling)
        if spans is None:
            return bias
        seconds = torch.cat([part.positions[:, 0] for part in parts])
        # It grows with the square of the length: made once, in its last type, and changed in place.
        holds = F.pad(span_weights(spans, seconds).log().to(x), (0, x.shape[1]))[:, None]
        return holds if bias is None else holds.add_(bias)

    def _modulated(self, x: Tensor, parts: list[_Tokens], embedded: list[Tensor], has_video: bool) -> Iterator[Tensor]:
        """The tokens of each part, normalised, scaled and shifted, ready for its output layer."""
        tables = self.ops.cast(self.table_out, x)[0 if has_video else 1 :]
        pieces = x.split([part.tokens.shape[1] for part in parts], dim=1)
        for piece, condition, table in zip(pieces, embedded, tables, strict=False):
            shift, scale = (condition[:, :, None] + table).unbind(2)
            repeat = piece.shape[1] // condition.shape[1]
            if condition.shape[1] > 1 and repeat > 1:
                shift, scale = (value.repeat_interleave(repeat, dim=1) for value in (shift, scale))
            yield torch.addcmul(shift, self.norm_out(piece), scale + 1)

    def _picture(self, tokens: Tensor, noisy: Tensor, sigma: Tensor) -> Tensor:
        clean = unpatchify_video(self.video_out(tokens), tuple(noisy.shape[2:]), self.config.patch)
        return clean if self.refiner is None else self.refiner(clean, noisy, _spread(sigma, noisy), tokens)


def _aligned(level: Tensor, text: Tensor) -> Tensor:
    """Sum of rows `[B, n, width]` for noise and text, each one row, one a step, or one a token."""
    rows = max(level.shape[1], text.shape[1])
    level, text = (x if x.shape[1] == 1 else x.repeat_interleave(rows // x.shape[1], dim=1) for x in (level, text))
    return level + text


def _coupling_bias(x: Tensor, video: int, text: int, coupling: Coupling) -> Tensor:
    """Score offsets `[L, text + L]` of the tokens `x`, the first `video` of them picture: minus infinity where a stream
    may not look."""
    bias = x.new_zeros(x.shape[1], text + x.shape[1])
    if not coupling.audio_to_video:
        bias[:video, text + video :] = -torch.inf
    if not coupling.video_to_audio:
        bias[video:, text : text + video] = -torch.inf
    return bias


def _velocity(noisy: Tensor | None, clean: Tensor | None, sigma: Tensor | None) -> Tensor | None:
    if noisy is None or clean is None:
        return None
    return (noisy - clean) / _spread(sigma, noisy).clamp_min(MIN_SIGMA).to(noisy.dtype)


def _spread(sigma: Tensor, latent: Tensor) -> Tensor:
    """Noise levels `[B]`, `[B, T]` or `[B, T, H, W]` with axes of length 1 so that they broadcast to a latent."""
    if latent.ndim == 5 and sigma.ndim == 4:
        return sigma[:, None]
    if sigma.ndim == 2:
        return sigma.reshape(len(sigma), 1, -1, *[1] * (latent.ndim - 3))
    return sigma.reshape(-1, *[1] * (latent.ndim - 1))
