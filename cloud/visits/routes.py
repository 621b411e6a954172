"""HTTP for crews' phones and whoever relays for them: hand in a signed visit, ask what became of it."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from cloud.errors import IngestRefused
from cloud.ingest.routes import read_body
from cloud.visits.room import UNJUDGED_MAX, VisitRefused, VisitRoom
from contracts.signed_visit import FORMAT, SIGNED_VISIT_BYTES_MAX

__all__ = ["visit_router"]

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
    "required": ["digest", "state", "level", "entry"],
    "properties": {
        "digest": {"type": "string", "description": "SHA-256 of the record, 64 hex digits: the visit's name"},
        "state": {"type": "string", "enum": ["waiting", "judged"]},
        "level": {"type": ["integer", "null"], "description": "0 to 4, as the gateway logged it"},
        "entry": {
            "type": ["object", "null"],
            "description": "the gateway's visit entry; GET /v1/evidence/{origin}/{index} proves it",
            "properties": {"origin": {"type": "string"}, "index": {"type": "string"}},
        },
    },
}
_ERRORS = {
    400: f"malformed: not a {FORMAT}",
    403: "unknown_crew: the key is not the one that this site knows of that crew member",
    404: "unknown_device: no gateway here looks after it; unknown_visit: never handed in here",
    413: f"too_large: over {SIGNED_VISIT_BYTES_MAX} bytes",
    422: "bad_signature, wrong_contract (another chain or contract) or bad_time (still to come, or over 60 days old)",
    429: f"too_many: {UNJUDGED_MAX} visits of this gateway wait already",
    503: "no_maintenance: this cloud has no maintenance contract in its settings",
}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"schema": _ERROR_SCHEMA}}
    return {status: {"description": _ERRORS[status], "content": content} for status in statuses}


def _answered() -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"schema": _ANSWER_SCHEMA}}
    return {200: {"description": "kept, and what became of it so far", "content": content}}


def _refusal(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": code, "message": message}, status_code=status)


def visit_router(room: VisitRoom) -> APIRouter:
    """The routes under /v1/visits."""
    router = APIRouter(tags=["visits"])

    @router.post(
        "/v1/visits",
        summary="Hand in a signed visit for its gateway to judge; handing it in again is harmless",
        responses={**_answered(), **_errors(400, 403, 404, 413, 422, 429, 503)},
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
        },
    )
    async def post_visit(request: Request) -> JSONResponse:
        try:
            stored = await room.take(await read_body(request, SIGNED_VISIT_BYTES_MAX))
        except (IngestRefused, VisitRefused) as refusal:
            return _refusal(refusal.status, refusal.code, refusal.message)
        return JSONResponse(stored.to_json())

    @router.get(
        "/v1/visits/{digest}",
        summary="What became of a visit",
        responses={**_answered(), **_errors(400, 404)},
    )
    async def get_visit(digest: str) -> JSONResponse:
        try:
            named = bytes.fromhex(digest)
        except ValueError:
            named = b""
        if len(named) != 32:
            return _refusal(400, "malformed", "a visit is named by the 64 hex digits of its digest")
        stored = await room.find(named)
        if stored is None:
            return _refusal(404, "unknown_visit", "no such visit was handed in here; POST it to /v1/visits")
        return JSONResponse(stored.to_json())

    return router
