"""Words to numbers. Words outside the vocabulary are spelled as hashed letter trigrams."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..model.config import TextConfig

WORD = re.compile(r"[a-z]+|[0-9]+|[.,:;\"'!?-]")
TRIGRAMS = 7
COLUMNS = 1 + TRIGRAMS
# Row 0 is padding, row 1 marks the start, row 2 stands for a word known by its trigrams only.
SPECIAL = 3
START, SPELLED = 1, 2


class Tokenizer:
    """Splits a prompt into words and marks; each becomes one row of word id and trigram ids.

    `synonyms` lead words that people use to words that the model was trained on.
    """

    def __init__(self, config: TextConfig, words: Sequence[str], synonyms: Mapping[str, str] | None = None) -> None:
        if len(words) + SPECIAL > config.words:
            raise ValueError(
                f"The text encoder has room for {config.words - SPECIAL} words; the vocabulary has {len(words)}."
            )
        self.config = config
        self.words = tuple(words)
        self._ids = {word: index + SPECIAL for index, word in enumerate(self.words)}
        self.synonyms = {word: known for word, known in (synonyms or {}).items() if known in self._ids}

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Token rows `[B, tokens, 8]` int64: word id, then up to 7 trigram ids; 0 is padding. Long prompts are cut."""
        rows = torch.zeros(len(texts), self.config.tokens, COLUMNS, dtype=torch.int64)
        rows[:, 0, 0] = START
        for row, text in zip(rows, texts, strict=True):
            if words := split(text)[: self.config.tokens - 1]:
                row[1 : 1 + len(words)] = torch.tensor([self._row(word) for word in words])
        return rows

    def unknown_words(self, text: str) -> list[str]:
        """Words of `text` outside the vocabulary and without a synonym in it, once each, in order."""
        known = self._ids.keys() | self.synonyms.keys()
        return list(dict.fromkeys(word for word in split(text) if word.isalpha() and word not in known))

    def replaced_words(self, text: str) -> dict[str, str]:
        """Words of `text` that are read as another, and that other, in order."""
        return {word: self.synonyms[word] for word in split(text) if word in self.synonyms and word not in self._ids}

    def _row(self, word: str) -> list[int]:
        known = self._ids.get(word) or self._ids.get(self.synonyms.get(word, ""))
        if known:
            return [known] + [0] * TRIGRAMS
        spelled = f"<{word}>"
        grams = [spelled[i : i + 3] for i in range(max(1, len(spelled) - 2))][:TRIGRAMS]
        ids = [1 + zlib.crc32(gram.encode()) % (self.config.trigram_buckets - 1) for gram in grams]
        return [SPELLED] + ids + [0] * (TRIGRAMS - len(ids))


def split(text: str) -> list[str]:
    """Lower-case words, numbers and punctuation marks of a prompt."""
    return WORD.findall(text.lower())


def vocabulary_note(tokenizer: Tokenizer, text: str) -> str:
    """What a model makes of the words of a prompt that it was not trained on."""
    notes = []
    if replaced := tokenizer.replaced_words(text):
        notes.append(f"Read as known words: {', '.join(f'{word} as {known}' for word, known in replaced.items())}.")
    if unknown := tokenizer.unknown_words(text):
        notes.append(f"Not in the model's vocabulary, guessed from spelling: {', '.join(unknown)}.")
    return "\n".join(notes) or "All words are known."
