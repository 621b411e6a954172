"""A zip file as it is made: members one after another, their content piece by piece, nothing kept but the directory."""

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

__all__ = ["Member", "zipped"]


@dataclass(frozen=True, slots=True)
class Member:
    """One file in the zip."""

    name: str
    content: AsyncGenerator[bytes]


async def zipped(
    members: AsyncIterator[Member], *, made_at: tuple[int, int, int, int, int, int]
) -> AsyncGenerator[bytes]:
    """The file's pieces.

    Args:
        made_at: year, month, day, hour, minute, second that all members carry.
    """
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_DEFLATED) as archive:
        async for member in members:
            named = ZipInfo(member.name, made_at)
            named.compress_type, named.external_attr = ZIP_DEFLATED, 0o600 << 16
            async with aclosing(member.content) as content:
                with archive.open(named, "w", force_zip64=True) as opened:
                    async for piece in content:
                        await asyncio.to_thread(opened.write, piece)
                        yield sink.take()
        yield sink.take()
    yield sink.take()


class _Sink(io.RawIOBase):
    """Where the zip is written to: a file that goes only forward."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, piece: Any) -> int:
        """Keep a piece until it is taken."""
        self._pieces.append(bytes(piece))
        return len(self._pieces[-1])

    def take(self) -> bytes:
        """What was written since."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken
