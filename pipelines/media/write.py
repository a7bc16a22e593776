"""The streaming writer: frames are encoded as they come, with the sound interleaved at the same pace."""

from __future__ import annotations

import errno
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
import torch
from torch import Tensor

from ..clip.clip import Clip, Sound
from ..clock import samples_of
from .formats import DEFAULT_QUALITY, Format
from .read import FileFrames, picture_of

OnFrame = Callable[[int, int], None]

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
# What reads back what an encoder writes. PyAV cannot copy AV1: it looks for an encoder with the decoder's name.
DECODERS = {"libx264": "h264", "libx265": "hevc"}
SMALL = "small"
BT709 = 1
LIMITED_RANGE = 1
# The encoder's input is never larger than this share of raw pictures in practice: more would be a lossless file.
BYTES_PER_PIXEL = 0.25
SPARE_BYTES = 16 << 20


def write(
    clip: Clip,
    path: Path,
    kind: Format,
    metadata: Mapping[str, str],
    *,
    quality: str = DEFAULT_QUALITY,
    on_frame: OnFrame | None = None,
    finish: Callable[[Path], None] | None = None,
) -> Path:
    """Write `clip` to `path`; the file appears whole or not at all.

    `on_frame(done, total)` runs after each frame, `finish(partial)` on the whole file before it appears; what they
    raise stops the writing and leaves nothing behind.
    Raises ValueError for a folder that does not exist or has no room, and for options that the format does not have or
    pictures that it does not take.
    """
    if not path.parent.is_dir():
        raise ValueError(f"The folder {path.parent} does not exist. Create it first, or choose another.")
    check_space(clip, path.parent)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        write_to(clip, partial, kind, metadata, quality=quality, on_frame=on_frame)
        if finish is not None:
            finish(partial)
        partial.replace(path)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise ValueError(f"The disk filled up while writing {path.name}. Free some space and run again.") from error
        raise
    finally:
        # Also on an interrupt, which is not an Exception in newer hosts.
        partial.unlink(missing_ok=True)
    return path


def write_to(
    clip: Clip,
    target: Path | IO[bytes],
    kind: Format,
    metadata: Mapping[str, str],
    *,
    quality: str = DEFAULT_QUALITY,
    on_frame: OnFrame | None = None,
) -> None:
    """Write into an open binary file, or straight into `target`, which is left half-written by an error."""
    on_disk = isinstance(target, Path)
    options = _muxer_options(kind, on_disk)
    video_options = kind.encoder_options(quality)
    with av.open(str(target) if on_disk else target, "w", format=kind.container, options=options) as container:
        container.metadata.update(metadata)
        kept = copied_from(clip, kind, quality)
        picture = _Copy.open(container, kept) if kept else _Picture.open(container, clip, kind, video_options)
        track = _Track.open(container, clip.sound, kind) if clip.sound is not None else None
        total, done = clip.shape.frames, 0
        for done in picture.add_all(clip):
            if track is not None:
                track.add_until(samples_of(done, clip.shape.fps, track.sound.rate))
            if on_frame is not None:
                on_frame(done, total)
        if done != total:
            raise ValueError(f"The clip promised {total} frames and gave {done}.")
        if track is not None:
            track.close()


def copied_from(clip: Clip, kind: Format, quality: str) -> Path | None:
    """The file whose picture can be kept as it is coded: nothing was done to it, and the format would code it alike.

    A file that is asked to be small is coded again.
    """
    if not isinstance(clip.source, FileFrames) or clip.source.shape != clip.shape or quality == SMALL:
        return None
    with av.open(str(clip.source.path)) as container:
        stream = picture_of(container)
        context = stream.codec_context
        alike = context.name == DECODERS.get(kind.video_codec) and context.pix_fmt == kind.pixel_format
        return clip.source.path if alike and stream.frames == clip.shape.frames else None


def check_space(clip: Clip, folder: Path) -> None:
    """Raise ValueError when `folder` cannot hold a file of `clip`."""
    shape = clip.shape
    needed = int(shape.width * shape.height * shape.frames * BYTES_PER_PIXEL) + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ValueError(
            f"Not enough room in {folder}: {free / 1e6:.0f} MB are free, and this file may need {needed / 1e6:.0f} MB. "
            "Free some space, or choose another folder."
        )


def _muxer_options(kind: Format, seekable: bool) -> dict[str, str]:
    if kind.container != "mp4":
        return {}
    # Moving the index to the front needs a second pass over the file, which a file object may not allow.
    return {"movflags": "use_metadata_tags+faststart" if seekable else "use_metadata_tags"}


