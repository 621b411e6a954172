"""Looks at each visit when it came, when its photographs came or ought to have come, and when it was judged; keeps what
looks odd.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import and_, select, update

from cloud.integrity import flags_of_visit
from cloud.integrity.facts import Limits, VisitFacts
from cloud.integrity.flags import raise_flags
from cloud.integrity.near import worth_opening
from cloud.integrity.neighbours import days_around, find_neighbours, of_people
from cloud.integrity.stored import Cells, Labels, load_facts, no_labels
from cloud.store import Store, tables
from cloud.store.upsert import insert_new_rows
from cloud.visits.bundles import bundle_of, signer_rows
from cloud.visits.letters import find_judgements
from contracts.clock import Clock

__all__ = ["Elsewhere", "IntegrityDesk"]

Elsewhere = Callable[[Collection[bytes], int, int], Awaitable[Sequence[VisitFacts]]]
"""Visits of these signers (SHA-256 of public keys) at other sites of this process, between two instants (s)."""

Opens = Callable[[bytes, bytes], Awaitable[bytes]]

NEW, WAITS, DONE = 0, 1, 2  # `visits.examined`
_DAY_S = 86_400
_AT_ONCE = 20
_WAITING_S = 62 * _DAY_S  # no gateway judges what is older
_WAITING_AT_ONCE = 500
_AGAIN_MS = 600_000  # a look that was cut short is taken again after this
_OPENED_MAX = 200
# What a judgement is found by; the lists are long.
_PLACES = [
    tables.visits.c[name] for name in ("digest", "device", "gateway", "ended_at_s", "entry_log_id", "entry_index")
]


async def _nowhere(_signers: Collection[bytes], _from_s: int, _to_s: int) -> Sequence[VisitFacts]:
    return ()


class IntegrityDesk:
    """Runs the rules over kept visits."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        cells: Cells,
        grey: Opens,
        labels: Labels = no_labels,
        limits: Limits | None = None,
        elsewhere: Elsewhere = _nowhere,
    ) -> None:
        """`grey` opens a visit's photograph, in grey and small, to compare; empty where it cannot."""
        self._store, self._clock, self._cells, self._labels, self._grey = store, clock, cells, labels, grey
        self._limits, self.elsewhere = limits or Limits(), elsewhere

    async def step(self) -> bool:
        """Look at some of the visits whose time has come; whether there may be more."""
        digests = await self._to_examine()
        for digest in digests:
            await self._examine(digest)
        return len(digests) >= _AT_ONCE

    async def visits_of(self, signers: Collection[bytes], from_s: int, to_s: int) -> Sequence[VisitFacts]:
        """This site's visits of these signers between two instants: what another site's desk asks."""
        async with self._store.read() as connection:
            found = await self._facts(connection, await of_people(connection, signers, from_s, to_s))
        return [replace(visit, is_here=False) for visit in found]

    async def _to_examine(self) -> Sequence[bytes]:
        """Those whose time has come, and those whose verdict came."""
        column, now_ms = tables.visits.c, self._clock.now_ms()
        newest = column.started_at_s.desc()
        waits = and_(column.examined == WAITS, column.started_at_s > now_ms // 1000 - _WAITING_S)
        async with self._store.read() as connection:
            due = select(column.digest).where(column.look_at_ms <= now_ms).order_by(newest).limit(_AT_ONCE)
            found = list((await connection.execute(due)).scalars())
            if len(found) < _AT_ONCE:
                rest = select(*_PLACES).where(waits).order_by(newest).limit(_WAITING_AT_ONCE)
                waiting = (await connection.execute(rest)).all()
                judged = await find_judgements(connection, waiting)
                found += [row.digest for row in waiting if row.digest in judged]
        return list(dict.fromkeys(found))[:_AT_ONCE]

    async def _examine(self, digest: bytes) -> None:
        now_ms = self._clock.now_ms()
        row = await self._claim(digest, now_ms)
        if row is None:
            return
        async with self._store.read() as connection:
            (visit,) = await load_facts(connection, [row], cells=self._cells, labels=self._labels)
            visit = replace(visit, waited_s=(now_ms - row.received_at_ms) // 1000)
            others = await self._others(connection, visit)
        visit, *others = await self._opened(visit, others)
        others += await self.elsewhere(visit.signers[: visit.mechanics], *days_around(visit))
        flags = await asyncio.to_thread(flags_of_visit, visit, others, self._limits)
        devices = {one.digest: one.device for one in (visit, *others)}
        async with self._store.write() as connection:
            await raise_flags(connection, devices, flags, now_ms=now_ms)
            await self._note(connection, visit, now_ms, received_at_ms=row.received_at_ms)

    async def _claim(self, digest: bytes, now_ms: int) -> Any:
        """Its row. What comes while it is looked at makes it new again, and nothing overwrites that."""
        column = tables.visits.c
        async with self._store.write() as connection:
            claim = update(tables.visits).where(column.digest == digest)
            await connection.execute(claim.values(examined=WAITS, look_at_ms=now_ms + _AGAIN_MS))
            row = (await connection.execute(select(tables.visits).where(column.digest == digest))).one_or_none()
            if row is not None:
                await insert_new_rows(connection, tables.visit_signers, signer_rows(bundle_of(row)))
            return row

    async def _note(self, connection: Any, visit: VisitFacts, now_ms: int, *, received_at_ms: int) -> None:
        """That it was looked at, and when that is to be done again."""
        column = tables.visits.c
        change = update(tables.visits).where(column.digest == visit.digest, column.examined == WAITS)
        again_ms = self._asked_again_ms(visit, now_ms, received_at_ms)
        examined = WAITS if visit.verdict is None else DONE
        await connection.execute(change.values(examined=examined, looked_at_ms=now_ms, look_at_ms=again_ms))

    def _asked_again_ms(self, visit: VisitFacts, now_ms: int, received_at_ms: int) -> int | None:
        """When to ask for photographs that have not come; None where all have, or nobody will ask again."""
        if all(photo.is_here for photo in visit.photos):
            return None
        days = (self._limits.missing_photo_days, self._limits.grave_missing_photo_days)
        times_ms = (received_at_ms + one * _DAY_S * 1000 for one in days)
        return next((at_ms for at_ms in times_ms if at_ms > now_ms), None)

    async def _others(self, connection: Any, visit: VisitFacts) -> Sequence[VisitFacts]:
        """The visits that it is held against; those of its device with their verdicts."""
        digests = await find_neighbours(connection, visit, self._limits)
        return await self._facts(connection, digests, judged_of=visit.device)

    async def _facts(
        self, connection: Any, digests: Sequence[bytes], *, judged_of: bytes | None = None
    ) -> Sequence[VisitFacts]:
        query = select(tables.visits).where(tables.visits.c.digest.in_(digests))
        rows = (await connection.execute(query)).all() if digests else ()
        judged = {row.digest for row in rows if row.device == judged_of}
        return await load_facts(connection, rows, cells=self._cells, labels=self._labels, judged=judged)

    async def _opened(self, visit: VisitFacts, others: Sequence[VisitFacts]) -> list[VisitFacts]:
        """The same visits, with those photographs opened that are to be laid onto each other."""
        wanted = await asyncio.to_thread(worth_opening, visit, others, self._limits, count=_OPENED_MAX)
        greys = {one: await self._grey(*one) for one in wanted}
        return [_with_greys(one, greys) for one in (visit, *others)]


def _with_greys(visit: VisitFacts, greys: Mapping[tuple[bytes, bytes], bytes]) -> VisitFacts:
    photos = [replace(photo, grey=greys.get((visit.digest, photo.sha256), b"")) for photo in visit.photos]
    return replace(visit, photos=tuple(photos))
