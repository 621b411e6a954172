"""The monitor follows the audit log of a real store: rewritten, shortened, withheld and left out are each told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from sqlalchemy import delete

from cloud.identity.audit import LOCK, Act, AuditLog, write_entry
from cloud.monitor.finding import Finding, Kind
from cloud.monitor.memory import Memory
from cloud.monitor.monitor import Monitor
from cloud.monitor.settings import MonitorSettings
from cloud.monitor.sources import Web
from cloud.store import tables
from cloud.tiles import TileRoom, tile_router
from contracts import ed25519
from contracts.checkpoint import Checkpoint, audit_origin, parse_checkpoint_body
from contracts.superlog import WitnessPolicy, open_superlog, parse_superlog, parse_superlog_leaf, sign_superlog
from contracts.tiles import encode_bundle, encode_tile, parse_tile_path
from contracts.tree import MemoryTree, leaf_hash, verify_inclusion
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.test_monitor import HOUR_S, ROOTS

Run = Callable[[Coroutine[Any, Any, Any]], Any]
TRUST = replace(ROOTS, witness_policy=WitnessPolicy())
ORIGIN = audit_origin(TRUST.super_log_origin)
KEYS = [ed25519.key_from_seed(bytes([at]) * 32) for at in (1, 2)]


def settings_of(folder: Path) -> MonitorSettings:
    return MonitorSettings(
        trust_file=folder / "trust.json", cloud_url="http://cloud", rpc=None, from_block=0,
        state_dir=folder, site="", every_seconds=1, stale_s=6 * HOUR_S, unanchored_s=999 * HOUR_S,
        cosign_s=600, webhook=None, witnesses=(), gateways=(),
    )  # fmt: skip


@dataclass
class Watched:
    """A store whose tiles a monitor follows over HTTP."""

    bench: Bench
    folder: Path
    client: httpx.AsyncClient
    absent: str = "/nothing"
    now_s: int = 1_800_000_000
    key: ed25519.PrivateKey = KEYS[0]

    @property
    def audit(self) -> AuditLog:
        return AuditLog(self.bench.store, ORIGIN, self.key)

    async def happen(self, count: int, *, what: str = "bill", is_placed: bool = True) -> Checkpoint:
        """Entries, a signed head of them, and unless it is left out its place under the super-log's next note."""
        async with self.bench.store.write(LOCK) as connection:
            for at in range(count):
                await write_entry(connection, Act.LOOKED, at_ms=at, unit=bytes(32), what=what)
        note = await self.audit.sign_head(now_ms=1)
        assert note is not None
        if is_placed:
            await self.bench.super_log.sign_head(self.bench.store, now_ms=1)
        return parse_superlog(note)

    async def rewrite(self) -> None:
        """The operator's way: away with all of it, and another key for what shall have been."""
        async with self.bench.store.write(LOCK) as connection:
            for table in (tables.audit_entries, tables.audit_head, tables.audit_notes, tables.audit_nodes):
                await connection.execute(delete(table))
        self.key = KEYS[1]

    async def look(self) -> list[Finding]:
        """One round of a monitor that remembers in `folder`; what it finds about the audit log."""
        loop = asyncio.get_running_loop()

        async def answer(request: httpx.Request) -> httpx.Response:
            path = request.url.path
            if path.startswith(self.absent):
                return httpx.Response(404)
            asked = asyncio.run_coroutine_threadsafe(self.client.get(path), loop)
            served = await asyncio.wrap_future(asked)
            return httpx.Response(served.status_code, content=served.content)

        def round_() -> list[Finding]:
            web, memory = Web(httpx.MockTransport(answer)), Memory(self.folder / "monitor.sqlite3")
            try:
                return Monitor(settings_of(self.folder), TRUST, memory, web, None, clock_s=lambda: self.now_s).round()
            finally:
                memory.close()
                web.close()

        found = await asyncio.to_thread(round_)
        return [one for one in found if one.kind is not Kind.STALE or one.log == ORIGIN]


@asynccontextmanager
async def watched(store_url: str, folder: Path) -> AsyncIterator[Watched]:
    async with open_bench(store_url) as bench:
        app = FastAPI()
        app.include_router(tile_router(TileRoom(store=bench.store, super_log=bench.super_log)))

        @app.get("/audit/checkpoint")
        async def audit_checkpoint() -> PlainTextResponse:
            note = await AuditLog(bench.store, ORIGIN, KEYS[0]).latest_note()
            return PlainTextResponse(note or "", status_code=200 if note else 404)

        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud") as client:
            yield Watched(bench, folder, client)


def check_proof(finding: Finding, before: Checkpoint, after: Checkpoint) -> dict[str, Any]:
    """Both heads stand under one note of the super-log, which its trusted key signed."""
    assert finding.proof is not None
    proof: dict[str, Any] = json.loads(Path(finding.proof).read_text())
    assert [parse_checkpoint_body(proof[name]) for name in "ab"] == [before, after]
    note = open_superlog(proof["super"]["note"], TRUST.super_log_origin, TRUST.super_log_public)
    for name, head in (("a", before), ("b", after)):
        place = proof["super"][name]
        leaf, path = bytes.fromhex(place["leaf"]), [bytes.fromhex(node) for node in place["path"]]
        assert parse_superlog_leaf(leaf)[0] == head
        verify_inclusion(leaf_hash(leaf), int(place["index"]), note.size, path, note.root)
    return proof


