"""What a page may do: the content security policy and its companions, on every page and every script."""

from urllib.parse import urlsplit

from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.web.session import is_same_origin
from cloud.web.settings import WebSettings

_PERMISSIONS = (
    b"camera=(), microphone=(), geolocation=(), publickey-credentials-get=(self), publickey-credentials-create=(self)"
)
_CREW_PERMISSIONS = _PERMISSIONS.replace(b"camera=()", b"camera=(self)").replace(
    b"geolocation=()", b"geolocation=(self)"
)
_COMPRESSION = 4  # a line's page is 8 % longer than at 9, in 60 % of the time
_READING = ("GET", "HEAD", "OPTIONS")
API_PREFIXES = ("/v1/", "/log/", "/openapi.json", "/docs", "/redoc", "/healthz", "/readyz", "/metrics")


def content_security_policy(rpc_url: str | None) -> str:
    """No script, style, font, frame or form but our own; connections to ourselves and the chain's RPC."""
    connect = "'self'"
    if rpc_url:
        parts = urlsplit(rpc_url)
        connect += f" {parts.scheme}://{parts.netloc}"
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src {connect}; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
    )


# The crew's app reads codes with a program in WebAssembly, in a worker, and shows photos that it holds in memory. It
# asks no chain. A worker takes its policy from the answer to its own script: scripts stand here beside the pages.
_CREW_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "manifest-src 'self'"
)


def is_crews(path: str) -> bool:
    """Whether the crew's app answers at this path, or a script of it."""
    return path in ("/crew", "/crew-worker.js") or path.startswith(("/crew/", "/static/crew/"))


class WithoutNul:
    """Nothing here has a NUL in its name, and PostgreSQL would take it for a fault of ours."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope.get("query_string", b"")):
            says = "no address here holds a NUL; leave it out"
            refusal = JSONResponse({"error": "malformed", "message": says}, 422)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


class CompressedPages:
    """Compresses pages and scripts, not the API. No page carries a secret beside text that a stranger can choose."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressed = GZipMiddleware(app, minimum_size=600, compresslevel=_COMPRESSION)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_api = scope["type"] != "http" or scope["path"].startswith(API_PREFIXES)
        await (self._app if is_api else self._compressed)(scope, receive, send)


class SameOriginOnly:
    """Refuses what another site's page sends in somebody's name: every change comes from our own pages.

    Browsers say where a request comes from (Origin, Fetch Metadata). The API under /v1 is let through: by a cookie it
    is only read there (exports), and other sites' pages do not get what it answers.
    """

    def __init__(self, app: ASGIApp, *, settings: WebSettings, refuse: ASGIApp) -> None:
        self._app, self._settings, self._refuse = app, settings, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["type"] == "http" and not scope["path"].startswith(API_PREFIXES)
        if is_page and scope["method"] not in _READING and not is_same_origin(Request(scope), self._settings):
            await self._refuse(scope, receive, send)
            return
        await self._app(scope, receive, send)


class PolicyHeaders:
    """Adds the headers to everything but the API, which serves no pages."""

    def __init__(self, app: ASGIApp, *, settings: WebSettings) -> None:
        self._app = app
        common = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
            *([(b"strict-transport-security", b"max-age=31536000")] if settings.secure_cookie else []),
        ]
        self._headers = [
            (b"content-security-policy", content_security_policy(settings.rpc_url).encode()),
            (b"permissions-policy", _PERMISSIONS),
            *common,
        ]
        self._crew_headers = [
            (b"content-security-policy", _CREW_CONTENT_SECURITY_POLICY.encode()),
            (b"permissions-policy", _CREW_PERMISSIONS),
            *common,
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(API_PREFIXES):
            await self._app(scope, receive, send)
            return
        headers = self._crew_headers if is_crews(scope["path"]) else self._headers

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *headers]
            await send(message)

        await self._app(scope, receive, send_with_policy)
