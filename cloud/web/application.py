"""Joins the pages to the cloud's FastAPI application."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from cloud.web import bills, doors, public, readings
from cloud.web.page import STATIC_DIRECTORY, VERIFIER_DIRECTORY, Pages
from cloud.web.policy import API_PREFIXES, CompressedPages, PolicyHeaders, WithoutNul
from cloud.web.problems import problem_of_status, problem_page
from cloud.web.questions import Questions
from cloud.web.settings import WebSettings
from contracts.clock import Clock

_log = logging.getLogger(__name__)
_CODES = {404: "not_found", 405: "method_not_allowed"}
_FAULTS_SAID = 5


class KeptFiles(StaticFiles):
    """Static files that a browser keeps for a few minutes: one visit loads each module once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """The file with its lifetime."""
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "public, max-age=300"
        return response


def install(app: FastAPI, *, questions: Questions, settings: WebSettings, clock: Clock) -> None:
    """Add pages, static files, the security policy and the problem pages. The API under /v1 is left alone."""
    pages = Pages(questions=questions, settings=settings, clock=clock)
    app.mount("/static/verifier", KeptFiles(directory=VERIFIER_DIRECTORY), name="verifier")
    app.mount("/static", KeptFiles(directory=STATIC_DIRECTORY), name="static")
    for room in (doors, bills, readings, public):
        app.include_router(room.routes(pages))
    app.add_middleware(PolicyHeaders, settings=settings)
    app.add_middleware(CompressedPages)
    app.add_middleware(WithoutNul)
    _handle_problems(app, pages)


def _handle_problems(app: FastAPI, pages: Pages) -> None:
    async def on_http_problem(request: Request, problem: Exception) -> Response:
        assert isinstance(problem, HTTPException)
        if request.url.path.startswith(API_PREFIXES):
            return _refused(problem.status_code, _CODES.get(problem.status_code, "refused"), str(problem.detail))
        return problem_page(pages, await pages.visit(request), problem_of_status(problem.status_code))

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
    app.add_exception_handler(RequestValidationError, on_malformed)
    app.add_exception_handler(Exception, on_failure)


def _refused(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": code, "message": message}, status_code=status)


def _said(problem: RequestValidationError) -> str:
    """Where each fault is and what belongs there; never what was sent, which may be a secret."""
    faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problem.errors()[:_FAULTS_SAID]]
    return "; ".join(faults)
