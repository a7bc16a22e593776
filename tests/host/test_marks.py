"""Marks in a real graph: seen in the file, and read from it."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from harness import Failed, Host
from test_nodes import graph, link, saved

from kinetophone.pipelines.marks.provenance import OWN_ASSERTION, verify


def prompt(save: dict | None = None, **changes: object) -> dict:
    """A grey picture of two seconds, marked and saved."""
    mark = {"video": link("video"), "text": "Made with AI", "size": 0.12, "opacity": 0.9, "place": "moving", **changes}
    kept = {"video": link("mark"), "filename_prefix": "marked", "format": "mp4-h264", "quality": "standard"}
    grey = {"width": 320, "height": 192, "batch_size": 48, "color": 0x808080}
    return {
        "image": {"class_type": "EmptyImage", "inputs": grey},
        "video": {"class_type": "CreateVideo", "inputs": {"images": link("image"), "fps": 24.0}},
        "mark": {"class_type": "KinetophoneWatermark", "inputs": mark},
        "save": {"class_type": "KinetophoneSave", "inputs": {**kept, **(save or {})}},
    }


def opened(path: Path) -> tuple[np.ndarray, dict]:
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24"), dict(container.metadata)


def test_the_badge_and_the_disclosure_are_in_the_file(host: Host, base: Path) -> None:
    frame, tags = opened(saved(base, host.run(prompt()))[0])
    away = np.abs(frame.astype(int) - 128).max(-1) > 20
    assert 0.005 < away.mean() < 0.08 and not away[100:].any()
    assert "artificial intelligence" in tags["comment"]


def test_the_disclosure_is_given_on_for_a_caption(host: Host) -> None:
    nodes = prompt({"disclosure": "Deutsch"})
    nodes["caption"] = {"class_type": "PreviewAny", "inputs": {"source": link("save", 2)}}
    assert "Intelligenz" in host.run(nodes)["caption"]["text"][0]


def test_another_language_or_none_can_be_chosen(host: Host, base: Path) -> None:
    assert "Intelligenz" in opened(saved(base, host.run(prompt({"disclosure": "Deutsch"})))[0])[1]["comment"]
    assert "comment" not in opened(saved(base, host.run(prompt({"disclosure": "none"})))[0])[1]


def test_a_disclosure_of_what_no_model_is_known_to_have_made_is_pointed_out(host: Host) -> None:
    reminder = "set disclosure to none"
    assert reminder in host.run(prompt())["save"]["text"][0]
    assert reminder not in host.run(prompt({"disclosure": "none"}))["save"]["text"][0]
    assert reminder not in host.run(graph())["save"]["text"][0]


def test_a_badge_that_does_not_fit_leaves_no_file(host: Host, base: Path) -> None:
    before = set((base / "output").rglob("*"))
    with pytest.raises(Failed, match="does not fit"):
        host.run(prompt(text="a text that is far too long for this", size=0.5))
    assert set((base / "output").rglob("*")) == before


def test_a_saved_file_is_signed_and_verified(host: Host, base: Path) -> None:
    outputs = host.run({**prompt(), "verify": {"class_type": "KinetophoneVerify", "inputs": {"video": link("save")}}})
    assert "Signed by Kinetophone, self-made identity" in outputs["save"]["text"][0]
    assert "whom you trust" in outputs["verify"]["text"][0]
    assert (base / "user" / "kinetophone" / "identity").is_dir()
    assert "Not signed." in host.run(prompt({"sign": "never"}))["save"]["text"][0]
    assert "cannot carry" in host.run(prompt({"format": "webm-av1"}))["save"]["text"][0]
    with pytest.raises(Failed, match="cannot carry"):
        host.run(prompt({"format": "webm-av1", "sign": "always"}))


def test_a_remix_names_its_parent_and_a_changed_file_is_found_out(host: Host, base: Path) -> None:
    first = saved(base, host.run(prompt()))[0]
    (base / "input").mkdir(exist_ok=True)
    (base / "input" / "parent.mp4").write_bytes(first.read_bytes())
    remix = prompt()
    del remix["image"]
    remix["video"] = {"class_type": "LoadVideo", "inputs": {"file": "parent.mp4"}}
    remix["verify"] = {"class_type": "KinetophoneVerify", "inputs": {"video": link("save")}}
    told = host.run(remix)["verify"]["text"][0]
    assert "made from parent.mp4" in told and "whom you trust" in told
    content = bytearray(first.read_bytes())
    content[-100] ^= 1
    (base / "input" / "changed.mp4").write_bytes(content)
    verify = {"class_type": "KinetophoneVerify", "inputs": {"video": link("video")}}
    changed = {"video": {"class_type": "LoadVideo", "inputs": {"file": "changed.mp4"}}, "verify": verify}
    assert "Invalid" in host.run(changed)["verify"]["text"][0]


def test_a_remix_through_latents_names_its_parent(host: Host, base: Path) -> None:
    """Encoded, joined with new sound and sampled again, a video is still made from its file."""
    first = saved(base, host.run(graph()))[0]
    (base / "input").mkdir(exist_ok=True)
    (base / "input" / "original.mp4").write_bytes(first.read_bytes())
    nodes = graph(schedule={"denoise": 0.5}, sampler={"latent": link("joined")})
    nodes["file"] = {"class_type": "LoadVideo", "inputs": {"file": "original.mp4"}}
    encode = {"video": link("file"), "video_vae": link("load", 2)}
    nodes["encode"] = {"class_type": "KinetophoneEncodeVideo", "inputs": encode}
    nodes["apart"] = {"class_type": "KinetophoneSeparateAV", "inputs": {"latent": link("latent")}}
    joined = {"video": link("encode"), "audio": link("apart", 1)}
    nodes["joined"] = {"class_type": "KinetophoneConcatAV", "inputs": joined}
    nodes["verify"] = {"class_type": "KinetophoneVerify", "inputs": {"video": link("save")}}
    outputs = host.run(nodes)
    told = outputs["verify"]["text"][0]
    assert "opened, edited with a model" in told and "made from original.mp4" in told
    parents = facts(saved(base, outputs)[0])["parents"]
    assert [parent["file"] for parent in parents] == ["original.mp4"]


def facts(path: Path) -> dict:
    """What a signed file says of how it was made."""
    store = verify(path).manifest
    assertions = store["manifests"][store["active_manifest"]]["assertions"]
    return next((entry["data"] for entry in assertions if entry["label"] == OWN_ASSERTION), {})


def test_seed_and_words_are_signed_as_the_user_allows(host: Host, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = facts(saved(base, host.run(graph(sampler={"seed": 4321})))[0])
    assert told["workflow"]["sampler"]["inputs"]["seed"] == 4321
    assert told["workflow"]["text"]["inputs"]["prompt"] == "a red ball bounces"
    assert told["model"] == "kinetophone" and len(told["weights"]) == 64
    monkeypatch.setattr(host.pack("pipelines.host.marks").args, "disable_metadata", True)
    path = saved(base, host.run(graph(sampler={"seed": 4322})))[0]
    assert "workflow" not in facts(path) and b"a red ball" not in path.read_bytes()
    public = host.pack("pipelines.host.marks")._public({"seed": 1, "parents": [{"prompt": "a red ball", "file": "a"}]})
    assert public == {"parents": [{"file": "a"}]}


def test_a_video_made_of_a_file_that_cannot_be_signed_is_saved(host: Host, base: Path) -> None:
    first = saved(base, host.run(prompt({"format": "webm-av1"})))[0]
    (base / "input").mkdir(exist_ok=True)
    (base / "input" / "parent.webm").write_bytes(first.read_bytes())
    remix = prompt()
    del remix["image"]
    remix["video"] = {"class_type": "LoadVideo", "inputs": {"file": "parent.webm"}}
    remix["verify"] = {"class_type": "KinetophoneVerify", "inputs": {"video": link("save")}}
    assert "made from parent.webm" in host.run(remix)["verify"]["text"][0]


@pytest.mark.parametrize("node", ["KinetophoneVerify", "KinetophoneDetectWatermark", "KinetophoneMeasureSync"])
def test_a_file_that_was_cut_off_is_a_clear_error(host: Host, base: Path, node: str) -> None:
    content = saved(base, host.run(prompt({"sign": "never"})))[0].read_bytes()
    (base / "input").mkdir(exist_ok=True)
    (base / "input" / "cut.mp4").write_bytes(content[: len(content) * 2 // 3])
    load = {"class_type": "LoadVideo", "inputs": {"file": "cut.mp4"}}
    key = {"key": "public"} if "Detect" in node else {}
    with pytest.raises(Failed, match=r"cut\.mp4"):
        host.run({"video": load, "look": {"class_type": node, "inputs": {"video": link("video"), **key}}})


def test_only_a_file_can_be_verified(host: Host) -> None:
    between = {**prompt(), "verify": {"class_type": "KinetophoneVerify", "inputs": {"video": link("mark")}}}
    with pytest.raises(Failed, match="looks at a file"):
        host.run(between)


def hidden(**changes: object) -> dict:
    """The same picture, with an invisible mark in place of the badge."""
    nodes = prompt({"sign": "never"})
    inputs = {"video": link("video"), "says": "0123456789ab", "where": "picture and sound", "key": "public", **changes}
    nodes["mark"] = {"class_type": "KinetophoneInvisibleWatermark", "inputs": inputs}
    nodes["verify"] = {"class_type": "KinetophoneVerify", "inputs": {"video": link("save")}}
    found = {"video": link("save"), "key": inputs["key"]}
    nodes["detect"] = {"class_type": "KinetophoneDetectWatermark", "inputs": found}
    return nodes


def test_an_invisible_mark_is_detected_in_the_file_and_verify_falls_back_to_it(host: Host) -> None:
    outputs = host.run(hidden())
    assert "0123456789ab, from 0.0 to 2.0 s over the whole picture" in outputs["detect"]["text"][0]
    told = outputs["verify"]["text"][0]
    assert "no signed provenance" in told and "With the public key: In the picture: 0123456789ab" in told
    assert "into the picture, and into the sound if there is one" in outputs["mark"]["text"][0]


def test_without_the_packages_files_are_saved_unsigned_and_searched_for_marks(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    nodes = hidden()
    nodes["save"]["inputs"]["sign"] = "if possible"
    outputs = host.run(nodes)
    assert "Not signed" in outputs["save"]["text"][0] and "pip install c2pa-python" in outputs["save"]["text"][0]
    told = outputs["verify"]["text"][0]
    assert "Signatures were not looked at" in told and "pip install c2pa-python" in told
    assert "With the public key: In the picture: 0123456789ab" in told and "With the own key: No" in told


@pytest.mark.parametrize(("frames", "short"), [(48, False), (47, True)])
def test_an_invisible_mark_makes_no_sound_before_the_video_is_read(host: Host, frames: int, short: bool) -> None:
    clip, media, heard = host.pack("pipelines.clip.clip"), host.pack("pipelines.host.media"), []
    shape = clip.VideoShape(160, 96, frames, Fraction(24))
    grey = clip.Clip(
        shape, lambda start, stop: iter([torch.full((stop - start, 96, 160, 3), 128)]), lambda: heard.append(1)
    )
    mark = host.pack("pipelines.host.marks").marked_invisibly
    *_, told = mark(media.StreamVideo(grey), "0123456789ab", "picture and sound", "public", {})
    assert not heard and ("less than 2 s" in told) == short


def test_a_mark_of_a_sound_that_is_not_there_leaves_no_file(host: Host, base: Path) -> None:
    before = set((base / "output").rglob("*"))
    with pytest.raises(Failed, match="has no sound"):
        host.run(hidden(where="sound"))
    assert set((base / "output").rglob("*")) == before
    assert host.run(hidden(where="picture"))["mark"]["text"][0] == "The mark says 0123456789ab."


def test_a_mark_with_the_own_key_is_found_with_it_alone(host: Host, base: Path) -> None:
    outputs = host.run(hidden(key="own", says=""))
    told = outputs["verify"]["text"][0]
    says = outputs["mark"]["text"][0].split(".")[0].split()[-1]
    assert len(says) == 12 and f"In the picture: {says}" in told
    assert "With the public key: No invisible mark" in told and "With the own key: In the picture:" in told
    secret = base / "user" / "kinetophone" / "identity" / "watermark.key"
    assert secret.stat().st_mode & 0o077 == 0 and secret.read_text() not in str(outputs)


def policy(**inputs: object) -> dict:
    return {"policy": {"class_type": "KinetophonePolicy", "inputs": inputs}}


def test_the_policy_stops_a_prompt_and_says_why(host: Host, base: Path) -> None:
    assert "Nothing was found" in host.run(policy(prompt="a red ball bounces"))["policy"]["text"][0]
    with pytest.raises(Failed, match=r"Mickey Mouse.*the holder does not permit it"):
        host.run(policy(prompt="m1ckey mouse juggles"))
    reports = list((base / "output" / "kinetophone" / "policy").glob("report_*.json"))
    assert any("m1ckey" in path.read_text() or "mickey" in path.read_text() for path in reports)


def test_an_overruled_refusal_is_in_the_signed_provenance(host: Host, base: Path) -> None:
    reason = "I drew the mouse myself"
    nodes = prompt()
    nodes["policy"] = policy(prompt="Mickey Mouse", video=link("video"), override=reason)["policy"]
    nodes["mark"]["inputs"]["video"] = ["policy", 2]
    nodes["verify"] = {"class_type": "KinetophoneVerify", "inputs": {"video": link("save")}}
    outputs = host.run(nodes)
    assert f"Overruled: {reason}" in outputs["policy"]["text"][0]
    assert "whom you trust" in outputs["verify"]["text"][0]
    (path,) = saved(base, outputs)
    assert reason.encode() in path.read_bytes()


def overruled(host: Host, base: Path, **inputs: object) -> str | None:
    """The reason that a signed file tells, where a Policy node stands before the badge."""
    nodes = prompt()
    nodes["why"] = {"class_type": "PrimitiveString", "inputs": {"value": "I drew it"}}
    nodes["policy"] = policy(**inputs)["policy"]
    if "video" in inputs:
        nodes["mark"]["inputs"]["video"] = ["policy", 2]
    return facts(saved(base, host.run(nodes))[0]).get("policy_override")


def test_a_reason_is_signed_where_it_overruled_and_nowhere_else(
    host: Host, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video, why = link("video"), link("why")
    assert overruled(host, base, prompt="Mickey Mouse", override=why, video=video) == "I drew it"
    assert overruled(host, base, prompt="Mickey Mouse", override=why) == "I drew it"
    assert overruled(host, base, prompt="a red ball", override=why, video=video) is None
    assert overruled(host, base, prompt="a red ball", override="I drew it", video=video) is None
    assert overruled(host, base, prompt="a red ball", override="I drew it") is None
    monkeypatch.setattr(host.pack("pipelines.marks.guard"), "classifier", lambda: lambda frame: 0.9)
    assert overruled(host, base, prompt="two red balls", override=why, video=video) == "I drew it"


def test_reasons_add_up_and_are_told_where_the_host_does_not_judge_again(host: Host, base: Path) -> None:
    nodes = {**prompt(), **policy(prompt="Mickey Mouse", override="I drew it")}
    del nodes["policy"]["inputs"]["override"]
    with pytest.raises(Failed, match="Mickey Mouse"):
        host.run(nodes)
    for name in ("first", "second"):
        nodes["policy"]["inputs"]["override"] = "I drew it"
        nodes["save"]["inputs"]["filename_prefix"] = name
        assert facts(saved(base, host.run(nodes))[0])["policy_override"] == "I drew it"
    nodes["again"] = policy(prompt="Pikachu", video=link("video"), override="So is this")["policy"]
    nodes["mark"]["inputs"]["video"] = ["again", 2]
    told = facts(saved(base, host.run(nodes))[0])["policy_override"]
    assert sorted(told.split("; ")) == ["I drew it", "So is this"]


def test_of_overruled_refusals_the_last_are_remembered(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = host.pack("pipelines.host.policy")
    monkeypatch.setattr(judge, "REMEMBERED", 2)
    asked = [policy(prompt=f"Mickey Mouse {number}", override=f"reason {number}") for number in range(3)]
    for nodes in (asked[0], asked[1], asked[0], asked[2]):
        inputs = nodes["policy"]["inputs"]
        judge.judged(inputs["prompt"], None, None, inputs["override"], nodes, "policy")
    assert [judge.overrides(nodes) for nodes in asked] == [["reason 0"], [], ["reason 2"]]


def test_the_policy_of_the_user_adds_to_ours_and_stops_a_video_of_the_registry(host: Host, base: Path) -> None:
    folder = base / "user" / "kinetophone"
    folder.mkdir(parents=True, exist_ok=True)
    own = folder / "policy.yaml"
    try:
        own.write_text("lists: {violence: [teapot]}\n")
        assert "warn: violence: 'teapots'" in host.run(policy(prompt="two teapots"))["policy"]["text"][0]
        own.write_text("rules: [{name: x, action: explode}]\n")
        with pytest.raises(Failed, match="choose one of allow, warn, refuse"):
            host.run(policy(prompt="two teapots"))
    finally:
        own.unlink()
