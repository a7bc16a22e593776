"""What may be made: rules, rights of others and consent, read from files that people can read, and applied to texts."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..types import Screenplay
from .spelling import find, find_name, readings, without

DEFAULT = Path(__file__).parent / "policy.yaml"
ALLOW, WARN, REFUSE = "allow", "warn", "refuse"
ACTIONS = (ALLOW, WARN, REFUSE)
NEVER, CREDIT = "never", "with credit"
MAX_FILE = 1 << 20


class Refused(ValueError):
    """What was asked for, or what was made, is against the policy."""


@dataclass(frozen=True)
class Rule:
    """Matches a word of a list of `any`, or of each list of `all`; or frames that a classifier puts above a limit."""

    name: str
    action: str
    any: tuple[str, ...] = ()
    all: tuple[str, ...] = ()
    frames: str = ""
    above: float = 1.0


@dataclass(frozen=True)
class Right:
    """A name, character or style of somebody, with fingerprints, and what the holder permits.

    `permits` is "never", "with credit", or the last day on which it may be used.
    """

    name: str
    kind: str = "name"
    also: tuple[str, ...] = ()
    permits: str | datetime.date = NEVER
    images: tuple[str, ...] = ()
    sounds: tuple[str, ...] = ()

    def verdict(self, today: datetime.date) -> tuple[str, str]:
        """An action, and why."""
        if isinstance(self.permits, datetime.date):
            if today <= self.permits:
                return ALLOW, f"permitted until {self.permits}"
            return REFUSE, f"was permitted until {self.permits}"
        return (WARN, "permitted with credit") if self.permits == CREDIT else (REFUSE, "the holder does not permit it")


@dataclass(frozen=True)
class Person:
    """Somebody who is shown only with consent: where its record is kept, and until when it holds."""

    name: str
    also: tuple[str, ...] = ()
    record: str = ""
    until: datetime.date | None = None

    def verdict(self, today: datetime.date) -> tuple[str, str]:
        """An action, and why."""
        if not self.record:
            return REFUSE, "there is no record of consent"
        if self.until and today > self.until:
            return REFUSE, f"consent ended on {self.until}"
        return ALLOW, f"consent: {self.record}"


@dataclass(frozen=True)
class Policy:
    """Rules over lists of words, rights and people; `harmless` phrases are not looked at."""

    rules: tuple[Rule, ...] = ()
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    harmless: tuple[str, ...] = ()
    rights: tuple[Right, ...] = ()
    people: tuple[Person, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A rule that applied: what it asks for, what it applied to, and where that stood."""

    action: str
    rule: str
    evidence: str
    where: str
    why: str = ""

    def told(self) -> str:
        """For reading."""
        why = f" ({self.why})" if self.why else ""
        return f"{self.action}: {self.rule}{why}: {self.evidence!r} in {self.where}"


@dataclass(frozen=True)
class Outcome:
    """All findings of a check."""

    findings: tuple[Finding, ...] = ()

    @property
    def action(self) -> str:
        """The strictest that any finding asks for."""
        return max((finding.action for finding in self.findings), key=ACTIONS.index, default=ALLOW)

    def told(self) -> str:
        """For reading, the strictest first."""
        if not self.findings:
            return "Nothing was found against the policy."
        ordered = sorted(self.findings, key=lambda finding: -ACTIONS.index(finding.action))
        return "\n".join(finding.told() for finding in ordered)

    def data(self) -> dict[str, Any]:
        """For a report file."""
        return {"outcome": self.action, "findings": [asdict(finding) for finding in self.findings]}


def read_policy(*paths: Path) -> Policy:
    """The default policy with what files add to it. Raises ValueError that names file and place."""
    policy = Policy()
    for path in (DEFAULT, *paths):
        policy = _merged(policy, _parsed(path))
    for rule in policy.rules:
        for name in (*rule.any, *rule.all):
            if name not in policy.lists:
                raise ValueError(f"The policy's rule {rule.name!r} needs a list {name!r} that is not there.")
    return policy


