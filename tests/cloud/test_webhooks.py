"""Other programs are told what happened: signed, in order, at least once, and never what may still be taken back."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from cloud.errors import SettingsError
from cloud.store import Store, tables
from cloud.webhooks.courier import Courier
from cloud.webhooks.settings import Webhook, secret_of, webhooks_from_settings
from contracts.calls import anchor_log
from contracts.clock import SystemClock

Run = Callable[[Any], Any]
KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
BLOCK_S = 1_764_000_000


@dataclass
class Receiver:
    """A real HTTP server that keeps what it was sent and answers as it is told."""

    url: str = ""
    answers: list[int] = field(default_factory=list)  # statuses to give, 200 once they are used up
    taken: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def kinds(self) -> list[str]:
        return [message["type"] for message in self.taken]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = kept.answers.pop(0) if kept.answers else 200
            sent = {name.lower(): value for name, value in self.headers.items()}
            if status == 200:
                kept.taken.append(json.loads(body))
                kept.headers.append({**sent, "body": body.decode()})
            self.send_response(status)
            self.send_header("location", "http://127.0.0.1:1/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class World:
    """A store, its courier, and seconds that the test turns."""

    def __init__(self, store: Store, receiver: Receiver, *, events: tuple[str, ...] = ("*",)) -> None:
        self.store, self.seconds = store, float(BLOCK_S)
        self.hook = Webhook(name="books", url=receiver.url, secret_file=Path("unused"), events=events)
        self.courier = self.new_courier()

    def new_courier(self) -> Courier:
        return Courier(
            store=self.store, clock=SystemClock(), hooks=[self.hook], keys={"books": KEY},
            real_seconds=lambda: self.seconds,
        )  # fmt: skip

    async def anchored(self, number: int, size: int, *, log_index: int = 0) -> None:
        """The anchor log says in block `number` that `size` leaves are anchored."""
        form = anchor_log.Anchored.FORM
        topics = form.topic + size.to_bytes(32)
        async with self.store.write() as connection:
            if not log_index:
                await connection.execute(
                    insert(tables.chain_blocks).values(
                        number=number, hash=f"0x{number:064x}", parent_hash=f"0x{number - 1:064x}", timestamp=BLOCK_S
                    )
                )
            await connection.execute(
                insert(tables.chain_events).values(
                    block_number=number, log_index=log_index, block_hash=f"0x{number:064x}",
                    transaction_hash=f"0x{size:064x}", contract="anchor_log", topics=topics, data=bytes(32),
                )
            )  # fmt: skip

    async def finalize(self, number: int) -> None:
        values = {
            "followed_number": number + 2, "followed_hash": "0x", "final_number": number, "final_hash": "0x"
        }  # fmt: skip
        async with self.store.write() as connection:
            moved = await connection.execute(update(tables.chain_cursor).values(values))
            if not moved.rowcount:
                await connection.execute(insert(tables.chain_cursor).values(one=1, **values))

    async def close(self) -> None:
        await self.courier.close()
        await self.store.close()


def test_an_event_is_told_once_it_is_final_and_not_before(run: Run, store: Store, receiver: Receiver) -> None:
    async def scenario() -> None:
        world = World(store, receiver)
        await world.finalize(5)
        assert not await world.courier.step()
        await world.anchored(7, 40)
        await world.courier.step()
        assert receiver.taken == []
        await world.finalize(7)
        assert await world.courier.step()
        assert not await world.courier.step()
        (message,) = receiver.taken
        assert message["type"] == "anchor_log.Anchored"
        assert message["data"]["event"]["size"] == 40
        assert message["data"]["transaction"] == f"0x{40:064x}"
        await world.close()

    run(scenario())


def test_a_receiver_can_check_who_sent_it_with_any_standard_webhooks_library(
    run: Run, store: Store, receiver: Receiver
) -> None:
    async def scenario() -> None:
        world = World(store, receiver)
        await world.courier.step()
        await store.notice("翠苑: the chain is slow", at_ms=1)
        await world.courier.step()
        (sent,) = receiver.headers
        signed = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.{sent['body']}".encode()
        mac = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        assert sent["webhook-signature"] == f"v1,{mac}"
        assert int(sent["webhook-timestamp"]) == BLOCK_S
        assert receiver.taken[0]["data"] == {"says": "翠苑: the chain is slow"}
        await world.close()

    run(scenario())


@pytest.mark.parametrize("status", [500, 302, 410])
def test_what_is_refused_is_told_again_in_order_with_growing_pauses(
    run: Run, store: Store, receiver: Receiver, status: int
) -> None:
    async def scenario() -> None:
        world = World(store, receiver)
        await world.courier.step()
        for number in range(3):
            await store.notice(f"line {number}", at_ms=number)
        receiver.answers = [200, status, status]
        await world.courier.step()
        assert [one["data"]["says"] for one in receiver.taken] == ["line 0"]
        await world.courier.step()
        assert len(receiver.answers) == 1, "within the pause nothing is sent"
        world.seconds += 1
        await world.courier.step()
        world.seconds += 1
        await world.courier.step()
        assert len(receiver.taken) == 1, "the second pause is longer"
        world.seconds += 1
        await world.courier.step()
        assert [one["data"]["says"] for one in receiver.taken] == ["line 0", "line 1", "line 2"]
        await world.close()

    run(scenario())


def test_a_cloud_that_was_killed_tells_again_under_the_same_id(run: Run, store: Store, receiver: Receiver) -> None:
    async def scenario() -> None:
        world = World(store, receiver)
        await world.courier.step()
        await store.notice("once", at_ms=1)
        keep, world.courier._move = world.courier._move, _killed  # type: ignore[method-assign]
        with pytest.raises(InterruptedError):
            await world.courier.step()
        del keep
        await world.courier.close()
        world.courier = world.new_courier()
        await world.courier.step()
        first, second = receiver.headers
        assert first["webhook-id"] == second["webhook-id"] and first["body"] == second["body"]
        await world.close()

    run(scenario())


async def _killed(*_: Any, **__: Any) -> None:
    raise InterruptedError


def test_what_was_numbered_first_and_written_last_is_told_too(run: Run, store: Store, receiver: Receiver) -> None:
    async def scenario() -> None:
        world = World(store, receiver)
        await world.courier.step()
        late = asyncio.Event()

        async def slow() -> None:
            async with store.write(None) as connection:
                await connection.execute(insert(tables.notices).values(at_ms=1, says="first"))
                numbered.set()
                await late.wait()

        numbered = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(slow())
            await numbered.wait()
            if not store.is_postgres:  # there writers exclude each other, and nothing can come between
                late.set()
            await store.notice("second", at_ms=2)
            telling = tasks.create_task(world.courier.step())
            await asyncio.wait([telling], timeout=0.5)  # on PostgreSQL it waits for the first
            late.set()
            await telling
        while await world.courier.step():
            pass
        assert [one["data"]["says"] for one in receiver.taken] == ["first", "second"]
        await world.close()

    run(scenario())


def test_of_two_processes_one_tells(run: Run, store: Store, receiver: Receiver) -> None:
    async def scenario() -> None:
        world = World(store, receiver)
        await world.courier.step()
        second = world.new_courier()
        await store.notice("once", at_ms=1)
        assert not await second.step()
        assert await world.courier.step()
        await world.courier.close()
        await store.notice("and once more", at_ms=2)
        assert await second.step(), "it takes over"
        assert [one["data"]["says"] for one in receiver.taken] == ["once", "and once more"]
        await second.close()
        await store.close()

    run(scenario())


def test_people_are_told_of_a_receiver_that_keeps_refusing(run: Run, store: Store, receiver: Receiver) -> None:
    async def scenario() -> None:
        world = World(store, receiver, events=("anchor_log.*",))
        await world.finalize(1)
        await world.courier.step()
        await world.anchored(2, 9)
        await world.finalize(2)
        receiver.answers = [503] * 5
        for _ in range(5):
            await world.courier.step()
            world.seconds += 3600
        (notice,) = await store.latest_notices(9)
        assert notice.startswith("webhook books was refused 5 times: it answered 503; nothing is lost")
        assert SECRET not in notice
        await world.courier.step()
        assert receiver.kinds() == ["anchor_log.Anchored"]
        await world.close()

    run(scenario())


def test_a_hook_hears_only_what_it_asked_for(run: Run, store: Store, receiver: Receiver) -> None:
    async def scenario() -> None:
        world = World(store, receiver, events=("fork", "usage_fees.*"))
        await world.courier.step()
        await store.notice("not for the books", at_ms=1)
        assert await world.courier.step()
        assert not await world.courier.step(), "what is not wanted is passed once"
        assert receiver.taken == []
        await world.close()

    run(scenario())


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"name": "Books!", "url": "https://x.example"}, "name is"),
        ({"name": "books", "url": "http://x.example", "secret_file": "s"}, "https"),
        ({"name": "books", "url": "https://x.example"}, "secret_file"),
        ({"name": "books", "url": "https://x.example", "secret_file": "s", "events": []}, "events"),
        ({"name": "books", "url": "https://x.example", "secret_file": "s", "evnets": ["*"]}, "unknown keys evnets"),
    ],
)
def test_a_wrong_table_is_refused_with_what_to_write(table: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        webhooks_from_settings(Path("cloud.toml"), [table])


def test_a_weak_secret_is_refused_with_how_to_make_one() -> None:
    assert secret_of(SECRET, name="books") == KEY
    for weak in ("whsec_c2hvcnQ=", base64.b64encode(KEY).decode(), "whsec_***"):
        with pytest.raises(SettingsError, match="urandom"):
            secret_of(weak, name="books")
