"""Time of use of meters without tariff registers, from the signed readings between their boundary entries.

What such a meter counted is told by boundary entries alone, as of any meter; its readings only say at which prices
(`contracts.time_of_use`). A meter of which a boundary entry of one of the tariff's registers is held, of whatever day,
has tariff registers and is priced by them, whatever its readings say.

Readings are not believed where their log holds an earlier time more than ten minutes before them behind them, where
they lie outside the boundary entries, and where they fall: then the longest row that never falls counts.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import groupby
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.estimation import Estimate, longest_row, trusted_points
from cloud.billing.usage import OWN_ROLE, Bindings, BoundaryEntry, Registers, Subject, date_text, portions_of
from cloud.chain.view import ChainView, TariffRecord
from cloud.months import month_of, months_later
from cloud.store import tables
from cloud.store.readings import open_entries
from contracts.entry import Kind
from contracts.tariff import Basis, Terms
from contracts.time_of_use import TOLERANCE_MS, PriceCalendar, TimedReading, Told, price_calendar, time_of_use

__all__ = [
    "SUSPECT_MS",
    "IntervalUsage",
    "PriceTimes",
    "believed",
    "has_registers_by_price",
    "in_partitions",
    "intervals_to_json",
    "load_interval_readings",
    "timed_devices",
]

SUSPECT_MS = 10 * 60_000  # DESIGN: entries that are further off are time-suspect, and no price by time rests on them


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalUsage:
    """What one meter counted at each of a tariff's prices, and from what that is told."""

    device: bytes
    from_date: int
    to_date: int
    zone: str
    registers: Sequence[str]
    used: Sequence[int]
    minutes: Sequence[int]  # that each price held
    readings: int  # that were believed
    suspect: int  # that were not
    told: Sequence[Told]


def has_registers_by_price(terms: Terms) -> bool:
    """Whether a tariff's price changes with the time of day."""
    return terms.basis is Basis.METER and len(terms.registers) > 1


def timed_devices(registers: Registers, bindings: Bindings, subject: Subject, terms: Terms) -> frozenset[bytes]:
    """The subject's own meters that a tariff by time of use prices although they have none of its registers."""
    if subject[1] != OWN_ROLE or not has_registers_by_price(terms):
        return frozenset()
    wanted = set(terms.registers) - {terms.quantity}
    devices = {device for device, _ in bindings.get(subject, ())}
    return frozenset(
        device
        for device in devices
        if terms.quantity in registers.names(device) and not wanted & registers.names(device)
    )


class PriceTimes:
    """A site's prices by the clock on its walls."""

    def __init__(self, registers: Registers, zone: tzinfo) -> None:
        self._registers, self._zone = registers, zone
        self._calendars: dict[tuple[bytes, int, int], PriceCalendar] = {}

    def calendar(self, terms: Terms, from_date: int, to_date: int) -> PriceCalendar:
        """When each price holds between two boundary dates of one season."""
        asked = (terms.digest, from_date, to_date)
        if asked not in self._calendars:
            windows = terms.season(from_date, to_date).windows
            self._calendars[asked] = price_calendar(windows, self._zone, from_date, to_date)
        return self._calendars[asked]

    def usage(
        self,
        terms: Terms,
        device: bytes,
        days: tuple[int, int],
        *,
        opening: int,
        closing: int,
        with_readings: bool = True,
    ) -> IntervalUsage:
        """What a meter counted from one register value to another at each price.

        Args:
            days: boundary dates of the two values.
            with_readings: False: by time alone.
        """
        calendar = self.calendar(terms, *days)
        held = self._registers.readings(device, terms.quantity) if with_readings else ()
        between = [reading for reading in held if calendar.start_ms < reading.at_ms < calendar.end_ms]
        kept = believed(between, opening, closing)
        used, told = time_of_use(
            calendar, opening=opening, closing=closing, readings=kept, registers=len(terms.registers)
        )
        return IntervalUsage(
            device=device, from_date=days[0], to_date=days[1], zone=str(self._zone), registers=terms.registers,
            used=used, minutes=calendar.minutes(len(terms.registers)), readings=len(kept),
            suspect=len(between) - len(kept), told=told,
        )  # fmt: skip

    def estimated(self, terms: Terms, estimate: Estimate) -> IntervalUsage:
        """The same for what a meter is taken to have counted: from the boundary entry that is known on, or up to it,
        by the readings that are held; by time alone where neither is known.
        """
        points, _ = trusted_points(self._registers, estimate.device, terms.quantity)
        values = {point.day: point.value for point in points}
        days = (estimate.from_date, estimate.to_date)
        opening = values.get(days[0])
        if opening is None and days[1] in values:
            opening = values[days[1]] - estimate.usage
        start = opening or 0
        return self.usage(
            terms, estimate.device, days, opening=start, closing=start + estimate.usage,
            with_readings=opening is not None,
        )  # fmt: skip


