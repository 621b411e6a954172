"""Visits are looked at over real rows: as they came, as their photographs came or ought to have, by their labels."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import select

from cloud.directory import DirectoryLabel
from cloud.integrity.flags import flags_of
from cloud.store import tables
from tests.cloud.house import House
from tests.cloud.photographs import jpeg, scene
from tests.cloud.test_visit_files import hand_in, lift_house, put

Run = Callable[[Any], Any]
HOUR_S, DAY_MS = 3_600, 86_400_000


def test_visits_are_looked_at_as_they_and_their_photos_come_in(run: Run, tmp_path: Path) -> None:
    """Over real rows: a copied photo in the second visit, taken an hour after the first; then nothing new."""
    original, forged = jpeg(scene(1)), jpeg(scene(1).rotate(180), quality=40)

    async def scenario() -> None:
        async with lift_house(tmp_path) as site:
            first = await hand_in(site, original, back_s=30 * HOUR_S)
            await put(site, first, original)
            desk = site.cloud.integrity
            while await desk.step():
                pass
            second = await hand_in(site, forged, salt=2)
            await put(site, second, forged)
            while await desk.step():
                pass
            names = [one.visit.digest() for one in (first, second)]
            async with site.cloud.store.read() as connection:
                told = await flags_of(connection, names)
                kinds = [(flag.kind, flag.visit, flag.other) for flag in told[names[1]]]
                assert kinds == [("photo", names[1], names[0])]
                assert told[names[0]] == told[names[1]]
                examined = (await connection.execute(select(tables.visits.c.examined))).scalars().all()
                assert set(examined) == {1}, "to be looked at again when their gateway has judged them"
            await _one_that_never_comes(site)

    run(scenario())


async def _one_that_never_comes(site: House) -> None:
    """Two named, one sent: the list waits a while for the rest, and is asked about days and weeks later."""
    sent, kept_back = jpeg(scene(20)), jpeg(scene(21))
    bundle = await hand_in(site, sent, kept_back, salt=3)
    column, desk, digest = tables.visits.c, site.cloud.integrity, bundle.visit.digest()

    async def asked() -> list[tuple[str, bool]]:
        while await desk.step():
            pass
        async with site.cloud.store.read() as connection:
            flags = (await flags_of(connection, [digest])).get(digest, ())
        return [(flag.reason.en.split(",")[0], flag.grave) for flag in flags if "not here" in flag.reason.en]

    async def look_in_ms() -> int:
        async with site.cloud.store.read() as connection:
            look_at_ms = select(column.look_at_ms).where(column.digest == digest)
            return int((await connection.execute(look_at_ms)).scalar_one()) - site.clock.at_ms

    assert await asked() == []
    await put(site, bundle, sent)
    assert 0 < await look_in_ms() < 3_600_000, "others may be on their way"
    told = (await site.browser().get("/lifts/b07-l1")).text
    assert "1 of 2 photographs are here" in told and "1 of 1 photograph is here" in told
    site.clock.at_ms += 3 * DAY_MS - 1
    assert await asked() == []
    site.clock.at_ms += 1
    first, second = ("3 days after the visit came", False), ("14 days after the visit came", True)
    assert await asked() == [first]
    site.clock.at_ms += 11 * DAY_MS
    assert await asked() == [first, second]
    await put(site, bundle, kept_back)
    assert await look_in_ms() == 0
    assert await asked() == [first, second], "what was asked stays; nothing more is"


def test_a_label_of_nothing_here_is_seen_on_the_way_in(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with lift_house(tmp_path) as site:
            held = site.cloud.directory.read()
            labelled = [
                replace(one, labels=(DirectoryLabel(place="car", digest=b"l" * 32),)) if one.kind == "lift" else one
                for one in held.devices
            ]
            known = replace(held, devices=labelled)
            site.cloud.directory.read = lambda: known  # type: ignore[method-assign]
            bundle = await hand_in(site)
            while await site.cloud.integrity.step():
                pass
            async with site.cloud.store.read() as connection:
                told = (await flags_of(connection, [bundle.visit.digest()]))[bundle.visit.digest()]
            assert "Labels scanned that belong to no device here: 1." in [flag.reason.en for flag in told]

    run(scenario())
