"""One of two replicas on one PostgreSQL is exchanged for a new process while gateways go on sending."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.cloud.chain_site import ChainSite
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.served import ServedCloud, minglou, write_settings
from tests.conftest import Endpoint
from tests.postgres import PostgresServer
from tests.processes import free_port, running, wait_until

BATCH = 5
GATEWAYS = 3
MEANWHILE = 4  # batches that each gateway gets stored while a replica is exchanged


class Balancer:
    """What stands before replicas: sends to those that are in it, and is told before one leaves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._replicas: list[ServedCloud] = []
        self._turn = 0

    def enter(self, replica: ServedCloud) -> None:
        wait_until(lambda: is_ready(replica), seconds=60, what="a replica to be ready")
        with self._lock:
            self._replicas.append(replica)

    def leave(self, replica: ServedCloud) -> None:
        with self._lock:
            self._replicas.remove(replica)

    def next(self) -> ServedCloud:
        with self._lock:
            self._turn += 1
            return self._replicas[self._turn % len(self._replicas)]


def is_ready(replica: ServedCloud) -> bool:
    try:
        return replica.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


class Sender:
    """One gateway's forwarder: the next batch to whichever replica, again where it got no answer, until told."""

    def __init__(self, gateway: SimulatedGateway, balancer: Balancer) -> None:
        self.gateway, self.balancer = gateway, balancer
        self.acknowledged = 0
        self.refused: list[str] = []
        self.enough = threading.Event()

    def run(self) -> None:
        while not self.enough.wait(0.1):  # a gateway is not in a hurry, and the processes share the machine
            self.gateway.log_readings(BATCH)
            self._send(self.acknowledged)

    def _send(self, start: int) -> None:
        for _ in range(1000):
            try:
                answer = self.balancer.next().post(self.gateway, start)
            except httpx.TransportError:
                continue  # cut off: the next replica finds what is held already
            if answer.status_code == 200:
                self.acknowledged = int(answer.json()["size"])
                return
            if answer.status_code not in (429, 503):
                self.refused.append(answer.text)
                return
        raise AssertionError(f"no replica took the batch at {start}")


@contextmanager
def replica(folder: Path, site: ChainSite, url: str) -> Iterator[ServedCloud]:
    """One process with settings and files of its own, on the common database."""
    folder.mkdir()
    port = free_port()
    config = write_settings(folder, site, port)
    keys = f'[identity]\nkeys_dir = "{folder.parent}/keys"\naudit_key_file = "{folder.parent}/keys/audit.pem"\n'
    config.write_text(config.read_text() + f'[store]\nurl = "{url}"\n{keys}')
    command = [minglou(), "cloud", "serve", "--config", config]
    with running(command, name="cloud", output_dir=folder, directory=folder) as program:
        yield ServedCloud(program, port, folder)


@pytest.mark.timeout(900)
def test_a_replica_is_exchanged_and_no_gateway_is_refused_or_loses_anything(
    tmp_path: Path, anvil: Endpoint, postgres: PostgresServer
) -> None:
    url = postgres.url(postgres.new_database())
    gateways = [SimulatedGateway(origin=f"demo.minglou.example/cuiyuan/b{at}/e0") for at in range(GATEWAYS)]

    async def scene() -> None:
        site = await ChainSite.deploy(anvil.url)
        try:
            for gateway in gateways:
                await site.enrol(gateway)
            await asyncio.to_thread(exchange_one, tmp_path, site, url, gateways)
        finally:
            await site.close()

    asyncio.run(scene())


def exchange_one(folder: Path, site: ChainSite, url: str, gateways: list[SimulatedGateway]) -> None:
    balancer = Balancer()
    senders = [Sender(gateway, balancer) for gateway in gateways]
    with ThreadPoolExecutor(GATEWAYS) as threads, ExitStack() as stack:  # senders are told before they are waited for
        stack.callback(lambda: [sender.enough.set() for sender in senders])
        old = [stack.enter_context(replica(folder / f"old-{at}", site, url)) for at in range(2)]
        for one in old:
            balancer.enter(one)
        for sender in senders:  # until the follower has seen the Registry, gateways are unknown
            for one in old:  # each by itself: who reads along may see it later than who follows
                wait_until(lambda at=(sender, one): begins(*at), seconds=60, what="a first batch")  # type: ignore[misc]
        running_senders = [threads.submit(sender.run) for sender in senders]
        for at, leaving in enumerate(old[:1]):
            balancer.enter(stack.enter_context(replica(folder / f"new-{at}", site, url)))
            held = [sender.acknowledged for sender in senders]
            balancer.leave(leaving)
            assert leaving.program.stop(seconds=60) == 0, leaving.program.said()
            wait_until(lambda held=held: went_on(senders, held), seconds=60, what="storing on the others")  # type: ignore[misc]
        for sender in senders:
            sender.enough.set()
        for task in running_senders:
            task.result(timeout=280)
        assert [sender.refused for sender in senders] == [[]] * GATEWAYS
        for sender in senders:
            assert sender.acknowledged == sender.gateway.size, "everything that was logged is stored"
            said = balancer.next().get(f"/v1/logs/{sender.gateway.origin}", token=sender.gateway.token.hex()).json()
            assert said["size"] == sender.gateway.size
        status = balancer.next().get("/v1/status").json()
        assert status["entries"] == sum(gateway.size for gateway in gateways), "and once"


def begins(sender: Sender, cloud: ServedCloud) -> bool:
    answer = cloud.post(sender.gateway, 0)
    if answer.status_code == 200:
        sender.acknowledged = int(answer.json()["size"])
    return answer.status_code == 200


def went_on(senders: list[Sender], held: list[int]) -> bool:
    pairs = zip(senders, held, strict=True)
    return all(sender.acknowledged >= before + MEANWHILE * BATCH for sender, before in pairs)
