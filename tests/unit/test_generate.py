from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from tags import read_tags

from kinetophone.pipelines import cli, world
from kinetophone.pipelines.clip.stages import cover
from kinetophone.pipelines.generate import Pictures, Request, generate, sample
from kinetophone.pipelines.media.picture import read_picture
from kinetophone.pipelines.media.read import read
from kinetophone.pipelines.sampling.guidance import Guidance
from kinetophone.pipelines.text.reading import split
from kinetophone.pipelines.weights.card import DEFAULT_CARD, read_card
from kinetophone.pipelines.weights.checkpoint import published_words, read_checkpoint, save_checkpoint
from kinetophone.pipelines.weights.load import load_models

REQUEST = Request("a red ball bounces", 128, 64, 0.5, seed=3, steps=3)


@pytest.fixture(scope="module")
def models(checkpoint: Path):
    return load_models(checkpoint)


def pixels(clip) -> torch.Tensor:
    return torch.cat(list(clip.frames()))


def test_a_prompt_becomes_a_clip_with_sound_of_the_same_length(models) -> None:
    steps = []
    clip = generate(REQUEST, models, lambda step, total: steps.append((step, total)))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert (clip.shape.width, clip.shape.height, clip.shape.frames) == (128, 64, 17)
    assert pixels(clip).shape == (17, 64, 128, 3)
    assert clip.sound is not None and clip.sound.waveform.shape == (1, 17000)
    assert clip.lineage["prompt"] == REQUEST.prompt and clip.lineage["weights"] == models.digest


def test_the_same_seed_is_the_same_video_and_everything_else_changes_it(models) -> None:
    first = pixels(generate(REQUEST, models))
    assert torch.equal(first, pixels(generate(REQUEST, models)))
    for change in ({"seed": 4}, {"prompt": "snow at night"}, {"steps": 5}, {"guidance": Guidance(5.0, 5.0)}):
        assert not torch.equal(first, pixels(generate(replace(REQUEST, **change), models))), change


def test_frames_can_be_read_twice_and_from_the_middle(models) -> None:
    clip = generate(REQUEST, models)
    whole = pixels(clip)
    assert torch.equal(whole, pixels(clip))
    assert torch.equal(torch.cat(list(clip.frames(7, 12))), whole[7:12])
    assert not torch.is_inference_mode_enabled()


