"""What `cloud.billing.intervals` tells of one meter without tariff registers, for many at once, in columns.

A meter is plain where its readings rise through the period and all its numbers are small: whatever is not is looked at
one meter at a time. Readings are read gateway by gateway, a few hundred meters at once, so memory does not grow with a
city.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from sqlalchemy import BigInteger, cast, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.intervals import SUSPECT_MS, in_partitions
from cloud.billing.pricing_columns import Integers
from cloud.billing.register_columns import Devices, Mask, assignments_of
from cloud.billing.usage import portions_of
from cloud.chain.view import ChainView
from cloud.store import tables
from cloud.store.bulk_read import HASH_BYTES, read_hashes_and_numbers
from cloud.store.opening import value_opener
from contracts.entry import Kind
from contracts.time_of_use import TOLERANCE_MS, PriceCalendar

__all__ = ["MeterColumns", "devices_with_registers", "time_of_use_columns"]

_METERS_AT_ONCE = 500
_COUNTED_END = 2**28  # base units: times a period's milliseconds it fits into 62 bits
_SPAN_END = 2**34  # milliseconds, half a year
_NO_LOG = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterColumns:
    """Meters by their boundary entries at the ends of one calendar: one row each."""

    devices: Sequence[bytes]
    opening: Integers
    closing: Integers


async def devices_with_registers(
    connection: AsyncConnection, registers: Collection[str], devices: Collection[bytes]
) -> set[bytes]:
    """Which of some devices have a boundary entry of one of these registers, of whatever day."""
    column, found = tables.boundaries.c, set[bytes]()
    for some in portions_of(devices):
        query = select(column.device).where(column.device.in_(some or []), column.register.in_(registers)).distinct()
        query = query.execution_options(every_shard="a site's meters may report through any of its gateways' logs")
        found.update((await connection.execute(query)).scalars())
    return found


async def time_of_use_columns(
    connection: AsyncConnection,
    view: ChainView,
    meters: MeterColumns,
    *,
    quantity: str,
    calendar: PriceCalendar,
    registers: int,
) -> tuple[Integers, Mask]:
    """Base units by meter and register, and which meters are plain; the others' numbers mean nothing."""
    used = np.zeros((len(meters.devices), registers), np.int64)
    is_plain = np.zeros(len(meters.devices), np.bool_)
    logs, firsts, ends, has_one = await assignments_of(connection, view, meters.devices)
    counted = meters.closing - meters.opening
    judged = np.flatnonzero(has_one & (logs != _NO_LOG) & (counted >= 0) & (counted < _COUNTED_END))
    if calendar.end_ms - calendar.start_ms >= _SPAN_END:
        return used, is_plain
    for some in _by_gateway(judged, logs):
        places = Devices([meters.devices[at] for at in some.tolist()])
        hashes, numbers = await read_hashes_and_numbers(
            connection, _readings(connection, set(logs[some].tolist()), quantity, calendar), hashes=2
        )
        hashes, leaves = hashes[:, :HASH_BYTES], hashes[:, HASH_BYTES:]
        place = places.places(hashes)
        known = np.maximum(place, 0)
        log, index = numbers[:, 0], numbers[:, 1]
        is_own = (
            (place >= 0) & (logs[some][known] == log) & (firsts[some][known] <= index) & (index < ends[some][known])
        )
        async with value_opener(connection, int(np.count_nonzero(is_own))) as opened:
            values = await opened(places.hashes, place[is_own], leaves[is_own], numbers[is_own, 4], numbers[is_own, 3])
        at = numbers[is_own, 2] - calendar.start_ms
        readings = _Readings(place=place[is_own], index=index[is_own], at=at, value=values)
        used[some], plain = _shared_out(readings, meters.opening[some], meters.closing[some], calendar, registers)
        is_plain[some] = plain & places.is_single
    return used, is_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class _Readings:
    """Readings of some meters, one row each."""

    place: Integers  # the meter's
    index: Integers  # in its log
    at: Integers  # milliseconds since the calendar's beginning
    value: Integers

    def kept(self, rows: Any) -> "_Readings":
        """Some of them, or all in another order."""
        return _Readings(place=self.place[rows], index=self.index[rows], at=self.at[rows], value=self.value[rows])


