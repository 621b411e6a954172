"""Two cloud processes on one database: whichever sends is killed with `kill -9`, and the other goes on."""

from __future__ import annotations

import asyncio
import random
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import select

from cloud.chain.client import SigningKey
from cloud.store import Store, sqlite_url, tables
from tests.conftest import Endpoint
from tests.faults.chain_nodes import Anvil
from tests.faults.chain_world import World, create
from tests.faults.gateway import seeds
from tests.processes import Program, running

WISHES = 12
DEADLINE_SECONDS = 240
SECRET = "0x" + "5a" * 32


@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_the_standby_takes_over_from_a_sender_killed_at_any_moment(
    tmp_path: Path, anvil: Endpoint, engine: str, request: pytest.FixtureRequest
) -> None:
    rng, kills = random.Random(seeds().start), 1 + len(seeds()) // 10
    url = sqlite_url(tmp_path / "cloud.sqlite3")
    if engine == "postgres":
        server = request.getfixturevalue("postgres")
        url = server.url(server.new_database())
    asyncio.run(_scenario(url, tmp_path, anvil.url, rng, kills=kills))


async def _scenario(store_url: str, folder: Path, url: str, rng: random.Random, *, kills: int) -> None:
    chain, store = Anvil(url), Store(store_url)
    await store.migrate()
    world = await create(chain, store, SigningKey(SECRET), rng, None)
    command = [sys.executable, "-m", "tests.faults.chain_process", "--store", store_url, "--rpc", url]
    command += ["--effects", world.effects, "--from-block", str(world.from_block), "--key", SECRET]
    try:
        with ExitStack() as stack:
            clouds = [stack.enter_context(running(command, name=f"cloud-{at}", output_dir=folder)) for at in range(2)]
            async with asyncio.timeout(DEADLINE_SECONDS):
                await _lives(world, clouds, rng, kills)
    finally:
        await chain.rpc("evm_setAutomine", True)
        await chain.close()
        await store.close()


async def _lives(world: World, clouds: list[Program], rng: random.Random, kills: int) -> None:
    """Wishes come, blocks are made, holders die; in the end each wish was told once."""
    first_term, _ = await _holder(world.store, clouds)
    for _ in range(kills):
        for _ in range(WISHES // (2 * kills) + 1):
            await world.wish()
            await world.anvil.rpc("anvil_mine", "0x1")
        await asyncio.sleep(rng.uniform(0, 0.3))  # anywhere in its work
        _term, holder = await _holder(world.store, clouds)
        holder.kill()
        if kills > 1:
            holder.restart()
        for _ in range(2):
            await world.wish()
    while set(await world.states()) != {"final"}:
        await world.anvil.rpc("anvil_mine", "0x1")
        await asyncio.sleep(0.05)
    term, _ = await _holder(world.store, clouds)
    assert term >= first_term + kills
    assert await world.told(0) == dict.fromkeys(range(1, world.wishes + 1), 1)


async def _holder(store: Store, clouds: list[Program]) -> tuple[int, Program]:
    """Whose term it is, once it is one of these that lives."""
    while True:
        async with store.read() as connection:
            row = (await connection.execute(select(tables.chain_leases))).one_or_none()
        for cloud in clouds:
            if row is not None and row.holder == f"process {cloud.pid}" and cloud.is_running():
                return row.term, cloud
        await asyncio.sleep(0.05)
