"""The demo's chain goes by the clock it is given, and survives `kill -9` with what it had saved."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from pathlib import Path

from provisioning.demo.chain import ChainMiner, chain_program, keep_states
from provisioning.demo.chain_setup import SetupClock
from provisioning.demo.supervisor import Child, Supervisor
from provisioning.rpc import Rpc
from tests.processes import free_port

GENESIS_S = 1_790_000_000


def latest(rpc: Rpc) -> tuple[int, int]:
    block = rpc.call("eth_getBlockByNumber", ["latest", False])
    return int(block["number"], 16), int(block["timestamp"], 16)


async def saved(state: Path, number: int) -> None:
    """Wait until a whole state with this block is there."""
    async with asyncio.timeout(180):
        while True:
            with suppress(OSError, ValueError):
                if json.loads(await asyncio.to_thread(state.read_bytes))["best_block_number"] >= number:
                    return
            await asyncio.sleep(0.05)


def kill_while_it_saves(child: Child, state: Path) -> None:
    """A kill in the middle of a write: anvil writes in place, so it leaves the first half."""
    assert child.pid is not None
    os.kill(child.pid, signal.SIGSTOP)
    os.truncate(state, state.stat().st_size // 2)
    child.kill()


def test_block_times_follow_the_clock_and_a_kill_costs_a_moment_even_while_the_state_is_saved(tmp_path: Path) -> None:
    async def run() -> None:
        port = free_port()
        rpc = Rpc(f"http://127.0.0.1:{port}")
        clock = SetupClock(GENESIS_S * 1000)
        miner = ChainMiner(rpc.url, clock)
        back = asyncio.Event()
        supervisor = Supervisor(lambda line: back.set() if line == "chain is back" else None)
        child = await supervisor.start(
            chain_program(tmp_path, port, tmp_path / "log", genesis_s=GENESIS_S, after_restart=miner.synchronise)
        )
        tasks = [asyncio.create_task(miner.run()), asyncio.create_task(keep_states(tmp_path))]

        async def latest_after_a_week() -> int:
            clock.pass_days(7)
            before_s = clock.now_ms() // 1000
            await miner.next_block()
            number, at_s = await asyncio.to_thread(latest, rpc)
            assert 0 <= at_s - before_s < 180
            return number

        async def is_back() -> None:
            async with asyncio.timeout(180):
                await back.wait()
            back.clear()

        try:
            number = await latest_after_a_week()
            await saved(tmp_path / "state.json", number)
            child.kill()
            await is_back()
            after = await latest_after_a_week()
            assert after > number
            await saved(tmp_path / "state.copy.json", after)
            kill_while_it_saves(child, tmp_path / "state.json")
            await is_back()
            assert await latest_after_a_week() > after
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await supervisor.stop()
            rpc.close()

    asyncio.run(run())
