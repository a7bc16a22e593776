"""The screenplay stage in a real graph."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
import torch
from conftest import CARD
from harness import Failed, Host
from test_nodes import graph, link, saved


def written(prompt: str = "a red ball bounces", *, text: str = "", locked: bool = False, **recaption: object) -> dict:
    """The whole flow with its prompt through Recaption and Edit Screenplay."""
    inputs = {"prompt": prompt, "seconds": 1.0, "target": "built-in", "style": "natural", "seed": 0, **recaption}
    return {
        **graph(text={"prompt": link("edit", 1)}),
        "recaption": {"class_type": "KinetophoneRecaption", "inputs": inputs},
        "edit": {
            "class_type": "KinetophoneScreenplayEdit",
            "inputs": {"screenplay": link("recaption"), "text": text, "locked": locked},
        },
    }


def test_a_short_prompt_is_written_out_shown_and_sampled(host: Host, base: Path) -> None:
    outputs = host.run(written())
    told = outputs["recaption"]["text"][0]
    assert "You said: a red ball bounces" in told and "ground: on " in told and "action: bounces" in told
    assert outputs["edit"]["storyboard"][0].startswith("0-1 a red ball bounces, on ")
    assert outputs["text"]["text"][0] == "All words are known."
    assert saved(base, outputs)[0].stat().st_size > 1000


@pytest.mark.parametrize(("node", "frames"), [("recaption", 25), ("edit", 49)])
def test_the_length_of_a_screenplay_can_be_that_of_the_video(host: Host, base: Path, node: str, frames: int) -> None:
    nodes = written(text="0-0.5 a blue cube spins\n0.5-2 a red ball", locked=True)
    nodes["latent"]["inputs"]["seconds"] = link(node, 4)
    with av.open(str(saved(base, host.run(nodes))[0])) as container:
        assert container.streams.video[0].frames == frames


def test_an_edit_that_is_not_locked_is_said_to_go_unused(host: Host) -> None:
    shown = host.run(written("a yellow cone hops"))["edit"]
    filled = shown["storyboard"][0]
    assert "not used" not in shown["text"][0]
    for prompt in ("a yellow cone hops", "a green cone hops"):
        assert "not used" not in host.run(written(prompt, text=filled))["edit"]["text"][0]
    outputs = host.run(written("a yellow cone hops", text="0-1 a blue cube spins"))
    assert "Your text was not used: switch locked on." in outputs["edit"]["text"][0]


def test_a_locked_edit_wins_and_shows_what_changed(host: Host) -> None:
    outputs = host.run(written("a green cone hops", text="0-1 a blue cube spins", locked=True))
    shown = outputs["edit"]["text"][0]
    assert "Locked. What comes in differs" in shown and "+ 0-1 a green cone hops" in shown
    assert outputs["edit"]["storyboard"][0] == "0-1 a blue cube spins\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": "  "}, "prompt is empty"),
        ({"text": "a blue cube", "locked": True}, "Line 1, column 1"),
        ({"text": "", "locked": True}, "text is empty"),
        ({"reply": "I would rather not."}, "holds no storyboard"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(host: Host, changes: dict, message: str) -> None:
    with pytest.raises(Failed, match=message):
        host.run(written(**changes))


def told(storyboard: str, blend: float = 0.0) -> dict:
    """The whole flow from a storyboard."""
    inputs = {"text": {"prompt": "unused", "screenplay": link("board")}, "latent": {"seconds": link("board", 1)}}
    return {
        **graph(**inputs),
        "board": {"class_type": "KinetophoneStoryboard", "inputs": {"storyboard": storyboard, "blend": blend}},
    }


def sampled(host: Host, conditioning: list) -> torch.Tensor:
    """Both streams, sampled by the host's KSampler with a negative prompt that is no storyboard."""
    model, clip, _, _ = host.call("KinetophoneLoader", card=CARD, precision="fp32")
    latent = host.call("KinetophoneEmptyLatent", aspect="custom", width=128, height=64, seconds=2.0, batch=1)[0]
    negative = host.call("CLIPTextEncode", clip=clip, text="")[0]
    made = host.call(
        "KSampler", model=model, seed=1, steps=2, cfg=3.0, sampler_name="euler", scheduler="simple",
        positive=conditioning, negative=negative, latent_image=latent, denoise=1.0,
    )[0]["samples"]  # fmt: skip
    return torch.cat([part.flatten() for part in made.unbind()])


def encoded(host: Host, storyboard: str, blend: float = 0.0) -> list:
    clip = host.call("KinetophoneLoader", card=CARD, precision="fp32")[1]
    screenplay, seconds, _ = host.call("KinetophoneStoryboard", storyboard=storyboard, blend=blend)
    assert seconds == 2.0
    return host.call("KinetophoneTextEncode", clip=clip, prompt="", negative="", screenplay=screenplay)[0]


def prompted(host: Host, text: str) -> list:
    """Conditioning by the host's own node."""
    clip = host.call("KinetophoneLoader", card=CARD, precision="fp32")[1]
    return host.call("CLIPTextEncode", clip=clip, text=text)[0]


def test_a_storyboard_becomes_a_video_of_its_length_and_says_what_is_unknown_in_each_shot(
    host: Host, base: Path
) -> None:
    outputs = host.run(told("0-1 a red ball\n1-2 a zeppelin at night", blend=0.5))
    assert outputs["text"]["text"][0].splitlines()[0] == "0 to 1 s: All words are known."
    assert "1 to 2 s: Left out, the model does not know: zeppelin" in outputs["text"]["text"][0]
    with av.open(str(saved(base, outputs)[0])) as container:
        assert container.streams.video[0].frames == 49


def test_shots_hold_in_their_time(host: Host) -> None:
    plain = prompted(host, "a cube")
    same = sampled(host, encoded(host, "0-1 a cube\n1-2 a cube", blend=0.4))
    assert torch.allclose(same, sampled(host, plain), atol=1e-3)
    assert not torch.allclose(same, sampled(host, encoded(host, "0-1 a cube\n1-2 snow at night")), atol=1e-3)


def test_a_storyboard_can_be_joined_with_the_conditioning_of_other_nodes(host: Host) -> None:
    timed = encoded(host, "0-1 a cube\n1-2 a ball")
    joined = host.call("ConditioningConcat", conditioning_to=timed, conditioning_from=prompted(host, "rain"))[0]
    assert sampled(host, joined).isfinite().all()
    assert not torch.equal(sampled(host, joined), sampled(host, timed))


def test_other_text_encoders_read_one_text_with_times(host: Host) -> None:
    class Clip:
        def tokenize(self, text: str) -> str:
            return text

        def encode_from_tokens_scheduled(self, tokens: str) -> str:
            return tokens

    screenplay = host.call("KinetophoneStoryboard", storyboard="0-1 a cube\n1-2 a ball", blend=0.0)[0]
    read = host.call("KinetophoneTextEncode", clip=Clip(), prompt="", negative="", screenplay=screenplay)[0]
    assert read == "0-1 s: a cube\n1-2 s: a ball"


@pytest.mark.parametrize(
    ("storyboard", "message"),
    [
        ("", "has no shot"),
        ("0-1 a\n2-3 b", "Line 2, column 1: Shot 2 starts at 2 s.*no gap"),
        ("0-x a", "Line 1, column 1"),
    ],
)
def test_a_wrong_storyboard_is_refused_with_its_place(host: Host, storyboard: str, message: str) -> None:
    with pytest.raises(Failed, match=message):
        host.run(told(storyboard))
