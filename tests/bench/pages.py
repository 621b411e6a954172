"""Owner pages under load: 100 requests a second, open loop, of many owners over a database with 100,000 units.

The database holds what a month of 100,000 units is: every meter's boundary entries through ingest, every bill posted,
verified and kept (tests/bench/bills.py tells how, and which of the roll's records are made in memory rather than
mined). A server process of its own answers with the real application, directory, sessions and chain connection; the
load generator and, where it is measured, PostgreSQL share the machine's two cores with it. Each request's time counts
from when it was due, not from when it could be sent. A visit is four pages of one owner (home, bills, a bill, a line);
in the runs that count every visit is another owner's, so none finds what an earlier one left. Before the load each
page is asked for alone, to tell what it costs: processor time of the server, PostgreSQL and the generator together.
`MINGLOU_BENCH_UNITS` takes fewer units, for a quick look; the figure is then left out.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import multiprocessing
import os
import tempfile
import time
from base64 import urlsafe_b64encode
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from cloud.billing.kept import bill_place
from cloud.chain.deployment import write_deployment
from cloud.chain.view import ChainView
from cloud.store import sqlite_url
from contracts.onchain import origin_id
from tests.bench import bills
from tests.bench.bill_ground import GATEWAYS, POOLS, Ground, origin
from tests.bench.cloud import POSTGRES_SETTINGS
from tests.bench.figure import Figure, median, percentile
from tests.cloud.chain_site import ChainSite
from tests.postgres import postgres_server
from tests.processes import free_port, is_listening, wait_until

UNITS = 100_000
OWNERS = 2_000
PER_SECOND = 100
SECONDS = 20
RUNS = 3  # and one before them, that nobody counts
ALONE = 40  # of each page, to tell its cost
# What the followed chain's events would have made, for units that are made in memory.
FOLDED = ("units", "roll", "pools", "bindings", "assignments", "tariffs")


def figures() -> dict[str, Figure]:
    """The 95th percentile of the slower database."""
    units = int(os.environ.get("MINGLOU_BENCH_UNITS", str(UNITS)))
    found: dict[str, dict[str, list[float]]] = {}
    for engine in ("PostgreSQL", "SQLite"):
        with tempfile.TemporaryDirectory() as folder, bills._anvil(Path(folder)) as rpc, _store(engine, folder) as url:
            found[engine] = asyncio.run(_measure(rpc, url, units, Path(folder)))
        print(f"{engine}: {_said(found[engine])}", flush=True)
    worst = {engine: _p95(times) for engine, times in found.items()}
    note = "; ".join(f"{engine} {_said(times)}" for engine, times in found.items())
    if units != UNITS:
        return {}
    return {"cloud.page_p95_ms": Figure(value=round(max(worst.values()), 1), unit="ms", note=note)}


@contextmanager
def _store(engine: str, folder: str) -> Iterator[str]:
    if engine == "SQLite":
        yield sqlite_url(Path(folder) / "bench.sqlite3")
        return
    with postgres_server(POSTGRES_SETTINGS) as server:
        yield server.url(server.new_database())


def _p95(times: dict[str, list[float]]) -> float:
    return percentile([one for each in times.values() for one in each], 95) * 1000


def _said(times: dict[str, list[float]]) -> str:
    every = [one for each in times.values() for one in each]
    pages = ", ".join(f"{name} {percentile(each, 95) * 1000:.0f}" for name, each in times.items())
    p99 = percentile(every, 99) * 1000
    middle = f"p50 {median(every) * 1000:.1f} ms, p95 {_p95(times):.1f} ms ({pages}), p99 {p99:.0f} ms"
    return f"{middle}, {len(every):,} answers"


async def _measure(rpc: str, store_url: str, units: int, folder: Path) -> dict[str, list[float]]:
    site = await ChainSite.deploy(rpc)
    opening, closing = await bills._month(site)
    ground = Ground(units=units, opening=bills._number(opening), closing=bills._number(closing))
    await bills._set_roll_count(site, units)
    started = time.perf_counter()
    await bills._fill(store_url, ground)
    view = ground.view()
    await bills._end_month(site, closing)
    place = bill_place(site.deployment, ground.period)
    with bills._serving(store_url, view, site.deployment, rpc) as cloud_url:
        await bills._timed(store_url, view, place, bills._operator(cloud_url, rpc, folder), folder / "run")
    for _ in range(4):
        await site.mine()
    print(f"  {units:,} units with their bills in {time.perf_counter() - started:.0f} s", flush=True)
    config = _write_site(folder, site, store_url, rpc, ground)
    print(f"  opening the pages; {OWNERS:,} owners sign in", flush=True)
    with _pages(config, view) as address:
        times = await _load(address, ground)
    await site.close()
    return times


# -- the site ---------------------------------------------------------------------------------------------------------


def _token(owner: int) -> bytes:
    return hashlib.sha256(b"owner %d" % owner).digest()


def _door(ground: Ground, owner: int) -> int:
    """An owner's unit, far from the others'."""
    return owner * ground.units // OWNERS


def _write_site(folder: Path, site: ChainSite, store_url: str, rpc: str, ground: Ground) -> Path:
    words = {"zh": "翠苑", "en": "Cuiyuan"}

    def alias(unit: int) -> str:
        return hashlib.sha256(b"unit %d" % unit).hexdigest()

    units = [
        {"index": at, "name": f"u{at}", "building": f"b{at // 100}", "floor": at % 30, "alias": alias(at),
         "area_centi_m2": 8_930}
        for at in range(ground.units)
    ]  # fmt: skip
    devices = [
        {"urn": f"meter {at}", "kind": "meter", "origin": origin(at % GATEWAYS), "title": words,
         "quantity": "1-0:1.8.0", "counts_for": {"unit": alias(at)}}
        for at in range(ground.units)
    ]  # fmt: skip
    sign_in = [
        {"role": "owner", "unit": alias(_door(ground, owner)), "title": words,
         "token_sha256": hashlib.sha256(_token(owner)).hexdigest()}
        for owner in range(OWNERS)
    ]  # fmt: skip
    pools = [{"name": f"p{at}", "alias": pool.hex(), "title": words} for at, pool in enumerate(POOLS)]
    document = {
        "format": "minglou-directory/1", "site": {"name": "s", "title": words, "timezone": "Asia/Shanghai"},
        "units": units, "devices": devices, "pools": pools, "sign_in": sign_in,
    }  # fmt: skip
    (folder / "directory.json").write_text(json.dumps(document))
    write_deployment(folder / "deployment.json", site.deployment)
    port = free_port()
    (folder / "cloud.toml").write_text(
        f'[cloud]\nlisten = "127.0.0.1:{port}"\npublic_url = "http://localhost:{port}"\ndata_dir = "data"\n'
        f'directory_file = "directory.json"\n[store]\nurl = "{store_url}"\n'
        f'[chain]\nrpc = ["{rpc}"]\nchain_id = 31337\ndeployment_file = "deployment.json"\nfinality_depth = 1\n'
        '[super_log]\norigin = "bench.example/log"\n'
        # Everybody comes from one address here.
        "[limits]\nreads_per_minute = 0\nwrites_per_minute = 0\ncostly_per_minute = 0\nexports_per_minute = 0\n"
    )
    return folder / "cloud.toml"


# -- the server -------------------------------------------------------------------------------------------------------


@contextmanager
def _pages(config: Path, view: ChainView) -> Iterator[str]:
    from cloud.settings import load_settings

    settings = load_settings(config)
    # Forked, so that the view is there at once: in a running cloud it has been folded long before.
    server = multiprocessing.get_context("fork").Process(target=_serve, args=(config, view))
    server.start()
    try:
        wait_until(lambda: is_listening(settings.port), seconds=120, what="the pages")
        yield f"http://localhost:{settings.port}"
    finally:
        server.kill()
        server.join()


def _serve(config: Path, view: ChainView) -> None:
    import uvicorn

    from cloud.app import build_app
    from cloud.service import open_cloud
    from cloud.serving import settle_interpreter
    from cloud.settings import load_settings

    async def serve() -> None:
        async with open_cloud(load_settings(config)) as cloud:
            assert cloud.chain is not None
            while not cloud.chain.view.periods:
                await cloud.chain.follower.step()
            for name in FOLDED:
                setattr(cloud.chain.view, name, getattr(view, name))
            cloud.chain.view.origins = {origin_id(origin(number)): origin(number) for number in range(GATEWAYS)}
            app = build_app(cloud)
            host, port = cloud.settings.host, cloud.settings.port
            options: Any = {"log_level": "warning", "access_log": False, "lifespan": "off"}
            settle_interpreter()
            await uvicorn.Server(uvicorn.Config(app, host=host, port=port, **options)).serve()

    asyncio.run(serve())


# -- the load ---------------------------------------------------------------------------------------------------------


async def _load(address: str, ground: Ground) -> dict[str, list[float]]:
    """Seconds of each answer by page, of the median run."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as client:
        cookies = [await _sign_in(client, address, owner) for owner in range(OWNERS)]
        reading = await _reading_of(client, address, cookies[0], ground)
        assert reading, "a line's page leads to its readings"
        print(f"  processor time a page: {await _costs(client, address, cookies, ground)}", flush=True)
        runs = []
        for number in range(RUNS + 1):
            runs.append(await _run(client, address, cookies, ground, number))
            print(f"  run {number}: {_said(runs[-1])}", flush=True)
    return sorted(runs[1:], key=_p95)[RUNS // 2]


async def _costs(client: aiohttp.ClientSession, address: str, cookies: list[str], ground: Ground) -> str:
    """What each page costs, of all processes of this bench together."""
    said = []
    for name in _paths(ground, 0):
        before = _processor_seconds()
        for owner in range(ALONE):
            async with client.get(address + _paths(ground, owner)[name], headers=_headers(cookies[owner])) as answer:
                await answer.read()
                assert answer.status == 200, (name, answer.status)
        said.append(f"{name} {(_processor_seconds() - before) / ALONE * 1000:.1f} ms")
    return ", ".join(said)


def _processor_seconds() -> float:
    """Of this process and of all that it started."""
    tick, used, parents = os.sysconf("SC_CLK_TCK"), dict[int, float](), dict[int, int]()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[int(folder.name)], used[int(folder.name)] = (
                int(fields[1]),
                (int(fields[11]) + int(fields[12])) / tick,
            )
    ours = {os.getpid()}
    while more := {one for one, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(used[one] for one in ours)


async def _sign_in(client: aiohttp.ClientSession, address: str, owner: int) -> str:
    body = {"token": urlsafe_b64encode(_token(owner)).rstrip(b"=").decode()}
    async with client.post(f"{address}/signin", json=body, headers={"Origin": address}) as answer:
        assert answer.status == 200, await answer.text()
        return answer.cookies["minglou_session"].value


async def _reading_of(client: aiohttp.ClientSession, address: str, cookie: str, ground: Ground) -> bool:
    path = f"/bills/u{_door(ground, 0)}/{ground.period}/lines/0"
    async with client.get(address + path, headers=_headers(cookie)) as answer:
        return answer.status == 200 and "/readings/" in await answer.text()


def _headers(cookie: str) -> dict[str, str]:
    return {"Cookie": f"minglou_session={cookie}", "Accept-Language": "zh-CN"}


def _paths(ground: Ground, owner: int) -> dict[str, str]:
    bills_page = f"/bills/u{_door(ground, owner)}"
    month = f"{bills_page}/{ground.period}"
    return {"home": "/home", "bills": bills_page, "bill": month, "line": f"{month}/lines/0"}


async def _run(
    client: aiohttp.ClientSession, address: str, cookies: list[str], ground: Ground, run: int
) -> dict[str, list[float]]:
    """One open-loop run; a page after the other of one owner after the other, each owner in one run."""
    times: dict[str, list[float]] = defaultdict(list)
    loop = asyncio.get_running_loop()
    begun = loop.time() + 0.2

    async def one(number: int) -> None:
        due = begun + number / PER_SECOND
        await asyncio.sleep(due - loop.time())
        owner = (run * PER_SECOND * SECONDS + number) // 4 % OWNERS
        name, path = list(_paths(ground, owner).items())[number % 4]
        async with client.get(address + path, headers=_headers(cookies[owner])) as answer:
            await answer.read()
            assert answer.status == 200, (path, answer.status)
        times[name].append(loop.time() - due)

    async with asyncio.TaskGroup() as group:
        for number in range(PER_SECOND * SECONDS):
            group.create_task(one(number))
    return times
