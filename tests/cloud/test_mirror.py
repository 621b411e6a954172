"""A mirror keeps its own copy, believes nobody, and proves every contradiction with both versions."""

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import delete, select, update

from cloud.chain.unchained import Unchained
from cloud.copies.acknowledgements import Acknowledgements
from cloud.copies.routes import copies_router
from cloud.errors import MirrorError
from cloud.identity.audit import Act, AuditLog
from cloud.mail import Bell, MailRoom
from cloud.mirror.check import check_log
from cloud.mirror.cloud_client import CloudClient
from cloud.mirror.contradictions import Contradictions
from cloud.mirror.keys import PinnedKeys, _HttpRpc
from cloud.mirror.mirror import Mirror
from cloud.mirror.settings import PinnedKey
from cloud.segments import Archive
from cloud.segments.notes import AUDIT_HEADS, NotesFile, StoredNote
from cloud.segments.writer import SegmentWriter
from cloud.store import tables
from cloud.tiles import TileRoom, tile_router
from contracts import ed25519
from contracts.checkpoint import audit_origin
from contracts.clock import SystemClock
from contracts.copy_note import CopyKeeper, open_acknowledgement, sign_acknowledgement
from contracts.errors import RpcError
from contracts.segment import decode_frame, encode_frame, segment_header, verify_frame
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.test_monitor import ROOTS
from tests.cloud.test_segments import grow, write_all
from tests.processes import free_port

Run = Callable[[Coroutine[Any, Any, Any]], Any]
NAME, TOKEN = "committee.example/copy", "t0ken"
KEY = ed25519.key_from_seed(b"copy".ljust(32))
KEEPER = CopyKeeper(name=NAME, public=ed25519.public_bytes(KEY))
OTHER = "demo.minglou.example/cuiyuan/b08/e0"


