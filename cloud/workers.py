"""Background workers: each a named task that runs one step again and again and starts anew after a failure."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cloud.errors import CloudError
from cloud.mail import Bell

__all__ = ["Worker", "alone", "supervise"]

_log = logging.getLogger("cloud.workers")
_BACKOFF_SECONDS_MAX = 15.0


async def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What to do, how often, and how to start over.

    `step` answers whether there may be more to do at once. `prepare` runs before the first step and after every
    failure: it throws away what is in memory and reads what is stored.
    """

    name: str
    step: Callable[[], Awaitable[bool]]
    pause_seconds: float
    prepare: Callable[[], Awaitable[None]] = _nothing


def alone(worker: Worker, is_ours: Callable[[], Awaitable[bool]]) -> Worker:
    """`worker`, at work only while `is_ours()`: of several processes, one. Each time it becomes ours it starts over."""
    is_prepared = False

    async def start_over() -> None:
        nonlocal is_prepared
        is_prepared = False

    async def step() -> bool:
        nonlocal is_prepared
        if not await is_ours():
            is_prepared = False
            return False
        if not is_prepared:
            await worker.prepare()
            is_prepared = True
        return await worker.step()

    return Worker(name=worker.name, step=step, pause_seconds=worker.pause_seconds, prepare=start_over)


async def supervise(worker: Worker, bell: Bell, rng: random.Random) -> None:
    """Run a worker until cancelled. A failure is logged once in its words, then retried with growing, jittered
    pauses.
    """
    failures = 0
    said = ""
    is_prepared = False
    while True:
        try:
            if not is_prepared:
                await worker.prepare()
                is_prepared = True
            changed = await worker.step()
        except CloudError as error:
            failures += 1
            is_prepared = False
            if str(error) != said:
                said = str(error)
                _log.warning("cloud: %s: %s (trying again)", worker.name, error)
        except Exception:  # noqa: BLE001 - a worker that dies would be worse than one that says why and goes on
            failures += 1
            is_prepared = False
            _log.exception("cloud: %s failed; starting it again", worker.name)
        else:
            if failures:
                _log.info("cloud: %s works again", worker.name)
            failures, said = 0, ""
            if changed:
                bell.ring()
                await asyncio.sleep(0)
                continue
        pause = worker.pause_seconds if not failures else min(_BACKOFF_SECONDS_MAX, 0.5 * 2 ** min(failures, 6))
        await asyncio.sleep(pause * (0.75 + 0.5 * rng.random()))
