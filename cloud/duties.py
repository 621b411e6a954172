"""What one process does for all clouds on a database: retiring what is due, asking witnesses, telling webhooks'
receivers."""

import time
from collections.abc import Callable

from cloud.lease import Lease
from cloud.store import Store

__all__ = ["Duties"]

_ASK_AGAIN_SECONDS = 3.0  # asking costs a connection


class Duties:
    """The lease on these duties; it ends with its holder's process, and another one takes over."""

    def __init__(self, store: Store, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lease = Lease(store, name="duties")
        self._monotonic = monotonic
        self._ask_at = 0.0

    async def are_ours(self) -> bool:
        """Whether this process has them now; takes them where nobody else does."""
        if self._lease.term is None and self._monotonic() < self._ask_at:
            return False
        self._ask_at = self._monotonic() + _ASK_AGAIN_SECONDS
        return await self._lease.hold()

    async def release(self) -> None:
        """Let another process go on."""
        await self._lease.release()
