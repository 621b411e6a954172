"""What was erased, when and why, as it is told to whoever asks for an erased entry."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.store import tables

__all__ = ["ErasedEntry", "read_record"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedEntry:
    """What is left of an entry: its hash, the proof that it is in the log, and what is on record of its erasure."""

    origin: str
    index: int
    leaf: bytes
    size: int
    path: Sequence[bytes]  # inclusion of the leaf in the tree of `size`
    checkpoint: str  # the note of that size
    erased_by: Sequence[str]  # none where the record was lost with a database

    def to_json(self) -> dict[str, Any]:
        """For programs; `message` is for people."""
        by = " or ".join(self.erased_by) or "by retention or on request; the record of it is lost"
        return {
            "error": "erased",
            "message": f"entry {self.index} of {self.origin} was erased {by}; its hash and every proof are kept",
            "leaf": self.leaf.hex(),
            "index": str(self.index),
            "size": str(self.size),
            "path": [node.hex() for node in self.path],
            "checkpoint": self.checkpoint,
        }


async def read_record(connection: AsyncConnection, log_id: int, index: int) -> list[str]:
    """What is on record for a place; more than one where a request fell into what retention erased later."""
    column = tables.erasures.c
    query = select(tables.erasures).where(
        column.log_id == log_id, column.first_index <= index, column.end_index > index
    )
    return [_in_words(row) for row in await connection.execute(query.order_by(column.number))]


def _in_words(row: Any) -> str:
    day = datetime.fromtimestamp(row.erased_at_ms / 1000, UTC).date()
    return f"{'by retention' if row.cause == 'retention' else 'on request'} on {day} ({row.says})"
