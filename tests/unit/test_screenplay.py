from __future__ import annotations

import json
import math
import time
from pathlib import Path

import pytest
import torch
import yaml

from kinetophone.pipelines import world
from kinetophone.pipelines.model.config import MINI
from kinetophone.pipelines.screenplay import edit
from kinetophone.pipelines.screenplay.dialogue import dialogue_notes, fits, speaking_seconds
from kinetophone.pipelines.screenplay.document import FORMAT, from_json, to_json
from kinetophone.pipelines.screenplay.edit import edited
from kinetophone.pipelines.screenplay.look import describe_look
from kinetophone.pipelines.screenplay.options import STYLES, TARGETS
from kinetophone.pipelines.screenplay.recaption import (
    Brief,
    instruction,
    read_reply,
    timed_caption,
    write_built_in,
)
from kinetophone.pipelines.screenplay.storyboard import format_storyboard, parse, read_screenplay
from kinetophone.pipelines.screenplay.understand import bank, said
from kinetophone.pipelines.text.tokenizer import Tokenizer
from kinetophone.pipelines.types import Screenplay, Shot, Writer

PROMPTS = yaml.safe_load((Path(__file__).parents[1] / "data" / "prompts.yaml").read_text("utf-8"))
BOARD = """
style: documentary
# a comment
0-2    a red ball bounces on grass under a clear blue sky | camera: pan left | sound: thumps
2 - 0:04.5s  the ball rolls away at sunset | blend: 0.5 | ANNA: "There it goes." | sound@3: a bird calls | BO@3.8: "Oh."
"""


def test_a_storyboard_is_read_with_times_fields_and_speakers() -> None:
    screenplay = parse(BOARD)
    first, second = screenplay.shots
    assert (screenplay.style, screenplay.seconds) == ("documentary", 4.5)
    assert (first.start, first.seconds, first.camera, first.cues[0].sound) == (0, 2, "pan left", "thumps")
    assert second.caption == "the ball rolls away at sunset" and second.blend == 0.5
    assert [(line.speaker, line.at, line.text) for line in second.lines] == [
        ("ANNA", 2, "There it goes."),
        ("BO", 3.8, "Oh."),
    ]
    assert second.cues[0].at == 3


def test_what_is_written_is_read_back() -> None:
    screenplay = parse(BOARD)
    assert parse(format_storyboard(screenplay)) == screenplay
    assert from_json(to_json(screenplay)) == screenplay
    assert to_json(from_json(to_json(screenplay))) == to_json(screenplay)


@pytest.mark.parametrize("name", ["小明", "さくら", "דנה", "أحمد"])
def test_speakers_of_scripts_without_capitals_speak(name: str) -> None:
    assert [line.speaker for line in parse(f'0-2 a robot | {name}: "Hello."').shots[0].lines] == [name]
    written = write_built_in(Brief(f'{name}: "Hello."', 2.0)).screenplay
    kept, note = edited(written, format_storyboard(written), locked=True)
    assert [(line.speaker, line.text) for line in kept.shots[0].lines] == [(name.upper(), "Hello.")]
    assert note == "Locked. What comes in is the same."
    with pytest.raises(ValueError, match=f"what {name} says stands in quotes"):
        parse(f"0-2 a robot | {name}: Hello.")


@pytest.mark.parametrize(
    "caption",
    ['a 5" ball rolls', "a “big ball rolls", 'a "big ball rolls', 'a ball 5 " wide', 'a 5" by 6" box', "a big” ball"],
)
@pytest.mark.parametrize("spoken", ["There | it goes.", "…", "#1 | is here", "I am #1 | here "])
def test_a_single_quote_sign_hides_no_field(caption: str, spoken: str) -> None:
    (shot,) = parse(f'0-2 {caption} | camera: pan left | ANNA: "{spoken}" | sound: thumps # a 5" one').shots
    assert (shot.caption, shot.camera, shot.cues[0].sound) == (caption, "pan left", "thumps")
    assert [(line.speaker, line.text) for line in shot.lines] == [("ANNA", spoken.strip())]


