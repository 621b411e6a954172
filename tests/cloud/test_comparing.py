"""A period is compared once at a time, beside the event loop, and whoever asks is told how much there is."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from cloud.billing import posted
from cloud.billing.bill_block import SALTS_HEADER, salts_digest
from cloud.billing.posting import Posting
from cloud.billing.routes import billing_router
from cloud.directory import EMPTY
from cloud.store import Store
from contracts.clock import SystemClock
from tests.cloud.billing_site import PERIOD, BillingSite, random_site
from tests.cloud.test_bill_blocks import PLACE
from tests.cloud.test_posting import operator_of
from tests.cloud.test_replay import DEPLOYED, PADDED, post

Run = Callable[[Any], Any]


def app_over(site: BillingSite, store: Store, store_url: str, folder: Path) -> FastAPI:
    cloud: Any = SimpleNamespace(
        store=store,
        chain=SimpleNamespace(view=site.view, deployment=DEPLOYED),
        directory=SimpleNamespace(read=lambda: EMPTY),
        bell=SimpleNamespace(ring=lambda: None),
        settings=SimpleNamespace(
            clock=SystemClock(), store_url=store_url, keys_dir=folder / "keys", master_key_file=folder / "master.key"
        ),
    )
    app = FastAPI()
    app.include_router(billing_router(cloud))
    app.add_api_route("/healthz", lambda: "ok")
    return app


def test_many_who_ask_wait_for_one_comparison_and_others_are_answered_meanwhile(
    run: Run, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, begun, answered, runs = random_site(14), threading.Event(), threading.Event(), list[int]()
    compare = posted.compare_bills

    async def counted(*arguments: Any, **options: Any) -> Any:
        runs.append(options["period"])
        begun.set()
        assert answered.wait(40), "nobody was answered while bills were compared: the event loop stood still"
        return await compare(*arguments, **options)

    monkeypatch.setattr(posted, "compare_bills", counted)

    async def scenario() -> None:
        store = Store(store_url)
        await site.write(store)
        contents = await post(store, site, padded=PADDED)
        transport = httpx.ASGITransport(app_over(site, store, store_url, tmp_path))
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud.example", timeout=60) as client:
            path, holder = f"/v1/bills/{PERIOD}/compare", {SALTS_HEADER: salts_digest(contents).hex()}
            asked = [asyncio.create_task(client.post(path, headers=holder), name=f"asking {at}") for at in range(5)]
            assert await asyncio.to_thread(begun.wait, 40)
            assert (await client.get("/healthz")).status_code == 200
            asked[0].cancel()  # one goes away
            answered.set()
            answers = [await one for one in asked[1:]]
            assert [(answer.status_code, answer.json()["count"]) for answer in answers] == [(200, 1)] * 4
            assert runs == [PERIOD]
            assert answers[0].json()["mismatches"] == answers[1].json()["mismatches"] != []
            unknown = await client.post(f"/v1/bills/{PERIOD + 1}/compare")
            assert (unknown.status_code, unknown.json()["error"]) == (409, "bad_bills")
        await store.close()

    run(scenario())


def test_what_a_long_list_leaves_out_is_said(run: Run, tmp_path: Path) -> None:
    app = FastAPI()
    app.add_api_route(
        f"/v1/bills/{PLACE.period}/compare", lambda: {"mismatches": ["a: line 1"], "count": 25_000}, methods=["POST"]
    )

    async def scenario() -> None:
        async with Posting(operator_of("http://127.0.0.1:9", tmp_path), PLACE) as one:
            vars(one)["_http"] = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cloud.example")
            said = await one.compare([bytes(16)])
        assert said == ["a: line 1", "24999 more of 25000 lines; `minglou billing replay` tells every one"]

    run(scenario())
