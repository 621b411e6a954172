"""A million bills: computed from entries, their root closed on chain, every bill handed in, verified and kept.

Before the clock starts: 1,000 gateways' signed logs go through the cloud's own ingest into PostgreSQL, nine boundary
entries for each of a million meters (total and three time-of-use registers at both ends of the month, the total on
1 January), each sealed under its meter's key; contracts stand on a real anvil; the followed chain's view stands in
memory, as it does in a running cloud, and each unit has its key, as after any month's bills before. Its units and
bindings are made there and not mined, and the roll's count on anvil is set by `anvil_setStorageAt`: a contract's roll
is a compound's, and this run is many compounds' bills in one.

Within the time: reading and unsealing the entries, pricing (tiers by year, three registers, two pools by floor area),
all bills' bytes on disk, the tree, `close_period` mined, and the hand-over by HTTP to the cloud's own routes in two
processes of their own, which verify every block against the root that their follower read from anvil, seal every bill
under its unit's key, and commit it. Not within it: the cloud's second computation that compares what was posted.
`MINGLOU_BENCH_BILLS` takes fewer, for a quick look; the figure is then left out.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cloud.billing.bill_block import BILLS_AT_ONCE, SALT_BYTES, BillPlace
from cloud.billing.kept import bill_place
from cloud.billing.posting import Posting
from cloud.billing.run import BillRun
from cloud.chain.deployment import Deployment
from cloud.chain.view import ChainView
from cloud.directory import EMPTY
from cloud.settings import ChainSettings, OperatorSettings
from cloud.store.sealing import BILLS
from cloud.supervisor import listen
from contracts.clock import SystemClock
from contracts.ending import end_tasks
from provisioning.demo.anvil import anvil_command
from tests.bench.bill_ground import GATEWAYS, Ground, gateway_batches
from tests.bench.cloud import POSTGRES_SETTINGS
from tests.bench.cloud_target import ingest_of, keys_in, sealed_store
from tests.bench.figure import Figure
from tests.cloud.chain_site import ChainSite, secret_of
from tests.postgres import postgres_server
from tests.processes import free_port, is_listening, running

UNITS = 1_000_000
UTC_OFFSET = timedelta(hours=8)
SLOTS = 64
WORKERS = 2  # as `[cloud] workers`
BOND_FEN = 10**6
AT_ONCE = 8  # gateways whose batches wait for ingest
POLL_SECONDS = 0.5  # as `[chain] poll_seconds` by default
PROGRESS = 100_000  # bills between two words of how far they are


def figures() -> dict[str, Figure]:
    """Seconds for a million bills, from entries to posted."""
    units = int(os.environ.get("MINGLOU_BENCH_BILLS", str(UNITS)))
    with (
        tempfile.TemporaryDirectory() as folder,
        _anvil(Path(folder)) as url,
        postgres_server(POSTGRES_SETTINGS) as server,
    ):
        seconds, steps = asyncio.run(_measure(url, server.url(server.new_database()), units, Path(folder)))
    note = f"{units:,} bills of 3 lines: " + ", ".join(f"{name} {taken:.1f} s" for name, taken in steps.items())
    print(note, flush=True)
    if units != UNITS:
        return {}
    return {"cloud.bills_s_per_million": Figure(value=round(seconds, 1), unit="s", note=note)}


@contextmanager
def _anvil(folder: Path) -> Iterator[str]:
    port = free_port()
    with running(anvil_command(port), name="anvil", output_dir=folder, ready=lambda: is_listening(port)):
        yield f"http://127.0.0.1:{port}"


async def _measure(url: str, store_url: str, units: int, folder: Path) -> tuple[float, dict[str, float]]:
    site = await ChainSite.deploy(url)
    opening, closing = await _month(site)
    ground = Ground(units=units, opening=_number(opening), closing=_number(closing))
    await _set_roll_count(site, units)
    started = time.perf_counter()
    await _fill(store_url, ground, folder)
    print(f"entries: {ground.entries:,} in {time.perf_counter() - started:.0f} s", flush=True)
    view = ground.view()
    _make_unit_keys(folder, view)
    gc.freeze()
    await _end_month(site, closing)
    place = bill_place(site.deployment, ground.period)
    with _serving(store_url, folder, view, site.deployment, url) as cloud_url:
        taken = await _timed(store_url, folder, view, place, _operator(cloud_url, url, folder))
    await site.close()
    return sum(taken.values()), taken


async def _timed(
    store_url: str, folder: Path, view: ChainView, place: BillPlace, operator: OperatorSettings
) -> dict[str, float]:
    """Seconds of each step of one bill run."""
    store = sealed_store(store_url, folder)
    marks = [("", time.perf_counter())]
    run = BillRun.open(folder / "run", place, len(view.roll))
    async with store.read() as connection:
        prepared = await run.prepare(connection, view=view, directory=EMPTY, say=_say_since(marks[0][1]))
    assert not prepared.problems, prepared.problems[:3]
    marks.append(("prepared and on disk", time.perf_counter()))
    async with Posting(operator, place) as posting:
        await posting.close(prepared.tree.root, unit_count=prepared.tree.unit_count)
        marks.append(("root closed on chain", time.perf_counter()))
        await posting.upload(prepared.contents, prepared.tree, _held_since(marks[0][1]))
        marks.append(("handed in, verified and kept", time.perf_counter()))
    await store.close()
    return {name: at - before for (_, before), (name, at) in pairwise(marks)}


def _say_since(started: float) -> Any:
    def say(words: str) -> None:
        if not words[0].isdigit() or words.startswith("1,000,000"):
            print(f"  {time.perf_counter() - started:6.1f} s  {words}", flush=True)

    return say


def _held_since(started: float) -> Any:
    def held(count: int) -> None:
        if count % PROGRESS < BILLS_AT_ONCE:
            print(f"  {time.perf_counter() - started:6.1f} s  {count:,} handed in", flush=True)

    return held


# -- chain ------------------------------------------------------------------------------------------------------------


async def _month(site: ChainSite) -> tuple[date, date]:
    """A whole month that is still to come on this chain, not the first of its year; operator and bond in place."""
    from contracts.abi import padded

    operator, fees = site.keys["operator"].address, site.deployment.usage_fees
    await site.change(("Registry", "set_role", padded("operator"), operator))
    await site.send("cashier", "Token", "mint", operator, BOND_FEN)
    await site.send("operator", "Token", "approve", fees, BOND_FEN)
    await site.send("operator", "UsageFees", "post_bond", BOND_FEN)
    now = datetime.fromtimestamp((await site.client.latest()).timestamp, UTC).date().replace(day=1)
    opening = _next_month(now)
    while opening.month in (1, 12):
        opening = _next_month(opening)
    return opening, _next_month(opening)


def _next_month(day: date) -> date:
    return (day + timedelta(days=32)).replace(day=1)


def _number(day: date) -> int:
    return int(day.strftime("%Y%m%d"))


async def _set_roll_count(site: ChainSite, units: int) -> None:
    """Write the roll's number of units into its storage, in the slot where it is found to stand."""
    address = site.deployment.roll
    for slot in range(SLOTS):
        place = f"0x{slot:064x}"
        held = await site.rpc("eth_getStorageAt", address, place, "latest")
        await site.rpc("anvil_setStorageAt", address, place, f"0x{units:064x}")
        if await site.view("Roll", "unit_count") == units:
            return
        await site.rpc("anvil_setStorageAt", address, place, held)
    raise AssertionError("the roll's number of units stands in none of its first slots")


