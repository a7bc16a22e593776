"""Signed provenance after C2PA 2.x: what a file is, how it was made, of what; and what a signed file says.

A manifest is bound to every byte of the file, so signing comes last. Taking it out is easy: that a file has none says
nothing about where it came from.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .identity import INSTALL, Identity
from .invisible import LINEAGE

MIME = {".mp4": "video/mp4"}
# Files that the video may have been made of and that can bring a manifest of their own.
READABLE = {**MIME, ".m4v": "video/x-m4v", ".mov": "video/quicktime", ".avi": "video/avi"}
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED, COMPOSITE = f"{IPTC}trainedAlgorithmicMedia", f"{IPTC}compositeWithTrainedAlgorithmicMedia"
WITH = {"trainedAlgorithmicMedia": " by a model", "compositeWithTrainedAlgorithmicMedia": " with a model"}
AGENT = "Kinetophone"
OWN_ASSERTION = "org.kinetophone.generation"
# The invisible mark, by which a manifest that was taken out can be found again.
SOFT_BINDING = "org.kinetophone.watermark.1"
# Validation codes that only say that nobody vouches for the signer.
UNKNOWN_SIGNER = ("signingCredential.untrusted",)
# C2PA leaves the file's type, its padding and that of the signature unsigned. A checksum of all bytes before it, in a
# padding box at the end, shows changes of those too; that it must be there is signed.
CHECKSUM = "org.kinetophone.checksum"
CHECKSUM_BOX = struct.pack(">I4s", 8 + hashlib.sha256().digest_size, b"free")
# What every manifest holds, readable or not.
TRACE = b"c2pa.signature"
LONGEST = 120


@dataclass(frozen=True)
class Making:
    """How a video was made: by a model from nothing, or from `sources`; `facts` are told as they are (JSON)."""

    title: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    sources: Sequence[Path] = ()
    generated: bool = True

    def ingredient(self, number: int) -> dict[str, str]:
        """What the manifest says of a source: the only one is a parent, several are components."""
        relationship = "parentOf" if len(self.sources) == 1 else "componentOf"
        return {"title": self.sources[number].name, "relationship": relationship, "label": f"source-{number}"}


@dataclass(frozen=True)
class Verdict:
    """What a file's manifest is worth: `state` is Trusted, Valid, Invalid, or None where no manifest was read."""

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


def check_format(suffix: str) -> None:
    """Raise ValueError for the suffix of a format that cannot carry a manifest."""
    if suffix not in MIME:
        raise ValueError(f"A {suffix} file cannot carry signed provenance. Save as mp4, or switch signing off.")


