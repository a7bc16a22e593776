"""The Policy node: what a prompt asks for is judged before anything is sampled, what was made as it is read."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import folder_paths

from ..clip.clip import Clip
from ..marks.guard import CLASSIFIER, classifier, guarded
from ..marks.policy import REFUSE, Outcome, Policy, Refused, check_screenplay, check_text, read_policy
from ..types import Screenplay
from .media import StreamVideo, clip_of
from .paths import output_target

NODE = "KinetophonePolicy"
REPORT = "kinetophone/policy/report"
# Where the lineage says that a refusal was overruled, and why.
LINEAGE = "policy_override"
BETWEEN = "; "
# Why Policy nodes overruled a refusal, by `_key`. The host keeps what a node gave for as long as nothing before it
# changes, so that a node of this run may have been judged in an earlier one. The oldest are forgotten.
_overruled: dict[str, str] = {}
REMEMBERED = 4096


@dataclass(frozen=True)
class Judged:
    """What the node gives on: the video with its policy, the outcome so far, and the report for reading."""

    video: StreamVideo | None
    outcome: str
    report: str


def judged(
    prompt: str,
    screenplay: Screenplay | None,
    video: Any,
    override: str,
    workflow: Mapping[str, Any] | None,
    node_id: str | None,
) -> Judged:
    """Check what is connected. Raises `Refused` for what the policy refuses, unless `override` says why not.

    `workflow` is the host's prompt, in which `node_id` is this node: `overrides` asks by them what was overruled.
    """
    policy, today = _policy(), datetime.date.today()
    findings = check_text(policy, prompt, "the prompt", today) if prompt.strip() else ()
    findings += check_screenplay(policy, screenplay, today) if screenplay is not None else ()
    outcome = Outcome(findings)
    reason, key = override.strip(), _key(workflow or {}, str(node_id))
    _remember(key, "")
    lines = [outcome.told()] if prompt.strip() or screenplay is not None else []
    if findings:
        lines.append(f"Report: {_report(outcome, reason)}")
    if outcome.action == REFUSE:
        if not reason:
            raise Refused(f"Stopped by the policy, before anything was made.\n{lines[0]}")
        lines.append(f"Overruled: {reason}")
        _remember(key, reason)
    watched = None
    if video is not None:
        lines.append(_watched(policy))
        known = [reason] if outcome.action == REFUSE else []
        watched = StreamVideo(_guarded(reasoned(clip_of(video), known), policy, today, reason, key))
    return Judged(watched, outcome.action, "\n".join(lines) or "Nothing is connected.")


def overrides(workflow: Mapping[str, Any]) -> list[str]:
    """The reasons for which refusals have been overruled by now, anywhere in a prompt of the host's.

    A video is judged while it is read: what of it was overruled is known when it has been.
    """
    nodes = [name for name, node in workflow.items() if isinstance(node, Mapping) and node.get("class_type") == NODE]
    keys = [_key(workflow, name) for name in nodes]
    return list(dict.fromkeys(_overruled[key] for key in keys if key in _overruled))


def reasoned(clip: Clip, reasons: list[str]) -> Clip:
    """The clip with these reasons in its lineage, after those that are there."""
    if not reasons:
        return clip
    told = BETWEEN.join([clip.lineage[LINEAGE], *reasons] if LINEAGE in clip.lineage else reasons)
    return replace(clip, lineage={**clip.lineage, LINEAGE: BETWEEN.join(dict.fromkeys(told.split(BETWEEN)))})


def state() -> str:
    """What a verdict depends on beside the inputs: the user's policy, and the day."""
    own = _own()
    return f"{datetime.date.today()} {own.stat().st_mtime_ns if own.is_file() else None}"


def _own() -> Path:
    return Path(folder_paths.get_user_directory()) / "kinetophone" / "policy.yaml"


def _policy() -> Policy:
    return read_policy(*([_own()] if _own().is_file() else []))


def _key(workflow: Mapping[str, Any], node_id: str) -> str:
    """A node with all that it depends on: where that is the same, its verdict is."""
    waiting, found = [node_id], {}
    while waiting:
        name = waiting.pop()
        if name in found or not isinstance(node := workflow.get(name), Mapping):
            continue
        inputs = node.get("inputs", {})
        found[name] = [node.get("class_type"), inputs]
        waiting += [str(value[0]) for value in inputs.values() if isinstance(value, list) and value]
    return hashlib.sha256(json.dumps([node_id, found], sort_keys=True, default=str).encode()).hexdigest()


def _remember(key: str, reason: str) -> None:
    """Why this node overruled a refusal; empty where it did not."""
    _overruled.pop(key, None)
    if reason:
        _overruled[key] = reason
    while len(_overruled) > REMEMBERED:
        del _overruled[next(iter(_overruled))]


def _guarded(clip: Clip, policy: Policy, today: datetime.date, reason: str, key: str) -> Clip:
    def on_outcome(outcome: Outcome) -> None:
        if outcome.findings:
            _report(outcome, reason)
        if outcome.action == REFUSE and reason:
            _remember(key, reason)

    return guarded(clip, policy, today, on_outcome, bool(reason))


def _watched(policy: Policy) -> str:
    """What will be looked at in the picture and the sound."""
    prints = sum(len(right.images) + len(right.sounds) for right in policy.rights)
    looked = f"The video is checked as it is saved or shown: {prints} fingerprints of the rights registry"
    if not any(rule.frames for rule in policy.rules):
        return f"{looked}."
    if classifier() is None:
        return f"{looked}. Not looked at for nudity: the package {CLASSIFIER} is not installed."
    return f"{looked}, and nudity."


def _report(outcome: Outcome, reason: str) -> Path:
    """Write what was found into a new file of the output folder."""
    target = output_target(REPORT, "json", 0, 0)
    partial = target.path.with_name(f".{target.path.name}.partial")
    told = {**outcome.data(), "override": reason if outcome.action == REFUSE else ""}
    partial.write_text(json.dumps(told, indent=1, ensure_ascii=False), "utf-8")
    partial.replace(target.path)
    return target.path
