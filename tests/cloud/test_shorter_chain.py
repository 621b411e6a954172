"""A chain that comes back shorter than what was called final: said in one line, and sent again by business key."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from provisioning.demo.anvil import anvil_command
from tests.cloud.chain_site import ChainSite
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.test_chain import chain_bench, open_chain_bench
from tests.conftest import Endpoint
from tests.processes import free_port, is_listening, running, wait_until

Run = Callable[[Any], Any]


def test_what_a_lost_chain_took_with_it_is_sent_again(run: Run, store_url: str, anvil: Endpoint) -> None:
    async def scenario() -> None:
        async with chain_bench(store_url, anvil.url, resends_lost=True) as chain:
            gateway = SimulatedGateway()
            gateway.log_readings(9)
            await chain.site.enrol(gateway)
            await chain.follow()
            await chain.bench.send(gateway, 0, 5)
            await chain.settle()
            snapshot = await chain.site.rpc("evm_snapshot")
            await chain.bench.send(gateway, 5, 10)
            await chain.settle()
            assert chain.view.final_super_size() == 2
            await chain.site.rpc("evm_revert", snapshot)
            await chain.settle(8)
            assert await chain.states() == {"anchor:1": "final", "anchor:2": "final"}
            assert (await chain.site.view("AnchorLog", "head"))[0] == 2
            (notice,) = await chain.bench.store.latest_notices(5)
            assert notice.startswith("chain came back shorter") and "sending again by business key" in notice

    run(scenario())


@pytest.mark.timeout(600)
def test_anvil_killed_and_restored_from_an_older_state_is_caught_up(run: Run, tmp_path: Path) -> None:
    port = free_port()
    state = tmp_path / "state.json"
    command = anvil_command(port, "--state", str(state), "--state-interval", "1", "--preserve-historical-states")
    with running(command, name="anvil", output_dir=tmp_path, ready=lambda: is_listening(port), seconds=30) as anvil:

        async def scenario() -> None:
            site = await ChainSite.deploy(f"http://127.0.0.1:{port}")
            try:
                gateway = SimulatedGateway()
                gateway.log_readings(9)
                await site.enrol(gateway)
                async with open_chain_bench(tmp_path / "c.sqlite3", site, resends_lost=True) as chain:
                    await chain.follow()
                    await chain.bench.send(gateway, 0, 5)
                    await chain.settle()
                    saved = state.stat().st_mtime_ns if state.exists() else 0
                    older = _next_whole_state(state, since_ns=saved)
                    await chain.bench.send(gateway, 5, 10)
                    await chain.settle()
                    assert chain.view.final_super_size() == 2
                    anvil.kill()
                    state.write_bytes(older)
                    anvil.restart()
                    wait_until(lambda: is_listening(port), seconds=30, what="anvil again")
                    await chain.settle(8)
                    assert await chain.states() == {"anchor:1": "final", "anchor:2": "final"}
                    assert (await site.view("AnchorLog", "head"))[0] == 2
            finally:
                await site.close()

        run(scenario())


def _next_whole_state(state: Path, *, since_ns: int) -> bytes:
    """The next state that anvil saves; it writes into the file itself, so half of it may be read first."""
    for _ in range(300):
        time.sleep(0.1)
        if state.exists() and state.stat().st_mtime_ns > since_ns:
            encoded = state.read_bytes()
            with suppress(ValueError):
                json.loads(encoded)
                return encoded
    raise AssertionError(f"anvil did not save {state} within 30 s")
