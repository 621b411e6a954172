"""The super-log: this deployment's one append-only tree of its gateways' checkpoints, signed with Ed25519.

Gateways' checkpoints wait in the store, whoever took them; one sequencer at a time, of whatever process, gives them
their places. The audit log's newest signed head follows behind them, one leaf at most in each step. Notes are signed
and stored when an anchor is due, never two for one size, and carry the cosignatures that witnesses gave since.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.identity.audit_tree import grown_size
from cloud.key_file import open_key_file
from cloud.standing import cosignature_lines
from cloud.store import Store, insert_new, insert_rows, tables
from contracts import ed25519
from contracts.checkpoint import Checkpoint
from contracts.superlog import audit_leaf_of, sign_superlog, superlog_leaf_of
from contracts.tree import Frontier, Node, leaf_hash

__all__ = ["SignedHead", "SuperLog", "open_super_key", "signed_head"]


_SEQUENCING = "super-log"
_SEQUENCED_AT_ONCE = 2_000
_PLACE = (
    update(tables.checkpoints)
    .where(tables.checkpoints.c.log_id == bindparam("of_log"), tables.checkpoints.c.size == bindparam("of_size"))
    .values(super_index=bindparam("place"))
)
_NEWEST_AUDIT_NOTE = select(tables.audit_notes).order_by(tables.audit_notes.c.size.desc()).limit(1)
_LAST_AUDIT_HEAD = select(tables.audit_heads.c.note).order_by(tables.audit_heads.c.super_index.desc()).limit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """One signed checkpoint of the super-log."""

    size: int
    root: bytes
    own_note: str  # as the super-log alone signed it
    cosignatures: str = ""  # lines of witnesses, so far

    @property
    def note(self) -> str:
        """The note with all its signatures."""
        return self.own_note + self.cosignatures


def open_super_key(path: Path, what: str = "super-log key") -> ed25519.PrivateKey:
    """An Ed25519 key from its PEM file; made there where there is none. Raises `SettingsError`."""
    return open_key_file(path, what)


class SuperLog:
    """The super-log: its sequencer and its signing key. It lies in the store; `size` is what was last seen there."""

    def __init__(self, origin: str, key: ed25519.PrivateKey) -> None:
        self.origin = origin
        self.public = ed25519.public_bytes(key)
        self._key = key
        self.size = 0

    async def sequence(self, store: Store, *, at_most: int = _SEQUENCED_AT_ONCE) -> bool:
        """Give waiting checkpoints their places, oldest first; whether there were so many that more may be waiting."""
        column = tables.checkpoints.c
        waiting = (
            select(column.log_id, column.size, column.note)
            .where(column.super_index.is_(None))
            .order_by(column.received_at_ms, column.log_id, column.size)
            .limit(at_most)
            .execution_options(every_shard="checkpoints of all logs make one order")
        )
        async with store.read() as connection:
            self.size = (await _frontier(connection)).size
            has_checkpoints = bool((await connection.execute(waiting.limit(1))).all())
            if not has_checkpoints and await _waiting_audit_head(connection) is None:
                return False
        async with store.write(_SEQUENCING) as connection:
            rows = (await connection.execute(waiting)).all()
            audit_head = await _waiting_audit_head(connection)
            leaves = [superlog_leaf_of(row.note) for row in rows]
            leaves += [] if audit_head is None else [audit_leaf_of(audit_head.note)]
            first = await self.append(connection, leaves)
            places = [{"of_log": row.log_id, "of_size": row.size, "place": first + at} for at, row in enumerate(rows)]
            if places:
                await connection.execute(_PLACE, places)
            if audit_head is not None:
                values = {"super_index": first + len(rows), **audit_head._mapping}
                await connection.execute(insert(tables.audit_heads).values(values))
        self.size = first + len(leaves)
        return len(rows) == at_most

    async def append(self, connection: AsyncConnection, leaves: Sequence[bytes]) -> int:
        """Append leaves to the stored tree; the index of the first one."""
        frontier = await _frontier(connection)
        first = frontier.size
        hashes = [leaf_hash(leaf) for leaf in leaves]
        rows: list[Node] = [(0, first + at, hashed) for at, hashed in enumerate(hashes)]
        frontier.extend(hashes, on_node=rows.append)
        await insert_rows(connection, tables.super_nodes, rows)
        head = {"size": frontier.size, "peaks": frontier.to_bytes()}
        if not await insert_new(connection, tables.super_head, {"one": 1, **head}):
            await connection.execute(update(tables.super_head).values(head))
        return first

    async def sign_head(self, store: Store, *, now_ms: int) -> SignedHead | None:
        """The signed note of the present head, stored before it is shown; None while the super-log is empty."""
        while await self.sequence(store):
            pass
        async with store.write(_SEQUENCING) as connection:
            frontier = await _frontier(connection)
            self.size, root = frontier.size, frontier.root()
            if not self.size:
                return None
            held = await signed_head(connection, self.size)
            if held is not None:
                return held
            note = sign_superlog(Checkpoint(origin=self.origin, size=self.size, root=root), self._key)
            await connection.execute(
                insert(tables.super_notes).values(size=self.size, root=root, note=note, signed_at_ms=now_ms)
            )
        return SignedHead(size=self.size, root=root, own_note=note)

    async def latest(self, store: Store) -> SignedHead | None:
        """The largest note that was signed."""
        async with store.read() as connection:
            size = (await connection.execute(select(func.max(tables.super_notes.c.size)))).scalar_one()
            return None if size is None else await signed_head(connection, size)

    async def signed_size(self, store: Store) -> int:
        """The size of the largest note that was signed; 0 before the first."""
        async with store.read() as connection:
            return (await connection.execute(select(func.max(tables.super_notes.c.size)))).scalar_one() or 0

    async def signed(self, store: Store, size: int) -> SignedHead | None:
        """The note of one size; None where no head of that size was signed."""
        async with store.read() as connection:
            return await signed_head(connection, size)


async def _waiting_audit_head(connection: AsyncConnection) -> Any:
    """The audit log's newest signed head, if it is not the last that got a place; those between never get one.

    One that an older version signed waits until the tree reaches it, for whoever reads it asks for the tree at once.
    """
    newest = (await connection.execute(_NEWEST_AUDIT_NOTE)).one_or_none()
    last = (await connection.execute(_LAST_AUDIT_HEAD)).scalar_one_or_none()
    if newest is None or newest.note == last or newest.size > await grown_size(connection):
        return None
    return newest


async def _frontier(connection: AsyncConnection) -> Frontier:
    """The stored right edge."""
    row = (await connection.execute(select(tables.super_head))).one_or_none()
    return Frontier() if row is None else Frontier.from_bytes(row.peaks)


async def signed_head(connection: AsyncConnection, size: int) -> SignedHead | None:
    """The signed head of this size with the cosignatures that came; None where none was signed."""
    row = (await connection.execute(select(tables.super_notes).where(tables.super_notes.c.size == size))).one_or_none()
    if row is None:
        return None
    lines = await cosignature_lines(connection, size)
    return SignedHead(size=row.size, root=row.root, own_note=row.note, cosignatures=lines)
