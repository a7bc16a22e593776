"""Join trained parts into one checkpoint, or several checkpoints into their mean."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import torch
from torch import Tensor

from .. import world
from ..model.config import Config
from ..weights.adapter import DOWN, PREFIX, UP, base_of, save_adapter
from ..weights.checkpoint import Checkpoint, opened, published_words, read_checkpoint, save_checkpoint
from ..weights.load import build_audio, build_dit, build_text, build_video
from .checkpoint import check_origin, load_averaged, load_part, read_codec
from .config import RunConfig, parse_options
from .distill import DistillOptions

log = logging.getLogger(__name__)

LICENCE = "Apache-2.0"
# Where each part's averaged weights live inside the training checkpoint of its task, or in published weights.
SOURCES = {
    "joint": {"dit.": "dit.", "text.": "text."},
    "decoder": {"vae.": "video.", "video.": "video."},
    "vocoder": {"audio.": "audio."},
}


def export(config: Config, out: Path, parts: dict[str, Path]) -> None:
    """Write `out` from the training checkpoints `joint`, `decoder`, `vocoder` and the fitted `codec`.

    Published weights may stand for any of them.
    """
    missing = (set(SOURCES) | {"codec"}) - set(parts)
    if missing:
        raise ValueError(f"Export needs {', '.join(f'{name}=PATH' for name in sorted(missing))}.")
    tensors: dict[str, Tensor] = {}
    for name, prefixes in SOURCES.items():
        for key, value in load_averaged(parts[name]).items():
            for prefix, target in prefixes.items():
                if key.startswith(prefix):
                    tensors[target + key[len(prefix) :]] = value
    tensors |= read_codec(parts["codec"])
    words = published_words(parts["joint"]) or tuple(world.vocabulary())
    try:
        for build in (build_dit, build_text, build_video, build_audio):
            build(Checkpoint(config, words, tensors, "", LICENCE, {}))
    except ValueError as error:
        given = ", ".join(f"{name}={path}" for name, path in parts.items())
        raise ValueError(f"{given} do not make a whole {config.name}; is it another --model? {error}") from error
    digest = save_checkpoint(out, config, words, tensors, licence=LICENCE, metrics={})
    log.info("%s: %.1f MB, %s", out, out.stat().st_size / 1e6, digest)


def soup(out: Path, weights: list[Path]) -> None:
    """Write `out` with the mean of published weights that a run made of each other (Wortsman et al., arXiv 2203.05482).

    Raises ValueError for less than two, and for weights of other configurations or words.
    """
    if len(weights) < 2:
        raise ValueError(f"A mean is of two checkpoints or more; got {len(weights)}.")
    parts = [read_checkpoint(path) for path in weights]
    first = parts[0]
    for path, part in zip(weights, parts, strict=True):
        if (part.config, part.words) != (first.config, first.words):
            raise ValueError(f"{path.name} has another configuration, or other words, than {weights[0].name}.")
    tensors = {name: torch.stack([part.tensors[name].float() for part in parts]).mean(0) for name in first.tensors}
    digest = save_checkpoint(out, first.config, first.words, tensors, licence=first.licence, metrics={})
    log.info("%s: the mean of %d, %s", out, len(parts), digest)


def export_adapter(out: Path, run: RunConfig) -> None:
    """Write `out`, the turbo adapter that a run of `distill` has learned, from its averaged weights."""
    options = parse_options(DistillOptions, run)
    teacher, last = read_checkpoint(Path(options.init)), Path(run.out) / "last.safetensors"
    with opened(last) as file:
        check_origin(last, file.metadata() or {}, {"task": run.task, "init": teacher.digest})
    tensors = {}
    for name, value in load_part(last, "dit.").items():
        layer, learned, part = name.partition(".parametrizations.weight.0.")
        if learned:
            tensors[f"{PREFIX}{layer}{UP if part == 'up' else DOWN}"] = value
    digest = save_adapter(
        out, tensors, base_of(teacher), steps=options.turbo_steps, guidance=options.guidance, licence=teacher.licence
    )
    log.info("%s: %.1f MB, %s", out, out.stat().st_size / 1e6, digest)


def label(path: Path, evaluation: Path) -> None:
    """Write what an evaluation (its `.json`) measured of a checkpoint into its metadata; the weights stay as they are.

    Raises ValueError when the evaluation is none, or has no column of the checkpoint's name.
    """
    try:
        columns = json.loads(evaluation.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{evaluation} is not what `evaluate` writes beside its table: {error}") from error
    own = path.resolve().with_suffix("").as_posix()
    found = [name for name in columns if own.endswith(f"/{name}")]
    if not found:
        raise ValueError(f"{evaluation.name} says nothing about {path.stem}; it has {', '.join(columns)}.")
    kept = read_checkpoint(path)
    save_checkpoint(
        path, kept.config, kept.words, kept.tensors, licence=kept.licence,
        metrics=columns[found[0]],
    )  # fmt: skip
