"""What a meter may have counted where a boundary entry is missing or not to be believed: by a named rule, from signed
entries, so that anybody can do the sum again.

- `between`: the line's first day is known and so is a later day, for all registers. The line has its days' part of what
  was counted until then: what Charges.vy makes of a later entry, to the fen.
- `read`: both ends are known; another meter or register of the line lacks one.
- `joined`: known before and known after. The register at a missing boundary is told by its days between the entries
  around it, and both lines that meet there take the same value: together they are what was counted.
- `mean`: nothing later is known. Counted so far; for the days after it as many a day as in up to 31 days before it.
- `mean-after`: nothing earlier is known. As many a day as in up to 31 days after the first entry.

Values that fall are not believed: of all entries, the longest row that never falls counts.
"""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from cloud.billing.line_days import LineDays
from cloud.billing.usage import Bindings, BoundaryEntry, Registers, Subject, date_text, spans_of
from cloud.errors import BillingError

__all__ = [
    "Estimate",
    "Point",
    "counted_by",
    "days_between",
    "estimate_line",
    "estimate_to_json",
    "estimate_usage",
    "longest_row",
    "trusted_points",
]

_REFERENCE_DAYS = 31
_TOLD = ("between", "read", "joined")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A boundary and the entry that is believed for it."""

    day: int  # YYYYMMDD
    entry: BoundaryEntry

    @property
    def value(self) -> int:
        return self.entry.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What one register of one meter is taken to have counted."""

    register: str
    device: bytes
    from_date: int
    to_date: int
    usage: int
    rule: str
    inputs: Sequence[Point]
    suspect: Sequence[Point] = ()  # entries that were not believed

    @property
    def is_told(self) -> bool:
        """Whether entries around its days say what was counted, so that no later one changes it."""
        return self.rule in _TOLD


def trusted_points(registers: Registers, device: bytes, register: str) -> tuple[list[Point], list[Point]]:
    """A register's entries by day, the lowest where there are several: those that never fall, and the others."""
    days = registers.days(device, register)
    points = [
        Point(day=day, entry=min(registers.at(device, register, day), key=lambda entry: entry.value)) for day in days
    ]
    kept = longest_row([point.value for point in points])
    return [points[at] for at in kept], [point for at, point in enumerate(points) if at not in set(kept)]


