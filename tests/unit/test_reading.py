"""Prompts as people write them, read as words that the built-in model was trained on."""

from __future__ import annotations

import time

import pytest
import torch

from kinetophone.pipelines import world
from kinetophone.pipelines.model.config import DEBUG
from kinetophone.pipelines.text.reading import LONGEST, Reader, meanings, said_for, split
from kinetophone.pipelines.text.tokenizer import Tokenizer

READER = Reader(world.vocabulary())
SAID = {
    "a ruby crate": "a red cube",
    "A little sparrow chirps above the lawn!": "a little red bird chirps over the lawn .",
    "light blue box next to a dark green traffic cone": "cyan box beside a green cone",
    # A preposition or article goes where the phrase brings its own.
    "on a chessboard under gray clouds": "on a checkerboard floor under an overcast sky",
    "a grey cube on grey stone": "a white cube on grey stone",
    # Endings, and slips of spelling.
    "marbles bounced and skidded; purpel cubes": "a red ball and a blue ball bounces , a purple cube and a purple cube",
    "yelow spheer bonces on gras": "yellow sphere bounces on grass",
    # Numbers, as far as the world has several.
    "three small cones": "a small red cone and a small blue cone and a small yellow cone",
    "a couple of red taxis": "a red car",
    "a red and a blue ball": "a red ball and a blue ball",
    "red, green and white cubes on sand": "a red cube and a green cube and a white cube on sand",
    "two crates, a teal one and a white one, on sand": "a teal cube and a white cube , on sand",
    "two cones on snow. One is pink and the other one is white.": "a pink cone and a white cone on snow .",
    "three marbles: red, green and blue": "a red ball and a green ball and a blue ball",
    "two red balls and a blue cube": "a red ball and a red ball and a blue cube",
    # Of a car, a bird and a robot it has one, in the first place.
    "two taxis, one black and one yellow, collide": "a black car crashes into a yellow cube",
    "a robot next to a parrot": "a red robot beside a blue ball",
    "a droid, a robot": "a red robot , a robot",
    # Nobody does a thing to another.
    "a bird flies past a black box": "a red bird flies beside a black box",
    "the camera pans right as a robot talks": "the camera pans right a red robot talks",
    "spinning cube": "red cube spinning",
    "a child kicks a ball": "a red robot crashes into a blue ball",
    # What is denied is not said.
    "a cube, nothing moves": "a red cube , stands still",
    "a ball that is not red but purple": "a purple ball",
    "nothing but a cube": "a red cube",
    "ball, no rain, no people or cars": "red ball",
    "the cube does not move": "the red cube stands still",
    "the ball isn't bouncing on sand": "the red ball stands still on sand",
    "ball without any clouds": "red ball under a clear blue sky",
    # Captions say a colour of every thing: what is said elsewhere, or a new one; what is named again keeps its own.
    "robot, green, snow, night": "green robot , snow , night",
    "a car and a blue cube; the car honks": "a red car and a blue cube , the car honks",
    "a ball hits a ball": "a red ball hits a blue ball",
    # How the picture is made is not in the picture, nor is what only looks or sounds like a word of the model.
    "bird's eye view of a black car in lego style, rock music": "a black car",
    "a ball, shallow depth of field, teal and orange color grading": "a red ball",
    "a robot faces us and starts a story": "a red robot",
    "a caring robot": "a red robot",
    "a robot parrot over a glowing sunset": "a red bird over a sunset",
    # Grounds have no colours of their own, and what is there is on them.
    "a cone on a green table": "a red cone on a wooden floor",
    "a cone in a warehouse": "a red cone on grey stone",
    "blue cube white background": "blue cube",
    "a white robot dancing upbeat music": "a white robot hops",
    "red ball high quality": "red ball",
    "robots play music on a stage": "a red robot on a wooden floor",
    "a heavy metal ball, heavy metal music": "a large metal red ball",
    # What only looks like the name of a ground or a denial.
    "a navy stone cylinder on sand": "a blue cylinder on sand",
    "in the middle of nowhere a robot talks": "in a red robot talks",
    "a rusted car": "an orange car",
    "a ball bounces while a cube spins": "a red ball bounces , a blue cube spins",
    "ball cube cone": "red ball blue cube yellow cone",
    "a red car, a shiny red car, drives": "a red car , a metal red car , drives",
    # Words that captions have within longer phrases alone are read as these.
    "a cone in the desert, evening": "a red cone on the desert sand , at sunset",
    # The world knows only that one thing runs into another.
    "a red ball and a blue cube collide on snow": "a red ball crashes into a blue cube on snow",
    "two marbles crash into each other": "a red ball crashes into a blue ball",
    "a blinking lighthouse at night": "a red cylinder flashes and beeps at night",
    # Nothing is left of what only led to a word that is left out.
    "in the style of pixar, a dog barks in the park": "a red bird chirping on grass",
    "the camera moves to the left, a dolly in": "the camera pans left , the camera zooms in",
    # What falls bounces, but rain and snow; what rings beeps, but rings in water.
    "a wooden chair falls over": "a wooden red cube bounces",
    "the rain falls softly": "rain falls",
    "a phone rings on a desk": "a red cube flashes and beeps on a wooden floor",
    "a cone bounces on water making rings": "a red cone bounces on water making rings",
    # A place may be gone through, a time of day led into, a walk learned.
    "a tractor drives through a muddy field": "a red car drives over grass",
    "a rocket launches into space": "a red bird flies at night",
    "a tiny robot learns to walk": "a tiny red robot rolls",
    "lightning strikes a tree": "a thunderstorm with lightning beside a red cone",
    "a red and a blue ball collide and bounce off each other": "a red ball crashes into a blue ball",
    "a red sports car drifts, tires screeching": "a red car drifts , an engine rumbles",
    "extreme close-up of a glass of water": "a glass of water",
    "make me a video of a ball that is blue": "a blue ball",
    "the camera slowly orbits around a golden robot": "a golden robot",
}


