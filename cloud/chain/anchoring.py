"""When to anchor, and when to have a gateway's head accepted."""

import time
from collections.abc import Callable

from sqlalchemy import select

from cloud.chain.intents import add_intent
from cloud.chain.view import ChainView
from cloud.store import Store, tables
from cloud.super_log import SuperLog
from contracts.clock import Clock

__all__ = ["Anchoring"]

_UNSETTLED = ("pending", "sent")


class Anchoring:
    """Wishes for an anchor each interval (real seconds) in which the super-log grew, one at a time."""

    def __init__(
        self,
        *,
        store: Store,
        super_log: SuperLog,
        view: ChainView,
        clock: Clock,
        interval_seconds: float,
        accept_seconds: float | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._super, self._view, self._clock = store, super_log, view, clock
        self._interval, self._accept_interval = interval_seconds, accept_seconds
        self._monotonic = monotonic
        self._anchored_at = -1e9
        self._accepted_at = -1e9

    async def step(self) -> bool:
        """Note what is due."""
        changed = False
        now = self._monotonic()
        if now - self._anchored_at >= self._interval and not await self._is_open("anchor"):
            changed = await self._wish_anchor()
            self._anchored_at = now if changed else self._anchored_at
        if self._accept_interval is not None and now - self._accepted_at >= self._accept_interval:
            self._accepted_at = now
            changed |= await self._wish_heads()
        return changed

    async def _is_open(self, kind: str) -> bool:
        column = tables.intents.c
        query = select(column.intent_id).where(column.kind == kind, column.state.in_(_UNSETTLED)).limit(1)
        async with self._store.read() as connection:
            return (await connection.execute(query)).scalar_one_or_none() is not None

    async def _wish_anchor(self) -> bool:
        anchored = self._view.anchors[-1].size if self._view.anchors else 0
        if self._super.size <= anchored:
            return False
        head = await self._super.sign_head(self._store, now_ms=self._clock.now_ms())
        if head is None or head.size <= anchored:
            return False
        async with self._store.write() as connection:
            return await add_intent(
                connection, f"anchor:{head.size}", "anchor", {"size": head.size}, now_ms=self._clock.now_ms()
            )

    async def _wish_heads(self) -> bool:
        """Have every live gateway's newest checkpoint accepted, so that silence is measured and challenges are
        ready.
        """
        changed = False
        async with self._store.read() as connection:
            logs = list(
                await connection.execute(
                    select(tables.logs.c.origin, tables.logs.c.size).where(tables.logs.c.frozen.is_(None))
                )
            )
        for row in logs:
            if self._view.head(row.origin).size < row.size:
                changed |= await wish_head(self._store, row.origin, row.size, now_ms=self._clock.now_ms())
        return changed


async def wish_head(store: Store, origin: str, size: int, *, now_ms: int) -> bool:
    """Note that this signed head should be accepted on chain; whether that is new."""
    async with store.write() as connection:
        return await add_intent(
            connection, f"accept:{origin}:{size}", "accept", {"origin": origin, "size": size}, now_ms=now_ms
        )
