"""What a gateway said of a visit beside its level: the detail of the entry that stands right behind the visit's."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from cloud.store import tables
from cloud.store.months import entries_at
from contracts.entry import Kind
from contracts.quantities import VISIT_VERDICT

__all__ = ["verdict_of"]


async def verdict_of(connection: Any, entry: Any) -> Mapping[str, Any]:
    """The detail of a judged visit's verdict: `facts` and `verdict`, each an object.

    Args:
        entry: the visit's own row of `entries`.

    Returns:
        Nothing where the verdict is missing, erased, or another visit's.
    """
    here = await entries_at(connection, entry.log_id, entry.entry_index + 1)
    row = (await connection.execute(select(tables.entries).where(here))).one_or_none()
    if row is None or row.kind != Kind.STATUS or row.quantity != VISIT_VERDICT or row.detail is None:
        return {}
    detail = json.loads(row.detail)
    if detail.get("visit") != entry.detail_digest.hex():
        return {}
    return {name: detail[name] for name in ("facts", "verdict") if isinstance(detail.get(name), dict)}
