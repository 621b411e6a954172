"""The witness over HTTP: `POST /add-checkpoint`, and `GET /HASH/checkpoint` for monitors (C2SP tlog-witness)."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from cloud.witness.judgement import Refused
from cloud.witness.witness import Witness
from contracts.witness import REQUEST_BYTES_MAX

__all__ = ["build_witness_app"]

_BODY_SECONDS = 10.0
_BURST_SECONDS = 5.0
_ADDRESSES_MAX = 10_000
_AT_ONCE = 8


class _Pace:
    """How fast one address may ask: a bucket each, the least recent forgotten."""

    def __init__(self, per_second: float, monotonic: Callable[[], float]) -> None:
        self._per_second, self._monotonic = per_second, monotonic
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, address: str) -> bool:
        now, most = self._monotonic(), max(1.0, self._per_second * _BURST_SECONDS)
        left, since = self._buckets.pop(address, (most, now))
        left = min(most, left + (now - since) * self._per_second)
        self._buckets[address] = (left - 1 if left >= 1 else left, now)
        while len(self._buckets) > _ADDRESSES_MAX:
            self._buckets.popitem(last=False)
        return left >= 1


def build_witness_app(
    witness: Witness,
    *,
    requests_per_second: float,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> Starlette:
    """The application over an open witness."""
    pace = _Pace(requests_per_second, monotonic)
    at_once = asyncio.Semaphore(_AT_ONCE)
    by_hash = {sha256(origin.encode()).hexdigest(): origin for origin in witness.origins}

    async def add_checkpoint(request: Request) -> Response:
        if not pace.allows(request.client.host if request.client else ""):
            return PlainTextResponse("too many requests; slow down\n", 429, {"Retry-After": "1"})
        try:
            body = await _body(request)
            async with at_once:
                line = await asyncio.to_thread(witness.add_checkpoint, body, clock)
        except Refused as refusal:
            return Response(refusal.text, refusal.status, media_type=refusal.media_type)
        return PlainTextResponse(line)

    async def checkpoint(request: Request) -> Response:
        origin = by_hash.get(request.path_params["origin_hash"])
        note = None if origin is None else await asyncio.to_thread(witness.checkpoint, origin)
        if note is None:
            return PlainTextResponse("nothing of such a log was cosigned here\n", 404)
        return PlainTextResponse(note, headers={"Cache-Control": "public, max-age=1"})

    async def home(_request: Request) -> Response:
        watched = "".join(f"watches {origin}\n" for origin in witness.origins)
        return PlainTextResponse(f"minglou witness\n{witness.vkey}\n{watched}")

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/{origin_hash}/checkpoint", checkpoint),
            Route("/", home),
        ]
    )


async def _body(request: Request) -> bytes:
    """The request's body. Raises `Refused` where it is too large or comes too slowly."""
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > REQUEST_BYTES_MAX:
                    raise Refused(413, f"a request has at most {REQUEST_BYTES_MAX} bytes\n")
    except TimeoutError as error:
        raise Refused(408, f"the request did not come within {_BODY_SECONDS:.0f} s\n") from error
    except ClientDisconnect as error:
        raise Refused(400, "the request was cut off\n") from error
    return bytes(body)
