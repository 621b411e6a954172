"""Joins the pages to the cloud's FastAPI application."""

import logging
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud.errors import IdentityRefused
from cloud.web import (
    access,
    account,
    balance,
    bills,
    crew,
    design,
    devices,
    doors,
    flags,
    home,
    oversight,
    people,
    public,
    readings,
    repairs,
    swaps,
    work,
)
from cloud.web.desk import Desk
from cloud.web.guard import Guard
from cloud.web.page import STATIC_DIRECTORY, VERIFIER_DIRECTORY, Pages
from cloud.web.policy import API_PREFIXES, CompressedPages, PolicyHeaders, SameOriginOnly, WithoutNul
from cloud.web.problems import problem_of_refusal, problem_of_status, problem_page
from cloud.web.questions import Questions
from cloud.web.settings import WebSettings
from contracts.clock import Clock

_log = logging.getLogger(__name__)
_CODES = {401: "bad_token", 404: "not_found", 405: "method_not_allowed"}
_FAULTS_SAID = 5


class KeptFiles(StaticFiles):
    """Static files that a browser keeps for a few minutes: one visit loads each module once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """The file with its lifetime."""
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "public, max-age=300"
        return response


def install(
    app: FastAPI,
    *,
    questions: Questions,
    settings: WebSettings,
    clock: Clock,
    guard: Guard | None = None,
    desk: Desk | None = None,
) -> None:
    """Add pages, static files, the security policy and the problem pages. The API under /v1 is left alone.

    Args:
        guard: what every route of the application asks; made here for pages that stand alone.
        desk: accounts; without them there are links of the demo alone.
    """
    guard = guard or Guard(questions=questions, settings=settings, clock=clock)
    pages = Pages(questions=questions, settings=settings, clock=clock, desk=desk)
    app.mount("/static/verifier", KeptFiles(directory=VERIFIER_DIRECTORY), name="verifier")
    app.mount("/static", KeptFiles(directory=STATIC_DIRECTORY), name="static")
    rooms = [oversight.routes(pages, desk)]
    plain = (design, doors, home, bills, swaps, readings, devices, public, balance, work, repairs, crew)
    rooms += [room.routes(pages) for room in plain]
    if desk is not None:
        rooms += [room.routes(pages, desk) for room in (access, account, people, flags)]
    for room in rooms:
        app.include_router(room, dependencies=[Depends(guard)])
    app.add_middleware(SameOriginOnly, settings=settings, refuse=_refusal(pages))
    app.add_middleware(PolicyHeaders, settings=settings)
    app.add_middleware(CompressedPages)
    app.add_middleware(WithoutNul)
    _handle_problems(app, pages)


def _refusal(pages: Pages) -> ASGIApp:
    """Answers a request of another site's page."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        page = problem_page(pages, await pages.visit(request), "refused")
        await page(scope, receive, send)

    return refuse


def _handle_problems(app: FastAPI, pages: Pages) -> None:
    async def on_http_problem(request: Request, problem: Exception) -> Response:
        assert isinstance(problem, HTTPException)
        if request.url.path.startswith(API_PREFIXES):
            code = _CODES.get(problem.status_code, "refused")
            return _refused(problem.status_code, code, str(problem.detail))
        code = problem.detail if problem.detail == "needs_passkey" else problem_of_status(problem.status_code)
        return problem_page(pages, await pages.visit(request), code)

    async def on_refusal(request: Request, refusal: Exception) -> Response:
        assert isinstance(refusal, IdentityRefused)
        headers = {"retry-after": str(refusal.retry_after)} if refusal.retry_after else {}
        is_json = request.headers.get("content-type", "").startswith("application/json")
        if is_json or request.url.path.startswith(API_PREFIXES):
            body = {"error": refusal.code, "message": refusal.message}
            return JSONResponse(body, status_code=refusal.status, headers=headers)
        page = problem_page(pages, await pages.visit(request), problem_of_refusal(refusal.code))
        page.status_code = refusal.status
        page.headers.update(headers)
        return page

    async def on_malformed(request: Request, problem: Exception) -> Response:
        assert isinstance(problem, RequestValidationError)
        if request.url.path.startswith(API_PREFIXES):
            return _refused(422, "malformed", _said(problem))
        return problem_page(pages, await pages.visit(request), "not_found")

    async def on_failure(request: Request, problem: Exception) -> Response:
        _log.error("page %s failed", request.url.path, exc_info=problem)
        if request.url.path.startswith(API_PREFIXES):
            return _refused(500, "failure", "a fault of the cloud, which its log tells of; ask again later")
        return problem_page(pages, await pages.visit(request), "failure")

    app.add_exception_handler(HTTPException, on_http_problem)
    app.add_exception_handler(IdentityRefused, on_refusal)
    app.add_exception_handler(RequestValidationError, on_malformed)
    app.add_exception_handler(Exception, on_failure)


def _refused(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": code, "message": message}, status_code=status)


def _said(problem: RequestValidationError) -> str:
    """Where each fault is and what belongs there; never what was sent, which may be a secret."""
    faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problem.errors()[:_FAULTS_SAID]]
    return "; ".join(faults)
