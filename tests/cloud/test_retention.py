"""Retention and erasure: what was kept long enough is a hash, and every proof is as it was."""

import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cloud.chain.records import ChallengeRecord, PeriodRecord
from cloud.copies.acknowledgements import Acknowledgements
from cloud.directory import FORMAT
from cloud.errors import SettingsError, StoreError
from cloud.evidence import EvidenceRoom
from cloud.identity.vault import open_vault
from cloud.rebuild.rebuild import rebuild
from cloud.retention import keeper
from cloud.retention.command import run_erase, run_retain
from cloud.retention.holds import Holds, holds_of
from cloud.retention.keeper import Retention, Retired
from cloud.retention.periods import Periods
from cloud.retention.requests import erase_places
from cloud.segments import Archive
from cloud.settings import CloudSettings, load_settings
from cloud.store import sqlite_url, tables
from cloud.store.logs import log_number
from cloud.store.months import partitions
from cloud.store.trees import LogTree, walk
from cloud.tiles import TileRoom
from contracts import ed25519
from contracts.checkpoint import Checkpoint
from contracts.copy_note import CopyKeeper, sign_acknowledgement
from contracts.entry import Kind
from contracts.segment import decode_frame, verify_frame
from contracts.tiles import Tile
from contracts.tree import inclusion_path, leaf_hash, root_of
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.test_months import TurnedClock
from tests.cloud.test_rebuild import lose
from tests.cloud.test_segments import write_all, writing

Run = Callable[[Coroutine[Any, Any, Any]], Any]
METER = "urn:minglou:cuiyuan:b07:meter:0101-abc"
LIFT = "urn:minglou:cuiyuan:b07:lift:l1"
DOOR = "urn:minglou:cuiyuan:b07:access:d1"
NOW = 202611
MONTHS = (202210, 202509, 202510, 202607, 202610)
A_MONTH = 17  # entries: 12 readings and what `log_month` logs beside them


@dataclass
class Town:
    """A cloud that was filled over the years, and what its gateway logged."""

    bench: Bench
    clock: TurnedClock
    gateway: SimulatedGateway
    settings: CloudSettings

    @property
    def log_id(self) -> int:
        return log_number(self.gateway.origin)

    def retention(self, holds: Holds | None = None, copies: Sequence[str] = (), **months: int) -> Retention:
        periods = Periods({**Periods().months, **months}, copies_wait_days=35)
        retention = Retention(self.bench.store, periods, self.clock, chain_id=None, copies=copies)
        if holds is not None:

            async def told() -> Holds:
                return holds

            retention._holds = told  # type: ignore[method-assign]
        return retention

    async def kinds(self) -> list[int]:
        """The kind of every entry, 0 for erased ones."""
        column = tables.entries.c
        async with self.bench.store.read() as connection:
            query = select(column.kind).where(column.log_id == self.log_id).order_by(column.entry_index)
            return list((await connection.execute(query)).scalars())

    async def erased(self) -> set[int]:
        return {index for index, kind in enumerate(await self.kinds()) if kind == 0}

    async def check_proofs(self) -> None:
        """Root, paths and tiles are those of the entries as they were logged."""
        size, tree = self.gateway.size, self.gateway.tree()
        leaves = [leaf_hash(entry) for entry in self.gateway.entries]
        async with self.bench.store.read() as connection:
            log = LogTree(self.log_id)
            assert await log.leaf_hashes(connection, 0, size) == leaves
            assert await walk(connection, log, lambda node: root_of(node, size)) == tree.root()
            for index in range(0, size, 5):
                path = await walk(connection, log, lambda node, index=index: inclusion_path(node, index, size))
                assert path == inclusion_path(tree.node, index, size)
        tile = Tile(level=0, index=0, width=size)
        room = TileRoom(store=self.bench.store, super_log=self.bench.super_log)
        assert await room.log_tile(self.gateway.origin, tile) == b"".join(leaves)


def log_month(gateway: SimulatedGateway, clock: TurnedClock, month: int) -> None:
    """A month's entries: readings, a boundary, a door, a lift's status, a visit with its verdict."""
    for minute in range(12):
        detail: dict[str, object] | None = {"source": "poll"} if minute % 2 else None
        gateway.log(Kind.READING, METER, "1-0:1.8.0", 7, detail=detail, at_ms=clock.now + minute)
    gateway.log(Kind.READING, METER, f"1-0:1.8.0*{month}15", 9, at_ms=clock.now)
    gateway.log(Kind.ACCESS, DOOR, "access.granted", 1, at_ms=clock.now)
    gateway.log(Kind.STATUS, LIFT, "lift.mode", 1, at_ms=clock.now)
    gateway.log_visit(LIFT, 3, month.to_bytes(32), at_ms=clock.now)


