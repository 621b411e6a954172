"""Posted bills in the store: contents by unit, the tree's upper nodes by period; files are made of them on demand.

What belongs to one household passes `seal` on its way in and `unseal` on its way out, and nothing else in this room
touches the columns that hold it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.bill_block import BILLS_AT_ONCE, BillPlace
from cloud.billing.bill_block import BLOCK_LEVEL as UPLOAD_LEVEL
from cloud.chain.deployment import Deployment
from cloud.chain.view import ChainView
from cloud.store import insert_rows, tables
from cloud.store.sealing import BILLS, LINE_NOTES, seal, unseal
from contracts.bill import BLOCK, BLOCK_LEVEL, Bill, BillProof, BillTree, Line, Node

__all__ = [
    "HeldPeriod",
    "bill_place",
    "keep_block",
    "keep_notes",
    "keep_period",
    "open_bills",
    "open_notes",
    "read_bill",
    "read_block",
    "read_content",
    "read_contents",
    "read_held",
    "read_note",
    "read_noted",
    "read_notes",
    "seal_bills",
    "terms_named",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPeriod:
    """How far a period's bills have been handed in."""

    root: Node
    unit_count: int
    held: int
    compared_at_ms: int | None

    @property
    def is_whole(self) -> bool:
        return self.held == self.unit_count


def bill_place(deployment: Deployment, period: int) -> BillPlace:
    """Whose bills they are, by the deployment."""
    return BillPlace(chain_id=deployment.chain_id, contract=deployment.usage_fees, site=deployment.site, period=period)


# -- writing ----------------------------------------------------------------------------------------------------------


async def keep_period(connection: AsyncConnection, period: int, *, root: Node, unit_count: int, now_ms: int) -> None:
    """Begin a period anew: whatever was held of it led to another root."""
    for table in (tables.posted_bills, tables.posted_nodes, tables.line_notes, tables.posted_periods):
        await connection.execute(delete(table).where(table.c.period == period))
    await connection.execute(
        insert(tables.posted_periods).values(
            period=period,
            root=root.hash,
            sums=root.sums.to_bytes(32),
            unit_count=unit_count,
            held=0,
            accepted_at_ms=now_ms,
            compared_at_ms=None,
        )
    )


def seal_bills(connection: AsyncConnection, units: Sequence[bytes], contents: Sequence[bytes]) -> list[bytes]:
    """Contents of units' bills as they are kept."""
    return seal(connection, BILLS, list(zip(units, contents, strict=True)))


async def keep_block(
    connection: AsyncConnection,
    period: int,
    *,
    first: int,
    units: Sequence[bytes],
    sealed: Sequence[bytes],
    tree: BillTree,
) -> None:
    """Add a verified block of units in a row, as `seal_bills` gave it; with the last one also what stands above all."""
    bills = [
        (period, index, unit, leaf.sums >> 192, content)
        for index, (unit, content, leaf) in enumerate(zip(units, sealed, tree.row(0), strict=True), first)
    ]
    await insert_rows(connection, tables.posted_bills, bills)
    single = not first and len(sealed) < BILLS_AT_ONCE
    await insert_rows(
        connection, tables.posted_nodes, _nodes_of(period, tree, first, last=tree.height if single else UPLOAD_LEVEL)
    )
    column = tables.posted_periods.c
    held = update(tables.posted_periods).where(column.period == period).values(held=first + len(sealed))
    count = (await connection.execute(held.returning(column.unit_count))).scalar_one()
    if first and first + len(sealed) == count:
        await _keep_top(connection, period)


def _nodes_of(period: int, tree: BillTree, first: int, *, last: int) -> list[tuple[Any, ...]]:
    """The nodes of a block from its blocks of 64 up; one that is not full moves up unchanged, as in the whole tree."""
    return [
        (period, level, (first >> level) + place, node.hash, node.sums.to_bytes(32))
        for level in range(min(BLOCK_LEVEL, last), last + 1)
        for place, node in enumerate(tree.row(min(level, tree.height)))
    ]


async def _keep_top(connection: AsyncConnection, period: int) -> None:
    column = tables.posted_nodes.c
    query = (
        select(tables.posted_nodes).where(column.period == period, column.level == UPLOAD_LEVEL).order_by(column.place)
    )
    top = BillTree([_node(found) for found in await connection.execute(query)])
    above = [
        (period, UPLOAD_LEVEL + up, place, node.hash, node.sums.to_bytes(32))
        for up in range(1, top.height + 1)
        for place, node in enumerate(top.row(up))
    ]
    await insert_rows(connection, tables.posted_nodes, above)


async def keep_notes(connection: AsyncConnection, period: int, notes: Sequence[tuple[int, int, bytes, bytes]]) -> None:
    """Add what lines rest on beyond the entries: (unit index, line, unit, content) each."""
    sealed = seal(connection, LINE_NOTES, [(unit, content) for _, _, unit, content in notes])
    rows = [(period, index, line, content) for (index, line, _, _), content in zip(notes, sealed, strict=True)]
    await insert_rows(connection, tables.line_notes, rows)


# What pages ask again and again, made once: making a statement costs more than running it.
_BILL, _WHOLE, _NOTE = tables.posted_bills.c, tables.posted_periods.c, tables.line_notes.c
_CONTENT = (
    select(_BILL.unit, _BILL.content)
    .join(tables.posted_periods, _WHOLE.period == _BILL.period)
    .where(_BILL.period == bindparam("period"), _BILL.unit_index == bindparam("unit_index"))
    .where(_WHOLE.held == _WHOLE.unit_count, _WHOLE.unit_count > _BILL.unit_index)
)
_NOTES = select(_NOTE.line, _NOTE.content).where(
    _NOTE.period == bindparam("period"), _NOTE.unit_index == bindparam("unit_index")
)

