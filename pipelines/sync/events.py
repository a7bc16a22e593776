"""Instants that can be seen and instants that can be heard, found in any clip.

Seen: somewhere in the picture a coarse pattern suddenly changes, or suddenly moves otherwise than before (flash, cut,
impact). Heard: the level suddenly rises in some bands. Both are timed more finely than the frames they are found in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..clip.clip import Clip, Sound

# Frames are looked at this small, through cosine patterns: in the whole frame and in overlapping windows of these
# sizes. Smooth motion changes them smoothly, rain or grain hardly at all.
WIDTH = 48
WHOLE = (4, 3)
WINDOWS = (24, 12)
# What is usual is taken from this many seconds before and after.
AROUND = 0.4
# Change that any camera and codec makes, in grey levels of 255.
GRAIN = 0.2
# Evidence in the picture, the mean of log(1 + z^2 / 9) over the patterns, that counts, and how far above its noise.
VISIBLE = 0.008
ABOVE = 4.0
# Two neighbouring changes of much the same size that point against each other are a step (flash, cut), else a kink.
AGAINST, EVEN = -0.4, 0.6
# A landing and the jump that follows are one event, and the first of them sounds.
APART = 0.15
# Seconds of a spectrum, between spectra, and over which a level rises; bands on the mel scale, from and to Hz.
SPECTRUM, HOP, RISE = 0.043, 0.004, 0.03
BANDS, LOWEST, HIGHEST = 20, 50.0, 10_000.0
# Level that counts as silence, of the clip's loudest band, and rise in decades that any band makes.
SILENCE, RIPPLE = 1e-3, 0.1
# A band says no more than this many times what is usual; a mean over the bands that counts.
CAP, AUDIBLE = 8.0, 0.25
# What begins so many decades below the loudest beginning says little: it is the background.
DYNAMICS, FAINTEST = 2.5, 0.1
# Seconds in which a sound may rise again and is the same.
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
    scale = min(1.0, WIDTH / max(clip.shape.width, clip.shape.height))
    size = [max(2, round(side * scale)) for side in (clip.shape.height, clip.shape.width)]
    return torch.cat([F.interpolate(chunk.movedim(-1, 1).float(), size, mode="area") for chunk in clip.frames()])


def seen(frames: Tensor, fps: float) -> Events:
    """Instants in frames `[T, 3, h, w]`."""
    if len(frames) < 5:
        return _none(fps)
    reach = max(8, round(AROUND * fps))
    bend = _bends(frames, reach)
    evidence = torch.log1p(bend.square() / 9).mean(1)
    # Frame 0 has no change, and the first bend belongs to frame 1.
    curve = F.pad(evidence - _running_median(evidence, reach), (1, 1))
    least = max(VISIBLE, ABOVE * 1.48 * curve.abs().median().item())
    where = _peaks(curve, 1)
    where = where[curve[where] > least]
    times = [_between(bend, curve[1:-1], int(index) - 1) / fps for index in where]
    return _first_of_each(torch.tensor(times), curve[where], least, curve, fps)


def heard(sound: Sound) -> Events:
    """Instants in a sound."""
    wave, rate = sound.waveform.mean(0), sound.rate
    hop, size = max(1, round(HOP * rate)), round(SPECTRUM * rate)
    if len(wave) < 2 * size or not wave.any():
        return _none(rate / hop)
    curve, power = _rises(wave, rate, size, hop)
    curve = curve - _running_median(curve, round(AROUND / HOP))
    curve[: _beginning(wave, hop) + round((SPECTRUM + RISE) / HOP) + 1] = 0
    least = max(AUDIBLE, ABOVE * 1.48 * curve.abs().median().item())
    where = _peaks(curve, round(ECHO / HOP))
    where = where[curve[where] > least]
    time, order = torch.tensor([_onset(wave, int(index) * hop, rate) for index in where]).sort()
    where = where[order]
    loud = (1 + (power[where] / power.max()).log10() / (2 * DYNAMICS)).clamp(min=FAINTEST)
    return Events(time, (1 - least / curve[where]) * loud, curve, rate / hop)


def _bends(frames: Tensor, reach: int) -> Tensor:
    """How each pattern's change changes, `[T - 2, patterns]`, in units of what is usual for it at that time."""
    size = (frames.shape[3], frames.shape[2])
    pairs = [tuple(_cosines(side, count) for side, count in zip(size, WHOLE, strict=True))]
    pairs += [tuple(_windows(side, wide) for side in size) for wide in WINDOWS]
    patterns = torch.cat([torch.einsum("tchw,iw,jh->tcij", frames, *pair).flatten(1) for pair in pairs], 1)
    bend = patterns[2:] - 2 * patterns[1:-1] + patterns[:-2]
    usual = 2 * _usual(bend.abs().T, reach).T
    return bend / (usual + GRAIN)


