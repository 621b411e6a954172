"""A small HTTP/1.1 client for the uplink: one kept connection, GET and POST, bodies by length or in chunks.

It is here because the whole gateway must be forwarding half a second after its start, and the usual clients take longer
than that to be imported on a small board. It follows no redirects: the cloud's address is a setting.

Source: RFC 9112.
"""

import asyncio
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from edge.errors import UplinkError

_HEAD_BYTES_MAX = 16_384
_BODY_BYTES_MAX = 4 * 1024 * 1024
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """Status code, headers by lower-case name, and the whole body."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Line:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class HttpClient:
    """One origin server, one request at a time. An idle connection that the server closed is opened again."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        parts = urlsplit(url)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        self._path = parts.path.rstrip("/")
        host = f"[{self._host}]" if ":" in self._host else self._host
        every = {"Host": f"{host}:{self._port}", "Accept": "application/json", **headers}
        self._fixed = "".join(f"{name}: {value}\r\n" for name, value in every.items())
        self._line: _Line | None = None
        self._turn = asyncio.Lock()

    async def request(
        self, method: str, path: str, *, body: bytes = b"", content_type: str = "", seconds: float = 30.0
    ) -> Response:
        """Send one request and read its whole answer.

        Raises:
            UplinkError: not reachable, no answer in time, or not HTTP.
        """
        head = f"{method} {self._path}{path} HTTP/1.1\r\n{self._fixed}"
        if method == "POST":
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        message = f"{head}\r\n".encode("ascii") + body
        async with self._turn:
            try:
                async with asyncio.timeout(seconds):
                    return await self._exchange(message)
            except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
                self.close()
                says = "no answer in time" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
                raise UplinkError(f"cloud at {self._host}:{self._port}: {says}") from error
            except BaseException:
                self.close()  # a cancelled exchange leaves half an answer behind
                raise

    def close(self) -> None:
        if self._line is not None:
            self._line.writer.close()
            self._line = None

    async def _exchange(self, message: bytes) -> Response:
        line = self._line
        if line is not None:
            try:
                return await self._ask(line, message)
            except (ConnectionError, asyncio.IncompleteReadError):
                self.close()  # the server had closed the idle connection; every request may be sent twice
        async with asyncio.timeout(_CONNECT_SECONDS):
            opened = await asyncio.open_connection(self._host, self._port, ssl=self._tls, limit=_HEAD_BYTES_MAX)
        self._line = _Line(*opened)
        return await self._ask(self._line, message)

    async def _ask(self, line: _Line, message: bytes) -> Response:
        line.writer.write(message)
        await line.writer.drain()
        status, headers = _parse_head(await line.reader.readuntil(b"\r\n\r\n"))
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = await _read_chunks(line.reader)
        elif "content-length" in headers:
            length = int(headers["content-length"])
            if not 0 <= length <= _BODY_BYTES_MAX:
                raise ValueError(f"an answer of {length} bytes")
            body = await line.reader.readexactly(length)
        else:
            body = await line.reader.read(_BODY_BYTES_MAX)
            headers["connection"] = "close"
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Response(status=status, headers=headers, body=body)


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdecimal():
        raise ValueError(f"{lines[0][:60]!r} is no HTTP status line")
    headers = {}
    for line in lines[1:-2]:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"{line[:60]!r} is no header")
        headers[name.strip().lower()] = value.strip()
    return int(words[1]), headers


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    """RFC 9112, 7.1; trailers are dropped."""
    body = bytearray()
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0].strip(), 16)
        if size < 0 or len(body) + size > _BODY_BYTES_MAX:
            raise ValueError("an answer that does not end")
        body += (await reader.readexactly(size + 2))[:-2]
        if size == 0:
            return bytes(body)
