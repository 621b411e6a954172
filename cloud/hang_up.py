"""SIGHUP: a service manager's word that files have changed, and a terminal's last word when it is closed.

Left alone it ends a process, also one that is just starting and would have heard it a second later.
"""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["hear_hang_ups", "holding_hang_ups"]

_HANG_UP = {signal.SIGHUP}


@contextmanager
def holding_hang_ups() -> Iterator[None]:
    """A SIGHUP waits for `hear_hang_ups` or the end; so it does in a process that is started meanwhile."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANG_UP)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def hear_hang_ups(do: Callable[[], object], *, unless_ignored: bool = False) -> None:
    """Do this at each SIGHUP from now on, and at one that was held.

    Args:
        do: called by the running loop, in the main thread.
        unless_ignored: whoever started this process so that it ignores them (nohup) is obeyed.
    """
    if not unless_ignored or signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, do)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANG_UP)
