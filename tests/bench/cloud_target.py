"""What the cloud's benches load: the real routes, ingest and store, sealed under keys, in processes of their own."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.identity.vault import Vault, open_vault
from cloud.ingest import GatewayKey, Ingest, IngestLimits, KeyState
from cloud.store import Store
from cloud.supervisor import listen
from contracts.clock import SystemClock

UNLIMITED = IngestLimits(entries_per_second=1e9, waiting_bytes_max=2**30)


class KeysInForce:
    """The keys of the generator's gateways, by origin, all in force."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = keys

    def gateway_key(self, origin: str) -> GatewayKey | None:
        public = self._keys.get(origin)
        return None if public is None else GatewayKey(public=public, state=KeyState.IN_FORCE, key_class="file")


def sealed_store(url: str, folder: Path) -> Store:
    """A store that seals what households' devices say, as a served cloud's does. Its keys lie in `folder`."""
    return Store(url, keys_in(folder))


def keys_in(folder: Path) -> Vault:
    """The key store of a folder, made there if there is none."""
    return open_vault(folder / "keys", folder / "master.key")


def ingest_of(store: Store, keys: Mapping[str, bytes], limits: IngestLimits = UNLIMITED) -> Ingest:
    """Ingest into this store from these gateways."""
    return Ingest(store=store, keys=KeysInForce(keys), clock=SystemClock(), limits=limits)


@dataclass(frozen=True, slots=True)
class Target:
    """A fresh cloud in processes of its own."""

    port: int
    pids: tuple[int, ...]

    def resident_mb(self) -> float:
        """Memory of its processes that is in RAM."""
        lines = [line for pid in self.pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


@contextmanager
def served(
    keys: Mapping[str, bytes], url: str, *, processes: int = 1, limits: IngestLimits = UNLIMITED
) -> Iterator[Target]:
    """Serve until the block ends. Several processes share one listening socket, as a supervisor's workers do."""
    context = multiprocessing.get_context("spawn")
    ready = context.Semaphore(0)
    with tempfile.TemporaryDirectory() as folder, listen("127.0.0.1", 0) as listener:
        words = (url, dict(keys), listener, limits, Path(folder), ready)
        servers = [context.Process(target=_serve, args=words) for _ in range(processes)]
        try:
            for server in servers:
                server.start()
                # The first one makes tables and keys, so that the others find them.
                assert ready.acquire(timeout=120), "the bench's cloud does not serve"
            yield Target(listener.getsockname()[1], tuple(server.pid or 0 for server in servers))
        finally:
            for server in servers:
                server.terminate()
            for server in servers:
                server.join(20)


def _serve(
    url: str, keys: Mapping[str, bytes], listener: socket.socket, limits: IngestLimits, folder: Path, ready: Any
) -> None:
    import uvicorn
    from fastapi import FastAPI

    from cloud.chain.unchained import Unchained
    from cloud.ingest.routes import gateway_router
    from cloud.mail import Bell, MailRoom
    from cloud.serving import settle_interpreter
    from cloud.web_server import PatientProtocol

    async def serve() -> None:
        store = sealed_store(url, folder)
        await store.migrate()
        ingest = ingest_of(store, keys, limits)
        await ingest.load()
        app = FastAPI()
        mail = MailRoom(store=store, news=Unchained(), clock=SystemClock(), bell=Bell(), block_seconds=60)
        app.include_router(gateway_router(ingest, mail))
        running = asyncio.create_task(ingest.run())
        config = uvicorn.Config(app, http=PatientProtocol, log_config=None, access_log=False, lifespan="off")
        settle_interpreter()
        ready.release()
        await uvicorn.Server(config).serve(sockets=[listener])
        running.cancel()

    asyncio.run(serve())
