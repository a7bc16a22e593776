"""Two ways to follow a storyboard: timed text in one run, or composed predictions of each shot. Which keeps the object?

    python benchmarks/storyboard.py [WEIGHTS] [SHEET.png]

Three shots of one object under three skies, cut; per shot a detector that was trained on renders reads sky, colour and
shape. The object persists when colour and shape are right in every shot; its path jumps when its middle moves across a
cut by more than between other frames.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from report import write
from torch import Tensor

from kinetophone.pipelines import world
from kinetophone.pipelines.generate import empty_latent, encode_text
from kinetophone.pipelines.model.spans import span_weights
from kinetophone.pipelines.sampling.denoise import Denoiser, guided_denoiser
from kinetophone.pipelines.sampling.guidance import Guidance
from kinetophone.pipelines.sampling.loop import sample_euler
from kinetophone.pipelines.sampling.noise import draw_noise
from kinetophone.pipelines.sampling.schedule import flow_schedule
from kinetophone.pipelines.screenplay.storyboard import parse
from kinetophone.pipelines.text.shots import shots_in_time
from kinetophone.pipelines.train.detector import LANDED, Detector, load_detector
from kinetophone.pipelines.types import AVLatent, Screenplay
from kinetophone.pipelines.weights.load import Models, load_models

SKIES = {"clear": "under a clear blue sky", "sunset": "at sunset", "night": "at night"}
OBJECTS = [
    ("red", "ball", "bounces"),
    ("green", "cube", "spins"),
    ("yellow", "cone", "hops"),
    ("blue", "cylinder", "hovers"),
]
SECONDS, SEEDS, SCALES = 4.0, 2, Guidance(3.0, 3.0)
Method = Callable[[Models, Screenplay], Denoiser]


def timed_text(models: Models, play: Screenplay) -> Denoiser:
    """What the pack does: every shot's words, each attended to in its time."""
    contexts = [encode_text(models, shot.caption) for shot in play.shots]
    return guided_denoiser(models.dit, shots_in_time(contexts, play.shots), encode_text(models, ""), SCALES)


def composed(models: Models, play: Screenplay) -> Denoiser:
    """One prediction a shot, of the whole clip, put together in time."""
    contexts = [encode_text(models, shot.caption) for shot in play.shots]
    parts = [guided_denoiser(models.dit, context, encode_text(models, ""), SCALES) for context in contexts]
    grid, length = models.config.grid, contexts[0].tokens.shape[1]
    spans = shots_in_time(contexts, play.shots).spans[:, ::length]

    def denoise(x: AVLatent, sigma: float) -> AVLatent:
        made = [part(x, sigma) for part in parts]
        moments = (
            [grid.video_seconds(i) for i in range(x.video.shape[2])],
            [grid.audio_seconds(i) for i in range(x.audio.shape[2])],
        )
        video, audio = (span_weights(spans, torch.tensor([float(m) for m in times]))[0] for times in moments)
        return AVLatent(
            sum(one.video * video[:, i].view(1, 1, -1, 1, 1) for i, one in enumerate(made)),
            sum(one.audio * audio[:, i].view(1, 1, -1) for i, one in enumerate(made)),
        )

    return denoise


METHODS: dict[str, Method] = {"timed text": timed_text, "composed predictions": composed}


@torch.inference_mode()
def sample(models: Models, play: Screenplay, method: Method, seed: int) -> Tensor:
    """Base frames `[f, 3, h, w]` in -1..1."""
    shape = models.config.grid.plan(448, 256, SECONDS).shape
    noise = draw_noise(empty_latent(models.config, shape), seed)
    latent = sample_euler(method(models, play), noise, flow_schedule(20))
    return models.video.decode_base(latent.video)[0].movedim(1, 0).clamp(-1, 1)


def read(detector: Detector, frames: Tensor, thing: tuple[str, str, str]) -> dict[str, float]:
    """How many of the three shots show their sky, and the object; and how far it moves across the cuts."""
    colour = torch.tensor([world.LABEL_NAMES["colour"].index(thing[0])])
    edges = [round(i * len(frames) / 3) for i in range(4)]
    skies = kept = 0
    for name, first, last in zip(SKIES, edges, edges[1:], strict=False):
        # The latent step of a cut shows both shots.
        seen = detector.see(frames[None, first + 2 : last - 1])
        skies += world.LABEL_NAMES["sky"][int(seen.scene["sky"].argmax())] == name
        presence = seen.presence(colour)
        shape = (seen.cells["shape"].softmax(2)[:, :, 1:] * presence[:, :, None]).sum((1, 3, 4)).argmax(-1)
        kept += bool(presence.sum((2, 3)).mean() > 0.8) and world.LABEL_NAMES["shape"][int(shape)] == thing[1]
    whole = detector.see(frames[None])
    track = detector.follow(whole, frames[None], colour)
    steps = torch.stack((track.x[0], track.y[0]), 1).diff(dim=0).norm(dim=1)
    across = torch.stack([steps[edge - 2 : edge + 1].max() for edge in edges[1:3]]).mean()
    return {"skies": skies / 3, "kept": kept / 3, "jump": float(across / steps.median().clamp(min=1e-3))}


def main(weights: str = "", sheet: str = "") -> None:
    models = load_models(Path(weights)) if weights else load_models("mini")
    detector = load_detector(LANDED, models.config.audio.mels)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in METHODS}
    strips = []
    for thing, seed in itertools.product(OBJECTS, range(SEEDS)):
        length = SECONDS / len(SKIES)
        board = "\n".join(
            f"{i * length:.3f}-{(i + 1) * length:.3f} a large {thing[0]} {thing[1]} {thing[2]} on green grass {sky}"
            for i, sky in enumerate(SKIES.values())
        )
        for name, method in METHODS.items():
            frames = sample(models, parse(board), method, seed)
            found[name].append(read(detector, frames, thing))
            strips.append(frames[torch.linspace(2, len(frames) - 3, 9).long()])
    rows = []
    for name, values in found.items():
        mean = {key: sum(value[key] for value in values) / len(values) for key in values[0]}
        rows.append((f"{name}: shots under their own sky", f"{mean['skies']:.0%}", ""))
        rows.append((f"{name}: shots with the object of its colour and shape", f"{mean['kept']:.0%}", ""))
        rows.append((f"{name}: step of the object across a cut, in usual steps", f"{mean['jump']:.1f}", ""))
    write("storyboard", rows, f"{len(OBJECTS) * SEEDS} storyboards of three shots each.")
    if sheet:
        rows_of_pixels = [torch.cat(list(strip), 2) for strip in strips]
        pixels = (torch.cat(rows_of_pixels, 1) / 2 + 0.5).mul(255).byte().permute(1, 2, 0)
        Image.fromarray(pixels.numpy()).save(sheet)


if __name__ == "__main__":
    main(*sys.argv[1:])
