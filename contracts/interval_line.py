"""A line by readings between boundaries, computed again from its entries: for whoever believes no bill.

Boundary entries say how much the meters counted, the readings between them at which price. `contracts/js/line.js` does
the same in the browser (shared vectors).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

from contracts.bill import Line
from contracts.errors import ContractsError
from contracts.tariff import Counting, Terms
from contracts.time_of_use import TimedReading, price_calendar, time_of_use

__all__ = ["IntervalLineError", "LineEntry", "PricedUsage", "usage_by_price"]


class IntervalLineError(ContractsError):
    """Entries that a line's usage cannot be told from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineEntry:
    """One verified entry of a meter, and the boundary dates between which the meter counts for the unit."""

    device: bytes
    quantity: str
    value: int
    observed_at_ms: int
    bound_from: int  # YYYYMMDD
    bound_to: int = 0  # 0 while it does


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedUsage:
    """What a line's meters counted, base units."""

    used: tuple[int, ...]  # by register of the tariff
    prior: int  # before the line, in the tiers' own time
    bridged: int  # changes of price that are told by time between two readings


def usage_by_price(line: Line, terms: Terms, entries: Sequence[LineEntry], zone: tzinfo) -> PricedUsage:
    """What the entries say of a line. Raises IntervalLineError, or TimeOfUseError where readings fall."""
    used, bridged = [0] * len(terms.registers), 0
    for device, first, last in _meters(line.quantity, entries, line.from_date, line.to_date):
        own = [one for one in entries if one.device == device]
        if any(one.quantity.partition("*")[0] in set(terms.registers) - {line.quantity} for one in own):
            counted = [_at(own, register, last) - _at(own, register, first) for register in terms.registers]
        else:
            calendar = price_calendar(terms.season(first, last).windows, zone, first, last)
            between = [
                TimedReading(one.observed_at_ms, one.value)
                for one in own
                if one.quantity == line.quantity and calendar.start_ms < one.observed_at_ms < calendar.end_ms
            ]
            opening, closing = _at(own, line.quantity, first), _at(own, line.quantity, last)
            counted, told = time_of_use(
                calendar, opening=opening, closing=closing, readings=sorted(between), registers=len(terms.registers)
            )
            bridged += sum(one.is_between for one in told)
        used = [before + more for before, more in zip(used, counted, strict=True)]
    prior = 0
    if terms.counting is not Counting.NONE and line.since < line.from_date:
        for device, first, last in _meters(line.quantity, entries, line.since, line.from_date):
            own = [one for one in entries if one.device == device]
            prior += _at(own, line.quantity, last) - _at(own, line.quantity, first)
    return PricedUsage(used=tuple(used), prior=prior, bridged=bridged)


def _meters(quantity: str, entries: Sequence[LineEntry], first: int, last: int) -> list[tuple[bytes, int, int]]:
    """Device, first day and day after the last of each meter, joined without a day missing or twice."""
    boundary = quantity + "*"
    bound = {(one.bound_from, one.bound_to, one.device) for one in entries if one.quantity.startswith(boundary)}
    found, at = list[tuple[bytes, int, int]](), first
    for begins, ends, device in sorted(bound):
        begins, ends = max(begins, first), min(ends or last, last)
        if begins >= ends:
            continue
        if begins != at:
            raise IntervalLineError(f"the entries name no meter for the days from {at}")
        found.append((device, begins, ends))
        at = ends
    if at != last:
        raise IntervalLineError(f"the entries name no meter for the days from {at}")
    return found


def _at(entries: Sequence[LineEntry], register: str, day: int) -> int:
    values = [one.value for one in entries if one.quantity == f"{register}*{day}"]
    if len(set(values)) != 1:
        raise IntervalLineError(f"there are {len(set(values))} values of {register} at {day}; one is needed")
    return values[0]
