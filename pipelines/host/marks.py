"""Marks on the host: the Watermark node as a stage of the clip, signing what is saved, and verifying files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import folder_paths
from comfy.cli_args import args
from torch import Tensor

from ..clip.clip import Clip
from ..marks.detect import Detection, detect
from ..marks.identity import INSTALL, own_identity, own_watermark_key
from ..marks.invisible import invisibly_marked
from ..marks.options import INVISIBLE, KEYS, SIGNING
from ..marks.payload import PUBLIC_KEY, payload_of, shown
from ..marks.provenance import MIME, Making, Verdict, can_sign, check_format, sign, verify
from ..marks.sound import SECONDS
from ..marks.visible import badge_height, draw_badge, image_badge, marked
from .media import StreamVideo, clip_of, file_of
from .progress import watched

# What a user may not want to tell with the file is left out where the host is told to keep its workflows to itself.
WORKFLOW = "workflow"
PRIVATE = ("prompt", "negative", "seed", "shots", WORKFLOW)


def watermarked(
    video: Any, text: str, size: float, opacity: float, place: str, image: Tensor | None, mask: Tensor | None
) -> StreamVideo:
    """The video with a badge of `size` of the shorter side of the picture, from a text or from an image."""
    clip = clip_of(video)
    height = badge_height(clip.shape, size)
    badge = draw_badge(text, height) if image is None else image_badge(image, mask, height)
    return StreamVideo(marked(clip, badge, place, opacity))


def marked_invisibly(video: Any, says: str, where: str, key: str, workflow: Any) -> tuple[StreamVideo, str, str]:
    """The video with an invisible mark, what it says in hexadecimal, and what to tell the user.

    What it says is drawn from the workflow where the user wrote nothing, so that the same workflow marks alike.
    """
    payload = payload_of(says.strip() or json.dumps(workflow, sort_keys=True, default=str))
    clip = clip_of(video)
    marked = invisibly_marked(clip, payload, watermark_key(key), where)
    # Whether there is a sound is not known before it is made, which is for whoever reads the video.
    note = " It goes into the picture, and into the sound if there is one." if where == INVISIBLE[0] else ""
    if "sound" in where and clip.shape.seconds < SECONDS:
        note += f" A sound of less than {SECONDS:.0f} s may be too short to find it in."
    return StreamVideo(marked), shown(payload), f"The mark says {shown(payload)}.{note}"


def detected(video: Any, key: str, node_id: str | None) -> Detection:
    """The invisible marks of a key in a video."""
    return detect(watched(clip_of(video), node_id), watermark_key(key))


def watermark_key(key: str) -> str:
    """The key behind a choice."""
    return PUBLIC_KEY if key == KEYS[0] else own_watermark_key(identity_folder())


def signer(
    clip: Clip, extension: str, title: str, choice: str, workflow: Mapping[str, Any]
) -> tuple[Callable[[Path], None] | None, str]:
    """What signs the finished file, or nothing; and what to tell the user.

    `workflow` is the host's prompt, in which seed, screenplay and card stand; it is told with the rest of the facts.
    Raises before anything is written: ValueError for a format that cannot be signed, ModuleNotFoundError where the
    packages are missing, both only when it must be signed.
    """
    if_possible, always, _ = SIGNING
    suffix = f".{extension}"
    if choice not in (if_possible, always):
        return None, "Not signed."
    if choice == if_possible and suffix not in MIME:
        return None, f"Not signed: {extension} files cannot carry signed provenance."
    if choice == if_possible and not can_sign():
        return None, f"Not signed: that needs packages which are not installed ({INSTALL})."
    check_format(suffix)
    if not can_sign():
        raise ModuleNotFoundError(
            f"Signing needs packages that are not installed. In the Python of ComfyUI, run: {INSTALL}"
        )
    identity = own_identity(identity_folder())
    facts = {**clip.lineage, **({WORKFLOW: workflow} if workflow else {})}
    facts = _public(facts) if args.disable_metadata else facts
    making = Making(title, facts, clip.sources, generated=by_model(clip.lineage))
    return (lambda path: sign(path, suffix, making, identity)), f"Signed by {identity.name}."


def _public(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts without the private ones, of the clips too that a clip was made of."""
    told = {key: value for key, value in facts.items() if key not in PRIVATE}
    return {**told, "parents": [_public(parent) for parent in told["parents"]]} if "parents" in told else told


def by_model(lineage: Mapping[str, Any]) -> bool:
    """Whether a model is known to have made a clip, or one that it was made of."""
    return "model" in lineage or any(map(by_model, lineage.get("parents", ())))


def verified(video: Any, node_id: str | None) -> Verdict:
    """What the file behind a VIDEO says of itself, and where no manifest was read, its invisible marks.

    Raises ValueError for a video that is no file.
    """
    path = file_of(video)
    if path is None:
        raise ValueError("Verify looks at a file as it is. Load it with Load Video, and connect nothing in between.")
    verdict = verify(path, trusted())
    if verdict.state is not None:
        return verdict
    found = [f"With the {key} key: {detected(video, key, node_id).report()}" for key in KEYS]
    return replace(verdict, text="\n".join([verdict.text, *found]))


def trusted() -> list[str]:
    """Roots that this user trusts: the own one, and every `.pem` in `kinetophone/trusted` of the user folder."""
    own = [own_identity(identity_folder()).root] if can_sign() else []
    folder = identity_folder().parent / "trusted"
    return own + [path.read_text("ascii", "replace") for path in sorted(folder.glob("*.pem"))]


def identity_folder() -> Path:
    """Where certificate and key are kept."""
    return Path(folder_paths.get_user_directory()) / "kinetophone" / "identity"
