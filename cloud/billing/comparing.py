"""A period's comparison beside the event loop: it keeps a core busy for minutes, and gateways go on being answered.

It runs in a thread with connections of its own, on the chain's view as it stood when it was asked for. Whoever asks for
a period that is being compared waits for the same answer; another period waits its turn. The thread ends with the
process: what it keeps it keeps in single transactions, and whoever asks again begins anew.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from copy import copy

from cloud.chain.deployment import Deployment
from cloud.chain.view import ChainView
from cloud.directory import Directory
from cloud.sealed_store import open_store
from cloud.service import Cloud
from cloud.settings import CloudSettings

__all__ = ["Comparing"]

_WAITING_MAX = 8


class Comparing:
    """The comparisons of one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._turn = asyncio.Lock()
        self._under_way: dict[int, asyncio.Future[list[str]]] = {}

    def has_room(self, period: int) -> bool:
        """Whether a period is being compared or can still wait for its turn."""
        return period in self._under_way or len(self._under_way) < _WAITING_MAX

    async def of(self, period: int) -> list[str]:
        """What differs in a period, in words. Raises BillingError where its bills are not all held."""
        if period not in self._under_way:
            self._under_way[period] = asyncio.ensure_future(self._in_turn(period))
            self._under_way[period].add_done_callback(lambda _: self._under_way.pop(period))
        # Who goes away does not end it for the others.
        return await asyncio.shield(self._under_way[period])

    async def _in_turn(self, period: int) -> list[str]:
        async with self._turn:
            cloud, chain = self._cloud, self._cloud.chain
            assert chain is not None, "asked of a cloud that follows a chain"
            view, directory = _as_it_stands(chain.view), cloud.directory.read()
            return await _in_thread(lambda: _compare(cloud.settings, chain.deployment, view, directory, period))


def _as_it_stands(view: ChainView) -> ChainView:
    """A view that no later event adds to while it is walked through."""
    held = copy(view)
    vars(held).update({name: one.copy() for name, one in vars(view).items() if isinstance(one, (dict, list))})
    return held


async def _compare(
    settings: CloudSettings, deployment: Deployment, view: ChainView, directory: Directory, period: int
) -> list[str]:
    from cloud.billing.posted import compare_once  # numpy comes with it: only who compares waits for that

    store = open_store(settings)
    try:
        return await compare_once(
            store, view=view, directory=directory, deployment=deployment, clock=settings.clock, period=period
        )
    finally:
        await store.close()


async def _in_thread(work: Callable[[], Awaitable[list[str]]]) -> list[str]:
    """What the work gives, done in a thread and a loop of its own that do not keep the process from ending."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def settle(found: list[str] | None, error: BaseException | None) -> None:
        if not answer.done():
            answer.set_exception(error) if error is not None else answer.set_result(found or [])

    async def whole() -> list[str]:
        return await work()

    def run() -> None:
        found, failed = None, None
        try:
            found = asyncio.run(whole())
        except Exception as error:  # noqa: BLE001 - whatever it is, the one who asked is told
            failed = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, found, failed)

    threading.Thread(target=run, name="comparing bills", daemon=True).start()
    return await answer
