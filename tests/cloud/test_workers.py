"""Workers end when they are told to, whatever they are doing at that moment."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cloud.chain.client import ChainClient
from cloud.mail import Bell
from cloud.store import Store, sqlite_url
from cloud.workers import Worker, supervise
from contracts.ending import end_tasks
from tests.cloud.house import house

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@asynccontextmanager
async def answering_node() -> AsyncIterator[str]:
    """A node that knows its chain's id and nothing else; its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            question = json.loads(await reader.readexactly(length))
            body = json.dumps({"jsonrpc": "2.0", "id": question["id"], "result": "0x7a69"}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
            writer.write(b"content-length: %d\r\n\r\n" % len(body) + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the worker ended while it asked
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def times_it_went_on(step: Callable[[], Coroutine[Any, Any, bool]], *, tries: int) -> int:
    """How often a worker went on although it had been cancelled, each time after another number of the loop's turns."""
    went_on = 0
    for turns in range(tries):
        again = asyncio.Event()

        async def watched(again: asyncio.Event = again) -> bool:
            again.set()
            return await step()

        task = asyncio.create_task(
            supervise(Worker(name="asking", step=watched, pause_seconds=0.0), Bell(), random.Random(turns))
        )
        for _ in range(1 + turns):
            await asyncio.sleep(0)
        again.clear()
        task.cancel()
        going_on = asyncio.create_task(again.wait())
        await asyncio.wait({task, going_on}, return_when=asyncio.FIRST_COMPLETED)
        went_on += not task.done()
        assert await end_tasks([task, going_on], seconds=60) == []
    return went_on


def test_a_worker_ends_at_whatever_moment_of_a_question_to_the_chain_it_is_told_to(run: Run) -> None:
    async def scenario() -> int:
        async with answering_node() as url:
            client = ChainClient([url])
            await client.chain_id()

            async def step() -> bool:
                return await client.chain_id() == 0

            try:
                return await times_it_went_on(step, tries=70)
            finally:
                await client.close()

    assert run(scenario()) == 0


def test_a_worker_ends_at_whatever_moment_of_a_transaction_it_is_told_to(run: Run, tmp_path: Path) -> None:
    async def scenario() -> int:
        store = Store(sqlite_url(tmp_path / "cloud.sqlite3"))
        await store.migrate()

        async def step() -> bool:
            await store.notice("a line", at_ms=1)
            return not await store.latest_notices(1)

        try:
            return await times_it_went_on(step, tries=40)
        finally:
            await store.close()

    assert run(scenario()) == 0


def test_a_cloud_runs_every_worker_that_it_opened(tmp_path: Path, run: Run) -> None:
    """What nobody starts works in every test that calls it by hand, and in no building."""

    async def scenario() -> set[str]:
        async with house(tmp_path) as site:
            running = asyncio.create_task(site.cloud.run())
            await asyncio.sleep(0)  # the cloud makes its tasks at its first turn
            names = {task.get_name() for task in asyncio.all_tasks()}
            await end_tasks([running])
            return names

    expected = {
        "audit log", "device days", "ingest", "integrity", "months", "photos", "retention", "segments", "super-log",
        "what has ended",
    }  # fmt: skip
    assert expected <= run(scenario())