def _by_gateway(rows: Integers, logs: Integers) -> Iterator[Integers]:
    """Rows in portions, those of one log together."""
    if not len(rows):
        return
    ordered = rows[np.argsort(logs[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(logs[ordered], prepend=logs[ordered[0]] - 1))
    first = 0
    for start, end in pairwise([*starts.tolist(), len(ordered)]):
        if end - first > _METERS_AT_ONCE and start > first:
            yield ordered[first:start]
            first = start
    yield ordered[first:]


def _readings(connection: AsyncConnection, logs: Collection[int], quantity: str, calendar: PriceCalendar) -> Any:
    """Device, leaf hash, log, index, time, value, key."""
    column = tables.entries.c
    return in_partitions(
        connection,
        select(
            column.device,
            column.leaf_hash,
            cast(column.log_id, BigInteger),
            column.entry_index,
            column.observed_at_ms,
            column.value,
            cast(column.sealed_by, BigInteger),
        )
        .where(column.log_id.in_(sorted(logs)), column.kind == int(Kind.READING), column.quantity == quantity)
        .where(column.observed_at_ms > calendar.start_ms, column.observed_at_ms < calendar.end_ms),
        since_ms=calendar.start_ms,
    )


def _shared_out(
    readings: _Readings, opening: Integers, closing: Integers, calendar: PriceCalendar, registers: int
) -> tuple[Integers, Mask]:
    """As `contracts.time_of_use.time_of_use`, meter by meter."""
    count, span = len(opening), calendar.end_ms - calendar.start_ms
    found = _in_time(readings, span)
    found = found.kept((found.value >= opening[found.place]) & (found.value <= closing[found.place]))
    found = found.kept(np.lexsort((found.index, found.at, found.place)))
    falls = (np.diff(found.place) == 0) & (np.diff(found.value) < 0)
    is_plain = np.bincount(found.place, minlength=count) > 0
    is_plain[found.place[1:][falls]] = False

    meters = np.arange(count)
    place = np.concatenate((meters, found.place, meters))
    at = np.concatenate((np.zeros(count, np.int64), found.at, np.full(count, span)))
    value = np.concatenate((opening, found.value, closing))
    order = np.argsort(place * (span + 1) + at, kind="stable")
    keys, at, value = (place * (span + 1) + at)[order], at[order], value[order]
    edges = [opening]
    for change, _ in calendar.changes[1:]:
        after = np.searchsorted(keys, meters * (span + 1) + (change - calendar.start_ms))
        edges.append(_told(at, value, after, change - calendar.start_ms))
    edges.append(closing)
    used = np.zeros((count, registers), np.int64)
    for number, (_, register) in enumerate(calendar.changes):
        used[:, register] += edges[number + 1] - edges[number]
    return used, is_plain


def _in_time(readings: _Readings, span: int) -> _Readings:
    """Without those behind which their log holds an earlier time."""
    ordered = readings.kept(np.lexsort((readings.index, readings.place)))
    keys = ordered.place * (2 * span) + ordered.at  # of meters that come later all keys are greater
    earliest_after = np.minimum.accumulate(keys[::-1])[::-1]
    return ordered.kept(keys - earliest_after <= SUSPECT_MS)


def _told(at: Integers, value: Integers, after: Integers, change: int) -> Integers:
    """Each meter's register at a change of price: the nearest reading's, or by time between two."""
    before = after - 1
    to_before, to_after = change - at[before], at[after] - change
    nearest = np.where(to_before <= to_after, before, after)
    part = (value[after] - value[before]) * to_before // np.maximum(1, at[after] - at[before])
    is_near = np.minimum(to_before, to_after) <= TOLERANCE_MS
    found: Integers = np.where(is_near, value[nearest], value[before] + part)
    return found
