"""Ending for certain what runs in a process: its tasks one after the other, and if need be the process itself."""

import asyncio
import faulthandler
from collections.abc import Iterable
from typing import Any

__all__ = ["end_process_within", "end_tasks"]

_AGAIN_SECONDS = 1.0


async def end_tasks(tasks: Iterable[asyncio.Task[Any]], *, seconds: float = 10.0) -> list[str]:
    """Cancel tasks until they are over; the names of those that were not after `seconds`.

    One cancellation is not enough: a library may swallow the one that arrives together with the answer it waits for,
    as `asyncio.wait_for` does before Python 3.12, and its caller then goes on as if nobody had asked it to end.
    """
    waiting = set(tasks)
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while waiting and (left := until - loop.time()) > 0:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=min(left, _AGAIN_SECONDS))
    return sorted(task.get_name() for task in waiting)


def end_process_within(seconds: float) -> None:
    """End this process after `seconds` whatever it does then, with exit code 1 and every thread's stack on stderr.

    For a process that was told to stop: neither a thread that never returns nor a blocked loop may keep it.
    """
    faulthandler.dump_traceback_later(seconds, exit=True)
