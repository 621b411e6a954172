"""Segments: what is stored stands in files that anybody can verify alone; interrupted anywhere, they go on."""

import errno
import os
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cloud.errors import ArchiveError
from cloud.segments import Archive
from cloud.segments.notes import NotesFile
from cloud.segments.writer import SegmentWriter
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


def test_segments_never_lead_out_of_their_folder(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "segments")
    assert archive.log("../a/b/e0").folder.parent == tmp_path / "segments"
    assert archive.log("../a/b/e0").folder.name == ".._a_b_e0"
    for origin in ("../../etc", "x/y/e0", "/etc/passwd/a/e0", "a/b/c/e0/../.."):
        with pytest.raises(ArchiveError):
            archive.log(origin)