async def _end_month(site: ChainSite, closing: date) -> None:
    midnight = datetime(closing.year, closing.month, closing.day, tzinfo=UTC) - UTC_OFFSET
    await site.pass_seconds(int(midnight.timestamp()) - (await site.client.latest()).timestamp + 60)


def _chain_settings(url: str) -> ChainSettings:
    return ChainSettings(
        rpc=(url,), chain_id=31337, deployment_file=Path("none"), finality_depth=1, poll_seconds=POLL_SECONDS,
        stuck_seconds=30, fee_cap_wei=10**12, priority_fee_wei=10**9, quorum=None, legacy_transactions=False,
        resends_lost=False,
    )  # fmt: skip


def _operator(cloud_url: str, url: str, folder: Path) -> OperatorSettings:
    key = folder / "operator.key"
    key.write_text(secret_of("operator"))
    key.chmod(0o600)
    return OperatorSettings(cloud_url=cloud_url, chain=_chain_settings(url), operator_key_file=key, clock=SystemClock())


# -- cloud ------------------------------------------------------------------------------------------------------------


async def _fill(store_url: str, ground: Ground, folder: Path) -> None:
    """Every gateway's log, through ingest; two processes encode and sign while this one verifies and stores."""
    store = sealed_store(store_url, folder)
    await store.migrate()
    ingest = ingest_of(store, ground.keys())
    await ingest.load()
    ingesting = asyncio.create_task(ingest.run())
    loop = asyncio.get_running_loop()
    room = asyncio.Semaphore(AT_ONCE)
    with ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:

        async def one(number: int) -> None:
            async with room:
                origin, token, batches = await loop.run_in_executor(pool, gateway_batches, ground, number)
                for batch in batches:
                    await ingest.submit(origin, token, batch)
                if number % 100 == 0:
                    print(f"  filling: gateway {number} of {GATEWAYS}", flush=True)

        async with asyncio.TaskGroup() as group:
            for number in range(GATEWAYS):
                group.create_task(one(number))
    await end_tasks([ingesting])
    await store.close()


