"""The launcher's own page on localhost: what is going on, the doors, and the ways to cheat."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from importlib.resources import files
from string import Template
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response

from provisioning.demo.cheats.report import Cheat, CheatState
from provisioning.demo.doors import Door
from provisioning.demo.progress import Progress
from provisioning.site import Title

__all__ = ["Control", "OpenPage", "serve_control"]

_TYPES = {"page.css": "text/css", "page.js": "text/javascript"}
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPage:
    """A page that needs no door."""

    title: Title
    link: str


class Control:
    """What the page shows and may ask for."""

    def __init__(
        self,
        progress: Progress,
        *,
        port: int,
        sentence: Callable[[], str],
        is_live: Callable[[], bool],
        new_doors: Callable[[], Awaitable[tuple[Door, ...]]],
    ) -> None:
        self.doors: tuple[Door, ...] = ()
        self.pages: tuple[OpenPage, ...] = ()
        self.cheats: Mapping[str, CheatState] = {}
        self._progress = progress
        self._port = port
        self._sentence = sentence
        self._is_live = is_live
        self._new_doors = new_doors
        self._token = secrets.token_urlsafe(24)
        self._at_work = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def offer(self, cheats: tuple[Cheat, ...]) -> None:
        """Put these cheats on the page."""
        self.cheats = {cheat.name: CheatState(cheat=cheat) for cheat in cheats}

    def app(self) -> FastAPI:
        """The page's application: four routes, for this machine only."""
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

        @app.middleware("http")
        async def only_this_machine(request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
            # A name that resolves to 127.0.0.1 must not let a web page elsewhere press our buttons.
            if request.headers.get("host") not in (f"localhost:{self._port}", f"127.0.0.1:{self._port}"):
                return Response("open this page as http://localhost", status_code=421)
            if request.method == "POST" and request.headers.get("x-minglou-demo") != self._token:
                return Response("this button belongs to the demo's own page", status_code=403)
            answer = await proceed(request)
            answer.headers["Content-Security-Policy"] = _POLICY
            answer.headers["X-Content-Type-Options"] = "nosniff"
            answer.headers["Cache-Control"] = "no-store"
            return answer

        app.get("/")(self._page)
        app.get("/static/{name}")(self._static)
        app.get("/state.json")(self._state)
        app.post("/doors")(self._change_doors)
        app.post("/cheats/{name}")(self._cheat)
        return app

    async def cheat(self, name: str) -> CheatState:
        """Do one cheat to its end, one at a time."""
        state = self.cheats[name]
        async with self._at_work:
            state.begin()
            self._progress.say(f"cheat: {state.cheat.title.en}")
            try:
                state.end(await state.cheat.run())
            except Exception as error:  # noqa: BLE001 - whatever went wrong is shown on the page, and the demo goes on
                state.fail(f"{type(error).__name__}: {error}")
            self._progress.say(f"cheat: {state.sentence}")
        return state

    async def _page(self) -> Response:
        text = Template((files("provisioning.demo") / "static" / "page.html").read_text("utf-8"))
        return Response(text.substitute(token=self._token), media_type="text/html")

    async def _static(self, name: str) -> Response:
        if name not in _TYPES:
            raise HTTPException(404)
        return Response((files("provisioning.demo") / "static" / name).read_bytes(), media_type=_TYPES[name])

    async def _state(self) -> dict[str, Any]:
        return {
            "sentence": self._sentence(),
            "steps": [asdict(step) for step in self._progress.steps],
            "figures": self._progress.figures,
            "lines": self._progress.lines,
            "pages": [{"title": asdict(page.title), "link": page.link} for page in self.pages],
            "doors": [{"role": door.role, "title": asdict(door.title), "link": door.link} for door in self.doors],
            "cheats": [
                state.to_json(allowed=self._is_live() and not self._at_work.locked()) for state in self.cheats.values()
            ],
        }

    async def _change_doors(self) -> dict[str, int]:
        self.doors = await self._new_doors()
        return {"doors": len(self.doors)}

    async def _cheat(self, name: str) -> dict[str, str]:
        if name not in self.cheats:
            raise HTTPException(404)
        if not self._is_live() or self._at_work.locked():
            raise HTTPException(409, "wait until the month is over and the last cheat is done")
        task = asyncio.create_task(self._run(name), name=f"cheat {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return {"state": "running"}

    async def _run(self, name: str) -> None:
        await self.cheat(name)


class _Server(uvicorn.Server):
    """Leaves the signals to the launcher, which must stop everything, not this page alone."""

    @contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


@asynccontextmanager
async def serve_control(control: Control, port: int) -> AsyncIterator[None]:
    """Serve the page on localhost while the block runs."""
    configuration = uvicorn.Config(
        control.app(), host="127.0.0.1", port=port, log_level="error", access_log=False, lifespan="off"
    )
    server = _Server(configuration)
    task = asyncio.create_task(server.serve(), name="control page")
    try:
        yield
    finally:
        server.should_exit = True
        server.force_exit = True
        await task
