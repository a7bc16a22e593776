"""Distillation: few steps of one pass each learn to end where more steps with guidance end.

The student is the transformer with low-rank updates of its linear layers (LoRA, arXiv 2106.09685). One of its steps
aims at where two steps of the teacher end (progressive distillation, arXiv 2202.00512), each of which is guided and so
takes two passes (guidance distillation, arXiv 2210.03142): with ten steps, ten passes stand for forty.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..sampling.guidance import Guidance
from ..sampling.schedule import shift_sigma
from ..types import AVLatent
from ..weights.adapter import DOWN, PREFIX, UP, read_adapter
from .config import RunConfig, at_least
from .joint import JointModel, JointOptions, JointTask, broadcast, noised, weighted_error
from .levels import AVLevels, draw_levels
from .loop import compile_layers
from .task import Batch, Forward, Values

# Options of a joint run that mean nothing here: the turbo steps decide the noise, the teacher what is wanted.
WITHOUT_EFFECT = ("noise_mean", "noise_spread", "free_levels", "probe_weight", "fine_after")


@dataclass(frozen=True)
class DistillOptions(JointOptions):
    """Those of a joint run, `init` being the teacher, and how it is guided.

    The student takes `turbo_steps` steps from noise to nothing on a schedule with `shift`. Updates of rank `rank`
    begin as those of `adapter`, an earlier turbo adapter, where one is named.
    """

    guidance: float = 3.0
    turbo_steps: int = 10
    shift: float = 1.5
    rank: int = 32
    adapter: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, turbo_steps=self.turbo_steps, rank=self.rank)
        if not self.init:
            raise ValueError("Distillation needs weights to learn from: options.init=PATH.")


class LowRank(nn.Module):
    """A linear layer's weight `[out, in]` and an update of low rank, nothing at first."""

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.up = nn.Parameter(torch.zeros(rows, rank))
        self.down = nn.Parameter(torch.randn(rank, columns, generator=generator) * columns**-0.5)

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.up @ self.down

    @torch.no_grad()
    def begin_as(self, up: Tensor | None, down: Tensor | None) -> None:
        """Take over an update `up [out, rank]`, `down [rank, in]`. Raises ValueError when it is for another layer."""
        if up is None or down is None or (len(up), down.shape[1]) != (len(self.up), self.down.shape[1]):
            raise ValueError("The adapter to begin with was made for another model: leave options.adapter out.")
        if (rank := up.shape[1]) != (wanted := self.up.shape[1]):
            raise ValueError(
                f"The adapter to begin with has rank {rank}, and this run {wanted}: set options.rank={rank}."
            )
        self.up.copy_(up)
        self.down.copy_(down)