def _cosines(size: int, count: int) -> Tensor:
    """Cosine patterns `[count, size]`, each a mean over the pixels."""
    places = (torch.arange(size) + 0.5) / size
    return torch.cos(math.pi * torch.arange(count)[:, None] * places) / size


def _windows(size: int, wide: int) -> Tensor:
    """The mean and the slope `[2 * count, size]` in half overlapping windows of about `wide` pixels."""
    wide = min(wide, size)
    middles = torch.linspace(wide / 2, size - wide / 2, max(1, round(2 * size / wide) - 1))
    place = (torch.arange(size) + 0.5 - middles[:, None]) / wide
    window = (1 + torch.cos(2 * math.pi * place)) * (place.abs() < 0.5)
    window = window / window.sum(1, keepdim=True)
    return torch.cat((window, -window * torch.sin(math.pi * place)))


def _rises(wave: Tensor, rate: int, size: int, hop: int) -> tuple[Tensor, Tensor]:
    """How much the level rises at each hop `[T]`, and the power that is new there `[T]`.

    The rise is a mean over bands, each in units of what is usual for it, so that rain in some bands does not mask an
    impact in the others.
    """
    # A window ends at its time, so that nothing is heard before it happens.
    window = torch.hann_window(size)
    spectrum = torch.stft(F.pad(wave, (size, 0)), size, hop, window=window, center=False, return_complex=True)
    power = _bands(size, rate) @ spectrum.abs().square()
    level = 0.5 * (power / power.max() + SILENCE**2).log10()
    gap = round(RISE / HOP)
    rise = (level - F.pad(level, (gap, 0), mode="replicate")[:, :-gap]).clamp(min=0)
    curve = (rise / (3 * _usual(rise, round(AROUND / HOP)) + RIPPLE)).clamp(max=CAP).mean(0)
    new = (power - F.pad(power, (gap, 0), mode="replicate")[:, :-gap]).clamp(min=0).sum(0)
    return curve, F.max_pool1d(new[None], 2 * gap + 1, 1, gap)[0]


def _beginning(wave: Tensor, hop: int) -> int:
    """The hop at which a track begins that is never silent again, which is no event; else 0."""
    level = F.max_pool1d(wave.abs()[None], hop)[0]
    sounds = level > SILENCE * level.max()
    first = int(sounds.nonzero()[0])
    return first if sounds[first:].all() else 0


def _bands(size: int, rate: int) -> Tensor:
    """Triangles evenly spaced on the mel scale, `[bands, size // 2 + 1]`."""
    mel = 2595 * torch.log10(1 + torch.fft.rfftfreq(size, 1 / rate) / 700)
    low, high = (2595 * math.log10(1 + hz / 700) for hz in (LOWEST, min(HIGHEST, rate / 2)))
    edges = torch.linspace(low, high, BANDS + 2)[:, None]
    bands = torch.minimum((mel - edges[:-2]) / (edges[1] - edges[0]), (edges[2:] - mel) / (edges[1] - edges[0]))
    bands = bands.clamp(min=0)
    return bands[bands.any(1)]


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
    start = max(0, end - round((RISE + 0.02) * rate))
    part = wave[start : end + round(0.02 * rate)].abs()
    level = F.max_pool1d(F.pad(part[None], (15, 0)), 16, 1)[0]
    # The loudest of what was before, as noise itself comes and goes.
    low, high = level[: max(1, len(level) // 6)].max(), level.max()
    above = (level > low + 0.15 * (high - low)).nonzero()
    return (start + (int(above[0]) if len(above) else len(part) // 2)) / rate


def _usual(x: Tensor, reach: int) -> Tensor:
    """The square of the mean root of `x [rows, T]` around each time: a few large values hardly change it."""
    reach = min(reach, x.shape[1] - 1)
    return F.avg_pool1d(F.pad(x.sqrt(), (reach, reach), mode="reflect")[None], 2 * reach + 1, 1)[0].square()


def _running_median(x: Tensor, reach: int) -> Tensor:
    reach = min(reach, len(x) - 1)
    return F.pad(x[None], (reach, reach), mode="reflect")[0].unfold(0, 2 * reach + 1, 1).median(1).values


def _peaks(x: Tensor, reach: int) -> Tensor:
    """Indices of positive values that nothing within `reach` exceeds."""
    highest = F.max_pool1d(x[None], 2 * reach + 1, 1, reach)[0]
    return ((x == highest) & (x > 0)).nonzero().flatten()


def _first_of_each(time: Tensor, size: Tensor, least: float, curve: Tensor, rate: float) -> Events:
    """Of events closer than APART the first, unless one after it is much clearer."""
    kept: list[int] = []
    for index in range(len(time)):
        if kept and time[index] - time[kept[-1]] < APART:
            if size[index] > 2.5 * size[kept[-1]]:
                kept[-1] = index
        else:
            kept.append(index)
    return Events(time[kept], 1 - least / size[kept], curve, rate)


def _none(rate: float) -> Events:
    return Events(torch.zeros(0), torch.zeros(0), torch.zeros(1), rate)
