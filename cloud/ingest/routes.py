"""HTTP for gateways: post a batch, ask what is held, fetch mail."""

import base64
import binascii
import logging
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from cloud.errors import IngestRefused
from cloud.ingest.ingest import Ingest
from cloud.mail import MailRoom
from cloud.store.away import STORE_ERRORS
from cloud.telemetry import span
from contracts.batch import BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, MEDIA_TYPE

__all__ = ["gateway_router", "read_body", "refusal_answer"]

_log = logging.getLogger("cloud.ingest")
_WAIT_SECONDS_MAX = 55.0
_FAILURES: tuple[type[Exception], ...] = (IngestRefused, *STORE_ERRORS)
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error", "message", "size"],
    "properties": {
        "error": {"type": "string", "description": "stable word for programs"},
        "message": {"type": "string", "description": "what is wrong and what to do"},
        "size": {"type": "integer", "description": "entries of this log that the cloud holds"},
    },
}
_ERRORS = {
    400: "malformed: not a minglou-batch/1",
    401: "bad_token: the uplink token is not the one that entry 0 declared",
    403: "unknown_gateway, revoked or not_enrolled: what the Registry says of this origin's key",
    409: "gap: the batch begins behind what is held; fork: the log is frozen, both checkpoints are kept",
    413: f"too_large: over {BATCH_ENTRIES_MAX} entries or {BATCH_BYTES_MAX} bytes",
    415: f"bad_content_type: send {MEDIA_TYPE}",
    422: "wrong_root, bad_signature or bad_entry: nothing of the batch was stored",
    429: "too_fast: over this gateway's quota; see Retry-After",
    503: "busy: see Retry-After",
}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"description": _ERRORS[status], "content": {"application/json": {"schema": _ERROR_SCHEMA}}}
        for status in statuses
    }


def refusal_answer(refusal: IngestRefused) -> JSONResponse:
    """The answer that a refusal becomes."""
    headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    body = {"error": refusal.code, "message": refusal.message, "size": refusal.size}
    return JSONResponse(body, status_code=refusal.status, headers=headers)


def _failure_answer(error: Exception) -> JSONResponse:
    """The answer to a gateway whose request failed: by its own fault, or because the store is away."""
    if isinstance(error, IngestRefused):
        return refusal_answer(error)
    _log.warning("cloud: a gateway is told to come again: the store does not answer (%s)", type(error).__name__)
    says = f"the store does not answer ({type(error).__name__}); nothing was taken: send the request again"
    return refusal_answer(IngestRefused(503, "busy", says, retry_after=5))


def read_token(authorization: str | None) -> bytes:
    """The uplink token of an Authorization header: 64 hex digits or unpadded base64url. Raises `IngestRefused` 401."""
    scheme, _, text = (authorization or "").partition(" ")
    try:
        token = bytes.fromhex(text) if len(text) == 64 else base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        token = b""
    if scheme.lower() != "bearer" or len(token) != 32:
        raise IngestRefused(401, "bad_token", "send `Authorization: Bearer <the 32 bytes of the uplink token in hex>`")
    return token


async def read_body(request: Request, limit: int) -> bytes:
    """The request's body, never holding more than `limit` bytes and one received piece.

    Raises:
        IngestRefused: 413 too_large; 400 malformed where the client hung up, which nobody hears any more.
    """
    pieces: list[bytes] = []
    length = 0
    try:
        async for piece in request.stream():
            length += len(piece)
            if length > limit:
                raise IngestRefused(413, "too_large", f"the body passes {limit} bytes; send less at once")
            pieces.append(piece)
    except ClientDisconnect:
        raise IngestRefused(400, "malformed", "the body was cut off; send it again") from None
    return b"".join(pieces)


def _declared_length(request: Request) -> int | None:
    declared = request.headers.get("content-length")
    return int(declared) if declared is not None and declared.isdecimal() else None


def gateway_router(ingest: Ingest, mail: MailRoom) -> APIRouter:
    """The routes under /v1/logs and /v1/gateways."""
    router = APIRouter(tags=["gateways"])

    @router.post(
        "/v1/logs/{origin:path}/entries",
        summary="Send the next entries of a log, up to exactly one signed checkpoint",
        responses={
            200: {"description": "the log's size, on disk"},
            **_errors(400, 401, 403, 409, 413, 415, 422, 429, 503),
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def post_entries(origin: str, request: Request) -> JSONResponse:
        try:
            if request.headers.get("content-type", "").partition(";")[0].strip() != MEDIA_TYPE:
                raise IngestRefused(415, "bad_content_type", f"send the batch as {MEDIA_TYPE}")
            if request.headers.get("content-encoding", "identity") != "identity":
                raise IngestRefused(415, "bad_content_type", "send the batch as it is, without Content-Encoding")
            token = read_token(request.headers.get("authorization"))
            with span("ingest.batch") as batch:
                await ingest.admit(origin, _declared_length(request), token)
                body = await read_body(request, BATCH_BYTES_MAX)
                batch.set_attribute("minglou.batch.bytes", len(body))
                size = await ingest.submit(origin, token, body)
        except _FAILURES as error:
            return _failure_answer(error)
        return JSONResponse({"size": size})

    @router.get(
        "/v1/logs/{origin:path}",
        summary="What the cloud holds of a log",
        responses=_errors(401, 503),
    )
    async def get_log(origin: str, authorization: Annotated[str | None, Header()] = None) -> JSONResponse:
        try:
            if await ingest.head(origin) is None:
                message = f"nothing of {origin} is held; send entry 0"
                return JSONResponse({"error": "unknown_log", "message": message, "size": 0}, status_code=404)
            await ingest.check_token(origin, read_token(authorization))
            size, note = await ingest.stored_head(origin)
        except _FAILURES as error:
            return _failure_answer(error)
        return JSONResponse({"size": size, "checkpoint": note})

    @router.get(
        "/v1/gateways/{origin:path}/mail",
        summary="Numbered messages to a gateway; waits for new ones",
        responses=_errors(401, 403, 503),
    )
    async def get_mail(
        origin: str,
        after: Annotated[int, Query(ge=0, lt=2**31)] = 0,
        wait: Annotated[float, Query(ge=0)] = 0.0,
        authorization: Annotated[str | None, Header()] = None,
    ) -> JSONResponse:
        try:
            await ingest.check_token(origin, read_token(authorization))
            messages = await mail.fetch(origin, after=after, wait_seconds=min(wait, _WAIT_SECONDS_MAX))
        except _FAILURES as error:
            return _failure_answer(error)
        return JSONResponse({"messages": messages})

    return router
