"""Segments: what is stored stands in files that anybody can verify alone; interrupted anywhere, they go on."""

import errno
import os
import random
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from cloud.errors import ArchiveError
from cloud.retention.requests import erase_places
from cloud.segments import Archive, LogFiles
from cloud.segments.notes import NotesFile
from cloud.segments.writer import SegmentWriter
from cloud.store import sqlite_url
from contracts.entry import Kind
from contracts.segment import decode_frame, parse_segment_header, split_frames, verify_frame
from contracts.tree import leaf_hash
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import SimulatedGateway

Run = Callable[[Coroutine[Any, Any, Any]], Any]
OTHER = "demo.minglou.example/cuiyuan/b08/e0"


async def write_all(writer: SegmentWriter) -> None:
    while await writer.step():
        pass


@asynccontextmanager
async def writing(bench: Bench, folder: Path, **options: int) -> AsyncIterator[tuple[Archive, SegmentWriter]]:
    archive = Archive(folder, **options)
    writer = SegmentWriter(bench.store, archive)
    try:
        await writer.prepare()
        yield archive, writer
    finally:
        archive.unlock()


async def grow(bench: Bench, gateway: SimulatedGateway, batches: int, entries: int = 12) -> None:
    """Send so many batches of `entries` readings more."""
    for _ in range(batches):
        start = gateway.size if gateway.size > 1 else 0
        gateway.log_readings(entries, detailed=gateway.size % 2 == 0)
        await bench.send(gateway, start)


def held(archive: Archive, gateway: SimulatedGateway) -> list[bytes]:
    """The slots of a log, every frame verified alone with nothing but the gateway's key."""
    slots, details, tree = list[bytes](), list[bytes | None](), gateway.tree()
    for encoded in archive.log(gateway.origin).frames():
        verified = verify_frame(decode_frame(encoded), gateway.public)
        assert verified.checkpoint.root == tree.root(verified.checkpoint.size)
        slots += [verified.frame.slot(at) for at in range(verified.frame.count)]
        details += verified.frame.details
    assert details == gateway.details[: len(slots)]
    return slots


