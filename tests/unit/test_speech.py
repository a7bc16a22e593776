"""Lines of a screenplay as sound: the right words, by the right voice, at the right time."""

from __future__ import annotations

import builtins
import itertools
import json

import pytest
import torch
import torchaudio

from kinetophone.pipelines.screenplay.recaption import Brief, write_built_in
from kinetophone.pipelines.screenplay.storyboard import parse
from kinetophone.pipelines.speech import align, voice
from kinetophone.pipelines.speech.speak import FASTEST, casting, speak
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


@pytest.mark.parametrize(
    "board",
    [
        '0-4 a robot | ANNA@1: "Hello there." | BO@1: "Good night."',
        '0-1 a robot | ANNA: "Where is the ball today?" | BO: "Under the sofa, I think." | CY: "No it is not."',
        '0-2 a robot | ANNA@1.99: "Where is the ball?" | BO@1.99: "Under the sofa." | CY@1.99: "No it is not."',
    ],
)
@pytest.mark.parametrize("hurry", [True, False])
def test_lines_at_one_time_follow_one_another(board: str, hurry: bool) -> None:
    screenplay = parse(board)
    speech = speak(screenplay, hurry=hurry)
    assert speech.waveform.shape == (1, round(screenplay.seconds * RATE)) and speech.waveform.isfinite().all()
    assert [line.speaker for line in speech.lines] == ["ANNA", "BO", "CY"][: len(speech.lines)]
    for line, following in itertools.pairwise(speech.lines):
        assert following.start >= line.end - 0.001
    for line in speech.lines:
        assert 1 <= line.pace <= (FASTEST if hurry else 1)
        late = line.end > screenplay.seconds
        assert not late or any(note.startswith(line.speaker) for note in speech.notes), speech.report()


def test_a_line_that_nothing_is_left_for_is_not_heard_and_the_report_says_so() -> None:
    board = '0-2 a robot | ANNA@1.9: "Where is the ball today?" | BO@1.9: "Under the sofa."'
    assert "BO, at 1.9 s: the line is not heard" in speak(parse(board)).report()


def test_lines_out_of_order_are_said_in_order_of_time() -> None:
    speech = speak(parse('0-4 a robot | ANNA@2: "Hello there." | BO@1: "Good night."'))
    assert [(line.speaker, line.start, line.pace) for line in speech.lines] == [("BO", 1, 1), ("ANNA", 2, 1)]
    assert onset(speech.waveform, 0) == pytest.approx(1, abs=0.06) and not speech.notes


def test_every_line_of_a_prompt_that_is_too_short_for_them_is_heard() -> None:
    prompt = 'Anna says "Where is the ball?" Bo says "Under the sofa." Cy says "No it is not." Di says "It is."'
    speech = speak(write_built_in(Brief(prompt, 1.0)).screenplay)
    assert [line.speaker for line in speech.lines] == ["ANNA", "BO", "CY", "DI"]
    assert all(line.start < 0.9 for line in speech.lines) and len(speech.notes) == 4


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
