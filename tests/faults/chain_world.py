"""A cloud's chain side in front of three failing nodes, killed and paused at any step, and its wishes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak
from sqlalchemy import func, select

from cloud.chain.breaker import Breaker
from cloud.chain.client import ChainClient, SigningKey
from cloud.chain.deployment import Deployment
from cloud.chain.endpoint import Endpoint
from cloud.chain.follower import Follower
from cloud.chain.intents import add_intent
from cloud.chain.reading import FollowedReader
from cloud.chain.sender import AlreadyDone, Built, Sender, SenderLimits, Transaction
from cloud.errors import ChainError
from cloud.lease import Lease
from cloud.store import Store, tables
from contracts.clock import SystemClock
from tests.faults.chain_nodes import Anvil, Node

DEPTH = 8  # of finality; reorganisations stay below it
REORG_MAX = 4
TELL, TOLD = keccak(text="tell(uint256)")[:4], keccak(text="told(uint256)")[:4]
CLOSED_SLOT = "0x" + (1).to_bytes(32).hex()  # second in effects.vy
TOLD_TOPIC = "0x" + keccak(text="Told(uint256)").hex()
RICH = hex(10**24)


class Killed(BaseException):
    """The process ended here."""


@cache
def effects_bytecode() -> str:
    """The contract that counts effects, compiled."""
    import vyper
    from vyper.compiler.settings import Settings

    source = (Path(__file__).parent / "effects.vy").read_text()
    found = vyper.compile_code(source, output_formats=["bytecode"], settings=Settings(evm_version="london"))
    return str(found["bytecode"])


class Fate:
    """Where a process dies, or falls asleep for a while: at the n-th thing it awaits or stores."""

    def __init__(self) -> None:
        self.dies_in: int | None = None
        self.sleeps_in: int | None = None
        self.is_dead = False
        self.asleep = asyncio.Event()
        self.wake = asyncio.Event()

    async def point(self, *, may_sleep: bool = True) -> None:
        """One such thing."""
        if self.dies_in is not None:
            self.dies_in -= 1
            self.is_dead = self.is_dead or self.dies_in < 0
        if self.is_dead:
            raise Killed
        if self.sleeps_in is not None and may_sleep:
            self.sleeps_in -= 1
            if self.sleeps_in < 0:
                self.sleeps_in = None
                self.asleep.set()
                await self.wake.wait()


class MortalStore:
    """The real store, between whose steps the process may die."""

    def __init__(self, store: Store, fate: Fate) -> None:
        self._store, self._fate, self.url = store, fate, store.url

    @asynccontextmanager
    async def write(self, **options: Any) -> AsyncIterator[Any]:
        await self._fate.point()
        async with self._store.write(**options) as connection:
            yield connection
            await self._fate.point(may_sleep=False)
        await self._fate.point()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Any]:
        await self._fate.point()
        async with self._store.read() as connection:
            yield connection


class NodeEndpoint(Endpoint):
    """An endpoint whose node is in this process (or behind HTTP); around each question the process may die."""

    def __init__(self, url: str, node: Node | None, fate: Fate, monotonic: Callable[[], float]) -> None:
        super().__init__(url, timeout_seconds=20, monotonic=monotonic)
        self._node, self._fate = node, fate

    async def exchange(self, question: bytes, limit: int) -> bytes:
        await self._fate.point()
        if self._node is None:
            answer = await super().exchange(question, limit)
        else:
            answer = await self._node.exchange(question)
        await self._fate.point()
        return answer


class NodesClient(ChainClient):
    def __init__(self, nodes: Mapping[str, Node | None], fate: Fate, monotonic: Callable[[], float]) -> None:
        self._nodes, self._fate = nodes, fate
        super().__init__(list(nodes), monotonic=monotonic)

    def endpoint(self, url: str, monotonic: Callable[[], float]) -> Endpoint:
        return NodeEndpoint(url, self._nodes[url], self._fate, monotonic)


@dataclass
class Process:
    """One cloud process: follower and sender over a store of its own."""

    fate: Fate
    client: ChainClient
    lease: Lease
    follower: Follower
    sender: Sender
    breaker: Breaker

    async def work(self) -> None:
        """What the workers do in one round; an error ends the round, as it does there."""
        try:
            while await self.follower.step():
                pass
            await self.sender.step()
        except ChainError:
            await self.follower.load()

    async def end(self) -> None:
        """The operating system takes back what the process held."""
        self.fate.is_dead = True
        await self.lease.release()
        await self.client.close()


@dataclass
class World:
    """One chain, one database, and the seeds' runs one after another on them."""

    anvil: Anvil
    store: Store
    nodes: Mapping[str, Node | None]
    faces: list[Node]
    key: SigningKey
    effects: str
    from_block: int
    seconds: float = 1000.0
    blind: bool = False  # whether the builder never asks if a wish is true already
    wishes: int = 0
    others: list[Store] = field(default_factory=list)

    def process(self, store: Store | None = None) -> Process:
        """A process that starts now, with nothing but what is stored."""
        fate, clock = Fate(), SystemClock()
        mortal: Any = MortalStore(store or self.store, fate)
        client = NodesClient(self.nodes, fate, lambda: self.seconds)
        lease = Lease(mortal)
        follower = Follower(
            store=mortal,
            client=client,
            deployment=deployment_of(self.effects, self.from_block),
            clock=clock,
            listeners=[],
            finality_depth=DEPTH,
            lease=lease,
        )
        reader = FollowedReader(client=client, place=follower)

        async def told(_says: str) -> None:
            return None

        async def build(params: Mapping[str, Any]) -> Built:
            wish = int(params["wish"]).to_bytes(32)
            if not self.blind and int.from_bytes(await reader.call(self.effects, TOLD + wish)):
                return AlreadyDone(says="it was told")
            return Transaction(to=self.effects, data=TELL + wish)

        breaker = Breaker(told, monotonic=lambda: self.seconds)
        sender = Sender(
            store=mortal,
            client=client,
            key=self.key,
            clock=clock,
            limits=SenderLimits(
                chain_id=31337,
                fee_cap_wei=10**12,
                priority_fee_wei=10**9,
                stuck_seconds=20,
                retry_seconds=1,
                failures_max=1_000_000,
            ),
            builders={"tell": build},
            place=follower,
            lease=lease,
            breaker=breaker,
            monotonic=lambda: self.seconds,
        )
        return Process(fate, client, lease, follower, sender, breaker)

    async def wish(self) -> None:
        """One more wish, as the fact that causes it writes it."""
        self.wishes += 1
        async with self.store.write() as connection:
            await add_intent(connection, f"tell:{self.wishes}", "tell", {"wish": self.wishes}, now_ms=0)

    async def states(self) -> dict[str, int]:
        column = tables.intents.c
        async with self.store.read() as connection:
            return {
                row[0]: row[1]
                for row in await connection.execute(select(column.state, func.count()).group_by(column.state))
            }

    async def told(self, since_block: int) -> dict[int, int]:
        """How often the chain says that each wish was told, asked of anvil itself."""
        question = {"address": self.effects, "topics": [TOLD_TOPIC], "fromBlock": hex(since_block), "toBlock": "latest"}
        counts: dict[int, int] = {}
        for log in await self.anvil.rpc("eth_getLogs", question):
            wish = int(log["topics"][1], 16)
            counts[wish] = counts.get(wish, 0) + 1
        return counts


