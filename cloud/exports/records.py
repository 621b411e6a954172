"""The tables that can be exported: their columns, and their rows in portions, read by key from where the last ended.

No query holds a snapshot open for longer than one portion, and none reads more than a portion at once.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import and_, or_, select

from cloud.chain.parsers import PARSERS
from cloud.chain.view import ChainView
from cloud.directory import Directory
from cloud.exports.bills import BILL_COLUMNS, LINE_COLUMNS, bill_rows, line_rows
from cloud.exports.formats import day_of_number
from cloud.exports.portion import PORTION, Asked, Source
from cloud.exports.scope import Scope
from cloud.exports.sheet import Row, Sheet, day, instant, integer, text
from cloud.store import tables
from cloud.store.months import entries_at
from cloud.store.readings import open_entries
from cloud.visits.letters import find_judgements
from contracts.calls import usage_fees_events
from contracts.entry import Kind
from contracts.quantities import unit_of
from contracts.signed_visit import signed_visit_from_json
from contracts.visit import CLASS_NAMES, VisitClass

__all__ = ["RECORDS", "Record"]

Portions = AsyncIterator[Sequence[Row]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One table: its shape, who may have rows of it, and where they come from."""

    sheet: Sheet
    is_for: Callable[[Scope], bool]
    portions: Callable[[Source, Scope, Asked], Portions]


# -- readings ---------------------------------------------------------------------------------------------------------

_READINGS = Sheet(
    name="readings",
    says="Register values as gateways logged them, without those that were erased. `origin` and `entry_index` "
    "name the log entry that GET /v1/evidence/ORIGIN/INDEX proves.",
    columns=(
        text("origin", "the gateway's log"),
        integer("entry_index", "the entry's place in it, from 0"),
        text("device_urn", "the device's name, where the directory knows it"),
        text("device_sha256", "SHA-256 of the name, as the entry carries it"),
        text("quantity", "OBIS code, of a boundary entry with * and the site's local date"),
        text("register", "the OBIS code alone"),
        day("boundary_date", "the site's local date whose midnight a boundary entry stands for"),
        integer("value", "the register, in the unit beside it; cumulative for meters"),
        text("value_unit", "Wh, mL, L, W, mV, mA; empty for a plain number"),
        instant("observed_at_utc", "by the gateway's clock"),
        text("detail_json", "where the value came from, with its suspect flags"),
        text("salt_hex", "with it and the fields before, the entry's leaf hash can be computed"),
        text("leaf_sha256", "the entry's hash in the log's Merkle tree"),
    ),
)


async def _readings(source: Source, scope: Scope, asked: Asked) -> Portions:
    """By place in all logs; of single meters by the meter's own index."""
    for log_id, origin in await _logs(source):
        read = _places(source, asked, log_id) if scope.devices is None else _meters(source, scope, asked, log_id)
        async for rows in read:
            yield [_reading(row, origin, source.directory) for row in rows]


async def _logs(source: Source) -> Sequence[tuple[int, str]]:
    query = select(tables.origins.c.log_id, tables.origins.c.origin).order_by(tables.origins.c.origin)
    async with source.store.read() as connection:
        return [(row.log_id, row.origin) for row in await connection.execute(query)]


async def _places(source: Source, asked: Asked, log_id: int) -> AsyncIterator[Sequence[Any]]:
    """A log's readings, so many places at a time."""
    column = tables.entries.c
    logs = tables.logs.c
    start, size = 0, PORTION
    while start < size:
        async with source.store.read() as connection:
            size = (await connection.execute(select(logs.size).where(logs.log_id == log_id))).scalar_one_or_none() or 0
            here = await entries_at(connection, log_id, start, start + PORTION)
            query = select(tables.entries).where(here, *_wanted(asked)).order_by(column.entry_index)
            rows = open_entries(connection, (await connection.execute(query)).all())
        if rows:
            yield rows
        start += PORTION


async def _meters(source: Source, scope: Scope, asked: Asked, log_id: int) -> AsyncIterator[Sequence[Any]]:
    """Some meters' readings in one log."""
    column, after = tables.entries.c, -1
    query = (
        select(tables.entries)
        .where(column.log_id == log_id, column.device.in_(scope.devices or ()), *_wanted(asked))
        .order_by(column.entry_index)
        .limit(PORTION)
        .execution_options(every_shard="a meter's readings of all months, by the meter's index")
    )
    while True:
        async with source.store.read() as connection:
            found = (await connection.execute(query.where(column.entry_index > after))).all()
            rows = open_entries(connection, found)
        if rows:
            yield rows
            after = rows[-1].entry_index
        if len(rows) < PORTION:
            return


def _wanted(asked: Asked) -> Sequence[Any]:
    column = tables.entries.c
    conditions = [column.kind == int(Kind.READING), *asked.within(column.observed_at_ms)]
    return [*conditions, column.quantity.contains("*")] if asked.boundaries_only else conditions


