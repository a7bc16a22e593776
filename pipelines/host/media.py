"""Our lazy clip as the host's VIDEO: every getter is cheap, and saving streams."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import torch
from comfy.cli_args import args
from comfy_api.latest import Input, Types

from ..clip.clip import Clip, Sound, silent
from ..clip.stages import trim
from ..marks.disclosure import TAG
from ..media.formats import DEFAULT_FORMAT, Format, find_format
from ..media.read import read
from ..media.write import write, write_to
from ..types import VideoShape
from .paths import Target
from .progress import frame_progress

# What the host calls its containers and codecs, and the format of ours that it means.
BY_HOST_NAME = {
    ("auto", "auto"): DEFAULT_FORMAT,
    ("auto", "h264"): DEFAULT_FORMAT,
    ("mp4", "auto"): DEFAULT_FORMAT,
    ("mp4", "h264"): DEFAULT_FORMAT,
    ("mp4", "av1"): "mp4-av1",
    ("auto", "av1"): "mp4-av1",
    ("webm", "auto"): "webm-av1",
    ("webm", "av1"): "webm-av1",
}


class StreamVideo(Input.Video):
    """A VIDEO whose frames are made when they are asked for. Works with every node of the host that takes VIDEO."""

    def __init__(self, clip: Clip, file: Path | None = None) -> None:
        self.clip, self.file = clip, file

    @classmethod
    def of_file(cls, path: Path) -> StreamVideo:
        """A file as a stream."""
        return cls(read(path), path)

    def get_dimensions(self) -> tuple[int, int]:
        return self.clip.shape.width, self.clip.shape.height

    def get_duration(self) -> float:
        return float(self.clip.shape.seconds)

    def get_frame_count(self) -> int:
        return self.clip.shape.frames

    def get_frame_rate(self) -> Fraction:
        return self.clip.shape.fps

    def get_container_format(self) -> str:
        return "mp4"

    def get_bit_depth(self) -> int:
        return 8

    def get_color_space(self) -> str:
        return "sRGB"

    def get_ram_usage(self) -> int:
        """Bytes that stay in memory: latents and models are counted by their own nodes."""
        return 0

    def get_components(self) -> Any:
        """All frames as one float tensor, for nodes that need them; large for long videos."""
        report = frame_progress(self.clip.shape.frames, None, "decoding")
        shape = self.clip.shape
        images = torch.empty(shape.frames, shape.height, shape.width, 3)
        done = 0
        for chunk in self.clip.frames():
            torch.div(chunk, 255, out=images[done : done + len(chunk)])
            done += len(chunk)
            report(done, shape.frames)
        return Types.VideoComponents(images=images, audio=audio_of(self.clip.sound), frame_rate=shape.fps)

    def as_trimmed(
        self, start_time: float | None = None, duration: float | None = None, strict_duration: bool = False
    ) -> StreamVideo | None:
        """The part from `start_time` on, `duration` seconds long; None when `strict_duration` cannot be kept."""
        shape = self.clip.shape
        start = round(Fraction(start_time or 0) * shape.fps)
        start = max(0, shape.frames + start) if start < 0 else start
        wanted = math.ceil(Fraction(duration) * shape.fps) if duration else shape.frames
        frames = min(wanted, shape.frames - start)
        if frames < 1 or (strict_duration and duration and frames < wanted):
            return None
        return StreamVideo(trim(self.clip, start, frames))

    def save_to(
        self,
        path: str | Path | IO[bytes],
        format: Any = "auto",
        codec: Any = "auto",
        metadata: Any = None,
        **kwargs: Any,
    ) -> None:
        """Stream into a file, or into an open binary file, as the host's SaveVideo asks."""
        kind = _host_format(format, codec)
        tags = text_tags(metadata or {})
        report = frame_progress(self.clip.shape.frames, None, "writing")
        if isinstance(path, str | Path):
            write(self.clip, Path(path), kind, tags, on_frame=report)
        else:
            write_to(self.clip, path, kind, tags, on_frame=report)


def file_of(video: Any) -> Path | None:
    """The file that a VIDEO is, unchanged; None for one that is made, or changed on the way."""
    if isinstance(video, StreamVideo):
        return video.file
    # Only the host's file videos give a path without encoding first.
    source = video.get_stream_source() if type(video).__name__ == "VideoFromFile" else None
    return Path(source) if isinstance(source, str) and not _is_edited(video, source) else None


def clip_of(video: Any) -> Clip:
    """The lazy clip behind any VIDEO of the host; files are read as a stream, anything else is taken whole."""
    if isinstance(video, StreamVideo):
        return video.clip
    path = file_of(video)
    if path is not None:
        return read(path)
    parts = video.get_components()
    frames, height, width = parts.images.shape[:3]
    shape = VideoShape(width, height, frames, Fraction(parts.frame_rate))
    sound = sound_of(parts.audio) if parts.audio else None

    def source_frames(start: int, stop: int) -> Any:
        for index in range(start, stop):
            yield parts.images[index : index + 1, ..., :3].mul(255).round().clamp(0, 255).to(torch.uint8).cpu()

    return Clip(shape, source_frames, (lambda: sound) if sound else silent, {"source": "frames"})


def audio_of(sound: Sound | None) -> dict[str, Any] | None:
    """The host's AUDIO of a sound."""
    return None if sound is None else {"waveform": sound.waveform[None], "sample_rate": sound.rate}


def sound_of(audio: dict[str, Any]) -> Sound:
    """The first sound of the host's AUDIO."""
    return Sound(audio["waveform"][0].float().cpu(), int(audio["sample_rate"]))


def text_tags(metadata: dict[str, Any]) -> dict[str, str]:
    """Metadata as text: what is not text already becomes JSON."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}


def save_output(
    video: Any,
    target: Target,
    kind: Format,
    quality: str,
    metadata: dict[str, Any],
    node_id: str | None,
    finish: Callable[[Path], None] | None = None,
) -> None:
    """Write any VIDEO, with progress on the node and its lineage among the tags; `finish` has the whole file last."""
    clip = clip_of(video)
    # What is said to people stays, even where the host is told to keep its workflows to itself.
    said = {key: metadata[key] for key in (TAG,) if key in metadata}
    tags = said if args.disable_metadata else {**metadata, "kinetophone": dict(clip.lineage)}
    report = frame_progress(clip.shape.frames, node_id, "writing")
    write(clip, target.path, kind, text_tags(tags), quality=quality, on_frame=report, finish=finish)


def _host_format(container: Any, codec: Any) -> Format:
    names = tuple(str(getattr(value, "value", value) or "auto").lower() for value in (container, codec))
    if names not in BY_HOST_NAME:
        raise ValueError(
            f"This video cannot be written as {names[0]} with {names[1]}: choose mp4 or auto, h264 or auto."
        )
    return find_format(BY_HOST_NAME[names])


def _is_edited(video: Any, source: str) -> bool:
    """Whether the host trimmed, cropped or scaled a file on the way, which it keeps to itself until somebody reads it.

    Its newest versions can be asked. Those before are compared with the file as it is.
    """
    if hasattr(video, "has_pending_frame_edits"):
        return any(video.get_active_trim_window()) or video.has_pending_frame_edits()
    whole = type(video)(source)
    try:
        return (video.get_duration(), video.get_dimensions()) != (whole.get_duration(), whole.get_dimensions())
    except (OSError, ValueError):
        # Whoever reads a broken file says what is wrong with it.
        return False
