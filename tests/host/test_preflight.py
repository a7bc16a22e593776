"""What Preflight says before a run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import CARD
from harness import Failed, Host
from test_nodes import graph, link


def checked(**inputs: object) -> dict:
    """The whole flow with Preflight before the sampler."""
    parts = {"guider": link("guidance"), "sigmas": link("schedule"), "video_vae": link("load", 2), **inputs}
    return {
        **graph(sampler={"latent": link("preflight")}),
        "preflight": {"class_type": "KinetophonePreflight", "inputs": {"latent": link("latent"), **parts}},
    }


def test_sizes_times_memory_and_licence_are_told_and_nothing_is_left_behind(host: Host, base: Path) -> None:
    before = set(base.rglob("*"))
    outputs = host.run(checked())
    report = outputs["preflight"]["text"][0]
    assert "Picture: 128 x 64, 25 frames at 24 a second = 1.04 s." in report
    assert "Picture latent: 4 x 2 x 4 cells of 192 numbers, batch of 1." in report
    assert (
        "Sampling: 3 steps, " in report
        and "from 3 steps taken now with euler" in report
        and "Decoding and saving: " in report
    )
    assert "Memory on cpu: about " in report and "Disk: a file of about " in report
    assert "Licence of the model: " in report
    assert len(set(base.rglob("*.mp4")) - before) == 1


def test_the_latent_is_sampled_as_if_preflight_were_not_there(host: Host) -> None:
    model, clip, vae, _ = host.call("KinetophoneLoader", card=CARD, precision="fp32")
    latent = host.call("KinetophoneEmptyLatent", aspect="custom", width=128, height=64, seconds=1.0, batch=1)[0]
    prompt, negative = host.call("KinetophoneTextEncode", clip=clip, prompt="a red ball", negative="")
    guider = host.call(
        "KinetophoneGuidance", model=model, positive=prompt, negative=negative, picture=3.0, sound=3.0, coupling=1.0
    )[0]
    sigmas = host.call("KinetophoneSchedule", steps=4, shift=1.5, denoise=1.0)[0]

    def sampled() -> list:
        made = host.call(
            "KinetophoneSampler", guider=guider, sigmas=sigmas, latent=latent, seed=1, sampler_name="euler"
        )
        return made[0]["samples"].unbind()

    first = sampled()
    passed, _, seconds = host.call("KinetophonePreflight", latent=latent, guider=guider, sigmas=sigmas, video_vae=vae)
    assert passed is latent and seconds > 0
    assert all(one.equal(other) for one, other in zip(first, sampled(), strict=True))


@pytest.fixture
def parts(host: Host) -> dict:
    """A latent, and what samples and decodes it."""
    model, clip, vae, _ = host.call("KinetophoneLoader", card=CARD, precision="fp32")
    latent = host.call("KinetophoneEmptyLatent", aspect="custom", width=128, height=64, seconds=1.0, batch=1)[0]
    prompt, negative = host.call("KinetophoneTextEncode", clip=clip, prompt="a red ball", negative="")
    guider = host.call("CFGGuider", model=model, positive=prompt, negative=negative, cfg=3.0)[0]
    sigmas = host.call("KinetophoneSchedule", steps=4, shift=1.5, denoise=1.0)[0]
    return {"latent": latent, "guider": guider, "sigmas": sigmas, "video_vae": vae}


@pytest.mark.parametrize(
    "error",
    [torch.cuda.OutOfMemoryError("simulated"), MemoryError(), RuntimeError("[enforce fail] can't allocate memory")],
)
def test_a_run_that_fills_the_memory_is_told_and_not_failed(
    host: Host, parts: dict, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(parts["guider"], "sample", fail)
    _, report, seconds = host.call("KinetophonePreflight", **parts)
    assert "ran out of memory. Make it smaller" in report and "Memory on cpu: about " in report
    # Decoding is still estimated.
    assert seconds > 0


def test_other_errors_of_the_steps_are_not_hidden(host: Host, parts: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("sizes do not match")

    monkeypatch.setattr(parts["guider"], "sample", fail)
    with pytest.raises(RuntimeError, match="sizes do not match"):
        host.call("KinetophonePreflight", **parts)


def test_a_step_that_cannot_fit_is_not_tried(host: Host, parts: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(parts["guider"], "sample", lambda *args, **kwargs: calls.append(args))
    monkeypatch.setattr(parts["guider"].model_patcher.model, "memory_required", lambda shape, **kwargs: 1e15)
    report = host.call("KinetophonePreflight", **parts)[1]
    assert not calls
    assert "Sampling: not tried, because a step needs about 2000000.0 GB" in report and "does not fit" in report


def test_a_schedule_of_one_level_is_told(host: Host, parts: dict) -> None:
    report = host.call("KinetophonePreflight", **{**parts, "sigmas": parts["sigmas"][:1]})[1]
    assert "the schedule has 1 of the 2 noise levels" in report and "connect guider" not in report


def test_what_cannot_be_estimated_says_what_is_missing(host: Host) -> None:
    latent = host.call("KinetophoneEmptyLatent", aspect="square", width=0, height=0, seconds=1.0, batch=1)[0]
    _, report, seconds = host.call("KinetophonePreflight", latent=latent)
    assert "connect guider and sigmas" in report and seconds == 0


def test_dialogue_and_lengths_that_do_not_fit_are_warned_of(host: Host) -> None:
    model, clip, vae, _ = host.call("KinetophoneLoader", card="mini", precision="auto")
    latent = host.call("KinetophoneEmptyLatent", aspect="custom", width=64, height=64, seconds=9.0, batch=1)[0]
    prompt, negative = host.call("KinetophoneTextEncode", clip=clip, prompt="a red ball", negative="")
    guider = host.call(
        "KinetophoneGuidance", model=model, positive=prompt, negative=negative, picture=3.0, sound=3.0, coupling=1.0
    )[0]
    board = '0-1 a ball | ANNA: "This is much more than anybody can say in a single second."'
    screenplay = host.call("KinetophoneStoryboard", storyboard=board, blend=0.0)[0]
    report = host.call("KinetophonePreflight", latent=latent, guider=guider, video_vae=vae, screenplay=screenplay)[1]
    assert "trained on 1 to 4.1 s" in report and "Licence of the model: Apache-2.0." in report
    assert "ANNA, at 0 s" in report and "s more." in report


def test_a_latent_that_no_sampler_takes_is_refused(host: Host) -> None:
    still = {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}}
    with pytest.raises(Failed, match="still image"):
        host.run({**checked(latent=link("still")), "still": still})
