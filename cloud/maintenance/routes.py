"""HTTP for people's signed acts: whoever holds one may bring it."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from cloud.errors import IngestRefused
from cloud.ingest.routes import read_body
from cloud.service import Cloud
from contracts.act_file import ACT_BYTES_MAX

__all__ = ["maintenance_router"]


def maintenance_router(cloud: Cloud) -> APIRouter:
    """The route for acts."""
    router = APIRouter(tags=["maintenance"])

    @router.post(
        "/v1/relay/act",
        summary="Relay a signed act about repairs, meters or a crew's key; handing it in again tells where it stands",
    )
    async def post_act(request: Request) -> JSONResponse:
        if cloud.chain is None:
            return _refusal(503, "no_chain", "this cloud follows no chain")
        from cloud.maintenance.acts import ActRefused  # with the chain's libraries: not without one

        try:
            encoded = await read_body(request, ACT_BYTES_MAX)
            relayed = await cloud.chain.upkeep.acts.take(encoded)
        except (ActRefused, IngestRefused) as refusal:
            return _refusal(refusal.status, refusal.code, refusal.message)
        return JSONResponse(relayed.to_json(), status_code=202)

    return router


def _refusal(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": code, "message": message}, status_code=status)
