"""What each rule of a machine's profile sees of a visit, and which rules a filled list asks. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING

from devices import visit_rules
from devices.visit_rules import RuleForm, VisitRule
from edge.visits.finding import Finding

if TYPE_CHECKING:
    from contracts.checklist import Checklist
    from contracts.pack import Pack
    from contracts.visit import VisitClass

SILENT_MS = 3 * 3_600_000  # a value older than this says nothing any more: modules report every hour
_RETOLD = 3  # periods of a code that is told again and again, after which it is believed no more
NO_VALUES: Mapping[int, int] = MappingProxyType({})
MOMENT_MS = 3 * 60_000  # for which a line may be lost, as lines are, without a word about the device
UNKNOWN = -(2**62)
"""Instead of a code: from here on nobody knows what stood."""

TEST_CARD = -1
"""Who came through a door, as tracks have it: a person's number, this, or 0 for anybody else."""

_CODE_FORMS = frozenset({RuleForm.HELD, RuleForm.DROPPED, RuleForm.ENDED})

Track = Sequence[tuple[int, int]]
"""One quantity as its device told it: (instant in ms, value), by the device's own time, oldest first."""

Stretch = tuple[int, int, int]
"""From, to (ms) and the value that stood meanwhile."""

Window = tuple[int, int]
"""The time that is looked at, in ms."""

Found = tuple[Finding, dict[str, int]]
"""A finding and the facts that it rests on."""


def asked_by(
    rules: Sequence[VisitRule], pack: "Pack | None", visit_class: "VisitClass", checklist: "Checklist | None"
) -> dict[str, tuple[str, ...]]:
    """The rules that speak on a visit, each with the list's items that it shows.

    A rule that shows items is asked for those that the crew says it did; one that shows none looks at the visit whole.
    Without its list a visit claims every item of its class, and where the plan is not known here every rule is asked:
    leaving something away must not make a visit look better.
    """
    if pack is None or visit_class not in pack.classes:
        return {rule.item: () for rule in rules}
    done = {item.code for item in pack.items_of(visit_class)}
    if checklist is not None:
        done &= checklist.done()
    asked: dict[str, tuple[str, ...]] = {}
    for rule in rules:
        shown = pack.shows.get(rule.item, ())
        codes = tuple(code for code in shown if code in done)
        if codes or not shown:
            asked[rule.item] = codes
    return asked


def find(rule: VisitRule, tracks: Mapping[str, Track], windows: Sequence[Window]) -> Found:
    """What one rule sees in the tracks of its device, within these times."""
    track = tracks.get(rule.quantity, ())
    match rule.form:
        case RuleForm.HELD:
            return _held(rule, track, windows)
        case RuleForm.DROPPED:
            # A contact that is still open when the crew leaves was not tried, it is broken: that is not counted.
            times = len(_shown(rule, tracks, windows))
            return _enough(times > 0, stretches(track, windows), windows), {"times": times}
        case RuleForm.ENDED:
            return _ended(rule, track, windows)
        case RuleForm.ROSE | RuleForm.COUNT:
            return _rose(rule, tracks, windows)
        case RuleForm.WITHIN:
            return _within(rule, tracks, windows)
        case RuleForm.PASSED:
            # A door that tells nothing may be out of order, so that nobody is said not to have passed it.
            times = sum(_is_in(at_ms, windows) for at_ms, _ in track)
            return (Finding.CONFIRMED if times else Finding.NOT_OBSERVABLE), {"times": times}
        case RuleForm.TOLD:
            return _told(rule, tracks, windows)
        case RuleForm.AGREED | RuleForm.EXCHANGED | RuleForm.WENT_ON | RuleForm.PAUSED:
            raise AssertionError("meters are looked at in edge.visits.swap_rules and edge.visits.calibration_rules")


def work_of(rules: Iterable[VisitRule], tracks: Mapping[str, Track], windows: Sequence[Window]) -> Window | None:
    """From the first to the last of what these rules saw, in ms; None where they saw nothing."""
    times = [at_ms for rule in rules for at_ms in _shown(rule, tracks, windows)]
    return (min(times), max(times)) if times else None


