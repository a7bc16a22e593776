"""Clips in memory, on the device that trains, and the batches that are drawn from them there.

Only numbers of clips come from the host: at hundreds of clips a step, gathering latents there would take longer than
the step does.
"""

from __future__ import annotations

from dataclasses import dataclass

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

    `ids [N, K, L]` are the words of the K captions of each clip, `skies [N, K]` which of them speak of the sky.
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


@dataclass(frozen=True)
class Drawn:
    """What a batch shows: clips by their `numbers [B]`, without a caption where `dropped [B]`.

    `silent [L]` is no caption.
    """

    numbers: Tensor
    dropped: Tensor
    silent: Tensor

    def to(self, device: torch.device) -> Drawn:
        """The same on `device`, without waiting for it."""
        return Drawn(*(x.to(device, non_blocking=True) for x in (self.numbers, self.dropped, self.silent)))

    def told(self, ids: Tensor, chosen: Tensor) -> Tensor:
        """Words `[B, L]` of the `chosen [B]` one of captions `ids [B, K, L]`, or of none."""
        picked = ids[torch.arange(len(ids), device=ids.device), chosen].long()
        return torch.where(self.dropped[:, None], self.silent, picked)


def whole_clips(clips: Clips, drawn: Drawn, generator: torch.Generator) -> Batch:
    """Clips with a caption each."""
    drawn = drawn.to(clips.device)
    parts = {name: clips.rows(name, drawn.numbers) for name in KEPT}
    shown = {name: part if name == "classes" else part.float() for name, part in parts.items()}
    ids = clips.rows("ids", drawn.numbers)
    chosen = _choose(torch.ones(ids.shape[:2]), generator).to(clips.device, non_blocking=True)
    return {**shown, "ids": drawn.told(ids, chosen)}


def cut_clips(
    sides: tuple[Clips, Clips], drawn: Drawn, turned: Tensor, spans: Tensor, grid: Grid, generator: torch.Generator
) -> Batch:
    """Clips in two shots with `spans [B, 2, 4]`, first of the one of both `sides`, then the other, or `turned [B]`.

    A cut that no word speaks of would teach the model to change the sky by itself: without a caption, or without one
    that names the sky, both shots are of one side.
    """
    device = sides[0].device
    drawn, turned, spans = drawn.to(device), *(x.to(device, non_blocking=True) for x in (turned, spans))

    def of(name: str, second: bool) -> Tensor:
        one, other = (side.rows(name, drawn.numbers) for side in sides)
        return torch.where((turned ^ second).view(-1, *[1] * (one.ndim - 1)), other, one)

    first, second = of("skies", False), of("skies", True)
    alone = drawn.dropped | ~(first.any(1) & second.any(1))

    def shot(name: str, last: bool) -> Tensor:
        one = of(name, False)
        return torch.where(alone.view(-1, *[1] * (one.ndim - 1)), one, of(name, True)) if last else one

    told = []
    for last, skies in ((False, first), (True, second)):
        # Drawn on the device: which captions there are to choose from is known only there.
        chosen = _choose((skies | alone[:, None]).float(), _on(device, generator))
        told.append(drawn.told(shot("ids", last), chosen))
    parts = {name: (shot(name, False).float(), shot(name, True).float()) for name in ("video", "audio")}
    return {
        **{name: spliced(*pair, spans, grid) for name, pair in parts.items()},
        "classes": of("classes", False), "moments": of("moments", False).float(),
        "ids": torch.stack(told, 1), "spans": spans,
    }  # fmt: skip


def _choose(chances: Tensor, generator: torch.Generator) -> Tensor:
    """A column `[B]` of each row of `chances [B, K]`."""
    return torch.multinomial(chances, 1, generator=generator)[:, 0]


def _on(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """A generator on the device that goes on from one on the CPU."""
    seed = int(torch.randint(0, 2**62, (), generator=generator))
    return torch.Generator(device).manual_seed(seed)