def test_what_is_stored_stands_in_segments_that_are_verified_file_by_file(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    async def scene() -> None:
        async with open_bench(store_url) as bench:
            gateways = [SimulatedGateway(), SimulatedGateway(origin=OTHER)]
            for gateway in gateways:
                bench.keys.enrol(gateway)
            async with writing(bench, tmp_path / "segments", segment_bytes=20_000) as (archive, writer):
                for _ in range(4):
                    for gateway in gateways:
                        await grow(bench, gateway, 3)
                    await write_all(writer)
                gateways[0].log_visit("urn:minglou:cuiyuan:b07:lift:l1", 3, b"\x07" * 32, at_ms=1)
                await bench.send(gateways[0], gateways[0].size - 2)
                note = await bench.super_log.sign_head(bench.store, now_ms=5)
                await write_all(writer)
                with pytest.raises(ArchiveError, match="another process writes"):
                    Archive(tmp_path / "segments").lock()
            assert note is not None and NotesFile(archive.folder / "super-log.notes").last().note == note.note
            for gateway in gateways:
                assert held(archive, gateway) == gateway.entries
                files = archive.log(gateway.origin)
                assert len(files.segments()) > 2
                for path in files.segments():
                    origin, at = parse_segment_header(path.read_bytes())
                    frames = [decode_frame(one) for one in split_frames(path.read_bytes()[at:])]
                    assert origin == gateway.origin and frames[0].start == int(path.stem)
                    assert verify_frame(frames[-1], gateway.public).frontier.size == frames[-1].end

    run(scene())


def test_an_interrupted_write_is_taken_up_where_the_last_whole_frame_ends(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    async def scene() -> None:
        rng = random.Random(4)
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            bench.keys.enrol(gateway)
            for _round in range(12):
                await grow(bench, gateway, 2)
                async with writing(bench, tmp_path / "segments", segment_bytes=15_000) as (archive, writer):
                    await write_all(writer)
                    assert held(archive, gateway) == gateway.entries
                last = archive.log(gateway.origin).segments()[-1]
                whole = last.read_bytes()
                last.write_bytes(rng.choice([whole[: rng.randrange(len(whole))], whole + rng.randbytes(90), whole]))

    run(scene())


def test_a_full_disk_is_said_and_nothing_is_lost(
    tmp_path: Path, store_url: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite

    def full(descriptor: int, content: bytes, at: int) -> int:
        if at > 9_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, content[: max(1, 9_001 - at)], at)

    async def scene() -> None:
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            bench.keys.enrol(gateway)
            await grow(bench, gateway, 6)
            async with writing(bench, tmp_path / "segments") as (archive, writer):
                with monkeypatch.context() as patched, pytest.raises(ArchiveError, match=r"disk .* is full; make room"):
                    patched.setattr(os, "pwrite", full)
                    await write_all(writer)
                assert 0 < archive.log(gateway.origin).size < gateway.size
                assert held(archive, gateway) == gateway.entries[: archive.log(gateway.origin).size]
                await writer.prepare()
                await write_all(writer)
                assert held(archive, gateway) == gateway.entries

    run(scene())


def test_an_erased_entry_leaves_its_leaf_hash_and_every_other_proof(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            bench.keys.enrol(gateway)
            await grow(bench, gateway, 6)
            async with writing(bench, tmp_path / "segments", segment_bytes=15_000) as (archive, writer):
                await write_all(writer)
                secret = gateway.entries[30]
                files = archive.log(gateway.origin)
                assert files.erase({1, 30, 31, gateway.size - 1}) == 4
                assert files.erase({30}) == 0, "erasing twice changes nothing"
                on_disk = b"".join(path.read_bytes() for path in files.folder.iterdir())
                assert secret[192:208] not in on_disk and gateway.entries[29][192:208] in on_disk, "the salt"
                await grow(bench, gateway, 2)
                await write_all(writer)
                verified = [verify_frame(decode_frame(one), gateway.public) for one in files.frames()]
                leaves = [leaf for one in verified for leaf in one.leaves]
                assert leaves == [leaf_hash(entry) for entry in gateway.entries]
                rows = [row for one in verified for row in one.frame.rows()]
                assert [at for at, row in enumerate(rows) if row is None] == [1, 30, 31, 72]
                assert rows[32] is not None and rows[32][0] == Kind.READING

    run(scene())


def test_a_step_with_nothing_to_do_asks_each_log_and_reads_no_list_of_erasures(tmp_path: Path, run: Run) -> None:
    """A city has some thousand logs, and ever more erasures."""
    gateway, url = SimulatedGateway(), sqlite_url(tmp_path / "cloud.sqlite3")
    asked = list[tuple[str, Any]]()

    async def scene() -> None:
        async with open_bench(url) as bench, writing(bench, tmp_path / "segments") as (_archive, writer):
            bench.keys.enrol(gateway)
            await grow(bench, gateway, 1)
            await erase_places(bench.store, gateway.origin, [2], says="asked for", now_ms=1)
            await write_all(writer)
            engine = bench.store._reader.sync_engine
            event.listen(engine, "before_cursor_execute", lambda _c, _u, says, given, *_: asked.append((says, given)))
            assert not await writer.step()

    run(scene())
    with closing(sqlite3.connect(tmp_path / "cloud.sqlite3")) as database:
        plans = [row[3] for says, given in asked for row in database.execute(f"EXPLAIN QUERY PLAN {says}", given)]
    assert any("erasures" in plan for plan in plans), "what was erased is asked for"
    assert not [plan for plan in plans if re.search(r"SCAN (erasures|entries|checkpoints)", plan)], plans


def test_segments_never_lead_out_of_their_folder(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "segments")
    assert archive.log("../a/b/e0").folder.parent == tmp_path / "segments"
    assert archive.log("../a/b/e0").folder.name == ".._a_b_e0"
    for origin in ("../../etc", "x/y/e0", "/etc/passwd/a/e0", "a/b/c/e0/../.."):
        with pytest.raises(ArchiveError):
            archive.log(origin)


def test_what_a_killed_writer_left_is_on_the_disk_before_it_is_told_as_held(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer is killed after frames that filled several files, and before its flush."""
    dirty, real_write, real_sync = set[str](), os.pwrite, os.fsync

    def path_of(descriptor: int) -> str:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())

    def write(descriptor: int, content: bytes, at: int) -> int:
        dirty.update((path_of(descriptor), str(Path(path_of(descriptor)).parent)))
        return real_write(descriptor, content, at)

    def sync(descriptor: int) -> None:
        dirty.discard(path_of(descriptor))
        real_sync(descriptor)

    async def scene() -> None:
        async with open_bench(tmp_path / "cloud.sqlite3") as bench:
            gateway = SimulatedGateway()
            bench.keys.enrol(gateway)
            await grow(bench, gateway, 12)
            async with writing(bench, tmp_path / "whole") as (archive, writer):
                await write_all(writer)
            files = archive.log(gateway.origin)
            monkeypatch.setattr(os, "pwrite", write)
            monkeypatch.setattr(os, "fsync", sync)
            killed = LogFiles(tmp_path / "killed", gateway.origin, segment_bytes=10_000)
            for encoded in files.frames():
                frame = decode_frame(encoded)
                killed.append(encoded, frame, verify_frame(frame, gateway.public).frontier)
            assert len(killed.segments()) > 3
            head = LogFiles(tmp_path / "killed", gateway.origin).head
            assert head is not None and head.size == gateway.size
            assert not dirty & {str(path) for path in (killed.folder, *killed.segments())}

    run(scene())


def test_a_newest_file_that_is_damaged_from_its_first_frame_on_is_set_aside_whole(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    async def scene() -> None:
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            bench.keys.enrol(gateway)
            for left_of_the_older in (0, 200_000):  # the damaged file's name is needed again, or is in the way
                await grow(bench, gateway, 6)
                folder = tmp_path / f"segments-{left_of_the_older}"
                async with writing(bench, folder, segment_bytes=12_000) as (archive, writer):
                    await write_all(writer)
                newest = archive.log(gateway.origin).segments()[-1]
                damaged = bytearray(newest.read_bytes())
                damaged[100] ^= 1
                newest.write_bytes(damaged)
                async with writing(bench, folder, segment_bytes=12_000 + left_of_the_older) as (archive, writer):
                    await write_all(writer)
                    await grow(bench, gateway, 4)
                    await write_all(writer)
                    assert held(archive, gateway) == gateway.entries
                kept = [path.read_bytes() for path in archive.log(gateway.origin).folder.glob("*.torn")]
                assert kept == [bytes(damaged)]
                archive.log(gateway.origin).erase({gateway.size + 7})
                assert not list(archive.log(gateway.origin).folder.glob("*.torn")), "it may hold what was to go"

    run(scene())
