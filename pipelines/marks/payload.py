"""What an invisible mark says: 48 bits, checked so that chance does not pass, and coded against damage.

A mark is 48 bits of payload and 32 of check (CRC-32, seeded with the key), coded with the convolutional code of rate
1/3 and constraint length 9 of 3GPP TS 25.212, section 4.2.3.1, and decoded softly by the algorithm of Viterbi.
"""

from __future__ import annotations

import binascii
import hashlib
import re

import torch
from torch import Tensor

PAYLOAD_BITS, CHECK_BITS = 48, 32
GENERATORS = (0o557, 0o663, 0o711)
MEMORY = 8
CODED_BITS = len(GENERATORS) * (PAYLOAD_BITS + CHECK_BITS + MEMORY)
# The key of a mark that anyone may find.
PUBLIC_KEY = "kinetophone"


def payload_of(text: str) -> int:
    """Twelve hexadecimal digits as they are, of any other text a fingerprint. Raises ValueError for no text."""
    text = text.strip()
    if not text:
        raise ValueError("An invisible mark must say something: write twelve hexadecimal digits, or any text.")
    if re.fullmatch(r"[0-9a-fA-F]{12}", text):
        return int(text, 16)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[: PAYLOAD_BITS // 8], "big")


def shown(payload: int) -> str:
    """A payload for reading: twelve hexadecimal digits."""
    return f"{payload:0{PAYLOAD_BITS // 4}x}"


def seed_of(key: str, purpose: str) -> int:
    """A seed for everything that is drawn from a key."""
    return int.from_bytes(hashlib.sha256(f"{purpose}\0{key}".encode()).digest()[:7], "big")


def encode(payload: int, key: str) -> Tensor:
    """The code word of a payload: `[CODED_BITS]` of -1 and 1."""
    if not 0 <= payload < 1 << PAYLOAD_BITS:
        raise ValueError(f"A payload has {PAYLOAD_BITS} bits; {payload} does not fit.")
    word = (payload << CHECK_BITS | _check(payload, key)) << MEMORY
    length = PAYLOAD_BITS + CHECK_BITS + MEMORY
    state, coded = 0, []
    for place in reversed(range(length)):
        state = (state << 1 | word >> place & 1) & (1 << MEMORY + 1) - 1
        coded += [(state & generator).bit_count() & 1 for generator in GENERATORS]
    return 1.0 - 2.0 * torch.tensor(coded)


def decode(soft: Tensor, key: str) -> int | None:
    """The payload of a received word `[CODED_BITS]`, or None where its check fails.

    Values are positive where a 1 (a bit of 0) was sent, and the larger the surer. A word that was never sent passes
    with a probability of 2^-32.
    """
    steps = soft.double().view(-1, len(GENERATORS))
    states = torch.arange(1 << MEMORY + 1)
    signs = torch.stack([1.0 - 2.0 * _parity(states & generator) for generator in GENERATORS], 1).double()
    gains = steps @ signs.T
    # A register of MEMORY + 1 bits comes from one of two shorter ones, which differ in the oldest bit.
    score = torch.full((1 << MEMORY,), -torch.inf, dtype=torch.double)
    score[0] = 0
    choices = []
    for gain in gains:
        arriving = (score.repeat_interleave(2).view(2, -1) + gain.view(2, -1)).max(0)
        score = arriving.values
        choices.append(arriving.indices)
    state, word = 0, 0
    for place, choice in enumerate(reversed(choices)):
        word |= (state & 1) << place
        state = (state >> 1) | int(choice[state]) << MEMORY - 1
    word >>= MEMORY
    payload, check = word >> CHECK_BITS, word & (1 << CHECK_BITS) - 1
    return payload if check == _check(payload, key) else None


def _check(payload: int, key: str) -> int:
    return binascii.crc32(payload.to_bytes(PAYLOAD_BITS // 8, "big"), seed_of(key, "check") & 0xFFFFFFFF)


def _parity(x: Tensor) -> Tensor:
    for shift in (8, 4, 2, 1):
        x = x ^ x >> shift
    return x & 1
