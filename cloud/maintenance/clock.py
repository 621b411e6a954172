"""Which visit falls due when, for each class of maintenance: by the agreement on chain, or where there is none by the
data pack.

Days are numbers since 1970 in the site's local time (`contracts.due`). Days on which the device's gateway was silent
are left out, as the contract leaves them out: the last day in time moves by each of them.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from contracts.due import CLASSES, DoneDay, Terms
from contracts.visit import VisitClass

__all__ = ["Due", "DueRow", "Interval", "Source", "nearest", "rows", "standing_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """How often a class is due, and from which day on people are reminded; both count from its last visit."""

    days: int
    warn_days: int


class Source(StrEnum):
    """Who says how often."""

    AGREEMENT = "agreement"
    PACK = "pack"


class Due(StrEnum):
    """How a class stands today."""

    IN_TIME = "in_time"
    WARNING = "warning"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRow:
    """One class of one device."""

    device: bytes
    visit_class: VisitClass
    last_day: int | None  # of the last visit of this class or a higher one; None: none is known
    due_on: int  # the last day in time
    warn_on: int
    overdue_days: int  # up to today
    due: Due
    source: Source


def rows(
    device: bytes,
    intervals: Mapping[VisitClass, Interval],
    done: Iterable[DoneDay],
    *,
    since: int,
    today: int,
    terms: Terms | None = None,
    silent: Collection[int] = (),
) -> tuple[DueRow, ...]:
    """How every class that is ever due stands, from half-month to year.

    Args:
        intervals: the pack's.
        done: days with a visit that counts, and its class.
        since: the day from which a class counts that has no visit yet; the terms' own days go before it.
        terms: the agreement in force, whose intervals and grace count instead of the pack's.
    """
    known = list(done)
    found = []
    for visit_class in CLASSES:
        interval, grace = _interval(visit_class, intervals, terms)
        if interval is None:
            continue
        first = since if terms is None else terms.done_on[visit_class - 1]
        visited = [each.day for each in known if each.visit_class >= visit_class and each.day <= today]
        last = max([first, *visited])
        overdue = _overdue(last, interval.days + grace, today, silent)
        warn_on = _counted_from(last, interval.warn_days, silent)
        found.append(
            DueRow(
                device=device,
                visit_class=visit_class,
                last_day=max(visited, default=None),
                due_on=_counted_from(last, interval.days, silent),
                warn_on=warn_on,
                overdue_days=overdue,
                due=Due.OVERDUE if overdue else Due.WARNING if today >= warn_on else Due.IN_TIME,
                source=Source.PACK if terms is None else Source.AGREEMENT,
            )
        )
    return tuple(found)


def nearest(found: Iterable[DueRow]) -> DueRow | None:
    """What must be done first; of classes due on one day the highest, for it holds the others."""
    return min(found, key=lambda row: (row.due_on, -row.visit_class), default=None)


def standing_of(found: Iterable[DueRow]) -> tuple[Due, int]:
    """The worst of a device's classes, and the most days that one of them is overdue."""
    known = list(found)
    overdue = max((row.overdue_days for row in known), default=0)
    if overdue:
        return Due.OVERDUE, overdue
    return (Due.WARNING if any(row.due is Due.WARNING for row in known) else Due.IN_TIME), 0


def _interval(
    visit_class: VisitClass, intervals: Mapping[VisitClass, Interval], terms: Terms | None
) -> tuple[Interval | None, int]:
    """A class's interval and its days of grace; an agreement's reminder comes as many days ahead as the pack's."""
    packs = intervals.get(visit_class)
    if terms is None:
        return packs, 0
    days = terms.interval_of(visit_class)
    if not days:
        return None, 0
    ahead = packs.days - packs.warn_days if packs else max(1, days // 10)
    return Interval(days=days, warn_days=max(0, days - ahead)), terms.grace_days


def _counted_from(last: int, days: int, silent: Collection[int]) -> int:
    """The day that is so many days after another one, silent ones not counted."""
    day = last
    while days:
        day += 1
        days -= day not in silent
    return day


def _overdue(last: int, allowed: int, today: int, silent: Collection[int]) -> int:
    """Days up to today that began later than allowed, silent ones left out: as `contracts.due.overdue_days` counts."""
    counted = sum(day not in silent for day in range(last + 1, today + 1))
    return max(0, counted - allowed)