def test_the_command_writes_a_file_that_says_how_it_was_made(checkpoint: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "a.mp4"
    code = cli.main(
        [
            "a red zebra",
            "-o",
            str(out),
            "--weights",
            str(checkpoint),
            "--seconds",
            "0.4",
            "--size",
            "130x64",
            "--steps",
            "2",
        ]
    )
    streams = capsys.readouterr()
    assert code == 0 and streams.out.strip() == str(out)
    assert "130 x 64" in streams.err and "zebra" in streams.err
    assert read(out).shape.width == 128
    assert '"prompt": "a red zebra"' in read_tags(out)["kinetophone"]


def test_the_command_marks_and_signs_what_it_makes(checkpoint: Path, tmp_path: Path, capsys) -> None:
    def made(name: str, *more: str) -> Path:
        arguments = ["a red ball", "-o", str(tmp_path / name), "--weights", str(checkpoint), "--seconds", "0.1"]
        assert cli.main([*arguments, "--size", "128x64", "--steps", "1", *more]) == 0
        return tmp_path / name

    signed = made("a.mp4", "--identity", str(tmp_path / "me"))
    plain = made("b.mp4", "--badge", "", "--disclosure", "none")
    assert "artificial intelligence" in read_tags(signed)["comment"] and "comment" not in read_tags(plain)
    assert (pixels(read(signed))[0].int() - pixels(read(plain))[0].int()).abs().max() > 40
    capsys.readouterr()
    assert cli.main(["verify", str(signed)]) == 0
    assert "Signed by Kinetophone, self-made identity" in capsys.readouterr().out
    assert cli.main(["verify", str(plain)]) == 0
    assert "no signed provenance" in capsys.readouterr().out


def test_a_storyboard_gives_the_length_and_changes_what_is_seen(checkpoint: Path, tmp_path: Path, capsys) -> None:
    def made(board: str) -> torch.Tensor:
        (tmp_path / "shots.txt").write_text(board)
        out = tmp_path / "a.mp4"
        arguments = ["--storyboard", str(tmp_path / "shots.txt"), "-o", str(out), "--weights", str(checkpoint)]
        assert cli.main([*arguments, "--size", "128x64", "--steps", "2"]) == 0
        return pixels(read(out))

    first = made("0-1 a red ball\n1-2 a red ball at night")
    assert len(first) == 49
    assert not torch.equal(first, made("0-1 a red ball\n1-2 snow falls on a cone"))


@pytest.mark.parametrize(("seconds", "told"), [("0.1", "leave out"), ("1", ""), ("4", ""), ("5", "lose its thread")])
def test_a_length_that_the_model_was_not_trained_on_is_told(
    models, checkpoint: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch, seconds: str, told: str
) -> None:
    arguments = ["a red ball", "--seconds", seconds, "--size", "128x64", "--steps", "1", "-o", str(tmp_path / "a.mp4")]
    monkeypatch.setattr("kinetophone.pipelines.weights.load.load_models", lambda *_, **__: models)
    assert cli.main(arguments) == 0
    warned = [line for line in capsys.readouterr().err.splitlines() if "was trained on 1 to 4.1 s" in line]
    assert len(warned) == bool(told) and all(told in line for line in warned)
    # What other weights were trained on is not known.
    assert cli.main([*arguments, "--weights", str(checkpoint)]) == 0
    assert "was trained on" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["  "], "prompt is empty"),
        ([], "prompt is empty"),
        (["--storyboard", "no.txt"], "cannot be read"),
        (["x", "--storyboard", "no.txt"], "not both"),
        (["x", "--card", "maxi"], "no model card"),
        (["x", "--weights", "no.safetensors"], "no such file"),
        (["x", "-o", "no/such/folder/a.mp4"], "does not exist"),
        (["x", "--size", "big"], "WIDTHxHEIGHT"),
        (["x", "--size", "0x0"], "between 1 and"),
        (["x", "--seconds", "-3"], "more than 0"),
        (["x", "--seconds", "1e9"], "at most"),
        (["x", "--seed", "9" * 23], "between -9223372036854775808 and 18446744073709551615"),
        (["x", "--seed", str(-(2**63) - 1)], "between -9223372036854775808"),
        (["x", "--steps", "-1"], "at least 1 step"),
        (["x", "--steps", "0"], "at least 1 step"),
        (["x", "--guidance", "-1"], "must be 0 or more"),
        (["x", "--guidance", "nan"], "must be 0 or more"),
        (["x", "-o", "."], "is no file"),
        (["x", "-o", "a"], "Name it a.mp4"),
        (["x", "-o", "a.webm"], "Name it a.mp4"),
        (["x", "--badge", "x" * 61], "1 to 60"),
        (["x", "--size", "64x64", "--badge", "x" * 60], "does not fit"),
        (["x", "--format", "webm-av1", "-o", "a.webm", "--identity", "me"], "cannot carry"),
    ],
)
def test_bad_requests_are_one_clear_line(
    checkpoint: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch, arguments, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    weights = [] if {"--weights", "--card"} & set(arguments) else ["--weights", str(checkpoint)]
    out = [] if "-o" in arguments else ["-o", str(tmp_path / "a.mp4")]
    assert cli.main([*arguments, *weights, *out]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    # A file that cannot be written must not cost the time of sampling.
    assert "sampling" not in error or "-o" not in arguments
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["verify", "fingerprint"])
def test_a_command_without_its_file_says_what_is_missing(command: str, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main([command])
    assert f"kinetophone {command}: error: the following arguments are required: FILE" in capsys.readouterr().err


@pytest.mark.parametrize("seed", [-(2**63), 2**64 - 1])
def test_the_first_and_the_last_seed_make_a_video(checkpoint: Path, tmp_path: Path, seed: int) -> None:
    arguments = ["a red ball", "--weights", str(checkpoint), "--seconds", "0.1", "--size", "128x64", "--steps", "1"]
    assert cli.main([*arguments, "--seed", str(seed), "-o", str(tmp_path / "a.mp4")]) == 0


def test_a_file_that_nobody_named_is_not_replaced(
    checkpoint: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["a red ball", "--weights", str(checkpoint), "--seconds", "0.1", "--size", "128x64", "--steps", "1"]
    Path("kinetophone.mp4").write_bytes(b"mine")
    assert cli.main(arguments) == cli.main(arguments) == 0
    assert cli.main([*arguments, "--format", "webm-av1"]) == 0
    made = ["kinetophone.mp4", "kinetophone.webm", "kinetophone_00002.mp4", "kinetophone_00003.mp4"]
    assert sorted(path.name for path in tmp_path.iterdir()) == made
    assert Path("kinetophone.mp4").read_bytes() == b"mine"
    assert capsys.readouterr().out.split()[-1] == str(tmp_path / "kinetophone.webm")
    assert cli.main([*arguments, "-o", "kinetophone.mp4"]) == 0
    assert read(Path("kinetophone.mp4")).shape.width == 128


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_file_is_not_replaced(checkpoint: Path, tmp_path: Path, capsys) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    assert cli.main(["a red ball", "--weights", str(checkpoint), "-o", str(tmp_path / "a.mp4")]) == 2
    assert "is no file" in capsys.readouterr().err and (tmp_path / "a.mp4").is_fifo()


def test_a_folder_that_takes_no_files_is_found_out_before_sampling(
    checkpoint: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(cli.tempfile, "TemporaryFile", refused)
    assert cli.main(["a red ball", "--weights", str(checkpoint), "-o", str(tmp_path / "a.mp4")]) == 2
    error = capsys.readouterr().err
    assert "Nothing can be written" in error and "sampling" not in error


def test_no_guidance_is_not_the_guidance_of_the_card(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.mp4"
    arguments = ["a red ball", "--weights", str(checkpoint), "--seconds", "0.1", "--size", "128x64", "--steps", "1"]
    assert cli.main([*arguments, "-o", str(out), "--guidance", "0"]) == 0
    made = json.loads(read_tags(out)["kinetophone"])
    assert made["guidance"]["video"] == made["guidance"]["audio"] == 0 and made["steps"] == 1


def test_a_file_that_cannot_be_written_in_the_end_is_one_clear_line(
    checkpoint: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "a.mp4")

    monkeypatch.setattr("kinetophone.pipelines.media.write.write", refused)
    arguments = ["a red ball", "--weights", str(checkpoint), "--seconds", "0.1", "--size", "128x64", "--steps", "1"]
    assert cli.main([*arguments, "-o", str(tmp_path / "a.mp4")]) == 2
    assert "cannot be used: [Errno 13] Permission denied: 'a.mp4'." in capsys.readouterr().err


def test_the_vocabulary_lists_every_word_that_the_model_was_trained_on(capsys) -> None:
    assert cli.main(["vocabulary"]) == 0
    printed = capsys.readouterr().out
    assert "colour: red (crimson, scarlet), orange" in printed and "ball: " in printed
    trained = published_words(read_card(DEFAULT_CARD).path)
    grammar_only = set(world.caption.GLUE.split())
    assert {word for word in trained if word.isalpha()} - grammar_only <= set(split(printed))


def test_the_vocabulary_leaves_out_what_weights_were_not_trained_on(checkpoint: Path, tmp_path: Path) -> None:
    kept = read_checkpoint(checkpoint)
    fewer, everything = tmp_path / "fewer.safetensors", cli.vocabulary_text(checkpoint)
    words = tuple(word for word in kept.words if word != "robot")
    save_checkpoint(fewer, kept.config, words, kept.tensors, licence="none", metrics={})
    assert "robot" in everything and "red" in cli.vocabulary_text(fewer) and "robot" not in cli.vocabulary_text(fewer)
    known = {word for word in world.vocabulary() if word.isalpha()} - set(world.caption.GLUE.split())
    assert known <= set(split(everything))
    with pytest.raises(ValueError, match="no such file"):
        cli.vocabulary_text(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--help"], 0, "kinetophone vocabulary"),
        (["vocabulary"], 0, "colour: red"),
        (["verify", "a.mp4"], 2, "kinetophone: "),
    ],
)
def test_the_command_starts_without_the_packages_that_it_does_not_need(arguments, code: int, told: str) -> None:
    missing = {"torchaudio": None, "av": None, "PIL": None, "tqdm": None}
    start = f"import sys; sys.modules.update({missing}); from kinetophone.__main__ import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", start, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == code and told in done.stdout + done.stderr and "Traceback" not in done.stderr


def test_the_command_ends_quietly_where_who_reads_has_read_enough() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "kinetophone", "vocabulary"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def picture(path: Path, width: int, height: int) -> Path:
    """A file with a picture of random colours."""
    pixels = torch.randint(0, 256, (height, width, 3), generator=torch.Generator().manual_seed(width)).byte()
    Image.fromarray(pixels.numpy()).save(path)
    return path


def test_a_video_begins_and_ends_with_the_pictures_that_are_given(checkpoint: Path, tmp_path: Path) -> None:
    models = load_models(checkpoint)
    files = [picture(tmp_path / name, 128, 64) for name in ("a.png", "b.png")]
    first, last = (read_picture(path) for path in files)
    request = Request("a red ball", 128, 64, 1.0, steps=2)
    made = sample(request, models, request.plan(models.config).shape, pictures=Pictures(first, last))
    alone = sample(request, models, request.plan(models.config).shape)
    still = (first.movedim(-1, 1).float() / 127.5 - 1)[:, :, None]
    assert torch.allclose(made.video[:, :, :1], models.video.encode(still), atol=1e-5)
    standing = (last.movedim(-1, 1).float() / 127.5 - 1)[:, :, None].expand(-1, -1, 9, -1, -1)
    assert torch.allclose(made.video[:, :, -1], models.video.encode(standing)[:, :, -1], atol=1e-5)
    # All between sees them.
    assert (made.video[:, :, 1:-1] - alone.video[:, :, 1:-1]).abs().mean() > 1e-4
    with pytest.raises(ValueError, match="all of it is given"):
        generate(replace(request, seconds=0.04), models, pictures=Pictures(first))


def test_the_command_takes_pictures_of_any_size(checkpoint: Path, tmp_path: Path, capsys) -> None:
    out, given = tmp_path / "a.mp4", picture(tmp_path / "wide.jpg", 300, 100)
    arguments = ["a red ball", "--weights", str(checkpoint), "--seconds", "0.5", "--size", "128x64", "--steps", "1"]
    assert cli.main([*arguments, "-o", str(out), "--first", str(given)]) == 0 and out.is_file()
    text = tmp_path / "text.png"
    text.write_text("no picture", "utf-8")
    for path, told in ((tmp_path / "none.png", "There is no file"), (text, "text.png is no picture that can be read")):
        assert cli.main([*arguments, "-o", str(tmp_path / "b.mp4"), "--last", str(path)]) == 2
        assert told in capsys.readouterr().err and not (tmp_path / "b.mp4").exists()


@pytest.mark.parametrize(("width", "height"), [(300, 100), (64, 200), (128, 64), (1000, 501)])
def test_the_middle_of_a_picture_covers_a_video(width: int, height: int) -> None:
    across = torch.linspace(0, 200, width).round().byte()
    made = cover(across.expand(1, height, -1)[..., None].repeat(1, 1, 1, 3), 128, 64)
    assert made.shape == (1, 64, 128, 3)
    assert abs(made[0, :, 63:65].float().mean() - 100) < 2
    assert (made[0, 0, -1, 0] > 195) == (width / height <= 2)
