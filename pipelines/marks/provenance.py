"""Signed provenance after C2PA 2.x: what a file is, how it was made, of what; and what a signed file says.

A manifest is bound to every byte of the file, so signing comes last. Taking it out is easy: that a file has none says
nothing about where it came from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .identity import INSTALL, Identity
from .invisible import LINEAGE

MIME = {".mp4": "video/mp4"}
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED, COMPOSITE = f"{IPTC}trainedAlgorithmicMedia", f"{IPTC}compositeWithTrainedAlgorithmicMedia"
WITH = {"trainedAlgorithmicMedia": " by a model", "compositeWithTrainedAlgorithmicMedia": " with a model"}
AGENT = "Kinetophone"
OWN_ASSERTION = "org.kinetophone.generation"
# The invisible mark, by which a manifest that was taken out can be found again.
SOFT_BINDING = "org.kinetophone.watermark.1"
# Validation codes that only say that nobody vouches for the signer.
UNKNOWN_SIGNER = ("signingCredential.untrusted",)


@dataclass(frozen=True)
class Making:
    """How a video was made: by a model from nothing, or from `sources`; `facts` are told as they are (JSON)."""

    title: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    sources: Sequence[Path] = ()
    generated: bool = True


@dataclass(frozen=True)
class Verdict:
    """What a file's manifest is worth: `state` is Trusted, Valid, Invalid or None where there is no manifest."""

    state: str | None
    text: str
    manifest: Mapping[str, Any] = field(default_factory=dict)


def can_sign() -> bool:
    """Whether the packages that sign are installed."""
    try:
        _c2pa()
        import cryptography  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


def sign(path: Path, suffix: str, making: Making, identity: Identity) -> None:
    """Sign a finished file in place; it is replaced when the signed one is whole.

    Raises ValueError for a format that cannot carry a manifest and for an identity that may not sign.
    """
    c2pa = _c2pa()
    if suffix not in MIME:
        raise ValueError(f"A {suffix} file cannot carry signed provenance. Save as mp4, or switch signing off.")
    signed = path.with_name(f"{path.name}.signed")
    parts = (identity.algorithm, identity.certificates, identity.key)
    info = c2pa.C2paSignerInfo(*(part.encode() for part in parts), None)
    try:
        with (
            c2pa.Context(_settings(c2pa, [identity.root])) as context,
            c2pa.Signer.from_info(info) as signer,
            c2pa.Builder(_manifest(making), context) as builder,
        ):
            for number, source in enumerate(making.sources):
                _add(builder, source, f"source-{number}", "parentOf" if len(making.sources) == 1 else "componentOf")
            with path.open("rb") as plain, signed.open("w+b") as target:
                builder.sign(signer, MIME[suffix], plain, target)
        signed.replace(path)
    except c2pa.C2paError as error:
        raise ValueError(
            f"The file could not be signed as {identity.name}: {error}. Look at the certificate, or remove its "
            "settings to sign with a self-made one."
        ) from error
    finally:
        signed.unlink(missing_ok=True)


def verify(path: Path, anchors: Sequence[str] = ()) -> Verdict:
    """What a file says of itself, and whether that can be believed. `anchors` are PEM roots that the user trusts.

    Raises ValueError for a file that is not there.
    """
    if not path.is_file():
        raise ValueError(f"There is no file {path.name}.")
    c2pa = _c2pa()
    try:
        with (
            c2pa.Context(_settings(c2pa, anchors)) as context,
            path.open("rb") as file,
            c2pa.Reader(MIME.get(path.suffix.lower(), "video/mp4"), file, context=context) as reader,
        ):
            state, store = reader.get_validation_state(), json.loads(reader.json())
    except c2pa.C2paError as error:
        if "ManifestNotFound" in str(error):
            return Verdict(None, NO_MANIFEST)
        return Verdict(None, f"The file cannot be read as a signed video: {error}")
    return Verdict(state, _told(state, store), store)


NO_MANIFEST = (
    "The file carries no signed provenance. That says nothing about where it came from: a manifest is lost when a file "
    "is converted, and can be taken out."
)


