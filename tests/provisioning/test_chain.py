"""The demo's chain goes by the clock it is given, and survives `kill -9` with what it had saved."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from provisioning.demo.chain import ChainMiner, chain_program, repair_state
from provisioning.demo.chain_setup import SetupClock
from provisioning.demo.supervisor import Supervisor
from provisioning.rpc import Rpc
from tests.processes import free_port

GENESIS_S = 1_790_000_000


def latest(rpc: Rpc) -> tuple[int, int]:
    block = rpc.call("eth_getBlockByNumber", ["latest", False])
    return int(block["number"], 16), int(block["timestamp"], 16)


def test_block_times_follow_the_clock_and_a_kill_loses_at_most_a_second(tmp_path: Path) -> None:
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
        task = asyncio.create_task(miner.run())
        try:
            clock.pass_days(7)
            await miner.next_block()
            number, at_s = await asyncio.to_thread(latest, rpc)
            assert 0 <= at_s - (GENESIS_S + 7 * 86_400) < 5
            await asyncio.sleep(1.5)  # the state is saved every second; there is no other way to see it saved
            child.kill()
            async with asyncio.timeout(60):
                await back.wait()
            clock.pass_days(1)
            await miner.next_block()
            after, later_s = await asyncio.to_thread(latest, rpc)
            assert after > number
            assert 0 <= later_s - (GENESIS_S + 8 * 86_400) < 10
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await supervisor.stop()
            rpc.close()

    asyncio.run(run())


def test_a_half_written_state_is_replaced_by_the_last_whole_one(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"block": 7}))
    repair_state(state)
    state.write_text('{"block": 8, "acc')
    repair_state(state)
    assert json.loads(state.read_text()) == {"block": 7}


def test_a_first_start_without_state_begins_anew(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text("{")
    repair_state(state)
    assert not state.exists()