@dataclass
class Town:
    """A cloud with its segments behind HTTP, and a mirror of it."""

    bench: Bench
    cloud: Archive
    writer: SegmentWriter
    mirror: Mirror
    copy: Archive
    contradictions: Path
    gateway: SimulatedGateway
    keys: PinnedKeys
    mail: MailRoom

    async def grow(self, batches: int = 2) -> None:
        await grow(self.bench, self.gateway, batches)
        await write_all(self.writer)

    async def audit(self, at: int) -> None:
        """One entry more in the audit log, its head, and the head's place under a signed super-log."""
        audit = AuditLog(self.bench.store, audit_origin(self.bench.super_log.origin), KEY)
        await audit.write(Act.SIGNED_IN, at_ms=at)
        await audit.sign_head(now_ms=at)
        await self.bench.super_log.sign_head(self.bench.store, now_ms=at)

    def kept_heads(self, archive: Archive) -> list[StoredNote]:
        return NotesFile(archive.folder / AUDIT_HEADS).read()

    @property
    def held(self) -> int:
        return self.copy.log(self.gateway.origin).size

    def reports(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.contradictions.glob("*/report.json"))]

    def rewrite(self, at: int, change: Callable[[Any], Any]) -> None:
        """Change the cloud's own file of segments, at the frame of that number."""
        files = self.cloud.log(self.gateway.origin)
        frames = [decode_frame(one) for one in files.frames()]
        frames[at] = change(frames[at])
        (path,) = files.segments()
        path.write_bytes(segment_header(files.origin) + b"".join(encode_frame(frame) for frame in frames))


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """The app on a port of its own."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    server.install_signal_handlers = lambda: None  # type: ignore[method-assign,attr-defined,unused-ignore]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


@asynccontextmanager
async def town(tmp_path: Path, store_url: str) -> AsyncIterator[Town]:
    async with open_bench(store_url) as bench:
        gateway = SimulatedGateway()
        bench.keys.enrol(gateway)
        cloud, copy = Archive(tmp_path / "cloud"), Archive(tmp_path / "copy")
        writer, acknowledgements = SegmentWriter(bench.store, cloud), Acknowledgements(bench.store, SystemClock())
        await writer.prepare()
        app = FastAPI()
        app.include_router(copies_router(bench.store, cloud, acknowledgements, {TOKEN: KEEPER}))
        app.include_router(tile_router(TileRoom(store=bench.store, super_log=bench.super_log)))
        async with served(app) as url:
            client = CloudClient(url, TOKEN)
            keys = PinnedKeys([PinnedKey(origin=gateway.origin, public=gateway.public)])
            mirror = Mirror(
                name=NAME, key=KEY, cloud=client, archive=copy,
                contradictions=Contradictions(tmp_path / "contradictions"), keys=keys, acknowledge_seconds=0.0,
                rng=random.Random(5), now_ms=SystemClock().now_ms, trust=ROOTS,
            )  # fmt: skip
            mail = MailRoom(store=bench.store, news=Unchained(), clock=SystemClock(), bell=Bell(), block_seconds=1e9)
            try:
                yield Town(bench, cloud, writer, mirror, copy, tmp_path / "contradictions", gateway, keys, mail)
            finally:
                await client.close()
                cloud.unlock()


def test_a_copy_keeps_the_audit_logs_heads_that_the_super_log_cannot_be_rebuilt_without(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    async def scene() -> None:
        async with town(tmp_path, store_url) as here:
            for at in range(3):
                await here.audit(at)
                await here.grow(1)
                assert (await here.mirror.round()).problems == 0
            await write_all(here.writer)
            kept, own = here.kept_heads(here.copy), here.kept_heads(here.cloud)
            assert [head.size for head in kept] == [1, 2, 3] and kept == own

    run(scene())


def test_a_copy_is_fetched_verified_kept_and_acknowledged_to_the_gateway(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    async def scene() -> None:
        async with town(tmp_path, store_url) as here:
            await here.grow(6)
            first = await here.mirror.round()
            assert (first.entries, first.acknowledged, first.problems) == (here.gateway.size, 1, 0)
            messages = await here.mail.fetch(here.gateway.origin, after=0, wait_seconds=0)
            assert [(one["kind"], one["body"]["copy"]) for one in messages] == [("copied", NAME)]
            held = open_acknowledgement(messages[0]["body"]["note"], KEEPER)
            assert (held.size, held.root) == (here.gateway.size, here.gateway.tree().root())
            assert (await here.mirror.round()).acknowledged == 0, "nothing grew"
            assert await here.mail.fetch(here.gateway.origin, after=1, wait_seconds=0) == []
            await here.grow(40)  # the mirror was away
            await here.mirror.round()
            (message,) = await here.mail.fetch(here.gateway.origin, after=1, wait_seconds=0)
            assert open_acknowledgement(message["body"]["note"], KEEPER).size == here.gateway.size
            checked = check_log(here.copy.log(here.gateway.origin), here.keys)
            assert (checked.entries, checked.broken) == (here.gateway.size, "")
            assert here.reports() == []

    run(scene())


def test_an_acknowledgement_that_the_cloud_refused_is_given_again(
    tmp_path: Path, store_url: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cloud has come back from an older copy of its database, and grows as far again."""

    async def scene() -> None:
        async with town(tmp_path, store_url) as here:
            await here.grow()
            with monkeypatch.context() as patched:

                async def refuse(_room: object, _connection: object, _keeper: object, _note: str) -> str:
                    return f"{here.gateway.origin}: no checkpoint of size 9 is held here"

                patched.setattr(Acknowledgements, "_take", refuse)
                assert (await here.mirror.round()).acknowledged == 0
            assert await here.mail.fetch(here.gateway.origin, after=0, wait_seconds=0) == []
            assert (await here.mirror.round()).acknowledged == 1, "though nothing grew"
            assert await here.mail.fetch(here.gateway.origin, after=0, wait_seconds=0)

    run(scene())


