"""The super-log: this deployment's one append-only tree of all its gateways' checkpoints, signed with Ed25519.

Its leaves are written in the same transaction as the checkpoints, by the one ingest writer; its notes are signed and
stored when an anchor is due, never two for one size, and carry the cosignatures that witnesses gave since.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.errors import SettingsError
from cloud.standing import cosignature_lines
from cloud.store import Store, insert_rows, tables
from contracts import ed25519
from contracts.checkpoint import Checkpoint
from contracts.errors import KeyFormatError
from contracts.superlog import sign_superlog
from contracts.tree import Frontier, Node, leaf_hash

__all__ = ["SignedHead", "SuperLog", "open_super_key", "signed_head"]


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
    """An Ed25519 key from its PEM file; made there, readable by its owner only, where the file does not exist.

    Raises:
        SettingsError: the file is readable by others or is no Ed25519 key.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(ed25519.dump_pem(ed25519.generate_key()))
    if path.stat().st_mode & 0o077:
        raise SettingsError(f"{what} {path} can be read by others; run: chmod 600 {path}")
    try:
        return ed25519.load_pem(path.read_bytes())
    except KeyFormatError as error:
        raise SettingsError(f"{what} {path}: {error}") from error


class SuperLog:
    """The super-log's right edge in memory, and its signing key."""

    def __init__(self, origin: str, key: ed25519.PrivateKey) -> None:
        self.origin = origin
        self.public = ed25519.public_bytes(key)
        self._key = key
        self._frontier = Frontier()
        self._has_row = False

    @property
    def size(self) -> int:
        return self._frontier.size

    async def load(self, store: Store) -> None:
        """Read the stored right edge, at start and after a failed write."""
        async with store.read() as connection:
            row = (await connection.execute(select(tables.super_head))).one_or_none()
        self._has_row = row is not None
        self._frontier = Frontier.from_bytes(row.peaks) if row is not None else Frontier()

    async def append(self, connection: AsyncConnection, leaves: Sequence[bytes]) -> int:
        """Append leaves in the caller's transaction; the index of the first one. On a failed commit the caller must
        `load` again.
        """
        first = self._frontier.size
        hashes = [leaf_hash(leaf) for leaf in leaves]
        rows: list[Node] = [(0, first + at, hashed) for at, hashed in enumerate(hashes)]
        frontier = self._frontier.copy()
        frontier.extend(hashes, on_node=rows.append)
        await insert_rows(connection, tables.super_nodes, rows)
        head = {"size": frontier.size, "peaks": frontier.to_bytes()}
        if self._has_row:
            await connection.execute(update(tables.super_head).values(head))
        else:
            await connection.execute(insert(tables.super_head).values(one=1, **head))
        self._frontier, self._has_row = frontier, True
        return first

    async def sign_head(self, store: Store, *, now_ms: int) -> SignedHead | None:
        """The signed note of the present head, stored before it is shown; None while the super-log is empty."""
        if not self._frontier.size:
            return None
        async with store.write() as connection:
            # Inside the write transaction no append is half done, so this is a committed head.
            size, root = self._frontier.size, self._frontier.root()
            held = await signed_head(connection, size)
            if held is not None:
                return held
            note = sign_superlog(Checkpoint(origin=self.origin, size=size, root=root), self._key)
            await connection.execute(
                insert(tables.super_notes).values(size=size, root=root, note=note, signed_at_ms=now_ms)
            )
        return SignedHead(size=size, root=root, own_note=note)

    async def latest(self, store: Store) -> SignedHead | None:
        """The largest note that was signed."""
        async with store.read() as connection:
            size = (await connection.execute(select(func.max(tables.super_notes.c.size)))).scalar_one()
            return None if size is None else await signed_head(connection, size)

    async def signed(self, store: Store, size: int) -> SignedHead | None:
        """The note of one size; None where no head of that size was signed."""
        async with store.read() as connection:
            return await signed_head(connection, size)


async def signed_head(connection: AsyncConnection, size: int) -> SignedHead | None:
    """The signed head of this size with the cosignatures that came; None where none was signed."""
    row = (await connection.execute(select(tables.super_notes).where(tables.super_notes.c.size == size))).one_or_none()
    if row is None:
        return None
    lines = await cosignature_lines(connection, size)
    return SignedHead(size=row.size, root=row.root, own_note=row.note, cosignatures=lines)
