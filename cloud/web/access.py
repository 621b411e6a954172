"""The way in: joining with the code of a letter, signing in with a passkey or a one-time code."""

import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from cloud.errors import IdentityRefused
from cloud.identity.people import Grant
from cloud.identity.roles import Strength
from cloud.web.desk import Desk
from cloud.web.doors import read_body, read_form
from cloud.web.page import Pages
from cloud.web.session import address_of, open_session

_ANSWER_BYTES_MAX = 16 * 1024
_NO_STORE = {"cache-control": "no-store"}


def routes(pages: Pages, desk: Desk) -> APIRouter:
    """The router of these pages."""
    router = APIRouter(include_in_schema=False)
    identity, clock = desk.identity, pages.clock

    @router.get("/join")
    async def join_page(request: Request) -> Response:
        return pages.render(await pages.visit(request), "join.html")

    @router.post("/join/begin")
    async def begin_join(request: Request) -> Response:
        posted = await read_json(request)
        label = pages.settings.site_title.en
        code, address = _text(posted, "code"), address_of(request)
        return _json(await identity.begin_join(code, label=label, address=address, now_ms=clock.now_ms()))

    @router.post("/join")
    async def join(request: Request) -> Response:
        posted = await read_json(request)
        code, address = _text(posted, "code"), address_of(request)
        grant = await identity.join(code, _answer(posted), address=address, now_ms=clock.now_ms())
        return await _let_in(pages, desk, request, grant, Strength.PASSKEY)

    @router.post("/join/codes")
    async def join_without_passkey(request: Request) -> Response:
        form, now_ms = await read_form(request), clock.now_ms()
        code, address = form.get("code", ""), address_of(request)
        grant, codes = await identity.join_without_passkey(code, address=address, now_ms=now_ms)
        person = desk.person(grant, Strength.CODE)
        if person is None:
            raise IdentityRefused(409, "not_done", "the flat is not in the directory any more")
        visit = await pages.visit(request)
        response = pages.render(visit, "codes.html", values={"codes": codes, "is_new": True}, personal=True)
        await open_session(request, response, pages.questions, pages.settings, person, now_ms)
        return response

    @router.post("/signin/passkey/begin")
    async def begin_sign_in(request: Request) -> Response:
        return _json(await identity.begin_sign_in(address=address_of(request), now_ms=clock.now_ms()))

    @router.post("/signin/passkey")
    async def sign_in(request: Request) -> Response:
        posted = await read_json(request)
        grant = await identity.sign_in(_answer(posted), address=address_of(request), now_ms=clock.now_ms())
        return await _let_in(pages, desk, request, grant, Strength.PASSKEY)

    @router.post("/signin/code")
    async def sign_in_by_code(request: Request) -> Response:
        form, now_ms = await read_form(request), clock.now_ms()
        grant = await identity.sign_in_by_code(form.get("code", ""), address=address_of(request), now_ms=now_ms)
        answer = await _let_in(pages, desk, request, grant, Strength.CODE)
        answer.status_code, answer.headers["location"] = 303, "/home"
        return answer

    return router


async def read_json(request: Request) -> dict[str, Any]:
    """The object that a page's script posted. Raises `IdentityRefused`."""
    body = await read_body(request, _ANSWER_BYTES_MAX)
    try:
        posted = json.loads(body or b"")
    except (ValueError, RecursionError):
        posted = None
    if not isinstance(posted, dict):
        raise IdentityRefused(400, "malformed", "load the page again and press its button")
    return posted


def _answer(posted: dict[str, Any]) -> dict[str, Any]:
    answer = posted.get("credential")
    return answer if isinstance(answer, dict) else {}


def _text(posted: dict[str, Any], name: str) -> str:
    text = posted.get(name)
    return text if isinstance(text, str) else ""


def _json(content: object) -> JSONResponse:
    return JSONResponse(content, headers=_NO_STORE)


async def _let_in(pages: Pages, desk: Desk, request: Request, grant: Grant, strength: Strength) -> Response:
    """A new session in this browser."""
    person = desk.person(grant, strength)
    if person is None:
        raise IdentityRefused(409, "not_done", "the flat is not in the directory any more; ask the property office")
    response = _json({"next": "/home"})
    await open_session(request, response, pages.questions, pages.settings, person, pages.clock.now_ms())
    return response