def test_without_its_token_nobody_reads_and_without_its_key_nobody_acknowledges(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    async def scene() -> None:
        async with town(tmp_path, store_url) as here:
            await here.grow()
            await here.mirror.round()
            room = Acknowledgements(here.bench.store, SystemClock())
            stranger = ed25519.key_from_seed(b"stranger".ljust(32))
            head = here.copy.log(here.gateway.origin).head
            assert head is not None
            done = await room.take(KEEPER, [sign_acknowledgement(head, NAME, stranger), "nonsense"])
            assert done.taken == 0 and len(done.refused) == 2
            client = CloudClient(str(here.mirror._cloud._client.base_url), "guessed")
            with pytest.raises(MirrorError, match="401"):
                _ = [one async for one in client.logs()]
            with pytest.raises(MirrorError, match="401"):
                await client.frames(here.gateway.origin, 0)
            await client.close()

    run(scene())


def test_a_fork_signed_by_the_gateway_is_refused_and_both_versions_are_kept(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    async def scene() -> None:
        async with town(tmp_path, store_url) as here:
            await here.grow(4)
            await here.mirror.round()
            before = here.held
            twin = here.gateway.twin(20, 5)  # the cloud now tells another story, with the gateway's own signature
            twin.log_readings(60)
            async with open_bench(f"sqlite+aiosqlite:///{tmp_path}/other.sqlite3") as other:
                other.keys.enrol(twin)
                await other.send(twin)
                lying = Archive(tmp_path / "lying")
                writer = SegmentWriter(other.store, lying)
                await writer.prepare()
                await write_all(writer)
                app = FastAPI()
                room = Acknowledgements(other.store, SystemClock())
                app.include_router(copies_router(other.store, lying, room, {TOKEN: KEEPER}))
                async with served(app) as url:
                    here.mirror._cloud = CloudClient(url, TOKEN)
                    done = await here.mirror.round()
                    again = await here.mirror.round()
                    await here.mirror._cloud.close()
                lying.unlock()
            assert done.entries == again.entries == 0 and again.refused_logs == 1 and here.held == before
            (report,) = here.reports()
            assert (report["kind"], report["origin"]) == ("fork", here.gateway.origin)
            (folder,) = here.contradictions.iterdir()
            shown = verify_frame(decode_frame((folder / "shown").read_bytes()), here.gateway.public)
            assert shown.checkpoint.root == twin.tree().root() and (folder / "held").read_text().count("\n") > 3

    run(scene())


def test_files_rewritten_behind_the_copys_back_are_found_and_proven(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with town(tmp_path, store_url) as here:
            from dataclasses import replace

            await here.grow(4)
            await here.mirror.round()
            await here.mirror.look_again(here.gateway.origin, 20)
            assert here.reports() == []
            here.cloud.log(here.gateway.origin).erase({20})
            await here.mirror.look_again(here.gateway.origin, 20)
            assert here.reports() == [], "what was erased there is no contradiction"
            lower = here.gateway.twin(30, 1).entries[30]
            here.rewrite(2, lambda frame: replace(frame, slots=frame.slots[: 224 * (30 - frame.start)] + lower
                                                  + frame.slots[224 * (31 - frame.start) :]))  # fmt: skip
            await here.mirror.look_again(here.gateway.origin, 30)
            (report,) = here.reports()
            assert report["kind"] == "rewritten" and "entry 30" in report["says"]
            await here.grow(2)
            assert (await here.mirror.round()).refused_logs == 1

    run(scene())


def test_what_the_cloud_erased_before_the_copy_had_it_is_neither_taken_nor_acknowledged(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    async def scene() -> None:
        async with town(tmp_path, store_url) as here:
            await here.grow(4)
            starts = [decode_frame(one).start for one in here.cloud.log(here.gateway.origin).frames()]
            here.cloud.log(here.gateway.origin).erase({starts[2] + 1})
            done = await here.mirror.round()
            assert (done.problems, done.acknowledged, here.held) == (1, 1, starts[2])
            (message,) = await here.mail.fetch(here.gateway.origin, after=0, wait_seconds=0)
            assert open_acknowledgement(message["body"]["note"], KEEPER).size == starts[2]
            assert here.reports() == [], "who erases may have a reason: people ask for it"
            here.mirror._takes_erased = True
            done = await here.mirror.round()
            assert (done.problems, done.acknowledged, here.held) == (0, 1, here.gateway.size)

    run(scene())


def test_what_the_cloud_shows_no_more_when_it_is_looked_at_again_is_said(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    async def scene() -> None:
        async with town(tmp_path, store_url) as here:
            await here.grow(4)
            await here.mirror.round()
            files = here.cloud.log(here.gateway.origin)
            (path,), frames = files.segments(), list(files.frames())
            path.write_bytes(segment_header(files.origin) + b"".join(frames[2:]))
            with pytest.raises(MirrorError, match="what does it hide"):
                await here.mirror.look_again(here.gateway.origin, 0)
            path.write_bytes(segment_header(files.origin))
            with pytest.raises(MirrorError, match="shows nothing any more"):
                await here.mirror.look_again(here.gateway.origin, 0)
            assert (await here.mirror.round()).problems == 1

    run(scene())


def test_one_damaged_log_of_the_copy_keeps_from_no_other(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with town(tmp_path, store_url) as here:
            other = SimulatedGateway(origin=OTHER)
            here.bench.keys.enrol(other)
            here.keys._pinned |= {(OTHER, other.public)}
            await here.grow(2)
            await grow(here.bench, other, 2)
            await write_all(here.writer)
            await here.mirror.round()
            here.copy.forget()
            (path,) = here.copy.log(here.gateway.origin).segments()
            path.write_bytes(b"no segment at all")
            await here.grow(2)
            await grow(here.bench, other, 2)
            await write_all(here.writer)
            done = await here.mirror.round()
            assert done.problems >= 1 and done.acknowledged == 1
            assert here.copy.log(OTHER).size == other.size

    run(scene())


def test_no_address_of_a_node_is_shown_whole() -> None:
    with pytest.raises(RpcError) as caught:
        _HttpRpc(f"http://127.0.0.1:{free_port()}/v3/s3cret")("eth_chainId", [])
    assert "s3cret" not in str(caught.value)


def test_a_log_that_shrank_is_said_and_taken_up_when_it_is_whole_again(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    async def scene() -> None:
        async with town(tmp_path, store_url) as here:
            await here.grow(4)
            await here.mirror.round()
            before = here.held
            column = tables.checkpoints.c
            async with here.bench.store.write() as connection:
                sizes = sorted((await connection.execute(select(column.size))).scalars())
                await connection.execute(update(tables.logs).values(size=sizes[1]))
            await here.mirror.round()
            assert [one["kind"] for one in here.reports()] == ["shrunk"] and here.held == before
            async with here.bench.store.write() as connection:
                await connection.execute(update(tables.logs).values(size=sizes[-1]))
            await here.grow(2)
            await here.mirror.round()
            assert here.held == here.gateway.size
            async with here.bench.store.write() as connection:
                await connection.execute(delete(tables.acknowledgements))

    run(scene())


def test_a_frame_of_an_unknown_key_or_another_log_is_never_kept(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with town(tmp_path, store_url) as here:
            stranger = SimulatedGateway(origin=OTHER)
            here.bench.keys.enrol(stranger)
            await here.grow(2)
            await grow(here.bench, stranger, 8)
            await write_all(here.writer)
            done = await here.mirror.round()
            assert (done.logs, done.problems, done.entries) == (2, 1, here.gateway.size)
            assert here.copy.log(OTHER).size == 0
            files, other = here.cloud.log(here.gateway.origin), here.cloud.log(OTHER)
            await here.grow(1)
            (path,), (wrong,) = files.segments(), other.segments()
            whole = path.read_bytes()
            path.write_bytes(segment_header(files.origin) + b"".join(other.frames()))
            assert (await here.mirror.round()).problems == 2
            path.write_bytes(whole[:-90] + b"\xee" * 90)
            assert (await here.mirror.round()).entries == 0
            path.write_bytes(whole)
            await here.mirror.round()
            assert here.held == here.gateway.size and wrong.exists() and here.reports() == []

    run(scene())
