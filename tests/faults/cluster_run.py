"""A replicated cloud under load whose parts are killed with `kill -9` at any time, and what came of it.

    python -m tests.faults.cluster_run --seconds 600 --seed 7

Three NATS servers, two `minglou cloud serve` of which one has two workers, PostgreSQL and the chain's node are real
processes. Gateways send all the time; every few seconds one part dies, sometimes while another is still down. Each
comes back by itself, as systemd or Kubernetes would bring it back, and a worker as its supervisor does. How long each
kill is felt is printed. In the end every acknowledged entry must be in PostgreSQL once, and every wish for an anchor on
the chain once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from cloud.store import Store, tables
from cloud.store.logs import log_number
from cloud.up import keep_state, repair_state
from contracts.onchain import ANCHORED_TOPIC
from provisioning.demo.anvil import anvil_command
from tests.cloud.chain_site import ChainSite
from tests.cloud.served import minglou, write_settings
from tests.faults.cluster_gateway import LoadGateway, judge_entries, stored_sizes
from tests.faults.cluster_recovery import Recoveries
from tests.nats_cluster import nats_cluster
from tests.postgres import postgres_server
from tests.processes import Program, free_port, is_listening, running, wait_until

GATEWAYS = 6
CLOUDS = 2
WORKERS = 2  # of the last of them
CHAIN = "chain node"
SETTLE_SECONDS = 600  # what a run may take after its load is over
_TELL_SECONDS = 15.0
_WORKER = re.compile(r"ready .* \(worker \d+ of \d+, process (\d+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run gave."""

    seed: int
    seconds: float
    kills: dict[str, int]
    acknowledged: int  # entries
    batches: int
    wishes: int  # anchors
    overtaken: int  # of these, by a larger anchor, after the chain had lost its last blocks
    recoveries: dict[str, dict[str, Any]]  # by kind of part: kills and the longest seconds until it was overcome
    lost: int  # acknowledged entries that are not stored, and wishes that are not on chain
    doubled: int


@dataclass
class Part:
    """One process that may be killed."""

    name: str
    kind: str
    program: Program
    restart: Callable[[], None]
    url: str = ""  # where it takes batches

    async def die(self, rng: random.Random) -> None:
        """Killed, and brought back after a while."""
        await asyncio.to_thread(self.program.kill)
        await asyncio.sleep(rng.uniform(0.2, 5.0))
        await asyncio.to_thread(self.restart)


class Worker(Part):
    """One of a cloud's processes, whichever; its supervisor brings another one."""

    async def die(self, rng: random.Random) -> None:
        living = [pid for pid in _WORKER.findall(self.program.said())[-WORKERS:] if _is_worker(pid)]
        if living:
            os.kill(int(rng.choice(living)), signal.SIGKILL)


def _is_worker(pid: str) -> bool:
    """Whether it still runs: its number may be another process's by now."""
    try:
        return b"cloud.serving" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@dataclass
class World:
    """Everything that runs."""

    site: ChainSite
    store_url: str
    clouds: Sequence[Program]
    urls: Sequence[str]
    parts: Sequence[Part]
    gateways: Sequence[LoadGateway]


@asynccontextmanager
async def open_world(folder: Path, seed: int, recoveries: Recoveries) -> AsyncIterator[World]:
    """All parts, started; the clouds take batches."""
    names = [f"soak.minglou.example/s/g{number}/e0" for number in range(GATEWAYS)]
    gateways = [LoadGateway(name, seed * 100 + at, recoveries.answered) for at, name in enumerate(names)]
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server())
        nats = stack.enter_context(nats_cluster(folder))
        port = free_port()
        state = folder / "chain.json"
        saved = ("--state", str(state), "--state-interval", "1")
        anvil = stack.enter_context(
            running(anvil_command(port, *saved), name="anvil", output_dir=folder, ready=lambda: is_listening(port))
        )
        site = await _site(f"http://127.0.0.1:{port}", gateways)
        store_url = postgres.url(postgres.new_database())
        clouds, urls = [], []
        for number in range(CLOUDS):
            listens = free_port()
            workers = WORKERS if number == CLOUDS - 1 else 1
            config = _cloud_settings(folder / f"cloud-{number}", site, listens, store_url, nats.settings(), workers)
            command = [minglou(), "cloud", "serve", "--config", config]
            clouds.append(stack.enter_context(running(command, name=f"cloud-{number}", output_dir=folder)))
            urls.append(f"http://127.0.0.1:{listens}")
        last = clouds[-1]
        parts = [
            *(Part(node.name, "NATS node", node.program, lambda node=node: nats.restart(node)) for node in nats.nodes),  # type: ignore[misc]
            # Their keeper brings them back.
            *(Part(one.name, "cloud", one, lambda: None, url) for one, url in zip(clouds, urls, strict=True)),
            Worker(f"{last.name}-worker", "worker", last, lambda: None),
            Part("postgres", "PostgreSQL", postgres.program, postgres.restart),
            Part("anvil", CHAIN, anvil, lambda: _restart(anvil, port, state)),
        ]
        world = World(site, store_url, clouds, urls, parts, gateways)
        try:
            yield world
        finally:
            await site.close()


