"""Comparing a visit with what its machine said meanwhile. Pure: the same visit and tracks give the same judgement.

Levels: 0 nothing seen, 1 presence only, 2 the machine agrees in part, 3 it agrees on every observable item, 4 as 3 by
a gateway whose key sits in a chip. Passengers use a lift all day, so only items that take somebody who works on the
machine (`shows_work`) lift a visit above presence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from devices.visit_rules import RuleForm, VisitRule

if TYPE_CHECKING:
    from contracts.visit import Visit

TOLERANCE_MS = 10 * 60_000  # by which phone and machine may disagree on the time
SILENT_MS = 3 * 3_600_000  # a value older than this says nothing any more: modules report every hour
_CHIP_CLASSES = ("token", "attested")

Track = Sequence[tuple[int, int]]
"""One quantity as its device told it: (instant in ms, value), by the device's own time, oldest first."""

Stretch = tuple[int, int, int]
"""From, to (ms) and the value that stood meanwhile."""


class Finding(StrEnum):
    """What the machine says about one item of a visit."""

    CONFIRMED = "confirmed"
    NOT_SEEN = "not-seen"  # it was heard all the time, and did not show it
    CONTRADICTED = "contradicted"  # it showed the opposite
    NOT_OBSERVABLE = "not-observable"  # it was silent, or there is nothing that could show it


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A level with what it rests on, as the verdict entry's detail holds it."""

    level: int
    facts: Mapping[str, object]
    verdict: Mapping[str, object]


def window_of(visit: "Visit") -> tuple[int, int]:
    """The time that is looked at, in ms."""
    return visit.started_at_s * 1000 - TOLERANCE_MS, visit.ended_at_s * 1000 + TOLERANCE_MS


def judge(
    visit: "Visit", rules: Sequence[VisitRule], tracks: Mapping[str, Track], *, presence: Finding, key_class: str
) -> Judgement:
    """The level of a visit.

    Args:
        rules: of the device's profile.
        tracks: of every quantity that the rules name, from before the window to behind it.
        presence: what the presence proof was worth.
        key_class: of this gateway's key: file, token or attested.
    """
    window = window_of(visit)
    findings: dict[str, Finding] = {}
    facts: dict[str, object] = {"from_ms": window[0], "to_ms": window[1], "heard": _heard(tracks, window)}
    for rule in rules:
        findings[rule.item], facts[rule.item] = _find(rule, tracks, window)
    level = _level(rules, findings, presence)
    if level == 3 and key_class in _CHIP_CLASSES:
        level = 4
    items = {item: finding.value for item, finding in findings.items()}
    return Judgement(
        level=level, facts=facts, verdict={"items": items, "presence": presence.value, "key_class": key_class}
    )


def _level(rules: Sequence[VisitRule], findings: Mapping[str, Finding], presence: Finding) -> int:
    if any(rule.shows_work and findings[rule.item] is Finding.CONFIRMED for rule in rules):
        observable = [finding for finding in findings.values() if finding is not Finding.NOT_OBSERVABLE]
        return 3 if all(finding is Finding.CONFIRMED for finding in observable) else 2
    return 1 if presence is Finding.CONFIRMED else 0


def _find(rule: VisitRule, tracks: Mapping[str, Track], window: tuple[int, int]) -> tuple[Finding, dict[str, int]]:
    match rule.form:
        case RuleForm.HELD:
            return _held(rule, tracks.get(rule.quantity, ()), window)
        case RuleForm.ROSE:
            return _rose(rule, tracks, window)
        case RuleForm.ENDED:
            return _ended(rule, tracks.get(rule.quantity, ()), window)


def _held(rule: VisitRule, track: Track, window: tuple[int, int]) -> tuple[Finding, dict[str, int]]:
    stretches = _stretches(track, window)
    held = [(start, end) for start, end, value in stretches if value == rule.code]
    seconds = sum(end - start for start, end in held) // 1000
    facts = {"seconds": seconds}
    if held and seconds:
        facts |= {"from_ms": held[0][0], "to_ms": held[-1][1]}
    return _enough(seconds >= rule.minimum, stretches, window), facts


def _rose(rule: VisitRule, tracks: Mapping[str, Track], window: tuple[int, int]) -> tuple[Finding, dict[str, int]]:
    stretches = _stretches(tracks.get(rule.during_quantity, ()), window)
    counter = tracks.get(rule.quantity, ())
    rise = 0
    for start, end, value in stretches:
        if value == rule.during_code:
            told = [count for at_ms, count in counter if start <= at_ms <= end]
            rise += max(0, told[-1] - told[0]) if told else 0
    return _enough(rise >= rule.minimum, stretches, window), {"rise": rise}


def _ended(rule: VisitRule, track: Track, window: tuple[int, int]) -> tuple[Finding, dict[str, int]]:
    last = next((value for start, end, value in reversed(_stretches(track, window)) if end >= window[1]), None)
    if last is None:
        return Finding.NOT_OBSERVABLE, {}
    return (Finding.CONFIRMED if last == rule.code else Finding.CONTRADICTED), {"code": last}


def _enough(is_enough: bool, stretches: Sequence[Stretch], window: tuple[int, int]) -> Finding:
    if is_enough:
        return Finding.CONFIRMED
    covered = sum(end - start for start, end, _ in stretches)
    return Finding.NOT_SEEN if covered >= window[1] - window[0] else Finding.NOT_OBSERVABLE


def _stretches(track: Track, window: tuple[int, int]) -> list[Stretch]:
    """From when to when which value stood within the window; a value stands until the next, at most `SILENT_MS`."""
    found: list[Stretch] = []
    for number, (at_ms, value) in enumerate(track):
        end = at_ms + SILENT_MS
        if number + 1 < len(track):
            end = min(end, track[number + 1][0])
        start, end = max(at_ms, window[0]), min(end, window[1])
        if start < end:
            found.append((start, end, value))
    return found


def _heard(tracks: Mapping[str, Track], window: tuple[int, int]) -> int:
    """How many times the device spoke within the window."""
    return len({at_ms for track in tracks.values() for at_ms, _ in track if window[0] <= at_ms <= window[1]})
