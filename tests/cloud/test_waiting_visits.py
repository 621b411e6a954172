"""How many of a device's visits are looked at before a day is claimed, and for how long one is brought to the chain."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import select, update

from cloud.maintenance import recording, waiting
from cloud.maintenance.ground import Ground
from cloud.maintenance.records import AgreementRecord
from cloud.maintenance.view import MaintenanceView
from cloud.store import tables
from contracts.due import DAY_S, DoneDay, local_day
from contracts.entry import device_id
from contracts.visit import Visit, VisitClass
from tests.cloud.test_visits import NOW_S, Desk, open_desk
from tests.visits import LIFT, signed, visit_of

Run = Callable[[Any], Any]
OFFSET_S = 8 * 3600
TERMS = SimpleNamespace(
    device=device_id(LIFT), plan=visit_of(NOW_S).plan, firm=1, level=0, is_done=lambda **_seen: True
)  # fmt: skip
AGREEMENT = cast(AgreementRecord, SimpleNamespace(terms=TERMS))


def ground_of(desk: Desk) -> Ground:
    """What is known of a chain that has recorded nothing yet."""
    nothing = cast(Any, None)
    return Ground(
        store=desk.bench.store, reader=nothing, deployment=nothing, chain=nothing, view=MaintenanceView(),
        clock=desk.clock, known_offset=[OFFSET_S],
    )  # fmt: skip


def day_of(visit: Visit) -> DoneDay:
    return DoneDay(local_day(visit.ended_at_s, utc_offset_s=OFFSET_S), VisitClass.HALF_MONTH)


@asynccontextmanager
async def judged_visits(folder: Path, store_url: str, days: int) -> AsyncIterator[tuple[Desk, list[Visit]]]:
    """A visit of each of so many days, the newest first, which the gateway has judged."""
    async with open_desk(folder, store_url) as desk:
        await desk.send()
        visits = [visit_of(NOW_S - 7200 - day * DAY_S) for day in range(days)]
        for visit in visits:
            assert (await desk.post(signed(visit)))[0] == 200
            desk.judge(signed(visit), 3)
        await desk.send()
        yield desk, visits


@pytest.mark.parametrize("looked_at_max", [3, 4, 100])
def test_only_the_newest_visits_of_a_device_are_waited_for(
    run: Run, tmp_path: Path, kept: str, looked_at_max: int, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(waiting, "LOOKED_AT_MAX", looked_at_max)
    monkeypatch.setattr(waiting, "_AT_ONCE", 2)

    async def scenario() -> None:
        async with judged_visits(tmp_path, kept, 6) as (desk, visits):
            with caplog.at_level(logging.WARNING, "cloud.maintenance"):
                found = await waiting.waiting_days(ground_of(desk), AGREEMENT)
            assert set(found) == set(map(day_of, visits[:looked_at_max]))
            said = f"it has {looked_at_max} visits of a year or more"
            assert (said in caplog.text) is (looked_at_max < len(visits))

    run(scenario())


def test_nobody_waits_for_a_visit_that_no_chain_has_after_a_year(run: Run, tmp_path: Path, kept: str) -> None:
    async def scenario() -> None:
        async with judged_visits(tmp_path, kept, 2) as (desk, visits):
            ground, column = ground_of(desk), tables.visits.c
            assert await recording.Recording(ground).step()
            assert set(await waiting.waiting_days(ground, AGREEMENT)) == set(map(day_of, visits))
            async with desk.bench.store.write() as connection:
                old = {"started_at_s": NOW_S - 367 * DAY_S, "ended_at_s": NOW_S - 367 * DAY_S + 1800}
                await connection.execute(update(tables.visits).where(column.digest == visits[1].digest()).values(**old))
            assert set(await waiting.waiting_days(ground, AGREEMENT)) == {day_of(visits[0])}

    run(scenario())


def test_what_came_over_a_year_ago_is_not_looked_for_among_judgements_for_ever(
    run: Run, tmp_path: Path, kept: str
) -> None:
    async def scenario() -> None:
        async with judged_visits(tmp_path, kept, 2) as (desk, visits):
            old = visits[1].digest()
            async with desk.bench.store.write() as connection:
                received = {"received_at_ms": (NOW_S - 367 * DAY_S) * 1000}
                await connection.execute(update(tables.visits).where(tables.visits.c.digest == old).values(**received))
            part = recording.Recording(ground_of(desk))
            assert await part.step() and not await part.step()
            async with desk.bench.store.read() as connection:
                wishes = (await connection.execute(select(tables.intents.c.business_key))).scalars().all()
            assert wishes == [f"visit:{visits[0].digest().hex()}"]

    run(scenario())
