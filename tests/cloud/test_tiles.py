"""tlog-tiles over HTTP, read by a client that was written from the specification and shares nothing with the server."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from cloud.tiles import TileRoom, tile_router
from contracts.checkpoint import parse_checkpoint
from contracts.superlog import parse_superlog, parse_superlog_leaf
from contracts.tree import consistency_path
from tests.cloud.conftest import SUPER_ORIGIN, Bench, open_bench
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.tile_client import TileClient, merkle_tree_hash
from tests.contracts import reference_tree

Run = Callable[[Any], Any]


@asynccontextmanager
async def asked(bench: Bench) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(tile_router(TileRoom(store=bench.store, super_log=bench.super_log)))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://cloud.example") as client:
        yield client


def client_of(http: httpx.AsyncClient, prefix: str) -> TileClient:
    async def get(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        async with http.stream("GET", prefix + path, headers=headers) as answer:
            raw = b"".join([part async for part in answer.aiter_raw()])
        return answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, raw

    return TileClient(get)


async def grow(bench: Bench, gateway: SimulatedGateway, batches: int) -> None:
    """So many checkpoints of one gateway, each a leaf of the super-log."""
    for _ in range(batches):
        start = gateway.size if gateway.size > 1 else 0
        gateway.log_readings(1, detailed=False)
        await bench.send(gateway, start)


def test_root_inclusion_and_consistency_come_from_tiles_alone(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_bench(tmp_path / "cloud.sqlite3") as bench, asked(bench) as http:
            gateway = SimulatedGateway()
            bench.keys.enrol(gateway)
            await grow(bench, gateway, 60)
            old = await bench.super_log.sign_head(bench.store, now_ms=1)
            await grow(bench, gateway, 200)
            await bench.super_log.sign_head(bench.store, now_ms=2)
            answer = await http.get("/log/checkpoint")
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert answer.headers["cache-control"] == "public, max-age=1"
            checkpoint = parse_superlog(answer.text)
            assert (checkpoint.origin, checkpoint.size) == (SUPER_ORIGIN, 260)

            client = client_of(http, "/log")
            hashes = await client.leaf_hashes(260)
            assert client.fetched == 3, "one full and one partial tile of leaves, one partial tile above"
            assert merkle_tree_hash(hashes) == checkpoint.root
            entries = await client.entries(260)
            assert [sha256(b"\0" + entry).digest() for entry in entries] == hashes
            assert await client.entries(260, compressed=True) == entries
            assert old is not None and merkle_tree_hash(hashes[: old.size]) == old.root
            proof = reference_tree.proof(old.size, entries)
            assert reference_tree.is_consistent(old.size, old.root, 260, checkpoint.root, proof)
            for index in (0, 255, 256, 259):
                path = reference_tree.path(index, entries)
                assert reference_tree.is_included(hashes[index], index, 260, path, checkpoint.root)
            assert [parse_superlog_leaf(entry)[0].size for entry in entries] == list(range(2, 262))
            assert (await http.get(f"/log/checkpoint/{old.size}")).text == old.note

    run(scenario())


def test_a_gateways_log_has_tiles_of_hashes_and_no_entries(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_bench(tmp_path / "cloud.sqlite3") as bench, asked(bench) as http:
            gateway = SimulatedGateway()
            gateway.log_readings(1_399, detailed=False)
            bench.keys.enrol(gateway)
            await bench.send(gateway, 0, 300)
            await bench.send(gateway, 300)
            prefix = f"/v1/logs/{gateway.origin}"
            newest = parse_checkpoint((await http.get(f"{prefix}/checkpoint")).text)
            older = parse_checkpoint((await http.get(f"{prefix}/checkpoint/300")).text)
            hashes = await client_of(http, prefix).leaf_hashes(newest.size)
            assert len(hashes) == newest.size == 1_400
            assert merkle_tree_hash(hashes) == newest.root and merkle_tree_hash(hashes[:300]) == older.root
            assert (await http.get(f"{prefix}/tile/entries/000")).status_code == 404
            assert (await http.get("/v1/logs/other.example/a/b/e0/checkpoint")).status_code == 404
            assert (await http.get("/v1/logs/other.example/a/b/e0/tile/0/000.p/1")).status_code == 404

    run(scenario())


def test_a_super_log_of_70000_has_the_specifications_tiles(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_bench(tmp_path / "cloud.sqlite3") as bench, asked(bench) as http:
            rng = random.Random(70_000)
            async with bench.store.write() as connection:
                await bench.super_log.append(connection, [rng.randbytes(16) for _ in range(70_000)])
            head = await bench.super_log.sign_head(bench.store, now_ms=1)
            assert head is not None
            client = client_of(http, "/log")
            hashes = await client.leaf_hashes(70_000)
            assert client.fetched == 273 + 1 + 1 + 1 + 1
            assert merkle_tree_hash(hashes) == head.root
            for path, width in (("tile/0/273.p/112", 112), ("tile/1/001.p/17", 17), ("tile/2/000.p/1", 1)):
                assert len((await http.get(f"/log/{path}")).content) == 32 * width

    run(scenario())


UNSIGNED = (
    *("tile/0/000.p/6", "tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1", "tile/0/0", "tile/64/000", "tile/0/000.p/0"),
    *("tile/entries/000.p/6", "tile/0/x000/000.p/5", "checkpoint/4", f"checkpoint/{2**48 - 1}"),
)


def test_what_no_signed_checkpoint_covers_is_not_served(run: Run, tmp_path: Path) -> None:
    """Six leaves are stored, five are signed for: until a head is signed, nothing promises that they stay."""

    async def scenario() -> None:
        async with open_bench(tmp_path / "cloud.sqlite3") as bench, asked(bench) as http:
            assert (await http.get("/log/checkpoint")).status_code == 404
            assert (await http.get("/log/tile/0/000.p/1")).status_code == 404
            gateway = SimulatedGateway()
            bench.keys.enrol(gateway)
            await grow(bench, gateway, 5)
            await bench.super_log.sign_head(bench.store, now_ms=1)
            await grow(bench, gateway, 1)
            assert (await http.get("/log/tile/0/000.p/5")).status_code == 200
            assert (await http.get("/log/tile/0/000.p/3")).status_code == 200, "an older checkpoint's tile"
            for path in UNSIGNED:
                assert (await http.get(f"/log/{path}")).status_code == 404, path

    run(scenario())


def test_the_product_makes_the_same_proofs_as_the_slow_client(run: Run, tmp_path: Path) -> None:
    """What goes to witnesses and the chain is what anybody finds from the tiles."""
    from cloud.store.trees import SuperTree, walk

    async def scenario() -> None:
        async with open_bench(tmp_path / "cloud.sqlite3") as bench, asked(bench) as http:
            gateway = SimulatedGateway()
            bench.keys.enrol(gateway)
            await grow(bench, gateway, 40)
            await bench.super_log.sign_head(bench.store, now_ms=1)
            entries = await client_of(http, "/log").entries(40)
            async with bench.store.read() as connection:
                for old in (1, 7, 32, 39):
                    ours = await walk(connection, SuperTree(), lambda node, old=old: consistency_path(node, old, 40))
                    assert ours == reference_tree.proof(old, entries)

    run(scenario())
