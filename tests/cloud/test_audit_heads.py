"""The audit log's heads in the super-log: one leaf a step, whose tree anybody can follow by its hashes alone."""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from sqlalchemy import delete, select

from cloud.errors import StoreError
from cloud.evidence import EvidenceRoom
from cloud.identity.audit import LOCK, Act, AuditLog, write_entry
from cloud.store import tables
from cloud.tiles import TileRoom
from contracts import ed25519
from contracts.checkpoint import audit_origin
from contracts.look import parse_look
from contracts.superlog import audit_leaf_of, parse_superlog, parse_superlog_leaf
from contracts.tiles import decode_bundle, decode_tile, tile_at
from contracts.tree import MemoryTree, leaf_hash
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.test_segments import grow

Run = Callable[[Coroutine[Any, Any, Any]], Any]
KEY = ed25519.key_from_seed(bytes(32))


def audit_of(bench: Bench) -> AuditLog:
    return AuditLog(bench.store, audit_origin(bench.super_log.origin), KEY)


async def leaves_of(bench: Bench) -> list[bytes]:
    """The super-log's leaves as served, held against its tile."""
    head = await bench.super_log.sign_head(bench.store, now_ms=9)
    assert head is not None
    room = TileRoom(store=bench.store, super_log=bench.super_log)
    bundle, tile = tile_at(None, 0, head.size), tile_at(0, 0, head.size)
    entries, hashes = await room.super_tile(bundle), await room.super_tile(tile)
    assert entries is not None and hashes is not None
    found = decode_bundle(entries, bundle.width)
    assert [leaf_hash(leaf) for leaf in found] == decode_tile(hashes, tile.width)
    assert MemoryTree(leaf_hash(leaf) for leaf in found).root() == head.root
    return list(found)


def test_a_grown_audit_logs_newest_head_is_one_leaf_of_a_step(store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with open_bench(store_url) as bench:
            audit, gateway = audit_of(bench), SimulatedGateway()
            bench.keys.enrol(gateway)
            await grow(bench, gateway, 2)
            for at in range(3):
                await audit.write(Act.SIGNED_IN, at_ms=at)
                await audit.sign_head(now_ms=at)
            await grow(bench, gateway, 1)
            leaves = await leaves_of(bench)
            newest = await audit.latest_note()
            assert newest is not None and leaves[-1] == audit_leaf_of(newest), "behind the step's checkpoints"
            heads = [parse_superlog_leaf(leaf)[0] for leaf in leaves]
            assert [head.origin for head in heads] == [*([gateway.origin] * (len(heads) - 1)), audit.origin]
            assert heads[-1].size == 3, "heads between two steps are left out"
            assert len(await leaves_of(bench)) == len(leaves), "no leaf for a log that did not grow"
            await audit.write(Act.SIGNED_OUT, at_ms=4)
            await audit.sign_head(now_ms=4)
            assert len(await leaves_of(bench)) == len(leaves) + 1

    run(scene())


def test_the_audit_logs_tiles_hash_to_its_signed_heads_and_hold_no_entry(store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with open_bench(store_url) as bench:
            audit = audit_of(bench)
            room = TileRoom(store=bench.store, super_log=bench.super_log)
            for count in (1, 2, 300):
                async with bench.store.write(LOCK) as connection:
                    for at in range(count):
                        await write_entry(connection, Act.LOOKED, at_ms=at, unit=bytes(32))
                note = await audit.sign_head(now_ms=1)
                await audit.write(Act.SIGNED_IN, at_ms=5)  # not signed for yet: not served yet
                assert note is not None
                head, hashes = parse_superlog(note), list[bytes]()
                for index in range((head.size + 255) // 256):
                    tile = tile_at(0, index, head.size)
                    served = await room.audit_tile(tile)
                    assert served is not None
                    hashes += decode_tile(served, tile.width)
                assert MemoryTree(hashes).root() == head.root
                assert await room.audit_tile(tile_at(0, head.size // 256, head.size + 1)) is None
            assert await room.audit_tile(tile_at(None, 0, 1)) is None, "entries are people's"
            async with bench.store.read() as connection:
                bodies = (await connection.execute(select(tables.audit_entries.c.body))).scalars().all()
            alike = [body.partition('"salt"')[2] for body in bodies]
            assert len(set(alike)) == len(bodies), "a salt each: nobody can guess an entry from its hash"

    run(scene())


def test_an_audit_log_of_before_gets_its_tree_with_its_next_head(store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with open_bench(store_url) as bench:
            audit = audit_of(bench)
            for at in range(7):
                await audit.write(Act.SIGNED_IN, at_ms=at)
            await audit.sign_head(now_ms=1)
            async with bench.store.write() as connection:
                whole = (await connection.execute(select(tables.audit_nodes))).all()
                await connection.execute(delete(tables.audit_nodes))
            await audit.sign_head(now_ms=2)
            async with bench.store.read() as connection:
                assert (await connection.execute(select(tables.audit_nodes))).all() == whole
            async with bench.store.write() as connection:
                await connection.execute(delete(tables.audit_entries).where(tables.audit_entries.c.entry_index == 3))
                await connection.execute(delete(tables.audit_nodes))
            with pytest.raises(StoreError, match="bring back the newest backup"):
                await audit.sign_head(now_ms=3)

    run(scene())


def test_a_head_that_an_older_version_signed_is_shown_nowhere_before_its_tree(store_url: str, run: Run) -> None:
    async def scene() -> None:
        async with open_bench(store_url) as bench:
            audit = audit_of(bench)
            room = TileRoom(store=bench.store, super_log=bench.super_log)
            proofs = EvidenceRoom(store=bench.store, view=None, deployment=None, super_origin=bench.super_log.origin)
            for at in range(5):
                await audit.write(Act.LOOKED, at_ms=at, unit=bytes(32))
            await audit.sign_head(now_ms=1)
            async with bench.store.write() as connection:
                await connection.execute(delete(tables.audit_nodes))
            await bench.super_log.sequence(bench.store)
            assert bench.super_log.size == 0
            assert await room.audit_tile(tile_at(0, 0, 5)) is None
            await audit.step(2)
            assert await room.audit_tile(tile_at(0, 0, 5)) is not None, "though the log did not grow"
            assert len(await leaves_of(bench)) == 1
            async with bench.store.write() as connection:
                await connection.execute(delete(tables.audit_nodes))
            file = await proofs.look(bytes(32), 3)
            assert file is not None and parse_look(file).log is None, "recorded, not proven yet"
            await audit.step(3)
            file = await proofs.look(bytes(32), 3)
            assert file is not None and parse_look(file).log is not None

    run(scene())
