"""The status page on the LAN: read-only, no secrets, no framework. A person's page, JSON, and Prometheus' text.

Beside them the nonces of the building's network (`edge.presence.nonces`), where a crew page is in the settings.
"""

import asyncio
import html
import json
from typing import TYPE_CHECKING, Any

from edge.errors import CollectorError
from edge.settings import Listen
from edge.status import Status

if TYPE_CHECKING:
    from edge.presence import NoncePage

_REQUEST_BYTES_MAX = 8192
_REQUEST_SECONDS = 5.0
_HEADERS = (
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\nX-Content-Type-Options: nosniff\r\n"
)
_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed"}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:1rem auto;padding:0 1rem;color:#1b2733}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2rem .6rem;border-bottom:1px solid #ccd}"
    ".bad{color:#a11}.good{color:#165}@media(prefers-color-scheme:dark){body{background:#12181e;color:#dde6ee}}"
)


class StatusServer:
    """Answers GET requests, one a connection."""

    def __init__(self, listen: Listen, status: Status, nonces: "NoncePage | None" = None) -> None:
        self._listen = listen
        self._status = status
        self._nonces = nonces
        self.listening = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled. Raises `CollectorError` when the address is taken."""
        where = self._listen
        try:
            server = await asyncio.start_server(self._serve, where.host, where.port, limit=_REQUEST_BYTES_MAX)
        except OSError as error:
            raise CollectorError(f"status page {where.host}:{where.port}: {error.strerror}; free the port") from error
        self.listening.set()
        async with server:
            await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
            writer.write(await self._respond(request))
            await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # a peer that does not ask properly gets no answer
        finally:
            writer.close()

    async def _respond(self, request: bytes) -> bytes:
        words = request.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or words[0] not in (b"GET", b"HEAD"):
            return _response(405, "text/plain", "read-only: ask with GET\n")
        path, _, query = words[1].decode("latin-1").partition("?")
        if self._nonces is not None and path.startswith("/presence/") and words[0] == b"GET":
            code, says = self._nonces.answer(path, query)
            return _redirect(says) if code == 303 else _response(code, "text/plain", says)
        if path == "/status.json":
            return _response(200, "application/json", json.dumps(await self._status.fields()))
        if path == "/metrics":
            return _response(200, "text/plain; version=0.0.4", metrics(await self._status.fields()))
        if path == "/":
            return _response(200, "text/html; charset=utf-8", page(await self._status.fields()))
        if path == "/checkpoint":
            note = await self._status.checkpoint_note()
            return _response(404, "text/plain", "no checkpoint yet\n") if note is None else _response(
                200, "text/plain; charset=utf-8", note
            )  # fmt: skip
        return _response(404, "text/plain", "try /, /status.json, /metrics or /checkpoint\n")


def _response(code: int, kind: str, text: str) -> bytes:
    body = text.encode()
    reason = _REASONS[code]
    head = f"HTTP/1.1 {code} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    return (head + _HEADERS + "\r\n").encode() + body


def _redirect(address: str) -> bytes:
    """To an address of the settings; nobody on the way may keep the answer, for each asks for a nonce of his own."""
    head = f"HTTP/1.1 303 See Other\r\nLocation: {address}\r\nContent-Length: 0\r\nCache-Control: no-store\r\n"
    return (head + "Connection: close\r\n" + _HEADERS + "\r\n").encode()


def metrics(fields: dict[str, Any]) -> str:
    """Prometheus' text exposition format, version 0.0.4."""
    lines = [f'minglou_edge_info{{origin="{fields["origin"]}",state="{fields["state"]}"}} 1']
    gauges = ("entries", "checkpoint_size", "uploaded", "anchored", "pruned", "uptime_s")
    lines.extend(f"minglou_edge_{name} {fields[name]}" for name in gauges)
    lines.extend(f"minglou_edge_{name}_total {count}" for name, count in sorted(fields["counts"].items()))
    lines.extend(
        f'minglou_edge_collector_up{{collector="{one["name"]}"}} {int(one["state"] == "running")}'
        for one in fields["collectors"]
    )
    lines.extend(f'minglou_edge_copied{{copy="{one["name"]}"}} {one["size"]}' for one in fields["copies"])
    lines.extend(f'minglou_edge_device_last_seen_ms{{urn="{d["urn"]}"}} {d["last_seen_ms"]}' for d in fields["devices"])
    return "\n".join(lines) + "\n"


def page(fields: dict[str, Any]) -> str:
    """What an electrician sees in the cellar."""
    shown = (("State", fields["state"]), ("Log", fields["origin"]), ("Entries on disk", fields["entries"]),
             ("Signed", fields["checkpoint_size"]), ("Held by the cloud", fields["uploaded"]),
             ("Anchored on chain", fields["anchored"]),
             *((f"Held by copy {one['name']}", one["size"]) for one in fields["copies"]),
             ("Uplink", fields["uplink_error"] or "fine"))  # fmt: skip
    summary = "".join(f"<tr><th>{_text(name)}<td>{_text(value)}" for name, value in shown)
    collectors = "".join(
        f"<tr><td>{_text(one['name'])}<td class={'good' if one['state'] == 'running' else 'bad'}>{_text(one['state'])}"
        f"<td>{one['restarts']}<td>{_text(one['last_error'])}" for one in fields["collectors"]
    )  # fmt: skip
    devices = "".join(
        f"<tr><td>{_text(d['urn'])}<td>{d['readings']}<td>{d['suspect']}<td>{d['boundaries']}"
        f"<td>{_age(fields['clock']['now_ms'], d['last_seen_ms'])}<td>{_text(d['last_error'])}"
        for d in fields["devices"]
    )
    notices = "".join(f"<li>{_text(one)}" for one in fields["notices"])
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{_text(fields['urn'])}</title><style>{_STYLE}</style><h1>{_text(fields['urn'])}</h1>"
        f"<table>{summary}</table><ul>{notices}</ul><h2>Collectors</h2>"
        f"<table><tr><th>Name<th>State<th>Restarts<th>Last error{collectors}</table><h2>Devices</h2>"
        f"<table><tr><th>Device<th>Readings<th>Suspect<th>Boundaries<th>Last heard<th>Last error{devices}"
        "</table></html>"
    )


def _text(value: object) -> str:
    return html.escape(str(value))


def _age(now_ms: int, then_ms: int) -> str:
    return "never" if not then_ms else f"{max(0, now_ms - then_ms) // 1000} s ago"
