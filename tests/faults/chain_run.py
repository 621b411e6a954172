"""One seeded run of chain faults: wishes are made, everything that can go wrong does, then the weather clears and every
wish must have come true exactly once, by the chain's own events.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any

from cloud.store import Store
from tests.faults.chain_nodes import HONEST, WRONG
from tests.faults.chain_world import CLOSED_SLOT, DEPTH, REORG_MAX, RICH, Killed, Process, World

STEPS = (50, 80)
SETTLE_ROUNDS = 120
CALM = ("wish", "work", "mine", "wait")
ACTS = {
    "wish": 3,
    "work": 10,
    "mine": 6,
    "wait": 3,
    "reorg": 4,
    "drop": 3,
    "fault": 8,
    "stranger": 1,
    "ahead": 1,
    "fee": 1,
    "refuse": 1,
    "poor": 1,
    "kill": 3,
    "sleep": 1,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did and what became of its wishes."""

    wishes: int
    faults: int
    lost: int
    doubled: int
    acts: tuple[str, ...]


async def run_once(world: World, seed: int, *, second: Store | None = None) -> Outcome:
    """One run with this seed. Raises AssertionError where it does not settle."""
    rng = random.Random(seed)
    since = int(await world.anvil.rpc("eth_blockNumber"), 16)
    first_wish = world.wishes + 1
    world.blind = rng.random() < 0.5
    process = world.process()
    await process.follower.load()
    acts = []
    try:
        await world.wish()
        for _ in range(rng.randint(*STEPS)):
            act = rng.choices(list(ACTS), list(ACTS.values()))[0]
            acts.append(act)
            process = await _act(world, process, act, rng, second)
        await _settle(world, process, rng, seed, acts)
    finally:
        await process.end()
    told = await world.told(since + 1)
    counts = [told.get(wish, 0) for wish in range(first_wish, world.wishes + 1)]
    extra = [wish for wish in told if wish < first_wish]
    assert not extra, f"seed {seed}: wishes of earlier runs came true again: {extra}"
    return Outcome(
        wishes=len(counts),
        faults=sum(act not in CALM for act in acts),
        lost=sum(count == 0 for count in counts),
        doubled=sum(count > 1 for count in counts),
        acts=tuple(acts),
    )


async def _act(world: World, process: Process, act: str, rng: random.Random, second: Store | None) -> Process:
    """One thing happens; the process that lives afterwards."""
    match act:
        case "wish":
            for _ in range(rng.randint(1, 2)):
                await world.wish()
        case "work":
            await process.work()
        case "mine":
            await world.anvil.rpc("anvil_mine", hex(rng.randint(1, 3)))
        case "reorg":
            await world.anvil.rpc("anvil_reorg", rng.randint(1, REORG_MAX), [])
        case "drop":
            await _drop(world, rng)
        case "wait":
            world.seconds += rng.choice([1, 21, 45, 70])
        case "fault":
            _new_faults(world, rng)
        case "stranger":
            await _stranger(world, 0)
        case "ahead":
            await _stranger(world, rng.randint(1, 2))
        case "fee":
            await world.anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(rng.choice([10**9, 50 * 10**9, 2 * 10**12])))
        case "refuse":
            await _set_closed(world, rng.random() < 0.6)
        case "poor":
            await world.anvil.rpc("anvil_setBalance", world.key.address, rng.choice(["0x0", hex(10**13), RICH]))
        case "kill":
            return await _kill(world, process, rng)
        case "sleep":
            await _oversleep(world, process, rng, second)
    return process


def _new_faults(world: World, rng: random.Random) -> None:
    """Each node behaves anew; one at most is wrong."""
    for face in world.faces:
        face.set_fault(rng.choice(HONEST) if rng.random() < 0.5 else "honest")
    if rng.random() < 0.5:
        rng.choice(world.faces).set_fault(rng.choice(WRONG))


async def _drop(world: World, rng: random.Random) -> None:
    pool = await world.anvil.rpc("txpool_content")
    hashes = [one["hash"] for queue in pool.values() for ours in queue.values() for one in ours.values()]
    if hashes and rng.random() < 0.6:
        await world.anvil.rpc("anvil_dropTransaction", rng.choice(sorted(hashes)))
    else:
        await world.anvil.rpc("anvil_dropAllTransactions")


async def _stranger(world: World, ahead: int) -> None:
    """Somebody else uses the relayer's key: at the next nonce, or further on, which leaves a gap."""
    nonce = int(await world.anvil.rpc("eth_getTransactionCount", world.key.address, "latest"), 16) + ahead
    raw, _hash = world.key.sign(
        {
            "type": 2,
            "chainId": 31337,
            "nonce": nonce,
            "to": "0x" + "00" * 18 + "beef",
            "value": 0,
            "data": "0x",
            "gas": 21_000,
            "maxFeePerGas": 9 * 10**11,
            "maxPriorityFeePerGas": 5 * 10**9,
        }
    )
    await world.anvil.answer("eth_sendRawTransaction", ["0x" + raw.hex()])


async def _set_closed(world: World, closed: bool) -> None:
    """The contract refuses everything, or takes it again: also what was tried a moment before and is under way."""
    await world.anvil.rpc("anvil_setStorageAt", world.effects, CLOSED_SLOT, "0x" + int(closed).to_bytes(32).hex())


async def _kill(world: World, process: Process, rng: random.Random) -> Process:
    """It works until it is killed between two steps; another one starts."""
    process.fate.dies_in = rng.randint(0, 90)
    try:
        for _ in range(3):
            await process.work()
    except Killed:
        pass
    await process.end()
    born = world.process()
    await born.follower.load()
    return born


async def _oversleep(world: World, process: Process, rng: random.Random, second: Store | None) -> None:
    """It falls asleep in the middle of a step, loses its lock, and another takes over; then it wakes up and goes on."""
    if second is None:
        return
    process.fate.sleeps_in = rng.randint(0, 60)
    working = asyncio.create_task(_work_twice(process))
    asleep = asyncio.create_task(process.fate.asleep.wait())
    await asyncio.wait((working, asleep), return_when=asyncio.FIRST_COMPLETED)
    asleep.cancel()
    process.fate.sleeps_in = None
    if not working.done():
        await process.lease._lock.release()  # as when the database ends the sleeper's session
        other = world.process(second)
        await other.follower.load()
        for _ in range(rng.randint(1, 3)):
            await other.work()
            if rng.random() < 0.5:
                await world.anvil.rpc("anvil_mine", hex(1))
        process.fate.wake.set()
        await working
        await other.work()
        await other.end()
    await working
    process.fate.asleep, process.fate.wake = asyncio.Event(), asyncio.Event()


async def _work_twice(process: Process) -> None:
    for _ in range(2):
        await process.work()


async def _settle(world: World, process: Process, rng: random.Random, seed: int, acts: Any) -> None:
    """Clear weather until every wish is final."""
    for face in world.faces:
        face.set_fault("honest")
    for round_number in range(SETTLE_ROUNDS):
        await world.anvil.rpc("anvil_setBalance", world.key.address, RICH)
        await world.anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(10**9))
        await _set_closed(world, False)
        await process.work()
        if set(await world.states()) <= {"final"}:
            return
        await world.anvil.rpc("anvil_mine", hex(DEPTH // 2 if round_number % 2 else 1))
        world.seconds += rng.choice([5, 25, 70])
    raise AssertionError(
        f"seed {seed} did not settle: {await world.states()}, {process.breaker._troubles}, after {acts}"
    )
