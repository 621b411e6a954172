"""Arrivals on a real chain: each is there once, however often it is handed in, whatever becomes of blocks and nodes."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloud.directory import DirectoryFile
from cloud.errors import ChainError
from cloud.visits.arrivals import ArrivalRoom
from contracts import p256
from contracts.arrival import Arrival, format_arrival, sign_arrival
from contracts.calls import crews, work_orders
from contracts.entry import device_id
from contracts.work_order import Order, State
from tests.bundles import scan
from tests.cloud.maintenance_site import FAR_S, FIRM, Upkeep, open_upkeep
from tests.conftest import Endpoint
from tests.visits import ALIASES, LIFT, MECHANIC, OTHER

Run = Callable[[Any], Any]
pytestmark = pytest.mark.usefixtures("agreed")
CHAIN_ID = 31337


@dataclass
class Trapped:
    """Somebody is trapped, an order is on the chain, and crews are on their way."""

    upkeep: Upkeep
    room: ArrivalRoom
    order: bytes

    def word_of(self, key: p256.PrivateKey, at_s: int, *, round_: int = 0, salt: int = 0) -> Arrival:
        """That the key's owner scanned the display then."""
        return Arrival(
            order=self.order, round=round_, device=device_id(LIFT), mechanic=ALIASES[key],
            scan=scan(0, "in", at_s, device=device_id(LIFT)), salt=salt.to_bytes(16),
        )  # fmt: skip

    async def hand_in(self, said: Arrival, key: p256.PrivateKey = MECHANIC) -> str:
        """What the cloud answers: how it stands on chain."""
        contract = self.upkeep.site.deployment.work_orders
        signed = sign_arrival(said, key, chain_id=CHAIN_ID, contract=contract, nonce=1, deadline=FAR_S)
        answer = await self.room.take(format_arrival(signed))
        assert answer["digest"] == said.digest().hex()
        return str(answer["chain"])

    async def is_recorded(self, said: Arrival) -> None:
        """Wait until the followed chain has it."""
        await self.upkeep.settle_until(lambda: any(one.digest == said.digest() for one in self.records))

    async def state_of(self, said: Arrival) -> str:
        """How its wish stands."""
        return (await self.upkeep.chain.states())[f"arrival:{said.digest().hex()}"]

    @property
    def records(self) -> list[Any]:
        """Who came, as the followed events say."""
        return self.upkeep.view.arrivals.get(self.order, [])

    async def on_chain(self) -> Order:
        """The order, as the contract itself has it."""
        asked = work_orders.order(self.upkeep.site.deployment.work_orders, order=self.order)
        return work_orders.parse_order(await self.upkeep.site.client.call(asked.to, asked.data))


@asynccontextmanager
async def open_trapped(folder: Path, store_url: str, url: str) -> AsyncIterator[Trapped]:
    async with open_upkeep(folder, store_url, url) as upkeep:
        await upkeep.say("lift.entrapment", 1)
        await upkeep.settle_until(lambda: bool(upkeep.view.orders(device_id(LIFT))))
        ((name, _order, _at),) = upkeep.view.orders(device_id(LIFT))
        room = ArrivalRoom(
            store=upkeep.chain.bench.store, directory=DirectoryFile(folder / "directory.json"), clock=upkeep.clock,
            chain_id=CHAIN_ID, contract=upkeep.site.deployment.work_orders, view=upkeep.view,
        )  # fmt: skip
        yield Trapped(upkeep, room, name)


@contextmanager
def away(upkeep: Upkeep) -> Iterator[None]:
    """The node does not answer."""

    async def silence(_question: bytes, _limit: int) -> bytes:
        raise ConnectionRefusedError

    (endpoint,) = upkeep.site.client.endpoints
    vars(endpoint)["exchange"] = silence
    yield
    del vars(endpoint)["exchange"]


