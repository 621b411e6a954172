"""Signing in and out, and how a reader likes the pages."""

import json
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from cloud.web import language
from cloud.web.page import THEME_COOKIE, VIEW_COOKIE, Pages
from cloud.web.session import close_session, is_from_this_machine, open_session, token_digest

BODY_BYTES_MAX = 4096
_YEAR_S = 365 * 86400
_PREFERENCES = {
    "language": (language.COOKIE, ("zh", "en")),
    "view": (VIEW_COOKIE, ("normal", "elder")),
    "theme": (THEME_COOKIE, ("light", "dark")),
}


async def read_body(request: Request, at_most: int = BODY_BYTES_MAX) -> bytes | None:
    """The body, or None once it passes the limit."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > at_most:
            return None
    return body


async def read_form(request: Request, at_most: int = BODY_BYTES_MAX) -> dict[str, str]:
    """A form's fields; empty for what is none."""
    body = await read_body(request, at_most) or b""
    try:
        return dict(parse_qsl(body.decode("ascii", "replace"), max_num_fields=16))
    except ValueError:
        return {}


def routes(pages: Pages) -> APIRouter:
    """The router of these pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def welcome(request: Request) -> Response:
        visit = await pages.visit(request)
        return RedirectResponse("/home", 303) if visit.viewer else pages.render(visit, "welcome.html")

    @router.get("/signin")
    async def sign_in_page(request: Request) -> Response:
        return pages.render(await pages.visit(request), "signin.html")

    @router.post("/signin")
    async def sign_in(request: Request) -> Response:
        if not is_from_this_machine(request):
            return _refuse(403, "elsewhere", "sign-in links of the demo work only on the machine that it runs on")
        digest = await _token_of(request)
        now_ms = pages.clock.now_ms()
        person = await pages.questions.redeem_sign_in(digest, now_ms) if digest is not None else None
        if person is None:
            return _refuse(401, "refused", "this link was used already, or is too old; ask for a new one")
        response = JSONResponse({"next": "/home"}, headers={"cache-control": "no-store"})
        await open_session(request, response, pages.questions, pages.settings, person, now_ms)
        return response

    @router.post("/signout")
    async def sign_out(request: Request) -> Response:
        response = RedirectResponse("/", 303)
        await close_session(request, response, pages.questions, pages.settings, pages.clock.now_ms())
        return response

    @router.post("/preferences")
    async def preferences(request: Request) -> Response:
        wishes = await read_form(request)
        response = RedirectResponse(_own_path(wishes.get("back", "/")), 303)
        for name, (cookie, choices) in _PREFERENCES.items():
            if wishes.get(name) in choices:
                secure = pages.settings.secure_cookie
                response.set_cookie(cookie, wishes[name], max_age=_YEAR_S, httponly=True, samesite="lax", secure=secure)
        return response

    return router


def _own_path(path: str) -> str:
    """A path of this site and nothing else: an open redirect would lend our name to strangers."""
    plain = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if plain and path.isprintable() and len(path) < 400 else "/"


async def _token_of(request: Request) -> bytes | None:
    body = await read_body(request)
    try:
        posted = json.loads(body or b"")
    except ValueError:
        return None
    token = posted.get("token") if isinstance(posted, dict) else None
    return token_digest(token) if isinstance(token, str) else None


def _refuse(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": code, "message": message}, status_code=status)
