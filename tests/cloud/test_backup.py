"""Backups that come back: beside a running ingest, to the last row, and never over something or from something else."""

import argparse
import asyncio
import json
import os
import shutil
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import cloud.backup.backup as taking
import cloud.backup.restore as restoring
from cloud.backup.backup import LIST, read_list, take_backup
from cloud.backup.command import run_backup
from cloud.backup.drill import drill
from cloud.backup.engines import dump_name, is_empty, run_program, snapshot_of
from cloud.backup.restore import restore
from cloud.errors import BackupError
from cloud.rebuild.compare import compare_stores
from cloud.segments import Archive
from cloud.segments.writer import SegmentWriter
from cloud.settings import CloudSettings, load_settings
from cloud.store import Store, sqlite_url
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.test_rebuild import Run, filled
from tests.cloud.test_segments import grow, write_all
from tests.postgres import PostgresServer, installed_programs
from tests.processes import REPOSITORY


def quiet(_line: str) -> None:
    """Nobody listens."""


async def write_segments(bench: Bench, settings: CloudSettings) -> None:
    archive = Archive(settings.segments.folder)
    writer = SegmentWriter(bench.store, archive)
    await writer.prepare()
    await write_all(writer)
    archive.unlock()


def empty_place(store_url: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """The URL of an empty store of the same kind."""
    if dump_name(store_url) == "store.sqlite3":
        return sqlite_url(folder / "elsewhere.sqlite3")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url(server.new_database())


def test_the_drill_brings_every_row_back_while_ingest_goes_on(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with filled(store_url, tmp_path) as (bench, settings, gateways):
            await write_segments(bench, settings)
            over = asyncio.Event()

            async def ingest() -> int:
                sent = 0
                while not over.is_set():
                    await grow(bench, gateways[0], 1, entries=5)
                    sent += 1
                return sent

            going_on = asyncio.create_task(ingest())
            done = await drill(settings, into=None, programs=installed_programs(), say=quiet)
            over.set()
            assert await going_on > 0
            assert [one.difference for one in done.tables if not one.is_same] == []
            rows = {one.table: one.rows_rebuilt for one in done.tables}
            assert rows["entries"] >= sum(gateway.size for gateway in gateways) - 5 * going_on.result()
            assert done.frames > 0
            assert [path.name for path in settings.data_dir.iterdir() if path.name.startswith("drill")] == []

    run(scene())


def test_a_restored_cloud_goes_on_where_the_backup_was_taken(
    tmp_path: Path, store_url: str, run: Run, request: pytest.FixtureRequest
) -> None:
    async def scene() -> None:
        async with filled(store_url, tmp_path) as (bench, settings, gateways):
            await write_segments(bench, settings)
            backup = await take_backup(settings, tmp_path / "backups", programs=installed_programs())
            url, segments = empty_place(store_url, tmp_path, request), tmp_path / "segments-again"
            await restore(backup.folder, url=url, segments=segments, programs=installed_programs(), say=quiet)
            restored = Store(url)
            async with snapshot_of(bench.store) as moment:
                compared = await compare_stores(moment, restored)
            await restored.close()
            assert [one.difference for one in compared if not one.is_same] == []
        async with open_bench(url) as again:
            again.keys.enrol(gateways[0])
            await grow(again, gateways[0], 2)
            await write_segments(again, with_segments(settings, segments))

    run(scene())


def with_segments(settings: CloudSettings, folder: Path) -> CloudSettings:
    return replace(settings, segments=replace(settings.segments, folder=folder))


def test_segments_that_did_not_change_take_no_second_room(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with filled(store_url, tmp_path) as (bench, settings, _gateways):
            await write_segments(bench, settings)
            first = await take_backup(settings, tmp_path / "20260101T000000Z" / "..", programs=installed_programs())
            first.folder.rename(first.folder.with_name("20260101T000000Z"))
            second = await take_backup(settings, tmp_path, programs=installed_programs())
            linked = [path for path in (second.folder / "segments").rglob("*") if path.is_file()]
            assert linked and all(path.stat().st_nlink == 2 for path in linked)
            assert second.bytes_new < first.bytes_new

    run(scene())


def test_a_file_that_was_damaged_in_the_backup_before_is_copied_anew(tmp_path: Path, run: Run) -> None:
    url = fresh_sqlite(tmp_path)

    async def scene() -> None:
        async with filled(url, tmp_path) as (bench, settings, _gateways):
            await write_segments(bench, settings)
            first = await take_backup(settings, tmp_path / "20260101T000000Z" / "..", programs=None)
            before = first.folder.rename(first.folder.with_name("20260101T000000Z"))
            path = next(path for path in (before / "segments").rglob("*") if path.is_file() and path.stat().st_size)
            damage(path)
            second = await take_backup(settings, tmp_path, programs=None)
            again = second.folder / path.relative_to(before)
            assert not again.samefile(path)
            source = settings.segments.folder / path.relative_to(before / "segments")
            assert again.read_bytes() == source.read_bytes()
            read_list(second.folder)

    run(scene())


def damage(path: Path) -> None:
    """Another byte in the middle; size and time stay, as when a disk fails."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def fresh_sqlite(folder: Path) -> str:
    """The URL of a new store."""
    url = sqlite_url(folder / "cloud.sqlite3")

    async def migrate() -> None:
        store = Store(url)
        await store.migrate()
        await store.close()

    asyncio.run(migrate())
    return url


def test_a_restore_that_failed_leaves_nothing_and_may_be_tried_again(
    tmp_path: Path, store_url: str, run: Run, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with filled(store_url, tmp_path) as (bench, settings, _gateways):
            await write_segments(bench, settings)
            backup = await take_backup(settings, tmp_path / "backups", programs=installed_programs())
            url, segments = empty_place(store_url, tmp_path, request), tmp_path / "again" / "segments"

            async def attempt(programs: Path | None) -> None:
                await restore(backup.folder, url=url, segments=segments, programs=programs, say=quiet)

            if "postgres" in url:
                with pytest.raises(BackupError, match="pg_restore is not installed"):
                    await attempt(tmp_path)
                assert not segments.exists()
            with monkeypatch.context() as patched:
                patched.setattr(Store, "migrate", fails)
                with pytest.raises(BackupError, match="nothing of it is left; remove the cause and restore again"):
                    await attempt(installed_programs())
            assert not segments.exists() and await is_empty(url)
            segments.with_name("segments.partial").mkdir()  # as one leaves it that was killed
            await attempt(installed_programs())
            assert any(segments.iterdir())

    run(scene())


def test_a_restore_takes_nothing_away_from_a_cloud_that_was_started_meanwhile(
    tmp_path: Path, store_url: str, run: Run, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, really = empty_place(store_url, tmp_path, request), restoring.load

    async def late(path: Path, url: str, programs: Path | None) -> None:
        started = Store(url)
        await started.migrate()
        await started.notice("a cloud that was started too early", at_ms=1)
        await started.close()
        await really(path, url, programs)

    async def scene() -> None:
        async with filled(store_url, tmp_path) as (bench, settings, _gateways):
            await write_segments(bench, settings)
            backup = await take_backup(settings, tmp_path / "backups", programs=installed_programs())
        monkeypatch.setattr(restoring, "load", late)
        segments = tmp_path / "again" / "segments"
        with pytest.raises(BackupError, match="exists"):
            await restore(backup.folder, url=url, segments=segments, programs=installed_programs(), say=quiet)
        started = Store(url)
        assert await started.latest_notices(1) == ["a cloud that was started too early"]
        await started.close()
        assert not segments.exists() and not list((tmp_path / "again").glob("*"))

    run(scene())


def test_what_a_killed_cloud_left_beside_its_database_is_neither_taken_away_nor_replayed_into_a_backup(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, segments = tmp_path / "place" / "moved-away.sqlite3", tmp_path / "again" / "segments"
    left, really = target, shutil.copyfile

    def late(source: Any, copied: Any, **options: Any) -> None:
        really(source, copied, **options)
        if str(copied).endswith(".sqlite3.partial"):
            left.write_bytes(b"last commits")

    async def refused(folder: Path) -> None:
        with pytest.raises(BackupError, match=f"{left.name}; .* together"):
            await restore(folder, url=sqlite_url(target), segments=segments, programs=None, say=quiet)
        assert left.read_bytes() == b"last commits" and not target.exists() and not segments.exists()
        left.unlink()

    async def scene() -> None:
        nonlocal left
        async with filled(sqlite_url(tmp_path / "cloud.sqlite3"), tmp_path) as (bench, settings, _gateways):
            await write_segments(bench, settings)
            backup = await take_backup(settings, tmp_path / "backups", programs=None)
        target.parent.mkdir()
        for ending in ("-wal", "-shm", "-journal"):
            left = target.with_name(target.name + ending)
            left.write_bytes(b"last commits")
            assert not await is_empty(sqlite_url(target))
            await refused(backup.folder)
            with monkeypatch.context() as patched:
                patched.setattr(shutil, "copyfile", late)
                await refused(backup.folder)
        await restore(backup.folder, url=sqlite_url(target), segments=segments, programs=None, say=quiet)

    run(scene())


def test_a_restore_that_is_stopped_while_it_copies_leaves_nothing(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "place"

    async def backed_up() -> Path:
        async with filled(sqlite_url(tmp_path / "cloud.sqlite3"), tmp_path) as (bench, settings, _gateways):
            await write_segments(bench, settings)
            return (await take_backup(settings, tmp_path / "backups", programs=None)).folder

    async def stopped(folder: Path, is_copying: threading.Event, may_go_on: threading.Event) -> None:
        url = sqlite_url(place / "cloud.sqlite3")
        task = asyncio.create_task(restore(folder, url=url, segments=place / "segments", programs=None, say=quiet))
        assert await asyncio.to_thread(is_copying.wait, 60)
        task.cancel()
        asyncio.get_running_loop().call_later(0.05, may_go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        may_go_on.set()

    folder = run(backed_up())
    for module, step in ((shutil, "copytree"), (shutil, "copyfile"), (os, "link")):
        is_copying, may_go_on = threading.Event(), threading.Event()
        with monkeypatch.context() as patched:
            patched.setattr(module, step, slow(getattr(module, step), is_copying, may_go_on))
            asyncio.run(stopped(folder, is_copying, may_go_on))  # which waits for its threads
        assert list(place.glob("*")) == [], step


def slow(really: Callable[..., Any], is_copying: threading.Event, may_go_on: threading.Event) -> Callable[..., Any]:
    """The same, but that it waits before it makes a large copy; or, with the database's link, once that stands."""

    def wait(source: Any, target: Any, **options: Any) -> None:
        steps = [lambda: really(source, target, **options)]
        if Path(target).name in ("cloud.sqlite3.partial", "segments.partial"):
            steps.insert(0, pause)
        elif Path(target).name == "cloud.sqlite3":
            steps.append(pause)
        for step in steps:
            step()

    def pause() -> None:
        is_copying.set()
        assert may_go_on.wait(60)

    return wait


def test_a_list_that_is_damaged_is_said_and_does_not_stop_the_next_backup(tmp_path: Path, run: Run) -> None:
    async def scene() -> None:
        async with filled(sqlite_url(tmp_path / "cloud.sqlite3"), tmp_path) as (bench, settings, _gateways):
            await write_segments(bench, settings)
            first = await take_backup(settings, tmp_path / "backups", programs=None)
            older = first.folder.rename(first.folder.with_name("20200101T000000Z"))
            for damaged in ("{", "[]", '{"format": "minglou-backup/1"}', '{"format": "minglou-backup/1", "files": []}'):
                (older / LIST).write_text(damaged)
                with pytest.raises(BackupError, match="is no whole backup"):
                    read_list(older)
            again = await take_backup(settings, tmp_path / "backups", programs=None)
            assert again.bytes_new >= first.bytes_new, "nothing rests on a backup whose list is damaged"
            read_list(again.folder)

    run(scene())


def test_a_backup_reads_every_file_for_its_digest_once(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    digested, really = Counter[int](), taking._digest

    def counted(path: Path) -> str:
        digested[path.stat().st_ino] += 1
        return really(path)

    async def scene() -> None:
        async with filled(sqlite_url(tmp_path / "cloud.sqlite3"), tmp_path) as (bench, settings, _gateways):
            await write_segments(bench, settings)
            first = await take_backup(settings, tmp_path / "backups", programs=None)
            older = first.folder.rename(first.folder.with_name("20200101T000000Z"))
            monkeypatch.setattr(taking, "_digest", counted)
            again = await take_backup(settings, tmp_path / "backups", programs=None)
            for folder in (older / "segments", settings.segments.folder, again.folder / "segments"):
                files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
                assert files and [digested[path.stat().st_ino] for path in files] == [1] * len(files), folder
            monkeypatch.setattr(taking, "_digest", really)
            read_list(again.folder)

    run(scene())


async def fails(*_: object) -> None:
    raise OSError("no room")


def test_every_secret_that_the_settings_name_is_listed(
    tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    url = fresh_sqlite(tmp_path)
    names = ("pass", "nats.pem", "master.key", "audit.pem", "relayer", "superlog.pem")
    (tmp_path / "deployment.json").write_text("{}")
    config = tmp_path / "cloud.toml"
    config.write_text(
        '[cloud]\nlisten = "127.0.0.1:1"\ndata_dir = "data"\n[store]\nurl = "postgresql+asyncpg://a@/a"\n'
        '[super_log]\norigin = "a.example/log"\nkey_file = "superlog.pem"\n'
        '[identity]\nkeys_dir = "keys"\nmaster_key_file = "master.key"\naudit_key_file = "audit.pem"\n'
        '[chain]\nrpc = ["http://a"]\nchain_id = 1\ndeployment_file = "deployment.json"\nrelayer_key_file = "relayer"\n'
        '[ingest_log]\nservers = ["tls://a:1"]\nuser = "a"\npassword_file = "pass"\n'
        'certificate_file = "nats.crt"\nkey_file = "nats.pem"\n'
    )
    (tmp_path / "data").mkdir()
    settings = replace(load_settings(config), store_url=url)
    words = argparse.Namespace(action="backup", config=config, to=tmp_path / "backups", programs=None)
    assert run(run_backup(settings, words)) == 0
    said = capsys.readouterr().out.splitlines()
    for path in (config, tmp_path / "keys" / "units.sqlite3", *(tmp_path / name for name in names)):
        assert f"  {path}" in said, path


def test_what_is_not_whole_or_not_empty_is_refused_by_name(
    tmp_path: Path, store_url: str, run: Run, request: pytest.FixtureRequest
) -> None:
    async def scene() -> None:
        async with filled(store_url, tmp_path) as (bench, settings, _gateways):
            await write_segments(bench, settings)
            backup = await take_backup(settings, tmp_path / "backups", programs=installed_programs())

            async def refused(folder: Path, url: str, segments: Path, says: str) -> None:
                with pytest.raises(BackupError, match=says):
                    await restore(folder, url=url, segments=segments, programs=installed_programs(), say=quiet)

            url = empty_place(store_url, tmp_path, request)
            await refused(backup.folder, store_url, tmp_path / "s1", "holds something already")
            await refused(backup.folder, url, settings.segments.folder, "holds segments already")
            other = "postgresql+asyncpg://nobody@/x" if "sqlite" in store_url else sqlite_url(tmp_path / "x.sqlite3")
            await refused(backup.folder, other, tmp_path / "s2", "is a backup of a")
            await refused(tmp_path, url, tmp_path / "s3", "is no whole backup")
            damaged = tmp_path / "damaged"
            shutil.copytree(backup.folder, damaged)
            path = next(path for path in (damaged / "segments").rglob("*") if path.is_file())
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
            await refused(damaged, url, tmp_path / "s4", f"{path.name}: is not what was backed up")
            path.unlink()
            await refused(damaged, url, tmp_path / "s4", f"{path.name}: is missing")

    run(scene())


def test_a_difference_is_found_and_named(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    really = restoring.load

    async def careless(path: Path, url: str, programs: Path | None) -> None:
        await really(path, url, programs)
        with sqlite3.connect(url.removeprefix("sqlite+aiosqlite:///")) as database:
            database.execute("UPDATE entries SET value = value + 1 WHERE entry_index = 7")
        database.close()

    async def scene() -> None:
        url = sqlite_url(tmp_path / "cloud.sqlite3")
        store = Store(url)
        await store.migrate()
        await store.close()
        async with filled(url, tmp_path) as (_bench, settings, _gateways):
            monkeypatch.setattr(restoring, "load", careless)
            done = await drill(settings, into=None, programs=None, say=quiet)
            assert [one.table for one in done.tables if not one.is_same] == ["entries"]
            assert "value differ" in next(one.difference for one in done.tables if one.table == "entries")

    run(scene())


def test_the_databases_password_never_stands_in_a_command(tmp_path: Path, run: Run) -> None:
    program = tmp_path / "pg_restore"
    heard = tmp_path / "heard.json"
    program.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        f"json.dump([sys.argv, os.environ.get('PGPASSWORD')], open({str(heard)!r}, 'w'))\n"
    )
    program.chmod(0o755)

    async def scene() -> None:
        await run_program("pg_restore", ["x"], "postgresql+asyncpg://minglou:s3cret@db.example/cloud", tmp_path)
        with pytest.raises(BackupError, match=r"pg_dump is not installed; install .* or name their folder"):
            await run_program("pg_dump", [], "postgresql+asyncpg://minglou:s3cret@db.example/cloud", tmp_path)

    run(scene())
    words, password = json.loads(heard.read_text())
    assert password == "s3cret"
    assert not any("s3cret" in word for word in words)


def test_the_command_line_drills_and_says_what_came_back(tmp_path: Path, run: Run) -> None:
    async def scene() -> None:
        url = sqlite_url(tmp_path / "cloud.sqlite3")
        store = Store(url)
        await store.migrate()
        await store.close()
        async with filled(url, tmp_path) as (bench, settings, _gateways):
            await write_segments(bench, settings)
        config = str(tmp_path / "cloud.toml")
        code, said = await _minglou("cloud", "drill", "--config", config)
        assert code == 0, said
        assert "came back the same" in said and "= entries" in said
        code, said = await _minglou("cloud", "backup", "--config", config, "--to", str(tmp_path / "backups"))
        assert code == 0, said
        assert "superlog.pem" in said
        code, said = await _minglou("cloud", "restore", str(tmp_path), "--config", config)
        assert code == 2 and "is no whole backup" in said

    run(scene())


async def _minglou(*words: str) -> tuple[int, str]:
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys, minglou; sys.exit(minglou.main())",
        *words,
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await running.communicate()
    return int(running.returncode or 0), told.decode()