def sign(path: Path, suffix: str, making: Making, identity: Identity) -> None:
    """Sign a finished file in place; it is replaced when the signed one is whole.

    Raises ValueError for a format that cannot carry a manifest and for an identity that may not sign.
    """
    c2pa = _c2pa()
    check_format(suffix)
    signed = path.with_name(f"{path.name}.signed")
    parts = (identity.algorithm, identity.certificates, identity.key)
    info = c2pa.C2paSignerInfo(*(part.encode() for part in parts), None)
    try:
        with (
            c2pa.Context(_settings(c2pa, [identity.root])) as context,
            c2pa.Signer.from_info(info) as signer,
            _builder(c2pa, making, context) as builder,
            path.open("rb") as plain,
            signed.open("w+b") as target,
        ):
            builder.sign(signer, MIME[suffix], plain, target)
        with signed.open("ab") as target:
            target.write(CHECKSUM_BOX)
        checksum = _checksum(signed)
        with signed.open("ab") as target:
            target.write(checksum)
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

    Where the packages are missing that read a manifest, the text says so. Raises ValueError for a file that is not
    there.
    """
    if not path.is_file():
        raise ValueError(f"There is no file {path.name}.")
    try:
        c2pa = _c2pa()
    except ModuleNotFoundError as error:
        return Verdict(None, f"Signatures were not looked at. {error}")
    try:
        with (
            c2pa.Context(_settings(c2pa, anchors)) as context,
            path.open("rb") as file,
            c2pa.Reader(MIME.get(path.suffix.lower(), "video/mp4"), file, context=context) as reader,
        ):
            state, store = reader.get_validation_state(), json.loads(reader.json())
    except c2pa.C2paError as error:
        if _has_traces(path):
            return Verdict("Invalid", "Invalid: the file holds signed provenance that was changed and cannot be read.")
        if "ManifestNotFound" in str(error):
            return Verdict(None, NO_MANIFEST)
        return Verdict(None, f"The file cannot be read as a signed video: {_line(error)}")
    intact = not _promises_checksum(store) or _checksum_holds(path)
    return Verdict(state if intact else "Invalid", _told(state, store, intact), store)


NO_MANIFEST = (
    "The file carries no signed provenance. That says nothing about where it came from: a manifest is lost when a file "
    "is converted, and can be taken out."
)


def _active(store: Mapping[str, Any]) -> Mapping[str, Any]:
    """The manifest that counts; empty where the store names one that it does not hold."""
    return store.get("manifests", {}).get(store.get("active_manifest"), {})


def _promises_checksum(store: Mapping[str, Any]) -> bool:
    return any(assertion.get("label") == CHECKSUM for assertion in _active(store).get("assertions", []))


def _checksum(path: Path, left_out: int = 0) -> bytes:
    """The SHA-256 of a file but for its last `left_out` bytes."""
    digest, rest = hashlib.sha256(), path.stat().st_size - left_out
    with path.open("rb") as file:
        while rest > 0 and (part := file.read(min(rest, 1 << 20))):
            digest.update(part)
            rest -= len(part)
    return digest.digest()


def _checksum_holds(path: Path) -> bool:
    size = hashlib.sha256().digest_size
    with path.open("rb") as file:
        file.seek(-min(size, path.stat().st_size), 2)
        return file.read() == _checksum(path, size)


def _has_traces(path: Path) -> bool:
    """Whether a file holds a manifest, or what is left of one."""
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(TRACE) >= 0


def _line(text: object) -> str:
    """What a file says as one line that is not too long: it must not pass for a line of the verdict."""
    shown = " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)).split())
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]} ..."


def _told(state: str, store: Mapping[str, Any], intact: bool) -> str:
    """A verdict for reading."""
    signer = _active(store).get("signature_info", {})
    name = _line(signer.get("common_name") or signer.get("issuer") or "an unnamed signer")
    problems = [
        entry.get("code", "") for entry in store.get("validation_status", []) if entry.get("code") not in UNKNOWN_SIGNER
    ]
    if not intact:
        state, problems = "Invalid", [*problems, "checksum.mismatch"]
    heads = {
        "Trusted": f"Signed by {name}, whom you trust. Nothing was changed since.",
        "Valid": f"Signed by {name}. Nothing was changed since, but nobody you trust vouches for this signer.",
    }
    lines = [heads.get(state, f"Invalid: the file, or what it says of itself, was changed ({', '.join(problems)}).")]
    lines += _tree(store, str(store.get("active_manifest")), 0, set())
    return "\n".join(lines)


def _tree(store: Mapping[str, Any], label: str, depth: int, told: set[str]) -> Iterator[str]:
    """A manifest and what it was made of, a line each; what was `told` before is not told again.

    That also ends manifests that claim to be their own ancestors, or that name each other so often that the tree would
    have more lines than the file has bytes.
    """
    manifest = store.get("manifests", {}).get(label, {})
    indent = "  " * depth
    done = ", ".join(map(_line, _actions(manifest))) or "no action recorded"
    yield f"{indent}{_line(manifest.get('title', 'untitled'))}: {done}"
    for ingredient in manifest.get("ingredients", []):
        below = ingredient.get("active_manifest")
        relation = {"parentOf": "made from", "componentOf": "contains"}.get(ingredient.get("relationship"), "uses")
        yield f"{indent}  {relation} {_line(ingredient.get('title', 'an unnamed file'))}"
        if below and below not in told:
            told.add(below)
            yield from _tree(store, below, depth + 2, told)


def _actions(manifest: Mapping[str, Any]) -> list[str]:
    found = []
    for assertion in manifest.get("assertions", []):
        if assertion.get("label", "").startswith("c2pa.actions"):
            for action in (assertion.get("data") or {}).get("actions", []):
                kind = action.get("digitalSourceType", "").rsplit("/", 1)[-1]
                found.append(action.get("action", "").removeprefix("c2pa.") + WITH.get(kind, ""))
    return found


def _manifest(making: Making, bare: Sequence[int]) -> dict[str, Any]:
    kind = GENERATED if making.generated and not making.sources else COMPOSITE
    agent = {"name": AGENT}
    ids = [f"source-{number}" for number in range(len(making.sources))]
    if not ids:
        actions = [{"action": "c2pa.created", "digitalSourceType": kind, "softwareAgent": agent}]
    elif len(ids) == 1:
        actions = [{"action": "c2pa.opened", "parameters": {"ingredientIds": ids}, "softwareAgent": agent}]
        # Of a file that no model worked on here, nobody knows how it was made.
        by_model = {"digitalSourceType": kind} if making.generated else {}
        actions += [{"action": "c2pa.edited", **by_model, "softwareAgent": agent}]
    else:
        actions = [{"action": "c2pa.created", "digitalSourceType": kind, "softwareAgent": agent}]
        actions += [{"action": "c2pa.placed", "parameters": {"ingredientIds": ids}, "softwareAgent": agent}]
    assertions: list[dict[str, Any]] = [{"label": "c2pa.actions.v2", "data": {"actions": actions}}]
    assertions.append({"label": CHECKSUM, "data": {"alg": "sha256"}})
    if making.facts:
        assertions.append({"label": OWN_ASSERTION, "data": dict(making.facts)})
    for payload in _watermarks(making.facts):
        block = {"scope": {}, "value": payload}
        assertions.append({"label": "c2pa.soft-binding", "data": {"alg": SOFT_BINDING, "blocks": [block]}})
    generator = [{"name": AGENT}]
    named = [making.ingredient(number) for number in bare]
    return {
        "claim_generator_info": generator, "title": making.title, "assertions": assertions, "ingredients": named,
    }  # fmt: skip


def _watermarks(facts: Mapping[str, Any]) -> list[str]:
    """What a clip and the clips that it was made of are invisibly marked with."""
    found = [facts[LINEAGE]] if LINEAGE in facts else []
    found += [payload for parent in facts.get("parents", []) for payload in _watermarks(parent)]
    return list(dict.fromkeys(found))


def _builder(c2pa: Any, making: Making, context: Any, bare: frozenset[int] | None = None) -> Any:
    """What signs, with the manifests of the sources; those in `bare` are named only, because they cannot be read."""
    suffixes = [source.suffix.lower() if source.is_file() else "" for source in making.sources]
    bare = frozenset(n for n, suffix in enumerate(suffixes) if suffix not in READABLE) if bare is None else bare
    builder = c2pa.Builder(_manifest(making, sorted(bare)), context)
    for number in sorted(set(range(len(suffixes))) - bare):
        try:
            with making.sources[number].open("rb") as file:
                builder.add_ingredient(making.ingredient(number), READABLE[suffixes[number]], file)
        except c2pa.C2paError:
            # A damaged source must not cost the video that was made of it.
            builder.close()
            return _builder(c2pa, making, context, bare | {number})
    return builder


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
