"""Seeded chain faults: whatever reorganises, drops, stalls or kills, each wish comes true once and none is lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from cloud.chain.client import ChainClient
from cloud.chain.endpoint import Endpoint
from cloud.chain.sender import Sender
from cloud.errors import ChainError
from cloud.store import tables
from tests.cloud.chain_site import ChainSite
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.test_chain import ChainBench, open_chain_bench
from tests.conftest import Endpoint as Server
from tests.faults.gateway import seeds

STEPS = 30
DEPTH = 8  # of finality; reorganisations stay below it
REORG_MAX = 4
BATCH = 3


class Killed(Exception):
    """The sender's process ended here."""


class FaultyClient(ChainClient):
    """The real client, whose process may be killed before or after any question, and whose node may not answer."""

    def __init__(self, url: str, rng: random.Random) -> None:
        self._rng = rng
        self.kill_rate = 0.0
        self.silence_rate = 0.0
        super().__init__([url])

    def endpoint(self, url: str, monotonic: Callable[[], float]) -> Endpoint:
        return FaultyEndpoint(url, self.maybe_fail, monotonic)

    def maybe_fail(self) -> None:
        if self._rng.random() < self.kill_rate:
            raise Killed
        if self._rng.random() < self.silence_rate:
            raise ChainError("the node does not answer")


class FaultyEndpoint(Endpoint):
    def __init__(self, url: str, maybe_fail: Callable[[], None], monotonic: Callable[[], float]) -> None:
        super().__init__(url, monotonic=monotonic)
        self._maybe_fail = maybe_fail

    async def exchange(self, question: bytes, limit: int) -> bytes:
        self._maybe_fail()
        answer = await super().exchange(question, limit)
        self._maybe_fail()
        return answer


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", seeds()[: max(1, len(seeds()) // 3)])
def test_each_wish_comes_true_once_and_none_is_lost(tmp_path: Path, anvil: Server, seed: int) -> None:
    asyncio.run(_run(tmp_path / "c.sqlite3", anvil.url, random.Random(seed)))


async def _run(path: Path, url: str, rng: random.Random) -> None:
    site = await ChainSite.deploy(url)
    gateway = SimulatedGateway()
    gateway.log_readings(STEPS * BATCH)
    await site.enrol(gateway)
    await site.mine(DEPTH)
    honest, faulty = site.client, FaultyClient(url, rng)
    site.client = faulty
    try:
        async with open_chain_bench(path, site, depth=DEPTH, failures_max=1_000) as chain:
            await chain.follow()
            await site.rpc("evm_setAutomine", False)
            faulty.kill_rate, faulty.silence_rate = 0.02, 0.02
            held = 0
            for _ in range(STEPS):
                held = await _step(chain, gateway, held, rng)
            faulty.kill_rate = faulty.silence_rate = 0.0
            await _settle(chain)
            await _judge(chain, honest)
    finally:
        await site.rpc("evm_setAutomine", True)
        await faulty.close()
        await honest.close()


async def _step(chain: ChainBench, gateway: SimulatedGateway, held: int, rng: random.Random) -> int:
    """One random thing happens; how many entries are held then."""
    what = rng.choice(["send", "send", "wish", "work", "work", "work", "mine", "mine", "reorg", "drop", "wait"])
    if what == "send" and held < gateway.size:
        return await chain.bench.send(gateway, held, min(gateway.size, held + BATCH))
    if what == "mine":
        await chain.site.mine(rng.randint(1, 3))
    elif what == "reorg":
        await chain.site.rpc("anvil_reorg", rng.randint(1, REORG_MAX), [])
    elif what == "drop":
        await chain.site.rpc("anvil_dropAllTransactions")
    elif what == "wait":
        chain.seconds[0] += rng.choice([1, 21, 45])
    else:
        await _work(chain, wish=what == "wish")
    return held


async def _work(chain: ChainBench, *, wish: bool) -> None:
    """The workers' steps; a killed one starts anew, with nothing but what is stored."""
    try:
        await chain.follow()
        if wish:
            await chain.anchoring.step()
        await chain.sender.step()
    except (Killed, ChainError):
        chain.sender = _restarted(chain.sender)
        await chain.follower.load()


def _restarted(sender: Sender) -> Sender:
    return Sender(
        store=sender._store,
        client=sender._client,
        key=sender._key,
        clock=sender._clock,
        limits=sender._limits,
        builders=sender._builders,
        place=sender._place,
        lease=sender._lease,
        breaker=sender._breaker,
        monotonic=sender._monotonic,
    )


async def _settle(chain: ChainBench) -> None:
    """Quiet weather until every wish is final."""
    for _ in range(80):
        await chain.follow()
        await chain.anchoring.step()
        await chain.sender.step()
        await chain.site.mine()
        chain.seconds[0] += 5
        anchored = chain.view.anchors[-1].size if chain.view.anchors else 0
        if set((await chain.states()).values()) <= {"final"} and 0 < anchored == chain.bench.super_log.size:
            return
    raise AssertionError(f"not settled: {await chain.states()}")


async def _judge(chain: ChainBench, client: ChainClient) -> None:
    async with chain.bench.store.read() as connection:
        attempts = list(await connection.execute(select(tables.attempts)))
        super_size = (await connection.execute(select(tables.super_head.c.size))).scalar_one()
    succeeded: Counter[int] = Counter()
    for attempt in attempts:
        receipt = await client.receipt(attempt.transaction_hash)
        if receipt is not None and receipt.succeeded:
            succeeded[attempt.intent_id] += 1
    assert max(succeeded.values()) == 1, f"a wish was paid for twice: {succeeded}"
    size, _root, _at = await chain.site.view("AnchorLog", "head")
    assert size == super_size, f"{super_size - size} checkpoints were lost"
    sizes = [anchor.size for anchor in chain.view.anchors]
    assert sizes == sorted(set(sizes))