@asynccontextmanager
async def filled(store_url: str, folder: Path) -> AsyncIterator[Town]:
    (folder / "cloud.toml").write_text(
        f'[cloud]\nlisten = "127.0.0.1:1"\ndata_dir = "data"\n[store]\nurl = "{store_url}"\n'
        '[super_log]\norigin = "demo.minglou.example/log"\n'
    )
    clock, gateway = TurnedClock(MONTHS[0]), SimulatedGateway()
    settings = replace(load_settings(folder / "cloud.toml"), clock=clock)
    settings.data_dir.mkdir()
    vault = open_vault(settings.keys_dir, settings.master_key_file)
    async with open_bench(store_url, clock=clock, sealer=vault) as bench:
        bench.keys.enrol(gateway)
        for month in MONTHS:
            clock.turn_to(month)
            start = gateway.size if gateway.size > 1 else 0
            log_month(gateway, clock, month)
            await bench.send(gateway, start)
        clock.turn_to(NOW)
        yield Town(bench, clock, gateway, settings)


def places(month: int, *of_month: int) -> set[int]:
    """Indexes of a month's entries by their order in it; all of them where none is named."""
    first = 1 + MONTHS.index(month) * A_MONTH
    return {first + at for at in of_month or range(A_MONTH)}


READINGS, BOUNDARY, ACCESS = range(12), 12, 13
DUE = (
    places(202210)
    | places(202509, *READINGS, ACCESS)
    | places(202510, ACCESS)  # its readings have been kept for thirteen months only when this one is over
    | places(202607, ACCESS)
)


