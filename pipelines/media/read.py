"""The lazy reader: any video file that PyAV opens becomes a clip."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor

from ..clip.clip import Clip, Sound
from ..clock import frames_of, samples_of
from ..types import VideoShape

# Frames that may be missing at the end of a file that says how many it has: containers round.
MISSING = 3
# No frame is shown longer than this many seconds: a header that says so would ask for days of silence.
LONGEST = 60
# Sound is read this many seconds beyond its picture, so that it can be moved and stretched, and no further: a small
# file may hold days of silence.
BEYOND = 60
# What FFmpeg calls colours that no matrix is needed for.
RGB = 0


@dataclass(frozen=True)
class FileFrames:
    """The frames of a file, as they are shown: a clip whose source this is shows exactly its picture."""

    path: Path
    shape: VideoShape

    def __call__(self, start: int, stop: int) -> Iterator[Tensor]:
        return _frames(self.path, self.shape, start, stop)


def read(path: Path) -> Clip:
    """A clip that decodes `path` as its frames are asked for, turned as a player shows them.

    Raises ValueError for what is not a video file.
    """
    with _open(path) as container:
        if not container.streams.video:
            raise ValueError(f"{path.name} has no picture. Give a video file.")
        stream = picture_of(container)
        fps = Fraction(stream.average_rate or stream.guessed_rate or 0)
        if fps <= 0:
            raise ValueError(f"{path.name} does not say its frame rate. Re-encode it with a constant one.")
        frames = _promised(container, stream, fps)
        if frames is None:
            raise ValueError(f"{path.name} does not say how long it is. Put it into a container such as mp4.")
        # PyAV shows a file's index from 17 on; before, a header that lies is found out when the frames end too early.
        index = getattr(stream, "index_entries", None) if "mp4" in container.format.name and stream.frames else None
        listed = frames if index is None else len(index)
        if frames > min(listed + MISSING, path.stat().st_size) or fps * LONGEST < 1:
            raise ValueError(f"{path.name} is no video of {frames} frames at {fps} a second: its header lies.")
        shape = VideoShape(*_shown_size(container, stream), frames, fps)
        lineage = {"file": path.name}

    return Clip(shape, FileFrames(path, shape), lambda: read_sound(path, 2 * shape.seconds + BEYOND), lineage, (path,))


def read_sound(path: Path, seconds: Fraction) -> Sound | None:
    """The first `seconds` of the first audio track, on the time line of the picture if there is one; None without it.

    Raises ValueError for sound that is damaged.
    """
    with _open(path) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
        begin, room = _start(container), samples_of(1, 1 / seconds, stream.rate)
        parts: list[np.ndarray] = []
        lead, heard = None, 0
        try:
            for frame in container.decode(stream):
                if lead is None:
                    late = frame.pts * frame.time_base - begin if frame.pts is not None else Fraction(0)
                    lead = min(room, samples_of(1, 1 / late, stream.rate)) if late > 0 else 0
                parts += [out.to_ndarray() for out in resampler.resample(frame)]
                heard += frame.samples
                if lead + heard >= room:
                    break
            parts += [out.to_ndarray() for out in resampler.resample(None)]
        except (av.error.FFmpegError, ValueError) as error:
            raise ValueError(f"The sound of {path.name} is damaged: {error}.") from error
    if not parts:
        return None
    waveform = torch.from_numpy(np.concatenate(parts, axis=1)).float()
    return Sound(torch.nn.functional.pad(waveform, (lead or 0, 0))[:, :room], stream.rate)


def picture_of(container: Any) -> Any:
    """The stream of an open file that is its picture: the first one that is no cover, if there is one."""
    return min(container.streams.video, key=_is_cover)


def is_sound(path: Path) -> bool:
    """Whether a file holds sound and no moving picture; the cover of a song does not move."""
    with _open(path) as container:
        return _is_sound(container)


def _open(path: Path) -> Any:
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    if _is_packed(path):
        raise ValueError(f"The index of {path.name} is compressed, which may hide any size. Re-encode it.")
    try:
        return av.open(str(path))
    except (av.error.FFmpegError, OSError) as error:
        raise ValueError(f"{path.name} is not a video that can be read: {error}.") from error


def _is_packed(path: Path) -> bool:
    """Whether the index of a QuickTime file is compressed: FFmpeg unpacks it whole, up to 4 GB from a few MB."""
    place, size = 0, path.stat().st_size
    with path.open("rb") as file:
        while place < size:
            file.seek(place)
            length, kind, inner = struct.unpack(">I4s8s", file.read(16).ljust(16, b"\0"))
            if kind == b"moov":
                return inner[4:] == b"cmov"
            length = int.from_bytes(inner, "big") if length == 1 else length
            if length < 8:
                return False
            place += length
    return False


def _frames(path: Path, shape: VideoShape, start: int, stop: int) -> Iterator[Tensor]:
    """Frames by their time stamps: a missing one is filled with the one before, a surplus one is dropped."""
    with _open(path) as container:
        stream = picture_of(container)
        stream.thread_type = "AUTO"
        begin = _start(container)
        if start:
            container.seek(int((start / shape.fps + begin) / stream.time_base), stream=stream)
        position, latest = start, None
        try:
            for frame, length in _decoded(container, stream):
                if frame.pts is None:
                    raise ValueError(f"{path.name} does not say when frame {position} is shown. Re-encode it.")
                index = _index(frame, begin, shape.fps)
                while latest is not None and position < min(index, stop):
                    yield latest
                    position += 1
                if position >= stop:
                    return
                swapped, mirrored = _turn(frame)
                width, height = (frame.height, frame.width) if swapped else (frame.width, frame.height)
                if (width, height) != (shape.width, shape.height):
                    raise ValueError(
                        f"The picture of {path.name} is {width} x {height} from frame {index} on, and not "
                        f"{shape.width} x {shape.height} as it says. Re-encode it at one size."
                    )
                pixels = torch.from_numpy(_rgb(frame))
                pixels = pixels.transpose(0, 1) if swapped else pixels
                latest = (pixels.flip(mirrored) if mirrored else pixels).contiguous()[None]
                held = (frame.pts + length) * frame.time_base - begin
        except av.error.FFmpegError as error:
            raise ValueError(f"{path.name} is damaged after frame {position}: {error}.") from error
        if latest is None:
            raise ValueError(f"{path.name} holds no picture that can be decoded.")
        if stream.frames and stop - round(held * shape.fps) > MISSING:
            raise ValueError(f"{path.name} was cut off after {float(held):.2f} s, or its header lies.")
        while position < stop:
            yield latest
            position += 1


def _decoded(container: Any, stream: Any) -> Iterator[tuple[Any, int]]:
    """Frames, each with how long it is shown, in units of its time base: PyAV 14 says that only of packets."""
    lengths: dict[int | None, int] = {}
    for packet in container.demux(stream):
        # Where a file of so many frames was cut off, the last packet is half there, which decoders would call damage.
        if packet.is_corrupt and stream.frames:
            continue
        lengths[packet.pts] = packet.duration or 0
        for frame in packet.decode():
            yield frame, lengths.pop(frame.pts, 0)


def _rgb(frame: Any) -> np.ndarray:
    """The colours `[H, W, 3]` of a frame, by the matrix and the range that it says it was coded with.

    PyAV before 17 converts all by BT.601 and the smaller range unless it is told of a difference to the target.
    """
    return frame.to_ndarray(format="rgb24", dst_colorspace=RGB, src_color_range=frame.color_range)


def _shown_size(container: Any, stream: Any) -> tuple[int, int]:
    """Width and height of the picture as it is shown; only a decoded frame tells how it is turned."""
    coded = stream.codec_context.width, stream.codec_context.height
    try:
        frame = next(container.decode(stream), None)
    except av.error.FFmpegError:
        # Whoever asks for frames is told what is wrong with them.
        return coded
    return coded[::-1] if frame is not None and _turn(frame)[0] else coded


def _turn(frame: Any) -> tuple[bool, list[int]]:
    """How to set a frame upright: whether to swap its sides, and which of the axes `[H, W]` to mirror then.

    A phone stores the picture as its sensor lies, with a matrix of how it was held: what is at (x, y) is shown at
    (a x + c y, b x + d y). Angles between right ones are rounded.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, []
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
    swapped = abs(b) + abs(c) > abs(a) + abs(d)
    down, right = (b, c) if swapped else (d, a)
    return swapped, [axis for axis, step in enumerate((down, right)) if step < 0]


def _index(frame: Any, begin: Fraction, fps: Fraction) -> int:
    return round((frame.pts * frame.time_base - begin) * fps)


def _start(container: Any) -> Fraction:
    stream = container.streams.audio[0] if _is_sound(container) else picture_of(container)
    return Fraction(stream.start_time or 0) * stream.time_base


def _is_sound(container: Any) -> bool:
    return bool(container.streams.audio) and all(map(_is_cover, container.streams.video))


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _promised(container: Any, stream: Any, fps: Fraction) -> int | None:
    """How many frames a file says that it shows; None where it does not say."""
    seconds = Fraction(container.duration or 0, av.time_base)
    if stream.duration:
        seconds = stream.duration * stream.time_base
    if not seconds:
        return stream.frames or None
    timed = frames_of(seconds, fps)
    # An edit list may leave out frames that are stored.
    return timed if not stream.frames or timed < stream.frames - MISSING else stream.frames
