"""Joining and signing in in Debian's Chromium, with its own virtual authenticator: the scripts that people get."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from cloud.app import build_app
from cloud.identity.roles import Role
from cloud.web_server import Server
from tests.cloud.house import House, alias_of, house
from tests.cloud.web.test_browser import ARGUMENTS, PHONE
from tests.processes import free_port, is_listening, wait_until

AUTHENTICATOR = {
    "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal", "hasResidentKey": True,
    "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip


class Served:
    """A house that serves on a port, in a thread with a loop of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.address = f"http://localhost:{self.port}"
        self._folder = folder
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="house")
        self.site: House | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with house(self._folder, public_url=self.address) as site:
            config = uvicorn.Config(build_app(site.cloud), host="127.0.0.1", port=self.port, log_config=None, ws="none")
            self.site, self._server = site, Server(config)
            await self._server.serve()

    @contextmanager
    def running(self) -> Iterator["Served"]:
        self._thread.start()
        try:
            wait_until(lambda: is_listening(self.port), seconds=60, what="the pages")
            yield self
        finally:
            assert self._server is not None
            self._server.should_exit = True
            self._thread.join(30)
            assert not self._thread.is_alive()

    def letter(self, role: Role, unit: str | None = None) -> str:
        """The code of a letter."""
        assert self.site is not None and self._loop is not None
        alias = alias_of(unit) if unit else None
        now_ms = self.site.clock.now_ms()
        made = self.site.cloud.identity.invite(None, role, unit=alias, firm=None, now_ms=now_ms)
        return asyncio.run_coroutine_threadsafe(made, self._loop).result(30).code


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(chromium), headless=True, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path).running() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A phone on which nothing may go wrong unseen."""
    context = browser.new_context(locale="zh-CN", viewport=PHONE)
    opened = context.new_page()
    said: list[str] = []
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("console", lambda line: said.append(line.text) if "Content Security Policy" in line.text else None)
    yield opened
    context.close()
    assert said == []


def authenticator(page: Page) -> tuple[CDPSession, str]:
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable", {"enableUI": False})
    made: Any = session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    return session, made["authenticatorId"]


def outcome(page: Page, word: str) -> None:
    page.wait_for_function("word => document.querySelector('.words').dataset.outcome === word", arg=word)


def test_a_passkey_is_made_signs_in_and_gets_a_second(served: Served, page: Page) -> None:
    device, number = authenticator(page)
    page.goto(f"{served.address}/join#c={served.letter(Role.OWNER, 'b07-0501')}")
    assert page.url == f"{served.address}/join", "the code left the address at once"
    page.get_by_role("button", name="创建通行密钥").click()
    page.wait_for_url(f"{served.address}/home")
    page.get_by_role("button", name="退出登录").click()
    page.wait_for_url(f"{served.address}/")
    page.goto(f"{served.address}/signin")
    page.get_by_role("button", name="用通行密钥登录").press("Enter")
    page.wait_for_url(f"{served.address}/home")
    kept: Any = device.send("WebAuthn.getCredentials", {"authenticatorId": number})
    assert [one["rpId"] for one in kept["credentials"]] == ["localhost"]
    page.goto(f"{served.address}/account")
    # The same device is not asked for a second one: the service names what it has already.
    page.get_by_role("button", name="添加通行密钥").click()
    outcome(page, "cancelled")
    device.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": number})
    authenticator(page)
    page.get_by_role("button", name="添加通行密钥").click()
    page.get_by_role("button", name="删除通行密钥2").wait_for()


def test_what_went_wrong_is_said_in_words(served: Served, page: Page) -> None:
    device, number = authenticator(page)
    page.goto(f"{served.address}/join")
    page.get_by_label("信上的代码").fill("0000-0000-0000-0000")
    page.get_by_role("button", name="创建通行密钥").click()
    outcome(page, "code")
    assert page.get_by_text("请另要一封信").is_visible()
    device.send("WebAuthn.setUserVerified", {"authenticatorId": number, "isUserVerified": False})
    page.get_by_label("信上的代码").fill(served.letter(Role.MANAGER))
    page.get_by_role("button", name="创建通行密钥").click()
    outcome(page, "cancelled")
    device.send("WebAuthn.setUserVerified", {"authenticatorId": number, "isUserVerified": True})
    page.get_by_role("button", name="创建通行密钥").click()
    page.wait_for_url(f"{served.address}/site")


def test_without_passkeys_a_sheet_of_codes_opens_the_pages_for_reading(served: Served, page: Page) -> None:
    page.goto(f"{served.address}/join")
    page.get_by_label("信上的代码").fill(served.letter(Role.OWNER, "b07-0502"))
    page.get_by_role("button", name="领取一次性码").click()
    codes = page.locator(".codes code").all_inner_texts()
    assert len(codes) == 8
    page.context.clear_cookies()
    page.goto(f"{served.address}/signin")
    page.get_by_label("清单上的一次性码").fill(codes[3])
    page.get_by_role("button", name="登录查看").click()
    page.wait_for_url(f"{served.address}/home")
    page.goto(f"{served.address}/account")
    assert page.get_by_text("可以查看，不能改动").is_visible()
    assert page.get_by_role("button", name="添加通行密钥").count() == 0
