"""A mirror takes the audit log's heads only where the super-log holds them, whatever the cloud lists."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import FastAPI, Query, Response
from sqlalchemy import delete

from cloud.copies.acknowledgements import Acknowledgements
from cloud.copies.routes import copies_router
from cloud.errors import MirrorError
from cloud.mirror.cloud_client import CloudClient
from cloud.store import tables
from cloud.tiles import TileRoom, tile_router
from contracts.checkpoint import Checkpoint, audit_origin
from contracts.clock import SystemClock
from contracts.superlog import sign_superlog
from tests.cloud.test_mirror import KEEPER, KEY, TOKEN, Run, Town, served, town
from tests.cloud.test_monitor import ROOTS


@asynccontextmanager
async def lying_of_audit_heads(here: Town, listed: Callable[[int], object]) -> AsyncIterator[None]:
    """The true cloud, but for the list of its audit log's heads: `listed` makes that for each place asked from."""
    app = FastAPI()

    @app.get("/v1/copies/audit-heads")
    async def answer(start: Annotated[int, Query(alias="from")]) -> Response:
        return Response(json.dumps(listed(start)), media_type="application/json")

    room = Acknowledgements(here.bench.store, SystemClock())
    app.include_router(copies_router(here.bench.store, here.cloud, room, {TOKEN: KEEPER}))
    app.include_router(tile_router(TileRoom(store=here.bench.store, super_log=here.bench.super_log)))
    async with served(app) as url:
        heads, client = here.mirror._audit_heads, CloudClient(url, TOKEN)
        honest, heads._cloud = heads._cloud, client
        try:
            yield
        finally:
            heads._cloud = honest
            await client.close()


def listed_head(place: int, *, size: int = 1, origin: str = "", signed_at_ms: object = 1) -> dict[str, object]:
    origin = origin or audit_origin(ROOTS.super_log_origin)
    note = sign_superlog(Checkpoint(origin=origin, size=size, root=bytes(32)), KEY)
    return {"super_index": str(place), "signed_at_ms": signed_at_ms, "note": note}


def test_a_cloud_that_lists_ever_more_audit_heads_does_not_keep_the_copy_from_acknowledging(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    async def scene() -> None:
        async with town(tmp_path, store_url) as here:
            await here.grow()
            await here.audit(0)
            async with lying_of_audit_heads(here, lambda start: {"heads": [listed_head(start)]}), asyncio.timeout(60):
                done = await here.mirror.round()
            assert (done.problems, done.acknowledged) == (1, 1)
            assert here.kept_heads(here.copy) == []

    run(scene())


HOSTILE: list[dict[str, object]] = [
    {"heads": None},
    {"heads": {"0": "1"}},
    {"heads": [None]},
    {"heads": [listed_head(0, signed_at_ms=True)]},
    {"heads": [listed_head(0, signed_at_ms=-1)]},
    {"heads": [listed_head(0, signed_at_ms=1 << 80)]},
    {"heads": [listed_head(0) | {"note": "\ud800"}]},
    {"heads": [listed_head(0, origin="audit.other.example/log")]},
    {"heads": [listed_head(0, size=7)]},
    {"heads": [listed_head(10**14)]},
    {"heads": [listed_head(2), listed_head(1)]},
]


def test_a_head_of_the_audit_log_that_the_super_log_does_not_hold_is_never_kept(tmp_path: Path, run: Run) -> None:
    async def scene() -> None:
        async with town(tmp_path, f"sqlite+aiosqlite:///{tmp_path / 'cloud.sqlite3'}") as here:
            await here.audit(0)
            for answer in HOSTILE:
                async with lying_of_audit_heads(here, lambda _start, answer=answer: answer):
                    await here.mirror.round()
                assert here.kept_heads(here.copy) == [], answer
            assert (await here.mirror.round()).problems == 0
            assert [head.size for head in here.kept_heads(here.copy)] == [1], "the true one is still taken"

    run(scene())


def test_a_cloud_set_back_to_an_older_super_log_is_told_and_the_copy_keeps_its_audit_heads(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    async def scene() -> None:
        async with town(tmp_path, store_url) as here:
            for at in range(3):
                await here.audit(at)
            assert (await here.mirror.round()).audit_heads == 3
            kept = here.kept_heads(here.copy)
            async with here.bench.store.write() as connection:
                for table in (tables.super_nodes, tables.super_head, tables.super_notes, tables.audit_heads):
                    await connection.execute(delete(table))
            for at in range(3, 9):  # behind the kept ones by then, where every place holds another leaf
                await here.audit(at)
                assert (await here.mirror.round()).problems == 1
            assert here.kept_heads(here.copy) == kept

    run(scene())


def test_lists_that_the_cloud_leaves_out_are_a_problem_and_end_no_copy(tmp_path: Path, run: Run) -> None:
    async def scene() -> None:
        app = FastAPI()

        @app.get("/v1/copies/logs")
        async def logs() -> object:
            return {"logs": None}

        @app.post("/v1/copies/acknowledgements")
        async def acknowledgements() -> object:
            return {"refused": None}

        async with served(app) as url:
            client = CloudClient(url, TOKEN)
            with pytest.raises(MirrorError, match="no list"):
                _ = [one async for one in client.logs()]
            with pytest.raises(MirrorError, match="no list"):
                await client.acknowledge(["note"])
            await client.close()

    run(scene())
