"""When each word and phone is said: forced alignment with CMU Sphinx (Huggins-Daines et al. 2006), offline."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

RATE = 16_000
# Sphinx counts in frames of this length, in seconds.
FRAME = 0.01
# Samples of silence around the speech, which the acoustic model expects.
LEAD = RATE // 4
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
# The voice's phoneme letters (misaki's alphabet) as ARPAbet, for words that the dictionary lacks. Stress marks and
# length are not part of it.
ARPABET = {
    "A": "EY", "I": "AY", "O": "OW", "Q": "OW", "W": "AW", "Y": "OY", "i": "IY", "u": "UW", "ɪ": "IH", "ʊ": "UH",
    "ɛ": "EH", "e": "EH", "æ": "AE", "a": "AE", "ɑ": "AA", "ɒ": "AA", "ɔ": "AO", "ʌ": "AH", "ə": "AH", "ᵊ": "AH",
    "ɐ": "AH", "ᵻ": "IH", "ɜ": "ER", "ɚ": "ER", "b": "B", "d": "D", "f": "F", "ɡ": "G", "h": "HH", "j": "Y", "k": "K",
    "l": "L", "m": "M", "n": "N", "ŋ": "NG", "p": "P", "ɹ": "R", "s": "S", "ʃ": "SH", "t": "T", "T": "T", "ɾ": "D",
    "v": "V", "w": "W", "z": "Z", "ʒ": "ZH", "ð": "DH", "θ": "TH", "ʤ": "JH", "ʧ": "CH", "ʔ": "T",
}  # fmt: skip


@dataclass(frozen=True)
class Phone:
    """An ARPAbet phone, from `start` to `end` in seconds."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class Word:
    """A word, from `start` to `end` in seconds, and its phones."""

    text: str
    start: float
    end: float
    phones: tuple[Phone, ...]

    def moved(self, seconds: float) -> Word:
        """The same word that much later."""
        phones = tuple(Phone(p.name, round(p.start + seconds, 3), round(p.end + seconds, 3)) for p in self.phones)
        return Word(self.text, round(self.start + seconds, 3), round(self.end + seconds, 3), phones)


def can_align() -> bool:
    """Whether the aligner is installed."""
    try:
        _decoder()
    except ModuleNotFoundError:
        return False
    return True


def align(speech: Tensor, text: str, g2p: Any) -> tuple[Word, ...]:
    """Words of `text` in `speech [samples]` at 16 kHz; nothing when they cannot be found there.

    `g2p` gives the phonemes of a word that the dictionary lacks.
    """
    decoder, words = _decoder(), _WORD.findall(text)
    spoken = [_known(decoder, word, g2p) for word in words]
    if not spoken or None in spoken:
        return ()
    pcm = (F.pad(speech.clamp(-1, 1), (LEAD, LEAD)) * 32767).to(torch.int16).numpy().tobytes()
    decoder.set_align_text(" ".join(filter(None, spoken)))
    _process(decoder, pcm)
    # Only after this first pass: Sphinx 5.1.1 has no hypothesis while it aligns phones, and asking for one crashes.
    if decoder.hyp() is None:
        return ()
    decoder.set_alignment()
    _process(decoder, pcm)
    # An entry is only valid while the iterator stands on it, so everything is read in one go.
    found = [(item.name, *_times(item), _phones(item)) for item in decoder.get_alignment()]
    found = [entry for entry in found if not entry[0].startswith(("<", "[", "+"))]
    if len(found) != len(words):
        return ()
    return tuple(Word(word, *entry[1:]) for word, entry in zip(words, found, strict=True))


def _process(decoder: Any, pcm: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


@functools.cache
def _decoder() -> Any:
    import pocketsphinx

    return pocketsphinx.Decoder(samprate=RATE, bestpath=False, loglevel="FATAL")


def _known(decoder: Any, word: str, g2p: Any) -> str | None:
    """The word as the dictionary spells it; added to it where it was not there."""
    name = word.lower()
    if decoder.lookup_word(name) is None:
        phones = [ARPABET[letter] for letter in str(g2p(word)) if letter in ARPABET]
        if not phones:
            return None
        decoder.add_word(name, " ".join(phones))
    return name


def _phones(item: Any) -> tuple[Phone, ...]:
    return tuple(Phone(phone.name, *_times(phone)) for phone in item)


def _times(item: Any) -> tuple[float, float]:
    start = max(0.0, item.start * FRAME - LEAD / RATE)
    return round(start, 3), round(start + item.duration * FRAME, 3)
