"""What may be made: rules, rights of others and consent, read from files that people can read, and applied to texts."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ..types import Screenplay
from .spelling import find, find_name, readings, without

DEFAULT = Path(__file__).parent / "policy.yaml"
ALLOW, WARN, REFUSE = "allow", "warn", "refuse"
ACTIONS = (ALLOW, WARN, REFUSE)
NEVER, CREDIT = "never", "with credit"
NUDITY = "nudity"
PARTS = ("rules", "lists", "harmless", "rights", "people")
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


Entry = TypeVar("Entry", Rule, Right, Person)


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping: YAML would keep the last alone."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line, name = key.start_mark.line + 1, (key.tag, key.value)
            if name in lines:
                advice = "put all entries under one" if key.value in PARTS else "only one can hold"
                raise ValueError(f"{key.value!r} stands twice, in lines {lines[name]} and {line}; {advice}")
            lines[name] = line
        return node


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
    policy, own = _parsed(DEFAULT), []
    for path in paths:
        added = _parsed(path)
        policy, own = _merged(policy, added), [*own, *added.lists]
    for rule in policy.rules:
        for name in (*rule.any, *rule.all):
            if name not in policy.lists:
                raise ValueError(f"The policy's rule {rule.name!r} needs a list {name!r} that is not there.")
    used = {name for rule in policy.rules for name in (*rule.any, *rule.all)}
    for name in own:
        if name not in used:
            raise ValueError(
                f"No rule of the policy looks at the list {name!r}. Name it in a rule's any or all, or add to one of "
                f"{', '.join(sorted(map(str, used)))}."
            )
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
        data = _Loader(path.read_text("utf-8")).get_single_data()
        parts = _known({} if data is None else data, "it", PARTS)
        lists = _part(parts, "lists", {})
        if not isinstance(lists, Mapping):
            raise ValueError(f"lists must be lists with names, such as pets: [hamster]; got {lists!r:.60}")
        return Policy(
            _entries(parts, "rules", _rule),
            {name: _plain(_phrases(words, f"the list {name!r}")) for name, words in lists.items()},
            _plain(_phrases(_part(parts, "harmless", []), "harmless")),
            _entries(parts, "rights", _right),
            _entries(parts, "people", _person),
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"The policy {path.name} cannot be used: {error}. The default shows what it may say."
        ) from error


def _part(parts: Mapping[str, Any], part: str, empty: Any) -> Any:
    """A part of a file, which may be left out or have nothing under it."""
    return empty if parts.get(part) is None else parts[part]


def _entries(parts: Mapping[str, Any], part: str, read: Callable[[Any, str], Entry]) -> tuple[Entry, ...]:
    """A part of a file whose entries have names of their own."""
    entries, found = _part(parts, part, []), {}
    if not isinstance(entries, list):
        raise ValueError(f"{part} must be a list of entries; got {entries!r:.60}")
    for number, entry in enumerate(entries, 1):
        name = entry.get("name") if isinstance(entry, Mapping) else None
        where = f"entry {number} of {part}" + (f" ({name!r:.60})" if name else "")
        made = read(entry, where)
        if made.name in found:
            raise ValueError(f"{where} has the name of an entry before it, which it would replace")
        found[made.name] = made
    return tuple(found.values())


def _rule(entry: Any, where: str) -> Rule:
    data = _known(entry, where, ("name", "action", "any", "all", "frames", "above"))
    name, action = _text(data, "name", where), data.get("action")
    if action not in ACTIONS:
        raise ValueError(f"{where}: the action is {action!r:.60}; choose one of {', '.join(ACTIONS)}")
    lists = {part: _texts(data.get(part, []), f"{where}: {part}") for part in ("any", "all")}
    if "frames" in data or "above" in data:
        frames, above = data.get("frames"), data.get("above")
        if frames != NUDITY or type(above) not in (int, float) or not 0 <= above < 1:
            raise ValueError(
                f"{where}: frames must be {NUDITY}, and above a number from 0 to less than 1; got {frames!r:.60} and "
                f"{above!r:.60}"
            )
        return Rule(name, action, **lists, frames=frames, above=above)
    if not any(lists.values()):
        raise ValueError(f"{where} finds nothing: it needs any, all or frames")
    return Rule(name, action, **lists)


def _right(entry: Any, where: str) -> Right:
    data = _known(entry, where, ("name", "kind", "also", "permits", "images", "sounds"))
    permits = data.get("permits", NEVER)
    if isinstance(permits, Mapping):
        permits = _day(_known(permits, f"{where}: permits", ("until",)).get("until"), where)
    elif isinstance(permits, datetime.date):
        permits = _day(permits, where)
    elif permits not in (NEVER, CREDIT):
        raise ValueError(f"{where} permits {permits!r:.60}; write never, with credit, or until: YEAR-MONTH-DAY")
    return Right(
        _text(data, "name", where),
        _text(data, "kind", where) if "kind" in data else "name",
        _phrases(data.get("also", []), f"{where}: also"),
        permits,
        *(_texts(data.get(part, []), f"{where}: {part}") for part in ("images", "sounds")),
    )


def _person(entry: Any, where: str) -> Person:
    data = _known(entry, where, ("name", "also", "consent"))
    name, also = _text(data, "name", where), _phrases(data.get("also", []), f"{where}: also")
    if "consent" not in data:
        return Person(name, also)
    consent = _known(data["consent"], f"{where}: consent", ("record", "until"))
    until = _day(consent["until"], where) if "until" in consent else None
    return Person(name, also, _text(consent, "record", where), until)


def _known(entry: Any, where: str, parts: tuple[str, ...]) -> Mapping[str, Any]:
    """What has no other parts than these."""
    if not isinstance(entry, Mapping):
        raise ValueError(f"{where} must have parts with names, of {', '.join(parts)}; got {entry!r:.60}")
    unknown = [str(part) for part in entry if part not in parts]
    if unknown:
        raise ValueError(f"{where} has no part {', '.join(unknown)}; known are {', '.join(parts)}")
    return entry


def _text(entry: Mapping[str, Any], part: str, where: str) -> str:
    text = entry.get(part)
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{where}: {part} must be a text, in quotes if need be; got {text!r:.60}")
    return text


def _texts(texts: Any, where: str) -> tuple[str, ...]:
    if not isinstance(texts, list):
        raise ValueError(f"{where} must be a list, such as [one, another]; got {texts!r:.60}")
    for text in texts:
        if not isinstance(text, str):
            raise ValueError(f"{where} must hold texts, in quotes if need be; got {text!r:.60}")
    return tuple(texts)


def _phrases(phrases: Any, where: str) -> tuple[str, ...]:
    """Texts that can be looked for."""
    texts = _texts(phrases, where)
    for phrase, words in zip(texts, _plain(texts), strict=True):
        if not words:
            raise ValueError(f"{where}: {phrase!r:.60} cannot be found, it has no Latin letter and no digit")
    return texts


def _day(value: Any, where: str) -> datetime.date:
    try:
        day = datetime.date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        day = None
    # A time is a date as well, for Python.
    if not isinstance(day, datetime.date) or isinstance(day, datetime.datetime):
        raise ValueError(f"{where}: until is {str(value)!r:.60}; write a day, as YEAR-MONTH-DAY")
    return day


def _merged(first: Policy, second: Policy) -> Policy:
    """Lists grow, and what has the name of an entry replaces it."""
    names = dict.fromkeys((*first.lists, *second.lists))
    lists = {name: first.lists.get(name, ()) + second.lists.get(name, ()) for name in names}
    rules, rights, people = (
        tuple({entry.name: entry for entry in (*getattr(first, part), *getattr(second, part))}.values())
        for part in ("rules", "rights", "people")
    )
    return Policy(rules, lists, first.harmless + second.harmless, rights, people)
