"""HTTP for copies: which logs there are, their frames, and acknowledgements. Each copy has a token of its own."""

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Query
from fastapi.responses import JSONResponse, Response
from sqlalchemy import select

from cloud.copies.acknowledgements import NOTES_AT_ONCE, Acknowledgements
from cloud.errors import ArchiveError
from cloud.segments import Archive
from cloud.store import Store, tables
from contracts.checkpoint import is_log_origin
from contracts.copy_note import CopyKeeper
from contracts.note import NOTE_BYTES_MAX
from contracts.segment import MEDIA_TYPE
from contracts.tree import SIZE_END

__all__ = ["FRAMES_BYTES", "LOGS_AT_ONCE", "copies_router"]

LOGS_AT_ONCE = HEADS_AT_ONCE = 500
FRAMES_BYTES = 8 * 1024 * 1024


def _refused(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": code, "message": message}, status_code=status)


def _unknown_copy() -> JSONResponse:
    return _refused(
        401, "bad_token", "send `Authorization: Bearer <the copy's token>`; [[copy]] in the settings names copies"
    )


def copies_router(
    store: Store, archive: Archive, acknowledgements: Acknowledgements, keepers: Mapping[str, CopyKeeper]
) -> APIRouter:
    """The routes under /v1/copies. `keepers`: the copies by their tokens."""
    router = APIRouter(tags=["copies"], prefix="/v1/copies")

    def keeper_of(authorization: str | None) -> CopyKeeper | None:
        given = (authorization or "").removeprefix("Bearer ").encode()
        found = [keeper for token, keeper in keepers.items() if hmac.compare_digest(token.encode(), given)]
        return found[0] if found else None

    @router.get("/logs", summary="Every log with its size and last checkpoint, in the order of their names")
    async def get_logs(after: str = "", authorization: Annotated[str | None, Header()] = None) -> Response:
        if keeper_of(authorization) is None:
            return _unknown_copy()
        logs = await _logs(store, after)
        return JSONResponse({"logs": logs, "next": logs[-1]["origin"] if len(logs) == LOGS_AT_ONCE else None})

    @router.get("/frames/{origin:path}", summary="Frames of a log's segments, from the one that holds entry `from` on")
    async def get_frames(
        origin: str,
        start: Annotated[int, Query(ge=0, lt=SIZE_END, alias="from")] = 0,
        authorization: Annotated[str | None, Header()] = None,
    ) -> Response:
        if keeper_of(authorization) is None:
            return _unknown_copy()
        if not is_log_origin(origin):
            return _refused(404, "unknown_log", f"{origin[:80]!r} is no log's name")
        try:
            files = archive.log(origin)
            frames = await asyncio.to_thread(files.read_from, start, bytes_max=FRAMES_BYTES)
        except ArchiveError as error:
            return _refused(503, "damaged", f"{error}")
        return Response(frames, media_type=MEDIA_TYPE)

    @router.get("/audit-heads", summary="The audit log's heads in the super-log, from place `from` of that on")
    async def get_audit_heads(
        start: Annotated[int, Query(ge=0, lt=SIZE_END, alias="from")] = 0,
        authorization: Annotated[str | None, Header()] = None,
    ) -> Response:
        if keeper_of(authorization) is None:
            return _unknown_copy()
        return JSONResponse({"heads": await _audit_heads(store, start)})

    @router.post("/acknowledgements", summary="What a copy has on its disk: signed notes, relayed to the gateways")
    async def post_acknowledgements(
        notes: Annotated[list[str], Body(embed=True, max_length=NOTES_AT_ONCE)],
        authorization: Annotated[str | None, Header()] = None,
    ) -> Response:
        keeper = keeper_of(authorization)
        if keeper is None:
            return _unknown_copy()
        if any(len(note) > NOTE_BYTES_MAX for note in notes):
            return _refused(413, "too_large", f"a note has at most {NOTE_BYTES_MAX} bytes")
        done = await acknowledgements.take(keeper, notes)
        return JSONResponse({"taken": done.taken, "refused": done.refused})

    return router


async def _audit_heads(store: Store, start: int) -> Sequence[dict[str, Any]]:
    column = tables.audit_heads.c
    query = select(tables.audit_heads).where(column.super_index >= start).order_by(column.super_index)
    async with store.read() as connection:
        rows = await connection.execute(query.limit(HEADS_AT_ONCE))
        return [
            {"super_index": str(row.super_index), "signed_at_ms": row.signed_at_ms, "note": row.note} for row in rows
        ]


async def _logs(store: Store, after: str) -> Sequence[dict[str, Any]]:
    logs, checkpoints = tables.logs.c, tables.checkpoints.c
    query = (
        select(logs.origin, logs.size, checkpoints.note)
        .join(tables.checkpoints, (checkpoints.log_id == logs.log_id) & (checkpoints.size == logs.size))
        .where(logs.origin > after)
        .order_by(logs.origin)
        .limit(LOGS_AT_ONCE)
        .execution_options(every_shard="a copy holds every log")
    )
    async with store.read() as connection:
        rows = await connection.execute(query)
        return [{"origin": row.origin, "size": str(row.size), "checkpoint": row.note} for row in rows]