def _make_unit_keys(folder: Path, view: ChainView) -> None:
    """As whatever was sealed for a unit before has made its key."""
    keys = keys_in(folder)
    for first in range(0, len(view.roll), BILLS_AT_ONCE):
        keys.seal(BILLS, [(unit.alias, bytes(SALT_BYTES)) for unit in view.roll[first : first + BILLS_AT_ONCE]])
    keys.close()


@contextmanager
def _serving(store_url: str, folder: Path, view: ChainView, deployment: Deployment, rpc: str) -> Iterator[str]:
    """The cloud's routes, by as many processes as we recommend for two cores."""
    listener = listen("127.0.0.1", 0)
    # Forked, so that the view is there at once: in a running cloud it has been folded long before.
    words = (store_url, folder, view, deployment, rpc, listener)
    fork = multiprocessing.get_context("fork")
    servers = [fork.Process(target=_serve, args=words) for _ in range(WORKERS)]
    for server in servers:
        server.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        for server in servers:
            server.kill()
            server.join()
        listener.close()


def _serve(
    store_url: str, folder: Path, view: ChainView, deployment: Deployment, rpc: str, listener: socket.socket
) -> None:
    """The cloud's routes of bills over the store, beside a follower that reads closed periods from the chain."""
    import uvicorn
    from fastapi import FastAPI

    from cloud.billing.routes import billing_router
    from cloud.chain.client import ChainClient
    from cloud.chain.follower import Follower
    from cloud.lease import Lease

    async def serve() -> None:
        store, followed = sealed_store(store_url, folder), ChainView(31337)
        follower = Follower(
            store=store, client=ChainClient([rpc]), deployment=deployment, clock=SystemClock(), listeners=[followed],
            finality_depth=1, lease=Lease(store),
        )  # fmt: skip
        await follower.load()

        async def follow() -> None:
            while True:
                await follower.step()
                view.periods = followed.periods
                await asyncio.sleep(POLL_SECONDS)

        cloud: Any = SimpleNamespace(
            store=store,
            chain=SimpleNamespace(view=view, deployment=deployment),
            settings=SimpleNamespace(clock=SystemClock()),
        )
        app = FastAPI()
        app.include_router(billing_router(cloud))
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
        following = asyncio.create_task(follow())
        await uvicorn.Server(config).serve(sockets=[listener])
        following.cancel()

    asyncio.run(serve())