def without(window: Window, taken: Iterable[Window]) -> list[Window]:
    """What is left of a time, in order."""
    left = [window]
    for start, end in taken:
        left = [
            part
            for begin, until in left
            for part in ((begin, min(until, start)), (max(begin, end), until))
            if part[0] < part[1]
        ]
    return left


def stretches(track: Track, windows: Sequence[Window], stands_ms: Mapping[int, int] = NO_VALUES) -> list[Stretch]:
    """From when to when which value stood within these times.

    A value stands until the next, at most `SILENT_MS`, or what `stands_ms` says of it; `UNKNOWN` is no value.
    """
    found: list[Stretch] = []
    for number, (at_ms, value) in enumerate(track):
        if value == UNKNOWN:
            continue
        until = at_ms + stands_ms.get(value, SILENT_MS)
        if number + 1 < len(track):
            until = min(until, track[number + 1][0])
        for window in windows:
            start, end = max(at_ms, window[0]), min(until, window[1])
            if start < end:
                found.append((start, end, value))
    return found


def cut_off(tracks: Mapping[str, Track], line: Track, rules: Iterable[VisitRule]) -> dict[str, Track]:
    """The tracks with every code at an end where the device lost its line for more than a moment.

    Not so where it told of that time later: then it lived, and kept what it saw.

    Args:
        line: of the device to its gateway, 0 where it was lost and 1 where it was back.
        rules: whose codes are meant; counters stand where they stood.
    """
    told = sorted({at_ms for track in tracks.values() for at_ms, _ in track})
    ends = [*(at_ms for at_ms, _ in line[1:]), told[-1] + 1 if told else 0]
    lost = [
        (at_ms, UNKNOWN)
        for (at_ms, value), end in zip(line, ends, strict=False)
        if not value and end - at_ms > MOMENT_MS and not any(at_ms < one < end for one in told)
    ]
    codes = {rule.quantity for rule in rules if rule.form in _CODE_FORMS} | {rule.during_quantity for rule in rules}
    return {name: sorted([*track, *lost]) if name in codes else track for name, track in tracks.items()}


def _shown(rule: VisitRule, tracks: Mapping[str, Track], windows: Sequence[Window]) -> list[int]:
    """When the device showed what a rule looks for, in ms: the instants, or both ends of each stretch."""
    track = tracks.get(rule.quantity, ())
    match rule.form:
        case RuleForm.HELD:
            return [at_ms for *ends, value in _stood(rule, track, windows) if value == rule.code for at_ms in ends]
        case RuleForm.DROPPED:
            turns = [(one, two) for one, two in pairwise(stretches(track, windows)) if one[1] == two[0]]
            return [two[0] for one, two in turns if one[2] == rule.code != two[2]]
        case RuleForm.ROSE | RuleForm.COUNT:
            return [at_ms for at_ms, _ in _rises(rule, tracks, windows)]
        case RuleForm.TOLD:
            return [at_ms for at_ms in _events(rule, track) if _is_in(at_ms, windows)]
        case _:
            return []


def _stood(rule: VisitRule, track: Track, windows: Sequence[Window]) -> list[Stretch]:
    """A module that tells a code again and again while it stands was cut off where it does not: nobody knows then."""
    return stretches(track, windows, {rule.code: _RETOLD * rule.retold_s * 1000} if rule.retold_s else NO_VALUES)


def _held(rule: VisitRule, track: Track, windows: Sequence[Window]) -> Found:
    stood = _stood(rule, track, windows)
    held = [(start, end) for start, end, value in stood if value == rule.code]
    seconds = sum(end - start for start, end in held) // 1000
    facts = {"seconds": seconds}
    if held and seconds:
        facts |= {"from_ms": held[0][0], "to_ms": held[-1][1]}
    return _enough(seconds >= rule.minimum, stood, windows), facts


