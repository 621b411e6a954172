"""How long a replicated cloud takes after each kill: until it acknowledges again, until it stores again.

A kill counts as overcome when a request that began after it is acknowledged, by the killed process itself where it
takes requests, and when that very batch is in PostgreSQL. After a kill of the chain's node, also when an anchor that
was not there before is final.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from cloud.store import Store, tables
from cloud.store.away import STORE_ERRORS
from tests.faults.cluster_gateway import LoadGateway, stored_sizes

_LOOK_SECONDS = 0.5


@dataclass(slots=True)
class Recovery:
    """One kill and what followed, in seconds after it; None as long as it has not."""

    name: str
    kind: str
    url: str  # whose answers count; "" where anybody's do
    needs_anchor: bool
    killed_at: float
    anchored_before: int = 0
    acknowledged: float | None = None
    batch: tuple[str, int] | None = None  # the log and the size that were acknowledged then
    stored: float | None = None
    anchored: float | None = None

    @property
    def is_over(self) -> bool:
        return self.stored is not None and not (self.needs_anchor and self.anchored is None)


class Recoveries:
    """Watches them all. `watch` is a task; `answered` is the gateways' to call."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._anchored = 0
        self.stored: Mapping[str, int] = {}
        self.all: list[Recovery] = []

    def begin(self, name: str, kind: str, *, url: str = "", needs_anchor: bool = False) -> None:
        """A part is killed now."""
        self.all.append(Recovery(name, kind, url, needs_anchor, time.monotonic(), self._anchored))

    def answered(self, gateway: LoadGateway, url: str, begun: float) -> None:
        """A gateway's request was acknowledged."""
        for one in self.all:
            if one.acknowledged is None and begun >= one.killed_at and one.url in ("", url):
                one.acknowledged = time.monotonic() - one.killed_at
                one.batch = (gateway.origin, gateway.acknowledged)

    async def watch(self, store: Store, gateways: Sequence[LoadGateway]) -> None:
        """Look into the store again and again; while it is away nothing is found."""
        while True:
            try:
                self.stored, self._anchored = await stored_sizes(store, gateways), await _anchored(store)
            except STORE_ERRORS:
                pass
            else:
                self._note()
            await asyncio.sleep(_LOOK_SECONDS)

    def _note(self) -> None:
        for one in [one for one in self.all if not one.is_over]:
            since = time.monotonic() - one.killed_at
            if one.stored is None and one.batch is not None and self.stored.get(one.batch[0], 0) >= one.batch[1]:
                one.stored = since
            if one.anchored is None and self._anchored > one.anchored_before:
                one.anchored = since
            if one.is_over:
                self._say(f"{one.name} killed: {_in_words(one)}")

    def summary(self) -> dict[str, dict[str, Any]]:
        """By kind of part: how many kills, and the longest of each time in seconds."""
        found = {}
        for kind in sorted({one.kind for one in self.all}):
            ours = [one for one in self.all if one.kind == kind]
            found[kind] = {
                "kills": len(ours),
                "acknowledged_s_max": _longest([one.acknowledged for one in ours]),
                "stored_s_max": _longest([one.stored for one in ours]),
            }
        return found


async def _anchored(store: Store) -> int:
    """The largest size whose anchor is final."""
    column = tables.intents.c
    query = select(column.business_key).where(column.state == "final", column.kind == "anchor")
    async with store.read() as connection:
        keys = (await connection.execute(query)).scalars()
        return max((int(key.partition(":")[2]) for key in keys), default=0)


def _in_words(one: Recovery) -> str:
    said = f"acknowledged again after {one.acknowledged:.1f} s, stored again after {one.stored:.1f} s"
    return f"{said}, anchored again after {one.anchored:.1f} s" if one.needs_anchor else said


def _longest(seconds: Sequence[float | None]) -> float | None:
    known = [one for one in seconds if one is not None]
    return round(max(known), 1) if known else None
