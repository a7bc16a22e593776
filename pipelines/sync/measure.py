"""How far the sound is from the picture: the lag at which what is heard meets what is seen."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..clip.clip import Clip, Sound
from .events import Events, heard, seen, watch
from .follow import followed

# Seconds to look ahead and behind, and the step between the lags that are tried.
REACH = 1.2
STEP = 0.002
# How far an event may be from its other half: what any onset is off, in seconds, and what a picture's is, in frames.
ONSET, FRAME = 0.012, 0.4
# Events this near to each other at the lag that was found belong together.
TOGETHER = 0.045
# What an event takes from the score of a lag that leaves it alone: what is heard and not seen is common, the other way
# round it is not.
UNHEARD, UNSEEN = 0.22, 0.067
# A lag that explains the events almost as well as the best is a rival when it is further away than this.
RIVAL = 0.09
# Scores vary by this much at least, however little happens. The best must stand 1.3 deviations above its rivals,
# which is a confidence of LEAST.
VARIES = 0.2
LEAST = 0.6
# A part of the picture follows the loudness where they correlate so well, and better by so much than at any lag that is
# further away than BESIDE.
FOLLOWS, BETTER, BESIDE = 0.8, 0.15, 0.12


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
        if not self.matched:
            found += " None of them tells the offset: a part of the picture does, which changes as the sound is loud."
        late = abs(self.offset) * 1000
        where = "in sync with" if late < 5 else f"{late:.0f} ms {'after' if self.offset > 0 else 'before'}"
        return f"The sound is {where} the picture (confidence {self.confidence:.2f}).\n{found}"


def measure_sync(clip: Clip, reach: float = REACH) -> Sync:
    """Read the clip once, and find the offset of its sound within `reach` seconds either way."""
    frames, fps = watch(clip), float(clip.shape.fps)
    if clip.sound is None:
        return _unknown("the video has no sound.", seen(frames, fps), _silence())
    return compare(frames, fps, clip.sound, reach)


def compare(frames: Tensor, fps: float, sound: Sound, reach: float = REACH) -> Sync:
    """The offset between small frames `[T, 3, h, w]`, as `watch` gives them, and a sound.

    Events tell it, and where they do not, a part of the picture that follows the loudness, such as a mouth.
    """
    found = match(seen(frames, fps), heard(sound), len(frames) / fps, reach)
    if found.confidence:
        return found
    lags, scores = followed(frames, fps, sound, reach)
    if not len(lags):
        return found
    best = int(scores.argmax())
    others = scores[(lags - lags[best]).abs() > BESIDE]
    clear = scores[best] - others.max() if len(others) else torch.zeros(())
    if scores[best] < FOLLOWS or clear < BETTER:
        return found
    confidence = round(scores[best].item(), 3)
    return replace(found, offset=lags[best].item(), confidence=confidence, reason="", lags=lags, scores=scores)


def match(picture: Events, sound: Events, seconds: float, reach: float = REACH) -> Sync:
    """The offset between two lists of instants of a clip of `seconds`.

    The score of a lag is the cross-correlogram there, less what the events take that the clip holds and it leaves
    alone. The best is believed by how far it stands above every rival, in deviations of the scores.
    """
    if not len(picture):
        return _unknown("nothing in the picture happens at one moment.", picture, sound)
    if not len(sound):
        return _unknown("nothing in the sound begins at one moment.", picture, sound)
    steps = round(reach / STEP)
    lags = torch.arange(-steps, steps + 1) * STEP
    pairs = _pairs(picture, sound, reach)
    together, shown = _correlogram(pairs, steps, picture.rate), _within(picture, lags, seconds)
    scores = together - UNHEARD * shown - UNSEEN * _within(sound, -lags, seconds)
    best = int(scores.argmax())
    others = scores[(lags - lags[best]).abs() > RIVAL]
    # A score of 0 is what it is to explain nothing.
    above = (scores[best] - others.max().clamp(min=0)).item()
    confidence = 1 - 0.5 ** (max(0.0, above) / math.hypot(VARIES, others.std().item()))
    if confidence < LEAST:
        if together[best] < shown[best] / 2:
            return _unknown("what is seen and what is heard do not fit together at any offset.", picture, sound)
        return _unknown("what happens repeats evenly, so that several offsets explain it.", picture, sound)
    offset, matched = _refined(pairs, lags[best].item())
    return Sync(offset, round(confidence, 3), matched, "", lags, scores, picture, sound)


@dataclass(frozen=True)
class _Pairs:
    """Each seen with each heard event near it, all `[P]`: `late` in seconds, `weight` 0 to 1, and which was seen."""

    late: Tensor
    weight: Tensor
    shown: Tensor


def _pairs(picture: Events, sound: Events, reach: float) -> _Pairs:
    """The pairs that a lag within `reach` can bring together."""
    far = reach + TOGETHER
    first = torch.searchsorted(sound.time, picture.time - far)
    count = torch.searchsorted(sound.time, picture.time + far) - first
    shown = torch.arange(len(picture)).repeat_interleave(count)
    sounded = torch.arange(len(shown)) + (first - count.cumsum(0) + count).repeat_interleave(count)
    late = sound.time[sounded] - picture.time[shown]
    return _Pairs(late, picture.strength[shown] * sound.strength[sounded], shown)


def _correlogram(pairs: _Pairs, steps: int, fps: float) -> Tensor:
    """The weight of the pairs that each lag brings together, `[2 * steps + 1]`."""
    width = math.hypot(ONSET, FRAME / fps)
    side = math.ceil(4 * width / STEP)
    place = (pairs.late / STEP).round().long() + steps + side
    inside = (place >= 0) & (place <= 2 * (steps + side))
    count = torch.bincount(place[inside], pairs.weight[inside], 2 * (steps + side) + 1)
    kernel = torch.exp(-0.5 * (torch.arange(-side, side + 1) * STEP / width) ** 2)
    return F.conv1d(count.float()[None, None], kernel[None, None])[0, 0]


def _within(events: Events, lags: Tensor, seconds: float) -> Tensor:
    """The strength of the events whose other half would lie within the clip, at each lag."""
    ordered = torch.cat((torch.zeros(1), events.strength.cumsum(0)))
    first, last = torch.searchsorted(events.time, -lags, right=True), torch.searchsorted(events.time, seconds - lags)
    return ordered[last] - ordered[torch.minimum(first, last)]


def _refined(pairs: _Pairs, lag: float) -> tuple[float, int]:
    """The mean distance of the pairs at a lag, weighted by their clarity, and how many events were seen in them."""
    near = (pairs.late - lag).abs() < TOGETHER
    if not near.any():
        return lag, 0
    late, weight = pairs.late[near], pairs.weight[near]
    return ((weight * late).sum() / weight.sum()).item(), len(pairs.shown[near].unique())


def _unknown(reason: str, picture: Events, sound: Events) -> Sync:
    return Sync(0.0, 0.0, 0, reason, torch.zeros(1), torch.zeros(1), picture, sound)


def _silence() -> Events:
    return Events(torch.zeros(0), torch.zeros(0), torch.zeros(1), 1.0)