async def _site(url: str, gateways: Sequence[LoadGateway]) -> ChainSite:
    site = await ChainSite.deploy(url)
    calls = []
    for one in gateways:
        x, y = int.from_bytes(one.log.public[:32]), int.from_bytes(one.log.public[32:])
        calls.append(("Registry", "set_gateway_key", one.origin, x, y, 1, 7))
    await site.change(*calls)
    return site


def _cloud_settings(folder: Path, site: ChainSite, port: int, store_url: str, ingest_log: str, workers: int) -> Path:
    folder.mkdir()
    keys = '[identity]\nkeys_dir = "../keys"\naudit_key_file = "../keys/audit.pem"\n'
    more = f"{keys}{ingest_log}gib = 1.0\nredeliver_seconds = 5\n"
    config = write_settings(folder, site, port, workers=workers, store_url=store_url, more=more)
    text = config.read_text().replace("finality_depth = 2\n", 'finality_depth = 2\nlost_finality = "resend"\n')
    config.write_text(text)
    return config


def _restart(program: Program, port: int, state: Path) -> None:
    repair_state(state)  # anvil, unlike chains' nodes, leaves half a file where it is killed while it writes
    program.restart()
    wait_until(lambda: is_listening(port), seconds=30, what=f"{program.name} to come back")


async def run(folder: Path, *, seconds: float, seed: int) -> Outcome:
    """One load with its kills, settled and judged."""
    rng, started, kills = random.Random(seed), time.monotonic(), Counter[str]()

    def say(line: str) -> None:
        print(f"cluster: {time.monotonic() - started:5.0f} s  {line}", flush=True)

    recoveries = Recoveries(say)
    async with open_world(folder, seed, recoveries) as world, AsyncExitStack() as stack:
        store = Store(world.store_url)
        stack.push_async_callback(store.close)
        keepers = [asyncio.create_task(_keep(cloud), name=cloud.name) for cloud in world.clouds]
        keepers.append(asyncio.create_task(_mine(world.site, folder / "chain.json"), name="blocks"))
        stack.push_async_callback(_end, keepers)
        await _until(lambda: _all_ready(world.urls), SETTLE_SECONDS)
        say(f"all parts are ready; {seconds:.0f} s of load begin")
        keepers.append(asyncio.create_task(recoveries.watch(store, world.gateways), name="recoveries"))
        keepers.append(asyncio.create_task(_tell(world, recoveries, kills, say), name="progress"))
        ends_at = time.monotonic() + seconds
        async with asyncio.timeout(seconds + SETTLE_SECONDS), asyncio.TaskGroup() as tasks:
            for gateway in world.gateways:
                tasks.create_task(gateway.live(world.urls, lambda: time.monotonic() >= ends_at), name=gateway.origin)
            tasks.create_task(_kill(world.parts, rng, kills, recoveries, ends_at), name="kills")
        say("the load is over and all of it is acknowledged; waiting until it is stored and anchored")
        await _until(lambda: _all_ready(world.urls), SETTLE_SECONDS)
        await _until(lambda: _is_settled(store, world), SETTLE_SECONDS)
        lost, doubled = await judge_entries(store, world.gateways)
        say(f"{lost} entries lost, {doubled} doubled")
        wishes, overtaken, wishes_lost, wishes_doubled = await _judge_wishes(store, world.site)
    return Outcome(
        seed=seed, seconds=round(time.monotonic() - started, 1), kills=dict(sorted(kills.items())), wishes=wishes,
        acknowledged=sum(one.acknowledged for one in world.gateways), recoveries=recoveries.summary(),
        overtaken=overtaken,
        batches=sum(one.answers for one in world.gateways),
        lost=lost + wishes_lost, doubled=doubled + wishes_doubled,
    )  # fmt: skip


