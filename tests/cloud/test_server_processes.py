"""Several server processes behind one address: real ones, on a real PostgreSQL, killed while gateways send."""

import asyncio
import os
import random
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloud.duties import Duties
from cloud.errors import SettingsError
from cloud.mail import Bell
from cloud.settings import load_settings
from cloud.store import Store
from cloud.workers import Worker, alone, supervise
from contracts.ending import end_tasks
from tests.cloud.chain_site import ChainSite
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.served import ServedCloud, minglou, serving
from tests.cloud.test_serving import with_site
from tests.conftest import Endpoint
from tests.postgres import PostgresServer
from tests.processes import free_port, is_listening, running, wait_until

Run = Callable[[Any], Any]
BATCH = 10
WORKERS = 2
_READY = re.compile(r"ready .* \(worker (\d+) of \d+, process (\d+)\)")


def workers_of(cloud: ServedCloud) -> dict[int, int]:
    """Process id of the newest worker in each seat that is ready."""
    return {int(seat): int(pid) for seat, pid in _READY.findall(cloud.program.said())}


def send_whole(cloud: ServedCloud, gateway: SimulatedGateway) -> None:
    """Send a log as gateways do: what is not answered is sent again from what the cloud says it holds."""
    held = 0
    while held < gateway.size:
        with suppress(httpx.TransportError):
            answer = cloud.post(gateway, held, min(gateway.size, held + BATCH)).json()
            held = max(held, answer["size"])


def kill_and_wait(cloud: ServedCloud, seat: int) -> None:
    """Kill the worker in this seat; returns when its replacement serves."""
    killed = workers_of(cloud)[seat]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: workers_of(cloud)[seat] != killed, seconds=60, what="a replacement")


def accepted(cloud: ServedCloud) -> float:
    pattern = r'^minglou_entries_accepted_total\{site="localhost"\} (\S+)$'
    (value,) = re.findall(pattern, cloud.get("/metrics").text, re.MULTILINE)
    return float(value)


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    name = postgres.new_database()
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.mark.timeout(900)
def test_a_killed_worker_is_replaced_and_nothing_is_lost_or_doubled(
    tmp_path: Path, anvil: Endpoint, database_url: str
) -> None:
    gateways = [SimulatedGateway(origin=f"demo.minglou.example/s/g{at}/e0", seed=at) for at in range(3)]
    for gateway in gateways:
        gateway.log_readings(499)

    async def scenario(site: ChainSite) -> None:
        for gateway in gateways:
            await site.enrol(gateway)
        with serving(tmp_path, site, workers=WORKERS, store_url=database_url) as cloud:
            wait_until(lambda: len(workers_of(cloud)) == WORKERS, seconds=60, what="all workers")
            wait_until(lambda: cloud.post(gateways[0], 0, 1).status_code == 200, seconds=30, what="the Registry")
            sending = [asyncio.create_task(asyncio.to_thread(send_whole, cloud, gateway)) for gateway in gateways]
            for seat in (1, 2):
                await asyncio.to_thread(kill_and_wait, cloud, seat)
            await asyncio.gather(*sending)
            held = sum(gateway.size for gateway in gateways)
            assert cloud.get("/v1/status").json()["entries"] == held
            for gateway in gateways:
                answer = cloud.get(f"/v1/logs/{gateway.origin}", token=gateway.token.hex()).json()
                assert answer["size"] == gateway.size and answer["checkpoint"].endswith("\n")
            # Whichever worker is asked tells what all have counted.
            before = accepted(cloud)
            more = SimulatedGateway(origin="demo.minglou.example/s/g9/e0", seed=9)
            more.log_readings(39)
            await site.enrol(more)
            wait_until(lambda: cloud.post(more, 0, 1).status_code == 200, seconds=30, what="the new gateway's key")
            send_whole(cloud, more)
            wait_until(
                lambda: all(accepted(cloud) == before + more.size for _ in range(8)), seconds=20, what="shared figures"
            )
            assert cloud.program.stop() == 0, cloud.program.said()

    with_site(anvil.url, scenario)


@pytest.mark.timeout(600)
def test_workers_end_with_their_supervisor_and_wrong_settings_end_all(tmp_path: Path, database_url: str) -> None:
    port = free_port()
    (tmp_path / "cloud.toml").write_text(
        f'[cloud]\nlisten = "127.0.0.1:{port}"\ndata_dir = "data"\nworkers = {WORKERS}\ntrust_file = "trust.json"\n'
        f'[store]\nurl = "{database_url}"\n[super_log]\norigin = "a.example/log"\n'
    )
    command = [minglou(), "cloud", "serve", "--config", tmp_path / "cloud.toml"]
    with running(command, name="cloud", output_dir=tmp_path) as program:
        cloud = ServedCloud(program, port, tmp_path)
        program.wait_ready(lambda: len(workers_of(cloud)) == WORKERS, seconds=60)
        os.kill(program.pid, signal.SIGKILL)
        program.process.wait()
        wait_until(lambda: not is_listening(port), seconds=40, what="the workers to follow")
        (tmp_path / "trust.json").write_text("{}")
        program.restart()
        wait_until(lambda: not program.is_running(), seconds=60, what="the end")
        assert program.process.returncode == 2
        assert "trust file" in program.said()


def test_several_workers_on_sqlite_are_refused_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "cloud.toml"
    text = '[cloud]\nlisten = "127.0.0.1:1"\ndata_dir = "data"\nworkers = {}\n[super_log]\norigin = "a.example/log"\n'
    file.write_text(text.format(2))
    with pytest.raises(SettingsError, match=r"SQLite has one writer.*set workers = 1, or \[store\] url"):
        load_settings(file)
    file.write_text(text.format(1))
    assert load_settings(file).workers == 1


def test_of_several_processes_one_has_the_duties_and_another_takes_over(run: Run, store: Store) -> None:
    async def scenario() -> None:
        at_work: list[int] = []
        seconds = [0.0]
        duties = [Duties(store, monotonic=lambda: seconds[0]) for _ in range(3)]

        def worker(number: int) -> Worker:
            async def step() -> bool:
                at_work.append(number)
                return False

            return alone(Worker(name=f"duty {number}", step=step, pause_seconds=0.01), duties[number].are_ours)

        rng = random.Random(3)
        tasks = [asyncio.create_task(supervise(worker(number), Bell(), rng)) for number in range(3)]
        try:
            while len(at_work) < 5:  # noqa: ASYNC110 - what is watched is no event
                await asyncio.sleep(0.01)
            (first,) = set(at_work)
            tasks[first].cancel()
            await duties[first].release()
            at_work.clear()
            while not at_work:
                seconds[0] += 10
                await asyncio.sleep(0.01)
            assert first not in at_work and len(set(at_work)) == 1
        finally:
            await end_tasks(tasks)
            for one in duties:
                await one.release()
            await store.close()

    run(scenario())