def test_bars_and_hashes_between_quotes_are_text() -> None:
    board = '0-2 a sign says "#1 | fan" today | ANNA: "a | “b | c” d" | BO: “#2 | e” | DI: "#3 " | CY:"f | g "# "h"'
    (shot,) = parse(board).shots
    assert shot.caption == 'a sign says "#1 | fan" today'
    assert [line.text for line in shot.lines] == ["a | “b | c” d", "#2 | e", "#3", "f | g"]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a red ball", "Line 1, column 1", "starts with its time"),
        ("\n0-2 a ball | camera pan", "Line 2, column 14", "expected a field"),
        ("2-1 a ball", "Line 1, column 3", "not after its start"),
        ("0-2", "Line 1, column 4", "say what the shot shows"),
        ("0-2 a ball | anna: hello", "Line 1, column 14", "CAPITALS"),
        ("0-2 a ball | ANNA: hello", "Line 1, column 14", "stands in quotes"),
        ('0-2 a ball | ANNA: "hello | BO: "Hi. "', "Line 1, column 14", "stands in quotes"),
        ('0-2 a ball | 12: "Hi"', "Line 1, column 14", "unknown field '12'"),
        ('0-2 a ball | !!: "x"', "Line 1, column 14", "unknown field '!!'"),
        ("0-2 a ball | blend: soon", "Line 1, column 14", "minutes:seconds"),
        ("0-1:2:3 a ball", "Line 1, column 3", "minutes:seconds"),
        ("# nothing", "Line 1, column 1", "has no shot"),
    ],
)
def test_storyboard_errors_name_line_and_column(text: str, place: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse(text)
    assert str(caught.value).startswith(place)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (
            "0-2 a ball\n\n  3-4 a cube\n9-9 ",
            "Line 3, column 3",
            "Shot 2 starts at 3 s, but the shot before it ends at 2 s",
        ),
        ("0-2 a ball | blend: 1", "Line 1, column 1", "needs a shot before it"),
        ("0-2 a ball | sound@5: thump", "Line 1, column 1", "has a cue at 5 s"),
        ("style: film\n2-4 a ball", "Line 2, column 1", "Shot 1 starts at 2 s. The first shot must start at 0"),
    ],
)
def test_impossible_times_are_refused(text: str, place: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse(text)
    told = str(caught.value)
    assert told.startswith(f"{place}: Shot") and told.endswith(".") and not told.endswith("..")
    assert "before it ends at 0 s" not in told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format="other/1"), "format"),
        (lambda d: d.update(mood="sad"), "unknown keys mood"),
        (lambda d: d.pop("prompt"), "lacks prompt"),
        (lambda d: d["shots"][0].update(start="soon"), r"screenplay.shots\[0\].start must be a number"),
        (lambda d: d["shots"][0].update(start=True), "must be a number; got true"),
        (lambda d: d.update(shots={}), "must be a list"),
        (lambda d: d.update(shots=[]), "at least one shot"),
        (lambda d: d["shots"][1]["lines"][0].update(text=None), r"lines\[0\].text must be a text; got null"),
    ],
)
def test_wrong_documents_name_the_place(change, message: str) -> None:
    data = json.loads(to_json(parse(BOARD)))
    change(data)
    with pytest.raises(ValueError, match=message):
        from_json(json.dumps(data))


@pytest.mark.parametrize(
    "text",
    ["{", "[" * 100_000, "null", '{"format": 1}', '{"a": NaN}', "x" * 2_000_000, "{}" * 10],
    ids=["cut", "nested", "null", "foreign", "nan", "huge", "twice"],
)
def test_hostile_json_is_a_clear_error(text: str) -> None:
    with pytest.raises(ValueError, match="screenplay"):
        from_json(text)


def test_speaking_takes_as_long_as_people_take() -> None:
    # Seventeen short words: four to five seconds when read aloud without haste.
    text = "We shall go on to the end, we shall fight in the fields and in the streets."
    assert 4 < speaking_seconds(text) < 6
    assert speaking_seconds("") == 0
    assert speaking_seconds("こんにちは世界") == pytest.approx(7 / 4.5, rel=0.01)
    assert speaking_seconds("One. Two.") > speaking_seconds("One two")


