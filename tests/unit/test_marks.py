"""Marks that people see: the badge on the picture, and what the file says of itself."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
import torch
import yaml
from PIL import ImageFont
from torch import Tensor

from kinetophone.pipelines.clip.clip import Clip, silent
from kinetophone.pipelines.marks import disclosure as module
from kinetophone.pipelines.marks import fonts
from kinetophone.pipelines.marks.disclosure import TAG, disclosure
from kinetophone.pipelines.marks.options import LANGUAGES, NONE
from kinetophone.pipelines.marks.options import PLACES as CHOICES
from kinetophone.pipelines.marks.visible import (
    FADE,
    PLACES,
    ROUTE,
    STAY,
    badge_height,
    draw_badge,
    image_badge,
    marked,
    whereabouts,
)
from kinetophone.pipelines.types import VideoShape

FPS = Fraction(24)


def plain(level: int, frames: int = 24, height: int = 180, width: int = 320) -> Clip:
    def source(start: int, stop: int) -> Iterator[Tensor]:
        for first in range(start, stop, 5):
            yield torch.full((min(5, stop - first), height, width, 3), level, dtype=torch.uint8)

    return Clip(VideoShape(width, height, frames, FPS), source, silent)


def changed(clip: Clip, level: int, *span: int) -> Tensor:
    """Where frames differ from the plain picture, `[n, H, W]`."""
    return (torch.cat(list(clip.frames(*span))).int() - level).abs().amax(-1) > 2


def contrast(frame: Tensor, area: Tensor) -> float:
    """Ratio of the lightest to the darkest within an area, as WCAG counts it."""
    light = (frame.float() / 255) ** 2.2 @ torch.tensor([0.2126, 0.7152, 0.0722])
    inside = light[area]
    return ((inside.quantile(0.98) + 0.05) / (inside.quantile(0.2) + 0.05)).item()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only folder of fonts that there is."""
    monkeypatch.setattr(fonts, "FOLDERS", (str(tmp_path),))
    fonts._path_of.cache_clear()
    yield tmp_path
    fonts._path_of.cache_clear()


def write_font(path: Path, letters: str) -> None:
    """Pillow's own font with shapes for the visible letters of ASCII and, any that it has, for others."""
    content = ImageFont.load_default(20).font_bytes
    groups = [(0x20, 0x7E, 1)] + [(ord(letter), ord(letter), 30 + n) for n, letter in enumerate(sorted(letters))]
    table = struct.pack(">HHHHIHHIII", 0, 1, 3, 10, 12, 12, 0, 16 + 12 * len(groups), 0, len(groups))
    table += b"".join(struct.pack(">III", *group) for group in groups)
    at = content.index(b"cmap", 12, 12 + 16 * int.from_bytes(content[4:6], "big"))
    path.write_bytes(content[: at + 8] + struct.pack(">II", len(content), len(table)) + content[at + 16 :] + table)


@pytest.mark.parametrize("level", [0, 90, 128, 200, 255])
def test_the_badge_is_legible_on_every_ground(level: int) -> None:
    clip = marked(plain(level), draw_badge("Made with AI", 24), "left")
    area = changed(clip, level, 0, 1)[0]
    rows, columns = area.nonzero().amin(0), area.nonzero().amax(0)
    box = torch.zeros_like(area)
    box[rows[0] + 3 : columns[0] - 3, rows[1] + 12 : columns[1] - 12] = True
    assert contrast(next(iter(clip.frames(0, 1)))[0], box) > 4.5


def test_it_moves_stays_inside_and_leaves_the_rest_alone() -> None:
    clip = marked(plain(100, frames=24 * 12), draw_badge("Made with AI", 16))
    middles = []
    for index in range(24, 24 * 12, 48):
        area = changed(clip, 100, index, index + 1)[0]
        assert 200 < area.sum() < 0.08 * area.numel()
        assert not area[:4].any() and not area[-20:].any() and not area[:, :4].any() and not area[:, -4:].any()
        # Never over what is in the middle of the picture.
        assert not area[54:126, 107:213].any()
        middles.append(area.nonzero().float().mean(0))
    assert len({tuple((middle / 30).round().tolist()) for middle in middles}) == len(ROUTE)


def seen_in_crops(width: int, height: int, crop_width: int, crop_height: int) -> list[list[float]]:
    """Shares of the badge in 48 frames of 12 s, for crops from the left or top over the middle to the end."""
    shape = VideoShape(width, height, 48, Fraction(4))
    base = Clip(shape, lambda a, b: iter([torch.full((b - a, height, width, 3), 100, dtype=torch.uint8)]), silent)
    areas = changed(marked(base, draw_badge("Made with AI", badge_height(shape))), 100)
    whole = areas.sum((1, 2)).amax()
    steps = [step / 8 for step in range(9)]
    corners = {(round(step * (width - crop_width)), round(step * (height - crop_height))) for step in steps}
    crops = [areas[:, y : y + crop_height, x : x + crop_width] for x, y in sorted(corners)]
    return [(crop.sum((1, 2)) / whole).tolist() for crop in crops]


