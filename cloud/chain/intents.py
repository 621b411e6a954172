"""The outbox's intents: what the cloud wants to be so on chain, one row per business key, written with the fact that
causes it.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.store import tables
from cloud.store.upsert import insert_new

__all__ = ["add_intent", "insert_new", "intent_state", "wish_again"]


async def add_intent(
    connection: AsyncConnection, business_key: str, kind: str, params: Mapping[str, Any], *, now_ms: int
) -> bool:
    """Note an intent in the caller's transaction. The same business key again changes nothing and returns False.

    Args:
        business_key: names the wish, not the transaction: `anchor:4096`, `fork:ORIGIN`, `relay:<digest>`.
        kind: chooses the builder in `cloud.chain.builders`.
        params: JSON values that the builder needs.
        now_ms: by the cloud's clock.
    """
    values = {
        "business_key": business_key,
        "kind": kind,
        "params": json.dumps(dict(params)),
        "state": "pending",
        "says": "",
        "failures": 0,
        "block_number": None,
        "created_at_ms": now_ms,
        "changed_at_ms": now_ms,
    }
    return await insert_new(connection, tables.intents, values)


async def wish_again(
    connection: AsyncConnection, business_key: str, *, now_ms: int, states: Collection[str] = ("refused",)
) -> bool:
    """Open a wish that has ended in one of these states, because it is still wished for; whether it was one."""
    column = tables.intents.c
    given_up = (column.business_key == business_key) & column.state.in_(states)
    opened = await connection.execute(
        update(tables.intents)
        .where(given_up)
        .values(state="pending", says="", failures=0, block_number=None, changed_at_ms=now_ms)
    )
    return opened.rowcount == 1


async def intent_state(connection: AsyncConnection, business_key: str) -> tuple[str, str] | None:
    """State and explanation of an intent; None where it was never noted."""
    query = select(tables.intents.c.state, tables.intents.c.says).where(tables.intents.c.business_key == business_key)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else (row.state, row.says)
