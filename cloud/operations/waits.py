"""What waits for somebody else, and for how long: gateways, the chain, copies, webhooks. As it is on disk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from cloud.settings import CopySettings
from cloud.store import Store, tables

__all__ = ["CopyStanding", "Waits", "read_waits"]

_SILENT_MS = 48 * 3_600_000  # after which anyone may flag a gateway on chain
_OPEN = ("pending", "sent", "mined")


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyStanding:
    """How far an independent copy is behind."""

    entries: int
    seconds: float  # since its last acknowledgement; without one, since the oldest log was opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Everything that waits."""

    silent_logs: int
    oldest_wish_seconds: float
    copies: Mapping[str, CopyStanding]
    webhook_failures: Mapping[str, int]


async def read_waits(store: Store, *, now_ms: int, copies: Sequence[CopySettings]) -> Waits:
    """What waits at `now_ms`, by the cloud's clock."""
    logs, held, wish, cursor = tables.logs.c, tables.acknowledgements.c, tables.intents.c, tables.webhook_cursors.c
    all_logs = select(
        func.count().filter(logs.last_seen_at_ms < now_ms - _SILENT_MS, logs.frozen.is_(None)),
        func.coalesce(func.sum(logs.size), 0),
        func.min(logs.opened_at_ms),
    ).execution_options(every_shard="all logs of all sites")
    acknowledged = (
        select(held.keeper, func.sum(held.size).label("size"), func.max(held.received_at_ms).label("at_ms"))
        .group_by(held.keeper)
        .execution_options(every_shard="a copy holds every log")
    )
    async with store.read() as connection:
        silent, size, opened_ms = (await connection.execute(all_logs)).one()
        known = {row.keeper: row for row in await connection.execute(acknowledged)}
        oldest_query = select(func.min(wish.created_at_ms)).where(wish.state.in_(_OPEN))
        oldest_ms = (await connection.execute(oldest_query)).scalar_one()
        failures_query = select(cursor.hook, func.max(cursor.failures)).group_by(cursor.hook)
        failures = {row[0]: row[1] for row in await connection.execute(failures_query)}
    standings = {}
    for copy in copies:
        row = known.get(copy.keeper.name)
        since_ms = (row.at_ms if row else opened_ms) or now_ms
        entries = int(size) - (int(row.size) if row else 0)
        standings[copy.keeper.name] = CopyStanding(entries=max(0, entries), seconds=max(0, now_ms - since_ms) / 1000)
    return Waits(
        silent_logs=silent,
        oldest_wish_seconds=max(0, now_ms - oldest_ms) / 1000 if oldest_ms else 0.0,
        copies=standings,
        webhook_failures=failures,
    )
