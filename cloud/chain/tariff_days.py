"""Which tariff prices which days: versions begin, end and replace each other on any day, also within a period."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cloud.chain.records import TariffRecord

__all__ = ["TariffDays", "priced_days", "tariff_days", "unpriced_days"]

_NO_END = 10**8  # after every boundary date


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffDays:
    """Days of a period by one version of a tariff."""

    record: TariffRecord
    first: int  # boundary date
    last: int  # boundary date: the day after the last one


def tariff_days(tariffs: Mapping[int, TariffRecord], period: int) -> list[TariffDays]:
    """The days of a period on which each approved version is in force, by version. It ends on its own last day, or on
    the first day of an approved one that replaces it.
    """
    opening, closing = divmod(period, 10**8)
    agreed = [record for _, record in sorted(tariffs.items()) if record.approved and not record.vetoed]
    replaced: dict[int, int] = {}
    for record in agreed:
        first = record.announced.valid_from
        replaced[record.replaces] = min(first, replaced.get(record.replaces, first))
    found = []
    for record in agreed:
        first = max(opening, record.announced.valid_from)
        last = min(closing, record.announced.valid_to or _NO_END, replaced.get(record.version, _NO_END))
        if first < last:
            found.append(TariffDays(record=record, first=first, last=last))
    return found


def priced_days(days: Sequence[TariffDays], preferred: int | None = None) -> list[TariffDays]:
    """The same so that each day has one version: the preferred one, else the latest that is in force; in order."""
    edges = sorted({edge for one in days for edge in (one.first, one.last)})
    found: list[TariffDays] = []
    for first, last in pairwise(edges):
        holding = [one.record for one in days if one.first <= first and last <= one.last]
        if not holding:
            continue
        record = max(holding, key=lambda one: (one.version == preferred, one.version))
        if found and found[-1].record is record and found[-1].last == first:
            first = found.pop().first
        found.append(TariffDays(record=record, first=first, last=last))
    return found


def unpriced_days(days: Iterable[TariffDays], period: int) -> list[tuple[int, int]]:
    """The days of a period that none of these versions prices."""
    at, closing = divmod(period, 10**8)
    found = []
    for one in sorted(days, key=lambda one: one.first):
        if one.first > at:
            found.append((at, one.first))
        at = max(at, one.last)
    return [*found, (at, closing)] if at < closing else found