def _ended(rule: VisitRule, track: Track, windows: Sequence[Window]) -> Found:
    last = next((value for _, end, value in reversed(stretches(track, windows)) if end >= windows[-1][1]), None)
    if last is None:
        return Finding.NOT_OBSERVABLE, {}
    return (Finding.CONFIRMED if last == rule.code else Finding.CONTRADICTED), {"code": last}


def _rose(rule: VisitRule, tracks: Mapping[str, Track], windows: Sequence[Window]) -> Found:
    rise = sum(more for _, more in _rises(rule, tracks, windows))
    heard = tracks.get(rule.during_quantity or rule.quantity, ())
    return _enough(rise >= rule.minimum, stretches(heard, windows), windows), {"rise": rise}


def _rises(rule: VisitRule, tracks: Mapping[str, Track], windows: Sequence[Window]) -> list[tuple[int, int]]:
    """When a counter rose and by how much, while the rule's other quantity stood as it asks."""
    counter = tracks.get(rule.quantity, ())
    if rule.form is RuleForm.ROSE:
        stood = stretches(tracks.get(rule.during_quantity, ()), windows)
        windows = [(start, end) for start, end, value in stood if value == rule.during_code]
    return [rise for window in windows for rise in _rises_within(counter, *window)]


def _within(rule: VisitRule, tracks: Mapping[str, Track], windows: Sequence[Window]) -> Found:
    """What the crew leaves behind is looked at: what it found when it came may have been why it came."""
    track = tracks.get(rule.quantity, ())
    made = tracks.get(rule.after_quantity, ())
    told = [value for at_ms, value in track if _is_in(at_ms, windows)]
    if not told or (rule.after_quantity and not any(_rises_within(made, *window) for window in windows)):
        return _enough(False, stretches(made or track, windows), windows), {}
    is_within = rule.least <= told[-1] <= rule.most
    return (Finding.CONFIRMED if is_within else Finding.CONTRADICTED), {"value": told[-1]}


def _told(rule: VisitRule, tracks: Mapping[str, Track], windows: Sequence[Window]) -> Found:
    """A device that tells nothing at all meanwhile may be out of order: that is no word against anybody."""
    times = len(_shown(rule, tracks, windows))
    is_heard = any(_is_in(at_ms, windows) for track in tracks.values() for at_ms, _ in track)
    missed = Finding.NOT_SEEN if is_heard else Finding.NOT_OBSERVABLE
    return (Finding.CONFIRMED if times else missed), {"times": times}


def _events(rule: VisitRule, track: Track) -> list[int]:
    """When what a TOLD rule counts was told, at any time."""
    match rule.by:
        case visit_rules.ANEW:
            before = [None, *(value for _, value in track)]
            return [at_ms for (at_ms, value), last in zip(track, before, strict=False) if value != last]
        case visit_rules.CODE:
            return [at_ms for at_ms, value in track if value == rule.code]
        case visit_rules.TEST_CARD:
            return [at_ms for at_ms, value in track if value == TEST_CARD]
        case visit_rules.KNOWN:
            return [at_ms for at_ms, value in track if value]
        case _:
            return [at_ms for at_ms, _ in track]


def _rises_within(counter: Track, start_ms: int, end_ms: int) -> list[tuple[int, int]]:
    """By how much a counter rose from what it stood at; a fall is a controller that started anew, and no rise."""
    before = next((count for at_ms, count in reversed(counter) if start_ms - SILENT_MS <= at_ms <= start_ms), None)
    rises = []
    for at_ms, count in counter:
        if start_ms < at_ms <= end_ms:
            if before is not None and count > before:
                rises.append((at_ms, count - before))
            before = count
    return rises


def _is_in(at_ms: int, windows: Sequence[Window]) -> bool:
    return any(start <= at_ms <= end for start, end in windows)


def _enough(is_enough: bool, stood: Sequence[Stretch], windows: Sequence[Window]) -> Finding:
    if is_enough:
        return Finding.CONFIRMED
    covered = sum(end - start for start, end, _ in stood)
    return Finding.NOT_SEEN if covered >= sum(end - start for start, end in windows) else Finding.NOT_OBSERVABLE
