"""More channels for the picture: weights that make what they made before, ready to learn what the new channels hold."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..model.config import Config
from ..vae.decoder import HISTORY
from ..vae.linear import LinearCodec
from ..weights.checkpoint import read_checkpoint, save_checkpoint
from .fit import extend_codec
from .joint import load_codec

log = logging.getLogger(__name__)


def widen(config: Config, out: Path, weights: Path, fast: bool = False) -> None:
    """Write `out`, published weights with the picture channels of `config`, of which `weights` have fewer.

    The linear codec keeps its channels and gains finer ones; the networks neither read nor make these yet. `fast`
    compiles the renderer. Raises ValueError when the two differ in anything but the number of channels, or when the
    encoder is learned.
    """
    kept = read_checkpoint(weights)
    old, new = kept.config.video.channels, config.video.channels
    if kept.config.video.encoder != "klt":
        raise ValueError(f"{weights.name} has a learned encoder; only a linear one can gain channels and keep its own.")
    if old >= new or with_channels(kept.config, new) != config:
        raise ValueError(
            f"{weights.name} has {old} picture channels of {kept.config.name}; it can become {config.name} only if "
            f"that has more than {old}, and is otherwise the same."
        )
    narrow = load_codec(kept.config, weights).video.codec
    tensors = widened(kept.tensors, old, new, config.dit.patch**2, extend_codec(config, narrow, fast))
    digest = save_checkpoint(out, config, kept.words, tensors, licence=kept.licence, metrics={})
    log.info("%s: %d channels instead of %d, %s", out, new, old, digest)


def with_channels(config: Config, channels: int) -> Config:
    """The same configuration with other picture channels."""
    return replace(
        config, dit=replace(config.dit, video_channels=channels), video=replace(config.video, channels=channels)
    )


def widened(tensors: dict[str, Tensor], old: int, new: int, cells: int, codec: LinearCodec) -> dict[str, Tensor]:
    """Weights for `new` picture channels from those for `old`; a token holds so many `cells`."""
    more = new - old

    def columns(name: str, groups: int = 1, rest: int = 0, per_channel: int = 1) -> Tensor:
        """Zeros behind the channels in each group of columns; the last `rest` columns are something else."""
        weight = tensors[name]
        channels, other = weight.split((weight.shape[1] - rest, rest), dim=1)
        grouped = channels.unflatten(1, (groups, -1))
        zeros = grouped.new_zeros(len(grouped), groups, more * per_channel, *grouped.shape[3:])
        return torch.cat((torch.cat((grouped, zeros), dim=2).flatten(1, 2), other), dim=1)

    def rows(name: str, per_channel: int = 1) -> Tensor:
        value = tensors[name]
        return torch.cat((value, value.new_zeros(more * per_channel, *value.shape[1:])))

    changed = {
        "dit.video_in.down.weight": columns("dit.video_in.down.weight", per_channel=cells),
        "video.decoder.enter.weight": columns("video.decoder.enter.weight", groups=HISTORY),
        **{f"dit.video_out.{part}": rows(f"dit.video_out.{part}", cells) for part in ("weight", "bias")},
        **{f"video.codec.{name}": value for name, value in codec.state_dict().items()},
    }
    if "dit.refiner.out.weight" in tensors:
        # Its columns are the clean channels, the noisy ones, and the noise level.
        changed["dit.refiner.cells.weight"] = columns("dit.refiner.cells.weight", groups=2, rest=1)
        changed |= {f"dit.refiner.out.{part}": rows(f"dit.refiner.out.{part}") for part in ("weight", "bias")}
    return tensors | changed
