"""Instants that can be seen and instants that can be heard, found in any clip.

Seen: the picture's coarse pattern suddenly changes, or suddenly moves otherwise than before (flash, cut, impact).
Heard: the level suddenly rises over the spectrum. Both are timed more finely than the frames they are found in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..clip.clip import Clip, Sound

# Frames are looked at this small, through this many cosine patterns across and down: smooth motion changes them
# smoothly, and rain or grain hardly does.
WIDTH = 48
PATTERNS = (8, 6)
# An instant stands out this many times over what is usual around it, within this many seconds.
CLEAR = 2.2
AROUND = 0.6
# Change that any camera and codec makes, in grey levels of 255.
GRAIN = 0.08
# Two neighbouring changes of much the same size that point against each other are a step (flash, cut), else a kink.
AGAINST, EVEN = -0.4, 0.6
# A landing and the jump that follows are one event, and the first of them sounds.
APART = 0.2
SPECTRUM, HOP_SECONDS = 1024, 0.004
# A rise counts that is this share of the clip's greatest, and this many times over what is usual.
RISE, LOUD = 0.25, 8.0
ECHO = 0.05


@dataclass(frozen=True)
class Events:
    """Instants `time [N]` in seconds, in order, and how clear they are, `strength [N]` 0 to 1.

    `curve` is what they were found in, at `rate` values a second.
    """

    time: Tensor
    strength: Tensor
    curve: Tensor
    rate: float

    def __len__(self) -> int:
        return len(self.time)


def watch(clip: Clip) -> Tensor:
    """The whole clip as small frames `[T, 3, h, w]` float32, 0 to 255, read as a stream."""
    width = min(WIDTH, clip.shape.width)
    height = max(2, round(clip.shape.height * width / clip.shape.width))
    small = [F.interpolate(chunk.movedim(-1, 1).float(), (height, width), mode="area") for chunk in clip.frames()]
    return torch.cat(small)


def seen(frames: Tensor, fps: float) -> Events:
    """Instants in frames `[T, 3, h, w]`."""
    if len(frames) < 5:
        return _none(fps)
    bend = _bends(frames)
    size = bend.norm(dim=1) / math.sqrt(bend.shape[1])
    usual = _running_median(size, round(AROUND * fps)).clamp(min=1.0)
    # Frame 0 has no change, and the first bend belongs to frame 1.
    curve = F.pad(size / usual, (1, 1))
    where = _peaks(curve, 1)
    where = where[curve[where] > CLEAR]
    times = [_between(bend, size - usual, int(index) - 1) / fps for index in where]
    return _first_of_each(torch.tensor(times), curve[where], curve, fps)


def heard(sound: Sound) -> Events:
    """Instants in a sound."""
    wave, rate = sound.waveform.mean(0), sound.rate
    hop = max(1, round(HOP_SECONDS * rate))
    if len(wave) < 2 * SPECTRUM or not wave.any():
        return _none(rate / hop)
    # A window ends at its time, so that nothing is heard before it happens.
    window = torch.hann_window(SPECTRUM)
    spectrum = torch.stft(F.pad(wave, (SPECTRUM, 0)), SPECTRUM, hop, window=window, center=False, return_complex=True)
    level = (spectrum.abs() / spectrum.abs().max() * 1e3 + 1).log10()
    rise = (level - F.pad(level, (3, 0))[:, :-3]).clamp(min=0).mean(0)
    # The clip's own beginning is no event.
    rise[: SPECTRUM // hop + 4] = 0
    curve = rise - _running_median(rise, round(AROUND / 2 / HOP_SECONDS))
    where = _peaks(curve, round(ECHO / HOP_SECONDS))
    where = where[curve[where] > max(RISE * curve.max().item(), LOUD * 1.48 * curve.abs().median().item(), 0.02)]
    times = [_onset(wave, int(index) * hop, rate) for index in where]
    strength = curve[where] / curve.max().clamp(min=1e-6)
    return Events(torch.tensor(times), strength, curve, rate / hop)


def _bends(frames: Tensor) -> Tensor:
    """How each pattern's change changes, `[T - 2, patterns]`, in units of what is usual for the pattern."""
    across, down = (
        _cosines(size, count) for size, count in zip((frames.shape[3], frames.shape[2]), PATTERNS, strict=True)
    )
    patterns = torch.einsum("tchw,iw,jh->tcij", frames, across, down).flatten(1)
    bend = patterns[2:] - 2 * patterns[1:-1] + patterns[:-2]
    usual = 1.48 * bend.abs().median(0).values
    return bend / usual.clamp(min=GRAIN)


def _cosines(size: int, count: int) -> Tensor:
    """Cosine patterns `[count, size]`, each a mean over the pixels."""
    places = (torch.arange(size) + 0.5) / size
    return torch.cos(math.pi * torch.arange(count)[:, None] * places) / size


def _between(bend: Tensor, size: Tensor, index: int) -> float:
    """The time, in frames, of the event around bend `index`: a kink shares itself out among the frames around it."""
    beside = max((i for i in (index - 1, index + 1) if 0 <= i < len(bend)), key=lambda i: size[i].item())
    alike = F.cosine_similarity(bend[index], bend[beside], dim=0).item()
    if alike < AGAINST and size[beside] > EVEN * size[index]:
        # The step lies between the two frames that the earlier bend saw last: on average half a frame before the later.
        return min(index, beside) + 1.5
    own, other = size[index].clamp(min=0).item(), size[beside].clamp(min=0).item() * max(alike, 0.0)
    return 1 + (index * own + beside * other) / max(own + other, 1e-9)


def _onset(wave: Tensor, end: int, rate: int) -> float:
    """When the sound that is heard at sample `end` begins: where its level leaves what was before."""
    start = max(0, end - round(0.03 * rate))
    part = wave[start : end + round(0.02 * rate)].abs()
    level = F.max_pool1d(F.pad(part[None], (15, 0)), 16, 1)[0]
    low, high = level[: max(1, len(level) // 6)].mean(), level.max()
    above = (level > low + 0.15 * (high - low)).nonzero()
    return (start + (int(above[0]) if len(above) else len(part) // 2)) / rate


def _running_median(x: Tensor, reach: int) -> Tensor:
    reach = min(reach, len(x) - 1)
    return F.pad(x[None], (reach, reach), mode="reflect")[0].unfold(0, 2 * reach + 1, 1).median(1).values


def _peaks(x: Tensor, reach: int) -> Tensor:
    """Indices of positive values that nothing within `reach` exceeds."""
    highest = F.max_pool1d(x[None], 2 * reach + 1, 1, reach)[0]
    return ((x == highest) & (x > 0)).nonzero().flatten()


def _first_of_each(time: Tensor, size: Tensor, curve: Tensor, rate: float) -> Events:
    """Of events closer than APART the first, unless one after it is much clearer."""
    kept: list[int] = []
    for index in range(len(time)):
        if kept and time[index] - time[kept[-1]] < APART:
            if size[index] > 2.5 * size[kept[-1]]:
                kept[-1] = index
        else:
            kept.append(index)
    return Events(time[kept], (size[kept] / (4 * CLEAR)).clamp(max=1.0), curve, rate)


def _none(rate: float) -> Events:
    return Events(torch.zeros(0), torch.zeros(0), torch.zeros(1), rate)
