"""Serves the world's pages and its chain over HTTP, for a browser."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from cloud.web import WebSettings, install
from cloud.web.answers import Title
from contracts.errors import RpcError
from tests.cloud.web.world import World
from tests.processes import free_port, is_listening, wait_until


class WorldClock:
    """The world's own time."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now_ms(self) -> int:
        return self._world.now_ms

    def real_ms_until(self, at_ms: int) -> int:
        return 0


def build(world: World, *, rpc_url: str | None = None, public_url: str = "http://testserver") -> FastAPI:
    """The pages as the cloud serves them."""
    app = FastAPI()
    settings = WebSettings(
        public_url=public_url, rpc_url=rpc_url, site_title=Title(zh="翠苑", en="Cuiyuan"), demo_note=True
    )  # fmt: skip
    install(app, questions=world, settings=settings, clock=WorldClock(world))
    return app


def build_node(world: World) -> FastAPI:
    """The chain's node; answers any page, as anvil does."""
    app = FastAPI()
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_headers=["*"], allow_methods=["*"])

    def answer_one(request: dict[str, Any]) -> dict[str, Any]:
        try:
            result = world.rpc(request["method"], request["params"])
        except RpcError as error:
            return {"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32000, "message": str(error)}}
        return {"jsonrpc": "2.0", "id": request["id"], "result": result}

    @app.post("/")
    async def answer(request: dict[str, Any] | list[dict[str, Any]]) -> Any:
        world.round_trips += 1
        return [answer_one(one) for one in request] if isinstance(request, list) else answer_one(request)

    return app


@contextmanager
def served(app: FastAPI, port: int) -> Iterator[str]:
    """The application on a port of this machine, until the block ends."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, name=f"site-{port}")
    thread.start()
    try:
        wait_until(lambda: is_listening(port), seconds=20, what=f"port {port}")
        yield f"http://localhost:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def site(world: World) -> Iterator[str]:
    """Pages and node; gives the pages' address."""
    page_port, node_port = free_port(), free_port()
    pages = build(world, rpc_url=f"http://127.0.0.1:{node_port}", public_url=f"http://localhost:{page_port}")
    with served(build_node(world), node_port), served(pages, page_port) as address:
        yield address