def believed(readings: Sequence[TimedReading], opening: int, closing: int) -> list[TimedReading]:
    """The readings that count, by time."""
    in_time: list[TimedReading] = []
    for _, some in groupby(sorted(readings, key=_place), key=lambda reading: _place(reading)[0]):
        earliest_after: int | None = None
        for reading in reversed(list(some)):
            earliest_after = reading.at_ms if earliest_after is None else min(earliest_after, reading.at_ms)
            if reading.at_ms - earliest_after <= SUSPECT_MS:
                in_time.append(reading)
    fitting = [reading for reading in in_time if opening <= reading.value <= closing]
    fitting.sort(key=lambda reading: (reading.at_ms, _place(reading)))
    return [fitting[at] for at in longest_row([reading.value for reading in fitting])]


def _place(reading: TimedReading) -> tuple[int, int]:
    entry = reading.entry
    assert isinstance(entry, BoundaryEntry), "readings from the store name their entries"
    return entry.log_id, entry.index


async def load_interval_readings(
    connection: AsyncConnection,
    view: ChainView,
    registers: Registers,
    *,
    bindings: Bindings,
    records: Iterable[TariffRecord],
    zone: tzinfo,
    days: tuple[int, int],
) -> None:
    """Add to `registers` the readings between two boundary dates, of meters that one of the tariffs needs them of."""
    wanted: dict[str, set[bytes]] = {}
    for record in records:
        for subject in bindings:
            if timed := timed_devices(registers, bindings, subject, record.terms):
                wanted.setdefault(record.terms.quantity, set()).update(timed)
    if not wanted:
        return
    start_ms, end_ms = _bounds(zone, days)
    for quantity, devices in wanted.items():
        await _load(connection, view, registers, quantity, devices, start_ms, end_ms)


async def _load(
    connection: AsyncConnection,
    view: ChainView,
    registers: Registers,
    quantity: str,
    devices: Collection[bytes],
    start_ms: int,
    end_ms: int,
) -> None:
    column = tables.entries.c
    query = (
        select(
            column.device,
            column.log_id,
            column.entry_index,
            column.observed_at_ms,
            column.value,
            column.leaf_hash,
            column.sealed_by,
            tables.logs.c.origin,
        )
        .join(tables.logs, tables.logs.c.log_id == column.log_id)
        .where(column.kind == Kind.READING, column.quantity == quantity)
        .where(column.observed_at_ms > start_ms, column.observed_at_ms < end_ms)
        .execution_options(every_shard="a site's meters may report through any of its gateways' logs")
    )
    query = in_partitions(connection, query, since_ms=start_ms)
    for some in portions_of(devices):
        found = (await connection.execute(query.where(column.device.in_(some or [])))).all()
        counting = [row for row in found if view.assignment(row.device, row.origin, row.entry_index) is not None]
        for row in open_entries(connection, counting):
            entry = BoundaryEntry(origin=row.origin, log_id=row.log_id, index=row.entry_index, value=row.value)
            registers.add_reading(row.device, quantity, TimedReading(row.observed_at_ms, row.value, entry))


def in_partitions(connection: AsyncConnection, query: Select[Any], *, since_ms: int) -> Select[Any]:
    """A question for entries that were observed since an instant, put to the partitions that may hold them alone: what
    arrived long before it was observed has a wrong time, and what was erased says nothing.
    """
    if connection.dialect.name != "postgresql":
        return query
    return query.where(tables.entries.c.received_month >= months_later(month_of(since_ms), -1))


def _bounds(zone: tzinfo, days: tuple[int, int]) -> tuple[int, int]:
    calendar = price_calendar((), zone, *days)
    return calendar.start_ms, calendar.end_ms


def intervals_to_json(one: IntervalUsage) -> dict[str, Any]:
    """As derivations have it: every reading that the usage takes, with the log entry that holds it."""
    gaps = sum(told.is_between for told in one.told)
    return {
        "device": one.device.hex(),
        "from": date_text(one.from_date),
        "to": date_text(one.to_date),
        "zone": one.zone,
        "readings": str(one.readings),
        "suspect": str(one.suspect),
        "changes": str(len(one.told)),
        "gaps": str(gaps),
        "tolerance_minutes": str(TOLERANCE_MS // 60_000),
        "prices": [
            {"register": register, "hours": str(minutes // 60), "minutes": str(minutes % 60), "usage": str(used)}
            for register, minutes, used in zip(one.registers, one.minutes, one.used, strict=True)
        ],
        "points": [_told_to_json(told) for told in one.told],
    }


def _told_to_json(told: Told) -> dict[str, Any]:
    return {
        "at_ms": str(told.at_ms),
        "value": str(told.value),
        "rule": "by-time" if told.is_between else "reading",
        "inputs": [_reading_to_json(reading) for reading in told.readings],
    }


def _reading_to_json(reading: TimedReading) -> dict[str, str]:
    """A reading, or the boundary entry at the line's beginning or end, which stands among the line's spans."""
    said = {"at_ms": str(reading.at_ms), "value": str(reading.value)}
    if isinstance(reading.entry, BoundaryEntry):
        return {**said, "origin": reading.entry.origin, "index": str(reading.entry.index)}
    return said