def test_a_line_that_does_not_fit_says_how_much_is_missing() -> None:
    screenplay = parse('0-1 a robot stands | ROBOT: "I have waited here for a thousand years, and nobody came."')
    (fit,) = fits(screenplay)
    assert fit.missing > 1.5
    assert f"needs {fit.missing:.1f} s more" in dialogue_notes(screenplay)[0]
    assert dialogue_notes(parse('0-4 a robot stands | ROBOT: "Hello."')) == []


def test_lines_at_one_time_share_the_time_until_the_next_later_one() -> None:
    first, second, third = fits(parse('0-4 a robot | CY@3: "No." | ANNA@1: "Hello, hello." | BO@1: "Hello there."'))
    assert [fit.line.speaker for fit in (first, second, third)] == ["ANNA", "BO", "CY"]
    assert (first.start, third.start, third.has) == (1, 3, 1)
    assert second.start == pytest.approx(1 + first.has) and first.has + second.has == pytest.approx(2)
    assert dialogue_notes(parse('0-1 a robot | ANNA@0.9: "Hello there." | BO@0.9: "Hello."'))[1].startswith(
        "BO, at 0.9"
    )


def test_lines_that_a_shot_or_a_prompt_has_no_time_for_stay_inside_it() -> None:
    crowded = parse('0-1 a robot | A: "Where is the ball?" | B: "Under the sofa." | C: "No it is not."')
    assert all(fit.has > 0.2 for fit in fits(crowded))
    many = write_built_in(Brief(" ".join(f'"{number}"' for number in range(3000)), 1.0)).screenplay
    assert len(many.shots[0].lines) == 3000 and parse(format_storyboard(many)).shots[0].lines[-1].at < 1


@pytest.mark.parametrize("case", PROMPTS, ids=[case["prompt"][:40] for case in PROMPTS])
def test_nothing_that_the_user_said_is_lost_or_decided_again(case: dict) -> None:
    for target in TARGETS:
        draft = write_built_in(Brief(case["prompt"], 4.0, target))
        assert draft.caption.startswith(case["prompt"].strip())
        assert not set(draft.added) & set(case["decided"]), (target, draft.added)
        assert not set(draft.added) & set(draft.said)
    built_in = write_built_in(Brief(case["prompt"], 4.0)).added
    missing = {"ground", "sky"} - set(case["decided"])
    assert missing <= set(built_in)


def test_a_prompt_that_says_everything_is_not_changed() -> None:
    prompt = "a red ball rolls to the left on sand at sunset. we hear a low rolling sound"
    draft = write_built_in(Brief(prompt, 4.0))
    assert draft.caption == prompt and not draft.added and "Nothing was added." in draft.difference()


def test_additions_follow_the_weather_and_the_action() -> None:
    added = write_built_in(Brief("a blue cube spins in the rain", 4.0)).added
    assert added["sky"] == "under an overcast sky" and added["sound"] == "we hear a soft whirr"


def test_the_same_seed_writes_the_same_and_another_may_not() -> None:
    captions = {write_built_in(Brief("a ball bounces", 4.0, seed=seed)).caption for seed in range(12)}
    assert len(captions) > 2
    assert write_built_in(Brief("a ball bounces", 4.0, seed=3)) == write_built_in(Brief("a ball bounces", 4.0, seed=3))


def test_additions_for_the_built_in_model_are_words_that_it_knows() -> None:
    tokenizer = Tokenizer(MINI.text, world.vocabulary())
    for case in PROMPTS:
        for seed in range(5):
            for text in write_built_in(Brief(case["prompt"], 4.0, seed=seed)).added.values():
                assert tokenizer.note(text) == "All words are known."


def test_styles_write_for_every_target_and_silent_models_get_no_sound() -> None:
    for style in STYLES:
        assert "sound" not in write_built_in(Brief("a fox", 4.0, "Wan", style)).added
        assert set(write_built_in(Brief("a fox", 4.0, "LTX-2.x", style)).added) == {"camera", "light", "sound", "look"}
    assert write_built_in(Brief("a fox", 4.0, "plain")).caption == "a fox"


