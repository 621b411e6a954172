"""Sign-in by one-time link, and the session that follows.

A token and a session are 32 random bytes each; the store keeps only their SHA-256, so that a copy of the database
opens no door.
"""

import hashlib
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import Response

from cloud.web.answers import Person
from cloud.web.questions import Questions
from cloud.web.settings import WebSettings

COOKIE = "minglou_session"
TOKEN_BYTES = 32
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


async def open_session(
    response: Response, questions: Questions, settings: WebSettings, person: Person, now_ms: int
) -> None:
    """Give the browser a new session for `person`."""
    token = new_token()
    digest = token_digest(token)
    assert digest is not None
    seconds = settings.session_hours * 3600
    await questions.open_session(digest, person, now_ms + seconds * 1000)
    response.set_cookie(
        COOKIE, token, max_age=seconds, path="/", httponly=True, samesite="strict", secure=settings.secure_cookie
    )


async def viewer_of(request: Request, questions: Questions, now_ms: int) -> Person | None:
    """Who asks, by the session cookie."""
    digest = token_digest(request.cookies.get(COOKIE, ""))
    return None if digest is None else await questions.person_of_session(digest, now_ms)


async def close_session(request: Request, response: Response, questions: Questions) -> None:
    """End the session on both sides."""
    digest = token_digest(request.cookies.get(COOKIE, ""))
    if digest is not None:
        await questions.close_session(digest)
    response.delete_cookie(COOKIE, path="/")
