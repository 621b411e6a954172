"""What ingest cannot be faster than on this machine: the same rows by bare COPY, the same hashes, the same signatures.

The floor copies into a table of the same columns, keys and index, 8,192 rows a transaction, from tuples that were made
before the clock starts; it parses, checks, compares and answers nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from hashlib import sha256

import asyncpg

from cloud.store import Store, tables
from cloud.store.readings import CLEAR
from contracts import p256
from contracts.batch import Batch, decode_batch
from contracts.checkpoint import open_checkpoint
from contracts.entry import ENTRY_BYTES
from tests.postgres import PostgresServer

ROWS_A_TRANSACTION = 8_192
MONTH = 202611


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds for so many entries."""

    entries: int
    copying: float
    hashing: float
    verifying: float

    @property
    def entries_per_second(self) -> float:
        return self.entries / (self.copying + self.hashing + self.verifying)

    def parts(self) -> str:
        """Microseconds an entry of each part."""
        each = {"COPY": self.copying, "hashing": self.hashing, "verifying": self.verifying}
        return ", ".join(f"{name} {1e6 * seconds / self.entries:.1f} us an entry" for name, seconds in each.items())


async def measure_floor(
    batches: list[tuple[str, bytes, bytes]], keys: dict[str, bytes], server: PostgresServer
) -> Floor:
    """The floor for one round of batches, into a fresh database."""
    name = server.new_database()
    store = Store(server.url(name))
    await store.migrate()
    await store.prepare_month(MONTH)
    await store.close()
    decoded = [(log_id, keys[origin], decode_batch(body)) for log_id, (origin, _token, body) in enumerate(batches)]
    rows = [row for log_id, _key, batch in decoded for row in _rows(log_id, batch)]
    return Floor(
        entries=len(rows),
        copying=await _copy(rows, server, name),
        hashing=_hash([batch for _log_id, _key, batch in decoded]),
        verifying=_verify([(key, batch) for _log_id, key, batch in decoded]),
    )


def _rows(log_id: int, batch: Batch) -> list[tuple[object, ...]]:
    found = zip(batch.rows, batch.details, batch.leaf_hashes(), strict=True)
    return [
        (log_id, at, *row, detail or None, leaf, MONTH, CLEAR)
        for at, (row, detail, leaf) in enumerate(found, batch.start)
    ]


async def _copy(rows: list[tuple[object, ...]], server: PostgresServer, name: str) -> float:
    columns = [column.name for column in tables.entries.columns]
    connection = await asyncpg.connect(host=str(server.folder), user="minglou", database=name)
    started = time.perf_counter()
    for at in range(0, len(rows), ROWS_A_TRANSACTION):
        async with connection.transaction():
            await connection.copy_records_to_table(
                "entries", records=rows[at : at + ROWS_A_TRANSACTION], columns=columns
            )
    seconds = time.perf_counter() - started
    await connection.close()
    return seconds


def _hash(batches: list[Batch]) -> float:
    """Each leaf, and an inner node for each of them."""
    pair = bytes(65)
    started = time.perf_counter()
    for batch in batches:
        view = memoryview(batch.entries)
        for at in range(0, len(view), ENTRY_BYTES):
            sha256(b"\x00" + view[at : at + ENTRY_BYTES]).digest()
            sha256(pair).digest()
    return time.perf_counter() - started


def _verify(batches: list[tuple[bytes, Batch]]) -> float:
    signed = [(key, open_checkpoint(batch.note, key)) for key, batch in batches]
    started = time.perf_counter()
    for key, checkpoint in signed:
        p256.verify(key, checkpoint.checkpoint.body().encode(), checkpoint.signature)
    return time.perf_counter() - started
