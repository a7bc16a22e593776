"""The public interface: what people's shared workflows rely on, and what the editor shows."""

from __future__ import annotations

import ast
import json
import re
import shutil
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from harness import ROOT, Failed, Host

from kinetophone.pipelines.screenplay.dialogue import dialogue_notes
from kinetophone.pipelines.screenplay.storyboard import parse

sys.path.insert(0, str(ROOT / "scripts"))

from node_texts import node_texts
from workflow_format import as_json, set_value, to_api, to_editor, widgets
from workflows import WORKFLOWS

SNAPSHOT = Path(__file__).parent / "interface.json"
OURS = "Kinetophone"
# This one has an adapter for the built-in model alone.
TURBO = "11_turbo"
# Workflows that want something of the user first: a file, or a word why.
NOT_AT_ONCE = ("09_verify_a_file", "10_refuse_a_prompt")


@pytest.fixture(scope="module")
def info(host: Host) -> dict:
    return json.loads(json.dumps(host.object_info(), default=str))


def public(info: dict) -> dict:
    """Ids, input names in order with type and default, output types: what a workflow file stores."""
    return {
        kind: {
            "inputs": [
                [
                    name,
                    "COMBO" if isinstance(spec[0], list) else spec[0],
                    spec[1].get("default") if len(spec) > 1 else None,
                ]
                for section in ("required", "optional")
                for name, spec in node["input"].get(section, {}).items()
            ],
            "outputs": node["output"],
        }
        for kind, node in sorted(info.items())
        if kind.startswith(OURS)
    }


def test_the_public_interface_is_frozen(info: dict) -> None:
    """A change here breaks shared workflows: it needs a migration, and then a new snapshot."""
    assert public(info) == json.loads(SNAPSHOT.read_text("utf-8"))


def test_everything_is_labelled_and_explained(info: dict) -> None:
    for kind, node in info.items():
        if not kind.startswith(OURS):
            continue
        assert node["display_name"] != kind and len(node["description"]) > 30, kind
        assert node["category"].startswith("Kinetophone/"), kind
        for section in ("required", "optional"):
            for name, spec in node["input"].get(section, {}).items():
                assert spec[1].get("tooltip"), f"{kind}.{name}"
        assert all(node["output_tooltips"]), kind
        page = (ROOT / "web" / "docs" / f"{kind}.md").read_text("utf-8")
        assert page.startswith("# ") and len(page) > 300, kind


def column(page: str, head: str) -> set[str]:
    """What the tables of a help page name below `head` in their first column, in small letters."""
    names, inside = set(), False
    for line in page.splitlines():
        cell = line.split("|")[1].strip() if line.startswith("|") else ""
        inside = cell == head or (inside and bool(cell))
        names |= {name.strip().replace("_", " ").lower() for name in cell.split(",")} if inside else set()
    return names


def test_help_pages_explain_every_input_and_output(info: dict) -> None:
    missing = []
    for kind, node in info.items():
        if not kind.startswith(OURS):
            continue
        page = (ROOT / "web" / "docs" / f"{kind}.md").read_text("utf-8")
        inputs = {**node["input"].get("required", {}), **node["input"].get("optional", {})}
        # A page may call an input by its label or by its name.
        called = [("input", {name, spec[1].get("display_name") or name}) for name, spec in inputs.items()]
        called += [("output", {name}) for name in node["output_name"]]
        for head, names in called:
            if column(page, head).isdisjoint(name.replace("_", " ").lower() for name in names):
                missing.append(f"{kind}: {head} {min(names)}")
    assert not missing, "\n".join(missing)


def test_messages_and_help_pages_call_nodes_what_the_editor_calls_them(info: dict) -> None:
    """Inside, a node is called Concat or Empty Latent; nobody sees these names."""
    ours = [kind for kind in info if kind.startswith(OURS)]
    shown = re.compile("|".join(info[kind]["display_name"] for kind in ours))
    inside = [re.sub("(?<=[a-z])(?=[A-Z])", " ", kind.removeprefix(OURS)).removesuffix(" AV") for kind in ours]
    name = f"(?:{'|'.join(inside)})"
    called = re.compile(rf"\b{name} (?:node|of this pack|takes|needs|gives|with)\b|\*{name}\*")
    texts = {path.name: path.read_text("utf-8") for path in (ROOT / "web" / "docs").glob("*.md")}
    for path in (ROOT / "pipelines").rglob("*.py"):
        raised = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Raise)]
        strings = [part.value for node in raised for part in ast.walk(node) if isinstance(part, ast.Constant)]
        texts[str(path)] = "\n".join(text for text in strings if isinstance(text, str))
    assert len(texts) > 100
    assert not {name: found for name, text in texts.items() if (found := called.findall(shown.sub("", text)))}


