"""What meters counted between two boundary dates, from boundary entries alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.chain.view import ChainView
from cloud.errors import BillingError
from cloud.store import tables

__all__ = ["BoundaryEntry", "MeterSpan", "date_text", "read_boundaries", "read_spans", "registers_of"]


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


def date_text(number: int) -> str:
    """2026-11-22 for 20261122."""
    return date(number // 10_000, number // 100 % 100, number % 100).isoformat()


async def registers_of(connection: AsyncConnection, device: bytes) -> list[str]:
    """The registers of which boundary entries of a device are held."""
    column = tables.boundaries.c
    query = select(column.register).where(column.device == device).distinct().order_by(column.register)
    return list((await connection.execute(query)).scalars())


async def read_boundaries(
    connection: AsyncConnection, view: ChainView, device: bytes, register: str, day: int
) -> list[BoundaryEntry]:
    """All boundary entries of one register at one date that count: those of logs that the Registry gives the device
    to.
    """
    column = tables.boundaries.c
    query = (
        select(column.log_id, column.entry_index, column.value, tables.logs.c.origin)
        .join(tables.logs, tables.logs.c.log_id == column.log_id)
        .where(column.device == device, column.register == register, column.boundary_date == day)
        .order_by(column.log_id, column.entry_index)
    )
    return [
        BoundaryEntry(origin=row.origin, log_id=row.log_id, index=row.entry_index, value=row.value)
        for row in await connection.execute(query)
        if view.assignment(device, row.origin, row.entry_index) is not None
    ]


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
    """The meters that count for a unit or pool over a period, joined without a day missing.

    Args:
        role: 1 own, 2 pool.

    Raises:
        BillingError: a day is not covered, a boundary entry is missing, or a register falls.
    """
    bound = sorted(
        (
            (max(record.from_date, from_date), min(record.to_date or to_date, to_date), device, record.confirmed)
            for device, records in view.bindings.items()
            for record in records
            if record.subject == subject
            and record.role == role
            and record.from_date < to_date
            and (not record.to_date or record.to_date > from_date)
        ),
        key=lambda span: span[:2],
    )
    spans: list[MeterSpan] = []
    at = from_date
    for starts, ends, device, confirmed in bound:
        if register not in await registers_of(connection, device):
            continue  # the unit's other meter: water beside electricity
        if starts != at:
            raise BillingError(
                f"no meter for {register} counts from {date_text(at)} to {date_text(starts)}; bind one in the Registry"
            )
        spans.append(await _span(connection, view, device, register, starts, ends, confirmed))
        at = ends
    if not spans:
        raise BillingError(f"no meter with boundary entries for {register} is bound")
    if at != to_date:
        raise BillingError(
            f"no meter for {register} counts from {date_text(at)} to {date_text(to_date)}; bind one in the Registry"
        )
    return spans


async def _span(
    connection: AsyncConnection, view: ChainView, device: bytes, register: str, starts: int, ends: int, confirmed: bool
) -> MeterSpan:
    opening = await read_boundaries(connection, view, device, register, starts)
    closing = await read_boundaries(connection, view, device, register, ends)
    for day, found in ((starts, opening), (ends, closing)):
        if not found:
            raise BillingError(
                f"meter {device.hex()[:12]}… has no boundary entry {register}*{day}; wait for the gateway, or "
                f"estimate the line by hand"
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
