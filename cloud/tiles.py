"""The super-log, the gateways' logs and the audit log as C2SP tlog-tiles, which any monitor or cache understands.

Straight from the stored nodes: a tile is one range of one index. Only what a signed checkpoint covers is served, so
that no answer ever changes. Of a gateway's log and of the audit log there are hashes only, for their entries are
people's: salted, they tell nothing, but for audit entries of the versions before the salt (decision 0024).
"""

import gzip
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import PlainTextResponse, Response
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.errors import StoreError
from cloud.identity.audit_tree import covered_size
from cloud.store import Store, log_id_of, tables
from cloud.store.months import entries_at
from cloud.store.trees import AuditTree, SuperTree, WholeTree
from cloud.super_log import SuperLog
from contracts.errors import TileError
from contracts.superlog import audit_leaf_of, superlog_leaf_of
from contracts.tiles import Tile, encode_bundle, encode_tile, parse_tile_path
from contracts.tree import SIZE_END

__all__ = ["TileRoom", "tile_router"]

SUPER_PREFIX = "/log"
_IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable"}
_BRIEF = {"Cache-Control": "public, max-age=1"}
_OCTETS = "application/octet-stream"
_GZIP_LEVEL = 5

Size = Annotated[int, Path(ge=1, lt=SIZE_END)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TileRoom:
    """Reads tiles, entry bundles and checkpoints from the store; None where there is no such thing yet."""

    store: Store
    super_log: SuperLog

    async def super_tile(self, tile: Tile) -> bytes | None:
        """A tile or entry bundle of the super-log, as far as its newest signed checkpoint reaches."""
        async with self.store.read() as connection:
            size = (await connection.execute(select(func.max(tables.super_notes.c.size)))).scalar_one()
            if size is None or not tile.is_within(size):
                return None
            if tile.level is None:
                return encode_bundle(await _super_leaves(connection, tile))
            return await _whole_row(connection, SuperTree(), tile)

    async def audit_tile(self, tile: Tile) -> bytes | None:
        """A tile of the audit log, as far as its newest signed head and its stored tree reach."""
        async with self.store.read() as connection:
            if tile.level is None or not tile.is_within(await covered_size(connection)):
                return None
            return await _whole_row(connection, AuditTree(), tile)

    async def log_tile(self, origin: str, tile: Tile) -> bytes | None:
        """A tile of a gateway's log, whose stored size is always a checkpoint's."""
        async with self.store.read() as connection:
            log_id = await log_id_of(connection, origin)
            log = (await connection.execute(select(tables.logs).where(tables.logs.c.log_id == log_id))).one_or_none()
            if log is None or tile.level is None or not tile.is_within(log.size):
                return None
            return await _hashes(connection, await _log_row(connection, log.log_id, tile), tile)

    async def log_checkpoint(self, origin: str, size: int | None = None) -> str | None:
        """A gateway's checkpoint note: the newest one, or the one of exactly this size."""
        column = tables.checkpoints.c
        async with self.store.read() as connection:
            log_id = await log_id_of(connection, origin)
            query = select(column.note).where(column.log_id == log_id).order_by(column.size.desc()).limit(1)
            return (
                await connection.execute(query if size is None else query.where(column.size == size))
            ).scalar_one_or_none()


def tile_router(room: TileRoom) -> APIRouter:
    """The super-log below /log, each gateway's log below /v1/logs/ORIGIN."""
    router = APIRouter(tags=["transparency"])

    @router.get(f"{SUPER_PREFIX}/checkpoint", summary="The super-log's latest signed checkpoint, with cosignatures")
    async def get_super_checkpoint() -> Response:
        head = await room.super_log.latest(room.store)
        return _note(head.note if head else None)

    @router.get(f"{SUPER_PREFIX}/checkpoint/{{size}}", summary="The super-log's signed checkpoint of one size")
    async def get_super_checkpoint_of(size: Size) -> Response:
        head = await room.super_log.signed(room.store, size)
        return _note(head.note if head else None)

    @router.get(f"{SUPER_PREFIX}/tile/{{path:path}}", summary="A tile or entry bundle of the super-log (tlog-tiles)")
    async def get_super_tile(path: str, request: Request) -> Response:
        tile = _tile(path)
        found = None if tile is None else await room.super_tile(tile)
        return _answer(found, request, is_bundle=tile is not None and tile.level is None)

    @router.get("/audit/tile/{path:path}", summary="A tile of the audit log (tlog-tiles, hashes only)")
    async def get_audit_tile(path: str, request: Request) -> Response:
        tile = _tile(path)
        return _answer(None if tile is None else await room.audit_tile(tile), request, is_bundle=False)

    @router.get("/v1/logs/{origin:path}/checkpoint", summary="A gateway's latest checkpoint that is held")
    async def get_log_checkpoint(origin: str) -> Response:
        return _note(await room.log_checkpoint(origin))

    @router.get("/v1/logs/{origin:path}/checkpoint/{size}", summary="A gateway's checkpoint of one size")
    async def get_log_checkpoint_of(origin: str, size: Size) -> Response:
        return _note(await room.log_checkpoint(origin, size))

    @router.get(
        "/v1/logs/{origin:path}/tile/{path:path}", summary="A tile of a gateway's log (tlog-tiles, hashes only)"
    )
    async def get_log_tile(origin: str, path: str, request: Request) -> Response:
        tile = _tile(path)
        return _answer(None if tile is None else await room.log_tile(origin, tile), request, is_bundle=False)

    return router


def _tile(path: str) -> Tile | None:
    try:
        return parse_tile_path(f"tile/{path}")
    except TileError:
        return None


def _note(note: str | None) -> Response:
    if note is None:
        return PlainTextResponse("no checkpoint yet\n", status_code=404)
    return PlainTextResponse(note, headers=_BRIEF)


def _answer(found: bytes | None, request: Request, *, is_bundle: bool) -> Response:
    if found is None:
        says = "no such tile under the newest checkpoint; ask for /checkpoint and take tiles of its size\n"
        return PlainTextResponse(says, status_code=404)
    if not is_bundle:
        return Response(found, media_type=_OCTETS, headers=_IMMUTABLE)
    headers = {**_IMMUTABLE, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        found, headers["Content-Encoding"] = gzip.compress(found, _GZIP_LEVEL, mtime=0), "gzip"
    return Response(found, media_type=_OCTETS, headers=headers)


async def _super_leaves(connection: AsyncConnection, tile: Tile) -> list[bytes]:
    """Leaf data again from the kept checkpoint notes: nothing is stored twice."""
    leaves = dict[int, bytes]()
    for table, leaf_of in ((tables.checkpoints, superlog_leaf_of), (tables.audit_heads, audit_leaf_of)):
        query = (
            select(table.c.super_index, table.c.note)
            .where(table.c.super_index >= tile.start, table.c.super_index < tile.end)
            .execution_options(every_shard="leaves of the super-log lie with their logs")
        )
        leaves.update({row.super_index: leaf_of(row.note) for row in await connection.execute(query)})
    return _whole([leaves[at] for at in sorted(leaves)], tile)


async def _whole_row(connection: AsyncConnection, tree: WholeTree, tile: Tile) -> bytes:
    column = tree.table.c
    query = (
        select(column.hash)
        .where(column.level == tile.node_level, column.node_index >= tile.start, column.node_index < tile.end)
        .order_by(column.node_index)
    )
    return await _hashes(connection, query, tile)


async def _log_row(connection: AsyncConnection, log_id: int, tile: Tile) -> Select[Any]:
    if tile.level == 0:
        entry, here = tables.entries.c, await entries_at(connection, log_id, tile.start, tile.end)
        return select(entry.leaf_hash).where(here).order_by(entry.entry_index)
    column = tables.nodes.c
    return (
        select(column.hash)
        .where(
            column.log_id == log_id,
            column.level == tile.node_level,
            column.node_index >= tile.start,
            column.node_index < tile.end,
        )
        .order_by(column.node_index)
    )


async def _hashes(connection: AsyncConnection, query: Select[Any], tile: Tile) -> bytes:
    return encode_tile(_whole(list((await connection.execute(query)).scalars()), tile))


def _whole(found: list[bytes], tile: Tile) -> list[bytes]:
    if len(found) != tile.width:
        raise StoreError(
            f"{tile}: {len(found)} of {tile.width} stored rows are there; restore the database or rebuild the tree"
        )
    return found
