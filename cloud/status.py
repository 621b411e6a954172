"""What the cloud says of itself: counts for monitors, the demo's progress and `--once`."""

from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import func, select

from cloud.cosigners import Cosigners
from cloud.standing import Standing, read_standing
from cloud.store import Store, tables

__all__ = ["ChainStatus", "Status", "read_status"]

_NOTICES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainStatus:
    """Where the followed chain stands."""

    followed_block: int
    head_block: int
    final_block: int
    anchored_size: int  # of the super-log, on chain
    anchored_final_size: int  # of it, final
    is_sender: bool  # whether this process, of all on its database, follows and sends
    stopped: dict[str, str]  # why nothing is sent, by cause, and what to do
    endpoints: dict[str, str]  # by name: believed, or why not


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Counts of what is stored."""

    entries: int
    checkpoints: int
    logs: int
    frozen: int
    super_size: int
    chain: ChainStatus | None
    outbox: dict[str, int]
    notices: list[str]
    oddities: list[str] = field(default_factory=list)  # of gateways: replays, clocks; see docs/cloud.md
    refused: dict[str, int] = field(default_factory=dict)
    witnesses: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The answer of /v1/status."""
        body = asdict(self)
        body.update(body.pop("chain") or {})
        return body


async def read_status(
    store: Store, *, chain: ChainStatus | None, refused: dict[str, int], cosigners: Cosigners | None = None
) -> Status:
    """The counts as they are on disk."""
    logs, intents = tables.logs.c, tables.intents.c
    async with store.read() as connection:
        sums = (
            await connection.execute(
                select(func.coalesce(func.sum(logs.size), 0), func.count(), func.count(logs.frozen))
                .select_from(tables.logs)
                .execution_options(every_shard="sums over all logs")
            )
        ).one()
        super_size = (await connection.execute(select(tables.super_head.c.size))).scalar_one_or_none() or 0
        counted = await connection.execute(select(intents.state, func.count()).group_by(intents.state))
        outbox = {row[0]: row[1] for row in counted}
        # Each leaf of the super-log is one checkpoint.
        checkpoints = super_size
    return Status(
        entries=int(sums[0]),
        checkpoints=int(checkpoints),
        logs=int(sums[1]),
        frozen=int(sums[2]),
        super_size=int(super_size),
        chain=chain,
        outbox=outbox,
        notices=await store.latest_notices(_NOTICES),
        oddities=await latest_oddities(store, _NOTICES),
        refused=refused,
        witnesses=_witnesses(await read_standing(store, cosigners or Cosigners())),
    )


def _witnesses(standing: Standing) -> dict[str, Any]:
    return {
        "quorum": standing.quorum,
        "size": standing.size,
        "cosigned": standing.cosigned,
        "waiting": standing.waiting,
        "each": [asdict(one) for one in standing.each],
    }


async def latest_oddities(store: Store, count: int) -> list[str]:
    """One line for each kind of oddity of each gateway's log, those that came last; newest last."""
    column, logs = tables.anomalies.c, tables.logs.c
    query = (
        select(logs.origin, column.kind, column.count, column.says)
        .join(tables.logs, logs.log_id == column.log_id)
        .order_by(column.last_at_ms.desc(), column.log_id, column.kind)
        .limit(count)
        .execution_options(every_shard="the newest of all logs")
    )
    async with store.read() as connection:
        rows = (await connection.execute(query)).all()
    return [f"{row.origin}: {row.kind}, {row.count} times; last: {row.says}" for row in rows[::-1]]
