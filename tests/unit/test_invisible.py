"""Invisible marks: they survive what happens to videos, cannot be seen or heard, and are never found where none is."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from kinetophone.pipelines import cli
from kinetophone.pipelines.clip.clip import Clip, Sound, silent
from kinetophone.pipelines.clip.sound import resampled
from kinetophone.pipelines.clip.stages import scale, trim
from kinetophone.pipelines.marks.detect import detect
from kinetophone.pipelines.marks.invisible import invisibly_marked
from kinetophone.pipelines.marks.payload import CODED_BITS, decode, encode, payload_of, shown
from kinetophone.pipelines.media.formats import find_format
from kinetophone.pipelines.media.read import read
from kinetophone.pipelines.media.write import write
from kinetophone.pipelines.types import VideoShape

KEY, PAYLOAD = "a key of ours", 0x1234567890AB
RATE = 48_000


def textured(frames: int = 24, height: int = 360, width: int = 640, sound: Sound | None = None) -> Clip:
    """Blurred noise that pans over the picture: structure at all sizes, as in photographs."""
    draw = torch.Generator().manual_seed(0)
    sizes = (5, 12, 30, 80, 200)
    layers = [F.interpolate(torch.randn(1, 3, n, n, generator=draw), (height, width + frames)) for n in sizes]
    scene = (128 + sum(layer * 60 / 2.5**depth for depth, layer in enumerate(layers))).clamp(0, 255)[0]

    def source(start: int, stop: int) -> Iterator[Tensor]:
        for index in range(start, stop):
            yield scene[:, :, index : index + width].movedim(0, -1)[None].round().to(torch.uint8)

    return Clip(VideoShape(width, height, frames, Fraction(24)), source, lambda: sound)


def tones(seconds: float) -> Sound:
    """A steady chord, in which no noise hides."""
    time = torch.arange(round(seconds * RATE)) / RATE
    return Sound(sum(0.1 * torch.sin(2 * math.pi * pitch * time) for pitch in (220.0, 277.2, 329.6))[None], RATE)


def cropped(clip: Clip, share: float) -> Clip:
    height, width = round(clip.shape.height * share) // 2 * 2, round(clip.shape.width * share) // 2 * 2

    def source(start: int, stop: int) -> Iterator[Tensor]:
        for chunk in clip.frames(start, stop):
            yield chunk[:, 11 : 11 + height, 23 : 23 + width]

    return replace(clip, shape=replace(clip.shape, width=width, height=height), source=source)


def scaled(clip: Clip, width: int, height: int) -> Clip:
    def source(start: int, stop: int) -> Iterator[Tensor]:
        for chunk in clip.frames(start, stop):
            yield scale(chunk, width, height)

    return replace(clip, shape=replace(clip.shape, width=width, height=height), source=source)


def joined(*clips: Clip) -> Clip:
    """Clips of one length, one after the other."""
    frames = clips[0].shape.frames

    def source(start: int, stop: int) -> Iterator[Tensor]:
        for index, clip in enumerate(clips):
            yield from clip.frames(max(0, start - index * frames), stop - index * frames)

    return replace(clips[0], shape=replace(clips[0].shape, frames=len(clips) * frames), source=source)


def through_a_file(clip: Clip, folder: Path, kind: str = "mp4-h264", quality: str = "standard") -> Clip:
    return read(write(clip, folder / f"through.{find_format(kind).extension}", find_format(kind), {}, quality=quality))


def test_a_payload_comes_back_from_noise_and_only_with_its_key() -> None:
    draw = torch.Generator().manual_seed(0)
    noisy = encode(PAYLOAD, KEY) + torch.randn(CODED_BITS, generator=draw)
    assert (noisy < 0).ne(encode(PAYLOAD, KEY) < 0).sum() > 20
    assert decode(noisy, KEY) == PAYLOAD
    assert decode(noisy, "another key") is None
    assert all(decode(torch.randn(CODED_BITS, generator=draw), KEY) is None for _ in range(100))


def test_a_text_becomes_a_payload() -> None:
    assert shown(payload_of("1234567890AB")) == "1234567890ab"
    assert payload_of("a text") == payload_of(" a text ") != payload_of("another")
    with pytest.raises(ValueError, match="twelve hexadecimal digits"):
        payload_of("  ")


def test_the_mark_is_found_and_hardly_changes_the_picture() -> None:
    clip = textured()
    marked = invisibly_marked(clip, PAYLOAD, KEY)
    error = (torch.cat(list(marked.frames())).float() - torch.cat(list(clip.frames())).float()).square().mean()
    assert 10 * math.log10(255**2 / error) > 42
    (mark,) = detect(marked, KEY).picture
    assert (mark.payload, mark.start, mark.end, len(mark.parts)) == (shown(PAYLOAD), 0.0, 1.0, 9)


def test_a_mark_is_read_in_a_picture_of_stripes_that_stands_still() -> None:
    plain = textured()
    draw = torch.Generator().manual_seed(1)
    stripes = 45 * torch.randn(plain.shape.height, 1, 1, generator=draw)

    def source(start: int, stop: int) -> Iterator[Tensor]:
        for chunk in plain.frames(start, stop):
            yield (chunk.float() / 2 + 64 + stripes).clamp(0, 255).round().to(torch.uint8)

    marked = invisibly_marked(replace(plain, source=source), PAYLOAD, KEY)
    assert detect(marked, KEY).payloads == (shown(PAYLOAD),)


def test_nothing_is_found_without_a_mark_or_with_another_key() -> None:
    clip = textured(sound=tones(1))
    assert detect(clip, KEY).payloads == ()
    assert detect(invisibly_marked(clip, PAYLOAD, KEY), "another key").payloads == ()
    assert "says nothing about where" in detect(clip, KEY).report()


@pytest.mark.parametrize("change", ["compressed", "half", "cropped", "cropped and scaled", "cut"])
def test_the_picture_s_mark_survives(change: str, tmp_path: Path) -> None:
    marked = invisibly_marked(textured(48), PAYLOAD, KEY)
    changed = {
        "compressed": lambda: through_a_file(marked, tmp_path, quality="small"),
        "half": lambda: through_a_file(scaled(marked, 320, 180), tmp_path),
        "cropped": lambda: cropped(marked, 0.8),
        "cropped and scaled": lambda: through_a_file(scaled(cropped(marked, 0.8), 640, 360), tmp_path),
        "cut": lambda: through_a_file(trim(marked, 20, 12), tmp_path),
    }[change]()
    assert detect(changed, KEY).payloads == (shown(PAYLOAD),)


@pytest.mark.parametrize("change", ["compressed", "resampled", "cut"])
def test_the_sound_s_mark_survives_even_in_steady_tones(change: str, tmp_path: Path) -> None:
    clip = textured(96, 96, 96, tones(4))
    marked = invisibly_marked(clip, PAYLOAD, KEY, "sound")
    assert marked.sound and clip.sound
    added = (marked.sound.waveform - clip.sound.waveform).square().mean() / clip.sound.waveform.square().mean()
    assert 10 * math.log10(added) < -20
    lower = resampled(marked.sound, 22_050)
    changed = {
        "compressed": lambda: through_a_file(marked, tmp_path),
        "resampled": lambda: replace(marked, voice=lambda: lower),
        "cut": lambda: trim(marked, 17, 60),
    }[change]()
    found = detect(changed, KEY)
    assert found.picture == () and [mark.payload for mark in found.sound] == [shown(PAYLOAD)]


def test_it_says_which_part_of_the_time_and_of_the_picture_is_marked() -> None:
    clip = textured(48)
    three = joined(clip, invisibly_marked(clip, PAYLOAD, KEY), invisibly_marked(clip, 7, KEY))
    spans = {mark.payload: (mark.start, mark.end) for mark in detect(three, KEY).picture}
    assert spans == {shown(PAYLOAD): (2.0, 4.0), shown(7): (4.0, 6.0)}
    marked = invisibly_marked(clip, PAYLOAD, KEY)

    def half(start: int, stop: int) -> Iterator[Tensor]:
        for plain, changed in zip(clip.frames(start, stop), marked.frames(start, stop), strict=True):
            yield torch.cat((changed[:, :, :320], plain[:, :, 320:]), 2)

    (mark,) = detect(replace(clip, source=half), KEY).picture
    assert {"top left", "left", "bottom left"} <= set(mark.parts) and "right" not in mark.parts


def test_marking_is_lazy_and_told() -> None:
    def source(start: int, stop: int) -> Iterator[Tensor]:
        raise AssertionError("nothing may be read yet")

    clip = Clip(VideoShape(320, 180, 10, Fraction(24)), source, silent)
    marked = invisibly_marked(clip, PAYLOAD, KEY)
    assert marked.lineage["watermark"] == shown(PAYLOAD) and marked.sound is None
    with pytest.raises(ValueError, match="too small"):
        invisibly_marked(replace(clip, shape=replace(clip.shape, height=60)), PAYLOAD, KEY)
    with pytest.raises(ValueError, match="cannot go into"):
        invisibly_marked(clip, PAYLOAD, KEY, "subtitles")


def test_only_what_can_be_marked_is_told() -> None:
    with pytest.raises(ValueError, match="has no sound"):
        invisibly_marked(textured(), PAYLOAD, KEY, "sound")
    heard = invisibly_marked(textured(48, sound=tones(2)), PAYLOAD, KEY, "sound")
    assert heard.lineage["watermark"] == shown(PAYLOAD)
    assert not torch.equal(heard.sound.waveform, tones(2).waveform)


def test_verify_on_the_command_line_finds_the_mark_where_nothing_is_signed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marked = invisibly_marked(textured(sound=tones(1)), PAYLOAD, "kinetophone")
    path = write(marked, tmp_path / "marked.mp4", find_format("mp4-h264"), {})
    assert cli.main(["verify", str(path)]) == 0
    told = capsys.readouterr().out
    assert "no signed provenance" in told and shown(PAYLOAD) in told


def test_verify_finds_the_mark_also_where_no_signature_can_be_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    path = write(invisibly_marked(textured(), PAYLOAD, "kinetophone"), tmp_path / "a.mp4", find_format("mp4-h264"), {})
    assert cli.main(["verify", str(path)]) == 0
    told = capsys.readouterr().out
    assert "Signatures were not looked at" in told and "c2pa-python" in told and shown(PAYLOAD) in told
    assert cli.main(["verify", str(tmp_path / "none.mp4")]) == 2