class DistillTask(JointTask):
    """The joint task, with the guided teacher's estimates in place of the clean clips."""

    name = "distill"
    options_type = DistillOptions

    def __init__(self, run: RunConfig) -> None:
        if idle := sorted(set(run.options) & set(WITHOUT_EFFECT)):
            raise ValueError(f"Distillation has no use for {', '.join(idle)}: leave it out.")
        super().__init__(run)

    def model(self) -> JointModel:
        model = super().model().requires_grad_(False)
        generator = torch.Generator().manual_seed(self.run.seed)
        layers = {name: layer for name, layer in model.dit.named_modules() if isinstance(layer, nn.Linear)}
        learned = read_adapter(Path(self.options.adapter)).tensors if self.options.adapter else {}
        for name, layer in layers.items():
            update = LowRank(layer.weight, self.options.rank, generator)
            if learned:
                update.begin_as(*(learned.get(f"{PREFIX}{name}{part}") for part in (UP, DOWN)))
            parametrize.register_parametrization(layer, "weight", update)
        return model

    def loss(self, forward: Forward, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Values]:
        clean, o = AVLatent(batch["video"], batch["audio"]), self.options
        generated = draw_levels(clean, generator, free=0, given=o.given)
        count = len(clean.video)
        step = torch.randint(1, o.turbo_steps + 1, (count, 1), generator=generator, device=generator.device)
        sigma, middle, end = (self._levels(generated, (step - passed) / o.turbo_steps) for passed in (0, 0.5, 1))
        noisy = AVLatent(noised(clean.video, sigma.video, generator), noised(clean.audio, sigma.audio, generator))
        dtype = torch.bfloat16 if self.lowers(forward) else torch.float32
        rows = (batch["ids"], batch.get("spans"))
        self._teacher.to(generator.device, dtype)
        target = self._target(rows, noisy, (sigma, middle, end))
        video, audio, _ = forward(rows[0], noisy.to(dtype), sigma, rows[1])
        objects = (batch["classes"][:, :1] > 0) * (1 - broadcast(sigma.video, clean.video))
        video_loss = weighted_error(video, target.video, sigma.video, 1 + o.object_weight * objects)
        audio_loss = weighted_error(audio, target.audio, sigma.audio)
        total = video_loss + o.audio_weight * audio_loss
        return total, {"video": video_loss.detach(), "audio": audio_loss.detach()}

    def sheet(self, model: nn.Module, folder: Path, step: int) -> None:
        self.draw_sheet(model, Guidance(1.0, 1.0), self.options.turbo_steps, folder / f"sheet-{step:06d}.png")

    @functools.cached_property
    def _teacher(self) -> JointModel:
        teacher = super().model().eval().requires_grad_(False)
        if self.run.compile:
            compile_layers(teacher)
        return teacher

    def _levels(self, generated: AVLevels, place: Tensor) -> AVLevels:
        """Noise levels of what is generated, at a place `[B, 1]` of the run: 1 = noise, 0 = its end."""
        sigma = shift_sigma(place, self.options.shift)
        return AVLevels(*(sigma * (levels > 0) for levels in (generated.video, generated.audio)))

    @torch.no_grad()
    def _target(
        self, rows: tuple[Tensor, Tensor | None], noisy: AVLatent, levels: tuple[AVLevels, AVLevels, AVLevels]
    ) -> AVLatent:
        """The estimate with which one step from the first level to the last ends where two guided steps do."""
        x = noisy
        for now, following in (levels[:2], levels[1:]):
            x = _moved(x, self._guided(rows, x, now), now, following)
        ends = zip((x.video, x.audio), (noisy.video, noisy.audio), _left(noisy, levels[0], levels[2]), strict=True)
        return AVLatent(*((reached - left * began) / (1 - left) for reached, began, left in ends))

    def _guided(self, rows: tuple[Tensor, Tensor | None], x: AVLatent, levels: AVLevels) -> AVLatent:
        """The teacher's estimate of the clean latents, as the sampler would use it."""
        ids, spans = rows
        silent = self.tokenizer.encode([""]).to(ids.device).expand_as(ids)
        x = x.to(self._teacher.dit.modality.dtype)
        made = self._teacher(
            torch.cat((ids, silent)), AVLatent(_twice(x.video), _twice(x.audio)),
            AVLevels(_twice(levels.video), _twice(levels.audio)), None if spans is None else _twice(spans),
        )  # fmt: skip
        (video, no_video), (audio, no_audio) = (stream.float().chunk(2) for stream in made[:2])
        guidance = Guidance(self.options.guidance, self.options.guidance)
        return guidance.combine(AVLatent(video, audio), AVLatent(no_video, no_audio), None)


def _twice(x: Tensor) -> Tensor:
    return torch.cat((x, x))


def _left(x: AVLatent, now: AVLevels, following: AVLevels) -> list[Tensor]:
    """How much of the noise of both streams a step leaves; none of it where a cell is given."""
    pairs = ((x.video, now.video, following.video), (x.audio, now.audio, following.audio))
    return [broadcast(then / first.clamp_min(1e-6), stream) for stream, first, then in pairs]


def _moved(x: AVLatent, estimate: AVLatent, now: AVLevels, following: AVLevels) -> AVLatent:
    """One step of the sampler, with levels of each cell's own; what is given stays."""
    streams = ((x.video, estimate.video, now.video), (x.audio, estimate.audio, now.audio))
    return AVLatent(
        *(
            torch.where(broadcast(level, old) > 0, torch.lerp(new, old, left), old)
            for (old, new, level), left in zip(streams, _left(x, now, following), strict=True)
        )
    )
