"""While the store does not answer, gateways are told to come again; afterwards everything goes on."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from cloud.chain.unchained import Unchained
from cloud.ingest.routes import gateway_router
from cloud.mail import Bell, MailRoom
from cloud.store import Store
from contracts.batch import MEDIA_TYPE
from contracts.clock import SystemClock
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import SimulatedGateway

Run = Callable[[Any], Any]


@asynccontextmanager
async def asked(bench: Bench) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateways' routes over this bench's ingest."""
    app = FastAPI()
    mail = MailRoom(store=bench.store, news=Unchained(), clock=SystemClock(), bell=Bell(), block_seconds=60)
    app.include_router(gateway_router(bench.ingest, mail))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cloud") as client:
        yield client


async def requests(client: httpx.AsyncClient, gateway: SimulatedGateway, start: int, end: int) -> list[httpx.Response]:
    """All that a gateway asks for: what is held, to take the next batch, and its mail."""
    client.headers["Authorization"] = f"Bearer {gateway.token.hex()}"
    log = f"/v1/logs/{gateway.origin}"
    body = gateway.batch(start, end)
    return [
        await client.get(log),
        await client.post(f"{log}/entries", content=body, headers={"Content-Type": MEDIA_TYPE}),
        await client.get(f"/v1/gateways/{gateway.origin}/mail"),
    ]


async def take_away(store: Store, *, back: bool = False) -> None:
    """Make every statement about heads and checkpoints fail, or work again."""
    async with store.write() as connection:
        for table in ("logs", "checkpoints"):
            old, new = (f"{table}_away", table) if back else (table, f"{table}_away")
            await connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")


def test_a_gateway_is_told_to_come_again_whether_or_not_its_head_is_in_memory(run: Run, store_url: str) -> None:
    known, unknown = (SimulatedGateway(origin=f"demo.minglou.example/s/{name}/e0") for name in ("g1", "g2"))

    async def scenario() -> None:
        async with open_bench(store_url) as first:
            for gateway in (known, unknown):
                gateway.log_readings(19)
                first.keys.enrol(gateway)
                await first.send(gateway, 0, 10)
        async with open_bench(store_url) as bench, asked(bench) as client:
            for gateway in (known, unknown):
                bench.keys.enrol(gateway)
            assert (await client.get(f"/v1/logs/{known.origin}")).status_code == 401  # its head was read
            await take_away(bench.store)
            for gateway in (known, unknown):
                log, post, *mail = await requests(client, gateway, 10, 20)
                for answer in (log, post, *(mail if gateway is unknown else ())):
                    assert answer.status_code == 503 and answer.json()["error"] == "busy", answer.text
                    assert int(answer.headers["Retry-After"]) > 0 and "again" in answer.json()["message"]
            await take_away(bench.store, back=True)
            for gateway in (known, unknown):
                log, post, _mail = await requests(client, gateway, 10, 20)
                assert log.json()["size"] == 10 and post.json() == {"size": 20}

    run(scenario())
