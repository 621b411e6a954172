"""Joins the pages to the cloud's FastAPI application."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import Response

from cloud.web import bills, doors, public, readings
from cloud.web.page import STATIC_DIRECTORY, VERIFIER_DIRECTORY, Pages
from cloud.web.policy import API_PREFIXES, CompressedPages, PolicyHeaders
from cloud.web.problems import problem_of_status, problem_page
from cloud.web.questions import Questions
from cloud.web.settings import WebSettings
from contracts.clock import Clock

_log = logging.getLogger(__name__)


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
    _handle_problems(app, pages)


def _handle_problems(app: FastAPI, pages: Pages) -> None:
    async def on_http_problem(request: Request, problem: Exception) -> Response:
        assert isinstance(problem, HTTPException)
        if request.url.path.startswith(API_PREFIXES):
            return await http_exception_handler(request, problem)
        return problem_page(pages, await pages.visit(request), problem_of_status(problem.status_code))

    async def on_malformed(request: Request, problem: Exception) -> Response:
        assert isinstance(problem, RequestValidationError)
        if request.url.path.startswith(API_PREFIXES):
            return await request_validation_exception_handler(request, problem)
        return problem_page(pages, await pages.visit(request), "not_found")

    async def on_failure(request: Request, problem: Exception) -> Response:
        _log.error("page %s failed", request.url.path, exc_info=problem)
        if request.url.path.startswith(API_PREFIXES):
            return Response("internal error", 500)
        return problem_page(pages, await pages.visit(request), "failure")

    app.add_exception_handler(HTTPException, on_http_problem)
    app.add_exception_handler(RequestValidationError, on_malformed)
    app.add_exception_handler(Exception, on_failure)
