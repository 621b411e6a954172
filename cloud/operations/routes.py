"""HTTP for an operator's machines: /healthz, /readyz and /metrics."""

from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from cloud.identity.tokens import Scope
from cloud.operations.metrics import CONTENT_TYPE_LATEST, SiteFigures
from cloud.operations.readiness import is_ready, readiness, to_json
from cloud.service import Cloud
from cloud.web.session import is_from_this_machine

__all__ = ["operations_router"]

_REFUSED = "the monitor asks from this machine itself, or with `Authorization: Bearer <a token with metrics:read>`"


def operations_router(cloud: Cloud, figures: SiteFigures) -> APIRouter:
    """The routes of probes and monitors."""
    router = APIRouter(tags=["operations"])

    @router.get("/healthz", summary="Whether the process answers; restart it when it does not")
    async def get_health() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @router.get(
        "/readyz",
        summary="Named checks; 503 while a needed one fails: send traffic elsewhere meanwhile",
        responses={503: {"description": "a needed check fails; `says` tells what to do"}},
    )
    async def get_readiness() -> JSONResponse:
        checks = await readiness(cloud)
        return JSONResponse(to_json(checks), status_code=200 if is_ready(checks) else 503)

    @router.get(
        "/metrics",
        summary="Figures in Prometheus' text format, for this machine or with a token",
        response_class=PlainTextResponse,
        responses={403: {"description": _REFUSED}},
    )
    async def get_metrics(request: Request, authorization: Annotated[str | None, Header()] = None) -> Response:
        if not (is_from_this_machine(request) or await _is_trusted(cloud, authorization)):
            return JSONResponse({"error": "not_public", "message": _REFUSED}, status_code=403)
        return Response(await figures.exposition(cloud), media_type=CONTENT_TYPE_LATEST)

    return router


async def _is_trusted(cloud: Cloud, authorization: str | None) -> bool:
    return await cloud.tokens.open(authorization, Scope.METRICS, cloud.settings.clock.now_ms()) is not None
