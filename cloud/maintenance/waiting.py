"""Visits that the cloud holds and the chain does not have yet: in a gateway's mail, or on their way to the contract.

A day that one of them may still prove to have been in time is no day to claim a penalty for.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from cloud.maintenance.ground import Ground
from cloud.maintenance.records import AgreementRecord
from cloud.store import tables
from cloud.visits.letters import KEPT_S, find_judgements
from contracts.due import CLASSES, DoneDay, local_day, visit_day
from contracts.signed_visit import SignedVisit, signed_visit_from_json
from contracts.visit import NOBODY

__all__ = ["waiting_days"]

_ON_THEIR_WAY = ("pending", "sent", "mined")


async def waiting_days(ground: Ground, agreement: AgreementRecord) -> Sequence[DoneDay]:
    """The days that would count as done if every visit that still can came to be recorded.

    A visit can as long as its gateway may judge it (60 days from its beginning), and, once judged at the level that
    the agreement asks for, as long as its wish is open.
    """
    terms, column = agreement.terms, tables.visits.c
    query = select(tables.visits).where(
        column.device == terms.device, column.visit_class.in_([int(one) for one in CLASSES])
    )
    async with ground.store.read() as connection:
        held = [row for row in await connection.execute(query) if row.digest not in ground.view.visits]
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
