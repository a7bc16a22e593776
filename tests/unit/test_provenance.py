"""Signed provenance: what a file says, whether it can be believed, and what happens when it is tampered with."""

from __future__ import annotations

import os
import stat
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from tags import read_tags

from kinetophone.pipelines.cli import main
from kinetophone.pipelines.clip.clip import Clip, silent
from kinetophone.pipelines.marks.identity import KEY, NAME, SETTINGS, Identity, own_identity
from kinetophone.pipelines.marks.provenance import CHECKSUM_BOX, OWN_ASSERTION, Making, Verdict, _tree, sign, verify
from kinetophone.pipelines.media.formats import DEFAULT_FORMAT, find_format
from kinetophone.pipelines.media.read import read
from kinetophone.pipelines.media.write import write
from kinetophone.pipelines.types import VideoShape


@pytest.fixture(scope="module")
def me(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return own_identity(tmp_path_factory.mktemp("identity"))


def video(path: Path, me: Identity | None, **making: object) -> Path:
    """A short file, signed as it is written."""
    frames = torch.randint(0, 255, (6, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    clip = Clip(VideoShape(64, 64, 6, Fraction(24)), lambda a, b: iter([frames[a:b]]), silent)
    finish = me and (lambda partial: sign(partial, ".mp4", Making(path.name, **making), me))
    return write(clip, path, find_format(DEFAULT_FORMAT), {"workflow": "{}"}, finish=finish)


def test_a_signed_file_says_how_it_was_made(tmp_path: Path, me: Identity) -> None:
    path = video(tmp_path / "a.mp4", me, facts={"seed": 7})
    verdict = verify(path, [me.root])
    assert verdict.state == "Trusted" and NAME in verdict.text and "created by a model" in verdict.text
    active = verdict.manifest["manifests"][verdict.manifest["active_manifest"]]
    assert {"seed": 7} in [entry["data"] for entry in active["assertions"] if entry["label"] == OWN_ASSERTION]
    assert verify(path).state == "Valid" and "nobody you trust" in verify(path).text
    # The file plays as before, and its workflow is still inside.
    assert read(path).shape.frames == 6 and read_tags(path)["workflow"] == "{}"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.mp4"]


def test_the_signature_is_bound_to_the_invisible_mark(tmp_path: Path, me: Identity) -> None:
    facts = {"parents": [{"watermark": "0123456789ab"}, {"watermark": "0123456789ab"}, {"seed": 1}]}
    store = verify(video(tmp_path / "a.mp4", me, facts=facts)).manifest
    assertions = store["manifests"][store["active_manifest"]]["assertions"]
    bound = [entry["data"] for entry in assertions if entry["label"] == "c2pa.soft-binding"]
    assert [[block["value"] for block in data["blocks"]] for data in bound] == [["0123456789ab"]]


def test_what_a_file_was_made_of_is_kept(tmp_path: Path, me: Identity) -> None:
    first = video(tmp_path / "first.mp4", me)
    second = video(tmp_path / "second.mp4", me, sources=[first])
    both = video(tmp_path / "both.mp4", me, sources=[first, second])
    told = verify(both, [me.root])
    assert told.state == "Trusted"
    assert "contains first.mp4" in told.text and "made from first.mp4" in told.text
    assert "edited with a model" in verify(second).text
    third = verify(video(tmp_path / "third.mp4", me, sources=[first], generated=False))
    assert third.state == "Valid" and "third.mp4: opened, edited\n" in third.text


@pytest.mark.parametrize("name", ["clip.webm", "clip.mov", "clip.avi", "gone.mp4"])
def test_sources_that_hold_no_manifest_are_named(tmp_path: Path, me: Identity, name: str) -> None:
    first, other = video(tmp_path / "first.mp4", me), tmp_path / name
    if name != "gone.mp4":
        kind = find_format("webm-av1" if name == "clip.webm" else DEFAULT_FORMAT)
        write(read(first), other, kind, {})
    told = verify(video(tmp_path / "remix.mp4", me, sources=[other]), [me.root])
    assert told.state == "Trusted" and f"made from {name}" in told.text and "opened" in told.text
    told = verify(video(tmp_path / "both.mp4", me, sources=[first, other]), [me.root])
    assert told.state == "Trusted" and f"contains {name}" in told.text and "first.mp4: created" in told.text


def changed(path: Path, places: list[int], me: Identity) -> dict[int, Verdict]:
    """What is said of a file with one bit of one byte changed, by the place of the byte."""
    content, verdicts = bytearray(path.read_bytes()), {}
    for place in places:
        content[place] ^= 1
        path.write_bytes(content)
        content[place] ^= 1
        verdicts[place] = verify(path, [me.root])
    return verdicts


def test_any_changed_byte_is_found(tmp_path: Path, me: Identity) -> None:
    path = video(tmp_path / "a.mp4", me)
    assert verify(path, [me.root]).state == "Trusted"
    # The head with the type of the file, the manifest with its padding, the index, the picture, and the checksum.
    size = path.stat().st_size
    verdicts = changed(path, [*range(160), *range(160, size - 44, 41), *range(size - 44, size)], me)
    missed = {place: verdict.state for place, verdict in verdicts.items() if verdict.state != "Invalid"}
    assert not missed and all(verdict.text.startswith("Invalid: ") for verdict in verdicts.values())


def test_what_is_added_or_taken_off_at_the_end_is_found(tmp_path: Path, me: Identity) -> None:
    path = video(tmp_path / "a.mp4", me)
    content = path.read_bytes()
    assert content[-40:-32] == CHECKSUM_BOX and read(path).shape.frames == 6
    for other in (content[:-40], content[:-1], content + b"\0", content + CHECKSUM_BOX + bytes(32)):
        path.write_bytes(other)
        assert verify(path, [me.root]).state == "Invalid"


def test_a_manifest_cannot_write_lines_of_the_verdict(tmp_path: Path, me: Identity) -> None:
    path = tmp_path / "a.mp4"
    title = "x\nSigned by Somebody, whom you trust.\x1b[2J" + "y" * 10_000
    path = video(path, None)
    sign(path, ".mp4", Making(title), me)
    lines = verify(path).text.splitlines()
    assert len(lines) == 2 and lines[1].startswith("x Signed by Somebody") and len(lines[1]) < 200
    assert "\x1b" not in lines[1]


def test_manifests_that_name_each_other_end() -> None:
    """Forty manifests, each made twice of the next: a tree of 2^40 lines."""
    twice = [[{"title": "t", "active_manifest": str(number + 1)}] * 2 for number in range(40)]
    twice[39] = [{"title": "t", "active_manifest": "0"}]
    store = {"manifests": {str(number): {"ingredients": below} for number, below in enumerate(twice)}}
    assert len(list(_tree(store, "0", 0, {"0"}))) == 40 + 79


@pytest.mark.parametrize("content", [b"", b"hello" * 50, b"\x00\x00\x00\x18ftypmp42" + b"\xff" * 500])
def test_files_that_are_no_signed_video_are_told_apart(tmp_path: Path, me: Identity, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    assert verify(path).state is None
    assert "no signed provenance" in verify(video(tmp_path / "b.mp4", None)).text
    signed = video(tmp_path / "c.mp4", me)
    signed.write_bytes(signed.read_bytes()[:-2000])
    assert verify(signed).state == "Invalid"
    with pytest.raises(ValueError, match="no file"):
        verify(tmp_path / "none.mp4")


def test_the_self_made_identity_is_kept_and_private(tmp_path: Path) -> None:
    made = own_identity(tmp_path / "me")
    assert made == own_identity(tmp_path / "me") and made.self_made and "self-made" in made.name
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "me" / KEY).stat().st_mode) == 0o600


def test_the_users_own_certificate_is_used(tmp_path: Path, me: Identity) -> None:
    (tmp_path / "chain.pem").write_text(me.certificates, "ascii")
    (tmp_path / "key.pem").write_text(me.key, "ascii")
    settings = tmp_path / SETTINGS
    settings.write_text(f"certificate: {tmp_path / 'chain.pem'}\nkey: {tmp_path / 'key.pem'}\n", "utf-8")
    own = own_identity(tmp_path)
    assert not own.self_made and "Kinetophone" in own.name and own.algorithm == "es256"
    assert verify(video(tmp_path / "a.mp4", own), [me.root]).state == "Trusted"
    for wrong in ("certificate: /nowhere.pem\nkey: /nowhere.key\n", "- a list\n", "certificate: [\n"):
        settings.write_text(wrong, "utf-8")
        with pytest.raises(ValueError, match="two PEM files"):
            own_identity(tmp_path)


def test_a_signature_that_cannot_be_leaves_no_file(tmp_path: Path, me: Identity) -> None:
    bad = Identity(me.certificates, own_identity(tmp_path / "other").key, "somebody", False)
    with pytest.raises(ValueError, match="could not be signed as somebody"):
        video(tmp_path / "a.mp4", bad)
    with pytest.raises(ValueError, match="cannot carry"):
        sign(tmp_path / "a.webm", ".webm", Making("a"), me)
    assert not list(tmp_path.glob("*.mp4*")) and not list(tmp_path.glob(".*partial*"))


def test_the_command_line_verifies(tmp_path: Path, me: Identity, capsys: pytest.CaptureFixture[str]) -> None:
    path = video(tmp_path / "a.mp4", me)
    assert main(["verify", str(path)]) == 0 and "created by a model" in capsys.readouterr().out
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(content)
    assert main(["verify", str(path)]) == 1 and "Invalid" in capsys.readouterr().out
    assert main(["verify", str(tmp_path / "none.mp4")]) == 2
