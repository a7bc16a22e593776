"""The Policy node: what a prompt asks for is judged before anything is sampled, what was made as it is read."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import folder_paths

from ..marks.guard import CLASSIFIER, classifier, guarded
from ..marks.policy import REFUSE, Outcome, Policy, Refused, check_screenplay, check_text, read_policy
from ..types import Screenplay
from .media import StreamVideo, clip_of
from .paths import output_target

NODE = "KinetophonePolicy"
REPORT = "kinetophone/policy/report"
# Where the lineage says that a refusal was overruled, and why.
LINEAGE = "policy_override"


@dataclass(frozen=True)
class Judged:
    """What the node gives on: the video with its policy, the outcome so far, and the report for reading."""

    video: StreamVideo | None
    outcome: str
    report: str


def judged(prompt: str, screenplay: Screenplay | None, video: Any, override: str) -> Judged:
    """Check what is connected. Raises `Refused` for what the policy refuses, unless `override` says why not."""
    policy, today = _policy(), datetime.date.today()
    findings = check_text(policy, prompt, "the prompt", today) if prompt.strip() else ()
    findings += check_screenplay(policy, screenplay, today) if screenplay is not None else ()
    outcome = Outcome(findings)
    reason = override.strip()
    lines = [outcome.told()] if prompt.strip() or screenplay is not None else []
    if findings:
        lines.append(f"Report: {_report(outcome, reason)}")
    if outcome.action == REFUSE:
        if not reason:
            raise Refused(f"Stopped by the policy, before anything was made.\n{lines[0]}")
        lines.append(f"Overruled: {reason}")
    if video is not None:
        lines.append(_watched(policy))
    return Judged(_guarded(video, policy, today, reason), outcome.action, "\n".join(lines) or "Nothing is connected.")


def overrides(workflow: Mapping[str, Any]) -> list[str]:
    """The reasons for which refusals may have been overruled anywhere in a prompt of the host's."""
    nodes = [node for node in workflow.values() if isinstance(node, Mapping) and node.get("class_type") == NODE]
    reasons = [str(node.get("inputs", {}).get("override", "")).strip() for node in nodes]
    return [reason for reason in dict.fromkeys(reasons) if reason]


def state() -> str:
    """What a verdict depends on beside the inputs: the user's policy, and the day."""
    own = _own()
    return f"{datetime.date.today()} {own.stat().st_mtime_ns if own.is_file() else None}"


def _own() -> Path:
    return Path(folder_paths.get_user_directory()) / "kinetophone" / "policy.yaml"


def _policy() -> Policy:
    return read_policy(*([_own()] if _own().is_file() else []))


def _guarded(video: Any, policy: Policy, today: datetime.date, reason: str) -> StreamVideo | None:
    if video is None:
        return None

    def on_outcome(outcome: Outcome) -> None:
        if outcome.findings:
            _report(outcome, reason)

    clip = guarded(clip_of(video), policy, today, on_outcome, bool(reason))
    return StreamVideo(replace(clip, lineage={**clip.lineage, LINEAGE: reason}) if reason else clip)


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
    partial.write_text(json.dumps({**outcome.data(), "override": reason}, indent=1, ensure_ascii=False), "utf-8")
    partial.replace(target.path)
    return target.path
