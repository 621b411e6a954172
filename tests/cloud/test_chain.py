"""Follower and outbox on a real chain: what is wished comes true once, whatever the chain does."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from cloud.chain.anchoring import Anchoring
from cloud.chain.breaker import Breaker, Cause
from cloud.chain.builders import ChainBuilders
from cloud.chain.client import ChainClient
from cloud.chain.deployment import Deployment
from cloud.chain.follower import Follower
from cloud.chain.intents import add_intent
from cloud.chain.reading import FollowedReader
from cloud.chain.sender import NotYet, Sender, SenderLimits, Transaction
from cloud.chain.view import ChainView
from cloud.directory import DirectoryFile
from cloud.errors import IngestRefused
from cloud.lease import Lease
from cloud.maintenance.ground import Ground
from cloud.maintenance.view import MaintenanceView
from cloud.maintenance.worker import Maintenance
from cloud.store import tables
from contracts.clock import SystemClock
from contracts.onchain import origin_id
from tests.cloud.chain_site import ChainSite
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import SimulatedGateway
from tests.conftest import Endpoint

Run = Callable[[Any], Any]


@dataclass
class ChainBench:
    """A bench whose ring of keys is the followed Registry."""

    bench: Bench
    site: ChainSite
    view: ChainView
    follower: Follower
    sender: Sender
    anchoring: Anchoring
    upkeep: Maintenance
    breaker: Breaker
    seconds: list[float]

    async def settle(self, rounds: int = 6, *, mine: bool = True) -> None:
        for _ in range(rounds):
            await self.follow()
            await self.anchoring.step()
            await self.upkeep.step()
            await self.sender.step()
            if mine:
                await self.site.mine()
        await self.follow()
        await self.sender.step()

    async def follow(self) -> None:
        while await self.follower.step():
            pass

    async def states(self) -> dict[str, str]:
        async with self.bench.store.read() as connection:
            return {row.business_key: row.state for row in await connection.execute(select(tables.intents))}


_deployed: dict[str, tuple[Deployment, str]] = {}
"""What was deployed on a chain, by its URL, and the chain's snapshot from right behind it."""


async def fresh_site(url: str) -> ChainSite:
    """A site whose contracts are as they were deployed: once on each chain, which is then set back to that moment."""
    if url in _deployed:
        deployment, snapshot = _deployed[url]
        site = ChainSite(url, ChainClient([url]), deployment)
        await site.rpc("anvil_dropAllTransactions")
        assert await site.rpc("evm_revert", snapshot)
    else:
        site = await ChainSite.deploy(url)
    _deployed[url] = site.deployment, await site.rpc("evm_snapshot")
    return site


@asynccontextmanager
async def chain_bench(place: Path | str, url: str, **options: Any) -> AsyncIterator[ChainBench]:
    site = await fresh_site(url)
    try:
        async with open_chain_bench(place, site, **options) as bench:
            yield bench
    finally:
        await site.close()


@asynccontextmanager
async def open_chain_bench(
    place: Path | str,
    site: ChainSite,
    *,
    depth: int = 3,
    resends_lost: bool = False,
    directory: Path | None = None,
    **limits: Any,
) -> AsyncIterator[ChainBench]:
    async with open_bench(place) as bench:
        seconds = [1000.0]
        view, maintenance = ChainView(31337), MaintenanceView()
        clock = SystemClock()
        lease = Lease(bench.store)
        follower = Follower(
            store=bench.store,
            client=site.client,
            deployment=site.deployment,
            clock=clock,
            listeners=[view, maintenance],
            finality_depth=depth,
            resends_lost=resends_lost,
            lease=lease,
        )
        await follower.load()
        reader = FollowedReader(client=site.client, place=follower)
        builders = ChainBuilders(store=bench.store, reader=reader, deployment=site.deployment, view=view)
        upkeep = Maintenance(
            Ground(
                store=bench.store,
                reader=reader,
                deployment=site.deployment,
                chain=view,
                view=maintenance,
                clock=clock,
            ),
            DirectoryFile(directory),
        )

        async def tell(says: str) -> None:
            await bench.store.notice(says, at_ms=clock.now_ms())

        breaker = Breaker(tell, monotonic=lambda: seconds[0])
        sender = Sender(
            store=bench.store,
            client=site.client,
            key=site.keys["relayer"],
            clock=clock,
            builders={**builders.by_kind(), **upkeep.builders()},
            limits=SenderLimits(
                chain_id=31337, fee_cap_wei=10**12, priority_fee_wei=10**9, stuck_seconds=20, retry_seconds=0, **limits
            ),
            place=follower,
            lease=lease,
            breaker=breaker,
            monotonic=lambda: seconds[0],
        )
        anchoring = Anchoring(
            store=bench.store,
            super_log=bench.super_log,
            view=view,
            clock=clock,
            interval_seconds=0,
            accept_seconds=None,
            monotonic=lambda: seconds[0],
        )
        bench.ingest._keys = view
        yield ChainBench(bench, site, view, follower, sender, anchoring, upkeep, breaker, seconds)
        await lease.release()


