"""Visits that the cloud holds and the chain does not have yet: in a gateway's mail, or on their way to the contract.

A day that one of them may still prove to have been in time is no day to claim a penalty for.
"""

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import select, tuple_

from cloud.maintenance.ground import Ground
from cloud.maintenance.records import AgreementRecord
from cloud.store import tables
from cloud.visits.letters import KEPT_S, RECORDED_WITHIN_S, find_judgements
from contracts.due import CLASSES, DoneDay, local_day, visit_day
from contracts.signed_visit import SignedVisit, signed_visit_from_json
from contracts.visit import NOBODY

__all__ = ["waiting_days"]

LOOKED_AT_MAX = 5_000  # a lift has some thirty a year
_AT_ONCE = 500
_log = logging.getLogger("cloud.maintenance")
_ON_THEIR_WAY = ("pending", "sent", "mined")


async def waiting_days(ground: Ground, agreement: AgreementRecord) -> Collection[DoneDay]:
    """The days that would count as done if every visit that still can came to be recorded.

    A visit can as long as its gateway may judge it (60 days from its beginning), and, once judged at the level that
    the agreement asks for, as long as its wish is open; none after a year. No more than the newest `LOOKED_AT_MAX` of
    a device are looked at: whoever hands in more than that keeps no penalty away by it.
    """
    days: set[DoneDay] = set()
    looked_at = 0
    before: tuple[int, bytes] | None = None
    while looked_at < LOOKED_AT_MAX:
        page = await _page(ground, agreement.terms.device, before, min(_AT_ONCE, LOOKED_AT_MAX - looked_at))
        if not page:
            return days
        days.update(await _days_of(ground, agreement, page))
        looked_at, before = looked_at + len(page), (page[-1].started_at_s, page[-1].digest)
    name = agreement.terms.device.hex()[:16]
    _log.warning(
        "device %s…: it has %d visits of a year or more; the older ones are not waited for", name, LOOKED_AT_MAX
    )
    return days


async def _page(ground: Ground, device: bytes, before: tuple[int, bytes] | None, limit: int) -> Sequence[Any]:
    """The next visits of a device, the newest first."""
    column, oldest_s = tables.visits.c, ground.clock.now_ms() // 1000 - RECORDED_WITHIN_S
    place = (column.started_at_s, column.digest)
    query = (
        select(tables.visits)
        .where(column.device == device, column.started_at_s > oldest_s)
        .where(column.visit_class.in_([int(one) for one in CLASSES]))
        .order_by(*(one.desc() for one in place))
        .limit(limit)
    )
    if before is not None:
        query = query.where(tuple_(*place) < tuple_(*before))
    async with ground.store.read() as connection:
        return (await connection.execute(query)).all()


async def _days_of(ground: Ground, agreement: AgreementRecord, visits: Sequence[Any]) -> list[DoneDay]:
    held = [row for row in visits if row.digest not in ground.view.visits]
    async with ground.store.read() as connection:
        states = await _states(connection, held)
        open_ones = [row for row in held if states.get(row.digest, "pending") in _ON_THEIR_WAY]
        judged = await find_judgements(connection, open_ones)
    offset, days = await ground.utc_offset_s(), []
    for row in open_ones:
        entry = judged.get(row.digest)
        if entry is None and row.started_at_s < ground.clock.now_ms() // 1000 - KEPT_S:
            continue
        signed = signed_visit_from_json(json.loads(row.file))
        if _may_count(ground, agreement, signed, entry):
            ended_at_s, day = signed.visit.ended_at_s, local_day(signed.visit.ended_at_s, utc_offset_s=offset)
            if entry is not None:
                at_ms = entry.observed_at_ms
                day = visit_day(level=entry.value, ended_at_s=ended_at_s, observed_at_ms=at_ms, utc_offset_s=offset)
            days.append(DoneDay(day, signed.visit.visit_class))
    return days


async def _states(connection: Any, visits: Sequence[Any]) -> Mapping[bytes, str]:
    """How far the wishes to record them have come; nothing of those that were not wished for."""
    column, keys = tables.intents.c, {f"visit:{row.digest.hex()}": row.digest for row in visits}
    query = select(column.business_key, column.state).where(column.business_key.in_(keys))
    return {keys[row.business_key]: row.state for row in await connection.execute(query)}


def _may_count(ground: Ground, agreement: AgreementRecord, signed: SignedVisit, entry: Any) -> bool:
    """Whether a visit is of the agreement's plan and firm and has its people, deadline and, once judged, level."""
    terms, visit = agreement.terms, signed.visit
    firms = {ground.view.members[one].firm for one in visit.mechanics if one in ground.view.members}
    is_in_time = all(one.signature.deadline >= ground.view.head_time_s for one in signed.signatures)
    return (
        visit.plan == terms.plan
        and firms <= {terms.firm}
        and is_in_time
        and terms.is_done(
            level=terms.level if entry is None else entry.value,
            two_people=len(visit.mechanics) == 2,
            countersigned=visit.manager != NOBODY,
        )
    )
