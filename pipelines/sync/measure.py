"""How far the sound is from the picture: the lag at which what is heard meets what is seen."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..clip.clip import Clip
from .events import Events, heard, seen, watch

# Seconds to look ahead and behind, and the step between the lags that are tried.
REACH = 1.2
STEP = 0.002
# What is seen at a frame may have happened up to half a frame earlier or later.
WIDTH = 0.02
# Events this near to each other at the lag that was found belong together.
TOGETHER = 0.045
# What is heard and not seen is common, the other way round it is not.
UNSEEN = 0.35
# A lag that explains the events almost as well as the best is a rival when it is further away than this.
RIVAL = 0.09
# How much better, for every second that it is further away, a lag must explain the events than a nearer one.
PATIENCE = 0.2
# A rival with this share of the best score explains the events as well. Less confidence than LEAST is a guess.
EQUAL = 0.88
LEAST = 0.43


@dataclass(frozen=True)
class Sync:
    """`offset` in seconds, positive when the sound is late; `confidence` 0 to 1; and why, in words.

    `lags` and `scores` are what was tried; `seen` and `heard` what was found.
    """

    offset: float
    confidence: float
    matched: int
    reason: str
    lags: Tensor
    scores: Tensor
    seen: Events
    heard: Events

    def report(self) -> str:
        """For reading."""
        found = f"{len(self.seen)} events seen, {len(self.heard)} heard, {self.matched} of them together."
        if not self.confidence:
            return f"The offset cannot be measured: {self.reason}\n{found}"
        late = abs(self.offset) * 1000
        where = "in sync with" if late < 5 else f"{late:.0f} ms {'after' if self.offset > 0 else 'before'}"
        return f"The sound is {where} the picture (confidence {self.confidence:.2f}).\n{found}"


def measure_sync(clip: Clip, reach: float = REACH) -> Sync:
    """Read the clip once, and find the offset of its sound within `reach` seconds either way."""
    if clip.sound is None:
        return _unknown("the video has no sound.", seen(watch(clip), float(clip.shape.fps)), _silence())
    return match(seen(watch(clip), float(clip.shape.fps)), heard(clip.sound), float(clip.shape.seconds), reach)


def match(picture: Events, sound: Events, seconds: float, reach: float = REACH) -> Sync:
    """The offset between two lists of instants of a clip of `seconds`."""
    if not len(picture):
        return _unknown("nothing in the picture happens at one moment.", picture, sound)
    if not len(sound):
        return _unknown("nothing in the sound begins at one moment.", picture, sound)
    lags = torch.arange(-reach, reach + STEP / 2, STEP)
    scores = _scores(picture, sound, lags, seconds)
    # Of lags that explain about as much, the smallest: events that repeat fit at every period.
    best = int((scores - PATIENCE * lags.abs()).argmax())
    rivals = scores[(lags - lags[best]).abs() > RIVAL]
    offset, matched = _refined(picture, sound, lags[best].item())
    rival = (rivals.max() / scores[best]).item() if len(rivals) else 0.0
    if rival > EQUAL:
        return _unknown("what happens repeats evenly, so that several offsets explain it.", picture, sound)
    confidence = scores[best].item() * (1 - 0.5**matched) * min(1.0, 0.4 + 1.2 * (1 - rival))
    if confidence < LEAST:
        return _unknown("what is seen and what is heard do not fit together at any offset.", picture, sound)
    return Sync(offset, round(min(confidence, 1.0), 3), matched, "", lags, scores, picture, sound)


def _scores(picture: Events, sound: Events, lags: Tensor, seconds: float) -> Tensor:
    """How much of what is seen is heard at each lag, and the other way round, 0 to 1."""
    late = sound.time[None] - picture.time[:, None]
    near = torch.exp(-0.5 * ((late[None] - lags[:, None, None]) / WIDTH) ** 2)
    seen_heard = _share(near.amax(2), picture, picture.time + lags[:, None], seconds)
    heard_seen = _share(near.amax(1), sound, sound.time - lags[:, None], seconds)
    return (seen_heard + UNSEEN * heard_seen) / (1 + UNSEEN)


def _share(together: Tensor, events: Events, expected: Tensor, seconds: float) -> Tensor:
    """The share of events that are met, of those whose other half would lie within the clip."""
    weight = events.strength * ((expected > 0) & (expected < seconds))
    return (weight * together).sum(1) / weight.sum(1).clamp(min=0.5 * float(events.strength.sum()))


def _refined(picture: Events, sound: Events, lag: float) -> tuple[float, int]:
    """The mean distance of the pairs at a lag, weighted by their clarity, and how many there are."""
    late = sound.time[None] - picture.time[:, None]
    nearest = (late - lag).abs().min(1)
    paired = nearest.values < TOGETHER
    if not paired.any():
        return lag, 0
    index = nearest.indices[paired]
    weight = picture.strength[paired] * sound.strength[index]
    distance = late[paired].gather(1, index[:, None])[:, 0]
    return ((weight * distance).sum() / weight.sum()).item(), int(paired.sum())


def _unknown(reason: str, picture: Events, sound: Events) -> Sync:
    return Sync(0.0, 0.0, 0, reason, torch.zeros(1), torch.zeros(1), picture, sound)


def _silence() -> Events:
    return Events(torch.zeros(0), torch.zeros(0), torch.zeros(1), 1.0)