def _told(state: str, store: Mapping[str, Any]) -> str:
    """A verdict for reading."""
    active = store["manifests"][store["active_manifest"]]
    signer = active.get("signature_info", {})
    name = signer.get("common_name") or signer.get("issuer") or "an unnamed signer"
    problems = [
        entry.get("code", "") for entry in store.get("validation_status", []) if entry.get("code") not in UNKNOWN_SIGNER
    ]
    heads = {
        "Trusted": f"Signed by {name}, whom you trust. Nothing was changed since.",
        "Valid": f"Signed by {name}. Nothing was changed since, but nobody you trust vouches for this signer.",
    }
    lines = [heads.get(state, f"Invalid: the file, or what it says of itself, was changed ({', '.join(problems)}).")]
    lines += _tree(store, store["active_manifest"], 0, set())
    return "\n".join(lines)


def _tree(store: Mapping[str, Any], label: str, depth: int, seen: set[str]) -> list[str]:
    """A manifest and what it was made of, a line each."""
    manifest = store["manifests"].get(label, {})
    indent = "  " * depth
    lines = [f"{indent}{manifest.get('title', 'untitled')}: {', '.join(_actions(manifest)) or 'no action recorded'}"]
    for ingredient in manifest.get("ingredients", []):
        below = ingredient.get("active_manifest")
        relation = {"parentOf": "made from", "componentOf": "contains"}.get(ingredient.get("relationship"), "uses")
        lines.append(f"{indent}  {relation} {ingredient.get('title', 'an unnamed file')}")
        # A manifest that claims to be its own ancestor must not lead round and round.
        if below and below not in seen:
            lines += _tree(store, below, depth + 2, {*seen, below})
    return lines


def _actions(manifest: Mapping[str, Any]) -> list[str]:
    found = []
    for assertion in manifest.get("assertions", []):
        if assertion.get("label", "").startswith("c2pa.actions"):
            for action in assertion["data"].get("actions", []):
                kind = action.get("digitalSourceType", "").rsplit("/", 1)[-1]
                found.append(action.get("action", "").removeprefix("c2pa.") + WITH.get(kind, ""))
    return found


def _manifest(making: Making) -> dict[str, Any]:
    kind = GENERATED if making.generated and not making.sources else COMPOSITE
    agent = {"name": AGENT}
    ids = [f"source-{number}" for number in range(len(making.sources))]
    if not ids:
        actions = [{"action": "c2pa.created", "digitalSourceType": kind, "softwareAgent": agent}]
    elif len(ids) == 1:
        actions = [{"action": "c2pa.opened", "parameters": {"ingredientIds": ids}, "softwareAgent": agent}]
        actions += [{"action": "c2pa.edited", "digitalSourceType": kind, "softwareAgent": agent}]
    else:
        actions = [{"action": "c2pa.created", "digitalSourceType": kind, "softwareAgent": agent}]
        actions += [{"action": "c2pa.placed", "parameters": {"ingredientIds": ids}, "softwareAgent": agent}]
    assertions: list[dict[str, Any]] = [{"label": "c2pa.actions.v2", "data": {"actions": actions}}]
    if making.facts:
        assertions.append({"label": OWN_ASSERTION, "data": dict(making.facts)})
    for payload in _watermarks(making.facts):
        block = {"scope": {}, "value": payload}
        assertions.append({"label": "c2pa.soft-binding", "data": {"alg": SOFT_BINDING, "blocks": [block]}})
    generator = [{"name": AGENT}]
    return {"claim_generator_info": generator, "title": making.title, "assertions": assertions}


def _watermarks(facts: Mapping[str, Any]) -> list[str]:
    """What a clip and the clips that it was made of are invisibly marked with."""
    found = [facts[LINEAGE]] if LINEAGE in facts else []
    found += [payload for parent in facts.get("parents", []) for payload in _watermarks(parent)]
    return list(dict.fromkeys(found))


def _add(builder: Any, source: Path, label: str, relationship: str) -> None:
    """A file that the video was made of, with its own manifest where it has one."""
    kind = MIME.get(source.suffix.lower())
    if kind is None or not source.is_file():
        return
    with source.open("rb") as file:
        builder.add_ingredient({"title": source.name, "relationship": relationship, "label": label}, kind, file)


def _settings(c2pa: Any, anchors: Sequence[str]) -> Any:
    trust = {"trust": {"user_anchors": "\n".join(anchors)}} if anchors else {}
    return c2pa.Settings.from_dict(
        {"verify": {"verify_trust": True}, "builder": {"thumbnail": {"enabled": False}}, **trust}
    )


def _c2pa() -> Any:
    try:
        import c2pa
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Signed provenance needs packages that are not installed. In the Python of ComfyUI, run: {INSTALL}",
            name=error.name,
        ) from error
    return c2pa