def test_an_arrival_that_is_handed_in_twice_is_on_the_chain_once(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_trapped(tmp_path, kept, anvil.url) as trapped:
            upkeep, at_s = trapped.upkeep, await trapped.upkeep.tell_time()
            said = trapped.word_of(MECHANIC, at_s)
            assert [await trapped.hand_in(said) for _ in range(2)] == ["waiting"] * 2
            assert await trapped.state_of(said) == "pending", "noted with it, for whoever goes on after a crash"
            again = trapped.word_of(MECHANIC, at_s, salt=1)
            assert await trapped.hand_in(again) == "waiting"
            await trapped.is_recorded(said)
            assert await trapped.hand_in(said) == "recorded"
            colleague = trapped.word_of(OTHER, at_s)
            await trapped.hand_in(colleague, OTHER)
            await trapped.is_recorded(colleague)
            await upkeep.settle(6)
            assert [one.crew for one in trapped.records] == [ALIASES[MECHANIC], ALIASES[OTHER]]
            order = await trapped.on_chain()
            assert (order.state, order.arrived_at, order.arrived_firm) == (State.REPORTED, said.at_s, FIRM)
            assert upkeep.view.book.orders[trapped.order] == order
            assert await trapped.state_of(said) == await trapped.state_of(again) == "final"

    run(scenario())


def test_a_reorganisation_neither_loses_nor_repeats_an_arrival(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_trapped(tmp_path, kept, anvil.url) as trapped:
            upkeep = trapped.upkeep
            said = trapped.word_of(MECHANIC, await upkeep.tell_time())
            await trapped.hand_in(said)
            await trapped.is_recorded(said)
            await upkeep.site.rpc("anvil_reorg", 2, [])
            await upkeep.chain.follow()
            assert not trapped.records
            upkeep.chain.seconds[0] += 21  # until what was sent is looked after
            await trapped.is_recorded(said)
            await upkeep.settle(6)
            assert len(trapped.records) == 1 and (await trapped.on_chain()).arrived_at == said.at_s
            assert await trapped.state_of(said) == "final"

    run(scenario())


def test_an_arrival_waits_for_a_node_that_is_away(run: Run, tmp_path: Path, kept: str, anvil: Endpoint) -> None:
    async def scenario() -> None:
        async with open_trapped(tmp_path, kept, anvil.url) as trapped:
            upkeep = trapped.upkeep
            said = trapped.word_of(MECHANIC, await upkeep.tell_time())
            with away(upkeep):
                assert await trapped.hand_in(said) == "waiting"
                for step in (upkeep.chain.follower.step, upkeep.chain.sender.step):
                    with pytest.raises(ChainError):
                        await step()
                assert await trapped.state_of(said) == "pending"
            await trapped.is_recorded(said)
            await upkeep.settle(4)
            assert len(trapped.records) == 1

    run(scenario())


def test_an_arrival_that_is_handed_in_after_the_lift_was_well_is_recorded(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    """A machine room has no network, and the machine itself ends its order."""

    async def scenario() -> None:
        async with open_trapped(tmp_path, kept, anvil.url) as trapped:
            upkeep = trapped.upkeep
            said = trapped.word_of(MECHANIC, await upkeep.tell_time())
            await upkeep.site.pass_seconds(600)
            await upkeep.say("lift.entrapment", 0)
            await upkeep.site.pass_seconds(3600)
            await upkeep.settle_until(lambda: upkeep.view.book.orders[trapped.order].state is State.WITHDRAWN)
            await upkeep.tell_time()
            assert await trapped.hand_in(said) == "waiting"
            await trapped.is_recorded(said)
            assert (await trapped.on_chain()).arrived_at == said.at_s

    run(scenario())


def test_what_the_contract_never_takes_ends_with_the_reason_and_what_it_may_take_yet_waits(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_trapped(tmp_path, kept, anvil.url) as trapped:
            upkeep, at_s = trapped.upkeep, await trapped.upkeep.tell_time()
            await upkeep.site.send_call("manager", crews.end_member(upkeep.site.deployment.crews, alias=ALIASES[OTHER]))
            unknown, ahead = trapped.word_of(OTHER, at_s), trapped.word_of(MECHANIC, at_s, round_=1)
            await trapped.hand_in(unknown, OTHER)
            await trapped.hand_in(ahead)
            await upkeep.settle(6)
            assert await trapped.state_of(unknown) == await trapped.state_of(ahead) == "pending"
            assert not trapped.records and not upkeep.chain.breaker.open
            await upkeep.site.pass_seconds(8 * 86_400)
            await upkeep.settle(8)
            assert await trapped.state_of(unknown) == await trapped.state_of(ahead) == "final"
            assert not trapped.records and (await trapped.on_chain()).arrived_at == 0

    run(scenario())
