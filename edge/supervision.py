"""Keeping collectors alive: each runs in its own task, falls alone, and is started again after a while."""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from edge.backoff import Backoff
from edge.errors import EdgeError

_CALM_SECONDS = 60.0  # a collector that ran so long starts with a short wait again
_log = logging.getLogger("edge.supervision")


@dataclass(slots=True)
class Health:
    """What the status page tells of one collector."""

    name: str
    state: str = "starting"
    restarts: int = 0
    last_error: str = ""


async def supervise(
    health: Health, run: Callable[[], Awaitable[None]], rng: random.Random, *, first: float = 0.2, most: float = 30.0
) -> None:
    """Run a collector for ever. Whatever it raises is told and it is started again, jittered and capped.

    One collector's fault, a defect of ours included, must never reach another, let alone the log.
    """
    backoff = Backoff(first, most, rng)
    while True:
        started = time.monotonic()
        health.state = "running"
        try:
            await run()
            says = "ended by itself"
        except EdgeError as error:
            says = str(error)
        except Exception as error:  # noqa: BLE001 - see the docstring
            _log.exception("%s failed", health.name)
            says = f"{type(error).__name__}: {error}"
        if time.monotonic() - started > _CALM_SECONDS:
            backoff.reset()
        if says != health.last_error:
            _log.warning("%s: %s", health.name, says)
        health.state, health.last_error = "waiting", says
        health.restarts += 1
        await asyncio.sleep(backoff.next_seconds())


async def run_in_thread(name: str, work: Callable[[], None], stop: threading.Event) -> None:
    """Run blocking work in a thread of its own; when cancelled, set `stop` and wait until the thread has ended."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def finish(error: BaseException | None) -> None:
        if not ended.done():
            ended.set_result(None) if error is None else ended.set_exception(error)

    def body() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - carried to whoever waits
            loop.call_soon_threadsafe(finish, error)
        else:
            loop.call_soon_threadsafe(finish, None)

    stop.clear()
    thread = threading.Thread(target=body, name=name, daemon=True)
    thread.start()
    try:
        await asyncio.shield(ended)
    finally:
        stop.set()
        await asyncio.to_thread(thread.join, 5.0)
