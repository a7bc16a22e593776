"""What a batch of clips is measured for, against the scenes that were asked for. Nothing here knows a generator."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import world
from ..clock import Grid
from ..vae.audio import AudioAutoencoder
from ..world.physics import honking
from ..world.scene import BEACON, BOUNCE, COLLIDE, HOP, TALK, WATER
from .detector import Detector, Track

# What a clip counts where no event at all is seen, or none is heard, and at most.
MISSED_SECONDS = 0.5
# Cells that an object must cover on average to count as there.
LEAST_AREA = 3.2
# A picture follows a voice that is at most this much earlier or later, of the seconds either way that are tried.
FOLLOWS, VOICE_REACH = 0.085, 0.5
VOICE_STEP = 1 / 48
# No picture of the world has a latent as large: where a transformer makes one, a part of the picture bursts.
STRAY = 30.0
PITCH_SECONDS = 0.15
PITCH_RANGE = (90.0, 3000.0)


@dataclass(frozen=True)
class Clips:
    """Base video `[N, f, 3, h, w]` in -1..1 and sound `[N, samples]`, and of latents the largest one `[N]`."""

    frames: Tensor
    wave: Tensor
    peak: Tensor | None = None


@dataclass
class Tally:
    """Values of each measure, one a clip that it applies to, and detector features for the Fréchet distance."""

    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    features: list[Tensor] = field(default_factory=list)

    def add(self, name: str, value: Tensor, applies: Tensor | None = None) -> None:
        kept = value if applies is None else value[applies]
        self.values[name] += kept.float().flatten().tolist()

    def join(self, other: Tally) -> None:
        """Add what another tally holds."""
        for name, values in other.values.items():
            self.values[name] += values
        self.features += other.features

    def percent(self, name: str) -> float:
        values = self.values[name]
        return 100 * sum(values) / len(values) if values else math.nan

    def quantile(self, name: str, q: float) -> float:
        values = self.values[name]
        return float(torch.tensor(values).quantile(q)) if values else math.nan

    def balanced(self, name: str) -> float:
        """Mean of the shares of present and of absent things that were told right, over the classes with both, in %."""
        shares = []
        for label in world.LABEL_NAMES["sound"]:
            both = [self.values[f"{name}/{label}/{side}"] for side in ("yes", "no")]
            if all(both):
                shares.append(sum(sum(side) / len(side) for side in both) / 2)
        return 100 * sum(shares) / len(shares) if shares else math.nan


class Meter:
    """Measures clips with a trained detector, both on one device."""

    def __init__(self, detector: Detector, audio: AudioAutoencoder, grid: Grid) -> None:
        self.detector, self.audio, self.grid = detector, audio, grid

    @torch.inference_mode()
    def measure(self, clips: Clips, scenes: world.Scenes, tally: Tally) -> None:
        """Add one batch to `tally`."""
        wanted = world.labels(scenes)
        reading = self.detector.see(clips.frames)
        mel = self.audio.mel(clips.wave[:, None])
        colours = wanted["colour"].clamp_min(0).to(clips.frames.device)
        tracks = [self.detector.follow(reading, clips.frames, colour) for colour in colours.T]
        area = reading.cells["colour"].softmax(2)[:, :, 1:].sum((3, 4)).mean(1)
        light = F.avg_pool2d(clips.frames.flatten(0, 1).mean(1), 8).unflatten(0, clips.frames.shape[:2])
        heard, features = self.detector.hear(mel) > 0, reading.features.mean((1, 3, 4))
        # Small values are looked at one by one from here on, and an accelerator would be waited for at each.
        tracks = [track.cpu() for track in tracks]
        area, light, heard, features, mel, wave = (x.cpu() for x in (area, light, heard, features, mel, clips.wave))
        if clips.peak is not None:
            tally.add("stray", clips.peak.cpu() > STRAY)
        for name in ("sky", "ground", "weather", "camera"):
            tally.add(name, reading.scene[name].cpu().argmax(-1) == wanted[name])
        self._objects(area, tracks, wanted, tally)
        track = tracks[0]
        tally.add("action", track.acts["action"].argmax(-1) == wanted["action"][:, 0])
        moves = wanted["direction"][:, 0] > 0
        tally.add("direction", track.acts["direction"].argmax(-1) == wanted["direction"][:, 0], moves)
        for index, label in enumerate(world.LABEL_NAMES["sound"]):
            there = wanted["sound"][:, index] > 0
            tally.add(f"sound/{label}/yes", heard[:, index], there)
            tally.add(f"sound/{label}/no", ~heard[:, index], ~there)
        self._events(scenes, track, light, wave, mel, tally)
        tally.features.append(features)

    def _objects(self, area: Tensor, tracks: list[Track], wanted: dict[str, Tensor], tally: Tally) -> None:
        """Colour, shape, count, and shapes bound to the right colours; `area [N, colours]` is seen, in cells.

        What is counted are colours: no two objects of a scene share one.
        """
        tally.add("colour", area.argmax(-1) == wanted["colour"][:, 0], wanted["count"] == 1)
        tally.add("count", (area > LEAST_AREA).sum(-1) == wanted["count"])
        right = [
            (track.area.mean(1) > LEAST_AREA) & (track.acts["shape"].argmax(-1) == shape)
            for track, shape in zip(tracks, wanted["shape"].T, strict=True)
        ]
        tally.add("shape", right[0])
        tally.add("binding", right[0] & right[1], wanted["count"] == 2)

    def _events(
        self, scenes: world.Scenes, track: Track, light: Tensor, wave: Tensor, mel: Tensor, tally: Tally
    ) -> None:
        """Seconds between what is seen and heard, and the pitch of impacts.

        Each event that is seen is as far from the sound as the nearest onset; a clip counts the median of these, of an
        even number the lower of the two in the middle. An onset at which nothing is seen counts nothing.
        `light [N, f, h, w]` is how bright the parts of the picture are, `wave [N, samples]` the sound.
        """
        fps = float(self.grid.fps) / self.grid.base_stride
        hop = self.grid.hop / self.grid.sample_rate
        # A lamp is a part of the picture that suddenly brightens; another part may be as bright all the time.
        rises = light.diff(dim=1, prepend=light[:, :1]).amax((2, 3))
        pitch, honks = world.pitch_of(scenes)[:, 0], honking(scenes)
        for row, action in enumerate(scenes.action[:, 0].tolist()):
            onsets = onset_times(mel[row], hop)
            flashes = action == BEACON or bool(honks[row])
            if action in (BOUNCE, HOP) or flashes:
                # A light that went on was dark in the frame before: on average it is half a frame old.
                seen = peak_times(rises[row], fps, 0.2) - 0.5 / fps if flashes else peak_times(track.y[row], fps, 0.025)
                gap = (seen[:, None] - onsets[None]).abs().amin(1) if len(seen) and len(onsets) else seen[:0]
                gap = gap.median() if len(gap) else torch.tensor(MISSED_SECONDS)
                tally.add("apart", gap.clamp_max(MISSED_SECONDS))
            if action == TALK:
                lag = voice_lag(light[row], wave[row], fps, self.grid.sample_rate)
                tally.add("voice", torch.tensor(abs(lag) <= FOLLOWS))
            # Water splashes whatever falls on it.
            if action in (BOUNCE, HOP, COLLIDE) and scenes.ground[row] != WATER:
                rung = ring_pitch(wave[row], onsets, self.grid.sample_rate)
                octaves = abs(math.log2(rung / float(pitch[row]))) if rung else 3.0
                tally.add("pitch", torch.tensor(octaves))


def peak_times(series: Tensor, rate: float, rise: float) -> Tensor:
    """Seconds of the local maxima of `series [f]` that stand out by `rise` from a neighbourhood of a quarter second."""
    if len(series) < 5:
        return series[:0]
    reach = max(1, round(rate / 4))
    lowest = -F.max_pool1d(-series[None, None], 2 * reach + 1, 1, reach)[0, 0]
    inner = series[1:-1]
    peaks = (inner >= series[:-2]) & (inner > series[2:]) & (inner - lowest[1:-1] > rise)
    index = peaks.nonzero().flatten() + 1
    before, here, after = series[index - 1], series[index], series[index + 1]
    # The top of the parabola through three points lies between the samples.
    offset = 0.5 * (before - after) / (before - 2 * here + after).clamp_max(-1e-6)
    return (index + offset.clamp(-0.5, 0.5)) / rate


def onset_times(mel: Tensor, hop: float) -> Tensor:
    """Seconds of the onsets in a log-mel spectrogram `[mels, n]`, by spectral flux (Bello et al. 2005)."""
    flux = F.pad(mel.diff(dim=1).clamp_min(0).mean(0), (1, 0))
    threshold = flux.mean() + 1.5 * flux.std()
    local = F.max_pool1d(flux[None, None], 9, 1, 4)[0, 0]
    return ((flux == local) & (flux > threshold.clamp_min(0.15))).nonzero().flatten() * hop


def ring_pitch(wave: Tensor, onsets: Tensor, rate: int) -> float | None:
    """Strongest frequency in Hz after the loudest onset, or None where there is none."""
    size = int(PITCH_SECONDS * rate)
    windows = [wave[start : start + size] for start in (onsets * rate).long().tolist()]
    windows = [window for window in windows if len(window) == size and float(window.abs().max()) > 1e-3]
    if not windows:
        return None
    loudest = max(windows, key=lambda window: float(window.square().sum()))
    spectrum = torch.fft.rfft(loudest * torch.hann_window(size), 4 * size).abs()
    frequency = torch.fft.rfftfreq(4 * size, 1 / rate)
    spectrum = torch.where((frequency >= PITCH_RANGE[0]) & (frequency <= PITCH_RANGE[1]), spectrum, torch.zeros(()))
    return float(frequency[spectrum.argmax()])


def voice_lag(light: Tensor, wave: Tensor, fps: float, rate: int) -> float:
    """Seconds by which the loudness of `wave [samples]` must be moved to be followed best by a cell of `light`.

    `light [f, h, w]` is the brightness of the cells of a picture. A mouth darkens and a lamp brightens with a voice:
    the cell with the strongest correlation, of either sign, counts.
    """
    size = max(1, round(VOICE_STEP * rate))
    loud = F.avg_pool1d(wave.square()[None], 2 * size + 1, size, size)[0].sqrt()
    lags = torch.arange(-VOICE_REACH, VOICE_REACH + VOICE_STEP / 2, VOICE_STEP)
    index = ((torch.arange(len(light)) / fps + lags[:, None]) / VOICE_STEP).round().long()
    heard = torch.where((index >= 0) & (index < len(loud)), loud[index.clamp(0, len(loud) - 1)], torch.zeros(()))
    cells = light.flatten(1).T
    cells, heard = (x - x.mean(1, keepdim=True) for x in (cells, heard))
    # A cell that hardly changes follows nothing.
    cells = cells / cells.norm(dim=1, keepdim=True).clamp_min(0.05 * len(light) ** 0.5)
    heard = heard / heard.norm(dim=1, keepdim=True).clamp_min(1e-6)
    return float(lags[(heard @ cells.T).abs().amax(1).argmax()])


def frechet(a: Tensor, b: Tensor) -> float:
    """Fréchet distance between Gaussians fitted to features `[N, C]` (arXiv 1706.08500)."""
    a, b = a.double(), b.double()
    product = a.T.cov() @ b.T.cov()
    root = torch.linalg.eigvals(product).real.clamp_min(0).sqrt().sum()
    distance = (a.mean(0) - b.mean(0)).square().sum() + a.T.cov().trace() + b.T.cov().trace() - 2 * root
    return float(distance.clamp_min(0))
