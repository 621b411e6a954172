"""A network that comes and goes: a TCP proxy that refuses, swallows answers, or cuts in the middle, as it is told."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tests.processes import is_listening, wait_until

KINDS = ("good", "down", "deaf", "cut")
"""What it does: all; refuse; carry the question and drop the answer; drop the second half of each question."""
_CHUNK = 65_536


@dataclass
class Network:
    """What stands between phones and the cloud. `kind` may change at any time."""

    upstream: int
    kind: str = "good"

    async def carry(self, phone: asyncio.StreamReader, to_phone: asyncio.StreamWriter) -> None:
        """One connection, until either side or the network ends it."""
        writers = [to_phone]
        with suppress(OSError, asyncio.IncompleteReadError):
            if self.kind == "down":
                raise ConnectionRefusedError
            cloud, to_cloud = await asyncio.open_connection("127.0.0.1", self.upstream)
            writers.append(to_cloud)
            ways = [
                asyncio.create_task(self._questions(phone, to_cloud)),
                asyncio.create_task(self._answers(cloud, to_phone)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        await _close(writers)

    async def _questions(self, phone: asyncio.StreamReader, to_cloud: asyncio.StreamWriter) -> None:
        while chunk := await phone.read(_CHUNK):
            if self.kind == "down":
                return
            to_cloud.write(chunk[: len(chunk) // 2] if self.kind == "cut" else chunk)
            await to_cloud.drain()
            if self.kind == "cut":
                return

    async def _answers(self, cloud: asyncio.StreamReader, to_phone: asyncio.StreamWriter) -> None:
        while chunk := await cloud.read(_CHUNK):
            if self.kind != "good":
                return
            to_phone.write(chunk)
            await to_phone.drain()


async def _close(writers: list[asyncio.StreamWriter]) -> None:
    for writer in writers:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@contextmanager
def network(port: int, upstream: int) -> Iterator[Network]:
    """On `port`, until the block ends."""
    carried, over = Network(upstream), threading.Event()

    async def serve() -> None:
        server = await asyncio.start_server(carried.carry, "127.0.0.1", port)
        await asyncio.to_thread(over.wait)
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="network")
    thread.start()
    try:
        wait_until(lambda: is_listening(port), seconds=20, what=f"the network on port {port}")
        yield carried
    finally:
        over.set()
        thread.join(30)
