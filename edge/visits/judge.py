"""Comparing a visit with what its machine said meanwhile. Pure: the same visit and tracks give the same judgement.

Levels: 0 nothing seen, 1 presence only, 2 the machine agrees in part, 3 it agrees on every observable item, 4 as 3 by
a gateway whose key sits in a chip. Passengers use a lift all day, so only items that take somebody who works on the
machine (`shows_work`) lift a visit above presence. Presence is an item like the others; where a display is paired, the
highest level takes it confirmed, so that nobody gains by pulling the display's plug. What the list says was a fault or
is absent is looked at as well: where the machine does not show it, the visit was not seen whole, so that writing off
the list makes no visit look better. What another visit was credited with is looked at no more: one piece of work is one
visit's.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devices.visit_rules import CALIBRATION_FORMS, METER_FORMS, SWAP_FORMS, VisitRule
from edge.visits.calibration_rules import MeterHeard, find_in_calibration
from edge.visits.finding import Finding, PresenceFinding, worst
from edge.visits.items import Found, Track, Window, find, without, work_of
from edge.visits.swap_rules import SwapSeen, find_in_swap

if TYPE_CHECKING:
    from contracts.visit import Visit

TOLERANCE_S = 600  # by which phone and machine may disagree on the time
TOLERANCE_MS = TOLERANCE_S * 1000
_CHIP_CLASSES = ("token", "attested")
_AGAINST = (Finding.NOT_SEEN, Finding.CONTRADICTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A level with what it rests on, as the verdict entry's detail holds it."""

    level: int
    facts: Mapping[str, object]
    verdict: Mapping[str, object]
    findings: Mapping[str, Finding]  # by rule


def window_of(visit: "Visit") -> Window:
    """The time that is looked at, in ms."""
    return visit.started_at_s * 1000 - TOLERANCE_MS, visit.ended_at_s * 1000 + TOLERANCE_MS


def judge(
    visit: "Visit", rules: Sequence[VisitRule], tracks: Mapping[str, Track], *, asked: Mapping[str, Sequence[str]],
    presence: PresenceFinding, key_class: str, due: Collection[str] = (), taken: Sequence[Window] = (),
    level_max: int = 4, swap: SwapSeen | None = None, meter: MeterHeard | None = None,
) -> Judgement:  # fmt: skip
    """The level of a visit.

    Args:
        rules: of the device's profile.
        tracks: of every quantity that the rules name, from before the window to behind it.
        asked: the rules that speak, each with the list's items that it shows (`edge.visits.items.asked_by`).
        presence: what the presence proof was worth.
        key_class: of this gateway's key: file, token or attested.
        due: the rules that a list with everything done would ask; what is not asked of them was left out.
        taken: the work that other visits were credited with: nobody is credited with it twice.
        level_max: of a device that testifies for itself.
        swap: what was read of two meters, where the list notes a swap.
        meter: how the device was read, where its rules ask for that.
    """
    window = window_of(visit)
    windows = without(window, taken)

    def look(rule: VisitRule) -> Found:
        if rule.form in SWAP_FORMS:
            return find_in_swap(rule, swap)
        return find_in_calibration(rule, meter) if rule.form in CALIBRATION_FORMS else find(rule, tracks, windows)

    found = {rule.item: look(rule) for rule in rules if rule.item in asked or rule.item in due}
    findings = {item: finding for item, (finding, _) in found.items() if item in asked}
    left_out = [item for item, (finding, _) in found.items() if item not in asked and finding in _AGAINST]
    facts: dict[str, object] = {"from_ms": window[0], "to_ms": window[1], "heard": _heard(tracks, window)}
    facts |= {item: found[item][1] for item in findings}
    if presence.signers:
        facts["presence"] = presence.facts()
    if left_out:
        facts["left_out"] = left_out
    if taken:
        facts["taken_s"] = (window[1] - window[0] - sum(end - start for start, end in windows)) // 1000
    workers = [rule for rule in rules if rule.shows_work and findings.get(rule.item) is Finding.CONFIRMED]
    work = work_of([rule for rule in workers if rule.form not in METER_FORMS], tracks, windows)
    if work is not None:
        facts["work"] = {"from_ms": work[0], "to_ms": work[1]}
    is_shown = presence.word is Finding.CONFIRMED or not (presence.is_due or presence.word in _AGAINST)
    is_whole = is_shown and not left_out and not any(one in _AGAINST for one in findings.values())
    level = _level(presence.word, is_worked=bool(workers), is_whole=is_whole)
    if level == 3 and key_class in _CHIP_CLASSES:
        level = 4
    verdict = _verdict(asked, findings, presence.word, key_class)
    return Judgement(level=min(level, level_max), facts=facts, verdict=verdict, findings=findings)


def _verdict(
    asked: Mapping[str, Sequence[str]], findings: Mapping[str, Finding], presence: Finding, key_class: str
) -> dict[str, object]:
    items = {item: finding.value for item, finding in findings.items()}
    verdict: dict[str, object] = {"items": items, "presence": presence.value, "key_class": key_class}
    listed = _listed(asked, findings)
    return verdict | {"list": listed} if listed else verdict


def _level(presence: Finding, *, is_worked: bool, is_whole: bool) -> int:
    if is_worked:
        return 3 if is_whole else 2
    return 1 if presence is Finding.CONFIRMED else 0


def _listed(asked: Mapping[str, Sequence[str]], findings: Mapping[str, Finding]) -> dict[str, str]:
    """What the machine says about each item of the list; where several rules show one, what speaks most against it."""
    of_item: dict[str, list[Finding]] = {}
    for rule, codes in asked.items():
        for code in codes:
            if rule in findings:
                of_item.setdefault(code, []).append(findings[rule])
    return {code: worst(found).value for code, found in sorted(of_item.items())}


def _heard(tracks: Mapping[str, Track], window: Window) -> int:
    """How many times the device spoke within the window."""
    return len({at_ms for track in tracks.values() for at_ms, _ in track if window[0] <= at_ms <= window[1]})
