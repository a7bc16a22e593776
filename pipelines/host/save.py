"""Saving a video for the Save node: where, with what inside, and signed by whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..marks.disclosure import disclosure
from ..media.formats import find_format
from .marks import signer
from .media import StreamVideo, clip_of, save_output
from .paths import Target, output_target
from .policy import LINEAGE, overrides


def saved(
    video: Any,
    prefix: str,
    style: tuple[str, str],
    marks: tuple[str, str],
    workflow: dict[str, Any],
    node_id: str | None,
) -> tuple[StreamVideo, Target, str]:
    """The file as a video, where it is, and what to tell the user.

    `style` is format and quality, `marks` the language of the disclosure and whether to sign.
    """
    clip, kind = clip_of(video), find_format(style[0])
    if reasons := overrides(workflow.get("prompt") or {}):
        clip = replace(clip, lineage={**clip.lineage, LINEAGE: "; ".join(reasons)})
    target = output_target(prefix, kind.extension, clip.shape.width, clip.shape.height)
    finish, told = signer(clip, kind.extension, target.filename, marks[1], workflow.get("prompt") or {})
    save_output(StreamVideo(clip), target, kind, style[1], {**workflow, **disclosure(marks[0])}, node_id, finish)
    return StreamVideo.of_file(target.path), target, told
