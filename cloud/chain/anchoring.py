"""When to anchor, and when to have a gateway's head accepted.

A head is signed, shown to the witnesses (`cloud.witnessing`), and anchored once enough of them have cosigned it; until
then no newer one is signed, so that witnesses of different pace meet at the same head.
"""

import logging
import time
from collections.abc import Callable

from sqlalchemy import select

from cloud.chain.intents import add_intent, wish_again
from cloud.chain.view import ChainView
from cloud.cosigners import Cosigners
from cloud.standing import read_standing
from cloud.store import Store, tables
from cloud.super_log import SuperLog
from contracts.clock import Clock

__all__ = ["Anchoring"]

_log = logging.getLogger("cloud.chain")
_UNSETTLED = ("pending", "sent")


class Anchoring:
    """Wishes for an anchor each interval (real seconds) in which the super-log grew, one at a time, as soon as the
    quorum of `cosigners` has cosigned the head.
    """

    def __init__(
        self,
        *,
        store: Store,
        super_log: SuperLog,
        view: ChainView,
        clock: Clock,
        interval_seconds: float,
        accept_seconds: float | None,
        cosigners: Cosigners | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._super, self._view, self._clock = store, super_log, view, clock
        self._interval, self._accept_interval = interval_seconds, accept_seconds
        self._cosigners = cosigners or Cosigners()
        self._monotonic = monotonic
        self._waiting = ""
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
        head = await self._super.latest(self._store)
        if head is None or head.size <= anchored:
            head = await self._super.sign_head(self._store, now_ms=self._clock.now_ms())
        if head is None or head.size <= anchored or not await self._is_witnessed():
            return False
        key, now_ms = f"anchor:{head.size}", self._clock.now_ms()
        async with self._store.write() as connection:
            # No newer head is signed before this one is anchored, so a wish that was given up is opened again.
            return await add_intent(connection, key, "anchor", {"size": head.size}, now_ms=now_ms) or await wish_again(
                connection, key, now_ms=now_ms
            )

    async def _is_witnessed(self) -> bool:
        """Whether enough witnesses have cosigned the newest signed head; says once why not."""
        standing = await read_standing(self._store, self._cosigners)
        if standing.waiting != self._waiting:
            self._waiting = standing.waiting
            _log.info("cloud: %s", self._waiting or f"{standing.cosigned} witnesses have cosigned; anchoring goes on")
        return standing.has_quorum

    async def _wish_heads(self) -> bool:
        """Have every live gateway's newest checkpoint accepted, so that silence is measured and challenges are
        ready.
        """
        changed = False
        async with self._store.read() as connection:
            logs = list(
                await connection.execute(
                    select(tables.logs.c.origin, tables.logs.c.size)
                    .where(tables.logs.c.frozen.is_(None))
                    .execution_options(every_shard="every live log's head is accepted")
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
