"""A cloud's chain side as a process of its own, for tests that kill it: `python -m tests.faults.chain_process …`."""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Mapping
from typing import Any

from cloud.chain.breaker import Breaker
from cloud.chain.client import ChainClient, SigningKey
from cloud.chain.follower import Follower
from cloud.chain.sender import Built, Sender, SenderLimits, Transaction
from cloud.lease import Lease
from cloud.mail import Bell
from cloud.store import Store
from cloud.workers import Worker, supervise
from contracts.clock import SystemClock
from tests.faults.chain_world import DEPTH, TELL, deployment_of


async def serve(arguments: argparse.Namespace) -> None:
    """Follow and send, as the cloud's workers do, until killed."""
    store, clock = Store(arguments.store), SystemClock()
    client, lease = ChainClient([arguments.rpc]), Lease(store)
    follower = Follower(
        store=store,
        client=client,
        deployment=deployment_of(arguments.effects, arguments.from_block),
        clock=clock,
        listeners=[],
        finality_depth=DEPTH,
        lease=lease,
    )

    async def build(params: Mapping[str, Any]) -> Built:
        return Transaction(to=arguments.effects, data=TELL + int(params["wish"]).to_bytes(32))

    async def tell(says: str) -> None:
        await store.notice(says, at_ms=clock.now_ms())

    limits = SenderLimits(chain_id=31337, fee_cap_wei=10**12, priority_fee_wei=10**9, stuck_seconds=5)
    sender = Sender(
        store=store,
        client=client,
        key=SigningKey(arguments.key),
        clock=clock,
        limits=limits,
        builders={"tell": build},
        place=follower,
        lease=lease,
        breaker=Breaker(tell),
    )
    workers = [
        Worker(name="follower", prepare=follower.load, step=follower.step, pause_seconds=0.05),
        Worker(name="sender", step=sender.step, pause_seconds=0.05),
    ]
    async with asyncio.TaskGroup() as group:
        for worker in workers:
            group.create_task(supervise(worker, Bell(), random.Random(0)), name=worker.name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("--store", "--rpc", "--effects", "--key"):
        parser.add_argument(name, required=True)
    parser.add_argument("--from-block", type=int, required=True)
    asyncio.run(serve(parser.parse_args()))
