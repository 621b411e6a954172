"""One address for all sites: a request goes to the site whose host it names, and to nobody else."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from cloud.operations.metrics import CONTENT_TYPE_LATEST
from cloud.sites.shares import Shares
from cloud.sites.site import Site
from cloud.web.session import is_from_this_machine

__all__ = ["Dispatch"]

_REQUESTS_MAX = 3_072  # under way in all; the server refuses connections above 4,096
_UNKNOWN = {
    "error": "unknown_site",
    "message": "no site answers to this host here; ask by the address that the site gives out, which stands in "
    "[cloud] hosts of its settings",
}
_DOWN = {
    "error": "site_down",
    "message": "this site does not run at present, and its operator's log says why; ask again in a few seconds",
}
_BUSY = {"error": "busy", "message": "too many requests to this site are under way; ask again"}
_NOT_HERE = {
    "error": "not_public",
    "message": "figures of all sites are for this machine; elsewhere ask a site by its own host, with its own token",
}


class House(Protocol):
    """Whose sites are asked: all that are to be served, whether they run or not."""

    @property
    def sites(self) -> Sequence[Site]: ...

    @property
    def wrong(self) -> Mapping[Path, str]:
        """Files of sites that are not served as they say, with what is the matter."""

    async def figures(self) -> bytes:
        """Of all, in Prometheus' text format."""


class Dispatch:
    """The application in front of all sites' applications."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._by_host: Mapping[str, Site] = {}
        self._only: Site | None = None  # answers to whatever it is called
        self._shares = Shares(_REQUESTS_MAX)

    def renew(self) -> None:
        """Take in which sites there are."""
        sites = self._house.sites
        self._by_host = {host: site for site in sites for host in site.file.hosts}
        self._only = next((site for site in sites if not site.file.hosts), None)
        self._shares.holders = len(sites)

    def under_way(self, site: Site) -> int:
        """Requests to a site that are not answered yet."""
        return self._shares.held(site.name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        site = self._by_host.get(_host(scope)) or self._only
        if site is None:
            await self._speak_for_all(scope, receive, send)
        elif site.app is None:
            await _speak_for_absent(scope, send)
        elif not self._shares.take(site.name):
            await _answer(send, 503, _BUSY, retry_after=1)
        else:
            try:
                await site.app(scope, receive, send)
            finally:
                self._shares.give_back(site.name)

    async def _speak_for_all(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Probes and monitors that ask the process: how all sites are. Only this machine learns their names."""
        is_ours = is_from_this_machine(Request(scope, receive))
        path = scope["path"] if scope["method"] in ("GET", "HEAD") else ""
        if path == "/healthz":
            await _send(send, 200, b"ok\n", "text/plain; charset=utf-8")
        elif path == "/readyz":
            standing = {site.name: await site.readiness() for site in self._house.sites}
            ready = [name for name, one in standing.items() if one["ready"]]
            told: dict[str, Any] = {"ready": bool(ready), "sites": len(standing), "sites_ready": len(ready)}
            if is_ours:
                told |= {"each": standing, "wrong": {str(path): says for path, says in self._house.wrong.items()}}
            await _answer(send, 200 if ready else 503, told)
        elif path == "/metrics" and is_ours:
            await _send(send, 200, await self._house.figures(), CONTENT_TYPE_LATEST)
        elif path == "/metrics":
            await _answer(send, 403, _NOT_HERE)
        else:
            await _answer(send, 421, _UNKNOWN)


async def _speak_for_absent(scope: Scope, send: Send) -> None:
    """What a site that does not run says: the process is well, the site is not ready."""
    if scope["path"] == "/healthz":
        await _send(send, 200, b"ok\n", "text/plain; charset=utf-8")
        return
    told: dict[str, Any] = dict(_DOWN)
    if scope["path"] == "/readyz":
        check = {"name": "site", "passed": False, "needed": True, "says": _DOWN["message"]}
        told = {"ready": False, "checks": [check]}
    await _answer(send, 503, told, retry_after=5)


def _host(scope: Scope) -> str:
    """The host that a request names, without port and in lower case; empty where it names none or several."""
    named = [value for key, value in scope["headers"] if key == b"host"]
    if len(named) != 1:
        return ""
    host: str = named[0].decode("latin-1").strip().lower()
    host = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return host.removesuffix(".")


async def _answer(send: Send, status: int, body: Mapping[str, Any], *, retry_after: int | None = None) -> None:
    await _send(send, status, json.dumps(body).encode(), "application/json", retry_after)


async def _send(send: Send, status: int, body: bytes, media: str, retry_after: int | None = None) -> None:
    headers = [
        (b"content-type", media.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    headers += [] if retry_after is None else [(b"retry-after", str(retry_after).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