def _reading(row: Any, origin: str, directory: Directory) -> Row:
    register, _, boundary = row.quantity.partition("*")
    named = directory.device_of(row.device)
    return (
        origin,
        row.entry_index,
        named.urn if named else None,
        row.device.hex(),
        row.quantity,
        register,
        day_of_number(int(boundary)) if boundary.isdecimal() else None,
        row.value,
        unit_of(row.quantity) or "",
        row.observed_at_ms,
        row.detail.decode() if row.detail else None,
        row.salt.hex(),
        row.leaf_hash.hex(),
    )


# -- visits -----------------------------------------------------------------------------------------------------------

_VISITS = Sheet(
    name="visits",
    says="Signed visits and what their gateways made of them; nobody is named. Where `origin` stands, "
    "GET /v1/evidence/ORIGIN/INDEX proves the entry.",
    columns=(
        text("digest_sha256", "the visit's name: what its people signed"),
        text("device_urn", "the serviced device"),
        text("visit_class", "kind of maintenance"),
        instant("started_at_utc", "as signed"),
        instant("ended_at_utc", "as signed"),
        instant("received_at_utc", "by the cloud's clock"),
        integer("people_count", "how many signed"),
        text("firm", "whose people they are"),
        integer("corroboration_level", "0 to 4, as the gateway logged it; empty while it waits"),
        text("origin", "the gateway's log that holds the judgement"),
        integer("entry_index", "the judgement's place in it"),
    ),
)


async def _visits(source: Source, _scope: Scope, asked: Asked) -> Portions:
    column = tables.visits.c
    after: tuple[int, bytes] = (-1, b"")
    while True:
        later = or_(column.started_at_s > after[0], and_(column.started_at_s == after[0], column.digest > after[1]))
        query = select(tables.visits).where(later, *asked.within(column.started_at_s, unit_ms=1000))
        async with source.store.read() as connection:
            order = (column.started_at_s, column.digest)
            rows = (await connection.execute(query.order_by(*order).limit(PORTION))).all()
            judgements = await find_judgements(connection, rows)
        if rows:
            yield [_visit(row, judgements.get(row.digest), source.directory) for row in rows]
        if len(rows) < PORTION:
            return
        after = (rows[-1].started_at_s, rows[-1].digest)


def _visit(row: Any, entry: Any, directory: Directory) -> Row:
    signed = signed_visit_from_json(json.loads(row.file))
    named, member = directory.device_of(row.device), directory.crew_of(signed.visit.mechanics[0])
    return (
        row.digest.hex(),
        named.urn if named else None,
        CLASS_NAMES[VisitClass(row.visit_class)],
        row.started_at_s * 1000,
        row.ended_at_s * 1000,
        row.received_at_ms,
        len(signed.signatures),
        member.firm.zh if member else None,
        entry.value if entry else None,
        entry.origin if entry else None,
        entry.entry_index if entry else None,
    )


# -- payments ---------------------------------------------------------------------------------------------------------

_ON_CHAIN = (
    integer("block_number", "of the event"),
    text("block_hash", "of that block"),
    text("transaction_hash", "which the chain's own tools show"),
    integer("log_index", "the event's place in the block"),
)
_PAYMENTS = Sheet(
    name="payments",
    says="What the contract UsageFees says of money: final events of the followed chain, one row for each unit.",
    columns=(
        text("event", "Debited, Paid, ReceiptPresented, ToppedUp, Withdrawn, Moved, Credited"),
        integer("period", "opening date * 10^8 + closing date; empty where no bill is meant"),
        integer("unit_index", "the unit's place in the roll"),
        text("unit", "its name, where the directory knows it"),
        integer("amount_fen", "0.01 CNY"),
        instant("block_time_utc", "of the block"),
        *_ON_CHAIN,
    ),
)
_ONE_UNIT = (
    usage_fees_events.Paid,
    usage_fees_events.ReceiptPresented,
    usage_fees_events.ToppedUp,
    usage_fees_events.Withdrawn,
    usage_fees_events.Moved,
    usage_fees_events.Credited,
)


async def _payments(source: Source, scope: Scope, asked: Asked) -> Portions:
    view = await source.view()
    allowed = None if scope.units is None else {view.units[one].index for one in scope.units if one in view.units}
    async for rows in _events(source, "usage_fees", asked):
        yield [
            payment
            for row in rows
            for payment in _money(row, view, source.directory)
            if allowed is None or payment[2] in allowed
        ]


async def _events(source: Source, contract: str, asked: Asked) -> AsyncIterator[Sequence[Any]]:
    """Final events of a contract, by portions, each with its block's time."""
    event, block = tables.chain_events.c, tables.chain_blocks.c
    final = select(tables.chain_cursor.c.final_number).scalar_subquery()
    after = (-1, -1)
    while True:
        later = or_(event.block_number > after[0], and_(event.block_number == after[0], event.log_index > after[1]))
        query = (
            select(tables.chain_events, block.timestamp)
            .join(tables.chain_blocks, block.number == event.block_number)
            .where(event.contract == contract, event.block_number <= final, later)
            .where(*asked.within(block.timestamp, unit_ms=1000))
            .order_by(event.block_number, event.log_index)
            .limit(PORTION)
        )
        async with source.store.read() as connection:
            rows = (await connection.execute(query)).all()
        if rows:
            yield rows
            after = (rows[-1].block_number, rows[-1].log_index)
        if len(rows) < PORTION:
            return


