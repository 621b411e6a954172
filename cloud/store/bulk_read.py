"""Many rows of some hashes and some whole numbers, read into columns without an object for each.

On PostgreSQL they come through COPY in binary and are cut by their widths; on SQLite row by row, in portions.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.errors import StoreError

__all__ = ["HASH_BYTES", "Uncut", "read_hashes_and_numbers", "read_uncut"]

HASH_BYTES = 32
_PORTION = 50_000
# Signature, flags and the length of what may follow them. Source: PostgreSQL, COPY, Binary Format.
_COPY_HEAD_BYTES = 19
_COPY_TAIL = b"\xff\xff"

Numbers = NDArray[np.int64]
Hashes = NDArray[np.uint8]
Uncut = Callable[[], tuple[Hashes, Numbers]]


async def read_hashes_and_numbers(
    connection: AsyncConnection, query: Select[Any], *, hashes: int = 1
) -> tuple[Hashes, Numbers]:
    """As `read_uncut`, and cut."""
    return (await read_uncut(connection, query, hashes=hashes))()


async def read_uncut(connection: AsyncConnection, query: Select[Any], *, hashes: int = 1) -> Uncut:
    """The rows of a query whose first columns are 32 bytes each and whose others are BIGINT.

    Args:
        query: its values are written into the statement, so they must be our own numbers and names.
        hashes: how many of its columns are hashes.

    Returns:
        What makes columns of them, in any thread: while it does, the connection can read on. Hashes, one row of 32
        bytes for each of a row's hashes, side by side; and numbers, one row each with a column for each further column.

    Raises:
        StoreError: a row is of another form; told by what is returned too.
    """
    width, octets_each = len(query.selected_columns) - hashes, hashes * HASH_BYTES
    if connection.dialect.name == "postgresql":
        return partial(_cut, await _copied(connection, query), hashes, width)
    found_hashes, numbers = [np.zeros((0, octets_each), np.uint8)], [np.zeros((0, width), np.int64)]
    found = await connection.stream(query)
    async for portion in found.partitions(_PORTION):
        columns = list(zip(*portion, strict=True))
        octets = [b"".join(column) for column in columns[:hashes]]
        if any(len(one) != HASH_BYTES * len(portion) for one in octets):
            raise StoreError(f"a hash has not {HASH_BYTES} bytes; the store is damaged: rebuild it")
        found_hashes.append(np.hstack([np.frombuffer(one, np.uint8).reshape(-1, HASH_BYTES) for one in octets]))
        numbers.append(np.array(columns[hashes:], np.int64).T)
    return lambda: (np.concatenate(found_hashes), np.concatenate(numbers))


async def _copied(connection: AsyncConnection, query: Select[Any]) -> bytes:
    statement = str(query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
    await connection.exec_driver_sql("SELECT 1")  # begins the transaction, which COPY goes past SQLAlchemy to join
    driver: Any = (await connection.get_raw_connection()).driver_connection
    pieces: list[bytes] = []

    async def take(piece: bytes) -> None:
        pieces.append(bytes(piece))

    await driver.copy_from_query(statement, output=take, format="binary")
    return b"".join(pieces)


def _cut(octets: bytes, hashes: int, width: int) -> tuple[Hashes, Numbers]:
    """Rows of PostgreSQL's binary COPY: fields counted in 16 bits, each behind its length in 32."""
    fields: list[Any] = [("fields", ">i2")]
    for at in range(hashes):
        fields += [(f"octets{at}", ">i4"), (f"hash{at}", np.uint8, (HASH_BYTES,))]
    for at in range(width):
        fields += [(f"length{at}", ">i4"), (f"number{at}", ">i8")]
    form = np.dtype(fields)
    body = octets[_COPY_HEAD_BYTES : -len(_COPY_TAIL)]
    if len(body) % form.itemsize or not octets.endswith(_COPY_TAIL):
        raise StoreError("rows of another width than their columns have; the store is damaged: rebuild it")
    rows = np.frombuffer(body, form)
    is_whole = (rows["fields"] == hashes + width).all()
    is_whole = is_whole and all((rows[f"octets{at}"] == HASH_BYTES).all() for at in range(hashes))
    if not is_whole or any((rows[f"length{at}"] != 8).any() for at in range(width)):
        raise StoreError("a row of another form than its columns have; the store is damaged: rebuild it")
    numbers = np.stack([rows[f"number{at}"].astype(np.int64) for at in range(width)], axis=1)
    return np.hstack([rows[f"hash{at}"] for at in range(hashes)]), numbers
