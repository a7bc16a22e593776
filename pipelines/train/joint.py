"""Training of the joint transformer together with its text encoder, on encoded clips of the world."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import world
from ..clock import Grid
from ..model.blocks import Block, Sequence
from ..model.config import CONFIGS, Config
from ..model.dit import AVTransformer
from ..model.patchify import unpatchify_video
from ..sampling.denoise import guided_denoiser
from ..sampling.guidance import Guidance
from ..sampling.loop import sample_euler
from ..sampling.noise import draw_noise
from ..sampling.schedule import flow_schedule
from ..text.encoder import TextEncoder
from ..text.tokenizer import SPECIAL, Tokenizer
from ..types import AVLatent, TextContext
from ..vae.audio import AudioAutoencoder
from ..vae.video import VideoAutoencoder
from ..weights.checkpoint import published_words
from .checkpoint import fill, load_part, read_codec
from .clips import Clips, Drawn, cut_clips, whole_clips
from .config import RunConfig, at_least, one_of, parse_options
from .cuts import draw_spans, names_sky
from .data import CELL_LABELS, Bucket, ClipPool, Codec, Shard
from .fill import unclaimed
from .levels import AVLevels, Noise, draw_levels
from .sheet import contact_sheet
from .task import Batch, Forward, Values, seed_of, training_device

SHEET_PROMPTS = (
    "a large red ball bounces on green grass under a clear blue sky",
    "a blue cube rolls to the right on sand at sunset",
    "a small yellow cone stands still in the snow, snowfall, overcast sky",
    "a green metal cylinder hops on stone at night",
    "a purple ball rolls to the left on a wood floor in the rain",
    "a white glass beacon ball and an orange cube on a checkerboard",
)
# Weighting of the velocity loss is 1 / sigma^2; below this level it would drown everything else.
WEIGHT_FLOOR = 0.2
# How much fine channels count where there is no noise.
FINE_WEIGHT = 0.5
# Shorter clips leave too little of either shot.
CUT_STEPS = 7
# Classes of each label of a cell, and nothing.
PROBE_CLASSES = tuple(len(world.LABEL_NAMES[name]) + 1 for name in CELL_LABELS)


@dataclass(frozen=True)
class JointOptions:
    """What a joint run reads from its configuration.

    `pool_seed` is that of the clips; a run that goes on from another on the same clips wants a `seed` of its own, or it
    would draw the same batches and noise again. `buckets` maps sizes such as `7x8x14` to their share of steps, `shards`
    says how many each has, or all, with so many `clips`; `cuts` is the share of steps with clips in two shots, from the
    first `twins` shards, of buckets of at least `CUT_STEPS` steps. A run begins with `first_shards` of each bucket,
    takes in another every `steps_per_shard` steps, and renders what is missing itself; with `wait` it leaves that to
    `train fill` in other processes, and takes in what these have done: which clips a step sees then depends on when.
    `favour` says how much likelier than others clips are drawn that show what is hard to get right, by label and class:
    `{action: {hover: 2.5}, count: {two: 2}}`; objects count by the first, and several such things multiply.
    Cells that show an object count up to 1 + `object_weight` times, less the noisier they are: where noise hides what
    is there, more weight would make the model see objects everywhere.
    Channels of the picture after the first `fine_after` (0 = all are alike) are fine detail, which noise hides first:
    they count half, and less the noisier they are. The others then count as if there were no more.
    """

    codec: str
    buckets: dict[str, float]
    pool: str = "runs/pool"
    pool_seed: int = 0
    batch: int = 32
    shards: int | dict[str, int] = 64
    clips: int = 64
    first_shards: int = 4
    steps_per_shard: int = 40
    wait: bool = False
    compile_renderer: bool = False
    init: str = ""
    text: str = ""
    favour: dict[str, dict[str, float]] = field(default_factory=dict)
    drop_caption: float = 0.1
    free_levels: float = 0.2
    given: float = 0.25
    cuts: float = 0.0
    twins: int = 4
    audio_weight: float = 0.35
    probe_weight: float = 0.2
    object_weight: float = 0.0
    fine_after: int = 0
    noise_mean: float = 0.6
    noise_spread: float = 1.0
    sheet_bucket: str = "7x8x14"

    def __post_init__(self) -> None:
        at_least(
            1, batch=self.batch, clips=self.clips, first_shards=self.first_shards,
            steps_per_shard=self.steps_per_shard, **({"twins": self.twins} if self.cuts else {}),
        )  # fmt: skip
        if min(self.buckets.values(), default=0) < 0 or not sum(self.buckets.values()):
            raise ValueError(f"buckets are sizes and their share of the steps, from 0 on; got {self.buckets}.")
        for bucket in self.buckets:
            if isinstance(self.shards, dict):
                one_of("A bucket", bucket, self.shards)
            at_least(1, shards=self.shards_of(bucket))
        for name, classes in self.favour.items():
            one_of("What is favoured", name, [known for known in world.LABEL_NAMES if known != "sound"])
            for told, factor in classes.items():
                one_of(f"The {name} that is favoured", told, world.LABEL_NAMES[name])
                at_least(0, **{f"How much {told!r} is favoured": factor})

    def shards_of(self, bucket: str) -> int:
        """How many shards of a bucket there are."""
        return self.shards if isinstance(self.shards, int) else self.shards[bucket]


class JointModel(nn.Module):
    """Text encoder and transformer as one module: prompt rows and noisy latents in, clean latents out.

    A linear probe half-way up says which object each latent cell will show, what it does, and at which base frames it
    strikes, lights up or speaks. Labels are free in a made world, and such a target early in the network speeds up what
    follows (REPA, arXiv 2410.06940); the probe is dropped on export.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dit = AVTransformer(config.dit, config.grid, config.text.width)
        self.text = TextEncoder(config.text)
        self.probe = nn.Linear(config.dit.width, probe_channels(config.grid) * config.dit.patch**2)
        nn.init.zeros_(self.probe.weight)
        nn.init.zeros_(self.probe.bias)

    def forward(
        self, ids: Tensor, noisy: AVLatent, sigma: AVLevels, spans: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Clean video, clean audio, and the probe's scores `[B, probe_channels, T, H, W]`.

        Words are `[B, L]`, or `[B, S, L]` for S shots with `spans [B, S, 4]`.
        """
        half_way = self.dit.config.depth // 2 - 1
        seen: list[Tensor] = []

        def wrap(index: int, block: Block, x: Tensor, sequence: Sequence) -> Tensor:
            x = block(x, sequence)
            if index == half_way:
                seen.append(x[:, : sequence.streams[0].tokens])
            return x

        video, audio = self.dit.predict(
            noisy.video, noisy.audio, sigma.video, sigma.audio, self._context(ids, spans), wrap_block=wrap
        )
        size = tuple(noisy.video.shape[2:])
        return video, audio, unpatchify_video(self.probe(seen[0]), size, self.dit.config.patch)

    def _context(self, ids: Tensor, spans: Tensor | None) -> TextContext:
        if spans is None:
            return self.text(ids)
        shots = self.text(ids.flatten(0, 1))
        held = spans[:, :, None].expand(*ids.shape[:3], 4)
        tokens, mask = (part.unflatten(0, ids.shape[:2]).flatten(1, 2) for part in (shots.tokens, shots.mask))
        return TextContext(tokens, mask, held.flatten(1, 2))


class JointTask:
    """Rectified flow on both streams with independent levels, given first frames, and dropped captions."""

    name = "joint"
    options_type = JointOptions

    def __init__(self, run: RunConfig) -> None:
        self.run, self.config = run, CONFIGS[run.model]
        self.options = parse_options(self.options_type, run)
        self.device = training_device()
        self.codec = load_codec(self.config, Path(self.options.codec), self.device)
        self._clips: dict[tuple[str, bool], Clips] = {}
        o = self.options
        if o.fine_after > (channels := self.config.dit.video_channels):
            raise ValueError(f"fine_after must be at most the {channels} picture channels; got {o.fine_after}.")
        self.pool = ClipPool(
            Path(o.pool), self.codec, seed=o.pool_seed, clips=o.clips, fast=o.compile_renderer, wait=o.wait
        )
        self.tokenizer = Tokenizer(self.config.text, world.vocabulary())
        self.words = self.tokenizer.words
        self.buckets = [Bucket.parse(name) for name in self.options.buckets]

    def model(self) -> JointModel:
        model = JointModel(self.config)
        generator = torch.Generator().manual_seed(self.run.seed)
        model.dit.reset_parameters(generator)
        model.text.reset_parameters(generator)
        if self.options.text:
            self._read_text(Path(self.options.text), model.text)
        if self.options.init:
            # The probe starts afresh: published weights hold none.
            self._read_transformer(Path(self.options.init), model.dit)
            self._read_text(Path(self.options.init), model.text)
        return model

    def _read_transformer(self, path: Path, dit: AVTransformer) -> None:
        """Take over that of a checkpoint, which may lack the refiner: at first that changes nothing.

        Raises ValueError when it has other tensors than this model.
        """
        new = {name: value for name, value in dit.state_dict().items() if name.startswith("refiner.")}
        told = "say which one it is, model=NAME, or make smaller tokens of larger by `split`"
        fill(dit, new | load_part(path, "dit."), f"{path} has another transformer than {self.config.name} ({told})")

    @torch.no_grad()
    def _read_text(self, path: Path, text: TextEncoder) -> None:
        """Take over that of a checkpoint, its rows where this vocabulary has the same words; new words start anew.

        Raises ValueError when it has other tensors than this model.
        """
        rows = text.words.weight.clone()
        fill(text, load_part(path, "text."), f"{path} has another text encoder than {self.config.name}")
        if words := published_words(path):
            known = {word: row for row, word in enumerate(words, start=SPECIAL)}
            rows[:SPECIAL] = text.words.weight[:SPECIAL]
            for row, word in enumerate(self.words, start=SPECIAL):
                if word in known:
                    rows[row] = text.words.weight[known[word]]
            text.words.weight.copy_(rows)

    def fill(self) -> None:
        """Render the clips that are missing, in the order of their use; other processes may do the same."""
        o, twins = self.options, self.options.twins if self.options.cuts else 0
        shards = [(bucket, index) for bucket in self.buckets for index in range(o.shards_of(bucket.name))]
        shards.sort(key=lambda shard: (shard[1] >= o.first_shards, shard[1] / o.shards_of(shard[0].name)))
        paths = {
            self.pool.path(bucket, index, twin): (bucket, index, twin)
            for bucket, index in shards
            for twin in ((False, True) if index < twins and bucket.steps >= CUT_STEPS else (False,))
        }
        for path in unclaimed(paths):
            self.pool.render(*paths[path])

    def batch(self, step: int, rank: int, ranks: int) -> Batch:
        # Bucket and kind are drawn from the step alone: all ranks must see the same shapes.
        common = random.Random(seed_of(self.run.seed, step))
        o = self.options
        bucket = common.choices(self.buckets, weights=list(o.buckets.values()))[0]
        cut = bucket.steps >= CUT_STEPS and common.random() < o.cuts
        # The pool opens up as training goes on, so that a run may start before all of it is rendered.
        if o.wait:
            ready = min(self._rendered(bucket, twin) for twin in ((False, True) if cut else (False,)))
        else:
            ready = o.first_shards + step // o.steps_per_shard
        ready = min(ready, o.shards_of(bucket.name), *([o.twins] if cut else []))
        clips = self._held(bucket, ready)
        generator = torch.Generator().manual_seed(seed_of(self.run.seed, step, rank, ranks))
        numbers = clips.draw(o.batch, ready, generator)
        dropped = torch.rand(o.batch, generator=generator) < o.drop_caption
        drawn = Drawn(numbers, dropped, self.tokenizer.encode([""])[0])
        if not cut:
            return whole_clips(clips, drawn, generator)
        grid, draw = self.config.grid, random.Random(seed_of(self.run.seed, step, rank, ranks))
        spans = torch.stack([draw_spans(draw, grid.frames(bucket.steps) / float(grid.fps)) for _ in numbers])
        turned = torch.rand(o.batch, generator=generator) < 0.5
        sides = (clips, self._held(bucket, ready, twin=True))
        return cut_clips(sides, drawn, turned, spans, grid, generator)

    def _rendered(self, bucket: Bucket, twin: bool) -> int:
        """How many shards of a bucket there are to draw from: all that follow one another on disk."""
        held = self._clips[bucket.name, twin].shards if (bucket.name, twin) in self._clips else 0
        new = range(held, self.options.shards_of(bucket.name))
        there = itertools.takewhile(lambda index: self.pool.path(bucket, index, twin).is_file(), new)
        return max(self.options.first_shards, held + len(list(there)))

    def _held(self, bucket: Bucket, ready: int, twin: bool = False) -> Clips:
        """The clips of a bucket in memory, the first `ready` shards at least."""
        o = self.options
        capacity = min(o.twins, o.shards_of(bucket.name)) if twin else o.shards_of(bucket.name)
        clips = self._clips.setdefault((bucket.name, twin), Clips(capacity, self.device))
        while clips.shards < ready:
            shard = self.pool.shard(bucket, clips.shards, twin)
            ids = torch.stack([self.tokenizer.encode(captions) for captions in shard.captions]).int()
            skies = torch.tensor([[names_sky(caption) for caption in captions] for captions in shard.captions])
            clips.add(shard, ids, skies, self._chances(shard))
        if not clips.chances.any():
            raise ValueError(f"Bucket {bucket.name} has no clip that `favour` leaves a chance.")
        return clips

    def _chances(self, shard: Shard) -> Tensor:
        """How likely each clip of a shard is drawn, against the others."""
        chances = torch.ones(len(shard.captions))
        for name, classes in self.options.favour.items():
            for told, factor in classes.items():
                chances[shard.labels[name] == world.LABEL_NAMES[name].index(told)] *= factor
        return chances

    def loss(self, forward: Forward, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Values]:
        clean = AVLatent(batch["video"], batch["audio"])
        o = self.options
        noise = Noise(o.noise_mean, o.noise_spread)
        levels = draw_levels(clean, generator, free=o.free_levels, given=o.given, noise=noise)
        noisy = AVLatent(noised(clean.video, levels.video, generator), noised(clean.audio, levels.audio, generator))
        dtype = torch.bfloat16 if self.lowers(forward) else torch.float32
        video, audio, scores = forward(batch["ids"], noisy.to(dtype), levels, batch.get("spans"))
        seen = 1 - broadcast(levels.video, clean.video)
        objects = (batch["classes"][:, :1] > 0) * seen
        importance = (1 + o.object_weight * objects) * _channel_weights(seen, clean.video.shape[1], o.fine_after)
        video_loss = weighted_error(video, clean.video, levels.video, importance)
        audio_loss = weighted_error(audio, clean.audio, levels.audio)
        probe_loss = _probe_error(scores.float(), batch["classes"].long(), batch["moments"])
        total = video_loss + o.audio_weight * audio_loss + o.probe_weight * probe_loss
        losses = {"video": video_loss, "audio": audio_loss, "probe": probe_loss}
        return total, {name: value.detach() for name, value in losses.items()}

    @staticmethod
    def lowers(forward: Forward) -> bool:
        """Whether the loop runs this forward in bfloat16."""
        return getattr(forward, "dtype", torch.float32) == torch.bfloat16

    def sheet(self, model: nn.Module, folder: Path, step: int) -> None:
        self.draw_sheet(model, Guidance(), 16, folder / f"sheet-{step:06d}.png")

    def draw_sheet(self, model: nn.Module, guidance: Guidance, steps: int, path: Path) -> None:
        """Write a picture of what the model makes of a few prompts."""
        bucket = Bucket.parse(self.options.sheet_bucket)
        count = len(SHEET_PROMPTS)
        grid = self.config.grid
        empty = AVLatent(
            torch.zeros(count, self.config.dit.video_channels, bucket.steps, bucket.rows, bucket.columns),
            torch.zeros(count, self.config.dit.audio_channels, grid.audio_steps(grid.frames(bucket.steps))),
        )
        with torch.no_grad():
            positive = model.text(self.tokenizer.encode(SHEET_PROMPTS).to(self.device))
            negative = model.text(self.tokenizer.encode([""] * count).to(self.device))
            denoiser = guided_denoiser(model.dit, positive, negative, guidance)
            latent = sample_euler(denoiser, draw_noise(empty, 1).to(self.device), flow_schedule(steps))
            base = self.codec.video.decode_base(latent.video) / 2 + 0.5
        contact_sheet(base.cpu(), path)


def load_codec(config: Config, path: Path, device: torch.device | str = "cpu") -> Codec:
    """The frozen encoders from a fitted codec file (`train fit`), or from published weights.

    Raises ValueError where there is none, or one of another configuration.
    """
    if not path.is_file():
        raise ValueError(f"No fitted codec at {path}: run `python -m kinetophone.pipelines.train fit` first.")
    video, audio = VideoAutoencoder(config.video, config.grid), AudioAutoencoder(config.audio, config.grid)
    tensors = read_codec(path)
    for prefix, module in (("video.codec.", video), ("audio.codec.", audio)):
        own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        fill(module.codec, own, f"{path} holds no fitted codec of {config.name}")
    return Codec(config.grid, *(part.to(device).eval().requires_grad_(False) for part in (video, audio)))


def noised(clean: Tensor, level: Tensor, generator: torch.Generator) -> Tensor:
    """A stream with noise of levels `[B, T]`."""
    noise = torch.randn(clean.shape, generator=generator, device=clean.device)
    return torch.lerp(clean, noise, broadcast(level, clean))


def weighted_error(predicted: Tensor, clean: Tensor, level: Tensor, importance: Tensor | float = 1.0) -> Tensor:
    """Velocity loss of the cells that are noisy at all."""
    level = broadcast(level, clean)
    weight = importance * (level > 0) / level.clamp_min(WEIGHT_FLOOR).square()
    return ((predicted.float() - clean).square() * weight).mean()


def _channel_weights(seen: Tensor, channels: int, fine_after: int) -> Tensor:
    """How much each channel counts where so much of it is `seen` through the noise `[B, 1, T, 1, 1]`, 0..1."""
    if fine_after == 0:
        return torch.ones_like(seen)
    coarse, fine = seen.new_ones(fine_after), FINE_WEIGHT * seen.expand(-1, channels - fine_after, -1, -1, -1)
    coarse = coarse[:, None, None, None].expand(len(seen), -1, *fine.shape[2:])
    return torch.cat((coarse, fine), dim=1) * (channels / fine_after)


def _probe_error(scores: Tensor, classes: Tensor, moments: Tensor) -> Tensor:
    """Cross-entropy of the labels `classes [B, 4, T, H, W]` of each cell, and of `moments` where there is an object."""
    *labels, on = scores.split((*PROBE_CLASSES, moments.shape[1]), dim=1)
    parts = [F.cross_entropy(score, wanted) for score, wanted in zip(labels, classes.unbind(1), strict=True)]
    timing = F.binary_cross_entropy_with_logits(on, moments, reduction="none").sum(1) * (classes[:, 0] > 0)
    return torch.stack([*parts, timing.mean()]).sum()


def probe_channels(grid: Grid) -> int:
    """How many scores the probe gives a cell: of the classes of its labels, and of each base frame of a step."""
    return sum(PROBE_CLASSES) + grid.temporal // grid.base_stride


def broadcast(level: Tensor, latent: Tensor) -> Tensor:
    """Values per latent step `[B, T]` with axes of length 1 so that they broadcast to a latent."""
    return level.reshape(len(level), 1, -1, *[1] * (latent.ndim - 3))
