"""Visits on their way to a gateway: which ones its mail still lacks, and which have been judged.

A visit stays in the mail until its gateway has logged it. A gateway that opened a new epoch gets what the old one left
unjudged again, in the new log's mail.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select, tuple_, update

from cloud.store import tables
from cloud.store.logs import log_ids_of
from cloud.store.months import entries_at
from cloud.visits.bundles import body_of
from contracts.entry import Kind

__all__ = [
    "KEPT_S", "RECORDED_WITHIN_S", "Letter", "find_judgement", "find_judgements", "gateway_of", "letters_for",
    "letters_sent", "mail_again",
]  # fmt: skip

KEPT_S = 60 * 86_400  # gateways keep what they saw for 60 days: older visits are judged by nobody
RECORDED_WITHIN_S = 366 * 86_400  # what no chain has by then, none will have: signatures hold for months
_EARLY_MS = 10 * 60_000  # a gateway judges visits that end so soon by its own clock
_AT_ONCE = 20
_SOUGHT_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One visit to be put into the mail."""

    digest: bytes
    body: dict[str, Any]


def gateway_of(origin: str) -> str:
    """What all epochs of a gateway share: its origin without the epoch."""
    return origin.rpartition("/")[0]


async def letters_for(connection: Any, origin: str, log_id: int, now_ms: int) -> Sequence[Letter]:
    """The unjudged visits that are not in this log's mail yet."""
    column = tables.visits.c
    query = (
        select(tables.visits)
        .where(
            column.gateway == gateway_of(origin),
            column.entry_index.is_(None),
            column.mailed_log_id.is_distinct_from(log_id),
            column.started_at_s > now_ms // 1000 - KEPT_S,
        )
        .order_by(column.received_at_ms, column.digest)
        .limit(_AT_ONCE)
    )
    found = (await connection.execute(query)).all()
    return [
        Letter(digest=row.digest, body=body_of(row)) for row in found if await find_judgement(connection, row) is None
    ]


async def letters_sent(connection: Any, letters: Sequence[Letter], log_id: int, first: int) -> None:
    """Note which message carries which visit; and take what has been judged out of this log's mail."""
    column = tables.visits.c
    for number, letter in enumerate(letters, first):
        change = update(tables.visits).where(column.digest == letter.digest)
        await connection.execute(change.values(mailed_log_id=log_id, mail_number=number))
    open_ones = select(tables.visits).where(column.mailed_log_id == log_id, column.entry_index.is_(None))
    for row in (await connection.execute(open_ones)).all():
        judged = await find_judgement(connection, row)
        if judged is not None:
            mail = tables.mail.c
            await connection.execute(delete(tables.mail).where(mail.log_id == log_id, mail.number == row.mail_number))
            change = update(tables.visits).where(column.digest == row.digest)
            await connection.execute(change.values(entry_log_id=judged.log_id, entry_index=judged.entry_index))


async def mail_again(connection: Any, digest: bytes) -> None:
    """Let a visit that is in the mail already follow as it is kept now, under the next number: numbers only grow."""
    column, mail = tables.visits.c, tables.mail.c
    row = (await connection.execute(select(tables.visits).where(column.digest == digest))).one()
    if row.mailed_log_id is None:
        return
    newest = select(func.max(mail.number)).where(mail.log_id == row.mailed_log_id)
    number = ((await connection.execute(newest)).scalar_one() or 0) + 1
    letter = update(tables.mail).where(mail.log_id == row.mailed_log_id, mail.number == row.mail_number)
    await connection.execute(letter.values(number=number, body=json.dumps(body_of(row))))
    await connection.execute(update(tables.visits).where(column.digest == digest).values(mail_number=number))


async def find_judgement(connection: Any, visit: Any) -> Any:
    """The gateway's entry for a row of `visits`, with its log's origin; None while there is none."""
    column = tables.entries.c
    query = select(tables.entries, tables.logs.c.origin).join(tables.logs, tables.logs.c.log_id == column.log_id)
    if visit.entry_index is not None:
        query = query.where(await entries_at(connection, visit.entry_log_id, visit.entry_index))
    else:
        query = query.where(
            column.log_id.in_(await log_ids_of(connection, gateway=visit.gateway)),
            column.device == visit.device,
            column.observed_at_ms >= visit.ended_at_s * 1000 - _EARLY_MS,
            column.kind == int(Kind.VISIT),
            column.detail_digest == visit.digest,
        )
    return (await connection.execute(query.order_by(column.log_id, column.entry_index).limit(1))).one_or_none()


async def find_judgements(connection: Any, visits: Sequence[Any]) -> Mapping[bytes, Any]:
    """The same of many rows of `visits` with few queries: the gateways' entries by the visits' digests."""
    found: dict[bytes, Any] = {}
    for first in range(0, len(visits), _SOUGHT_AT_ONCE):
        some = visits[first : first + _SOUGHT_AT_ONCE]
        found |= await _placed(connection, [visit for visit in some if visit.entry_index is not None])
        found |= await _sought(connection, [visit for visit in some if visit.entry_index is None])
    return found


async def _placed(connection: Any, visits: Sequence[Any]) -> Mapping[bytes, Any]:
    if not visits:
        return {}
    column = tables.entries.c
    places = [(visit.entry_log_id, visit.entry_index) for visit in visits]
    at_places = tuple_(column.log_id, column.entry_index).in_(places)
    by_place = {
        (entry.log_id, entry.entry_index): entry for entry in await connection.execute(_judgements().where(at_places))
    }
    pairs = ((visit.digest, by_place.get(place)) for visit, place in zip(visits, places, strict=True))
    return {digest: entry for digest, entry in pairs if entry is not None}


async def _sought(connection: Any, visits: Sequence[Any]) -> Mapping[bytes, Any]:
    if not visits:
        return {}
    column, by_digest = tables.entries.c, {visit.digest: visit for visit in visits}
    query = _judgements().where(
        column.device.in_({visit.device for visit in visits}),
        column.observed_at_ms >= min(visit.ended_at_s for visit in visits) * 1000 - _EARLY_MS,
        column.kind == int(Kind.VISIT),
        column.detail_digest.in_(by_digest),
    )
    found: dict[bytes, Any] = {}
    for entry in await connection.execute(query.order_by(column.log_id, column.entry_index)):
        visit = by_digest[entry.detail_digest]
        is_its = (entry.device, gateway_of(entry.origin)) == (visit.device, visit.gateway)
        if is_its and entry.observed_at_ms >= visit.ended_at_s * 1000 - _EARLY_MS:
            found.setdefault(visit.digest, entry)
    return found


def _judgements() -> Any:
    column = tables.entries.c
    query = select(tables.entries, tables.logs.c.origin).join(tables.logs, tables.logs.c.log_id == column.log_id)
    return query.execution_options(every_shard="visits of all gateways, by their devices or places")
