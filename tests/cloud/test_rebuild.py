"""The store made anew from segments: the same to the last row, resumable, and a lost one brought back."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from cloud.errors import RebuildError
from cloud.identity.audit import Act, AuditLog
from cloud.identity.vault import open_vault
from cloud.rebuild import DERIVED, entries
from cloud.rebuild.rebuild import Rebuilt, rebuild
from cloud.segments import Archive
from cloud.segments.writer import SegmentWriter
from cloud.settings import CloudSettings, load_settings
from cloud.store import Store, sqlite_url, tables
from contracts import ed25519
from contracts.checkpoint import audit_origin
from contracts.entry import Kind
from contracts.segment import decode_frame, encode_frame, segment_header
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.test_segments import OTHER, grow, write_all

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@asynccontextmanager
async def filled(store_url: str, folder: Path) -> AsyncIterator[tuple[Bench, CloudSettings, list[SimulatedGateway]]]:
    """Two logs with boundaries, a signed super-log, segments, and something that is primary."""
    (folder / "cloud.toml").write_text(
        f'[cloud]\nlisten = "127.0.0.1:1"\ndata_dir = "data"\n[store]\nurl = "{store_url}"\n'
        '[super_log]\norigin = "demo.minglou.example/log"\n'
    )
    settings = load_settings(folder / "cloud.toml")
    settings.data_dir.mkdir(exist_ok=True)
    gateways = [SimulatedGateway(), SimulatedGateway(origin=OTHER)]
    vault = open_vault(settings.keys_dir, settings.master_key_file)
    async with open_bench(store_url, sealer=vault) as bench:
        for gateway in gateways:
            bench.keys.enrol(gateway)
            await grow(bench, gateway, 5, entries=40)
            gateway.log(Kind.READING, "urn:minglou:cuiyuan:b07:meter:0101-abc", "1-0:1.8.0*20261023", 70)
            await bench.send(gateway, gateway.size - 1)
        audit = AuditLog(bench.store, audit_origin(bench.super_log.origin), ed25519.key_from_seed(bytes(32)))
        for _ in range(3):
            await audit.write(Act.SIGNED_IN, at_ms=6)
            await audit.sign_head(now_ms=6)
            await bench.super_log.sequence(bench.store)
        await bench.super_log.sign_head(bench.store, now_ms=7)
        for gateway in gateways:
            await grow(bench, gateway, 3)
        await audit.write(Act.SIGNED_OUT, at_ms=8)
        await audit.sign_head(now_ms=8)
        await bench.store.notice("something that is primary", at_ms=1)
        yield bench, settings, gateways


def lose(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


async def rebuilt(settings: CloudSettings, **options: Any) -> Rebuilt:
    return await rebuild(settings, into=options.get("into"), say=options.get("say", lambda _line: None))


def test_a_rebuilt_store_is_the_present_one_to_the_last_row(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with filled(store_url, tmp_path) as (_bench, settings, gateways):
            into = sqlite_url(tmp_path / "fresh.sqlite3")
            done = await rebuilt(settings, into=into)
            assert [one.difference for one in done.tables if not one.is_same] == []
            rows = {one.table: one.rows_rebuilt for one in done.tables}
            assert done.entries == rows["entries"] == sum(gateway.size for gateway in gateways)
            assert rows["boundaries"] == 2 and rows["notices"] == 1 and rows["checkpoints"] == rows["super_head"] * 18
            assert (rows["audit_entries"], rows["audit_nodes"], rows["audit_heads"]) == (4, 7, 4)
            assert rows["super_nodes"] > 18 + 4
            assert all(one.digest_present == one.digest_rebuilt for one in done.tables)
            assert (await rebuilt(settings, into=into)).is_same, "once more into the same place"

    run(scene())


def test_every_derived_table_is_one_and_differences_are_named(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with filled(store_url, tmp_path) as (bench, settings, _gateways):
            assert set(DERIVED) <= set(tables.metadata.tables)
            archive = Archive(settings.segments.folder)
            writer = SegmentWriter(bench.store, archive)
            await writer.prepare()
            await write_all(writer)
            archive.unlock()
            async with bench.store.write() as connection:
                logs = sorted((await connection.execute(select(tables.logs.c.log_id))).scalars())
                column = tables.entries.c
                changed = (column.log_id == logs[0]) & (column.entry_index == 30)
                await connection.execute(update(tables.entries).where(changed).values(value=999_999))
                await connection.execute(delete(tables.boundaries).where(tables.boundaries.c.log_id == logs[1]))
            done = await rebuilt(settings, into=sqlite_url(tmp_path / "fresh.sqlite3"))
            said = {one.table: one.difference for one in done.tables if not one.is_same}
            assert set(said) == {"entries", "boundaries"}
            assert "entry_index 30: value differ" in said["entries"]
            assert said["boundaries"].endswith("not in the present store")

    run(scene())


def test_a_lost_store_comes_back_and_its_gateways_go_on(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "cloud.sqlite3"

    async def scene() -> None:
        async with filled(sqlite_url(path), tmp_path) as (bench, settings, gateways):
            await rebuilt(settings, into=sqlite_url(tmp_path / "fresh.sqlite3"))  # brings the segments up to date
            note = await bench.super_log.latest(bench.store)
        lose(path)
        said = list[str]()
        done = await rebuilt(settings, say=said.append)
        assert done.entries == sum(gateway.size for gateway in gateways) and not done.tables
        assert any("1 notes of the super-log restored" in line for line in said)
        async with open_bench(path) as again:
            for gateway in gateways:
                again.keys.enrol(gateway)
                before = gateway.size
                gateway.log_readings(5)
                assert await again.send(gateway, before) == gateway.size
            assert await again.super_log.latest(again.store) == note
            assert await again.super_log.sign_head(again.store, now_ms=9) is not None

    run(scene())


def test_an_interrupted_rebuild_goes_on_where_it_was(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "_ENTRIES_AT_ONCE", 50)
    written = list[int]()
    real = entries._write

    async def dying(fresh: Store, portion: Any, *arguments: Any, **options: Any) -> None:
        if len(written) == 3:
            raise KeyboardInterrupt
        await real(fresh, portion, *arguments, **options)
        written.append(len(portion.entries))

    async def scene() -> None:
        async with filled(sqlite_url(tmp_path / "cloud.sqlite3"), tmp_path) as (_bench, settings, gateways):
            into = sqlite_url(tmp_path / "fresh.sqlite3")
            with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
                patched.setattr(entries, "_write", dying)
                await rebuilt(settings, into=into)
            first = sum(written)
            assert 0 < first < sum(gateway.size for gateway in gateways)
            again = list[int]()

            async def counting(fresh: Store, portion: Any, *arguments: Any, **options: Any) -> None:
                again.append(len(portion.entries))
                await real(fresh, portion, *arguments, **options)

            with monkeypatch.context() as patched:
                patched.setattr(entries, "_write", counting)
                done = await rebuilt(settings, into=into)
            assert done.is_same and sum(again) == done.entries - first, "nothing twice"

    run(scene())


def test_what_does_not_hold_is_not_rebuilt(tmp_path: Path, run: Run) -> None:
    async def scene() -> None:
        async with filled(sqlite_url(tmp_path / "cloud.sqlite3"), tmp_path) as (_bench, settings, gateways):
            with pytest.raises(RebuildError, match="holds the present store"):
                await rebuilt(settings, into=settings.store_url)
            await rebuilt(settings, into=sqlite_url(tmp_path / "fresh.sqlite3"))
            files = Archive(settings.segments.folder).log(gateways[0].origin)
            (path,) = files.segments()
            frames = [decode_frame(one) for one in files.frames()]
            for number, (change, says) in enumerate(
                (
                    (
                        lambda frame: replace(frame, slots=bytes(31) + b"\x02" + frame.slots[32:]),
                        "restore them from another copy",
                    ),
                    (lambda frame: replace(frame, super_index=frame.super_index + 1_000), "missing or stands twice"),
                )
            ):
                changed = [change(frame) if at == 2 else frame for at, frame in enumerate(frames)]
                path.write_bytes(segment_header(files.origin) + b"".join(map(encode_frame, changed)))
                with pytest.raises(RebuildError, match=says):
                    await rebuilt(settings, into=sqlite_url(tmp_path / f"broken{number}.sqlite3"))

    run(scene())