def check_text(policy: Policy, text: str, where: str, today: datetime.date) -> tuple[Finding, ...]:
    """What of a policy a text is against, each rule, right and person at most once."""
    ways = [without(words, policy.harmless) for words in readings(text)]
    found = []
    for rule in policy.rules:
        lists = [_first(ways, policy.lists[name]) for name in rule.all]
        evidence = [word for word in lists if word] if all(lists) else []
        evidence += [word for name in rule.any if (word := _first(ways, policy.lists[name]))]
        if evidence:
            found.append(Finding(rule.action, rule.name, ", ".join(dict.fromkeys(evidence)), where))
    for owned in (*policy.rights, *policy.people):
        if word := _first(ways, _names(owned), find_name):
            action, why = owned.verdict(today)
            kind = owned.kind if isinstance(owned, Right) else "person"
            found.append(Finding(action, f"{kind} {owned.name}", word, where, why))
    return tuple(found)


def check_screenplay(policy: Policy, screenplay: Screenplay, today: datetime.date) -> tuple[Finding, ...]:
    """What of a policy any text of a screenplay is against: the prompt, captions, sounds and lines."""
    found = list(check_text(policy, screenplay.prompt, "the prompt", today))
    for number, shot in enumerate(screenplay.shots, 1):
        spoken = [line.text for line in shot.lines]
        text = " . ".join([shot.caption, shot.camera, *(cue.sound for cue in shot.cues), *spoken])
        found += check_text(policy, text, f"shot {number}", today)
    return tuple(found)


def _first(
    ways: Sequence[tuple[str, ...]], phrases: Iterable[str], look: Callable[[tuple[str, ...], str], str | None] = find
) -> str | None:
    return next((word for phrase in phrases for words in ways if (word := look(words, phrase))), None)


def _names(owned: Right | Person) -> tuple[str, ...]:
    return _plain((owned.name, *owned.also))


def _plain(phrases: Iterable[str]) -> tuple[str, ...]:
    """Phrases as the words of a text are read."""
    return tuple(" ".join(readings(str(phrase))[0]) for phrase in phrases)


def _parsed(path: Path) -> Policy:
    """One file."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise ValueError(f"it is larger than {MAX_FILE >> 20} MB")
        data = yaml.safe_load(path.read_text("utf-8")) or {}
        unknown = set(data) - {"rules", "lists", "harmless", "rights", "people"}
        if unknown:
            raise ValueError(f"it has no part {', '.join(sorted(unknown))}")
        return Policy(
            tuple(_rule(entry) for entry in data.get("rules", [])),
            {name: _plain(words) for name, words in data.get("lists", {}).items()},
            _plain(data.get("harmless", [])),
            tuple(_right(entry) for entry in data.get("rights", [])),
            tuple(_person(entry) for entry in data.get("people", [])),
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"The policy {path.name} cannot be used: {error}. The default shows what it may say."
        ) from error


def _rule(entry: Mapping[str, Any]) -> Rule:
    lists = {part: tuple(entry.get(part, ())) for part in ("any", "all")}
    rule = Rule(entry["name"], entry["action"], **lists, frames=entry.get("frames", ""), above=entry.get("above", 1.0))
    if rule.action not in ACTIONS:
        raise ValueError(f"the action of {rule.name!r} is {rule.action!r}; choose one of {', '.join(ACTIONS)}")
    return rule


def _right(entry: Mapping[str, Any]) -> Right:
    permits = entry.get("permits", NEVER)
    permits = permits["until"] if isinstance(permits, Mapping) else permits
    if permits not in (NEVER, CREDIT) and not isinstance(permits, datetime.date):
        raise ValueError(f"{entry['name']!r} permits {permits!r}; write never, with credit, or until: YEAR-MONTH-DAY")
    lists = {part: tuple(entry.get(part, ())) for part in ("also", "images", "sounds")}
    return Right(entry["name"], entry.get("kind", "name"), permits=permits, **lists)


def _person(entry: Mapping[str, Any]) -> Person:
    consent = entry.get("consent", {})
    return Person(entry["name"], tuple(entry.get("also", ())), str(consent.get("record", "")), consent.get("until"))


def _merged(first: Policy, second: Policy) -> Policy:
    """Lists grow, and what has the name of an entry replaces it."""
    names = dict.fromkeys((*first.lists, *second.lists))
    lists = {name: first.lists.get(name, ()) + second.lists.get(name, ()) for name in names}
    rules, rights, people = (
        tuple({entry.name: entry for entry in (*getattr(first, part), *getattr(second, part))}.values())
        for part in ("rules", "rights", "people")
    )
    return Policy(rules, lists, first.harmless + second.harmless, rights, people)
