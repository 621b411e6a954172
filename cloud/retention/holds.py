"""What may not be erased yet although its time is over: what bills and open disputes rest on."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from cloud.chain.records import ChallengeRecord, PeriodRecord
from cloud.chain.stored import stored_view
from cloud.months import month_of
from cloud.store import Store, tables

__all__ = ["Holds", "Span", "holds_of", "holds_when_followed", "read_holds"]

Span = tuple[int, int]
"""Boundary dates YYYYMMDD, from and to, both held."""

_DAY_MS = 86_400_000
_STALE_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """Days whose boundary entries, and whose readings, are still needed."""

    boundaries: tuple[Span, ...] = ()
    readings: tuple[Span, ...] = ()
    is_known: bool = True  # False: the chain was not followed lately, so nobody knows what is disputed

    def reading_times(self) -> list[tuple[int, int]]:
        """The spans in UTC milliseconds, widened by a day on either side, whatever the site's timezone."""
        return [(_ms_of(first) - _DAY_MS, _ms_of(last) + 2 * _DAY_MS) for first, last in self.readings]


def holds_of(
    periods: Iterable[PeriodRecord], challenges: Iterable[ChallengeRecord], *, now_s: int, boundaries_due: int
) -> Holds:
    """What closed periods and disputes rest on: their days, back to the year's beginning, for tiers count by years.

    Args:
        boundaries_due: the last month whose boundary entries were kept long enough; 0 where they are kept for good.
    """
    disputed = {one.period for one in challenges if one.state == "open"}
    held, open_ones = [], []
    for one in periods:
        span = _days(one.period)
        if one.period in disputed or one.window_end_s > now_s:
            open_ones.append(span)
        elif month_of(one.closed_at_s * 1000) > boundaries_due:
            held.append(span)
    return Holds(boundaries=(*held, *open_ones), readings=tuple(open_ones))


async def read_holds(store: Store, chain_id: int | None, *, now_ms: int, boundaries_due: int) -> Holds:
    """The same from the chain as the store holds it.

    Args:
        chain_id: None where no chain is followed: then there are no bills either.
    """
    if chain_id is None:
        return Holds()
    if now_ms // 1000 - await _followed_until(store) > _STALE_SECONDS:
        return Holds(is_known=False)
    view = await stored_view(store, chain_id)
    return holds_of(
        view.periods.values(), view.challenges.values(), now_s=now_ms // 1000, boundaries_due=boundaries_due
    )


async def holds_when_followed(store: Store, chain_id: int | None) -> Holds:
    """What was needed at the newest block that the store knows of, however long ago it was followed.

    Args:
        chain_id: None where no chain is followed.
    """
    return await read_holds(store, chain_id, now_ms=await _followed_until(store) * 1000, boundaries_due=0)


async def _followed_until(store: Store) -> int:
    """The time of the newest followed block, in seconds; 0 where there is none."""
    column = tables.chain_blocks.c
    async with store.read() as connection:
        query = select(column.timestamp).order_by(column.number.desc()).limit(1)
        return int((await connection.execute(query)).scalar_one_or_none() or 0)


def _days(period: int) -> Span:
    first, last = divmod(period, 10**8)
    return first // 10_000 * 10_000 + 101, last


def _ms_of(day: int) -> int:
    return int(datetime(day // 10_000, day // 100 % 100, day % 100, tzinfo=UTC).timestamp()) * 1000
