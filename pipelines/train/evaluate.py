"""One table for real clips, for what the autoencoders give back of them, and for any number of checkpoints."""

from __future__ import annotations

import functools
import json
import math
import multiprocessing
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from .. import world
from ..clock import Grid
from ..generate import encode_text
from ..sampling.denoise import guided_denoiser
from ..sampling.guidance import Guidance
from ..sampling.loop import DEFAULT_SAMPLER, sample
from ..sampling.noise import draw_noise
from ..sampling.schedule import flow_schedule
from ..types import AVLatent, TextContext
from ..weights.adapter import read_adapter
from ..weights.checkpoint import replacing
from ..weights.load import Models, load_models
from .config import at_least
from .data import Bucket, clip_scenes, render_frames, render_sound
from .detector import load_detector
from .measure import Clips, Meter, Tally, frechet
from .task import seed_of, training_device

# No training clip is drawn from this seed.
SEED = 20_261_124
BATCH = 10
# Clips that an accelerator decodes at once: 2 GB, and a dozen processes share its memory.
DECODED = 5
SHOWN = 8
COLUMNS = 7
PERCENT = (
    "sky", "ground", "weather", "camera", "colour", "shape", "binding", "count", "action", "direction",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One batch of the test: scenes, the clips as rendered, and the prompts that describe them."""

    scenes: world.Scenes
    clips: Clips
    prompts: list[str]


Source = Callable[[Case, int], Clips]


@dataclass(frozen=True)
class Settings:
    """How a checkpoint is sampled for the test.

    `few` samples the last checkpoint in so few steps too, `other` by another sampler, `turbo` with that adapter and as
    it wants; `compile` renders the real clips several times as fast on a CPU; `jobs` processes share the batches, and
    the accelerator if any; `form` is that of the prompts (`world.captions`).
    """

    clips: int = 500
    steps: int = 20
    guidance: float = 3.0
    bucket: str = "7x8x14"
    sampler: str = DEFAULT_SAMPLER
    few: int = 0
    other: str = ""
    turbo: Path | None = None
    compile: bool = False
    jobs: int = 1
    form: str = "dense"


def evaluate(out: Path, weights: list[Path], detector: Path, settings: Settings) -> str:
    """Measure everything, write `out` (Markdown) and sample sheets beside it, and return the table.

    Raises ValueError for settings that cannot be, and for a file that is named twice.
    """
    Bucket.parse(settings.bucket)
    at_least(1, jobs=settings.jobs, steps=settings.steps)
    at_least(0, few=settings.few)
    if settings.clips < BATCH or settings.clips % BATCH:
        raise ValueError(f"Prompts are measured in batches of {BATCH}: clips must be a multiple; got {settings.clips}.")
    columns_of(weights)
    share = functools.partial(_measure_share, out, weights, detector, settings)
    if settings.jobs > 1:
        with ProcessPoolExecutor(settings.jobs, multiprocessing.get_context("spawn")) as pool:
            shares = list(pool.map(share, range(settings.jobs)))
    else:
        shares = [share(0)]
    (tallies, reference), *others = shares
    for more, further in others:
        reference.join(further)
        for name, tally in tallies.items():
            tally.join(more[name])
    measured = measures(tallies, torch.cat(reference.features))
    text = table(measured, list(tallies), settings)
    columns = {
        name: {row: round(values[index], 3) for row, _, values in measured if not math.isnan(values[index])}
        for index, name in enumerate(tallies)
    }
    for path, content in ((out, text), (out.with_suffix(".json"), json.dumps(columns, indent=1))):
        with replacing(path) as partial:
            partial.write_text(content, "utf-8")
    return text


def columns_of(weights: list[Path]) -> dict[str, Path]:
    """What the columns of checkpoints are called: by their file, and by as many folders as tell them apart.

    Raises ValueError for a file that is named twice.
    """
    files = [path.resolve().with_suffix("").parts for path in weights]
    if twice := [str(path) for path, own in zip(weights, files, strict=True) if files.count(own) > 1]:
        raise ValueError(f"{' and '.join(twice)} are one file: name each once.")

    def name(own: tuple[str, ...]) -> str:
        ends = (own[-parts:] for parts in range(1, len(own) + 1))
        return "/".join(next(end for end in ends if sum(other[-len(end) :] == end for other in files) == 1))

    return {name(own): path for path, own in zip(weights, files, strict=True)}


def _measure_share(
    out: Path, weights: list[Path], detector: Path, settings: Settings, job: int
) -> tuple[dict[str, Tally], Tally]:
    """Every `jobs`-th batch, from the `job`-th on: what was measured of each source, and of other real clips."""
    if settings.jobs > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // settings.jobs))
    device = training_device()
    models = {name: load_models(path, device) for name, path in columns_of(weights).items()}
    first = next(iter(models.values()))
    meter = Meter(load_detector(detector, first.config.audio.mels).to(device), first.audio, first.config.grid)
    sources: dict[str, Source] = {
        "real clips": lambda case, index: case.clips,
        "autoencoder": lambda case, index: reconstruct(first, case.clips),
        **{name: generator(model, settings) for name, model in models.items()},
    }
    name, model = list(models.items())[-1]
    if settings.few:
        few = f"{name}, {settings.few} step{'s' * (settings.few > 1)}"
        sources[few] = generator(model, replace(settings, steps=settings.few))
    if settings.other:
        sources[f"{name}, {settings.other}"] = generator(model, replace(settings, sampler=settings.other))
    if settings.turbo:
        quick = load_models(weights[-1], device, settings.turbo)
        steps = read_adapter(settings.turbo).steps
        sources[f"{name}, turbo"] = generator(quick, replace(settings, sampler="euler", steps=steps, guidance=1.0))
    tallies, reference = {name: Tally() for name in sources}, Tally()
    for index in tqdm(range(job, settings.clips // BATCH, settings.jobs), disable=job > 0):
        case, other = (make_case(first.config.grid, settings, seed_of(SEED, index, kind), device) for kind in (0, 1))
        meter.measure(other.clips, other.scenes, reference)
        for name, source in sources.items():
            clips = source(case, index)
            meter.measure(clips, case.scenes, tallies[name])
            if index == 0:
                sheet(clips, meter, out.with_name(f"{out.stem}-{re.sub('[ ,/]+', '-', name)}.png"))
    # Each tensor that travels between processes holds a file open: a thousand are too many.
    for tally in (*tallies.values(), reference):
        tally.features = [torch.cat(tally.features)] if tally.features else []
    return tallies, reference


def make_case(grid: Grid, settings: Settings, seed: int, device: torch.device | str = "cpu") -> Case:
    """Random scenes, rendered, with a caption each; clips on `device`, scenes on the CPU."""
    bucket = Bucket.parse(settings.bucket)
    scenes = clip_scenes(grid, bucket, BATCH, seed)
    frames = render_frames(grid, bucket, scenes, settings.compile, device).transpose(1, 2)
    wave = render_sound(grid, bucket, scenes)[:, 0].to(device)
    moved = world.simulate(scenes).scenes
    return Case(moved, Clips(frames * 2 - 1, wave), world.captions(moved, seed=seed, form=settings.form))


@torch.inference_mode()
def reconstruct(models: Models, clips: Clips) -> Clips:
    """Clips through both autoencoders and back."""
    latent = models.video.encode_base(clips.frames.transpose(1, 2))
    wave = models.audio.decode(models.audio.encode(clips.wave[:, None]))[:, 0]
    return Clips(decoded(models, latent), wave[:, : clips.wave.shape[1]], _peak(latent))


def generator(models: Models, settings: Settings) -> Source:
    """Clips sampled from prompts alone."""

    @torch.inference_mode()
    def source(case: Case, index: int) -> Clips:
        config, bucket = models.config, Bucket.parse(settings.bucket)
        contexts = [encode_text(models, prompt) for prompt in case.prompts]
        positive = TextContext.concatenate(*contexts)
        negative = TextContext.concatenate(*[encode_text(models, "")] * len(contexts))
        empty = AVLatent(
            torch.zeros(len(contexts), config.dit.video_channels, bucket.steps, bucket.rows, bucket.columns),
            torch.zeros(
                len(contexts), config.dit.audio_channels, config.grid.audio_steps(config.grid.frames(bucket.steps))
            ),
        )
        guidance = Guidance(settings.guidance, settings.guidance)
        denoiser = guided_denoiser(models.dit, positive, negative, guidance)
        seed = seed_of(SEED, index, 2)
        noise = draw_noise(empty, seed).to(models.dit.modality.device)
        latent = sample(settings.sampler, denoiser, noise, flow_schedule(settings.steps), seed)
        wave = models.audio.decode(latent.audio)[:, 0]
        return Clips(decoded(models, latent.video), wave[:, : case.clips.wave.shape[1]], _peak(latent.video))

    return source


def _peak(latent: Tensor) -> Tensor:
    return latent.abs().amax((1, 2, 3, 4))


def decoded(models: Models, latent: Tensor) -> Tensor:
    """Full decode, then back to base size and rate, where the detector looks."""
    stride = models.config.grid.base_stride
    # A CPU has little memory, an accelerator no time for thousands of small steps.
    count, decode = (DECODED, models.video.reconstruct) if latent.is_cuda else (1, models.video.decode)
    return torch.cat(
        [models.video.base(decode(some)[:, :, ::stride].clamp(-1, 1)).transpose(1, 2) for some in latent.split(count)]
    )


def measures(tallies: dict[str, Tally], other: Tensor) -> list[tuple[str, int, list[float]]]:
    """Name, decimals and a value for each source; `other` are features of further real clips."""
    floor = frechet(torch.cat(tallies["real clips"].features), other)
    sources = tallies.values()
    distances = [frechet(torch.cat(t.features), other) / floor for t in sources]
    return [
        *((f"{name}, %", 1, [t.percent(name) for t in sources]) for name in PERCENT),
        ("sound class, balanced, %", 1, [t.balanced("sound") for t in sources]),
        ("seen and heard apart, median, ms", 0, [1000 * t.quantile("apart", 0.5) for t in sources]),
        ("seen and heard apart, p90, ms", 0, [1000 * t.quantile("apart", 0.9) for t in sources]),
        ("picture follows the voice, %", 1, [t.percent("voice") for t in sources]),
        ("impact pitch error, median, octaves", 2, [t.quantile("pitch", 0.5) for t in sources]),
        ("Fréchet distance over that of real clips", 1, distances),
        ("clips with a part that bursts, %", 1, [t.percent("stray") for t in sources]),
    ]


def table(measured: list[tuple[str, int, list[float]]], names: list[str], settings: Settings) -> str:
    """The measures as Markdown, one column a source."""
    head = [
        f"{settings.clips} held-out {settings.form} prompts, {settings.bucket} latents, {settings.steps} steps of "
        f"{settings.sampler}, guidance {settings.guidance:g}.", "",
        f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}",
    ]  # fmt: skip
    rows = [
        f"| {name} | {' | '.join(_number(value, digits) for value in values)} |" for name, digits, values in measured
    ]
    return "\n".join([*head, *rows, ""])


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def sheet(clips: Clips, meter: Meter, path: Path) -> None:
    """Frames of the first clips, a row each, with the spectrogram of the sound at the end of the row."""
    picked = [round(i * (clips.frames.shape[1] - 1) / (COLUMNS - 1)) for i in range(COLUMNS)]
    mel = meter.audio.mel(clips.wave[:SHOWN, None])
    height, width = clips.frames.shape[-2:]
    shade = F.interpolate((mel.flip(1) / 14 + 0.66)[:, None], (height, width * 2)).clamp(0, 1).expand(-1, 3, -1, -1)
    rows = [
        torch.cat([*(clips.frames[i, k] / 2 + 0.5 for k in picked), shade[i]], dim=2)
        for i in range(min(SHOWN, len(mel)))
    ]
    pixels = torch.cat(rows, 1).clamp(0, 1).mul(255).byte().permute(1, 2, 0).cpu().numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).resize((pixels.shape[1] * 2, pixels.shape[0] * 2)).save(path)
