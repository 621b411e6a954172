"""What meters counted between two boundary dates, from boundary entries alone.

`load_registers` reads; everything after it is a pure function of what was read and of the followed chain.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, cast, null, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.chain.view import BindingRecord, ChainView
from cloud.errors import BillingError
from cloud.store import tables
from cloud.store.readings import open_entries
from contracts.time_of_use import TimedReading

__all__ = [
    "OWN_ROLE",
    "Bindings",
    "BoundaryEntry",
    "MeterSpan",
    "Registers",
    "Subject",
    "bindings_of",
    "date_text",
    "dates_of_changes",
    "load_counts",
    "load_registers",
    "meters_of",
    "portions_of",
    "reach_of",
    "reaches_of",
    "read_boundaries",
    "read_reach",
    "read_spans",
    "span_of",
    "spans_of",
]

OWN_ROLE = 1
_DEVICES_AT_ONCE = 500

Subject = tuple[bytes, int]
"""A unit's or pool's alias, and the role of the meters that count for it: 1 own, 2 pool."""

Bindings = Mapping[Subject, Sequence[tuple[bytes, BindingRecord]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryEntry:
    """One register value at one boundary, and the log entry that holds it."""

    origin: str
    log_id: int
    index: int
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSpan:
    """One meter's part of a period; two of them where a meter was swapped."""

    device: bytes
    from_date: int  # YYYYMMDD
    to_date: int
    opening: BoundaryEntry
    closing: BoundaryEntry
    confirmed: bool

    @property
    def usage(self) -> int:
        return self.closing.value - self.opening.value


class Registers:
    """Boundary values by device, register and date; only those of logs to which the Registry gives the device."""

    def __init__(self) -> None:
        self._values: dict[tuple[bytes, str, int], list[BoundaryEntry]] = defaultdict(list)
        self._names: dict[bytes, set[str]] = defaultdict(set)
        self._days: dict[tuple[bytes, str], set[int]] = defaultdict(set)
        self._readings: dict[tuple[bytes, str], list[TimedReading]] = defaultdict(list)

    def name(self, device: bytes, register: str) -> None:
        """Note that boundary entries of this register are held, whatever their date."""
        self._names[device].add(register)

    def add(self, device: bytes, register: str, day: int, entry: BoundaryEntry) -> None:
        self._values[device, register, day].append(entry)
        self._days[device, register].add(day)

    def add_reading(self, device: bytes, register: str, reading: TimedReading) -> None:
        """A value between boundaries, for meters that are priced by intervals."""
        self._readings[device, register].append(reading)

    def readings(self, device: bytes, register: str) -> Sequence[TimedReading]:
        """What a register showed between boundaries, as far as it was loaded, in no order."""
        return self._readings.get((device, register), ())

    def names(self, device: bytes) -> set[str]:
        """The registers of which boundary entries of a device are held."""
        return self._names.get(device, set())

    def days(self, device: bytes, register: str) -> list[int]:
        """The boundary dates at which a register has entries, in order."""
        return sorted(self._days.get((device, register), ()))

    def at(self, device: bytes, register: str, day: int) -> Sequence[BoundaryEntry]:
        """All entries of one register at one date, in the order of their logs."""
        return self._values.get((device, register, day), ())


