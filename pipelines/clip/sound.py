"""What can be done to a clip's sound: another track under it, fades, loudness, channels, rate. Lazy, as every stage."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor

from .clip import Clip, Sound

# ITU-R BS.1770-4 measures true peaks at four times the rate; EBU R 128 leaves 1 dB for what a codec adds.
OVERSAMPLING = 4
CEILING_DB = -1.0
# The limiter looks this far ahead and behind, in seconds: short enough to be unheard, long enough not to distort.
REACH = 0.005
# BS.1770-4, annex 1: K-weighting as two filters (numerator, denominator) at 48 kHz, mean power in blocks of 400 ms
# every 100 ms, of which those below -70 LUFS, and then those 10 LU below the mean of the rest, do not count.
K_RATE = 48_000
K_WEIGHTING = (
    ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
BLOCK, HOP = 19_200, 4_800
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0
OFFSET = -0.691
# The fourth channel of 5.1 is not measured, and those behind count more.
SURROUND = (1.0, 1.0, 1.0, 0.0, 1.41, 1.41)
SILENT_DB = -60.0


@dataclass(frozen=True)
class Mix:
    """How to make a sound track. Levels in dB (at or below -60 the part is left out), times in seconds.

    `loudness` is a target in LUFS, or None to leave it; `channels` and `rate` 0 leave them.
    """

    own_db: float = 0.0
    added_db: float = 0.0
    at: float = 0.0
    fade_in: float = 0.0
    fade_out: float = 0.0
    loudness: float | None = None
    channels: int = 0
    rate: int = 0


def with_sound(clip: Clip, added: Sound | None, mix: Mix) -> Clip:
    """The clip with its sound, and `added` from `mix.at` on, mixed and finished.

    Nothing is computed before it is heard. The track takes the highest rate and the most channels of its parts, so that
    neither loses anything.
    """

    def voice() -> Sound | None:
        parts = [
            _raised(sound, level)
            for sound, level in ((clip.sound, mix.own_db), (added and added.moved(mix.at), mix.added_db))
            if sound is not None and level > SILENT_DB
        ]
        if not parts:
            return None
        rate = mix.rate or max(part.rate for part in parts)
        channels = mix.channels or max(len(part.waveform) for part in parts)
        parts = [
            with_channels(resampled(part, rate), channels).fitted(clip.shape.frames, clip.shape.fps) for part in parts
        ]
        track = Sound(torch.stack([part.waveform for part in parts]).sum(0), rate)
        track = faded(track, mix.fade_in, mix.fade_out)
        return limited(track if mix.loudness is None else levelled(track, mix.loudness))

    return replace(clip, voice=voice)


def resampled(sound: Sound, rate: int) -> Sound:
    """The same sound at another rate, band-limited."""
    return Sound(resample(sound.waveform, sound.rate, rate), rate)


def resample(wave: Tensor, rate: int, target: int) -> Tensor:
    """Waveforms `[..., samples]` of one sample rate at another, band-limited."""
    # The filter takes no empty waveform.
    return wave if rate == target or not wave.shape[-1] else torchaudio.functional.resample(wave, rate, target)


def with_channels(sound: Sound, channels: int) -> Sound:
    """Mono is copied to every channel; more channels are averaged to mono, or cut to the first of them."""
    wave = sound.waveform
    if channels == 1:
        wave = wave.mean(0, keepdim=True)
    elif len(wave) == 1:
        wave = wave.expand(channels, -1)
    return replace(sound, waveform=F.pad(wave[:channels], (0, 0, 0, max(0, channels - len(wave)))))


def faded(sound: Sound, fade_in: float, fade_out: float) -> Sound:
    """The sound with a raised-cosine start and end of that many seconds."""
    samples = torch.arange(sound.waveform.shape[1]) + 0.5
    rise = (samples / max(0.5, round(fade_in * sound.rate))).clamp(max=1.0)
    fall = (samples.flip(0) / max(0.5, round(fade_out * sound.rate))).clamp(max=1.0)
    gain = (0.5 - 0.5 * torch.cos(math.pi * rise)) * (0.5 - 0.5 * torch.cos(math.pi * fall))
    return replace(sound, waveform=sound.waveform * gain)


def loudness(sound: Sound) -> float:
    """Integrated loudness in LUFS (ITU-R BS.1770-4); minus infinity for silence and for less than 0.4 s."""
    wave = resampled(sound, K_RATE).waveform.double()
    if wave.shape[1] < BLOCK:
        return -math.inf
    for numerator, denominator in K_WEIGHTING:
        a, b = torch.tensor(denominator).to(wave), torch.tensor(numerator).to(wave)
        wave = torchaudio.functional.lfilter(wave, a, b, clamp=False)
    weights = torch.tensor(SURROUND if len(wave) == len(SURROUND) else (1.0,) * len(wave)).to(wave)
    power = (wave.square().unfold(1, BLOCK, HOP).mean(-1) * weights[:, None]).sum(0)
    power = power[_lufs(power) > ABSOLUTE_GATE]
    power = power[_lufs(power) > _lufs(power.mean()) + RELATIVE_GATE]
    return _lufs(power.mean()).item() if len(power) else -math.inf


def levelled(sound: Sound, target: float) -> Sound:
    """The sound at a loudness in LUFS; silence stays silence."""
    measured = loudness(sound)
    return sound if measured == -math.inf else _raised(sound, target - measured)


def limited(sound: Sound, ceiling_db: float = CEILING_DB) -> Sound:
    """The sound with its true peaks, between the samples too, at or below a ceiling; untouched where they are."""
    ceiling = 10 ** (ceiling_db / 20)
    peaks = _true_peaks(sound)
    if not len(peaks) or peaks.max() <= ceiling:
        return sound
    reach = max(1, round(REACH * sound.rate))
    # The lowest gain that is needed within reach, then its average over the same reach: smooth, and never too high.
    needed = (ceiling / peaks.clamp(min=1e-9)).clamp(max=1.0)
    lowest = -F.max_pool1d(F.pad(-needed[None], (2 * reach, 2 * reach), value=-1.0), 2 * reach + 1, 1)
    gain = F.avg_pool1d(lowest, 2 * reach + 1, 1)[0]
    return replace(sound, waveform=sound.waveform * gain)


def true_peak_db(sound: Sound) -> float:
    """The highest true peak in dBTP."""
    peaks = _true_peaks(sound)
    return 20 * math.log10(max(peaks.max().item() if len(peaks) else 0.0, 1e-9))


def _lufs(power: Tensor) -> Tensor:
    return OFFSET + 10 * power.log10()


def _true_peaks(sound: Sound) -> Tensor:
    """The highest level of any channel around every sample `[samples]`."""
    if not sound.waveform.shape[1]:
        return torch.zeros(0)
    finer = torchaudio.functional.resample(sound.waveform, sound.rate, OVERSAMPLING * sound.rate).abs().amax(0)
    finer = F.pad(finer, (0, OVERSAMPLING * sound.waveform.shape[1] - len(finer)))
    own = finer.view(-1, OVERSAMPLING).amax(1)
    # What lies between two samples belongs to both.
    return torch.maximum(own, F.pad(own, (1, 0))[:-1])


def _raised(sound: Sound, decibels: float) -> Sound:
    return sound if decibels == 0 else replace(sound, waveform=sound.waveform * 10 ** (decibels / 20))
