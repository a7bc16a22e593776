from __future__ import annotations

import io
import json
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from tags import read_tags

from kinetophone.pipelines.clip.clip import Clip, Sound, silent
from kinetophone.pipelines.clip.stages import trim
from kinetophone.pipelines.clock import samples_of
from kinetophone.pipelines.media.formats import DEFAULT_FORMAT, find_format, formats, parse_format
from kinetophone.pipelines.media.read import read
from kinetophone.pipelines.media.write import write, write_to
from kinetophone.pipelines.types import VideoShape

H264 = find_format(DEFAULT_FORMAT)
FLASH = 12


def flash_and_click(
    frames: int = 25,
    width: int = 64,
    height: int = 64,
    fps: Fraction = Fraction(24),
    rate: int = 24000,
    channels: int = 1,
) -> Clip:
    """A red clip with one white frame, and a click at the start of that frame."""

    def source(start: int, stop: int) -> Iterator[torch.Tensor]:
        for index in range(start, stop):
            colour = (255, 255, 255) if index == FLASH else (200, 30, 60)
            yield torch.tensor(colour, dtype=torch.uint8).expand(1, height, width, 3)

    def voice() -> Sound:
        wave = torch.zeros(channels, samples_of(frames, fps, rate))
        wave[:, samples_of(FLASH, fps, rate)] = 0.9
        return Sound(wave, rate)

    return Clip(VideoShape(width, height, frames, fps), source, voice, {"seed": 1})


def pixels(clip: Clip, *span: int) -> torch.Tensor:
    return torch.cat(list(clip.frames(*span)))


@pytest.mark.parametrize("name", list(formats()))
def test_every_format_reads_back_as_written(tmp_path: Path, name: str) -> None:
    kind = find_format(name)
    path = write(flash_and_click(), tmp_path / f"a.{kind.extension}", kind, {"workflow": json.dumps({"nodes": []})})
    again = read(path)
    frames = pixels(again)
    assert again.shape == VideoShape(64, 64, 25, Fraction(24))
    assert (frames[0].float().mean((0, 1)) - torch.tensor([200.0, 30, 60])).abs().max() < 5
    assert int(frames.float().mean((1, 2, 3)).argmax()) == FLASH
    sound = again.sound
    assert sound is not None and sound.waveform.shape[1] == samples_of(25, Fraction(24), sound.rate)
    assert abs(int(sound.waveform[0].abs().argmax()) / sound.rate - FLASH / 24) < 0.001
    assert json.loads(read_tags(path)["workflow"]) == {"nodes": []}


