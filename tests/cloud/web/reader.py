"""A browser without a window, as far as pages without scripts need one: cookies, redirects, a peer address."""

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI


class Reader:
    """Somebody who asks the application in process."""

    def __init__(
        self, app: FastAPI, *, base_url: str = "http://localhost", peer: str = "127.0.0.1", raises: bool = True
    ) -> None:
        self.app = app
        self.cookies = httpx.Cookies()
        self._base_url = base_url
        self._transport = httpx.ASGITransport(app=app, client=(peer, 50_000), raise_app_exceptions=raises)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """The page after redirects."""
        return self._ask("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """The answer to a form or a script's message, after redirects."""
        return self._ask("POST", path, **options)

    def _ask(self, method: str, path: str, *, follow_redirects: bool = True, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=self._transport,
                base_url=self._base_url,
                cookies=self.cookies,
                follow_redirects=follow_redirects,
                trust_env=False,
            ) as client:
                answer = await client.request(method, path, **options)
                self.cookies = client.cookies
                return answer

        return asyncio.run(ask())