async def create(anvil: Anvil, store: Store, key: SigningKey, rng: random.Random, urls: list[str] | None) -> World:
    """The contract deployed, the sender's account rich, blocks mined by hand from now on."""
    deployer = (await anvil.rpc("eth_accounts"))[0]
    await anvil.rpc("anvil_setBalance", key.address, RICH)
    sent = await anvil.rpc("eth_sendTransaction", {"from": deployer, "data": effects_bytecode()})
    await anvil.rpc("anvil_mine", hex(DEPTH))
    receipt = await anvil.rpc("eth_getTransactionReceipt", sent)
    await anvil.rpc("evm_setAutomine", False)
    faces = [Node(anvil, random.Random(rng.random())) for _ in range(3)]
    named: Mapping[str, Node | None] = {f"http://node-{at}": face for at, face in enumerate(faces)}
    if urls is not None:
        named = dict.fromkeys(urls)
    return World(anvil, store, named, faces, key, receipt["contractAddress"].lower(), int(receipt["blockNumber"], 16))


def deployment_of(effects: str, from_block: int) -> Deployment:
    """The effects contract where a follower expects a Registry: it reads whatever has an address."""
    empty = ("roll", "crews", "bindings", "anchor_log", "tariffs", "charges", "usage_fees", "challenges", "token")
    return Deployment(
        chain_id=31337, from_block=from_block, registry=effects, site=bytes(32), **dict.fromkeys(empty, "")
    )
