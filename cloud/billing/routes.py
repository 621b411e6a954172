"""HTTP for the operator's bills and for relayed acts of owners."""

import asyncio
import hmac
import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse

from cloud.api import note_look
from cloud.billing.comparing import Comparing
from cloud.billing.relay import Relay, Relayed, SignedAct
from cloud.errors import BillingError, IngestRefused
from cloud.ingest.routes import read_body, refusal_answer
from cloud.service import Cloud
from contracts.bill import BLOCK, BillError
from contracts.bill_file import bill_to_json
from contracts.key_table import key_proof_to_json
from contracts.service import CutOffRefusedError, refuse_cut_off

__all__ = ["billing_router"]

Period = Annotated[int, Path(ge=0, lt=10**16)]
_ACT_BYTES_MAX = 16 * 1024
_MISMATCHES_MAX = 100


def billing_router(cloud: Cloud) -> APIRouter:
    """Routes under /v1/bills and /v1/relay."""
    router, comparing, one_table = APIRouter(tags=["billing"]), Comparing(cloud), asyncio.Lock()

    @router.get("/v1/bills/{period}", summary="How many of a closed period's bills are held, for whoever uploads them")
    async def get_held(period: Period) -> JSONResponse:
        from cloud.billing.kept import read_held

        async with cloud.store.read() as connection:
            held = await read_held(connection, period)
        if held is None:
            return _refused(404, "unknown_period", f"no bills of period {period} are held")
        return JSONResponse({"held": held.held, "unit_count": held.unit_count, "root": held.root.hash.hex()})

    @router.post(
        "/v1/bills/{period}/units",
        summary="Upload the next 4,096 bills of a closed period; taken only if they lead to the root on chain",
    )
    async def post_bills(period: Period, request: Request) -> JSONResponse:
        if cloud.chain is None:
            return _refused(503, "no_chain", "this cloud follows no chain")
        from cloud.billing.bill_block import BLOCK_BYTES_MAX
        from cloud.billing.posted import TooEarlyError, take_block

        # Anyone may upload; so nothing is read for a period that is not closed.
        if period not in cloud.chain.view.periods:
            return _refused(409, "bad_bills", f"period {period} is not closed on the followed chain; post it first")
        try:
            taken = await take_block(
                cloud.store,
                view=cloud.chain.view,
                deployment=cloud.chain.deployment,
                clock=cloud.settings.clock,
                period=period,
                body=await read_body(request, BLOCK_BYTES_MAX),
            )
        except IngestRefused as refusal:
            return refusal_answer(refusal)
        except TooEarlyError as error:
            return _refused(409, "too_early", str(error))
        except BillingError as error:
            return _refused(422, "bad_bills", str(error))
        return JSONResponse({"held": taken.held, "unit_count": taken.unit_count})

    @router.post(
        "/v1/bills/{period}/volumes",
        summary="Hand in the units' volumes that share a pool; taken only if they make the table on chain",
    )
    async def post_volumes(period: Period, request: Request) -> JSONResponse:
        if cloud.chain is None:
            return _refused(503, "no_chain", "this cloud follows no chain")
        from cloud.billing.volumes import VOLUMES_BYTES_MAX, decode_volumes, is_held, keep_volumes, pool_of

        view = cloud.chain.view
        # Anyone may hand them in; so nothing is read for a period of which no table stands on chain, and what is sent
        # is made a table only while that one is not held, one at a time.
        if not any(of_period == period for _, of_period in view.volumes):
            says = f"no volumes for {period} are on the followed chain; post them first"
            return _refused(409, "bad_volumes", says)
        try:
            body = await read_body(request, VOLUMES_BYTES_MAX)
            async with one_table:
                if not await is_held(cloud.store, view, period, pool_of(body)):
                    await keep_volumes(cloud.store, view, period, await asyncio.to_thread(decode_volumes, body))
        except IngestRefused as refusal:
            return refusal_answer(refusal)
        except (BillError, BillingError) as error:
            return _refused(422, "bad_volumes", str(error))
        return JSONResponse({"held": True})

    @router.get(
        "/v1/bills/{period}/units/{unit_index}/keys",
        summary="Where a unit's keys stand in the tables of volumes that share pools, for programs with a token",
    )
    async def get_keys(
        request: Request, period: Period, unit_index: Annotated[int, Path(ge=0, lt=2**31)]
    ) -> JSONResponse:
        if cloud.chain is None:
            return _refused(503, "no_chain", "this cloud follows no chain")
        await _note_look(cloud, request, period, unit_index)
        from cloud.billing.volumes import read_key

        view = cloud.chain.view
        async with cloud.store.read() as connection:
            pools = [pool for pool, of_period in view.volumes if of_period == period]
            found = {pool: await read_key(connection, view, period, pool, unit_index) for pool in pools}
        keys = [{"pool": pool.hex(), **key_proof_to_json(proof)} for pool, proof in found.items() if proof is not None]
        return JSONResponse({"keys": keys})

    @router.get("/v1/bills/{period}/units/{unit_index}", summary="One posted bill, for programs with a token")
    async def get_bill(
        request: Request, period: Period, unit_index: Annotated[int, Path(ge=0, lt=2**31)]
    ) -> JSONResponse:
        if cloud.chain is None:
            return _refused(503, "no_chain", "this cloud follows no chain")
        await _note_look(cloud, request, period, unit_index)
        from cloud.billing.kept import read_bill

        async with cloud.store.read() as connection:
            proof = await read_bill(connection, cloud.chain.view, cloud.chain.deployment, period, unit_index)
        if proof is None:
            return _refused(404, "unknown_bill", f"no bill of unit {unit_index} for period {period} is held")
        return JSONResponse(bill_to_json(proof))

    @router.get(
        "/v1/bills/{period}/units/{unit_index}/derivations",
        summary="What each line of a posted bill rests on, as data and in words, for programs with a token",
    )
    async def get_derivations(
        request: Request, period: Period, unit_index: Annotated[int, Path(ge=0, lt=2**31)]
    ) -> JSONResponse:
        if cloud.chain is None:
            return _refused(503, "no_chain", "this cloud follows no chain")
        await _note_look(cloud, request, period, unit_index)
        from cloud.billing.derivation import sentence
        from cloud.billing.derive import derive_lines
        from cloud.billing.kept import read_bill

        view, deployment = cloud.chain.view, cloud.chain.deployment
        async with cloud.store.read() as connection:
            proof = await read_bill(connection, view, deployment, period, unit_index)
            if proof is None:
                return _refused(404, "unknown_bill", f"no bill of unit {unit_index} for period {period} is held")
            found = await derive_lines(
                connection,
                view,
                cloud.directory.read(),
                period=period,
                unit=view.roll[unit_index],
                lines=proof.bill.lines,
            )
        lines = [{"derivation": one, "zh": sentence(one, "zh"), "en": sentence(one, "en")} for one in found]
        return JSONResponse({"lines": lines})

    @router.post(
        "/v1/bills/{period}/compare", summary="Compare a period's bills with the signed readings and announced prices"
    )
    async def post_compare(period: Period, request: Request) -> JSONResponse:
        if cloud.chain is None:
            return _refused(503, "no_chain", "this cloud follows no chain")
        from cloud.billing.bill_block import SALTS_HEADER, salts_digest
        from cloud.billing.kept import read_contents

        if not comparing.has_room(period):
            return _refused(503, "busy", "other periods are being compared; ask again in a minute")
        try:
            mismatches = await comparing.of(period)
            # Whose lines they are, only who holds the bills is told; everybody else how many.
            async with cloud.store.read() as connection:
                contents = [content for _, content in await read_contents(connection, period, 0, BLOCK)]
        except BillingError as error:
            return _refused(409, "bad_bills", str(error))
        cloud.bell.ring()
        said = request.headers.get(SALTS_HEADER, "")
        is_holder = hmac.compare_digest(said.encode(), salts_digest(contents).hex().encode())
        shown = mismatches[:_MISMATCHES_MAX] if is_holder else []
        # Beyond the first lines `count` tells how many there are; `minglou billing replay` tells every one.
        return JSONResponse({"mismatches": shown, "count": len(mismatches)})

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


async def _note_look(cloud: Cloud, request: Request, period: int, unit_index: int) -> None:
    """A program reads a household's bill: kept, and shown to the household."""
    roll = cloud.chain.view.roll if cloud.chain else []
    whose = roll[unit_index].alias if unit_index < len(roll) else None
    await note_look(cloud, request.state.token, whose, f"bill {period}/{unit_index}")


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
