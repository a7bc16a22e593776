"""Saving a video for the Save node: where, with what inside, and signed by whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..marks.disclosure import disclosure
from ..marks.options import NONE
from ..media.formats import find_format
from .marks import by_model, signer
from .media import StreamVideo, clip_of, save_output
from .paths import Target, output_target
from .policy import overrides, reasoned


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
    prompt = workflow.get("prompt") or {}
    clip, kind = reasoned(clip_of(video), overrides(prompt)), find_format(style[0])
    target = output_target(prefix, kind.extension, clip.shape.width, clip.shape.height)
    how = (kind.extension, target.filename, marks[1], prompt)
    finish, told = signer(clip, *how)

    def sign(path: Path) -> None:
        # Only now that all frames have passed is it known what of them was overruled.
        signer(reasoned(clip, overrides(prompt)), *how)[0](path)

    if marks[0] != NONE and not by_model(clip.lineage):
        told += (
            " The file says that artificial intelligence made or altered it, though nothing in it is known to be made "
            "by a model. If none was, set disclosure to none."
        )
    tags = {**workflow, **disclosure(marks[0])}
    save_output(StreamVideo(clip), target, kind, style[1], tags, node_id, finish and sign)
    return StreamVideo.of_file(target.path), target, told
