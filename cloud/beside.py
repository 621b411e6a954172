"""Processes beside this one, for work that is too much for one interpreter: the month's bills of a whole city."""

import asyncio
import multiprocessing
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager

from cloud.errors import StoreError

__all__ = ["HANDS", "processes_beside"]

HANDS = os.cpu_count() or 1
"""How many work at the same time."""


@asynccontextmanager
async def processes_beside(begin: Callable[[], None] | None = None) -> AsyncIterator[ProcessPoolExecutor | None]:
    """As many processes as there are cores, each begun by `begin`; None where that is no help or not possible.

    Raises:
        StoreError: one of them was killed.
    """
    if HANDS == 1 or multiprocessing.current_process().daemon:  # a daemon may begin no process
        yield None
        return
    # Begun anew: a fork of threads and connections is nobody's.
    pool = ProcessPoolExecutor(HANDS, mp_context=multiprocessing.get_context("spawn"), initializer=begin)
    for _ in range(HANDS):
        pool.submit(int)  # so that they begin now, and are there when they are needed
    try:
        yield pool
    except BrokenProcessPool as error:
        says = "a process beside this one was killed, maybe for want of memory; run the same command again"
        raise StoreError(says) from error
    finally:
        await asyncio.to_thread(pool.shutdown, cancel_futures=True)