def test_an_audit_log_that_only_grows_is_followed_in_silence(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with watched(store_url, tmp_path) as site:
            for count in (1, 2, 300, 1):
                await site.happen(count)
                assert await site.look() == []
                assert await site.look() == []

    run(scene())


def test_an_audit_log_rewritten_and_signed_anew_is_found_with_both_heads(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    async def scene() -> None:
        async with watched(store_url, tmp_path) as site:
            before = await site.happen(4)
            assert await site.look() == []
            await site.rewrite()
            after = await site.happen(6, what="nothing")
            (finding,) = await site.look()
            assert (finding.kind, finding.log) == (Kind.FORK, ORIGIN)
            assert f"4 entries with root {before.root.hex()}" in finding.says
            assert f"6 entries with root {after.root.hex()}" in finding.says
            proof = check_proof(finding, before, after)
            assert proof["index"] == "0"
            for name, head in (("leaf_a", before), ("leaf_b", after)):
                side = proof[name]
                path = [bytes.fromhex(node) for node in side["path"]]
                verify_inclusion(bytes.fromhex(side["leaf"]), 0, head.size, path, head.root)
            await site.happen(1)
            assert [one.kind for one in await site.look()] == [Kind.FORK], "what is proven stays said"

    run(scene())


def test_a_rewriting_before_the_monitor_began_is_found_by_the_heads_alone(tmp_path: Path, run: Run) -> None:
    async def scene() -> None:
        async with watched(f"sqlite+aiosqlite:///{tmp_path / 'cloud.sqlite3'}", tmp_path) as site:
            before = await site.happen(3)
            await site.rewrite()
            after = await site.happen(5)
            (finding,) = await site.look()
            assert finding.kind is Kind.FORK
            check_proof(finding, after, before)

    run(scene())


def test_a_shortened_audit_log_is_told_with_both_heads(tmp_path: Path, run: Run) -> None:
    async def scene() -> None:
        async with watched(f"sqlite+aiosqlite:///{tmp_path / 'cloud.sqlite3'}", tmp_path) as site:
            before = await site.happen(5)
            assert await site.look() == []
            await site.rewrite()
            after = await site.happen(2)
            found = {one.kind: one.says for one in await site.look()}
            assert set(found) == {Kind.ROLLBACK, Kind.FORK}
            assert before.root.hex() in found[Kind.ROLLBACK] and after.root.hex() in found[Kind.ROLLBACK]

    run(scene())


def test_an_audit_logs_tiles_that_are_withheld_are_a_gap_until_they_come(tmp_path: Path, run: Run) -> None:
    async def scene() -> None:
        async with watched(f"sqlite+aiosqlite:///{tmp_path / 'cloud.sqlite3'}", tmp_path) as site:
            site.absent = "/audit/tile"
            await site.happen(3)
            assert [(one.kind, one.log) for one in await site.look()] == [(Kind.GAP, ORIGIN)]
            site.absent = "/nothing"
            assert await site.look() == []

    run(scene())


def test_a_grown_audit_log_without_a_head_in_the_super_log_is_told_as_stale(tmp_path: Path, run: Run) -> None:
    async def scene() -> None:
        async with watched(f"sqlite+aiosqlite:///{tmp_path / 'cloud.sqlite3'}", tmp_path) as site:
            await site.happen(3)
            await site.happen(2, is_placed=False)
            assert await site.look() == [], "it may be on its way"
            site.now_s += 6 * HOUR_S + 1
            (finding,) = await site.look()
            assert (finding.kind, finding.log) == (Kind.STALE, ORIGIN) and "5 entries" in finding.says
            await site.happen(1)
            assert await site.look() == []

    run(scene())


def test_many_heads_in_one_look_are_remembered_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A monitor that was away for a month finds one a minute: written one by one, it would not be done in an hour."""
    leaves = []
    for size in range(1, 4_001):
        head = Checkpoint(origin=ORIGIN, size=size, root=size.to_bytes(32))
        leaves.append(head.body().encode() + bytes(64))
    tree = MemoryTree(leaf_hash(leaf) for leaf in leaves)
    key = ed25519.key_from_seed(bytes(31) + b"\x07")
    note = sign_superlog(Checkpoint(origin=TRUST.super_log_origin, size=len(leaves), root=tree.root()), key)

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/log/checkpoint":
            return httpx.Response(200, text=note)
        if not path.startswith("/log/tile/"):
            return httpx.Response(503)  # not looked at yet: the heads wait
        tile = parse_tile_path(path.removeprefix("/log/"))
        if tile.level is None:
            return httpx.Response(200, content=encode_bundle(leaves[tile.start : tile.end]))
        nodes = [tree.node(tile.node_level, at) for at in range(tile.start, tile.end)]
        return httpx.Response(200, content=encode_tile(nodes))

    written = list[int]()
    keep = Memory.keep_fact

    def keep_fact(memory: Memory, name: str, value: object) -> None:
        if name == "audit_pending":
            written.append(len(json.dumps(value)))
        keep(memory, name, value)

    monkeypatch.setattr(Memory, "keep_fact", keep_fact)
    web, memory = Web(httpx.MockTransport(answer)), Memory(tmp_path / "monitor.sqlite3")
    try:
        Monitor(settings_of(tmp_path), TRUST, memory, web, None, clock_s=lambda: 0).round()
        assert [place for place, _ in memory.fact("audit_pending")] == list(range(4_000))
    finally:
        memory.close()
        web.close()
    assert len(written) == 1 and written[0] < 4_000 * 500
