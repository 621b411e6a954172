"""HTTP for crews' phones: `GET /v1/crew/work`, what the app keeps so that it needs no network afterwards."""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from cloud.questions import StoreQuestions
from cloud.web.answers import Person

__all__ = ["crew_router"]

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "the firm's devices, labels, lists and due days", "content": {"application/json": {}}},
    304: {"description": "nothing has changed since the ETag that If-None-Match named"},
}


def crew_router(questions: StoreQuestions, viewer_of: Callable[[Request], Awaitable[Person | None]]) -> APIRouter:
    """The routes under /v1/crew."""
    router = APIRouter(tags=["crews"])

    @router.get("/v1/crew/work", summary="What a crew's phone keeps to work without a network", responses=_RESPONSES)
    async def get_work(request: Request) -> Response:
        viewer = await viewer_of(request)
        if viewer is None:
            raise HTTPException(401)
        content = await questions.crew_work(viewer)
        headers = {
            "etag": f'"{sha256(content).hexdigest()[:32]}"',
            "cache-control": "private, no-cache",
            "vary": "cookie",
        }
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type="application/json", headers=headers)

    return router
