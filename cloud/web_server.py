"""uvicorn, made to end the way our programs end and to wait for nobody longer than is good for all others."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["BODY_SECONDS", "HEAD_SECONDS", "PatientProtocol", "Server"]

HEAD_SECONDS = 15.0  # for a request's head, from the connection or its first byte on
BODY_SECONDS = 60.0  # for a request's body: 4 MiB at 0.6 Mbit/s
_SAYS = b'{"error": "too_slow", "message": "the request did not arrive in time; send it again, in smaller parts"}'
_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_SAYS), _SAYS)
)


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: it would raise the signal again after its own end and cut ours short."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that waits for a request's head and body only so long, so that nobody can hold connections by sending
    a byte now and then.
    """

    _waits_for: Any = None
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def handle_events(self) -> None:
        super().handle_events()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Give each part of a request its time, once."""
        state = self.conn.their_state
        if state is self._waits_for:
            return
        self._stop_waiting()
        self._waits_for = state
        if state is h11.IDLE:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._end)
        elif state is h11.SEND_BODY:
            self._timer = self.loop.call_later(BODY_SECONDS, self._end)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):  # nothing was answered yet
            self.transport.write(_TOO_SLOW)
        self.transport.close()