@dataclass
class _Picture:
    container: Any
    stream: Any
    fps: Fraction

    @classmethod
    def open(cls, container: Any, clip: Clip, kind: Format, options: dict[str, str]) -> _Picture:
        stream = container.add_stream(kind.video_codec, rate=clip.shape.fps, options=options)
        # Chroma is stored at half size: an odd side is repeated once.
        stream.width, stream.height = clip.shape.width + clip.shape.width % 2, clip.shape.height + clip.shape.height % 2
        stream.pix_fmt = kind.pixel_format
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = LIMITED_RANGE
        context.time_base = 1 / clip.shape.fps
        if kind.tag:
            context.codec_tag = kind.tag
        try:
            context.open()
        except av.error.FFmpegError as error:
            raise ValueError(
                f"{kind.label} does not take pictures of {stream.width} x {stream.height}: {error}. Make them larger, "
                "or choose another format. AV1 below 64 x 64 needs PyAV 15 or newer."
            ) from error
        return cls(container, stream, clip.shape.fps)

    def add_all(self, clip: Clip) -> Iterator[int]:
        """Encode every frame, and say after each how many there are."""
        done = 0
        for chunk in clip.frames():
            for pixels in chunk:
                self._add(pixels, done)
                done += 1
                yield done
        self.container.mux(self.stream.encode(None))

    def _add(self, pixels: Tensor, index: int) -> None:
        frame = av.VideoFrame.from_ndarray(_even(pixels).numpy(), format="rgb24")
        frame = frame.reformat(
            format=self.stream.pix_fmt, dst_colorspace="ITU709", src_color_range="JPEG", dst_color_range="MPEG"
        )
        frame.pts, frame.time_base = index, 1 / self.fps
        self.container.mux(self.stream.encode(frame))


@dataclass
class _Copy:
    """The coded picture of a file, packet by packet."""

    container: Any
    stream: Any
    path: Path

    @classmethod
    def open(cls, container: Any, path: Path) -> _Copy:
        with av.open(str(path)) as source:
            template = picture_of(source)
            stream = container.add_stream_from_template(template)
            # PyAV 14 asks for a header of its own encoder otherwise, and writes that in place of the file's.
            stream.codec_context.flags = template.codec_context.flags
            return cls(container, stream, path)

    def add_all(self, clip: Clip) -> Iterator[int]:
        """Copy every packet, and say after each how many there are."""
        with av.open(str(self.path)) as source:
            stream = picture_of(source)
            begin, done = stream.start_time or 0, 0
            for packet in source.demux(stream):
                # The last one of a file is empty.
                if packet.dts is None:
                    continue
                packet.pts, packet.dts, packet.stream = packet.pts - begin, packet.dts - begin, self.stream
                self.container.mux(packet)
                done += 1
                yield done


@dataclass
class _Track:
    container: Any
    stream: Any
    sound: Sound
    position: int = 0

    @classmethod
    def open(cls, container: Any, sound: Sound, kind: Format) -> _Track:
        channels = len(sound.waveform)
        if channels not in LAYOUTS:
            raise ValueError(
                f"The sound has {channels} channels; files take {', '.join(map(str, LAYOUTS))}. Mix it down."
            )
        rate = kind.rate or sound.rate
        stream = container.add_stream(kind.audio_codec, rate=rate, layout=LAYOUTS[channels])
        stream.bit_rate = kind.audio_bit_rate
        return cls(container, stream, sound)

    def add_until(self, stop: int) -> None:
        stop = min(stop, self.sound.waveform.shape[1])
        if stop <= self.position:
            return
        part = self.sound.waveform[:, self.position : stop].clamp(-1, 1).contiguous()
        frame = av.AudioFrame.from_ndarray(part.numpy(), format="fltp", layout=LAYOUTS[len(part)])
        frame.sample_rate, frame.pts, frame.time_base = self.sound.rate, self.position, Fraction(1, self.sound.rate)
        self.container.mux(self.stream.encode(frame))
        self.position = stop

    def close(self) -> None:
        self.add_until(self.sound.waveform.shape[1])
        self.container.mux(self.stream.encode(None))


def _even(pixels: Tensor) -> Tensor:
    height, width = pixels.shape[:2]
    if height % 2:
        pixels = torch.cat((pixels, pixels[-1:]))
    if width % 2:
        pixels = torch.cat((pixels, pixels[:, -1:]), dim=1)
    return pixels.contiguous()
