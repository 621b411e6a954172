"""Which kept visits a visit is held against: asked for each rule by what that rule compares, the nearest first where
there may be more than anybody can look at.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Select, and_, func, or_, select

from cloud.integrity.facts import Limits, VisitFacts
from cloud.integrity.near import alike
from cloud.integrity.phone import shares_phone
from cloud.store import tables

__all__ = ["days_around", "find_neighbours", "of_people"]

_DAY_S = 86_400
_AROUND_S = 2 * _DAY_S  # no visit takes longer than one day
_EACH_MAX = 400
_ALIKE_MAX = 100
_PICTURES_MAX = 20_000

_SIGNERS = tables.visit_signers.c


async def find_neighbours(connection: Any, visit: VisitFacts, limits: Limits) -> Sequence[bytes]:
    """Digests of the other visits that the rules may ask about beside this one."""
    queries = [
        _of_people(visit.signers[: visit.mechanics], *days_around(visit)),
        _of_device(visit),
        *_with_its_phones(visit),
        *_with_one_phone(visit, limits),
    ]
    found = [digest for query in queries for digest in (await connection.execute(query)).scalars()]
    found += await _alike(connection, visit, limits)
    return [digest for digest in dict.fromkeys(found) if digest != visit.digest]


async def of_people(connection: Any, people: Collection[bytes], from_s: int, to_s: int) -> Sequence[bytes]:
    """Digests of visits that these keys signed between two instants."""
    found: Sequence[bytes] = (await connection.execute(_of_people(people, from_s, to_s))).scalars().all()
    return found


def days_around(visit: VisitFacts) -> tuple[int, int]:
    """From when to when (s) a visit may begin that has to do with where people were during this one."""
    return visit.started_at_s - _AROUND_S, visit.ended_at_s + _AROUND_S


def _of_people(people: Collection[bytes], from_s: int, to_s: int) -> Select[Any]:
    """Those of mechanics alone: a site's manager signs beside everybody."""
    theirs = and_(_SIGNERS.signer.in_(people), _SIGNERS.started_at_s.between(from_s, to_s))
    return _signed(theirs).order_by(func.abs(_SIGNERS.started_at_s - (from_s + to_s) // 2)).limit(_EACH_MAX)


def _of_device(visit: VisitFacts) -> Select[Any]:
    column = tables.visits.c
    beside = and_(column.device == visit.device, column.started_at_s.between(*days_around(visit)))
    nearest = func.abs(column.started_at_s - visit.started_at_s)
    return select(column.digest).where(beside).order_by(nearest, column.digest).limit(_EACH_MAX)


def _with_its_phones(visit: VisitFacts) -> Sequence[Select[Any]]:
    """Those that are the same signature of one of its phones, however long ago."""
    places = [and_(_SIGNERS.phone == one.name, _SIGNERS.number == one.number) for one in visit.phones]
    return [_signed(or_(*places)).order_by(_SIGNERS.started_at_s.desc()).limit(_EACH_MAX)] if places else []


def _with_one_phone(visit: VisitFacts, limits: Limits) -> Sequence[Select[Any]]:
    """Those of its mechanics that two people signed on one phone, if this is one."""
    if not shares_phone(visit):
        return []
    since = visit.started_at_s - limits.one_phone_days * _DAY_S
    other, people = tables.visit_signers.alias(), visit.signers[: visit.mechanics]
    shared = and_(
        _SIGNERS.signer.in_(people),
        _SIGNERS.started_at_s.between(since, visit.started_at_s),
        other.c.digest == _SIGNERS.digest,
        other.c.position != _SIGNERS.position,
        other.c.phone == _SIGNERS.phone,
    )
    return [_signed(shared).order_by(_SIGNERS.started_at_s.desc()).limit(_EACH_MAX)]


def _signed(chosen: Any) -> Select[Any]:
    """Each visit once, whichever of its signatures were chosen."""
    return select(_SIGNERS.digest).where(chosen).group_by(_SIGNERS.digest, _SIGNERS.started_at_s)


async def _alike(connection: Any, visit: VisitFacts, limits: Limits) -> Sequence[bytes]:
    """Those with a photograph that is one of its new ones, or looks like one: many are compared at once, the rule
    decides.
    """
    column, photos = tables.visit_files.c, [photo for photo in visit.photos if photo.is_new]
    if not photos:
        return ()
    same = select(column.digest).where(column.sha256.in_([photo.sha256 for photo in photos]))
    found = list((await connection.execute(same.distinct().limit(_EACH_MAX))).scalars())
    wanted = [column.digest, column.dhash, tables.visits.c.device]
    wanted += [column.shapes] if any(photo.is_here for photo in photos) else []
    held = select(*wanted).join(tables.visits, tables.visits.c.digest == column.digest)
    newest = held.where(column.digest != visit.digest).order_by(column.stored_at_ms.desc()).limit(_PICTURES_MAX)
    rows = (await connection.execute(newest)).all()
    if rows:
        theirs = select(_SIGNERS.digest).where(_SIGNERS.signer.in_(visit.signers[: visit.mechanics]))
        people = set((await connection.execute(theirs)).scalars())
        own = [row.device == visit.device or row.digest in people for row in rows]
        near = await asyncio.to_thread(alike, photos, rows, own, limits)
        found += sorted(near, key=lambda digest: (near[digest], digest))[:_ALIKE_MAX]
    return found