def _money(row: Any, view: ChainView, directory: Directory) -> list[Row]:
    topics = tuple(row.topics[at : at + 32] for at in range(0, len(row.topics), 32))
    event = PARSERS["usage_fees"](topics, row.data)
    name, period = type(event).__name__, getattr(event, "period", None)
    if isinstance(event, usage_fees_events.Debited):
        moved = [(event.first_index + at, amount) for at, amount in enumerate(event.amounts) if amount]
    elif isinstance(event, _ONE_UNIT):
        moved = [(event.unit_index, event.amount)]
    else:
        return []
    chain = (row.timestamp * 1000, row.block_number, row.block_hash, row.transaction_hash, row.log_index)
    return [(name, period, index, _unit_name(view, directory, index), amount, *chain) for index, amount in moved]


def _unit_name(view: ChainView, directory: Directory, index: int) -> str | None:
    unit = directory.unit_of(view.roll[index].alias) if index < len(view.roll) else None
    return unit.name if unit else None


# -- anchors ----------------------------------------------------------------------------------------------------------

_ANCHORS = Sheet(
    name="anchors",
    says="Every root of the super-log that stands on chain. GET /log/checkpoint/SIZE gives the signed checkpoint.",
    columns=(
        integer("super_log_size", "leaves that the root covers"),
        text("root_sha256", "the super-log's root"),
        text("contract", "the AnchorLog's address"),
        integer("chain_id", "of the chain"),
        instant("block_time_utc", "of the block"),
        *_ON_CHAIN,
    ),
)


async def _anchors(source: Source, _scope: Scope, asked: Asked) -> Portions:
    if source.deployment is None:
        return
    named = (source.deployment.anchor_log, source.deployment.chain_id)
    async for rows in _events(source, "anchor_log", asked):
        found = []
        for row in rows:
            topics = tuple(row.topics[at : at + 32] for at in range(0, len(row.topics), 32))
            event = PARSERS["anchor_log"](topics, row.data)
            if type(event).__name__ == "Anchored":
                place = (row.timestamp * 1000, row.block_number, row.block_hash, row.transaction_hash, row.log_index)
                found.append((event.size, event.root.hex(), *named, *place))
        yield found


# -- anomalies --------------------------------------------------------------------------------------------------------

_ANOMALIES = Sheet(
    name="anomalies",
    says="What was odd about gateways' logs, and forks; a fork's two checkpoints carry the gateway's own signature.",
    columns=(
        text("origin", "the gateway's log"),
        text("kind", "replay, clock_ahead, clock_back; fork_same_size, fork_leaf, fork_unproven"),
        integer("times_count", "how often"),
        text("says", "the last words about it; of a fork the checkpoint that is held"),
        text("other_checkpoint", "of a fork, the checkpoint that contradicts it"),
        instant("first_at_utc", "by the cloud's clock"),
        instant("last_at_utc", "by the cloud's clock"),
    ),
)


async def _anomalies(source: Source, _scope: Scope, asked: Asked) -> Portions:
    odd, fork, logs = tables.anomalies.c, tables.forks.c, tables.logs.c
    for log_id, _origin in await _logs(source):
        oddities = select(tables.anomalies, logs.origin).join(tables.logs, logs.log_id == odd.log_id)
        forks = select(tables.forks, logs.origin).join(tables.logs, logs.log_id == fork.log_id)
        async with source.store.read() as connection:
            few = await connection.execute(
                oddities.where(odd.log_id == log_id, *asked.within(odd.last_at_ms)).order_by(odd.kind)
            )
            rows: list[Row] = [
                (row.origin, row.kind, row.count, row.says, None, row.first_at_ms, row.last_at_ms) for row in few
            ]
            found = await connection.execute(
                forks.where(fork.log_id == log_id, *asked.within(fork.found_at_ms)).order_by(fork.fork_id)
            )
            rows += [
                (row.origin, f"fork_{row.kind}", 1, row.held_note, row.other_note, row.found_at_ms, row.found_at_ms)
                for row in found
            ]
        if rows:
            yield rows


def _always(_scope: Scope) -> bool:
    return True


RECORDS: Mapping[str, Record] = MappingProxyType(
    {
        "readings": Record(sheet=_READINGS, is_for=Scope.has_readings, portions=_readings),
        "bills": Record(sheet=BILL_COLUMNS, is_for=Scope.has_bills, portions=bill_rows),
        "bill-lines": Record(sheet=LINE_COLUMNS, is_for=Scope.has_bills, portions=line_rows),
        "payments": Record(sheet=_PAYMENTS, is_for=Scope.has_bills, portions=_payments),
        "visits": Record(sheet=_VISITS, is_for=_always, portions=_visits),
        "anchors": Record(sheet=_ANCHORS, is_for=_always, portions=_anchors),
        "anomalies": Record(sheet=_ANOMALIES, is_for=lambda scope: scope.sees_site, portions=_anomalies),
    }
)
"""Every table by its name in addresses and on the command line."""