@pytest.mark.parametrize("name", ["mp4-h264", "mp4-hevc"])
def test_a_picture_that_nothing_was_done_to_is_not_coded_again(tmp_path: Path, name: str) -> None:
    kind = find_format(name)
    first = read(write(flash_and_click(37), tmp_path / f"first.{kind.extension}", kind, {}))
    sound = first.sound
    assert sound is not None
    late = replace(sound, waveform=torch.nn.functional.pad(sound.waveform, (sound.rate // 2, 0)))
    seen: list[int] = []
    moved = replace(first, voice=lambda: late)
    second = read(
        write(moved, tmp_path / f"second.{kind.extension}", kind, {}, on_frame=lambda done, total: seen.append(done))
    )
    assert seen == list(range(1, 38)) and second.shape == first.shape
    assert torch.equal(pixels(second), pixels(first))
    assert second.sound is not None
    assert abs(int(second.sound.waveform[0].abs().argmax()) / sound.rate - FLASH / 24 - 0.5) < 0.001
    smaller = read(write(moved, tmp_path / f"small.{kind.extension}", kind, {}, quality="small"))
    assert not torch.equal(pixels(smaller), pixels(first))
    shorter = read(write(trim(first, 3, 30), tmp_path / f"short.{kind.extension}", kind, {}))
    assert int(pixels(shorter).float().mean((1, 2, 3)).argmax()) == FLASH - 3


def corners(frames: int = 5, width: int = 128, height: int = 64) -> Clip:
    """A black clip with a red left top and a blue right top, without sound."""
    picture = torch.zeros(height, width, 3, dtype=torch.uint8)
    picture[: height // 2, : width // 2, 0] = picture[: height // 2, width // 2 :, 2] = 200
    shape = VideoShape(width, height, frames, Fraction(24))
    return Clip(shape, lambda start, stop: iter([picture.expand(stop - start, -1, -1, -1)]), silent)


def held(path: Path, *matrix: int) -> Path:
    """The file with another display matrix (a, b, c, d) in the header of its first track."""
    data = bytearray(path.read_bytes())
    place = data.find(b"tkhd") + 44
    a, b, c, d = (step << 16 for step in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


UPRIGHT: dict[str, tuple[tuple[int, int, int, int], Callable[[torch.Tensor], torch.Tensor]]] = {
    "as stored": ((1, 0, 0, 1), lambda frame: frame),
    "a quarter turn to the left": ((0, -1, 1, 0), lambda frame: frame.rot90(1)),
    "upside down": ((-1, 0, 0, -1), lambda frame: frame.rot90(2)),
    "a quarter turn to the right": ((0, 1, -1, 0), lambda frame: frame.rot90(3)),
    "in a mirror": ((-1, 0, 0, 1), lambda frame: frame.flip(1)),
    "turned in a mirror": ((0, 1, 1, 0), lambda frame: frame.transpose(0, 1)),
}


@pytest.mark.parametrize("name", ["mp4-h264", "mp4-hevc", "mp4-av1"])
@pytest.mark.parametrize("turn", list(UPRIGHT))
def test_a_video_is_read_as_the_phone_was_held(tmp_path: Path, turn: str, name: str) -> None:
    how, upright = UPRIGHT[turn]
    kind = find_format(name)
    clip = read(held(write(corners(), tmp_path / "phone.mp4", kind, {}), *how))
    wanted = upright(pixels(corners(1))[0]).float()

    def assert_upright(made: Clip) -> None:
        assert (made.shape.height, made.shape.width) == wanted.shape[:2]
        assert all((frame.float() - wanted).abs().mean() < 8 for frame in pixels(made))

    assert_upright(clip)
    # A coded picture is copied with its matrix, and one that is coded again has none: both are shown upright.
    for made, turned in ((clip, name != "mp4-av1" and turn != "as stored"), (trim(clip, 1, 3), False)):
        path = write(made, tmp_path / "made.mp4", kind, {})
        assert_upright(read(path))
        with av.open(str(path)) as container:
            matrix = next(container.decode(video=0)).side_data.get("DISPLAYMATRIX")
            assert (matrix is not None) == turned


def test_another_format_codes_the_picture_again(tmp_path: Path) -> None:
    first = read(write(flash_and_click(), tmp_path / "first.mp4", H264, {}))
    path = write(first, tmp_path / "second.mp4", find_format("mp4-hevc"), {})
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "hevc"


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(30000, 1001), Fraction(60)])
@pytest.mark.parametrize("rate", [24000, 44100, 48000])
def test_length_of_sound_is_exact_in_the_file(tmp_path: Path, fps: Fraction, rate: int) -> None:
    path = write(flash_and_click(37, fps=fps, rate=rate), tmp_path / "a.mp4", H264, {})
    with av.open(str(path)) as container:
        audio, video = container.streams.audio[0], container.streams.video[0]
        assert video.frames == 37 and video.average_rate == fps
        assert float(audio.duration * audio.time_base) == pytest.approx(float(37 / fps), abs=1.5 / 1000)
        assert float(video.duration * video.time_base) == pytest.approx(float(37 / fps), abs=1e-4)


def test_colours_are_tagged_and_index_comes_first(tmp_path: Path) -> None:
    path = write(flash_and_click(), tmp_path / "a.mp4", H264, {})
    data = path.read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)


def test_sound_is_interleaved_with_the_picture(tmp_path: Path) -> None:
    path = write(flash_and_click(97), tmp_path / "a.mp4", H264, {})
    with av.open(str(path)) as container:
        ends = {"video": 0.0, "audio": 0.0}
        for packet in container.demux():
            if packet.dts is not None and packet.size:
                ends[packet.stream.type] = float(packet.dts * packet.time_base)
                assert abs(ends["video"] - ends["audio"]) < 1.5


def test_stereo_odd_sizes_and_silence(tmp_path: Path) -> None:
    stereo = read(write(flash_and_click(channels=2), tmp_path / "s.mp4", H264, {})).sound
    assert stereo is not None and len(stereo.waveform) == 2
    odd = read(write(flash_and_click(width=63, height=65), tmp_path / "o.mp4", H264, {}))
    assert (odd.shape.width, odd.shape.height) == (64, 66)
    mute = flash_and_click()
    assert read(write(Clip(mute.shape, mute.source, silent), tmp_path / "m.mp4", H264, {})).sound is None


def test_a_file_object_can_be_written(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    write_to(flash_and_click(), buffer, H264, {})
    (tmp_path / "a.mp4").write_bytes(buffer.getvalue())
    assert read(tmp_path / "a.mp4").shape.frames == 25


class Interrupt(BaseException):
    """The host's interrupt is not an Exception in newer versions."""


def test_an_interrupt_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    target.write_bytes(b"precious")
    seen = []

    def stop(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 5:
            raise Interrupt

    with pytest.raises(Interrupt):
        write(flash_and_click(), target, H264, {}, on_frame=stop)
    assert seen == [(n, 25) for n in range(1, 6)]
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"] and target.read_bytes() == b"precious"


def test_a_clip_that_gives_too_few_frames_is_no_file(tmp_path: Path) -> None:
    clip = flash_and_click()
    short = Clip(clip.shape, lambda start, stop: clip.source(start, stop - 1), silent)
    with pytest.raises(ValueError, match="promised 25 frames and gave 24"):
        write(short, tmp_path / "a.mp4", H264, {})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_before_and_during(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
        with pytest.raises(ValueError, match="Not enough room"):
            write(flash_and_click(), tmp_path / "a.mp4", H264, {})

    def full(done: int, total: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(ValueError, match="filled up"):
        write(flash_and_click(), tmp_path / "a.mp4", H264, {}, on_frame=full)
    assert list(tmp_path.iterdir()) == []


def test_missing_folders_formats_and_qualities_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        write(flash_and_click(), tmp_path / "no" / "a.mp4", H264, {})
    with pytest.raises(ValueError, match="mp4-h264"):
        find_format("avi")
    with pytest.raises(ValueError, match="standard"):
        write(flash_and_click(), tmp_path / "a.mp4", H264, {}, quality="best")
    with pytest.raises(ValueError, match="colour, label"):
        parse_format("x", {**{k: v for k, v in vars(H264).items() if k not in ("name", "label")}, "colour": 1})


@pytest.mark.parametrize("content", [b"", b"not a video", b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 64])
def test_foreign_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.mp4"):
        read(path)
    with pytest.raises(ValueError, match="no file"):
        read(tmp_path / "missing.mp4")


def test_a_truncated_file_is_an_error_or_ends_early_but_never_hangs(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    write_to(flash_and_click(97, 128, 128), buffer, H264, {})
    path = tmp_path / "a.mp4"
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with pytest.raises(ValueError, match=r"a\.mp4"):
        pixels(read(path))


def test_any_span_of_a_file_can_be_read(tmp_path: Path) -> None:
    clip = read(write(flash_and_click(61), tmp_path / "a.mp4", H264, {}))
    whole = pixels(clip)
    for start, stop in ((0, 61), (12, 13), (30, 61), (60, 61)):
        assert torch.equal(pixels(clip, start, stop), whole[start:stop])


class Older:
    """An object of PyAV as version 14 has it: without what came later, with BT.601 for colours of the same space on
    both sides, and decoding in one thread."""

    KINDS = (
        av.container.InputContainer,
        av.container.streams.StreamContainer,
        av.VideoStream,
        av.Packet,
        av.VideoFrame,
    )
    LATER = ((av.VideoStream, "index_entries"), (av.VideoFrame, "duration"))

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        if any(isinstance(self.real, kind) and name == later for kind, later in self.LATER):
            raise AttributeError(name)
        return older(getattr(self.real, name))

    def __enter__(self) -> Older:
        return older(self.real.__enter__())

    def __exit__(self, *error: Any) -> None:
        self.real.__exit__(*error)

    def to_ndarray(self, dst_colorspace: int | None = None, **options: Any) -> np.ndarray:
        if dst_colorspace in (None, self.real.colorspace):
            options |= {"src_colorspace": "ITU601", "src_color_range": "MPEG"}
        return self.real.to_ndarray(dst_colorspace=dst_colorspace, **options)


def older(value: Any) -> Any:
    if isinstance(value, Older.KINDS):
        return Older(value)
    if isinstance(value, list | tuple):
        return [older(item) for item in value]
    if isinstance(value, Iterator):
        return map(older, value)
    if callable(value):
        return lambda *args, **options: older(value(*map(newer, args), **{k: newer(v) for k, v in options.items()}))
    return value


def newer(value: Any) -> Any:
    return value.real if isinstance(value, Older) else value


def test_an_older_pyav_reads_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = torch.randint(0, 255, (24, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    clip = Clip(VideoShape(64, 64, 24, Fraction(24)), lambda start, stop: iter([noise[start:stop]]), silent)
    path = write(clip, tmp_path / "a.mp4", H264, {})
    wanted = pixels(read(path))
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    monkeypatch.setattr(av, "open", older(av.open))
    assert torch.equal(pixels(read(path)), wanted)
    assert torch.equal(pixels(read(path), 10, 20), wanted[10:20])
    with pytest.raises(ValueError, match="was cut off"):
        pixels(read(cut))


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("matrix", [1, 5, 7])
def test_colours_are_read_as_the_file_says_that_they_are_coded(tmp_path: Path, matrix: int, levels: int) -> None:
    colour = (200, 30, 60)
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        stream = output.add_stream("libx264", rate=24, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, levels
        frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), colour, np.uint8), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=matrix, src_color_range="JPEG", dst_color_range=levels)
        output.mux([*stream.encode(frame), *stream.encode(None)])
    assert (pixels(read(tmp_path / "a.mp4")).float() - torch.tensor(colour)).abs().max() < 4


def test_a_picture_that_the_format_does_not_take_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not take pictures of 8 x 8"):
        write(flash_and_click(width=8, height=8), tmp_path / "a.mp4", find_format("mp4-hevc"), {})
    assert list(tmp_path.iterdir()) == []


def test_trimming_is_lazy_and_exact() -> None:
    asked = []
    base = flash_and_click()

    def source(start: int, stop: int) -> Iterator[torch.Tensor]:
        asked.append((start, stop))
        yield from base.source(start, stop)

    clip = trim(Clip(base.shape, source, base.voice), 10, 5)
    assert asked == [] and clip.shape == VideoShape(64, 64, 5, Fraction(24))
    frames = pixels(clip)
    assert asked == [(10, 15)]
    assert int(frames.float().mean((1, 2, 3)).argmax()) == FLASH - 10
    assert clip.sound is not None and int(clip.sound.waveform.abs().argmax()) == 2000
    assert clip.sound.waveform.shape[1] == 5000
    with pytest.raises(ValueError, match="25 frames"):
        trim(base, 20, 10)


def test_a_clip_without_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        Clip(VideoShape(0, 4, 1, Fraction(24)), flash_and_click().source, silent)