@pytest.mark.parametrize(
    ("width", "height", "crop_width", "crop_height"),
    [
        (640, 360, 202, 360), (640, 360, 360, 360), (640, 360, 288, 360), (640, 360, 213, 360), (640, 360, 640, 120),
        (360, 640, 360, 202), (360, 640, 360, 360), (360, 640, 360, 213), (360, 640, 120, 640),
    ],
)  # fmt: skip
def test_no_crop_for_another_screen_and_no_third_escapes_the_moving_badge(
    width: int, height: int, crop_width: int, crop_height: int
) -> None:
    shares = seen_in_crops(width, height, crop_width, crop_height)
    assert len(shares) == 9 and min(max(share) for share in shares) > 0.7
    # Most crops are of the middle of a wide picture.
    if width > height == crop_height:
        assert max(shares[4][:24]) > 0.95 and max(shares[4][24:]) > 0.95


def test_it_is_on_every_frame_and_fades_between_places() -> None:
    assert whereabouts(Fraction(0)) == whereabouts(STAY * len(ROUTE) + 1) == [(ROUTE[0], 1.0)]
    assert whereabouts(STAY + FADE / 4) == [(ROUTE[0], 0.75), (ROUTE[1], 0.25)]
    clip = marked(plain(100, frames=24 * 3), draw_badge("Made with AI", 16))
    strongest = [(frame.float() - 100).abs().amax() for chunk in clip.frames() for frame in chunk]
    assert min(strongest) > 0.45 * max(strongest)


def test_any_span_is_marked_alike_and_the_source_is_left_alone() -> None:
    frames = torch.full((96, 180, 320, 3), 100, dtype=torch.uint8)
    base = Clip(VideoShape(320, 180, 96, FPS), lambda a, b: iter([frames[a:b]]), silent)
    clip = marked(base, draw_badge("AI", 20))
    whole = torch.cat(list(clip.frames()))
    assert torch.equal(torch.cat(list(clip.frames(70, 80))), whole[70:80])
    assert bool((frames == 100).all())


def test_an_image_can_be_the_badge() -> None:
    image = torch.zeros(1, 40, 80, 3)
    image[..., 0] = 1.0
    hidden = torch.zeros(1, 40, 80)
    hidden[:, :, 40:] = 1.0
    clip = marked(plain(100), image_badge(image, hidden, 20), "top left", 1.0)
    frame = next(iter(clip.frames(0, 1)))[0]
    area = (frame.int() - 100).abs().amax(-1) > 2
    assert area.sum() == pytest.approx(20 * 20, abs=25)
    assert frame[area].float().mean(0).tolist() == pytest.approx([255, 0, 0], abs=8)
    assert image_badge(torch.rand(1, 8, 8, 4), None, 10).cover.shape == (10, 10, 1)


def test_letters_that_no_font_has_are_refused_and_named(folder: Path) -> None:
    (folder / "broken.ttf").write_bytes(b"no font")
    write_font(folder / "other.ttf", "国")
    for text, lacking in (("AI 日本", "日, 本"), ("Сделано", "С, д, е, л, а, н, о")):
        with pytest.raises(ValueError, match=f"own lacks {lacking}\\. Install"):
            draw_badge(text, 20)
    assert draw_badge("Made with AI", 20).colour.shape[0] == 20


def test_letters_that_the_default_font_lacks_come_from_one_that_has_them(folder: Path) -> None:
    write_font(folder / "half.ttf", "日")
    (folder / "below").mkdir()
    write_font(folder / "below" / "Whole Sans.TTF", "中国日本é")
    first, second = draw_badge("日本", 20), draw_badge("中国", 20)
    assert first.colour.shape != second.colour.shape or not torch.equal(first.colour, second.colour)
    longer = draw_badge("Made with AI 日本", 20).colour.shape[1]
    assert draw_badge("Made with AI", 20).colour.shape[1] < longer < 2 * draw_badge("Made with AI", 20).colour.shape[1]
    assert torch.equal(draw_badge("é", 20).colour, draw_badge("e\u0301", 20).colour)


def test_plain_fonts_of_known_families_are_tried_first() -> None:
    names = ["LastResort.otf", "unifont.otf", "NotoSansCJK-Black.ttc", "NotoSansCJK-Regular.ttc", "DejaVuSans-Bold.ttf"]
    ordered = ["DejaVuSans-Bold.ttf", "NotoSansCJK-Regular.ttc", "NotoSansCJK-Black.ttc", "unifont.otf"]
    assert sorted(names, key=fonts._rank) == [*ordered, "LastResort.otf"]


def test_letters_that_cannot_be_put_in_order_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_font(folder / "hebrew.ttf", "אב")
    monkeypatch.setattr(ImageFont.core, "HAVE_RAQM", False)
    with pytest.raises(ValueError, match="FriBiDi"):
        draw_badge("AI אב", 20)


def test_marks_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to 60"):
        draw_badge("  ", 20)
    with pytest.raises(ValueError, match="1 to 60"):
        draw_badge("x" * 61, 20)
    with pytest.raises(ValueError, match="does not fit"):
        marked(plain(0), draw_badge("a rather long text for so small a picture", 100))
    with pytest.raises(ValueError, match="no place"):
        marked(plain(0), draw_badge("AI", 20), "middle")


def test_every_language_has_its_sentence() -> None:
    texts = yaml.safe_load((module.Path(module.__file__).parent / "disclosure.yaml").read_text("utf-8"))
    assert (*texts, NONE) == LANGUAGES
    assert set(CHOICES) == {"moving", *PLACES}
    assert "artificial intelligence" in disclosure("English")[TAG] and disclosure(NONE) == {}
    with pytest.raises(ValueError, match="no disclosure"):
        disclosure("Klingon")
