"""Sign-in by one-time link, and the session that follows.

A token and a session are 32 random bytes each; the store keeps only their SHA-256, so that a copy of the database
opens no door.
"""

import hashlib
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.requests import Request
from starlette.responses import Response

from cloud.proxies import FORWARDING
from cloud.web.answers import Person
from cloud.web.questions import Questions
from cloud.web.settings import WebSettings

COOKIE = "minglou_session"
TOKEN_BYTES = 32
_COOKIE_SECONDS = 30 * 86_400  # the store ends sessions earlier
_LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")


def token_digest(token: str) -> bytes | None:
    """SHA-256 of the 32 bytes that a token spells in URL-safe base64, or None if it spells no such bytes."""
    if len(token) != 43 or not token.isascii():
        return None
    try:
        raw = urlsafe_b64decode(token + "=")
    except ValueError:
        return None
    if len(raw) != TOKEN_BYTES or _spell(raw) != token:
        return None
    return hashlib.sha256(raw).digest()


def new_token() -> str:
    return _spell(secrets.token_bytes(TOKEN_BYTES))


def _spell(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def is_from_this_machine(request: Request) -> bool:
    """Whether both the peer and the host it asked for are this machine (the second stops DNS rebinding)."""
    host = request.headers.get("host", "").rsplit(":", 1)[0].lower()
    if request.client is None or host not in _LOOPBACK_HOSTS:
        return False
    if any(name in request.headers for name in FORWARDING):
        return False  # a proxy on this machine speaks for somebody who need not be
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return request.client.host == "testclient"  # Starlette's in-process client has no address


def is_same_origin(request: Request, settings: WebSettings) -> bool:
    """Whether a state-changing request comes from our own page: its Origin is the address it was sent to."""
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    return origin in (own, settings.public_url.rstrip("/"))


def cookie_name(settings: WebSettings) -> str:
    """The session's cookie. `__Host-` binds it to this host and https; a plain page of this machine cannot have it."""
    return f"__Host-{COOKIE}" if settings.secure_cookie else COOKIE


async def open_session(
    request: Request,
    response: Response,
    questions: Questions,
    settings: WebSettings,
    person: Person,
    now_ms: int,
    *,
    goes_on: bool = False,
) -> None:
    """Give the browser a new session for `person`, and end the one that it had.

    Args:
        goes_on: nobody has shown anew who they are: the new session ends when the old one would have.
    """
    token = new_token()
    digest = token_digest(token)
    assert digest is not None
    old = session_digest(request, settings)
    if old is not None and not goes_on:
        await questions.close_session(old, now_ms)
    await questions.open_session(digest, person, now_ms, replaces=old if goes_on else None)
    response.set_cookie(
        cookie_name(settings),
        token,
        max_age=_COOKIE_SECONDS,
        path="/",
        httponly=True,
        samesite="strict",
        secure=settings.secure_cookie,
    )


async def viewer_of(request: Request, questions: Questions, settings: WebSettings, now_ms: int) -> Person | None:
    """Who asks, by the session cookie; looked up once a request."""
    if not hasattr(request.state, "viewer"):
        digest = session_digest(request, settings)
        request.state.viewer = None if digest is None else await questions.person_of_session(digest, now_ms)
    viewer: Person | None = request.state.viewer
    return viewer


async def close_session(
    request: Request, response: Response, questions: Questions, settings: WebSettings, now_ms: int
) -> None:
    """End the session on both sides."""
    digest = session_digest(request, settings)
    if digest is not None:
        await questions.close_session(digest, now_ms)
    response.delete_cookie(cookie_name(settings), path="/", secure=settings.secure_cookie, httponly=True)


def address_of(request: Request) -> str:
    """Where a request comes from, for counting: of IPv6 the network of 64 bits, which is what one household has."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else host


def session_digest(request: Request, settings: WebSettings) -> bytes | None:
    """The hash under which the store knows the session of this browser; None where its cookie is none of ours."""
    return token_digest(request.cookies.get(cookie_name(settings), ""))
