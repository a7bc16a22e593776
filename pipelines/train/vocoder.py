"""Training of the vocoder's magnitudes on the sounds of the world."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import world
from ..model.config import CONFIGS
from ..vae.audio import AudioAutoencoder
from ..vae.mel import spectrum
from .config import RunConfig, at_least, parse_options
from .joint import load_codec
from .task import Batch, Forward, Values, seed_of

SECONDS = 2.048
GROUPS = 48
QUIET = 1e-3


@dataclass(frozen=True)
class VocoderOptions:
    """What such a run reads from its configuration: the fitted codec, and sounds in a batch."""

    codec: str
    batch: int = 16

    def __post_init__(self) -> None:
        at_least(1, batch=self.batch)


class VocoderModel(nn.Module):
    """Log-mel in, log magnitudes out."""

    def __init__(self, audio: AudioAutoencoder) -> None:
        super().__init__()
        self.audio = audio

    def forward(self, mel: Tensor) -> Tensor:
        return self.audio.vocoder.log_magnitude(mel)


class VocoderTask:
    """L1 between log magnitudes, from mels as encoded and decoded by the codec."""

    name = "vocoder"
    words = ()

    def __init__(self, run: RunConfig) -> None:
        self.run, self.config = run, CONFIGS[run.model]
        options = parse_options(VocoderOptions, run)
        self.count, self.codec = options.batch, load_codec(self.config, Path(options.codec))

    def model(self) -> VocoderModel:
        torch.manual_seed(self.run.seed)
        audio = AudioAutoencoder(self.config.audio, self.config.grid)
        audio.codec.load_state_dict(self.codec.audio.codec.state_dict())
        audio.vocoder.reset_parameters()
        return VocoderModel(audio)

    def batch(self, step: int, rank: int, ranks: int) -> Batch:
        seed = seed_of(self.run.seed, step, rank, ranks)
        wave = self._waves(seed % GROUPS)[: self.count]
        latent = self.codec.audio.encode(wave)
        noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(seed))
        grid = self.config.grid
        magnitude = spectrum(wave[:, 0], self.config.audio.fft, grid.hop).abs()
        return {"mel": self.codec.audio.decode_mel(latent + 0.1 * noise), "magnitude": magnitude}

    @functools.lru_cache(maxsize=GROUPS)  # noqa: B019 - one task a process
    def _waves(self, group: int) -> Tensor:
        grid = self.config.grid
        samples = int(SECONDS * grid.sample_rate) // grid.audio_stride * grid.audio_stride
        scenes = world.sample_scenes(self.count, seed=seed_of(self.run.seed, group), seconds=SECONDS)
        return world.synthesise(scenes, world.simulate(scenes), samples, grid.sample_rate)[:, None]

    def loss(self, forward: Forward, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Values]:
        made = forward(batch["mel"])
        fine = F.l1_loss(made.clamp_min(torch.tensor(QUIET).log()), batch["magnitude"].clamp_min(QUIET).log())
        loud = F.l1_loss(made.exp(), batch["magnitude"])
        return fine + loud, {"log": float(fine), "linear": float(loud)}

    def sheet(self, model: nn.Module, folder: Path, step: int) -> None:
        """Nothing to see: the errors are in the log."""
