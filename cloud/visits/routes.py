"""HTTP for crews' phones and whoever relays for them: hand in a visit, then its photographs; ask what became of it."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from cloud.errors import IngestRefused
from cloud.ingest.routes import read_body
from cloud.visits.arrivals import ArrivalRoom
from cloud.visits.files import PhotoRoom
from cloud.visits.looks import PhotoLooks
from cloud.visits.room import UNJUDGED_MAX, VisitRefused, VisitRoom
from cloud.visits.swaps import SwapRoom
from cloud.web.answers import Person
from contracts.arrival import ARRIVAL_BYTES_MAX
from contracts.bundle import BUNDLE_BYTES_MAX, FORMAT
from contracts.checklist import MEDIA_TYPES, PHOTO_BYTES_MAX
from contracts.meter_swap import METER_SWAP_BYTES_MAX

__all__ = ["visit_router"]

_DIGEST_BYTES = 32
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error", "message"],
    "properties": {
        "error": {"type": "string", "description": "stable word for programs"},
        "message": {"type": "string", "description": "what is wrong and what to do"},
    },
}
_ANSWER_SCHEMA = {
    "type": "object",
    "required": ["digest", "state", "level", "entry", "chain", "files_missing", "flags"],
    "properties": {
        "digest": {"type": "string", "description": "SHA-256 of the record, 64 hex digits: the visit's name"},
        "state": {"type": "string", "enum": ["waiting", "judged"]},
        "level": {"type": ["integer", "null"], "description": "0 to 4, as the gateway logged it"},
        "entry": {
            "type": ["object", "null"],
            "description": "the gateway's visit entry; GET /v1/evidence/{origin}/{index} proves it",
            "properties": {"origin": {"type": "string"}, "index": {"type": "string"}},
        },
        "chain": {"type": "string", "enum": ["waiting", "recorded", "paid"]},
        "files_missing": {"type": "array", "items": {"type": "string"}, "description": "photos yet to be PUT"},
        "flags": {
            "type": "array",
            "items": {"type": "object"},
            "description": "what is asked about it in public: name, kind, grave, state and a sentence in zh and en",
        },
    },
}
_FILE_SCHEMA = {
    "type": "object",
    "required": ["sha256"],
    "properties": {"sha256": {"type": "string", "description": "of the photo that is kept"}},
}
_ARRIVAL_SCHEMA = {
    "type": "object",
    "required": ["order", "digest", "chain"],
    "properties": {
        "order": {"type": "string", "description": "the work order's name"},
        "digest": {"type": "string", "description": "of what was said"},
        "chain": {"type": "string", "enum": ["waiting", "recorded"]},
    },
}
_SWAP_SCHEMA = {
    "type": "object",
    "required": ["visit"],
    "properties": {"visit": {"type": "string", "description": "whose swap is kept"}},
}
_ERRORS = {
    400: f"malformed: not a {FORMAT}",
    403: "unknown_crew: the key is not the one that this site knows of that crew member",
    404: "unknown_device: no gateway here looks after it; unknown_visit: never handed in here; unknown_file: the "
    "visit's list names no such photo",
    413: f"too_large: over {BUNDLE_BYTES_MAX} bytes; a photo over {PHOTO_BYTES_MAX}",
    422: "bad_signature, bad_list, wrong_contract (another chain or contract) or bad_time (still to come, or over 60 "
    "days old); of a photo, wrong_hash or bad_picture",
    429: f"too_many: {UNJUDGED_MAX} visits of this gateway wait already; too_many_photos: of this crew member within a "
    "day; the visit is kept, send the photo later",
    503: "no_maintenance: this cloud has no maintenance contract in its settings",
}

Viewer = Callable[[Request], Awaitable[Person | None]]


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"schema": _ERROR_SCHEMA}}
    return {status: {"description": _ERRORS[status], "content": content} for status in statuses}


def _answered(schema: dict[str, Any], says: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": says, "content": {"application/json": {"schema": schema}}}}


def _refusal(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": code, "message": message}, status_code=status)


def visit_router(
    room: VisitRoom,
    photos: PhotoRoom,
    arrivals: ArrivalRoom,
    looks: PhotoLooks,
    swaps: SwapRoom | None,
    viewer_of: Viewer,
) -> APIRouter:
    """The routes under /v1/visits, and the photographs that officers look at.

    Args:
        swaps: None where no chain is followed, which they could be brought to.
        viewer_of: who asks, by the pages' session.
    """
    router = APIRouter(tags=["visits"])
    kept = _answered(_ANSWER_SCHEMA, "kept, and what became of it so far")

    @router.post(
        "/v1/visits",
        summary="Hand in a visit with its list for its gateway to judge; handing it in again is harmless",
        responses={**kept, **_errors(400, 403, 404, 413, 422, 429, 503)},
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
        },
    )
    async def post_visit(request: Request) -> JSONResponse:
        try:
            stored = await room.take(await read_body(request, BUNDLE_BYTES_MAX))
        except (IngestRefused, VisitRefused) as refusal:
            return _refusal(refusal.status, refusal.code, refusal.message)
        return JSONResponse(stored.to_json())

    @router.get(
        "/v1/visits/{digest}",
        summary="What became of a visit",
        responses={**kept, **_errors(400, 404)},
    )
    async def get_visit(digest: str) -> JSONResponse:
        named = _digest_of(digest)
        if named is None:
            return _refusal(400, "malformed", "a visit is named by the 64 hex digits of its digest")
        stored = await room.find(named)
        if stored is None:
            return _refusal(404, "unknown_visit", "no such visit was handed in here; POST it to /v1/visits")
        return JSONResponse(stored.to_json())

    @router.put(
        "/v1/visits/{digest}/files/{sha256}",
        summary="Hand in a photo that a kept visit's list names; handing it in again is harmless",
        responses={**_answered(_FILE_SCHEMA, "kept"), **_errors(400, 404, 413, 422, 429)},
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA_TYPES},
            }
        },
    )
    async def put_file(digest: str, sha256: str, request: Request) -> JSONResponse:
        visit, name = _digest_of(digest), _digest_of(sha256)
        if visit is None or name is None:
            return _refusal(400, "malformed", "a visit and a photo are each named by the 64 hex digits of their digest")
        try:
            await photos.check_named(visit, name)  # before a stranger's half megabyte is read
            await photos.take(visit, name, await read_body(request, PHOTO_BYTES_MAX))
        except (IngestRefused, VisitRefused) as refusal:
            return _refusal(refusal.status, refusal.code, refusal.message)
        return JSONResponse({"sha256": name.hex()})

    @router.post(
        "/v1/arrivals",
        summary="Hand in that somebody arrived where a work order waits; handing it in again is harmless",
        responses={**_answered(_ARRIVAL_SCHEMA, "kept"), **_errors(400, 403, 404, 413, 422, 429, 503)},
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
        },
    )
    async def post_arrival(request: Request) -> JSONResponse:
        try:
            return JSONResponse(await arrivals.take(await read_body(request, ARRIVAL_BYTES_MAX)))
        except (IngestRefused, VisitRefused) as refusal:
            return _refusal(refusal.status, refusal.code, refusal.message)

    @router.put(
        "/v1/visits/{digest}/swap",
        summary="Hand in the installer's signature for the meter swap that a kept visit notes; again is harmless",
        responses={**_answered(_SWAP_SCHEMA, "kept"), **_errors(400, 403, 404, 413, 422, 503)},
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
        },
    )
    async def put_swap(digest: str, request: Request) -> JSONResponse:
        visit = _digest_of(digest)
        if visit is None:
            return _refusal(400, "malformed", "a visit is named by the 64 hex digits of its digest")
        if swaps is None:
            return _refusal(503, "no_chain", "this cloud follows no chain that could hold the swap")
        try:
            signed = await swaps.take(visit, await read_body(request, METER_SWAP_BYTES_MAX))
        except (IngestRefused, VisitRefused) as refusal:
            return _refusal(refusal.status, refusal.code, refusal.message)
        return JSONResponse({"visit": signed.file.visit.hex()})

    @router.get("/visits/{digest}/files/{sha256}", include_in_schema=False)
    async def get_file(digest: str, sha256: str, request: Request) -> Response:
        visit, name, viewer = _digest_of(digest), _digest_of(sha256), await viewer_of(request)
        photo = None if visit is None or name is None or viewer is None else await looks.open(viewer, visit, name)
        if photo is None:
            raise HTTPException(404)
        headers = {"cache-control": "no-store", "x-content-type-options": "nosniff", "content-disposition": "inline"}
        return Response(photo.octets, media_type=photo.media_type, headers=headers)

    return router


def _digest_of(text: str) -> bytes | None:
    """32 bytes of 64 hex digits; None of anything else."""
    try:
        named = bytes.fromhex(text) if text.isascii() and len(text) == 2 * _DIGEST_BYTES else b""
    except ValueError:
        return None
    return named if len(named) == _DIGEST_BYTES else None