def date_text(number: int) -> str:
    """2026-11-22 for 20261122."""
    return date(number // 10_000, number // 100 % 100, number % 100).isoformat()


def bindings_of(view: ChainView, subjects: Collection[Subject]) -> Bindings:
    """The bindings of some units and pools, by whom their meters count for."""
    held = view.bound()
    return {subject: held[subject] for subject in subjects if subject in held}


def _dated() -> Any:
    """Boundary entries with the origins of their logs."""
    column = tables.boundaries.c
    return select(
        column.device,
        column.register,
        column.boundary_date,
        column.log_id,
        column.entry_index,
        column.value,
        column.leaf_hash,
        column.sealed_by,
        tables.logs.c.origin,
    ).join(tables.logs, tables.logs.c.log_id == column.log_id)


_EVERY_SHARD = "a site's meters may report through any of its gateways' logs"


@lru_cache
def _question(*, of_some: bool, with_history: bool) -> Any:
    """What is held at some dates, and which registers have entries at all: rows without an entry. Pages ask it again
    and again, and making a statement costs more than running it.
    """
    column = tables.boundaries.c
    at_dates = column.boundary_date.in_(bindparam("dates", expanding=True))
    dated = _dated().where(or_(at_dates, column.boundary_date >= bindparam("since")) if with_history else at_dates)
    only = (column.device.in_(bindparam("devices", expanding=True)),) if of_some else ()
    nothing = [cast(null(), one.type).label(one.key) for one in list(dated.selected_columns)[2:]]
    named = select(column.device, column.register, *nothing).distinct()
    both = union_all(dated.where(*only), named.where(*only)).order_by("log_id", "entry_index")
    return both.execution_options(every_shard=_EVERY_SHARD)


@lru_cache
def _counts_question() -> Any:
    column = tables.boundaries.c
    dated = _dated().where(
        column.device.in_(bindparam("devices", expanding=True)),
        column.boundary_date.in_(bindparam("dates", expanding=True)),
        column.register == bindparam("register"),
    )
    return dated.order_by("log_id", "entry_index").execution_options(every_shard=_EVERY_SHARD)


async def load_registers(
    connection: AsyncConnection,
    view: ChainView,
    *,
    dates: Collection[int],
    devices: Collection[bytes] | None = None,
    since: int | None = None,
) -> Registers:
    """What is held at some boundary dates: of some devices, or of all.

    Args:
        since: also whatever is held from this date on.
    """
    registers = Registers()
    question = _question(of_some=devices is not None, with_history=since is not None)
    asked = {"dates": sorted(dates)} if since is None else {"dates": sorted(dates), "since": since}
    for some in portions_of(devices):
        only = {} if some is None else {"devices": some}
        found = (await connection.execute(question, {**asked, **only})).all()
        for row in found:
            registers.name(row.device, row.register)
        _add(registers, connection, view, [row for row in found if row.log_id is not None])
    return registers


async def load_counts(
    connection: AsyncConnection, view: ChainView, *, register: str, dates: Collection[int], devices: Collection[bytes]
) -> Registers:
    """What one register of some devices showed at some boundary dates, for differences of many meters at once. A meter
    without an entry at these dates has no such register here.
    """
    registers = Registers()
    for some in portions_of(devices):
        asked = {"dates": sorted(dates), "devices": some, "register": register}
        found = (await connection.execute(_counts_question(), asked)).all()
        for row in found:
            registers.name(row.device, row.register)
        _add(registers, connection, view, found)
    return registers


def _add(registers: Registers, connection: AsyncConnection, view: ChainView, held: Iterable[Any]) -> None:
    """The entries of these rows that count, opened."""
    counting = [row for row in held if view.assignment(row.device, row.origin, row.entry_index) is not None]
    for row in open_entries(connection, counting):
        entry = BoundaryEntry(origin=row.origin, log_id=row.log_id, index=row.entry_index, value=row.value)
        registers.add(row.device, row.register, row.boundary_date, entry)


def portions_of(devices: Collection[bytes] | None) -> Iterable[list[bytes] | None]:
    """Devices as many at a time as one question takes; None stands for all."""
    if devices is None:
        yield None
        return
    ordered = sorted(devices)
    for at in range(0, len(ordered), _DEVICES_AT_ONCE):
        yield ordered[at : at + _DEVICES_AT_ONCE]


async def read_boundaries(
    connection: AsyncConnection, view: ChainView, device: bytes, register: str, day: int
) -> Sequence[BoundaryEntry]:
    """All boundary entries of one register of one device at one date that count."""
    return (await load_registers(connection, view, dates=[day], devices=[device])).at(device, register, day)


async def read_spans(
    connection: AsyncConnection,
    view: ChainView,
    *,
    subject: bytes,
    role: int,
    register: str,
    from_date: int,
    to_date: int,
) -> Sequence[MeterSpan]:
    """The meters that count for one unit or pool, read for it alone. Raises as `spans_of` does."""
    bindings = bindings_of(view, [(subject, role)])
    devices = {device for device, _ in bindings.get((subject, role), ())}
    dates = {from_date, to_date, *dates_of_changes(bindings)}
    registers = await load_registers(connection, view, dates=dates, devices=devices)
    return spans_of(registers, bindings, (subject, role), register=register, from_date=from_date, to_date=to_date)


async def read_reach(
    connection: AsyncConnection,
    view: ChainView,
    subject: Subject,
    *,
    names: Sequence[str],
    from_date: int,
    to_date: int,
) -> int | None:
    """The first day from a line's end on at which all its registers are known: there an estimate can be measured."""
    bindings = bindings_of(view, [subject])
    devices = {device for device, _ in bindings.get(subject, ())}
    dates = {from_date, to_date, *dates_of_changes(bindings)}
    registers = await load_registers(connection, view, dates=dates, devices=devices, since=to_date)
    return reach_of(registers, bindings, subject, names=names, from_date=from_date, to_date=to_date)


def reach_of(
    registers: Registers,
    bindings: Bindings,
    subject: Subject,
    *,
    names: Sequence[str],
    from_date: int,
    to_date: int,
) -> int | None:
    """The same, of what was read."""
    reaches = reaches_of(registers, bindings, subject, names=names, from_date=from_date, to_date=to_date)
    return next(iter(reaches), None)


def reaches_of(
    registers: Registers,
    bindings: Bindings,
    subject: Subject,
    *,
    names: Sequence[str],
    from_date: int,
    to_date: int,
) -> Iterator[int]:
    """Every such day, the first one first."""
    devices = {device for device, _ in bindings.get(subject, ())}
    days = {day for device in devices for day in registers.days(device, names[0]) if day >= to_date}
    for day in sorted(days):
        try:
            for register in names:
                spans_of(registers, bindings, subject, register=register, from_date=from_date, to_date=day)
        except BillingError:
            continue
        yield day


def dates_of_changes(bindings: Bindings) -> set[int]:
    """The boundary dates at which meters began and ceased to count."""
    records = [record for some in bindings.values() for _, record in some]
    return {day for record in records for day in (record.from_date, record.to_date) if day}


def spans_of(
    registers: Registers, bindings: Bindings, subject: Subject, *, register: str, from_date: int, to_date: int
) -> Sequence[MeterSpan]:
    """The meters that count for a unit or pool over a period, joined without a day missing.

    Raises:
        BillingError: a day is not covered, a boundary entry is missing, or a register falls.
    """
    meters = meters_of(registers, bindings, subject, register=register, from_date=from_date, to_date=to_date)
    return [span_of(registers, device, register, starts, ends, confirmed) for starts, ends, device, confirmed in meters]


def meters_of(
    registers: Registers, bindings: Bindings, subject: Subject, *, register: str, from_date: int, to_date: int
) -> list[tuple[int, int, bytes, bool]]:
    """(first day, day after the last, device, whether its binding is confirmed) of each meter, joined without a gap.

    Raises:
        BillingError: a day is not covered.
    """
    bound = sorted(
        (
            (max(record.from_date, from_date), min(record.to_date or to_date, to_date), device, record.confirmed)
            for device, record in bindings.get(subject, ())
            if record.from_date < to_date and (not record.to_date or record.to_date > from_date)
        ),
        key=lambda span: span[:2],
    )
    # A unit's other meter is not of this line: water beside electricity.
    meters = [span for span in bound if register in registers.names(span[2])]
    if not meters:
        raise BillingError(f"no meter with boundary entries for {register} is bound")
    at = from_date
    for starts, ends, _, _ in meters:
        if starts != at:
            raise BillingError(_uncovered(register, at, starts))
        at = ends
    if at != to_date:
        raise BillingError(_uncovered(register, at, to_date))
    return meters


def _uncovered(register: str, starts: int, ends: int) -> str:
    return f"no meter for {register} counts from {date_text(starts)} to {date_text(ends)}; bind one in the Registry"


def span_of(registers: Registers, device: bytes, register: str, starts: int, ends: int, confirmed: bool) -> MeterSpan:
    """What one register of one meter counted. Raises BillingError: an entry is missing, or the register falls."""
    opening = registers.at(device, register, starts)
    closing = registers.at(device, register, ends)
    for day, found in ((starts, opening), (ends, closing)):
        if not found:
            raise BillingError(
                f"meter {device.hex()[:12]}… has no boundary entry {register}*{day}; wait for the gateway"
            )
    # Two values for one boundary are equivocation, and the lower charge stands.
    span = MeterSpan(
        device=device,
        from_date=starts,
        to_date=ends,
        opening=max(opening, key=lambda entry: entry.value),
        closing=min(closing, key=lambda entry: entry.value),
        confirmed=confirmed,
    )
    if span.usage < 0:
        raise BillingError(
            f"meter {device.hex()[:12]}…: {register} falls from {span.opening.value} to {span.closing.value}; "
            f"look at the meter"
        )
    return span
