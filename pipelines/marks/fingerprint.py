"""Fingerprints of pictures and sounds that belong to others: the same after compression, unlike for anything else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..clip.clip import Sound
from ..clip.sound import resampled

INSTALL = "python -m pip install imagehash"
# A bit says whether one of the slowest WAVES x WAVES waves in a small grey picture is above their median. Of 65
# photographs and renders (benchmarks/fingerprint.py), none differed from itself after JPEG, H.264 crf 28 or half size
# in more than 32 bits, nor from another in fewer than 52. Brightness +30 and -40 and contrast 1.3 lost a colour chart,
# by up to 76 bits; contrast 0.7 lost 4 of the 65, which it left with less than CONTENT.
WAVES, NEAR = 16, 40
# The side of the small picture, and the grey levels by which its neighbours must differ in the mean: what is flatter
# has no waves but those of a ramp and of a codec's noise, which any other flat picture has as well.
SMALL, CONTENT = 64, 2.1
# Haitsma and Kalker, ISMIR 2002: a bit says whether the energy of a band over the next has grown since the frame
# before; 32 bits a frame of 0.37 s, every 11.6 ms. Of blocks of 3 s that are the same, at most 35 % of the bits differ.
RATE, WINDOW, HOP = 5_512, 2_048, 64
BANDS, LOWEST, HIGHEST = 33, 300.0, 2_000.0
BLOCK, DIFFER = 256, 0.35


def of_frame(frame: Tensor) -> str | None:
    """The fingerprint of a uint8 frame `[H, W, 3]`, 64 hexadecimal digits, or None where it shows too little.

    Raises ModuleNotFoundError that says what to install.
    """
    try:
        import imagehash
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"Fingerprints of pictures need a package: {INSTALL}", name=error.name) from error
    picture = Image.fromarray(frame.cpu().numpy()).convert("L").resize((SMALL, SMALL), Image.Resampling.LANCZOS)
    if _content(picture) < CONTENT:
        return None
    bits = imagehash.phash(picture, hash_size=WAVES, highfreq_factor=SMALL // WAVES).hash
    return np.packbits(bits).tobytes().hex()


def alike(one: str, other: str) -> bool:
    """Whether two fingerprints of pictures are of the same picture. Raises ValueError for what is no fingerprint."""
    pair = [bytes.fromhex(text) for text in (one, other)]
    if {len(digits) for digits in pair} != {WAVES * WAVES // 8}:
        raise ValueError(f"A fingerprint of a picture has {WAVES * WAVES // 4} hexadecimal digits; got {other[:80]!r}.")
    return (int.from_bytes(pair[0], "big") ^ int.from_bytes(pair[1], "big")).bit_count() <= NEAR


def of_sound(sound: Sound) -> list[str]:
    """Fingerprints of every 3 s of a sound, in hexadecimal; silence has none."""
    bits = _bits(sound)
    blocks = [bits[start : start + BLOCK] for start in range(0, len(bits) - BLOCK + 1, BLOCK)]
    packed = [np.packbits(block.numpy().astype(np.uint8)).tobytes().hex() for block in blocks if _varied(block)]
    return packed


def holds(sound: Sound, prints: Sequence[str]) -> float | None:
    """From which second on a sound holds one of the fingerprinted blocks; None where it holds none of them."""
    bits = _bits(sound)
    if len(bits) < BLOCK or not prints:
        return None
    signs = (2.0 * bits.float() - 1).T[None]
    for text in prints:
        known = np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))
        if len(known) != BLOCK * (BANDS - 1):
            raise ValueError(f"A fingerprint of a sound has {BLOCK * (BANDS - 1) // 4} hexadecimal digits: {text[:40]}")
        block = 2.0 * torch.from_numpy(known).view(BLOCK, -1).float() - 1
        # The product of signs is 1 where bits agree: their mean says how many do.
        agree = F.conv1d(signs, block.T[None])[0, 0] / block.numel()
        if agree.max() >= 1 - 2 * DIFFER:
            return int(agree.argmax()) * HOP / RATE
    return None


def _content(picture: Image.Image) -> float:
    """By how many grey levels neighbours differ in the mean."""
    grey = np.asarray(picture, dtype=np.float32)
    return float(np.mean([np.abs(np.diff(grey, axis=axis)).mean() for axis in (0, 1)]))


def _bits(sound: Sound) -> Tensor:
    """`[frames, 32]` of bool."""
    mono = resampled(Sound(sound.waveform.mean(0, keepdim=True), sound.rate), RATE).waveform[0]
    if len(mono) < WINDOW + HOP:
        return torch.zeros(0, BANDS - 1, dtype=torch.bool)
    frames = torch.stft(mono, WINDOW, HOP, window=torch.hann_window(WINDOW), center=False, return_complex=True)
    edges = torch.logspace(np.log10(LOWEST), np.log10(HIGHEST), BANDS + 1) / RATE * WINDOW
    sums = F.pad(frames.abs().square().cumsum(0), (0, 0, 1, 0))
    bands = sums[edges.round().long()].diff(dim=0)
    return (bands.diff(dim=0).diff(dim=1) > 0).T


def _varied(block: Tensor) -> bool:
    """Silence and steady hum have bits that are mostly equal, and fit everywhere."""
    return bool(0.3 < block.float().mean() < 0.7) and bool((block[1:] != block[:-1]).float().mean() > 0.02)
