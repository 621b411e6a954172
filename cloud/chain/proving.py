"""Proofs of single entries under the heads that the chain has accepted, for whatever contract asks for one."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.chain.anchoring import wish_head
from cloud.chain.sender import NotYet
from cloud.chain.view import ChainView
from cloud.store import Store, log_id_of, tables
from cloud.store.erasing import ERASED_KIND
from cloud.store.months import entries_at
from cloud.store.readings import open_entry
from cloud.store.trees import LogTree, walk
from contracts.calls.charges import EntryProof
from contracts.entry import Entry, Kind
from contracts.tree import inclusion_path

__all__ = ["entry_proof", "wait_for_heads"]


async def entry_proof(connection: AsyncConnection, log_id: int, index: int, size: int) -> EntryProof | None:
    """An entry with its path to the root of its log's first `size` leaves; None where it was erased."""
    here = await entries_at(connection, log_id, index)
    row = open_entry(connection, (await connection.execute(select(tables.entries).where(here))).one())
    if row.kind == ERASED_KIND:
        return None
    path = await walk(connection, LogTree(log_id), lambda node: inclusion_path(node, index, size))
    logged = Entry(
        kind=Kind(row.kind),
        device=row.device,
        observed_at_ms=row.observed_at_ms,
        quantity=row.quantity,
        value=row.value,
        detail_digest=row.detail_digest,
        salt=row.salt,
    )
    return EntryProof(entry=logged, index=index, path=tuple(path))


async def wait_for_heads(
    store: Store, connection: AsyncConnection, view: ChainView, places: Sequence[tuple[str, int]], *, now_ms: int
) -> NotYet | None:
    """Whether an accepted head does not reach one of these entries yet; then a newer one is wished for.

    Args:
        places: origin and index of each entry.
    """
    for origin, index in places:
        if view.head(origin).size <= index:
            size = await _checkpoint_after(connection, origin, index)
            if size is not None:
                await wish_head(store, origin, size, now_ms=now_ms)
            return NotYet(says=f"the accepted head of {origin} does not reach entry {index} yet")
    return None


async def _checkpoint_after(connection: AsyncConnection, origin: str, index: int) -> int | None:
    """The size of the newest held checkpoint that covers an entry: one acceptance then serves later proofs too."""
    column = tables.checkpoints.c
    query = (
        select(column.size)
        .where(column.log_id == await log_id_of(connection, origin), column.size > index)
        .order_by(column.size.desc())
        .limit(1)
    )
    return (await connection.execute(query)).scalar_one_or_none()
