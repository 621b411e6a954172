"""HTTP for the operator's bills and for relayed acts of owners."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from cloud.billing.relay import Relay, Relayed, SignedAct
from cloud.errors import BillingError, IngestRefused
from cloud.ingest.routes import read_body, refusal_answer
from cloud.service import Cloud
from contracts.service import CutOffRefusedError, refuse_cut_off

__all__ = ["billing_router"]

_BILL_BYTES_MAX = 16 * 1024
_ACT_BYTES_MAX = 16 * 1024


def billing_router(cloud: Cloud) -> APIRouter:
    """Routes under /v1/bills and /v1/relay."""
    router = APIRouter(tags=["billing"])

    @router.post(
        "/v1/bills/{period}", summary="Upload a closed period's bills; taken only if they rebuild the root on chain"
    )
    async def post_bills(period: int, request: Request) -> JSONResponse:
        if cloud.chain is None:
            return _refused(503, "no_chain", "this cloud follows no chain")
        from cloud.billing.posted import accept_bills

        # Anyone may upload; so nothing is read for a period that is not closed, and no more than its units can fill.
        closed = cloud.chain.view.periods.get(period)
        if closed is None:
            return _refused(409, "bad_bills", f"period {period} is not closed on the followed chain; post it first")
        try:
            document = _parse(await read_body(request, _BILL_BYTES_MAX * closed.unit_count))
            accepted = await accept_bills(
                cloud.store,
                view=cloud.chain.view,
                directory=cloud.directory.read(),
                deployment=cloud.chain.deployment,
                clock=cloud.settings.clock,
                period=period,
                documents=list(document["bills"]),
            )
        except IngestRefused as refusal:
            return refusal_answer(refusal)
        except BillingError as error:
            return _refused(422, "bad_bills", str(error))
        except (KeyError, TypeError) as error:
            return _refused(400, "malformed", f'send {{"bills": [minglou-bill/1, …]}}: {error!r}')
        cloud.bell.ring()
        return JSONResponse({"accepted": accepted.accepted, "mismatches": list(accepted.mismatches)})

    @router.post(
        "/v1/relay/challenge", summary="Relay an owner's signed challenge of a bill line; the cloud pays the gas"
    )
    async def post_challenge(request: Request) -> JSONResponse:
        return await _relay(cloud, request, "challenge")

    @router.post("/v1/relay/withdraw", summary="Relay an owner's signed withdrawal; the cloud pays the gas")
    async def post_withdraw(request: Request) -> JSONResponse:
        return await _relay(cloud, request, "withdraw")

    @router.post("/v1/cut-off/{service}", summary="Refused, always: no service is cut off to collect a fee")
    async def post_cut_off(service: str) -> JSONResponse:
        try:
            refuse_cut_off(service[:40])
        except CutOffRefusedError as refusal:
            return _refused(403, refusal.code, str(refusal))

    return router


async def _relay(cloud: Cloud, request: Request, what: str) -> JSONResponse:
    relay = relay_of(cloud)
    if relay is None:
        return _refused(503, "no_chain", "this cloud follows no chain")
    try:
        document = _parse(await read_body(request, _ACT_BYTES_MAX))
        act = SignedAct(
            public=_octets(document["public"], 64),
            nonce=int(document["nonce"]),
            deadline_s=int(document["deadline"]),
            signature=_octets(document["signature"], 64),
        )
        if what == "challenge":
            answer = await relay.challenge(
                int(document["period"]), int(document["unit_index"]), int(document["line"]), act
            )
        else:
            answer = await relay.withdraw(
                int(document["unit_index"]), int(document["amount"]), str(document["to"]), act
            )
    except IngestRefused as refusal:
        return refusal_answer(refusal)
    except (KeyError, TypeError, ValueError) as error:
        return _refused(400, "malformed", f"the signed act lacks a field or has a wrong one: {error!r}")
    return _answer(answer)


def relay_of(cloud: Cloud) -> Relay | None:
    """The relay; None without a chain."""
    if cloud.chain is None:
        return None
    return Relay(
        store=cloud.store, view=cloud.chain.view, deployment=cloud.chain.deployment, clock=cloud.settings.clock
    )


def _answer(relayed: Relayed) -> JSONResponse:
    body = {"accepted": relayed.accepted, "code": relayed.code, "message": relayed.says}
    return JSONResponse(body, status_code=202 if relayed.accepted else 422)


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise IngestRefused(400, "malformed", f"the body is not JSON: {error}") from error


def _octets(text: Any, length: int) -> bytes:
    octets = bytes.fromhex(text)
    if len(octets) != length:
        raise ValueError(f"{len(octets)} bytes where {length} belong")
    return octets


def _refused(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": code, "message": message}, status_code=status)