def test_each_kind_of_data_is_erased_when_its_time_is_over_and_all_proofs_stay(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    async def scene() -> None:
        async with filled(store_url, tmp_path) as town:
            done = await town.retention().run()
            assert done is not None and done.entries == len(DUE)
            assert await town.erased() == DUE
            await town.check_proofs()
            await look_at_what_is_left(town, done)
            assert (await town.retention().run()) == Retired(entries=0), "once more, nothing is left to do"
            town.clock.turn_to(202612)
            assert await town.retention().run() is not None
            assert await town.erased() == DUE | places(202510, *READINGS)
            await town.check_proofs()
            before = town.gateway.size
            town.gateway.log_readings(5)
            assert await town.bench.send(town.gateway, before - 3) == before + 5

    run(scene())


async def look_at_what_is_left(town: Town, done: Retired) -> None:
    """Erased rows hold nothing, what was derived went with them, and PostgreSQL's empty partitions are gone."""
    async with town.bench.store.read() as connection:
        rows = (await connection.execute(select(tables.entries).where(tables.entries.c.kind == 0))).all()
        leaves = {row.leaf_hash for row in rows}
        assert leaves == {leaf_hash(town.gateway.entries[index]) for index in DUE}
        nothing = {tuple(row)[2:10] for row in rows}
        assert nothing == {(0, b"", 0, "", 0, b"", b"", None)}
        days = (await connection.execute(select(tables.boundaries.c.boundary_date))).scalars()
        assert sorted(days) == [month * 100 + 15 for month in MONTHS[1:]]
        if town.bench.store.is_postgres:
            assert set(done.partitions) == {"entries_202210", "entries_202509"}
            names = {one.name for one in await partitions(connection)}
            assert {"entries_left_of_2022", "entries_left_of_2025", "entries_202510"} <= names
            assert not {"entries_202210", "entries_202509"} & names


def test_an_erased_entry_is_told_with_its_proof_and_why(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with filled(store_url, tmp_path) as town:
            await town.retention().run()
            origin, access = town.gateway.origin, min(places(202607, ACCESS))
            assert await erase_places(town.bench.store, origin, [access + 1], says="asked for", now_ms=town.clock.now)
            room = EvidenceRoom(store=town.bench.store, view=None, deployment=None, super_origin="h/log")
            for index, says in ((access, "by retention on 2026-11-15 (access: kept 3 months)"), (access + 1, "on req")):
                assert await room.evidence(origin, index) is None
                left = await room.erased(origin, index)
                assert left is not None and left.leaf == leaf_hash(town.gateway.entries[index])
                assert left.path == tuple(inclusion_path(town.gateway.tree().node, index, left.size))
                assert says in left.to_json()["message"]
            assert await room.erased(origin, 0) is None and await room.erased(origin, 10_000) is None

    run(scene())


def test_retention_may_be_stopped_between_any_two_pieces(
    tmp_path: Path, store_url: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "ENTRIES_AT_ONCE", 20)
    real, pieces = keeper.erase_range, list[int]()

    async def dying(*arguments: Any, **options: Any) -> int:
        if len(pieces) == 3:
            pieces.append(-1)
            raise KeyboardInterrupt
        pieces.append(await real(*arguments, **options))
        return pieces[-1]

    async def scene() -> None:
        async with filled(store_url, tmp_path) as town:
            with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
                patched.setattr(keeper, "erase_range", dying)
                await town.retention().run()
            first = len(await town.erased())
            assert 0 < first < len(DUE)
            await town.check_proofs()
            done = await town.retention().run()
            assert done is not None and done.entries == len(DUE) - first, "nothing twice"
            assert await town.erased() == DUE

    run(scene())


def test_what_bills_and_disputes_rest_on_is_kept_until_their_time_is_over(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    async def scene() -> None:
        async with filled(store_url, tmp_path) as town:
            old, disputed = (20220101, 20221015), (20250101, 20250920)
            held = Holds(boundaries=(old,), readings=(disputed,))
            kept = places(202210, BOUNDARY) | places(202509, *READINGS)
            await town.retention(held).run()
            assert await town.erased() == DUE - kept
            assert await town.retention(held).run() == Retired(entries=0)
            unknown = Holds(is_known=False)
            assert await town.retention(unknown).run() == Retired(entries=0), "nobody knows what is disputed"
            done = await town.retention(Holds()).run()
            assert done is not None and done.entries == len(kept)
            assert await town.erased() == DUE
            await town.check_proofs()

    run(scene())


def test_a_period_holds_its_year_while_it_is_young_and_its_readings_while_it_is_disputed() -> None:
    def closed(period: int, at_s: int, window_end_s: int = 0) -> PeriodRecord:
        return PeriodRecord(
            period=period, root=b"", sums=0, unit_count=1, window_end_s=window_end_s, closed_at_s=at_s,
            block_number=1, transaction_hash="0x",
        )  # fmt: skip

    old, young, open_one = 2021060120210701, 2024060120240701, 2020060120200701
    dispute = ChallengeRecord(
        period=open_one, unit_index=1, line=0, amount=1, deadline_s=1, opened_at_s=1, transaction_hash="0x"
    )
    times = {old: 1_625_000_000, young: 1_720_000_000, open_one: 1_594_000_000}
    records = [closed(period, at_s) for period, at_s in times.items()]
    held = holds_of(records, [dispute], now_s=1_764_000_000, boundaries_due=202210)
    assert held.boundaries == ((20240101, 20240701), (20200101, 20200701))
    assert held.readings == ((20200101, 20200701),)
    settled = holds_of(records, [replace(dispute, state="answered")], now_s=1_764_000_000, boundaries_due=202210)
    assert settled.boundaries == ((20240101, 20240701),) and not settled.readings
    window = holds_of([closed(young, 1_720_000_000, 2**40)], [], now_s=1_764_000_000, boundaries_due=202210)
    assert window.readings == ((20240101, 20240701),)


def test_segments_follow_and_a_rebuilt_store_is_the_present_one(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with filled(store_url, tmp_path) as town:
            async with writing(town.bench, town.settings.segments.folder) as (archive, writer):
                await write_all(writer)
                secret = town.gateway.entries[min(DUE)][192:208]
                assert secret in on_disk(archive, town.gateway)
                said = list[str]()
                assert await run_retain(town.settings, said.append) == 0
                assert "the running cloud erases it from the segments" in said
                await write_all(writer)
                assert secret not in on_disk(archive, town.gateway)
                frames = [decode_frame(one) for one in archive.log(town.gateway.origin).frames()]
                assert {frame.start + at for frame in frames for at in frame.erased()} == DUE
                assert all(verify_frame(frame, town.gateway.public) for frame in frames)
            done = await rebuild(town.settings, into=sqlite_url(tmp_path / "fresh.sqlite3"), say=lambda _line: None)
            assert [one.difference for one in done.tables if not one.is_same] == []

    run(scene())


def on_disk(archive: Archive, gateway: SimulatedGateway) -> bytes:
    return b"".join(path.read_bytes() for path in archive.log(gateway.origin).segments())


def test_a_lost_store_comes_back_with_what_was_erased_still_erased(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "cloud.sqlite3"

    async def scene() -> None:
        async with filled(sqlite_url(path), tmp_path) as town:
            assert await run_retain(town.settings, lambda _line: None) == 0
        lose(path)
        await rebuild(town.settings, into=None, say=lambda _line: None)
        async with open_bench(path) as bench:
            again = replace(town, bench=bench)
            assert await again.erased() == DUE
            await again.check_proofs()
            assert await again.retention().run() == Retired(entries=0)
            room = EvidenceRoom(store=bench.store, view=None, deployment=None, super_origin="h/log")
            left = await room.erased(town.gateway.origin, min(DUE))
            assert left is not None and "the record of it is lost" in left.to_json()["message"]

    run(scene())


def test_a_units_entries_are_erased_but_for_what_bills_rest_on(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with filled(store_url, tmp_path) as town:
            settings = replace(town.settings, directory_file=write_directory(tmp_path, town.gateway))
            said = list[str]()
            assert await run_erase(settings, entry=None, unit="b07-0101", reason="left", say=said.append) == 0
            young = {min(places(month, BOUNDARY)) for month in MONTHS[1:]}
            theirs = {index for month in MONTHS for index in places(month, *READINGS, BOUNDARY)} - young
            assert said[0].startswith("1 data keys were destroyed")
            assert await town.erased() == theirs and said[2:] == [
                f"{len(theirs)} entries were erased down to their hashes",
                "and from the segments",
            ]
            await town.check_proofs()
            async with town.bench.store.read() as connection:
                column = tables.audit_entries.c
                told = (await connection.execute(select(column.act, column.unit, column.body))).one()
            assert (told.act, told.unit) == ("erased", bytes.fromhex("ab" * 32)) and "all of b07-0101" in told.body
            with pytest.raises(SettingsError, match="no unit is named 'b99'"):
                await run_erase(settings, entry=None, unit="b99", reason="r")

    run(scene())


def write_directory(folder: Path, gateway: SimulatedGateway) -> Path:
    """A directory with one unit and its meter, whose gateway has begun another epoch meanwhile."""
    unit = {"index": 0, "name": "b07-0101", "building": "b07", "floor": 1, "alias": "ab" * 32, "area_centi_m2": 9_000}
    origin = gateway.origin.removesuffix("e0") + "e1"
    meter = {"urn": METER, "kind": "meter", "origin": origin, "counts_for": {"unit": unit["alias"]}}
    site = {"name": "cuiyuan", "title": "Cuiyuan", "timezone": "Asia/Shanghai"}
    path = folder / "directory.json"
    path.write_text(json.dumps({"format": FORMAT, "site": site, "units": [unit], "devices": [meter]}))
    return path


def test_one_entry_is_erased_by_its_place(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with filled(store_url, tmp_path) as town:
            origin, index, said = town.gateway.origin, min(places(202610)), list[str]()
            assert (
                await run_erase(town.settings, entry=f"{origin}/{index}", unit=None, reason="r", say=said.append) == 0
            )
            assert said[0].startswith("1 entries") and await town.erased() == {index}
            assert await erase_places(town.bench.store, origin, [index], says="r", now_ms=1) == 0
            await town.check_proofs()
            for log, place, says in ((origin, 0, "opens the log"), ("a/b/c/e0", 1, "nothing of a/b/c/e0 is held")):
                with pytest.raises(StoreError, match=says):
                    await erase_places(town.bench.store, log, [place], says="r", now_ms=1)

    run(scene())


def test_what_is_erased_leaves_every_replicas_folder_also_one_that_was_off_meanwhile(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    folders = [tmp_path / "cloud-0", tmp_path / "cloud-1"]

    async def write(town: Town, folder: Path) -> Archive:
        async with writing(town.bench, folder) as (archive, writer):
            await write_all(writer)
            return archive

    async def scene() -> None:
        async with filled(store_url, tmp_path) as town:
            secrets = {town.gateway.entries[index][192:208] for index in DUE}
            for folder in folders:
                before = on_disk(await write(town, folder), town.gateway)
                assert all(secret in before for secret in secrets)
            await town.retention().run()
            await write(town, folders[0])
            await write(town, folders[1])
            kept = town.gateway.entries[min(places(202610))][192:208]
            for folder in folders:
                on_its_disk = on_disk(Archive(folder), town.gateway)
                assert not any(secret in on_its_disk for secret in secrets) and kept in on_its_disk
            index = min(places(202610))
            await erase_places(town.bench.store, town.gateway.origin, [index], says="asked for", now_ms=town.clock.now)
            await write(town, folders[1])
            assert kept not in on_disk(Archive(folders[1]), town.gateway)
            assert kept in on_disk(Archive(folders[0]), town.gateway), "it has been off since"
            await write(town, folders[0])
            assert kept not in on_disk(Archive(folders[0]), town.gateway)

    run(scene())


def test_a_folder_that_followed_another_store_follows_this_one_from_its_first_erasure(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    async def scene() -> None:
        async with filled(store_url, tmp_path) as town:
            first, second = min(places(202610)), max(places(202610))
            secret = town.gateway.entries[first][192:208]
            async with writing(town.bench, tmp_path / "segments") as (archive, writer):
                await write_all(writer)
                archive.log(town.gateway.origin).note_erased("1 5 6 1 1700000000000")  # of a store that was lost
                for index in (first, second):
                    await erase_places(town.bench.store, town.gateway.origin, [index], says="r", now_ms=town.clock.now)
                await write_all(writer)
                assert secret not in on_disk(archive, town.gateway)

    run(scene())


def test_what_a_copy_has_not_acknowledged_waits_for_it_a_while_and_is_then_erased_and_said(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    key = ed25519.generate_key()
    keeper = CopyKeeper(name="committee.example/copy", public=ed25519.public_bytes(key))

    async def acknowledge(town: Town, months: int) -> None:
        size = 1 + months * A_MONTH
        head = Checkpoint(origin=town.gateway.origin, size=size, root=town.gateway.tree().root(size))
        note = sign_acknowledgement(head, keeper.name, key)
        assert (await Acknowledgements(town.bench.store, town.clock).take(keeper, [note])).taken == 1

    async def retire(town: Town) -> Sequence[str]:
        done = await town.retention(copies=[keeper.name]).run()
        assert done is not None
        await town.check_proofs()
        return done.says

    async def scene() -> None:
        async with filled(store_url, tmp_path) as town:
            await acknowledge(town, 1)
            said = await retire(town)
            # In November, 35 days ago it was October: what was due then waits no more, what is due since then does.
            waiting = places(202509, *READINGS) | places(202607, ACCESS)
            assert await town.erased() == DUE - waiting
            assert [("were erased that copy" in line, "wait for copy" in line) for line in said] == [(1, 0), (0, 1)]
            assert said[0] in await town.bench.store.latest_notices(5)
            await acknowledge(town, 2)
            assert "wait for copy committee.example/copy" in "".join(await retire(town))
            assert await town.erased() == DUE - places(202607, ACCESS)
            town.clock.turn_to(202612)
            await retire(town)
            assert await town.erased() == DUE, "of October's readings it is not 35 days that they are due"
            await acknowledge(town, len(MONTHS))
            assert not await retire(town)
            assert await town.erased() == DUE | places(202510, *READINGS)

    run(scene())


def test_a_copy_that_settings_name_no_more_holds_nothing_up(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with filled(store_url, tmp_path) as town:
            waiting = await town.retention(copies=["gone.example/copy"]).run()
            assert waiting is not None and await town.erased() < DUE
            done = await town.retention().run()
            assert done is not None and not done.says and await town.erased() == DUE

    run(scene())


def test_how_long_copies_are_waited_for_is_a_setting_within_bounds(tmp_path: Path) -> None:
    file = tmp_path / "cloud.toml"
    text = '[cloud]\nlisten = "127.0.0.1:1"\ndata_dir = "d"\n[super_log]\norigin = "a.example/log"\n[retention]\n'
    file.write_text(f"{text}copies_wait_days = 0\n")
    assert load_settings(file).retention.copies_wait_days == 0
    file.write_text(f"{text}copies_wait_days = 400\n")
    with pytest.raises(SettingsError, match="copies_wait_days is 400; write 0 to 366"):
        load_settings(file)