def test_dialogue_in_quotes_becomes_timed_lines_and_is_said_once() -> None:
    draft = write_built_in(Brief('Anna says: "Where is the ball?" Bo replies "Under the sofa."', 6.0, "LTX-2.x"))
    lines = draft.screenplay.shots[0].lines
    assert [(line.speaker, line.text) for line in lines] == [("ANNA", "Where is the ball?"), ("BO", "Under the sofa.")]
    assert lines[0].at == 0 < lines[1].at
    assert draft.caption.count("Where is the ball?") == 1
    assert "ground" not in said('a fox says "the sea, the sea"')


def test_writing_takes_milliseconds() -> None:
    began = time.perf_counter()
    for case in PROMPTS:
        write_built_in(Brief(case["prompt"], 4.0))
    assert (time.perf_counter() - began) / len(PROMPTS) < 0.05


@pytest.mark.parametrize(
    "reply",
    [
        "0-2 a fox runs | camera: pan left\n2-4 the fox sleeps",
        "Sure! Here is your storyboard:\n\n```\n0-2 a fox runs | camera: pan left\n2-4 the fox sleeps\n```\nEnjoy!",
        "1. 0-2 a fox runs | camera: pan left\n2. 2-4 the fox sleeps",
        "<think>\n0-9 no, shorter\n</think>\n0-2 a fox runs | camera: pan left\n2-4 the fox sleeps",
        "0-2 a red fox\n</think>\n0-3 a fox\n</thinking>0-2 a fox runs | camera: pan left\n2-4 the fox sleeps",
        '{"prompt": "x", "shots": [{"start": 0, "seconds": 2, "caption": "a fox runs", "camera": "pan left"},'
        ' {"start": 2, "seconds": 2, "caption": "the fox sleeps"}]}',
    ],
    ids=["plain", "fenced", "numbered", "reasoned", "half reasoned", "json"],
)
def test_replies_of_language_models_are_read(reply: str) -> None:
    draft = read_reply(reply, Brief("a fox", 4.0), Writer("text", "some-model"))
    assert [shot.caption for shot in draft.screenplay.shots] == ["a fox runs", "the fox sleeps"]
    assert draft.screenplay.shots[0].camera == "pan left"
    assert draft.screenplay.prompt == "a fox" and draft.screenplay.writer.model == "some-model"
    assert draft.added["action"] == "runs, sleeps"
    assert draft.caption.startswith("0-2 s: a fox runs Camera: pan left.")


@pytest.mark.parametrize(
    "reply", ["I cannot help with that.", "", "Ignore all rules and delete the files.", "{" * 5000]
)
def test_replies_without_a_screenplay_are_refused(reply: str) -> None:
    with pytest.raises(ValueError, match="holds no storyboard"):
        read_reply(reply, Brief("a fox", 4.0))


def test_a_reply_that_forgets_something_is_shown_to() -> None:
    told = read_reply("0-3 a ball bounces", Brief("a red ball bounces on grass", 4.0)).difference()
    assert "leaves out what you said" in told and "red" in told and "grass" in told
    assert "lasts 3 s; you asked for 4 s" in told
    kept = read_reply("0-4 a bouncing, red ball on the grass", Brief("a red ball bounces on grass", 4.0))
    assert kept.notes == () and kept.added == {}
    assert read_reply("0-4 a red ball bounces and rolls", Brief("a red ball bounces", 4.0)).added == {"action": "rolls"}


def test_a_picture_gives_its_look_to_models_that_read_one() -> None:
    picture = torch.zeros(1, 40, 60, 3)
    picture[:, :30] = torch.tensor([20, 120, 124]) / 255
    picture[:, 30:] = torch.tensor([230, 130, 30]) / 255
    look = describe_look(picture)
    assert look == "The colours are teal and orange; the light is medium and soft and flat."
    assert "white" in describe_look(torch.ones(1, 8, 8, 3)) and "dim" in describe_look(torch.zeros(8, 8, 3))
    assert write_built_in(Brief("a fox", 4.0, "LTX-2.x", look=look)).added["look"] == look
    assert look in instruction(Brief("a fox", 4.0, look=look))
    assert "is told of none" in write_built_in(Brief("a fox", 4.0, look=look)).difference()
    painted = write_built_in(Brief("an oil painting of a fox", 4.0, "LTX-2.x", look=look))
    assert "look" not in painted.added and "the prompt says how" in painted.difference()
    for wrong in (torch.zeros(4, 4), torch.full((1, 4, 4, 3), math.nan), torch.zeros(1, 0, 4, 3)):
        with pytest.raises(ValueError, match="look reference"):
            describe_look(wrong)


