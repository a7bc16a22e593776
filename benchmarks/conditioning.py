"""What the built-in model makes of frames, sound or picture of clips that it has not seen, mostly without a word.

    python benchmarks/conditioning.py [CLIPS] [WEIGHTS]

A detector that was trained on renders alone looks for what the clips show that the given parts come from.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from report import write
from torch import Tensor
from tqdm import tqdm

from kinetophone.pipelines.generate import encode_text
from kinetophone.pipelines.sampling.denoise import guided_denoiser, keeping
from kinetophone.pipelines.sampling.guidance import Guidance
from kinetophone.pipelines.sampling.loop import sample_euler
from kinetophone.pipelines.sampling.noise import draw_noise
from kinetophone.pipelines.sampling.schedule import flow_schedule
from kinetophone.pipelines.train.detector import LANDED, load_detector
from kinetophone.pipelines.train.evaluate import SEED, Case, Settings, decoded, make_case
from kinetophone.pipelines.train.measure import Clips, Meter, Tally
from kinetophone.pipelines.train.task import seed_of
from kinetophone.pipelines.types import AVLatent, TextContext
from kinetophone.pipelines.weights.load import Models, load_models

PLACE = ("sky", "ground", "colour", "shape")


@dataclass(frozen=True)
class Given:
    """What is given: which steps of the picture and of the sound, at 0..1 of the clip, are still made.

    `measures` are of what must follow from that; `prompted` clips get their prompts too, with guidance.
    """

    name: str
    picture: Callable[[Tensor], Tensor]
    sound: Callable[[Tensor], Tensor]
    measures: tuple[str, ...]
    prompted: bool = False


def all_of(at: Tensor) -> Tensor:
    return at >= 0


def none_of(at: Tensor) -> Tensor:
    return at < 0


KINDS = (
    Given("nothing", all_of, all_of, PLACE),
    Given("the first frame", lambda at: at > 0, all_of, PLACE),
    Given("the first half", lambda at: at > 0.5, lambda at: at > 0.5, (*PLACE, "action", "direction")),
    Given("the first and the last frame", lambda at: (at > 0) & (at < 1), all_of, (*PLACE, "direction")),
    Given("the sound", all_of, none_of, ("action", "apart")),
    Given("the sound, and a prompt", all_of, none_of, (*PLACE, "action", "apart"), prompted=True),
    Given("the picture", none_of, all_of, ("sound", "apart", "pitch")),
)


def main(clips: str = "40", weights: str = "") -> None:
    models = load_models(Path(weights)) if weights else load_models("mini")
    settings = Settings(clips=int(clips))
    meter = Meter(load_detector(LANDED, models.config.audio.mels), models.audio, models.config.grid)
    tallies = {kind.name: Tally() for kind in KINDS}
    for index in tqdm(range(settings.clips // 10)):
        case = make_case(models.config.grid, settings, seed_of(SEED, index, 4))
        for kind in KINDS:
            meter.measure(made(models, settings, case, kind, index), case.scenes, tallies[kind.name])
    rows = [(kind.name, ", ".join(told(tallies[kind.name], name) for name in kind.measures), "") for kind in KINDS]
    write("conditioning", rows, f"{clips} clips of two seconds, {settings.steps} steps. % are right ones.")


@torch.inference_mode()
def made(models: Models, settings: Settings, case: Case, kind: Given, index: int) -> Clips:
    """The clips of a case as they are made around what is given of them."""
    clean = AVLatent(
        models.video.encode_base(case.clips.frames.transpose(1, 2)), models.audio.encode(case.clips.wave[:, None])
    )
    mask = AVLatent(_mask(clean.video, kind.picture), _mask(clean.audio, kind.sound))
    silent = TextContext.concatenate(*[encode_text(models, "")] * len(case.prompts))
    said = TextContext.concatenate(*[encode_text(models, prompt) for prompt in case.prompts])
    text, scale = (said, settings.guidance) if kind.prompted else (silent, 1.0)
    denoiser = keeping(guided_denoiser(models.dit, text, silent, Guidance(scale, scale), mask), clean, mask)
    latent = sample_euler(denoiser, draw_noise(clean, seed_of(SEED, index, 5)), flow_schedule(settings.steps))
    wave = models.audio.decode(latent.audio)[:, 0]
    return Clips(decoded(models, latent.video), wave[:, : case.clips.wave.shape[1]])


def told(tally: Tally, name: str) -> str:
    if name == "sound":
        return f"sound class {tally.balanced(name):.0f} %"
    if name == "apart":
        return f"seen and heard apart {1000 * tally.quantile(name, 0.5):.0f} ms"
    if name == "pitch":
        return f"pitch error {tally.quantile(name, 0.5):.2f} octaves"
    return f"{name} {tally.percent(name):.0f} %"


def _mask(latent: Tensor, still_made: Callable[[Tensor], Tensor]) -> Tensor:
    """1 where a cell of `latent [B, C, T, ...]` is still made; `still_made` is asked for times 0..1."""
    steps = latent.shape[2]
    made = still_made(torch.arange(steps) / (steps - 1)).float()
    return made.view(1, 1, -1, *[1] * (latent.ndim - 3)).expand_as(latent)


if __name__ == "__main__":
    main(*sys.argv[1:])
