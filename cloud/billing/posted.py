"""Bills as the operator posted them: taken only if they lead to the root on chain, compared line by line with the
cloud's own reckoning.
"""

import asyncio
import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.bill_block import BILLS_AT_ONCE, SALT_BYTES, decode_block, verified_block
from cloud.billing.corrections import CORRECTION
from cloud.billing.derivation import describe
from cloud.billing.kept import (
    HeldPeriod,
    bill_place,
    keep_block,
    keep_notes,
    keep_period,
    read_contents,
    read_held,
    read_noted,
    seal_bills,
)
from cloud.billing.period_columns import reckon_period
from cloud.billing.reckoning import DraftLine
from cloud.chain.deployment import Deployment
from cloud.chain.view import ChainView
from cloud.directory import Directory
from cloud.errors import BillingError
from cloud.store import Store, insert_rows, tables
from cloud.telemetry import span
from contracts.bill import Bill, BillError, Line, LineKind, Node
from contracts.clock import Clock

__all__ = [
    "Acceptance",
    "Mismatch",
    "TooEarlyError",
    "compare_bills",
    "compare_once",
    "read_mismatches",
    "said",
    "take_block",
]


_TURN_SECONDS, _TURN_LOOK_SECONDS = 2.0, 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A posted line that is not what the signed readings and the announced prices give."""

    period: int
    unit_index: int
    line: int
    charged_fen: int
    right_fen: int | None  # None: the readings show no such line at all

    def row(self) -> tuple[int, int, int, str]:
        """As the store keeps it."""
        numbers = {"charged_fen": self.charged_fen, "right_fen": self.right_fen}
        return self.period, self.unit_index, self.line, json.dumps(numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """How far an upload has come."""

    held: int
    unit_count: int


class TooEarlyError(BillingError):
    """A block before which others are missing."""


async def take_block(
    store: Store, *, view: ChainView, deployment: Deployment, clock: Clock, period: int, body: bytes
) -> Acceptance:
    """Keep one block of a closed period's bills. Blocks come in unit order; one that is held is not kept twice.

    Raises:
        BillingError: the period is not closed on chain, the block is not the next one, or it does not lead to the root.
    """
    closed = view.periods.get(period)
    if closed is None:
        raise BillingError(f"period {period} is not closed on the followed chain; post its root first, then upload")
    root = Node(closed.root, closed.sums)
    try:
        block = await asyncio.to_thread(decode_block, body)
        async with store.read() as connection:
            before = _held_of(await read_held(connection, period), root)
        if block.first + len(block.contents) <= before:
            return Acceptance(held=before, unit_count=closed.unit_count)  # nobody need verify it again
        with span("bills.verify", attributes={"minglou.block.bytes": len(body)}):
            tree = await asyncio.to_thread(
                verified_block, block, bill_place(deployment, period), root=root, unit_count=closed.unit_count
            )
    except BillError as error:
        raise BillingError(f"upload: {error}") from error
    units = [unit.alias for unit in view.roll[block.first : block.first + len(block.contents)]]
    async with store.read() as connection:  # not while others wait for their turn to write
        sealed = await asyncio.to_thread(seal_bills, connection, units, block.contents)
    deadline = time.monotonic() + _TURN_SECONDS
    while True:
        async with store.write("bills") as connection:
            held = await read_held(connection, period)
            if held is None or held.root != root:
                await keep_period(connection, period, root=root, unit_count=closed.unit_count, now_ms=clock.now_ms())
            before = _held_of(held, root)
            if block.first == before:
                await keep_block(connection, period, first=block.first, units=units, sealed=sealed, tree=tree)
                before += len(block.contents)
        if block.first <= before:
            return Acceptance(held=before, unit_count=closed.unit_count)
        if time.monotonic() > deadline:
            raise TooEarlyError(f"bills from unit {block.first} come too early: {before} are held; go on there")
        await asyncio.sleep(_TURN_LOOK_SECONDS)  # the block before it is being verified, maybe by another process


def _held_of(held: HeldPeriod | None, root: Node) -> int:
    """How many bills under this root are held."""
    return held.held if held is not None and held.root == root else 0


async def compare_once(
    store: Store, *, view: ChainView, directory: Directory, deployment: Deployment, clock: Clock, period: int
) -> list[str]:
    """What a comparison finds; anyone may ask, so it is done once for each upload. Raises as `compare_bills` does."""
    async with store.read() as connection:
        held = await read_held(connection, period)
        known = [] if held is None or held.compared_at_ms is None else await _read_mismatches(connection, period)
    if held is not None and held.compared_at_ms is not None:
        return [said(_name_of(view, directory, one.unit_index), one) for one in known]
    found = await compare_bills(store, view=view, directory=directory, deployment=deployment, period=period)
    async with store.write("bills") as connection:
        of_period = tables.posted_periods.c.period == period
        await connection.execute(update(tables.posted_periods).where(of_period).values(compared_at_ms=clock.now_ms()))
    return [said(_name_of(view, directory, one.unit_index), one) for one in found]


async def compare_bills(
    store: Store, *, view: ChainView, directory: Directory, deployment: Deployment, period: int
) -> list[Mismatch]:
    """Compare the kept bills of a period with the readings and keep what is found.

    Raises:
        BillingError: not all bills of the period are held.
    """
    async with store.read() as connection:
        held = await read_held(connection, period)
        if held is None or not held.is_whole:
            has = held.held if held else 0
            raise BillingError(f"{has} bills of period {period} are held; upload the rest, then compare")
        own = await reckon_period(connection, view=view, directory=directory, period=period)
        noted = await read_noted(connection, period)
        known = {(one.unit_index, one.line) for one in await _read_mismatches(connection, period)}
        found: list[Mismatch] = []
        notes: list[tuple[int, int, bytes, bytes]] = []
        place = bill_place(deployment, period)
        for first in range(0, held.unit_count, BILLS_AT_ONCE):
            kept = await read_contents(connection, period, first, BILLS_AT_ONCE)
            ours = own.contents([content[:SALT_BYTES] for _, content in kept], first)
            for index, ((unit, content), right) in enumerate(zip(kept, ours, strict=True), first):
                lines = (*own.apart.get(index, ()), *own.corrections.get(index, ()))
                if content == right and not lines:
                    continue
                bill = place.bill(index, content)
                lines = (*lines, *own.other_corrections.get(index, ()))
                if content != right:
                    # An estimate was right by what was known then; later entries correct it on a later bill.
                    wrong = _compare(bill, place.bill(index, right), {one.line for one in lines})
                    found += [one for one in wrong if (index, one.line) not in noted or (index, one.line) in known]
                notes += _notes_of(bill, unit, lines)
    async with store.write() as connection:
        await connection.execute(delete(tables.bill_mismatches).where(tables.bill_mismatches.c.period == period))
        await insert_rows(connection, tables.bill_mismatches, [one.row() for one in found])
        await keep_notes(connection, period, [note for note in notes if note[:2] not in noted])
    return found


def _notes_of(bill: Bill, unit: bytes, lines: Sequence[DraftLine]) -> list[tuple[int, int, bytes, bytes]]:
    """What estimates and corrections rest on. Of an estimate that was posted otherwise than it is computed here it is
    noted that it was one, so that entries correct it too.
    """
    computed = {one.line: one.derivation for one in lines}
    notes = []
    for number, line in enumerate(bill.lines):
        if line.kind is LineKind.ESTIMATED:
            note = computed.get(line, {**describe(line), "matches": False})
        elif line.quantity == CORRECTION and line in computed:
            note = computed[line]
        else:
            continue
        notes.append((bill.unit_index, number, unit, json.dumps(note, separators=(",", ":")).encode()))
    return notes


def _name_of(view: ChainView, directory: Directory, unit_index: int) -> str:
    named = directory.unit_of(view.roll[unit_index].alias)
    return named.name if named else f"unit {unit_index}"


def _compare(bill: Bill, right: Bill, also_right: Collection[Line]) -> list[Mismatch]:
    """Every line that is not what the gateway's entries and the tariff give; each of these answers for one line."""
    ours, found = {_name(line): line for line in right.lines}, []
    for number, line in enumerate(bill.lines):
        if line.kind is LineKind.CREDIT:
            continue
        mine = ours.pop(_name(line), None)
        if mine != line and not (line.quantity == CORRECTION and line in also_right):
            found.append(
                Mismatch(
                    period=bill.period,
                    unit_index=bill.unit_index,
                    line=number,
                    charged_fen=line.amount,
                    right_fen=None if mine is None else mine.amount,
                )
            )
    return found


