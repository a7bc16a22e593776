"""Sync in a real graph: a shifted track is found out and put right, in the file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from harness import Host
from test_nodes import link

FLASHES = (0.5, 1.25, 1.75, 2.5)
RATE, FPS = 24_000, 24


def components(offset: float, sound: bool = True) -> tuple[torch.Tensor, dict | None]:
    """Flashes and clicks at the same times, the clicks `offset` seconds late; as the host's IMAGE and AUDIO."""
    images = torch.full((3 * FPS, 64, 96, 3), 0.2)
    wave = torch.zeros(3 * RATE)
    t = torch.arange(2400) / RATE
    for time in FLASHES:
        images[round(time * FPS) : round(time * FPS) + 3] = 0.9
        start = round((time + offset) * RATE)
        wave[start : start + 2400] = torch.sin(2 * math.pi * 700 * t) * torch.exp(-t * 30) * 0.5
    return images, {"waveform": wave[None, None], "sample_rate": RATE} if sound else None


def measured(host: Host, video: object) -> tuple:
    """What the node does, on a video that is no file."""
    return host.pack("pipelines.host.sync").measured(video, None)


@pytest.mark.parametrize("offset", [0.18, -0.24])
def test_a_late_track_is_measured_and_aligned_in_the_file(host: Host, base: Path, offset: float) -> None:
    images, audio = components(offset)
    video = host.call("CreateVideo", images=images, audio=audio, fps=float(FPS))[0]
    found, confidence, report, plot = measured(host, video)
    # A flash happened, on average, half a frame before it is first shown.
    assert found == pytest.approx(offset + 0.5 / FPS, abs=0.01) and confidence > 0.5
    assert "after" in report if offset > 0 else "before" in report
    assert plot.ndim == 4
    mended = host.call("KinetophoneAlignSync", video=video, offset=found, stretch=1.0)[0]
    assert measured(host, mended)[0] == pytest.approx(0.0, abs=0.004)
    target = base / "output" / "aligned.mp4"
    target.parent.mkdir(exist_ok=True)
    mended.save_to(str(target))
    prompt = {
        "load": {"class_type": "LoadVideo", "inputs": {"file": "aligned.mp4"}},
        "measure": {"class_type": "KinetophoneMeasureSync", "inputs": {"video": link("load")}},
    }
    (base / "input").mkdir(exist_ok=True)
    target.replace(base / "input" / "aligned.mp4")
    assert "in sync with" in host.run(prompt)["measure"]["text"][0]


def test_where_nothing_can_be_measured_the_node_says_why(host: Host) -> None:
    images, _ = components(0.0)
    silent = host.call("CreateVideo", images=images, audio=None, fps=float(FPS))[0]
    offset, confidence, report, _ = measured(host, silent)
    assert (offset, confidence) == (0.0, 0.0) and "no sound" in report
    with pytest.raises(ValueError, match="can be stretched"):
        host.call("KinetophoneAlignSync", video=silent, offset=0.0, stretch=5.0)
