"""Lines of a screenplay as sound: the right words, by the right voice, at the right time."""

from __future__ import annotations

import builtins
import json

import pytest
import torch
import torchaudio

from kinetophone.pipelines.screenplay.storyboard import parse
from kinetophone.pipelines.speech import align, voice
from kinetophone.pipelines.speech.speak import casting, speak
from kinetophone.pipelines.speech.voice import RATE, VOICES, engine, say

BOARD = """0-3 a robot waves | ROBOT@0.5: "Hello, my name is Zorblax 7!"
3-6 the robot turns | ANNA@3.4: "There it goes." | ROBOT@4.7: "Good night."
"""


def onset(wave: torch.Tensor, start: float) -> float:
    """Seconds of the first sound from `start` on."""
    part = wave[0, int(start * RATE) :].abs()
    return start + (part > 0.1 * part.max()).float().argmax().item() / RATE


def test_every_line_is_said_at_its_time() -> None:
    speech = speak(parse(BOARD), "ROBOT: deep man\nanna: woman")
    assert speech.waveform.shape == (1, 6 * RATE)
    assert [line.voice for line in speech.lines] == ["deep man", "woman", "deep man"]
    assert not speech.notes
    for line in speech.lines:
        # Within 40 ms by energy: a soft h comes a little before it.
        assert abs(onset(speech.waveform, line.start - 0.1) - line.start) < 0.06, line.text
        assert abs(line.words[0].start - line.start) < 0.04, line.text
    assert speech.waveform[0, : int(0.48 * RATE)].abs().max() < 0.01
    told = json.loads(speech.timing())
    assert [word["text"] for word in told["lines"][0]["words"]] == ["Hello", "my", "name", "is", "Zorblax", "7"]
    assert [phone["name"] for phone in told["lines"][0]["words"][5]["phones"]] == ["S", "EH", "V", "AH", "N"]
    assert told["lines"][1]["words"][0]["start"] == pytest.approx(3.4, abs=0.04)


def test_an_independent_recogniser_hears_the_words() -> None:
    """CMU Sphinx with its own language model, which knows nothing of what was said."""
    import pocketsphinx

    decoder = pocketsphinx.Decoder(samprate=16000, loglevel="FATAL")
    heard = set()
    for text in ("The water is cold this morning.", "There is nothing we can do about the weather."):
        wave = torchaudio.functional.resample(say(text, "woman"), RATE, 16000)
        pcm = (torch.nn.functional.pad(wave, (4000, 4000)) * 32767).short().numpy().tobytes()
        decoder.start_utt()
        decoder.process_raw(pcm, full_utt=True)
        decoder.end_utt()
        heard |= set(decoder.hyp().hypstr.split())
    assert len(heard & {"water", "cold", "morning", "nothing", "weather"}) >= 4, heard


def test_voices_differ_in_pitch_and_repeat_exactly() -> None:
    def pitch(name: str) -> float:
        found = torchaudio.functional.detect_pitch_frequency(say("We were away a year ago.", name)[None], RATE)
        return found[found > 60].median().item()

    pitches = {name: pitch(name) for name in VOICES}
    assert pitches["deep man"] < pitches["man"] < pitches["older woman"] < pitches["woman"] < pitches["child"]
    assert torch.equal(say("Hello.", "man", seed=3), say("Hello.", "man", seed=3))
    assert len(say("Hello there, my friend.", "woman", 2.0)) < 0.7 * len(say("Hello there, my friend.", "woman", 1.0))


def test_a_line_that_does_not_fit_is_hurried_or_reported() -> None:
    tight = '0-1.5 a robot | ROBOT: "The rain has stopped at last, my friend."'
    assert speak(parse(tight), hurry=False).notes != ()
    hurried = speak(parse(tight))
    assert hurried.lines[0].pace > 1 and len(hurried.notes) <= 1
    hopeless = speak(parse('0-0.5 a robot | ROBOT: "The rain has stopped at last, my friend."'))
    assert "more, and runs into what follows" in hopeless.notes[0]
    assert hopeless.waveform.shape == (1, RATE // 2)


def test_speakers_get_voices() -> None:
    assert casting(["A", "B", "A"], "") == {"A": "woman", "B": "man"}
    assert casting(["A", "B"], "b: woman") == {"A": "man", "B": "woman"}
    assert len(casting([f"S{i}" for i in range(9)], "")) == 9
    with pytest.raises(ValueError, match="Line 2 of the voices"):
        casting(["A"], "A: man\nB is a woman")
    with pytest.raises(ValueError, match="Nobody speaks"):
        speak(parse("0-2 a ball"))


@pytest.mark.parametrize("text", ["…", "🎈", "!!!", "שלום", "Hello, мир", "x" * 5000])
def test_what_cannot_be_said_is_a_clear_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"reads English|too long"):
        say(text, "woman")


def test_odd_lines_are_said_and_aligned_or_left_alone() -> None:
    for text in ("Mr. O'Neil's 3rd café, 10% off — wow!", "a", "aaaaaaaaaaaa bbbbb", "Hmm... tsk."):
        speech = torchaudio.functional.resample(say(text, "woman"), RATE, align.RATE)
        words = align.align(speech, text, engine().g2p)
        assert all(0 <= word.start < word.end for word in words)


def test_a_missing_voice_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: object, **kwargs: object) -> object:
        if name in ("hibari", "pyworld"):
            raise ModuleNotFoundError(name=name)
        return real(name, *args, **kwargs)

    say("Warm.", "woman")
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ModuleNotFoundError, match="pip install hibari-tts pyworld-prebuilt"):
        say("Hello.", "man")
    monkeypatch.setattr(voice, "engine", voice.engine.__wrapped__)
    with pytest.raises(ModuleNotFoundError, match="pip install hibari-tts"):
        say("Hello.", "woman")
