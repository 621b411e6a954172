"""What belongs to one household lies sealed in the store; whoever holds the keys travels with the connection.

A store without keys keeps such bytes as they are and refuses to read what was sealed.
"""

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.errors import StoreError

__all__ = [
    "BILLS", "DEVICES", "LINE_NOTES", "REPAIR_PHOTOS", "SEALED", "SEALER", "UNITS", "VOLUMES", "Sealer", "seal",
    "unseal",
]  # fmt: skip

SEALED = b"\xffMv1"
"""How sealed bytes begin."""
SEALER = "sealer"
"""Where a connection's `info` holds the keys."""
BILLS, LINE_NOTES, VOLUMES, REPAIR_PHOTOS = "bills", "line notes", "volumes", "repair photos"
"""What is sealed, as a key's purpose says it."""
UNITS, DEVICES = "unit_keys", "device_keys"
"""Whose keys they are, as the key store's tables are called."""


class Sealer(Protocol):
    """Seals a household's bytes under the household's own key."""

    def seal(self, purpose: str, rows: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Sealed contents of (unit, content) rows, the same each time."""

    def unseal(self, purpose: str, rows: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Contents of (unit, sealed) rows. Raises `StoreError` where a key is missing or a row was altered."""

    def close(self) -> None: ...


def seal(connection: AsyncConnection, purpose: str, rows: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """(unit, content) rows as the store keeps them."""
    sealer: Sealer | None = connection.info.get(SEALER)
    return [content for _, content in rows] if sealer is None else sealer.seal(purpose, rows)


def unseal(connection: AsyncConnection, purpose: str, rows: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """Contents of (unit, stored) rows. Raises `StoreError` without the keys."""
    if not any(stored.startswith(SEALED) for _, stored in rows):
        return [stored for _, stored in rows]  # kept before there were keys
    sealer: Sealer | None = connection.info.get(SEALER)
    if sealer is None:
        raise StoreError("households' bytes are sealed in this database; open it with its key store ([identity] keys)")
    return [
        sealer.unseal(purpose, [(unit, stored)])[0] if stored.startswith(SEALED) else stored for unit, stored in rows
    ]