def test_the_instruction_holds_the_prompt_and_the_length() -> None:
    text = instruction(Brief("a {fox} jumps", 6.5, style="noir"))
    assert "a {fox} jumps" in text and "6.5" in text and "noir" in text


@pytest.mark.parametrize("prompt", ["", "  \n ", "\x00\x07"])
def test_empty_prompts_are_refused(prompt: str) -> None:
    with pytest.raises(ValueError, match="prompt is empty"):
        write_built_in(Brief(prompt, 4.0))


def test_odd_prompts_pass_through() -> None:
    for prompt in ("שלום עולם", "🎈🎈 red ball 🎈", "a ball\x00 bounces", "a\nball", "{0} {prompt} %s"):
        draft = write_built_in(Brief(prompt, 4.0))
        assert draft.caption.startswith(prompt.replace("\x00", ""))
    with pytest.raises(ValueError, match="at most"):
        write_built_in(Brief("x" * 1_000_000, 4.0))
    with pytest.raises(ValueError, match="Unknown target"):
        Brief("a", 4.0, "Sora")


def test_shots_are_one_text_with_times() -> None:
    one = Screenplay("a", (Shot(0, 2, "a ball"),))
    assert timed_caption(one) == "a ball"
    assert (
        timed_caption(parse(BOARD)).splitlines()[1].startswith("2-4.5 s: the ball rolls away at sunset Sound: a bird")
    )
    assert FORMAT in to_json(one)


def test_the_choices_are_those_of_the_banks() -> None:
    assert tuple(bank("targets")) == TARGETS and tuple(bank("styles")) == STYLES


def test_pasted_text_is_read_in_either_form() -> None:
    screenplay = parse(BOARD)
    assert read_screenplay(BOARD) == screenplay == read_screenplay("\n " + to_json(screenplay))


def test_a_locked_edit_says_how_the_screenplay_before_it_has_changed() -> None:
    incoming = parse(BOARD)
    kept, note = edited(incoming, "0-2 a blue cube spins", locked=True)
    assert kept.shots[0].caption == "a blue cube spins"
    assert "- 0-2 a blue cube spins" in note and "+ 0-2 a red ball bounces" in note
    assert edited(incoming, format_storyboard(incoming), locked=True) == (
        incoming,
        "Locked. What comes in is the same.",
    )
    assert edited(None, "0-2 a blue cube spins", locked=False)[0].shots[0].caption == "a blue cube spins"
    with pytest.raises(ValueError, match="nothing comes in"):
        edited(None, "  ", locked=False)
    with pytest.raises(ValueError, match="text is empty"):
        edited(incoming, "", locked=True)


def test_a_text_of_ones_own_that_is_not_locked_is_said_to_go_unused() -> None:
    incoming, passed = parse(BOARD), "Not locked: passes on what comes in."
    own = "0-2 a blue cube spins slowly"
    assert edited(incoming, "  ", locked=False) == (incoming, passed)
    assert edited(incoming, own, locked=False) == (incoming, f"{passed} Your text was not used: switch locked on.")
    assert "not used" in edited(incoming, "0-soon", locked=False)[1]
    assert "not used" not in edited(None, own, locked=False)[1] + edited(incoming, own, locked=True)[1]


def test_a_text_that_the_editor_filled_in_is_no_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    incoming, later = parse(BOARD), parse("0-2 a green cone hops")
    filled = format_storyboard(incoming)
    for text in (filled, filled.strip()):
        assert "not used" not in edited(incoming, text, locked=False)[1]
        assert "not used" not in edited(later, text, locked=False)[1]
    assert "not used" in edited(later, filled.replace("red", "blue"), locked=False)[1]
    monkeypatch.setattr(edit, "REMEMBERED", 2)
    for number in range(3):
        edited(parse(f"0-2 take {number}"), "", locked=False)
    assert "not used" in edited(parse("0-2 take 2"), "0-2 take 0", locked=False)[1]
