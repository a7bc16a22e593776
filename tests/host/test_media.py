"""Videos of the host, as its versions hand them over."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from harness import Host

from kinetophone.pipelines.clip.clip import Clip, silent
from kinetophone.pipelines.media.formats import DEFAULT_FORMAT, find_format
from kinetophone.pipelines.media.write import write
from kinetophone.pipelines.types import VideoShape


class Trimming:
    """The first of the host's file videos that can be trimmed: it does not say so."""

    def __init__(self, file: str, *, start_time: float = 0, duration: float = 0) -> None:
        self.file, self.start, self.length = file, start_time, duration
        from comfy_api.latest import InputImpl

        self.inner = InputImpl.VideoFromFile(file)

    def get_stream_source(self) -> str:
        return self.file

    def get_dimensions(self) -> tuple[int, int]:
        return self.inner.get_dimensions()

    def get_duration(self) -> float:
        rest = self.inner.get_duration() - self.start
        return min(self.length, rest) if self.length else rest

    def get_components(self) -> object:
        parts = self.inner.get_components()
        first, count = round(self.start * 24), round(self.get_duration() * 24)
        return replace(parts, images=parts.images[first : first + count])


class Telling(Trimming):
    """The next one: it says how it is trimmed, and that an untrimmed one begins and lasts 0 s."""

    def get_active_trim_window(self) -> tuple[float, float]:
        return float(self.start), float(self.length)


class Cropping(Telling):
    """The next one: it can be cropped, and does not say so."""

    def __init__(self, file: str, *, crop: tuple[int, int, int, int] | None = None, **trim: float) -> None:
        super().__init__(file, **trim)
        self.crop = crop

    def get_dimensions(self) -> tuple[int, int]:
        return self.crop[2:] if self.crop else super().get_dimensions()

    def get_components(self) -> object:
        parts = super().get_components()
        x, y, width, height = self.crop or (0, 0, *super().get_dimensions())
        return replace(parts, images=parts.images[:, y : y + height, x : x + width])


class Editing(Cropping):
    """The newest one: it says whether its frames are edited; `scaled`, they are, and still as large as before."""

    def __init__(self, file: str, *, scaled: bool = False, **edits: Any) -> None:
        super().__init__(file, **edits)
        self.scaled = scaled

    def has_pending_frame_edits(self) -> bool:
        return self.scaled or self.crop is not None


TRIMS: list[dict[str, Any]] = [{"start_time": 0.5}, {"duration": 0.25}, {"start_time": 0.5, "duration": 0.25}]
CROPS: list[dict[str, Any]] = [{"crop": (16, 8, 32, 32)}]


@pytest.mark.parametrize(
    ("version", "edits"),
    [(Trimming, TRIMS), (Telling, TRIMS), (Cropping, TRIMS + CROPS), (Editing, [*TRIMS, *CROPS, {"scaled": True}])],
)
def test_a_file_of_any_host_is_a_file_until_it_is_edited(
    host: Host, tmp_path: Path, version: type[Trimming], edits: list[dict[str, Any]]
) -> None:
    file_video = type("VideoFromFile", (version,), {})
    picture = (torch.arange(24)[:, None, None, None] * 10).expand(24, 64, 128, 3)
    shape = VideoShape(128, 64, 24, Fraction(24))
    clip = Clip(shape, lambda start, stop: iter([picture[start:stop].to(torch.uint8)]), silent)
    path = write(clip, tmp_path / "file.mp4", find_format(DEFAULT_FORMAT), {})
    media, whole = host.pack("pipelines.host.media"), file_video(str(path))
    assert media.file_of(whole) == path and media.clip_of(whole).sources == (path,)
    assert "no signed provenance" in host.pack("pipelines.host.marks").verified(whole, None).text
    for edit in edits:
        video = file_video(str(path), **edit)
        assert media.file_of(video) is None, edit
        wanted, made = video.get_components().images, torch.cat(list(media.clip_of(video).frames()))
        assert made.shape == wanted.shape and (made - 255 * wanted).abs().max() < 1
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"broken\.mp4 is not a video"):
        media.clip_of(file_video(str(broken)))
