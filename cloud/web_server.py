"""uvicorn, made to end the way our programs end."""

import contextlib
from collections.abc import Iterator

import uvicorn

__all__ = ["Server"]


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: it would raise the signal again after its own end and cut ours short."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
