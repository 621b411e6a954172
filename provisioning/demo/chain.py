"""The demo's chain: anvil mining on demand, its block times set from the demo clock, its state saved every second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from cloud.up import keep_state, repair_state
from contracts.clock import Clock
from provisioning.demo.anvil import CHAIN_ID, anvil_command
from provisioning.demo.supervisor import Program
from provisioning.errors import ChainSetupError
from provisioning.rpc import Rpc

__all__ = ["ChainClock", "ChainMiner", "chain_program", "keep_states"]

_KEEP_SECONDS, _LOOK_SECONDS = 1.0, 0.1
_QUIET_BLOCKS = 3  # blocks after the last transaction, so that it becomes final


def chain_program(
    directory: Path, port: int, log: Path, *, genesis_s: int, after_restart: Callable[[], None]
) -> Program:
    """anvil, as a program to keep running.

    Args:
        genesis_s: timestamp of block 0, in seconds since 1970; counts only when there is no state yet.
        after_restart: called when it runs again, with the state of the last second saved.
    """
    state = _state_in(directory)

    async def is_ready() -> bool:
        try:
            return await asyncio.to_thread(_chain_id, port) == CHAIN_ID
        except ChainSetupError:
            return False

    async def restarted() -> None:
        await asyncio.to_thread(after_restart)

    saved = ("--state", str(state), "--state-interval", "1")
    blocks = ("--no-mining", "--slots-in-an-epoch", "1", "--accounts", "1")
    command = anvil_command(port, *saved, *blocks, genesis_s=genesis_s)
    return Program(
        name="chain",
        command=command,
        directory=directory,
        log=log,
        is_ready=is_ready,
        before_start=lambda: repair_state(state),
        after_restart=restarted,
    )


async def keep_states(directory: Path) -> None:
    """Keep a copy of what anvil has saved, until cancelled: a kill while it saves leaves half a file."""
    while True:
        is_kept = await asyncio.to_thread(keep_state, _state_in(directory))
        await asyncio.sleep(_KEEP_SECONDS if is_kept else _LOOK_SECONDS)


def _state_in(directory: Path) -> Path:
    return directory / "state.json"


def _chain_id(port: int) -> int:
    with closing(Rpc(f"http://127.0.0.1:{port}", timeout_seconds=2)) as rpc:
        return int(rpc.call("eth_chainId", []), 16)


class ChainClock:
    """Mines blocks at named times. Block times only rise; anvil is told its time again after every start."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._last_s = 0

    def synchronise(self) -> None:
        """Learn the newest block's time, and set anvil's own clock to it: it starts at the machine's time."""
        self._last_s = int(self._rpc.call("eth_getBlockByNumber", ["latest", False])["timestamp"], 16)
        self._rpc.call("evm_setTime", [self._last_s])

    def mine(self, at_s: int) -> None:
        """Mine one block at `at_s`, or a second after the last one if that is later."""
        if not self._last_s:
            self.synchronise()
        at_s = max(at_s, self._last_s + 1)
        self._rpc.call("evm_mine", [{"timestamp": at_s}])
        self._last_s = at_s

    @property
    def last_s(self) -> int:
        """The newest block's time in seconds."""
        if not self._last_s:
            self.synchronise()
        return self._last_s


class ChainMiner:
    """Mines as its clock goes: every half second in the compressed month, later when there is work or time has passed.

    The launcher sets `clock`, `every_seconds` and `is_hurried` as the demo moves on.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self.clock = clock
        self.every_seconds = 0.05
        self.is_hurried: Callable[[], bool] = lambda: False
        self._url = url
        self._must_synchronise = True
        self._wanted = False
        self._mined = asyncio.Event()

    async def next_block(self) -> None:
        """Have a block mined at the clock's present time, and wait for it."""
        self._wanted = True
        self._mined.clear()
        await self._mined.wait()

    def synchronise(self) -> None:
        """The chain has been started again: tell it its time before the next block."""
        self._must_synchronise = True

    async def run(self, idle_seconds: float = 10.0) -> None:
        """Mine until cancelled; an absent chain is waited for."""
        with closing(Rpc(self._url, timeout_seconds=5)) as rpc:
            await self._mine_for_ever(rpc, ChainClock(rpc), idle_seconds)

    async def _mine_for_ever(self, rpc: Rpc, chain: ChainClock, idle_seconds: float) -> None:
        quiet, waited = 0, 0.0
        while True:
            await asyncio.sleep(self.every_seconds)
            waited += self.every_seconds
            try:
                has_work = await asyncio.to_thread(self._has_transactions, rpc)
                if has_work or self._wanted or self.is_hurried() or quiet < _QUIET_BLOCKS or waited >= idle_seconds:
                    was_wanted, self._wanted = self._wanted, False
                    await asyncio.to_thread(self._mine, chain)
                    if was_wanted:  # a block that was begun before the wish does not fulfil it
                        self._mined.set()
                    quiet, waited = (0 if has_work else quiet + 1), 0.0
            except ChainSetupError:
                self._must_synchronise = True

    def _mine(self, chain: ChainClock) -> None:
        if self._must_synchronise:
            chain.synchronise()
            self._must_synchronise = False
        chain.mine(self.clock.now_ms() // 1000)

    @staticmethod
    def _has_transactions(rpc: Rpc) -> bool:
        return int(rpc.call("txpool_status", [])["pending"], 16) > 0