def test_no_node_has_the_name_of_one_of_the_host(info: dict) -> None:
    names = {kind: node["display_name"] for kind, node in info.items()}
    theirs = {name for kind, name in names.items() if not kind.startswith(OURS)}
    assert not {name for kind, name in names.items() if kind.startswith(OURS)} & theirs


def test_nodes_stand_in_the_menu_with_those_they_are_used_with(info: dict) -> None:
    stages = {
        kind: node["category"].removeprefix("Kinetophone/") for kind, node in info.items() if kind.startswith(OURS)
    }
    # "clip" and "decode" are other things to people who use the host.
    assert not {"clip", "decode"} & set(stages.values())
    names = ("Decode", "DecodeAudio", "EncodeVideo", "EncodeAudio")
    assert {stages[OURS + name] for name in names} == {"codec"}
    assert stages["KinetophonePreflight"] == stages["KinetophoneSampler"] == "sample"
    assert stages["KinetophoneMixSound"] == stages["KinetophoneSpeak"] == "sound"


def test_locale_file_is_what_the_schemas_say(info: dict) -> None:
    assert (ROOT / "locales" / "en" / "nodeDefs.json").read_text("utf-8") == as_json(node_texts(info))


def test_labels_are_words_and_say_what_they_are(info: dict) -> None:
    texts = node_texts(info)
    for kind, text in texts.items():
        names = [entry["name"] for entry in (*text["inputs"].values(), *text["outputs"].values())]
        words = {word for name in names for word in name.replace("_", " ").split()}
        assert "_" not in "".join(names) and not {"vae", "url", "FPS"} & words, kind
    decode = texts["KinetophoneDecode"]["inputs"]
    assert [decode[name]["name"] for name in ("video_vae", "audio_vae", "fps")] == ["video VAE", "audio VAE", "fps"]
    assert texts["KinetophoneSave"]["inputs"]["disclosure"]["name"] == "disclosure language"
    assert texts["KinetophonePreflight"]["outputs"]["2"]["name"] == "run time in seconds"


def test_help_pages_name_inputs_as_the_editor_does(info: dict) -> None:
    for kind, text in node_texts(info).items():
        page = (ROOT / "web" / "docs" / f"{kind}.md").read_text("utf-8")
        tables = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
        assert not [cell for cell in tables if "_" in cell or " vae" in cell or "url" in cell], kind
        assert text["display_name"] in page.splitlines()[0], kind


def test_node_list_names_every_node(info: dict) -> None:
    listed = json.loads((ROOT / "node_list.json").read_text("utf-8"))
    assert sorted(listed) == sorted(kind for kind in info if kind.startswith(OURS))


def stored_workflow(name: str) -> dict:
    return json.loads((ROOT / "example_workflows" / f"{name}.json").read_text("utf-8"))


@pytest.mark.parametrize("name", list(WORKFLOWS))
def test_example_workflows_are_current(info: dict, name: str) -> None:
    assert stored_workflow(name) == json.loads(as_json(to_editor(WORKFLOWS[name], info)))


@pytest.mark.parametrize("name", [name for name in WORKFLOWS if name not in NOT_AT_ONCE])
def test_example_workflows_run_and_save_a_video(host: Host, info: dict, base: Path, name: str) -> None:
    assert len(videos(run_small(host, info, stored_workflow(name), name))) == 1


def test_sound_is_made_for_a_video_whose_picture_stays(host: Host, info: dict, base: Path) -> None:
    made = []
    for seed in (1, 2):
        stored = stored_workflow("03_sound_for_a_video")
        assert [n["widgets_values"] for n in stored["nodes"] if n["type"] == "KinetophoneEncodeVideo"] == [[True]]
        # The second Sampler.
        [n for n in stored["nodes"] if n["type"] == "KinetophoneSampler"][1]["widgets_values"][0] = seed
        (file,) = videos(run_small(host, info, stored))
        with av.open(str(base / "output" / file["subfolder"] / file["filename"])) as container:
            sounds = [frame.to_ndarray() for frame in container.decode(audio=0)]
        with av.open(str(base / "output" / file["subfolder"] / file["filename"])) as container:
            made.append((np.concatenate(sounds, 1), [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]))
    (first, frames), (second, same) = made
    assert all(np.array_equal(one, other) for one, other in zip(frames, same, strict=True))
    assert np.abs(first).max() > 0.01 and not np.allclose(first, second)


def test_who_speaks_in_the_dialogue_is_seen_talking() -> None:
    (board,) = [node for node in stored_workflow("06_dialogue")["nodes"] if node["type"] == "KinetophoneStoryboard"]
    written = parse(board["widgets_values"][0])
    assert all("robot talks" in shot.caption for shot in written.shots) and not dialogue_notes(written)
    assert {line.speaker for shot in written.shots for line in shot.lines} == {"ROBOT"}


