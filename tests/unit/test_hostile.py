"""Files made to mislead, through everything that reads files: a clear error, and memory that stays small."""

from __future__ import annotations

import functools
import io
import struct
import tempfile
import tracemalloc
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from kinetophone.pipelines.cli import main
from kinetophone.pipelines.clip.clip import Clip, Sound
from kinetophone.pipelines.marks.detect import detect
from kinetophone.pipelines.media.formats import DEFAULT_FORMAT, find_format
from kinetophone.pipelines.media.read import BEYOND, read
from kinetophone.pipelines.media.write import write
from kinetophone.pipelines.sync.measure import measure_sync
from kinetophone.pipelines.types import VideoShape

FRAMES, SIDE = 24, 96


@functools.cache
def sane() -> bytes:
    """An mp4 of one second with sound, its index in front."""
    draw = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 255, (FRAMES, SIDE, SIDE, 3), dtype=torch.uint8, generator=draw)
    sound = Sound(torch.randn(1, 24_000, generator=draw) * 0.1, 24_000)
    clip = Clip(VideoShape(SIDE, SIDE, FRAMES, Fraction(24)), lambda a, b: iter([frames[a:b]]), lambda: sound)
    with tempfile.TemporaryDirectory() as folder:
        return write(clip, Path(folder) / "a.mp4", find_format(DEFAULT_FORMAT), {}).read_bytes()


def told(*lies: tuple[bytes, int, int]) -> bytes:
    """The file with numbers replaced: each in the first box of a kind, so many bytes from its start."""
    data = bytearray(sane())
    for box, offset, number in lies:
        place = data.find(box) - 4 + offset
        data[place : place + 4] = struct.pack(">I", number)
    return bytes(data)


def coded(container: str, *sides: int) -> bytes:
    """Ten frames of each size, one stream after the other."""
    buffer = io.BytesIO()
    for side in sides:
        part = io.BytesIO()
        with av.open(part, "w", format=container) as output:
            stream = output.add_stream("libx264", rate=24)
            stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
            for level in range(10):
                picture = np.full((side, side, 3), 20 * level, np.uint8)
                output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            output.mux(stream.encode(None))
        buffer.write(part.getvalue())
    return buffer.getvalue()


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


@functools.cache
def bomb() -> bytes:
    """A QuickTime file whose index unpacks to 64 MB."""
    size = 64 << 20
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()
    moov = box(b"cmov", box(b"dcom", b"zlib") + box(b"cmvd", struct.pack(">I", size) + packed))
    return box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"moov", moov)


def damaged() -> bytes:
    data = sane()
    start = data.find(b"mdat") + 4
    return data[:start] + bytes(len(data) - start)


# The tables of frames, of the track and of the edit all speak of 1000 seconds.
LONGER = (b"stts", 16, 24_000), (b"mdhd", 24, 1000 * 12_288), (b"elst", 16, 1000 * 1000)

CASES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "nothing": ("mp4", lambda: b"", "not a video"),
    "text": ("mp4", lambda: b"hello " * 100, "not a video"),
    "cut off": ("mp4", lambda: sane()[: len(sane()) * 3 // 4], "was cut off"),
    "2 billion sizes": ("mp4", lambda: told((b"stsz", 16, 0x7FFFFFFF)), "not a video"),
    "frames of six hours": ("mp4", lambda: told((b"stts", 20, 0x0FFFFFFF)), "header lies"),
    "frames for a quarter of an hour": ("mp4", lambda: told(*LONGER), "header lies"),
    "a packed index": ("mov", bomb, "is compressed"),
    "no times": ("h264", lambda: coded("h264", SIDE), "does not say"),
    "two sizes": ("ts", lambda: coded("mpegts", SIDE, 2 * SIDE), "Re-encode it at one size"),
    "zeros for content": ("mp4", damaged, "damaged"),
}


@pytest.mark.parametrize("name", list(CASES))
def test_hostile_files_are_clear_errors(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    extension, make, message = CASES[name]
    path = tmp_path / f"a.{extension}"
    path.write_bytes(make())
    content = path.read_bytes()
    for look in (lambda: detect(read(path), "key"), lambda: measure_sync(read(path))):
        with pytest.raises(ValueError, match=message) as caught:
            look()
        assert path.name in str(caught.value)
    for command in ("verify", "fingerprint"):
        assert main([command, str(path)]) == 2
        assert message in capsys.readouterr().err
    assert path.read_bytes() == content and list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_sane_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").write_bytes(sane())
    assert main(["verify", str(tmp_path / "a.mp4")]) == 0
    assert "No invisible mark" in capsys.readouterr().out
    assert measure_sync(read(tmp_path / "a.mp4")).confidence == 0


def test_frames_that_no_time_is_left_for_are_not_believed(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(told((b"stts", 16, 0x7FFFFFFF)))
    clip = read(tmp_path / "a.mp4")
    assert clip.shape.frames == FRAMES and sum(map(len, clip.frames())) == FRAMES


def test_a_packed_index_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.mov").write_bytes(bomb())
    tracemalloc.start()
    with pytest.raises(ValueError, match="is compressed"):
        read(tmp_path / "a.mov")
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_sound_far_beyond_the_picture_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as output:
        picture, track = output.add_stream("libx264", rate=24), output.add_stream("aac", rate=48_000)
        picture.width, picture.height, picture.pix_fmt, track.layout = 64, 64, "yuv420p", "mono"
        for _ in range(24):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            output.mux(picture.encode(frame))
        output.mux(picture.encode(None))
        for second in range(BEYOND + 10):
            part = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.float32), format="fltp", layout="mono")
            part.sample_rate, part.pts = 48_000, second * 48_000
            output.mux(track.encode(part))
        output.mux(track.encode(None))
    clip = read(path)
    assert clip.shape.frames == 24
    voice = clip.voice()
    assert voice is not None and voice.waveform.shape[1] == (2 + BEYOND) * 48_000