async def _kill(
    parts: Sequence[Part], rng: random.Random, kills: Counter[str], recoveries: Recoveries, ends_at: float
) -> None:
    """Every few seconds one that lives dies; up to three are down at a time."""
    dying: dict[str, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as tasks:
        while time.monotonic() < ends_at:
            await asyncio.sleep(rng.uniform(2.0, 10.0))
            dying = {name: task for name, task in dying.items() if not task.done()}
            part = rng.choice(parts)
            if part.name not in dying and len(dying) < 3 and part.program.is_running():
                kills[part.name] += 1
                recoveries.begin(part.name, part.kind, url=part.url, needs_anchor=part.kind == CHAIN)
                dying[part.name] = tasks.create_task(part.die(rng), name=f"death of {part.name}")


async def _tell(world: World, recoveries: Recoveries, kills: Counter[str], say: Callable[[str], None]) -> None:
    """How it goes."""
    while True:
        await asyncio.sleep(_TELL_SECONDS)
        acknowledged, stored = sum(one.acknowledged for one in world.gateways), sum(recoveries.stored.values())
        say(f"{acknowledged:,} entries acknowledged, {stored:,} stored, {kills.total()} kills")


async def _keep(program: Program) -> None:
    """What an init system does: a process that ended is started again."""
    while True:
        if not program.is_running():
            await asyncio.sleep(0.5)
            program.restart()
        await asyncio.sleep(0.1)


async def _mine(site: ChainSite, state: Path) -> None:
    """Blocks come all the time, as on any chain; what stands of it on the disk is copied while it is whole."""
    while True:
        with suppress(httpx.HTTPError, ValueError, AssertionError):
            await site.mine()
        await asyncio.to_thread(keep_state, state)
        await asyncio.sleep(1.0)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task, result in zip(tasks, await asyncio.gather(*tasks, return_exceptions=True), strict=True):
        if isinstance(result, Exception):
            print(f"cluster: {task.get_name()} ended with {result!r}", flush=True)


async def _until(condition: Callable[[], Awaitable[bool]], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.3)


async def _all_ready(urls: Sequence[str]) -> bool:
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        for url in urls:
            try:
                told = (await client.get(f"{url}/readyz")).json()
            except (httpx.HTTPError, ValueError):
                return False
            if not all(check["passed"] for check in told["checks"]):
                return False
    return True


async def _is_settled(store: Store, world: World) -> bool:
    """Whether everything that was acknowledged is stored, has its place and is anchored for good."""
    checkpoints, intents = tables.checkpoints.c, tables.intents.c
    numbers = [log_number(one.origin) for one in world.gateways]
    stored = await stored_sizes(store, world.gateways)
    async with store.read() as connection:
        waiting = select(checkpoints.size).where(checkpoints.log_id.in_(numbers), checkpoints.super_index.is_(None))
        if (await connection.execute(waiting.limit(1))).first() is not None:
            return False
        states = set((await connection.execute(select(intents.state))).scalars())
        anchored = (await connection.execute(select(intents.business_key).where(intents.state == "final"))).scalars()
        sizes = [int(key.partition(":")[2]) for key in anchored if key.startswith("anchor:")]
        places = (await connection.execute(select(tables.super_head.c.size))).scalar_one_or_none() or 0
    whole = all(stored.get(one.origin, 0) >= one.acknowledged for one in world.gateways)
    return whole and states <= {"final"} and max(sizes, default=0) == places


async def _judge_wishes(store: Store, site: ChainSite) -> tuple[int, int, int, int]:
    """Wishes for an anchor, those that a larger one has overtaken, those that the chain does not hold, and those that
    it holds twice.

    anvil comes back without its last blocks, and a newer anchor may then be sent before the one that was lost: the
    contract holds the proof that it extends all before it, and the older wish stands as done by it.
    """
    column = tables.intents.c
    async with store.read() as connection:
        rows = list(await connection.execute(select(tables.intents).where(column.kind == "anchor")))
    asked = {"fromBlock": "0x0", "toBlock": "latest", "address": site.address("AnchorLog"), "topics": [ANCHORED_TOPIC]}
    events = Counter(int(log["topics"][1], 16) for log in await site.rpc("eth_getLogs", asked))
    wished = {int(row.business_key.partition(":")[2]): row for row in rows}
    missing = {size: row for size, row in wished.items() if not events[size]}
    overtaken = [
        size
        for size, row in missing.items()
        if (row.state, (row.says or "").partition(" size ")[0]) == ("final", "anchored at")
        and any(at > size for at in events)
    ]
    for size, row in missing.items():
        how = "overtaken" if size in overtaken else "LOST"
        print(f"cluster: {how}: {row.business_key} stands as {row.state}: {row.says}; on chain: {sorted(events)}")
    doubled = sum(count - 1 for count in events.values()) + len(events.keys() - wished.keys())
    return len(rows), len(overtaken), len(missing) - len(overtaken), doubled


def main() -> int:
    """Run once and print the outcome; 1 where anything was lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.cluster_run", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="of load (default 600)")
    parser.add_argument("--seed", type=int, default=1, help="which part dies when (default 1)")
    parser.add_argument("--into", type=Path, help="a file for the outcome, as JSON")
    parser.add_argument("--keep", type=Path, help="a folder for what the parts say (default: a temporary one)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="minglou-cluster-") as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        outcome = asyncio.run(run(folder, seconds=arguments.seconds, seed=arguments.seed))
    text = json.dumps(asdict(outcome))
    print(f"cluster: {text}")
    if arguments.into is not None:
        arguments.into.write_text(text + "\n")
    return 1 if outcome.lost or outcome.doubled else 0


if __name__ == "__main__":
    sys.exit(main())
