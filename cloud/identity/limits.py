"""How often one account, one program's token or one address may ask: so many of each kind of request a minute.

Buckets that fill again by the second lie in the memory of each process, so several processes allow as many times more.
Exports, which cost most, are counted in the store for all processes together.
"""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from cloud.errors import IdentityRefused
from cloud.identity.loads import LimitSettings, Load
from cloud.identity.throttle import count_within
from cloud.store import Store

__all__ = ["Asker", "Limits"]

_BUCKETS_MAX = 100_000
_MINUTE_S = 60.0
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Whom a request is counted for."""

    by: str  # account, token or address
    who: bytes


class Limits:
    """Counts the requests that one process answers."""

    def __init__(self, settings: LimitSettings, store: Store, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self.refused: Counter[tuple[str, str]] = Counter()  # by load and kind of asker
        self._settings, self._store, self._seconds = settings, store, seconds
        self._buckets: OrderedDict[tuple[Load, Asker], tuple[float, float]] = OrderedDict()  # what is left, and when

    async def ask(self, load: Load, asker: Asker, now_ms: int) -> None:
        """Count one request. Raises `IdentityRefused` where it is one too many."""
        allowed = self._settings.per_minute.get(load, 0) * (
            self._settings.address_factor if asker.by == "address" else 1
        )
        if not allowed:
            return
        if load is Load.EXPORTS:
            wait_s = await self._wait_of_all(load, asker, allowed, now_ms)
        else:
            wait_s = self._wait(load, asker, allowed)
        if wait_s:
            self.refused[load.value, asker.by] += 1
            says = f"more than {allowed} {load} a minute by one {asker.by}; wait {wait_s} s, then ask again"
            raise IdentityRefused(429, "too_fast", says, retry_after=wait_s)

    def _wait(self, load: Load, asker: Asker, allowed: int) -> int:
        """Whole seconds until the bucket holds a request; 0 takes one out of it."""
        now, key = self._seconds(), (load, asker)
        left, at = self._buckets.pop(key, (float(allowed), now))
        left = min(float(allowed), left + (now - at) * allowed / _MINUTE_S)
        is_allowed = left >= 1
        self._buckets[key] = (left - 1 if is_allowed else left, now)
        if len(self._buckets) > _BUCKETS_MAX:
            self._buckets.popitem(last=False)  # who asked longest ago: theirs is the fullest
        return 0 if is_allowed else math.ceil((1 - left) * _MINUTE_S / allowed)

    async def _wait_of_all(self, load: Load, asker: Asker, allowed: int, now_ms: int) -> int:
        async with self._store.write(None) as connection:
            who = f"{load} {asker.by}\0".encode() + asker.who
            number, ends_at_ms = await count_within(connection, who, _MINUTE_MS, now_ms)
        return 0 if number <= allowed else max(1, math.ceil((ends_at_ms - now_ms) / 1000))
