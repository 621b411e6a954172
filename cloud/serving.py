"""`minglou cloud serve`: an event loop with workers beside the web server, and a clean end on SIGTERM.

With `[cloud] workers` above one, `cloud.supervisor` starts this module once for each of them.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from cloud.app import build_app
from cloud.errors import CloudError
from cloud.operations.metrics import Figures
from cloud.service import Cloud, open_cloud
from cloud.settings import CloudSettings, load_settings
from cloud.supervisor import WRONG_SETTINGS, Supervisor
from cloud.web_server import PatientProtocol, Server
from contracts.ending import end_process_within

__all__ = ["serve", "settle_interpreter"]

_log = logging.getLogger("cloud")
_SWITCH_SECONDS = 0.0005
_GRACE_SECONDS = 5
_COUNT_SECONDS = 1.0
_END_SECONDS = 25.0  # from the signal on: what is under way, the workers, the store; then by force


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seat:
    """What a worker has from its supervisor."""

    number: int
    listener: int  # the shared listening socket
    lifeline: int  # reads as ended when the supervisor has


def serve(settings: CloudSettings, config: Path) -> int:
    """Serve until SIGTERM or SIGINT; 0 after a clean end.

    Args:
        config: where the settings stand, for the workers to read.
    """
    _set_logging_up(settings)
    if settings.workers > 1:
        return asyncio.run(_supervise(settings, config))
    asyncio.run(_serve(settings, None))
    return 0


async def _supervise(settings: CloudSettings, config: Path) -> int:
    return await Supervisor(settings, config).run()


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


async def _serve(settings: CloudSettings, seat: _Seat | None) -> None:
    async with open_cloud(settings) as cloud:
        app = build_app(cloud)
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            http=PatientProtocol,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            limit_concurrency=4096,
        )
        server = Server(config)
        settle_interpreter()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop, server, cloud)
        if seat is not None:
            loop.add_reader(seat.lifeline, _follow, seat, server, cloud)
        working = asyncio.create_task(cloud.run(), name="cloud workers")
        counting = asyncio.create_task(_count(app.state.figures, cloud), name="figures")
        announcing = asyncio.create_task(_announce(server, settings, seat), name="announcement")
        serving = asyncio.create_task(server.serve(sockets=_sockets(seat)), name="web server")
        try:
            await asyncio.wait({working, serving}, return_when=asyncio.FIRST_COMPLETED)
            _stop(server, cloud)
            await serving
        finally:
            announcing.cancel()
            counting.cancel()
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working
        _log.info("cloud: stopped")


def _stop(server: Server, cloud: Cloud) -> None:
    end_process_within(_END_SECONDS)
    cloud.mail.close()
    server.should_exit = True


def _follow(seat: _Seat, server: Server, cloud: Cloud) -> None:
    """The supervisor has ended, however it did."""
    asyncio.get_running_loop().remove_reader(seat.lifeline)
    _stop(server, cloud)


async def _count(figures: Figures, cloud: Cloud) -> None:
    """Let other processes tell what this one counts."""
    while True:
        figures.note(cloud)
        await asyncio.sleep(_COUNT_SECONDS)


def _sockets(seat: _Seat | None) -> list[socket.socket] | None:
    return None if seat is None else [socket.socket(fileno=seat.listener)]


async def _announce(server: Server, settings: CloudSettings, seat: _Seat | None) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn offers a flag, no event
        await asyncio.sleep(0.02)
    worker = "" if seat is None else f" (worker {seat.number} of {settings.workers}, process {os.getpid()})"
    _log.info("cloud: ready http://%s:%d%s", settings.host, settings.port, worker)


def _run_worker() -> int:
    """One worker of a supervisor."""
    parser = argparse.ArgumentParser(prog="python -m cloud.serving")
    parser.add_argument("--config", type=Path, required=True)
    for name in ("--seat", "--listener", "--lifeline"):
        parser.add_argument(name, type=int, required=True)
    words = parser.parse_args()
    try:
        settings = load_settings(words.config)
        _set_logging_up(settings)
        asyncio.run(_serve(settings, _Seat(number=words.seat, listener=words.listener, lifeline=words.lifeline)))
    except CloudError as error:
        print(f"minglou cloud: {error}", file=sys.stderr)
        return WRONG_SETTINGS
    return 0


if __name__ == "__main__":
    sys.exit(_run_worker())
