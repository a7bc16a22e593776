"""Words to numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ..model.config import TextConfig
from .reading import Reader, Reading

# Row 0 is padding, row 1 marks the start.
SPECIAL = 2
START = 1


class Tokenizer:
    """Reads a prompt as words of the vocabulary (`reading.py`); each becomes its number."""

    def __init__(self, config: TextConfig, words: Sequence[str]) -> None:
        if len(words) + SPECIAL > config.words:
            raise ValueError(
                f"The text encoder has room for {config.words - SPECIAL} words; the vocabulary has {len(words)}."
            )
        self.config = config
        self.words = tuple(words)
        self._ids = {word: index + SPECIAL for index, word in enumerate(self.words)}
        self._reader = Reader(self.words)

    def read(self, text: str, part: bool = False) -> Reading:
        """What the model makes of a prompt, or of a part of one."""
        return self._reader.read(text, part)

    def note(self, text: str) -> str:
        """What the user should know of how a prompt is read."""
        reading, most = self.read(text), self.config.tokens - 1
        last = " ".join(reading.words[most - 4 : most])
        cut = f'\nToo long: the model reads {most} words, up to "... {last}".' if len(reading.words) > most else ""
        return reading.note() + cut

    def ids(self, words: Iterable[str]) -> list[int]:
        """The start mark and the words of a reading as numbers; what is too long is cut."""
        return [START, *(self._ids[word] for word in words)][: self.config.tokens]

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Numbers `[B, tokens]` int64; 0 is padding. Long prompts are cut."""
        rows = torch.zeros(len(texts), self.config.tokens, dtype=torch.int64)
        for row, text in zip(rows, texts, strict=True):
            ids = self.ids(self.read(text).words)
            row[: len(ids)] = torch.tensor(ids)
        return rows