@pytest.mark.parametrize(("said", "read"), SAID.items())
def test_prompts_are_read_as_words_of_the_model(said: str, read: str) -> None:
    assert " ".join(READER.read(said).words) == read


def test_captions_of_the_world_are_read_as_they_stand() -> None:
    scenes = world.sample_scenes(200, seed=4)
    for form in ("dense", "short", "tags", "partial"):
        for caption in world.captions(scenes, seed=4, form=form):
            reading = READER.read(caption)
            assert list(reading.words) == split(caption) and not reading.replaced and not reading.left_out, caption
    loose = world.captions(scenes, seed=4, form="loose")
    assert sum(list(READER.read(caption).words) != split(caption) for caption in loose) <= 2


def test_the_bank_leads_into_the_vocabulary() -> None:
    known = set(world.vocabulary())
    for kind, entries in meanings().items():
        if isinstance(entries, dict) and "known" in entries:
            assert known.issuperset(word.strip() for word in entries["known"].split(",")), kind
            assert known.issuperset(word for target in entries if target != "known" for word in target.split()), kind


def test_what_is_read_as_what_and_left_out_is_said() -> None:
    note = READER.read("A zeppelin and a ruby dice, cinematic, no rain").note()
    assert "ruby as red, dice as cube." in note and "does not know: zeppelin, cinematic, no rain." in note
    assert READER.read("a robot parrot flies past a glowing sunset").left_out == ("robot", "past", "glowing")
    assert READER.read("a red bird flies past a red box").replaced == {}
    assert READER.read("a red cube").note() == "All words are known."
    assert "No word is known" in READER.read("ein Zeppelin").note()


def test_smaller_vocabularies_are_told_only_what_they_know() -> None:
    reader = Reader([word for word in world.vocabulary() if word != "robot"])
    assert reader.read("a red android and a cyborg").words == ("a", "red", "android")
    assert "cyborg" in said_for(world.vocabulary())["robot"] and "robot" not in said_for(["red", "ball"])


def test_prompts_of_any_kind_fit_the_tokenizer() -> None:
    tokenizer = Tokenizer(DEBUG.text, world.vocabulary())
    began = time.monotonic()
    endless = ("ball " * 100_000, "crash into each other and not " * 20_000, "balls, one red " * 20_000, "a" * 10**6)
    for prompt in (*endless, "\x00\x07", "🙂🙂", "كرة حمراء"):
        assert tokenizer.encode([prompt]).shape == (1, 48)
    assert time.monotonic() - began < 20
    assert len(READER.read("red " * 100_000).words) == LONGEST
    ids = tokenizer.encode(["A red ball.", "a zebroid", ""])
    assert ids[0, :5].min() > 0 and ids[0, 5:].max() == 0 and torch.equal(ids[1], ids[2])
    assert torch.equal(ids[0], tokenizer.encode(["a RED ball ."])[0])


def test_a_prompt_that_is_too_long_is_cut_and_says_where() -> None:
    tokenizer = Tokenizer(DEBUG.text, world.vocabulary())
    note = tokenizer.note(" , ".join(["red ball"] * 40))
    assert "the model reads 47 words" in note and '"... ball , red ball"' in note
    assert "Too long" not in tokenizer.note("red ball")
