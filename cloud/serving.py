"""`minglou cloud serve`: an event loop with all sites beside the web server, and a clean end on SIGTERM.

With `[cloud] workers` above one, `cloud.supervisor` starts this module once for each of them. SIGHUP reads the settings
of all sites again; where a person has it running in a terminal (`minglou cloud up`), whose end SIGHUP is, it ends too.
"""

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvicorn

from cloud.errors import CloudError, SettingsError
from cloud.hang_up import hear_hang_ups
from cloud.settings import CloudSettings
from cloud.sites import Keeper, SiteFiles
from cloud.sites.files import FoundSites
from cloud.supervisor import WRONG_SETTINGS, Supervisor, listen
from cloud.telemetry import start_telemetry
from cloud.web_server import PatientProtocol, Server
from contracts.ending import end_process_within, end_tasks

__all__ = ["serve", "settle_interpreter"]

_log = logging.getLogger("cloud")
_SWITCH_SECONDS = 0.0005
_GRACE_SECONDS = 5
_END_SECONDS = 25.0  # from the signal on: what is under way, the workers, the store; then by force


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seat:
    """What a worker has from its supervisor."""

    number: int
    listener: int  # the shared listening socket
    lifeline: int  # reads as ended when the supervisor has


def serve(files: SiteFiles, *, ends_with_terminal: bool = False) -> int:
    """Serve all sites until SIGTERM or SIGINT; 0 after a clean end.

    Args:
        ends_with_terminal: SIGHUP ends it, unless it is ignored already (nohup).

    Raises:
        CloudError: not one of them can be served.
    """
    found, settings = _read(files)
    if settings.workers > 1:
        return asyncio.run(_supervise(settings, files, ends_with_terminal))
    asyncio.run(_serve(files, found, settings, None, ends_with_terminal=ends_with_terminal))
    return 0


def _read(files: SiteFiles) -> tuple[FoundSites, CloudSettings]:
    """All sites, and the settings by which the process runs: of what it has once, all say the same."""
    found = files.read()
    if not found.sites:
        says = (
            "; ".join(found.wrong.values()) or "the folder of sites holds no NAME.toml; put each site's settings there"
        )
        raise SettingsError(says)
    settings = found.sites[0].settings
    _set_logging_up(settings)
    return found, settings


async def _supervise(settings: CloudSettings, files: SiteFiles, ends_with_terminal: bool) -> int:
    return await Supervisor(settings, files.words, ends_with_terminal=ends_with_terminal).run()


def _set_logging_up(settings: CloudSettings) -> None:
    logging.basicConfig(level=settings.log_level.upper(), stream=sys.stdout, format="%(message)s")
    for noisy in ("httpx", "web3", "aiosqlite", "alembic", "sqlalchemy", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def settle_interpreter() -> None:
    """Prepare this process for serving, once everything is imported and built."""
    # SQLite's thread and the event loop take turns at Python's lock thousands of times a second; at the default of
    # 5 ms a busy loop would make each of the thread's turns wait that long.
    sys.setswitchinterval(_SWITCH_SECONDS)
    # What start has made stays: walking all of it again and again would hold up every answer for some 80 ms.
    gc.collect()
    gc.freeze()


async def _serve(
    files: SiteFiles,
    found: FoundSites,
    settings: CloudSettings,
    seat: _Seat | None,
    *,
    ends_with_terminal: bool = False,
) -> None:
    keeper = Keeper(files)
    async with _telemetry(settings), keeper.opened(found):
        server, sockets = Server(_config(keeper, settings)), _sockets(settings, seat)
        settle_interpreter()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop, server, keeper)
        if seat is not None:
            loop.add_reader(seat.lifeline, _follow, seat, server, keeper)
        has_changed = asyncio.Event()
        hang_up = partial(_stop, server, keeper) if ends_with_terminal else has_changed.set
        hear_hang_ups(hang_up, unless_ignored=ends_with_terminal)
        beside = (
            asyncio.create_task(keeper.follow(has_changed), name="settings"),
            asyncio.create_task(_announce(server, settings, seat), name="announcement"),
        )
        try:
            await server.serve(sockets=sockets)
        finally:
            await end_tasks(beside)
    _log.info("cloud: stopped")


def _config(keeper: Keeper, settings: CloudSettings) -> uvicorn.Config:
    return uvicorn.Config(
        keeper.app,
        host=settings.host,
        port=settings.port,
        http=PatientProtocol,
        proxy_headers=False,  # `cloud.proxies` believes whom the settings name
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        limit_concurrency=4096,
    )


@asynccontextmanager
async def _telemetry(settings: CloudSettings) -> AsyncIterator[None]:
    stop = None if settings.telemetry is None else start_telemetry(settings.telemetry)
    try:
        yield
    finally:
        if stop is not None:
            await asyncio.to_thread(stop)


def _stop(server: Server, keeper: Keeper) -> None:
    end_process_within(_END_SECONDS)
    keeper.end()
    server.should_exit = True


def _follow(seat: _Seat, server: Server, keeper: Keeper) -> None:
    """The supervisor has ended, however it did."""
    asyncio.get_running_loop().remove_reader(seat.lifeline)
    _stop(server, keeper)


def _sockets(settings: CloudSettings, seat: _Seat | None) -> list[socket.socket]:
    return [listen(settings.host, settings.port) if seat is None else socket.socket(fileno=seat.listener)]


async def _announce(server: Server, settings: CloudSettings, seat: _Seat | None) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn offers a flag, no event
        await asyncio.sleep(0.02)
    worker = "" if seat is None else f" (worker {seat.number} of {settings.workers}, process {os.getpid()})"
    _log.info("cloud: ready http://%s:%d%s", settings.host, settings.port, worker)


def _run_worker() -> int:
    """One worker of a supervisor."""
    parser = argparse.ArgumentParser(prog="python -m cloud.serving")
    parser.add_argument("--config", type=Path, action="append", default=[])
    parser.add_argument("--sites", type=Path)
    for name in ("--seat", "--listener", "--lifeline"):
        parser.add_argument(name, type=int, required=True)
    words = parser.parse_args()
    try:
        files = SiteFiles(named=tuple(words.config), folder=words.sites)
        found, settings = _read(files)
        seat = _Seat(number=words.seat, listener=words.listener, lifeline=words.lifeline)
        asyncio.run(_serve(files, found, settings, seat))
    except CloudError as error:
        print(f"minglou cloud: {error}", file=sys.stderr)
        return WRONG_SETTINGS if isinstance(error, SettingsError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(_run_worker())
