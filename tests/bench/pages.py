"""Owner pages under load: 100 requests a second, open loop, of many owners over a database with 100,000 units.

The database is PostgreSQL and holds what a month of 100,000 units is, sealed under the units' and devices' keys: every
meter's boundary entries through ingest, every bill posted, verified and kept (tests/bench/bills.py tells how, and which
of the roll's records are made in memory, not mined). The pages come from the product as it is set up on two cores
(docs/capacity.md): `WORKERS` server processes that accept from one socket, each with the real application, web server,
directory, sessions and chain connection; what a cloud does beside its pages does not run. The load generator and
PostgreSQL share the machine's two cores with them.

A visit is four pages of one owner (home, bills, a bill, a line), in a browser of its own that opens connections as it
needs them and keeps them for the visit; in the runs that count every visit is another owner's, so none finds what an
earlier one left. Each request's time counts from when it was due, not from when it could be sent. Before the load each
page is asked for alone, to tell what it costs: processor time of the servers, of PostgreSQL and of the generator.
`MINGLOU_BENCH_UNITS` takes fewer units, for a quick look; the figure is then left out.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import hashlib
import json
import multiprocessing
import os
import socket
import tempfile
import time
from base64 import urlsafe_b64encode
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cloud.billing.kept import bill_place
from cloud.chain.deployment import write_deployment
from cloud.chain.view import ChainView
from cloud.settings import load_settings
from cloud.supervisor import FIGURES_VARIABLE, listen
from cloud.web_server import Server
from contracts.onchain import origin_id
from tests.bench import bills
from tests.bench.bill_ground import GATEWAYS, POOLS, Ground, origin
from tests.bench.cloud import POSTGRES_SETTINGS
from tests.bench.figure import Figure, median, percentile
from tests.cloud.chain_site import ChainSite
from tests.postgres import postgres_server
from tests.processes import free_port, wait_until

UNITS = 100_000
OWNERS = 2_000
PER_SECOND = 100
SECONDS = 20
VISITS = PER_SECOND * SECONDS // 4
WORKERS = 2
AT_ONCE = 8  # owners who sign in
RUNS = 3  # and one before them, that nobody counts
ALONE = 50  # of each page, to tell its cost
# What the followed chain's events would have made, for units that are made in memory.
FOLDED = ("units", "roll", "pools", "bindings", "assignments", "tariffs")


def figures() -> dict[str, Figure]:
    """The 95th percentile of all pages in the median run."""
    units = int(os.environ.get("MINGLOU_BENCH_UNITS", str(UNITS)))
    with (
        tempfile.TemporaryDirectory() as folder,
        bills._anvil(Path(folder)) as rpc,
        postgres_server(POSTGRES_SETTINGS) as server,
    ):
        times, costs = asyncio.run(_measure(rpc, server.url(server.new_database()), units, Path(folder)))
    note = f"PostgreSQL, {WORKERS} server processes: {_said(times)}; processor time a page: {costs}"
    print(note, flush=True)
    if units != UNITS:
        return {}
    return {"cloud.page_p95_ms": Figure(value=round(_p95(times), 1), unit="ms", note=note)}


def _p95(times: dict[str, list[float]]) -> float:
    return percentile([one for each in times.values() for one in each], 95) * 1000


def _said(times: dict[str, list[float]]) -> str:
    every = [one for each in times.values() for one in each]
    pages = ", ".join(f"{name} {percentile(each, 95) * 1000:.0f}" for name, each in times.items())
    p99 = percentile(every, 99) * 1000
    middle = f"p50 {median(every) * 1000:.1f} ms, p95 {_p95(times):.1f} ms ({pages}), p99 {p99:.0f} ms"
    return f"{middle}, {len(every):,} answers"


async def _measure(rpc: str, store_url: str, units: int, folder: Path) -> tuple[dict[str, list[float]], str]:
    site = await ChainSite.deploy(rpc)
    opening, closing = await bills._month(site)
    ground = Ground(units=units, opening=bills._number(opening), closing=bills._number(closing))
    await bills._set_roll_count(site, units)
    started = time.perf_counter()
    config = _write_site(folder, site, store_url, rpc, ground)
    await bills._fill(store_url, ground, folder)
    view = ground.view()
    await bills._end_month(site, closing)
    place = bill_place(site.deployment, ground.period)
    with bills._serving(store_url, folder, view, site.deployment, rpc) as cloud_url:
        await bills._timed(store_url, folder, view, place, bills._operator(cloud_url, rpc, folder))
    for _ in range(4):
        await site.mine()
    print(f"  {units:,} units with their bills in {time.perf_counter() - started:.0f} s", flush=True)
    print(f"  opening the pages; {OWNERS:,} owners sign in", flush=True)
    gc.collect()
    gc.freeze()  # neither the generator nor the servers walk a hundred thousand units again and again
    with _pages(config, view) as port:
        found = await _load(port, ground)
    await site.close()
    return found


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
        f'directory_file = "directory.json"\nworkers = {WORKERS}\n[store]\nurl = "{store_url}"\n'
        f'[chain]\nrpc = ["{rpc}"]\nchain_id = 31337\ndeployment_file = "deployment.json"\nfinality_depth = 1\n'
        '[identity]\nkeys_dir = "keys"\nmaster_key_file = "master.key"\n'  # as tests.bench.cloud_target has them
        '[super_log]\norigin = "bench.example/log"\n'
        # Everybody comes from one address here.
        "[limits]\nreads_per_minute = 0\nwrites_per_minute = 0\ncostly_per_minute = 0\nexports_per_minute = 0\n"
    )
    return folder / "cloud.toml"


# -- the servers ------------------------------------------------------------------------------------------------------


@contextmanager
def _pages(config: Path, view: ChainView) -> Iterator[int]:
    """The port that all server processes accept from."""
    settings, context = load_settings(config), multiprocessing.get_context("fork")
    with listen(settings.host, settings.port) as listener:
        ready = [context.Event() for _ in range(WORKERS)]
        # Forked, so that the view is there at once: in a running cloud it has been folded long before.
        servers = [context.Process(target=_serve, args=(config, view, listener, one)) for one in ready]
        for server in servers:
            server.start()
        try:
            wait_until(lambda: all(one.is_set() for one in ready), seconds=180, what="the pages")
            yield settings.port
        finally:
            for server in servers:
                server.kill()
                server.join()


def _serve(config: Path, view: ChainView, listener: socket.socket, ready: Any) -> None:
    settings = load_settings(config)
    figures_folder = config.parent / "figures"
    figures_folder.mkdir(exist_ok=True)
    os.environ[FIGURES_VARIABLE] = str(figures_folder)  # as the supervisor does, before anybody counts

    from cloud.app import build_app
    from cloud.service import open_cloud
    from cloud.serving import _config, settle_interpreter

    async def serve() -> None:
        async with open_cloud(settings) as cloud:
            assert cloud.chain is not None
            while not cloud.chain.view.periods:
                await cloud.chain.follower.step()
            for name in FOLDED:
                setattr(cloud.chain.view, name, getattr(view, name))
            cloud.chain.view.origins = {origin_id(origin(number)): origin(number) for number in range(GATEWAYS)}
            front: Any = SimpleNamespace(app=build_app(cloud))
            server = Server(_config(front, settings))
            settle_interpreter()
            ready.set()
            await server.serve(sockets=[listener])

    asyncio.run(serve())


# -- the load ---------------------------------------------------------------------------------------------------------


class _Browser:
    """One owner's connections: kept, and one more where all are waiting. It only moves bytes, for it shares the cores
    with what it measures.
    """

    def __init__(self, port: int, cookie: str = "") -> None:
        self._port = port
        self._head = (
            f"Host: localhost:{port}\r\nCookie: minglou_session={cookie}\r\nAccept-Language: zh-CN\r\n"
            f"Accept-Encoding: gzip\r\n"
        )
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def page(self, path: str) -> bytes:
        """The page as it came, compressed. Anything but 200 ends the bench."""
        head, body = await self._ask(f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode())
        assert head.startswith(b"HTTP/1.1 200 "), (path, head)
        return body

    async def sign_in(self, token: str) -> str:
        """The session's cookie."""
        body = json.dumps({"token": token})
        head, answer = await self._ask(
            f"POST /signin HTTP/1.1\r\n{self._head}Origin: http://localhost:{self._port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        assert head.startswith(b"HTTP/1.1 200 "), (head, answer)
        return head.partition(b"minglou_session=")[2].partition(b";")[0].decode()

    async def _ask(self, request: bytes) -> tuple[bytes, bytes]:
        reader, writer = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        self._free.append((reader, writer))
        return head, body

    def close(self) -> None:
        for _, writer in self._free:
            writer.close()


async def _load(port: int, ground: Ground) -> tuple[dict[str, list[float]], str]:
    """Seconds of each answer by page, of the median run; and what a page costs."""
    cookies = await _sign_all_in(port)
    await _check_line(port, cookies[0], ground)
    costs = await _costs(port, cookies, ground)
    print(f"  processor time a page: {costs}", flush=True)
    runs = []
    for number in range(RUNS + 1):
        runs.append(await _run(port, cookies, ground, number))
        print(f"  run {number} of {RUNS}: {_said(runs[-1])}", flush=True)
    return sorted(runs[1:], key=_p95)[RUNS // 2], costs


async def _sign_all_in(port: int) -> list[str]:
    cookies: list[str] = [""] * OWNERS

    async def some(first: int) -> None:
        for owner in range(first, OWNERS, AT_ONCE):
            browser = _Browser(port)
            cookies[owner] = await browser.sign_in(urlsafe_b64encode(_token(owner)).rstrip(b"=").decode())
            browser.close()
            if owner % 500 == 0:
                print(f"  owner {owner:,} of {OWNERS:,} signed in", flush=True)

    async with asyncio.TaskGroup() as group:
        for first in range(AT_ONCE):
            group.create_task(some(first))
    return cookies


async def _check_line(port: int, cookie: str, ground: Ground) -> None:
    browser = _Browser(port, cookie)
    page = gzip.decompress(await browser.page(_paths(ground, 0)["line"]))
    assert b"/readings/" in page, "a line's page leads to its readings"
    browser.close()


async def _costs(port: int, cookies: list[str], ground: Ground) -> str:
    """Processor time of each page, of this process and all that it started together."""
    said = []
    for name in _paths(ground, 0):
        for counts in (False, True):  # first for those who meet a statement or template for the first time
            before = _processor_seconds()
            for owner in range(ALONE):
                browser = _Browser(port, cookies[owner])
                await browser.page(_paths(ground, owner)[name])
                browser.close()
            if counts:
                said.append(f"{name} {(_processor_seconds() - before) / ALONE * 1000:.1f} ms")
    return ", ".join(said)


def _processor_seconds() -> float:
    """Of this process and of all that it started."""
    tick, used, parents = os.sysconf("SC_CLK_TCK"), dict[int, float](), dict[int, int]()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[int(folder.name)] = int(fields[1])
            used[int(folder.name)] = (int(fields[11]) + int(fields[12])) / tick
    ours = {os.getpid()}
    while more := {one for one, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(used[one] for one in ours)


def _paths(ground: Ground, owner: int) -> dict[str, str]:
    bills_page = f"/bills/u{_door(ground, owner)}"
    month = f"{bills_page}/{ground.period}"
    return {"home": "/home", "bills": bills_page, "bill": month, "line": f"{month}/lines/0"}


async def _run(port: int, cookies: list[str], ground: Ground, run: int) -> dict[str, list[float]]:
    """One open-loop run; a page after the other of one owner after the other, each owner in one run."""
    times: dict[str, list[float]] = defaultdict(list)
    loop = asyncio.get_running_loop()
    begun = loop.time() + 0.2

    async def one(due: float, browser: _Browser, name: str, path: str) -> None:
        await asyncio.sleep(due - loop.time())
        await browser.page(path)
        times[name].append(loop.time() - due)

    async def visit(number: int) -> None:
        owner = (run * VISITS + number) % OWNERS
        browser, paths = _Browser(port, cookies[owner]), _paths(ground, owner)
        async with asyncio.TaskGroup() as group:
            for at, (name, path) in enumerate(paths.items(), 4 * number):
                group.create_task(one(begun + at / PER_SECOND, browser, name, path))
        browser.close()

    async with asyncio.TaskGroup() as group:
        for number in range(VISITS):
            group.create_task(visit(number))
    return times
