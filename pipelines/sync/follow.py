"""Where no events stand out, as in speech: the lag at which some part of the picture changes as the sound is loud.

Of the parts of a picture, the one whose brightness correlates best with the loudness is the one that sounds (Hershey
and Movellan, "Audio-vision: using audio-visual synchrony to locate sounds", NIPS 1999).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..clip.clip import Sound

# Pixels of a small frame on a side of a part, and seconds between the lags that are tried.
PART = 4
STEP = 1 / 96
# Picture and sound must overlap for so long at every lag; no more of a clip is looked at than LONGEST seconds.
OVERLAP, LONGEST = 2.5, 60.0
# Changes that any camera makes, in grey levels of 255; and of a steady sound, as a share of its loudness.
GRAIN, WAVER = 1.0, 0.1


def followed(frames: Tensor, fps: float, sound: Sound, reach: float) -> tuple[Tensor, Tensor]:
    """How well the best part of `frames [T, 3, h, w]` (0 to 255) follows the loudness, at each lag of the sound.

    Lags in seconds and correlations from 0 to 1, both `[L]`; empty where the clip is too short to tell.
    """
    frames = frames[: int(LONGEST * fps)]
    reach = min(reach, len(frames) / fps - OVERLAP)
    if reach <= 0:
        return torch.zeros(0), torch.zeros(0)
    steps = int(reach / STEP)
    lags = torch.arange(-steps, steps + 1) * STEP
    parts = F.avg_pool2d(frames.mean(1, keepdim=True), PART, ceil_mode=True).flatten(1)
    loud = _loudness(sound, fps)
    place = ((torch.arange(len(parts)) / fps + lags[:, None]) / STEP).round().long()
    there = ((place >= 0) & (place < len(loud))).float()
    heard = loud[place.clamp(0, len(loud) - 1)]
    count = there.sum(1, keepdim=True)
    level = (heard * there).sum(1, keepdim=True) / count
    heard = (heard - level) * there
    swing = heard.square().sum(1, keepdim=True).div(count).sqrt() + WAVER * level
    change = (there @ parts.square() / count - (there @ parts / count).square()).clamp(min=0).add(GRAIN**2).sqrt()
    correlation = heard @ parts / count / (swing * change).clamp(min=1e-9)
    return lags, correlation.abs().amax(1).clamp(max=1.0)


def _loudness(sound: Sound, fps: float) -> Tensor:
    """The level of a sound every STEP seconds, smoothed over a frame: what changes faster cannot be seen."""
    size = max(1, round(STEP * sound.rate))
    power = sound.waveform.mean(0).square()[None]
    level = F.avg_pool1d(F.pad(power, (size, size)), 2 * size + 1, size)[0].clamp(min=0).sqrt()
    width = max(1, round(1 / fps / STEP))
    return F.avg_pool1d(F.pad(level[None], (width // 2, width - 1 - width // 2)), width, 1)[0]