# -- reading ----------------------------------------------------------------------------------------------------------


async def read_held(connection: AsyncConnection, period: int) -> HeldPeriod | None:
    """What is held of a period; None where nothing is."""
    row = (
        await connection.execute(select(tables.posted_periods).where(tables.posted_periods.c.period == period))
    ).one_or_none()
    if row is None:
        return None
    return HeldPeriod(
        root=_node(row, "root"), unit_count=row.unit_count, held=row.held, compared_at_ms=row.compared_at_ms
    )


def open_notes(connection: AsyncConnection, rows: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """Contents of (unit, stored) rows of `line_notes`."""
    return unseal(connection, LINE_NOTES, rows)


def open_bills(connection: AsyncConnection, rows: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """Contents of (unit, stored) rows of `posted_bills`."""
    return unseal(connection, BILLS, rows)


async def read_note(connection: AsyncConnection, period: int, unit_index: int, unit: bytes, line: int) -> bytes | None:
    """What one line rests on beyond the entries; None for most lines."""
    column = tables.line_notes.c
    query = select(column.content).where(column.period == period, column.unit_index == unit_index, column.line == line)
    stored = (await connection.execute(query)).scalar_one_or_none()
    return None if stored is None else unseal(connection, LINE_NOTES, [(unit, stored)])[0]


async def read_notes(connection: AsyncConnection, period: int, unit_index: int, unit: bytes) -> dict[int, bytes]:
    """What a bill's lines rest on beyond the entries, by line; few have a note."""
    rows = (await connection.execute(_NOTES, {"period": period, "unit_index": unit_index})).all()
    opened = unseal(connection, LINE_NOTES, [(unit, row.content) for row in rows])
    return {row.line: content for row, content in zip(rows, opened, strict=True)}


async def read_noted(connection: AsyncConnection, period: int) -> set[tuple[int, int]]:
    """Unit index and line of every note of a period."""
    column = tables.line_notes.c
    query = select(column.unit_index, column.line).where(column.period == period)
    return {(row.unit_index, row.line) for row in await connection.execute(query)}


async def read_contents(connection: AsyncConnection, period: int, first: int, count: int) -> list[tuple[bytes, bytes]]:
    """Unit and content of posted bills in a row, in unit order."""
    column = tables.posted_bills.c
    query = (
        select(column.unit, column.content)
        .where(column.period == period, column.unit_index >= first, column.unit_index < first + count)
        .order_by(column.unit_index)
    )
    rows = [(row.unit, row.content) for row in await connection.execute(query)]
    return [(unit, content) for (unit, _), content in zip(rows, unseal(connection, BILLS, rows), strict=True)]


async def read_bill(
    connection: AsyncConnection, view: ChainView, deployment: Deployment, period: int, unit_index: int
) -> BillProof | None:
    """One unit's posted bill with its place in the tree; None while the upload is not whole."""
    block = await read_block(connection, deployment, period, unit_index // BLOCK * BLOCK)
    held = await read_held(connection, period)
    if block is None or held is None or unit_index >= held.unit_count:
        return None
    bills, above = block
    own = BillTree(bill.leaf() for bill in bills)
    bill = bills[unit_index % BLOCK]
    return BillProof(
        bill=bill,
        path=(*own.path(unit_index % BLOCK), *above),
        unit_count=held.unit_count,
        root=held.root,
        terms=terms_named(bill.lines, view),
    )


async def read_content(
    connection: AsyncConnection, deployment: Deployment, period: int, unit_index: int
) -> Bill | None:
    """One unit's posted bill without its path; None while the upload is not whole."""
    row = (await connection.execute(_CONTENT, {"period": period, "unit_index": unit_index})).one_or_none()
    if row is None:
        return None
    (content,) = unseal(connection, BILLS, [(row.unit, row.content)])
    return bill_place(deployment, period).bill(unit_index, content)


async def read_block(
    connection: AsyncConnection, deployment: Deployment, period: int, first: int
) -> tuple[list[Bill], tuple[Node, ...]] | None:
    """The posted bills of one aligned block of 64 and the siblings above it; None while the upload is not whole."""
    held = await read_held(connection, period)
    if held is None or not held.is_whole or first >= held.unit_count:
        return None
    place = bill_place(deployment, period)
    contents = await read_contents(connection, period, first, BLOCK)
    bills = [place.bill(index, content) for index, (_, content) in enumerate(contents, first)]
    height = (held.unit_count - 1).bit_length()
    column = tables.posted_nodes.c
    wanted = [(level, first >> level ^ 1) for level in range(BLOCK_LEVEL, height)]
    query = (
        select(tables.posted_nodes)
        .where(column.period == period, tuple_(column.level, column.place).in_(wanted))
        .order_by(column.level)
    )
    above = tuple(_node(row) for row in await connection.execute(query)) if wanted else ()
    return bills, above


def terms_named(lines: Iterable[Line], view: ChainView) -> tuple[tuple[int, bytes], ...]:
    """(version, announced bytes) of the tariffs that lines name, by version."""
    versions = sorted({line.tariff for line in lines if line.tariff})
    return tuple((version, view.tariffs[version].announced.terms) for version in versions if version in view.tariffs)


def _node(row: Any, name: str = "hash") -> Node:
    return Node(getattr(row, name), int.from_bytes(row.sums))
