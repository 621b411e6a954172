"""Each answer measured once, to its first byte and by the route that gave it, and told to whoever counts or traces."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Answer", "Tell", "TimedAnswers", "Trace"]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer as figures tell it: nothing that a stranger chose."""

    method: str  # "other" where it is none of HTTP's own
    route: str  # its pattern, "unmatched" where no route took the request
    status: int
    seconds: float


Tell = Callable[[Answer], None]
Trace = Callable[[Scope, str], AbstractContextManager[Tell]]
"""What stands around an answer, by request and method, and is told of it."""


def _untraced(_scope: Scope, _method: str) -> AbstractContextManager[Tell]:
    return nullcontext(lambda _answer: None)


class TimedAnswers:
    """The outermost layer: whatever answers, it is measured."""

    def __init__(self, app: ASGIApp, *, tell: Tell, trace: Trace | None = None) -> None:
        self._app, self._tell, self._trace = app, tell, trace or _untraced

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        method = scope["method"] if scope["method"] in _METHODS else "other"
        with self._trace(scope, method) as tell_trace:

            async def send_timed(message: Message) -> None:
                if message["type"] == "http.response.start":
                    route = getattr(scope.get("route"), "path", "unmatched")
                    seconds = time.perf_counter() - started
                    answer = Answer(method=method, route=route, status=message["status"], seconds=seconds)
                    self._tell(answer)
                    tell_trace(answer)
                await send(message)

            await self._app(scope, receive, send_timed)
