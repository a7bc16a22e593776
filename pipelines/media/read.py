"""The lazy reader: any video file that PyAV opens becomes a clip."""

from __future__ import annotations

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


@dataclass(frozen=True)
class FileFrames:
    """The frames of a file, as they are: a clip whose source this is shows exactly its picture."""

    path: Path
    shape: VideoShape

    def __call__(self, start: int, stop: int) -> Iterator[Tensor]:
        return _frames(self.path, self.shape, start, stop)


def read(path: Path) -> Clip:
    """A clip that decodes `path` as its frames are asked for. Raises ValueError for what is not a video file."""
    with _open(path) as container:
        if not container.streams.video:
            raise ValueError(f"{path.name} has no picture. Give a video file.")
        stream = container.streams.video[0]
        fps = Fraction(stream.average_rate or stream.guessed_rate or 0)
        if fps <= 0:
            raise ValueError(f"{path.name} does not say its frame rate. Re-encode it with a constant one.")
        frames = stream.frames or frames_of(_seconds(container, stream), fps)
        shape = VideoShape(stream.codec_context.width, stream.codec_context.height, frames, fps)
        lineage = {"file": path.name}

    return Clip(shape, FileFrames(path, shape), lambda: read_sound(path), lineage, (path,))


def read_sound(path: Path) -> Sound | None:
    """All sound of the first audio track, placed on the picture's time line; None when there is none."""
    with _open(path) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
        parts: list[np.ndarray] = []
        offset = None
        for frame in container.decode(stream):
            offset = frame.pts * frame.time_base if offset is None and frame.pts is not None else offset
            parts += [out.to_ndarray() for out in resampler.resample(frame)]
        parts += [out.to_ndarray() for out in resampler.resample(None)]
        begin = _start(container)
    if not parts:
        return None
    waveform = torch.from_numpy(np.concatenate(parts, axis=1)).float()
    lead = samples_of(1, 1 / ((offset or Fraction(0)) - begin), stream.rate) if offset and offset > begin else 0
    return Sound(torch.nn.functional.pad(waveform, (lead, 0)), stream.rate)


def read_metadata(path: Path) -> dict[str, str]:
    """The file's own tags, for example `workflow` and `prompt`, in lower case: Matroska stores them in upper case."""
    with _open(path) as container:
        return {key.lower(): value for key, value in container.metadata.items()}


def _open(path: Path) -> Any:
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    try:
        return av.open(str(path))
    except (av.error.FFmpegError, OSError) as error:
        raise ValueError(f"{path.name} is not a video that can be read: {error}.") from error


def _frames(path: Path, shape: VideoShape, start: int, stop: int) -> Iterator[Tensor]:
    """Frames by their time stamps: a missing one is filled with the one before, a surplus one is dropped."""
    with _open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        begin = _start(container)
        if start:
            container.seek(int((start / shape.fps + begin) / stream.time_base), stream=stream)
        position, latest = start, None
        try:
            for frame in container.decode(stream):
                index = _index(frame, begin, shape.fps)
                while latest is not None and position < min(index, stop):
                    yield latest
                    position += 1
                if position >= stop:
                    return
                latest = torch.from_numpy(frame.to_ndarray(format="rgb24"))[None]
        except av.error.FFmpegError as error:
            raise ValueError(f"{path.name} is damaged after frame {position}: {error}.") from error
        if latest is None:
            raise ValueError(f"{path.name} holds no picture that can be decoded.")
        while position < stop:
            yield latest
            position += 1


def _index(frame: Any, begin: Fraction, fps: Fraction) -> int:
    return round((frame.pts * frame.time_base - begin) * fps)


def _start(container: Any) -> Fraction:
    stream = container.streams.video[0]
    return Fraction(stream.start_time or 0) * stream.time_base


def _seconds(container: Any, stream: Any) -> Fraction:
    if stream.duration:
        return stream.duration * stream.time_base
    return Fraction(container.duration or 0, av.time_base)
