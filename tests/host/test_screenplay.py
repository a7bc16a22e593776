"""The screenplay stage in a real graph."""

from __future__ import annotations

from pathlib import Path

import pytest
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
