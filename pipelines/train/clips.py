"""Clips in memory, on the device that trains, and the batches that are drawn from them there.

Only numbers of clips come from the host: at hundreds of clips a step, gathering latents there would take longer than
the step does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..clock import Grid
from .cuts import spliced
from .data import Shard
from .task import Batch

# What of a shard is kept in memory.
KEPT = ("video", "audio", "classes", "moments")


class Clips:
    """The clips of one bucket, added a shard at a time; memory for `shards` of them is set aside with the first.

    `ids [N, K, L, R]` are token rows of the K captions of each clip, `skies [N, K]` which of them speak of the sky.
    `chances [N]`, on the CPU, say how likely a clip is drawn, against the others.
    """

    def __init__(self, shards: int, device: torch.device) -> None:
        self.capacity, self.device = shards, device
        self.shards = self.count = 0
        self.chances = torch.empty(0)
        self._held: dict[str, Tensor] = {}

    def add(self, shard: Shard, ids: Tensor, skies: Tensor, chances: Tensor) -> None:
        """Take in the next shard; all are of one size."""
        parts = {name: getattr(shard, name) for name in KEPT} | {"ids": ids, "skies": skies}
        for name, part in parts.items():
            if name not in self._held:
                size = (self.capacity * len(part), *part.shape[1:])
                self._held[name] = torch.empty(size, dtype=part.dtype, device=self.device)
            self._held[name][self.count : self.count + len(part)] = part.to(self.device)
        self.chances = torch.cat((self.chances, chances))
        self.count, self.shards = self.count + len(ids), self.shards + 1

    def draw(self, count: int, shards: int, generator: torch.Generator) -> Tensor:
        """Numbers `[count]` of clips of the first `shards`, on the CPU."""
        return torch.multinomial(self.chances[: shards * self.count // self.shards], count, True, generator=generator)

    def rows(self, name: str, numbers: Tensor) -> Tensor:
        """One of `KEPT`, `ids` or `skies`, of clips with `numbers [B]` on the device."""
        return self._held[name][numbers]


def whole_clips(clips: Clips, numbers: Tensor, dropped: Tensor, silent: Tensor, generator: torch.Generator) -> Batch:
    """Clips with a caption each, or `silent [L, R]` where `dropped [B]`."""
    numbers, dropped, silent = _moved(clips.device, numbers, dropped, silent)
    ids = clips.rows("ids", numbers)
    chosen = _choose(torch.ones(ids.shape[:2]), generator).to(clips.device, non_blocking=True)
    told = torch.where(dropped[:, None, None], silent, _picked(ids, chosen))
    return {**_shown(clips, numbers), "ids": told}


def cut_clips(
    sides: tuple[Clips, Clips],
    numbers: Tensor,
    turned: Tensor,
    dropped: Tensor,
    silent: Tensor,
    spans: Tensor,
    grid: Grid,
    generator: torch.Generator,
) -> Batch:
    """Clips in two shots with `spans [B, 2, 4]`, first of the one of both `sides`, then the other, or `turned [B]`.

    A cut that no word speaks of would teach the model to change the sky by itself: without a caption, or without one
    that names the sky, both shots are of one side.
    """
    device = sides[0].device
    numbers, turned, dropped, silent, spans = _moved(device, numbers, turned, dropped, silent, spans)

    def of(name: str, second: bool) -> Tensor:
        one, other = (side.rows(name, numbers) for side in sides)
        return torch.where((turned ^ second).view(-1, *[1] * (one.ndim - 1)), other, one)

    first, second = of("skies", False), of("skies", True)
    alone = dropped | ~(first.any(1) & second.any(1))

    def shot(name: str, last: bool) -> Tensor:
        one = of(name, False)
        return torch.where(alone.view(-1, *[1] * (one.ndim - 1)), one, of(name, True)) if last else one

    told = []
    for last, skies in ((False, first), (True, second)):
        # Drawn on the device: which captions there are to choose from is known only there.
        chosen = _choose((skies | alone[:, None]).float(), _on(device, generator))
        told.append(torch.where(dropped[:, None, None], silent, _picked(shot("ids", last), chosen)))
    parts = {name: (shot(name, False).float(), shot(name, True).float()) for name in ("video", "audio")}
    return {
        **{name: spliced(*pair, spans, grid) for name, pair in parts.items()},
        "classes": of("classes", False), "moments": of("moments", False).float(),
        "ids": torch.stack(told, 1), "spans": spans,
    }  # fmt: skip


def _shown(clips: Clips, numbers: Tensor) -> Batch:
    parts = {name: clips.rows(name, numbers) for name in KEPT}
    return {name: part if name == "classes" else part.float() for name, part in parts.items()}


def _choose(chances: Tensor, generator: torch.Generator) -> Tensor:
    """A column `[B]` of each row of `chances [B, K]`."""
    return torch.multinomial(chances, 1, generator=generator)[:, 0]


def _picked(ids: Tensor, chosen: Tensor) -> Tensor:
    return ids[torch.arange(len(ids), device=ids.device), chosen].long()


def _on(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """A generator on the device that goes on from one on the CPU."""
    seed = int(torch.randint(0, 2**62, (), generator=generator))
    return torch.Generator(device).manual_seed(seed)


def _moved(device: torch.device, *tensors: Tensor) -> list[Tensor]:
    return [tensor.to(device, non_blocking=True) for tensor in tensors]
