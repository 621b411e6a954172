"""An owner's browser: Debian's Chromium without a window, on the same pages and scripts that people get."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright
from playwright.async_api import Error as BrowserError

from provisioning.demo.errors import DemoError
from provisioning.demo.programs import chromium_program

__all__ = ["CheckResult", "OwnerSession", "OwnersBrowser", "owners_browser"]

_WAIT_MS = 20_000
_ARGUMENTS = [
    "--no-sandbox",  # the demo may run as root in a container, where the sandbox cannot start
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What *Check it yourself* said: its verdict, and every step with its outcome."""

    outcome: str  # passed, failed
    state: str
    steps: dict[str, str]  # name -> outcome

    @property
    def broken(self) -> tuple[str, ...]:
        """The steps that failed."""
        return tuple(name for name, outcome in self.steps.items() if outcome == "failed")

    @property
    def sentence(self) -> str:
        """The verdict in one line."""
        passed = sum(outcome == "passed" for outcome in self.steps.values())
        broken = f", broken at {', '.join(self.broken)}" if self.broken else ""
        return f"{self.state}: {passed} steps passed{broken}"


class OwnersBrowser:
    """The browser; each owner has a profile of his own in it."""

    def __init__(self, browser: Browser, base_url: str) -> None:
        self._browser = browser
        self._base = base_url

    async def sign_in(self, link: str) -> OwnerSession:
        """Open a one-time link in an empty profile and arrive at home."""
        context = await self._browser.new_context(locale="zh-CN", viewport={"width": 390, "height": 844})
        page = await context.new_page()
        await page.goto(link)
        await page.wait_for_url("**/home", timeout=_WAIT_MS)
        return OwnerSession(page, self._base)


class OwnerSession:
    """One owner's session."""

    def __init__(self, page: Page, base_url: str) -> None:
        self._page = page
        self._base = base_url

    async def check(self, path: str) -> CheckResult:
        """Press *Check it* on a page and wait for the verdict."""
        page = self._page
        await page.goto(self._base + path)
        await page.click("#check", timeout=_WAIT_MS)
        await page.wait_for_selector("#verdict[data-outcome]:visible", timeout=_WAIT_MS)
        verdict = page.locator("#verdict")
        steps = await page.eval_on_selector_all(
            "[data-check]", "rows => rows.map(row => [row.dataset.check, row.dataset.outcome ?? ''])"
        )
        return CheckResult(
            outcome=await verdict.get_attribute("data-outcome") or "",
            state=await verdict.get_attribute("data-state") or "",
            steps={str(name): str(outcome) for name, outcome in steps},
        )

    async def dispute(self, path: str) -> str:
        """Sign a dispute of the line at `path` with the owner's key; what the page answers: sent or refused."""
        page = self._page
        await page.goto(f"{self._base}{path}/dispute")
        await page.click("#dispute-sign:not([disabled])", timeout=_WAIT_MS)
        await page.wait_for_selector("#dispute-result[data-outcome]", timeout=_WAIT_MS)
        return await page.locator("#dispute-result").get_attribute("data-outcome") or ""

    async def text(self, path: str) -> str:
        """What a page says."""
        await self._page.goto(self._base + path)
        return await self._page.inner_text("body")


@asynccontextmanager
async def owners_browser(base_url: str, home: Path) -> AsyncIterator[OwnersBrowser]:
    """A browser, ended when the block ends.

    Args:
        home: where it keeps what it would put into the user's own home.

    Raises:
        DemoError: Chromium is not installed, or a page did not do what it should.
    """
    program = chromium_program()
    if program is None:
        raise DemoError("chromium is not installed; `apt install chromium`, or run the demo without --once")
    try:
        await asyncio.to_thread(home.mkdir, exist_ok=True)
        environment: dict[str, str | float | bool] = {**os.environ, "HOME": str(home)}
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=str(program), headless=True, args=_ARGUMENTS, env=environment
            )
            try:
                yield OwnersBrowser(browser, base_url)
            finally:
                await browser.close()
    except BrowserError as error:
        raise DemoError(f"the owner's browser: {error.message.splitlines()[0]}") from error