def test_the_workflow_of_a_refused_prompt_stops_and_goes_on_with_a_reason(host: Host, info: dict) -> None:
    stored = stored_workflow("10_refuse_a_prompt")
    with pytest.raises(Failed, match="Stopped by the policy, before anything was made"):
        run_small(host, info, stored)
    set_value(stored, info, "KinetophonePolicy", "override", "it is a test")
    assert len(videos(run_small(host, info, stored))) == 1


def test_the_workflow_that_verifies_a_file_tells_all_of_it(host: Host, info: dict, base: Path) -> None:
    made = videos(run_small(host, info, stored_workflow("08_policy_and_marks")))[0]
    (base / "input").mkdir(exist_ok=True)
    shutil.copy(base / "output" / made["subfolder"] / made["filename"], base / "input" / "video.mp4")
    outputs = host.run(to_api(stored_workflow("09_verify_a_file"), info))
    told = [text for output in outputs.values() for text in output.get("text", [])]
    assert any("whom you trust. Nothing was changed since." in text for text in told)
    # Verify, two keys, and the offset: what they find in noise of half a second is not this test's matter.
    assert len(told) == 4 and not videos(outputs)


def test_shots_of_a_reviewed_screenplay_keep_their_times(host: Host, info: dict) -> None:
    stored = stored_workflow("04_recaption")
    set_value(stored, info, "KinetophoneScreenplayEdit", "text", "0-0.3 a red ball spins\n0.3-0.7 a blue cube at night")
    set_value(stored, info, "KinetophoneScreenplayEdit", "locked", True)
    told = [text for output in run_small(host, info, stored).values() for text in output.get("text", [])]
    (note,) = [text for text in told if text.startswith("0 to 0.3 s: ")]
    assert "\n0.3 to 0.7 s: " in note and "Left out" not in note


def run_small(host: Host, info: dict, stored: dict, name: str = "") -> dict:
    """Run a workflow with the debug model, or the built-in one where it must be that, on a short clip."""
    if name != TURBO:
        set_value(stored, info, "KinetophoneLoader", "card", "debug.safetensors")
    if name == "05_storyboard":
        set_value(stored, info, "KinetophoneStoryboard", "storyboard", "0-0.3 a red ball\n0.3-0.7 a red ball at night")
    elif name == "04_recaption":
        set_value(stored, info, "KinetophoneRecaption", "seconds", 0.7)
    else:
        set_value(stored, info, "KinetophoneEmptyLatent", "seconds", 0.7)
    return host.run(to_api(stored, info), stored)


def videos(outputs: dict) -> list[dict]:
    """The video files that a run saved."""
    files = [item for output in outputs.values() for item in output.get("images", []) if item["type"] == "output"]
    return [item for item in files if item["filename"].endswith(".mp4")]


def test_example_workflows_use_every_node_and_have_a_picture(info: dict) -> None:
    used = {placed.kind for workflow in WORKFLOWS.values() for placed in workflow.nodes.values()}
    assert {kind for kind in info if kind.startswith(OURS)} <= used
    for name in WORKFLOWS:
        assert (ROOT / "example_workflows" / f"{name}.jpg").stat().st_size > 1000


def test_only_the_seed_of_the_sampler_is_drawn_anew_after_a_run(info: dict) -> None:
    """The editor adds a control to what is called seed, unless the node says that there is none."""
    for kind in ("KinetophoneRecaption", "KinetophoneSpeak"):
        assert info[kind]["input"]["required"]["seed"][1]["control_after_generate"] is False
    controlled = {(kind, name) for kind in info for name, control in widgets(info[kind]) if control}
    assert {pair for pair in controlled if pair[0].startswith(OURS)} == {("KinetophoneSampler", "seed")}
    # Nodes of the host that say it, and that leave it open.
    assert {("KSampler", "seed"), ("RandomNoise", "noise_seed"), ("ShuffleDataset", "seed")} <= controlled


@pytest.mark.parametrize(
    ("kind", "stored", "expected"),
    [
        ("KinetophoneRecaption", ["a ball", 2.0, "plain", "natural", 7, "randomize"], {"style": "natural", "seed": 7}),
        ("KinetophoneSpeak", ["ANNA: woman", 1.0, False, 7, "randomize"], {"hurry": False, "seed": 7}),
    ],
)
def test_workflows_with_a_control_that_is_gone_keep_their_values(
    info: dict, kind: str, stored: list, expected: dict
) -> None:
    node = {"id": 1, "type": kind, "inputs": [], "widgets_values": stored}
    inputs = to_api({"nodes": [node], "links": []}, info)["1"]["inputs"]
    assert expected.items() <= inputs.items() and "randomize" not in inputs.values()


def test_unknown_nodes_are_named(info: dict) -> None:
    with pytest.raises(ValueError, match="NoSuchNode"):
        to_api({"nodes": [{"id": 1, "type": "NoSuchNode"}], "links": []}, info)
    with pytest.raises(ValueError, match="no widget"):
        set_value({"nodes": [{"type": "KinetophoneSave", "widgets_values": []}]}, info, "KinetophoneSave", "colour", 1)
