"""`minglou cloud serve`: one process, one event loop, workers beside the web server, a clean end on SIGTERM."""

import asyncio
import contextlib
import gc
import logging
import signal
import sys

import uvicorn

from cloud.app import build_app
from cloud.service import Cloud, open_cloud
from cloud.settings import CloudSettings
from cloud.web_server import Server
from contracts.ending import end_process_within

__all__ = ["serve", "settle_interpreter"]

_log = logging.getLogger("cloud")
_SWITCH_SECONDS = 0.0005
_GRACE_SECONDS = 5
_END_SECONDS = 25.0  # from the signal on: what is under way, the workers, the store; then by force


def serve(settings: CloudSettings) -> int:
    """Serve until SIGTERM or SIGINT; 0 after a clean end."""
    logging.basicConfig(level=settings.log_level.upper(), stream=sys.stdout, format="%(message)s")
    for noisy in ("httpx", "web3", "aiosqlite", "alembic", "sqlalchemy", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    asyncio.run(_serve(settings))
    return 0


def settle_interpreter() -> None:
    """Prepare this process for serving, once everything is imported and built."""
    # SQLite's thread and the event loop take turns at Python's lock thousands of times a second; at the default of
    # 5 ms a busy loop would make each of the thread's turns wait that long.
    sys.setswitchinterval(_SWITCH_SECONDS)
    # What start has made stays: walking all of it again and again would hold up every answer for some 80 ms.
    gc.collect()
    gc.freeze()


async def _serve(settings: CloudSettings) -> None:
    async with open_cloud(settings) as cloud:
        config = uvicorn.Config(
            build_app(cloud),
            host=settings.host,
            port=settings.port,
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
        working = asyncio.create_task(cloud.run(), name="cloud workers")
        announcing = asyncio.create_task(_announce(server, settings), name="announcement")
        serving = asyncio.create_task(server.serve(), name="web server")
        try:
            await asyncio.wait({working, serving}, return_when=asyncio.FIRST_COMPLETED)
            _stop(server, cloud)
            await serving
        finally:
            announcing.cancel()
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working
        _log.info("cloud: stopped")


def _stop(server: Server, cloud: Cloud) -> None:
    end_process_within(_END_SECONDS)
    cloud.mail.close()
    server.should_exit = True


async def _announce(server: Server, settings: CloudSettings) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn offers a flag, no event
        await asyncio.sleep(0.02)
    _log.info("cloud: ready http://%s:%d", settings.host, settings.port)