def longest_row(values: Sequence[int]) -> list[int]:
    """Places of the longest row of values that never falls (patience sorting)."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for place, value in enumerate(values):
        at = bisect_right(tails, value)
        before.append(ends[at - 1] if at else -1)
        tails[at : at + 1], ends[at : at + 1] = [value], [place]
    row: list[int] = []
    place = ends[-1] if ends else -1
    while place >= 0:
        row.append(place)
        place = before[place]
    return row[::-1]


def estimate_line(
    registers: Registers, device: bytes, names: Sequence[str], first: int, last: int, anchors: Collection[int]
) -> list[Estimate]:
    """What all registers of one meter counted over a line's days, at least one of them not being known.

    Args:
        anchors: boundary dates at which the meter's lines begin and end, of this period and of all others
            (`cloud.billing.line_days`): two lines that meet in a missing one join there.

    Raises:
        BillingError: a register has too few entries to tell anything from.
    """
    trusted = {name: trusted_points(registers, device, name) for name in names}
    common = set.intersection(*({point.day for point in points} for points, _ in trusted.values()))
    reach = min((day for day in common if day >= last), default=0)
    if first in common and reach:
        return [_until(device, name, *trusted[name], first, last, reach) for name in names]
    return [_alone(device, name, *trusted[name], first, last, anchors) for name in names]


def estimate_usage(
    registers: Registers, device: bytes, register: str, first: int, last: int, anchors: Collection[int]
) -> Estimate:
    """The same of one register by itself."""
    return _alone(device, register, *trusted_points(registers, device, register), first, last, anchors)


def counted_by(
    registers: Registers,
    bindings: Bindings,
    subject: Subject,
    *,
    register: str,
    days: tuple[int, int],
    line_days: LineDays,
) -> int:
    """What all meters of one register that count for somebody counted within some days, estimated where an entry is
    missing; 0 where there is none. Days on which no meter was bound are not counted.

    Raises:
        BillingError: there is a meter, and nothing tells what it counted.
    """
    counted = 0
    for device, record in bindings.get(subject, ()):
        first, last = max(record.from_date, days[0]), min(record.to_date or days[1], days[1])
        if first >= last or register not in registers.names(device):
            continue
        alone = {subject: [(device, record)]}
        try:
            spans = spans_of(registers, alone, subject, register=register, from_date=first, to_date=last)
            counted += sum(span.usage for span in spans)
        except BillingError:
            counted += estimate_usage(registers, device, register, first, last, line_days.of(device, register)).usage
    return counted


def _until(
    device: bytes, register: str, points: Sequence[Point], suspect: Sequence[Point], first: int, last: int, reach: int
) -> Estimate:
    by_day = {point.day: point for point in points}
    opened, closed = by_day[first], by_day[reach]
    usage = (closed.value - opened.value) * days_between(first, last) // days_between(first, reach)
    rule = "between" if reach > last else "read"
    return Estimate(
        register=register, device=device, from_date=first, to_date=last, usage=usage, rule=rule,
        inputs=(opened, closed), suspect=suspect,
    )  # fmt: skip


def _alone(
    device: bytes,
    register: str,
    points: Sequence[Point],
    suspect: Sequence[Point],
    first: int,
    last: int,
    anchors: Collection[int],
) -> Estimate:
    if points and points[0].day <= first and last <= points[-1].day:
        opened, opened_by = _value_at(points, first, anchors)
        closed, closed_by = _value_at(points, last, anchors)
        rule, usage = "joined", closed - opened
        by_day = {point.day: point for point in (*opened_by, *closed_by)}
        inputs = tuple(by_day[day] for day in sorted(by_day))
    else:
        rule, usage, inputs = _by_mean(register, device, points, first, last)
    return Estimate(
        register=register, device=device, from_date=first, to_date=last, usage=usage, rule=rule, inputs=inputs,
        suspect=suspect,
    )  # fmt: skip


def _value_at(points: Sequence[Point], day: int, anchors: Collection[int]) -> tuple[int, tuple[Point, ...]]:
    """A register on a day between entries, by the days between the last line's end before and the first entry after.
    Where the line before begins at an entry, it is what Charges.vy makes of that line (rule `between`), whatever was
    read within it; else it is never below an entry that lies nearer. So both lines that meet on the day find the same
    if both are given the same anchors, and if all registers of the line before have entries on the same later day.
    """
    before = [point for point in points if point.day <= day]
    if before[-1].day == day:
        return before[-1].value, (before[-1],)
    start = next((point for point in reversed(before) if point.day in anchors), before[-1])
    end = next(point for point in points if point.day > day)
    value = start.value + (end.value - start.value) * days_between(start.day, day) // days_between(start.day, end.day)
    if value < before[-1].value and any(start.day < anchor < day for anchor in anchors):
        return before[-1].value, (before[-1],)
    return value, (start, end)


def _by_mean(
    register: str, device: bytes, points: Sequence[Point], first: int, last: int
) -> tuple[str, int, tuple[Point, ...]]:
    inside = [point for point in points if point.day < last]
    if inside:
        known = inside[-1]
        reference = next(point for point in points if days_between(point.day, known.day) <= _REFERENCE_DAYS)
        opened = next((point for point in points if point.day == first), None)
        counted = known.value - opened.value if opened is not None else 0
        rest = days_between(known.day if opened is not None else first, last)
        if reference is not known:
            mean = (known.value - reference.value) * rest // days_between(reference.day, known.day)
            inputs = dict.fromkeys((reference.day, opened.day if opened else reference.day, known.day))
            by_day = {point.day: point for point in points}
            return "mean", counted + mean, tuple(by_day[day] for day in sorted(inputs))
    elif len(points) > 1:
        known = points[0]
        reference = [point for point in points if days_between(known.day, point.day) <= _REFERENCE_DAYS][-1]
        if reference is not known:
            mean = (reference.value - known.value) * days_between(first, last) // days_between(known.day, reference.day)
            return "mean-after", mean, (known, reference)
    raise BillingError(
        f"meter {device.hex()[:12]}… has too few boundary entries of {register} to estimate {date_text(first)} to "
        f"{date_text(last)} from; wait for the gateway"
    )


def estimate_to_json(estimate: Estimate) -> dict[str, object]:
    """As derivations have it."""
    return {
        "rule": estimate.rule,
        "register": estimate.register,
        "device": estimate.device.hex(),
        "from": date_text(estimate.from_date),
        "to": date_text(estimate.to_date),
        "usage": str(estimate.usage),
        "inputs": [_point_to_json(point) for point in estimate.inputs],
        "suspect": [_point_to_json(point) for point in estimate.suspect],
    }


def _point_to_json(point: Point) -> dict[str, str]:
    entry = point.entry
    return {
        "date": date_text(point.day),
        "origin": entry.origin,
        "index": str(entry.index),
        "value": str(entry.value),
    }


def days_between(first: int, last: int) -> int:
    """Days from one boundary date to another."""
    return (_date(last) - _date(first)) // timedelta(days=1)


def _date(day: int) -> date:
    return date(day // 10_000, day // 100 % 100, day % 100)