def said(name: str, mismatch: Mismatch) -> str:
    """For the operator who posted the bill: which line, and by how much."""
    charges = f"{name}: line {mismatch.line + 1} charges {mismatch.charged_fen / 100:.2f} yuan"
    if mismatch.right_fen is None:
        return f"{charges} for what the signed readings do not show"
    return f"{charges}; the signed readings and the announced prices give {mismatch.right_fen / 100:.2f} yuan"


async def read_mismatches(connection: AsyncConnection, count: int) -> list[Mismatch]:
    """The lines of the newest periods that differ from what the cloud computes."""
    return await _mismatches(connection, select(tables.bill_mismatches).limit(count))


async def _read_mismatches(connection: AsyncConnection, period: int) -> list[Mismatch]:
    of_period = tables.bill_mismatches.c.period == period
    return await _mismatches(connection, select(tables.bill_mismatches).where(of_period))


async def _mismatches(connection: AsyncConnection, query: Any) -> list[Mismatch]:
    column = tables.bill_mismatches.c
    ordered = query.order_by(column.period.desc(), column.unit_index, column.line)
    return [
        Mismatch(period=row.period, unit_index=row.unit_index, line=row.line, **json.loads(row.says))
        for row in await connection.execute(ordered)
    ]


def _name(line: Line) -> tuple[int, bytes, str, int]:
    return int(line.kind), line.subject, line.quantity, line.from_date