def test_a_registered_gateway_is_taken_and_its_checkpoints_are_anchored_to_finality(
    run: Run, store_url: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with chain_bench(store_url, anvil.url) as chain:
            gateway = SimulatedGateway()
            gateway.log_readings(20)
            await chain.site.enrol(gateway)
            await chain.follow()
            await chain.bench.send(gateway, 0, 5)
            await chain.settle()
            await chain.bench.send(gateway, 5, 21)
            await chain.settle()
            assert await chain.states() == {"anchor:1": "final", "anchor:2": "final"}
            size, root, _at = await chain.site.view("AnchorLog", "head")
            assert size == 2 and chain.view.final_super_size() == 2
            assert chain.view.anchors[-1].root == root
            await chain.site.send("manager", "Registry", "revoke_gateway_key", origin_id(gateway.origin))
            await chain.follow()
            gateway.log_readings(1)
            try:
                await chain.bench.send(gateway, 21)
                raise AssertionError("a revoked key was taken")
            except IngestRefused as refused:
                assert refused.code == "revoked"

    run(scenario())


def test_a_fork_of_either_kind_is_reported_on_chain(run: Run, store_url: str, anvil: Endpoint) -> None:
    async def scenario() -> None:
        async with chain_bench(store_url, anvil.url) as chain:
            for number, (fork_at, size) in enumerate([(29, 30), (20, 25)]):
                gateway = SimulatedGateway(origin=f"demo.minglou.example/cuiyuan/f{number}/e0")
                gateway.log_readings(29)
                await chain.site.enrol(gateway)
                await chain.follow()
                await chain.bench.send(gateway, 0, 30)
                twin = gateway.twin(fork_at, 5_000_000)
                twin.log_readings(size - twin.size)
                try:
                    await chain.bench.send(twin, fork_at, size)
                    raise AssertionError("a fork was taken")
                except IngestRefused as refused:
                    assert refused.code == "fork"
                await chain.settle()
                assert chain.view.is_ended_by_fork(gateway.origin)
            states = await chain.states()
            assert {key: state for key, state in states.items() if key.startswith("fork:")} == {
                "fork:demo.minglou.example/cuiyuan/f0/e0": "final",
                "fork:demo.minglou.example/cuiyuan/f1/e0": "final",
            }

    run(scenario())


def test_heads_are_accepted_on_chain_from_the_last_accepted_one(run: Run, store_url: str, anvil: Endpoint) -> None:
    async def scenario() -> None:
        async with chain_bench(store_url, anvil.url) as chain:
            gateway = SimulatedGateway()
            gateway.log_readings(39)
            await chain.site.enrol(gateway)
            await chain.follow()
            chain.anchoring._accept_interval = 0.0
            for start, end in ((0, 13), (13, 40)):
                await chain.bench.send(gateway, start, end)
                await chain.settle()
                assert chain.view.head(gateway.origin).size == end

    run(scenario())


def test_a_reorganisation_repeats_nothing_and_loses_nothing(run: Run, store_url: str, anvil: Endpoint) -> None:
    async def scenario() -> None:
        async with chain_bench(store_url, anvil.url, depth=10) as chain:
            gateway = SimulatedGateway()
            gateway.log_readings(39)
            await chain.site.enrol(gateway)
            await chain.site.mine(12)
            await chain.follow()
            await chain.bench.send(gateway, 0, 13)
            await chain.settle(3)
            assert (await chain.states())["anchor:1"] == "mined"
            await chain.site.rpc("anvil_reorg", 4, [])
            await chain.settle(3)
            assert chain.view.anchors[-1].size == 1
            await chain.site.rpc("anvil_reorg", 5, [])
            await chain.bench.send(gateway, 13, 40)
            await chain.settle(20)
            assert await chain.states() == {"anchor:1": "final", "anchor:2": "final"}
            assert [anchor.size for anchor in chain.view.anchors] == [1, 2]

    run(scenario())


def test_a_stuck_transaction_is_replaced_under_its_nonce_with_a_higher_offer(
    run: Run, store_url: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with chain_bench(store_url, anvil.url) as chain:
            gateway = SimulatedGateway()
            await chain.site.enrol(gateway)
            await chain.follow()
            await chain.bench.send(gateway)
            await chain.site.rpc("evm_setAutomine", False)
            try:
                await chain.settle(2, mine=False)
                chain.seconds[0] += 21
                await chain.settle(1, mine=False)
                async with chain.bench.store.read() as connection:
                    attempts = list(
                        await connection.execute(select(tables.attempts).order_by(tables.attempts.c.attempt_id))
                    )
                assert [row.state for row in attempts] == ["replaced", "signed"]
                assert attempts[0].nonce == attempts[1].nonce
                assert int(attempts[1].max_fee_wei) * 8 >= int(attempts[0].max_fee_wei) * 9
                await chain.site.mine()
                await chain.settle(5)
                assert await chain.states() == {"anchor:1": "final"}
            finally:
                await chain.site.rpc("evm_setAutomine", True)

    run(scenario())


def test_a_transaction_that_the_node_dropped_is_sent_again(run: Run, store_url: str, anvil: Endpoint) -> None:
    async def scenario() -> None:
        async with chain_bench(store_url, anvil.url) as chain:
            gateway = SimulatedGateway()
            await chain.site.enrol(gateway)
            await chain.follow()
            await chain.bench.send(gateway)
            await chain.site.rpc("evm_setAutomine", False)
            try:
                await chain.settle(2, mine=False)
                async with chain.bench.store.read() as connection:
                    (attempt,) = list(await connection.execute(select(tables.attempts)))
                await chain.site.rpc("anvil_dropTransaction", attempt.transaction_hash)
                chain.seconds[0] += 21
                await chain.settle(4)
                async with chain.bench.store.read() as connection:
                    assert len(list(await connection.execute(select(tables.attempts)))) == 1, (
                        "the same bytes, not new ones"
                    )
                assert await chain.states() == {"anchor:1": "final"}
            finally:
                await chain.site.rpc("evm_setAutomine", True)

    run(scenario())


def test_a_nonce_that_somebody_else_used_reopens_the_wish(run: Run, store_url: str, anvil: Endpoint) -> None:
    async def scenario() -> None:
        async with chain_bench(store_url, anvil.url) as chain:
            gateway = SimulatedGateway()
            await chain.site.enrol(gateway)
            await chain.follow()
            await chain.bench.send(gateway)
            await chain.site.rpc("evm_setAutomine", False)
            try:
                await chain.settle(2, mine=False)
                async with chain.bench.store.read() as connection:
                    (attempt,) = list(await connection.execute(select(tables.attempts)))
                await chain.site.rpc("anvil_dropTransaction", attempt.transaction_hash)
                relayer = chain.site.keys["relayer"]
                other, _hash = relayer.sign(
                    {
                        "type": 2,
                        "chainId": 31337,
                        "nonce": attempt.nonce,
                        "to": relayer.address,
                        "value": 0,
                        "data": "0x",
                        "gas": 21_000,
                        "maxFeePerGas": 10**11,
                        "maxPriorityFeePerGas": 10**9,
                    }
                )
                await chain.site.client.broadcast(other)
                await chain.site.mine()
                await chain.settle(12)  # a stranger's block must be final before the nonce is given up
                assert await chain.states() == {"anchor:1": "final"}
                assert chain.view.final_super_size() == 1
            finally:
                await chain.site.rpc("evm_setAutomine", True)

    run(scenario())


def test_what_is_anchored_already_is_not_sent_again_by_a_restored_database(
    run: Run, store_url: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with chain_bench(store_url, anvil.url) as chain:
            gateway = SimulatedGateway()
            await chain.site.enrol(gateway)
            await chain.follow()
            await chain.bench.send(gateway)
            await chain.settle()
            async with chain.bench.store.write() as connection:  # the outbox forgets
                await connection.execute(tables.attempts.delete())
                await connection.execute(tables.intents.update().values(state="pending"))
            nonce = await chain.site.client.nonce(chain.sender.address)
            await chain.settle()
            assert await chain.states() == {"anchor:1": "final"}
            assert await chain.site.client.nonce(chain.sender.address) == nonce

    run(scenario())


def test_wishes_that_wait_or_are_refused_keep_no_other_from_the_chain(
    run: Run, store_url: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with chain_bench(store_url, anvil.url, failures_max=10**6) as chain:

            async def waits(_params: Mapping[str, Any]) -> NotYet:
                return NotYet(says="somebody else's turn")

            async def is_refused(_params: Mapping[str, Any]) -> Transaction:
                return Transaction(to=chain.site.deployment.anchor_log, data=b"\x00" * 4)

            chain.sender._builders |= {"waits": waits, "bad": is_refused}
            async with chain.bench.store.write() as connection:
                for number in range(200):
                    await add_intent(connection, f"waits:{number}", "waits", {}, now_ms=1)
                for number in range(70):
                    await add_intent(connection, f"bad:{number}", "bad", {}, now_ms=1)
            for _ in range(12):
                await chain.follow()
                await chain.sender.step()
            assert chain.breaker.is_open(Cause.REFUSED)
            gateway = SimulatedGateway()
            await chain.site.enrol(gateway)
            await chain.follow()
            await chain.bench.send(gateway)
            await chain.settle()
            assert (await chain.states())["anchor:1"] == "final"

    run(scenario())


def test_an_anchor_that_was_given_up_is_wished_for_again(run: Run, store_url: str, anvil: Endpoint) -> None:
    async def scenario() -> None:
        async with chain_bench(store_url, anvil.url) as chain:
            gateway = SimulatedGateway()
            await chain.site.enrol(gateway)
            await chain.follow()
            await chain.bench.send(gateway)
            assert await chain.anchoring.step()
            async with chain.bench.store.write() as connection:  # as after many refusals, in a minute without its role
                await connection.execute(tables.intents.update().values(state="refused", failures=12))
            await chain.settle()
            assert await chain.states() == {"anchor:1": "final"}

    run(scenario())
