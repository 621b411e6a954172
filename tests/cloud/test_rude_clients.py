"""Clients that dribble, stall, shout or send rubbish are told what to do; everybody else is served meanwhile."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from cloud import web_server
from cloud.chain.unchained import Unchained
from cloud.errors import IngestRefused
from cloud.ingest import IngestLimits
from cloud.ingest.routes import gateway_router
from cloud.mail import Bell, MailRoom
from contracts.batch import MEDIA_TYPE
from contracts.clock import SystemClock
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import SimulatedGateway
from tests.processes import free_port

Run = Callable[[Any], Any]


@asynccontextmanager
async def served(place: Path, **options: Any) -> AsyncIterator[tuple[Bench, int]]:
    """The gateways' routes on a real socket."""
    async with open_bench(place, **options) as bench:
        mail = MailRoom(store=bench.store, news=Unchained(), clock=SystemClock(), bell=Bell(), block_seconds=60)
        app, port = FastAPI(), free_port()
        app.include_router(gateway_router(bench.ingest, mail))

        @app.get("/slow")
        async def get_slow() -> str:
            await asyncio.sleep(3 * web_server.HEAD_SECONDS)
            return "at last"

        config = uvicorn.Config(
            app, host="127.0.0.1", port=port, http=web_server.PatientProtocol, log_config=None, lifespan="off"
        )
        server = web_server.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn offers a flag, no event
            await asyncio.sleep(0.01)
        try:
            yield bench, port
        finally:
            server.should_exit = True
            await serving


async def ask(port: int, *pieces: bytes) -> bytes:
    """Send these pieces and nothing more; all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


def post(gateway: SimulatedGateway, body: bytes, *, length: int | None = None, more: str = "") -> bytes:
    head = (
        f"POST /v1/logs/{gateway.origin}/entries HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{more}"
        f"Authorization: Bearer {gateway.token.hex()}\r\nContent-Type: {MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode() + body


def test_who_dribbles_or_stalls_is_told_and_others_are_served(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "HEAD_SECONDS", 1.0)
    monkeypatch.setattr(web_server, "BODY_SECONDS", 1.0)
    gateway = SimulatedGateway()
    gateway.log_readings(9)

    async def scenario() -> None:
        async with served(tmp_path / "c.sqlite3") as (bench, port):
            bench.keys.enrol(gateway)
            stalled = [
                asyncio.create_task(ask(port)),
                asyncio.create_task(ask(port, b"GET /slow HTTP/1.1\r\nHost:")),
                asyncio.create_task(ask(port, post(gateway, gateway.batch()[:100], length=100_000))),
            ]
            good = await ask(port, post(gateway, gateway.batch()))
            assert good.startswith(b"HTTP/1.1 200") and good.endswith(b'{"size":10}')
            for answer in await asyncio.gather(*stalled):
                assert answer.startswith(b"HTTP/1.1 408") and b"send it again" in answer
            # An answer that takes its time is no slow request.
            slow = await ask(port, b"GET /slow HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            assert slow.startswith(b"HTTP/1.1 200") and b"at last" in slow

    run(scenario())


def test_who_hangs_up_in_the_middle_of_a_body_is_no_error_of_ours(run: Run, tmp_path: Path) -> None:
    gateway = SimulatedGateway()
    gateway.log_readings(9)
    received = [
        {"type": "http.request", "body": gateway.batch()[:100], "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return received.pop(0)

    async def send(_message: Any) -> None:
        """Nobody is there any more."""

    async def scenario() -> None:
        async with open_bench(tmp_path / "c.sqlite3") as bench:
            bench.keys.enrol(gateway)
            app = FastAPI()
            mail = MailRoom(store=bench.store, news=Unchained(), clock=SystemClock(), bell=Bell(), block_seconds=60)
            app.include_router(gateway_router(bench.ingest, mail))
            headers = [
                (b"content-type", MEDIA_TYPE.encode()),
                (b"authorization", b"Bearer " + gateway.token.hex().encode()),
            ]
            scope = {
                "type": "http", "method": "POST", "path": f"/v1/logs/{gateway.origin}/entries", "headers": headers,
                "query_string": b"", "http_version": "1.1", "scheme": "http", "server": ("t", 80), "root_path": "",
            }  # fmt: skip
            await app(scope, receive, send)  # an exception here would be a page of log for whoever likes to fill it
            assert not received and bench.ingest.accepted_entries == 0

    run(scenario())


def test_huge_heads_and_packed_bodies_are_refused(run: Run, tmp_path: Path) -> None:
    gateway = SimulatedGateway()
    gateway.log_readings(9)

    async def scenario() -> None:
        async with served(tmp_path / "c.sqlite3") as (bench, port):
            bench.keys.enrol(gateway)
            huge = await ask(port, b"GET /slow HTTP/1.1\r\nHost: t\r\nX: " + b"x" * 70_000)
            assert huge.startswith(b"HTTP/1.1 400")
            packed = await ask(port, post(gateway, b"\x1f\x8b" + bytes(100), more="Content-Encoding: gzip\r\n"))
            assert packed.startswith(b"HTTP/1.1 415") and b"without Content-Encoding" in packed
            good = await ask(port, post(gateway, gateway.batch()))
            assert good.startswith(b"HTTP/1.1 200")

    run(scenario())


def test_over_the_bound_of_what_may_wait_gateways_are_told_when_to_come_back(run: Run, tmp_path: Path) -> None:
    gateway = SimulatedGateway()
    gateway.log_readings(9)

    async def scenario() -> None:
        async with served(tmp_path / "c.sqlite3", limits=IngestLimits(waiting_bytes_max=100)) as (bench, port):
            bench.keys.enrol(gateway)
            busy = await ask(port, post(gateway, gateway.batch()))
            assert busy.startswith(b"HTTP/1.1 503") and b"\r\nretry-after: 1\r\n" in busy

    run(scenario())


def test_ten_thousand_bad_batches_leave_nothing_behind(run: Run, tmp_path: Path) -> None:
    gateway = SimulatedGateway()
    gateway.log_readings(9)
    whole, rng = gateway.batch(), random.Random(11)

    async def scenario() -> None:
        async with open_bench(tmp_path / "c.sqlite3") as bench:
            bench.keys.enrol(gateway)
            for _ in range(100):
                cuts = [whole[: rng.randrange(len(whole))] + rng.randbytes(rng.randrange(40)) for _ in range(100)]
                answers = await asyncio.gather(
                    *(bench.ingest.submit(gateway.origin, gateway.token, cut) for cut in cuts), return_exceptions=True
                )
                for answer in answers:
                    assert isinstance(answer, IngestRefused) and 400 <= answer.status < 429 and answer.message
            assert await bench.ingest.head(gateway.origin) is None
            assert await bench.send(gateway) == 10

    run(scenario())
