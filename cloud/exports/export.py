"""One export from its first byte to its last: rows are read in portions, turned in a thread, and sent as they come."""

import asyncio
from collections.abc import AsyncGenerator

from cloud.exports.formats import open_writer
from cloud.exports.portion import Asked, Source
from cloud.exports.records import Record
from cloud.exports.scope import Scope

__all__ = ["export"]


async def export(record: Record, form: str, *, source: Source, scope: Scope, asked: Asked) -> AsyncGenerator[bytes]:
    """The file's pieces. Closing the iterator early lets go of everything."""
    writer = open_writer(form, record.sheet)
    try:
        async for rows in record.portions(source, scope, asked):
            for piece in await asyncio.to_thread(list, writer.write(rows)):
                yield piece
        last = writer.finish()
        while (piece := await asyncio.to_thread(next, last, b"")) != b"":
            yield piece
    finally:
        writer.close()
