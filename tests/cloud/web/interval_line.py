"""A line priced by the hour in the owner's browser: recomputed from readings whose evidence it verifies itself."""

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

import httpx
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

from tests.cloud.web.test_browser import ARGUMENTS

__all__ = ["TOKENS", "PostedLine", "recomputes_in_the_browser"]

TOKENS = {"owner:0": bytes([7]) * 32, "owner:1": bytes([8]) * 32}


@dataclass(frozen=True, slots=True)
class PostedLine:
    """The pages of a posted month, and the first flat's line."""

    url: str
    period: int

    @property
    def line(self) -> str:
        return f"/bills/b07-0101/{self.period}/lines/0"

    @property
    def paper(self) -> str:
        return f"/bills/b07-0101/{self.period}/bill.pdf"


def open_line(context: BrowserContext, month: PostedLine) -> Page:
    sign_in(context, month, "owner:0")
    page = context.new_page()
    page.goto(month.url + month.line)
    return page


def sign_in(context: BrowserContext, month: PostedLine, who: str) -> None:
    token = urlsafe_b64encode(TOKENS[who]).rstrip(b"=").decode()
    answer = context.request.post(f"{month.url}/signin", data={"token": token}, headers={"origin": month.url})
    assert answer.ok, answer.text()


def check(page: Page) -> None:
    page.locator("#verdict").evaluate("(verdict) => (verdict.hidden = true)")
    page.get_by_role("button", name="核对这一项").click()
    page.locator("#verdict:not([hidden])").wait_for(timeout=200_000)


def recomputes_in_the_browser(month: PostedLine, chromium: Path) -> bytes:
    """The owner presses the button; so does somebody to whom a lying server answers. Gives the owner's bill as PDF."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), headless=True, args=ARGUMENTS)
        paper = _check_all(month, browser)
        browser.close()
    return paper


def _check_all(month: PostedLine, browser: Browser) -> bytes:
    context = browser.new_context(locale="zh-CN", viewport={"width": 360, "height": 780})
    page = open_line(context, month)
    check(page)
    verdict = page.locator("#verdict")
    assert verdict.get_attribute("data-outcome") == "passed", verdict.inner_text()
    line = page.locator('.group[data-kind="line"]')
    assert line.locator('[data-outcome="passed"]').count() == 2
    timed = page.locator('.group[data-kind="timed"]')
    assert timed.get_attribute("data-outcome") == "passed"
    assert "个读数" in timed.locator("summary").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    portions = [json.loads(page.request.get(f"{month.url}{month.line}/readings.json").text())]
    while (following := portions[-1]["following"]) is not None:
        portions.append(json.loads(page.request.get(f"{month.url}{month.line}/readings.json?from={following}").text()))
    assert len(portions) > 1, "a month is more than one portion"
    check_lies(page, month)
    check_others(browser, month)
    answer = page.request.get(month.url + month.paper)
    assert answer.ok, answer.text()
    paper = answer.body()
    context.close()
    return paper


def check_lies(page: Page, month: PostedLine) -> None:
    """A reading that was changed on the way, and readings that were left out."""

    def changed(route: Route) -> None:
        answer = route.fetch()
        told = json.loads(answer.text())
        told["files"][0] = told["files"][0].replace('"value":"', '"value":"1', 1)
        route.fulfill(status=200, json=told)

    def fewer(route: Route) -> None:
        route.fulfill(status=200, json={"files": [], "following": None})

    for lie, outcome in ((changed, "failed"), (fewer, "open")):
        page.route("**/readings.json*", lie)
        check(page)
        assert page.locator("#verdict").get_attribute("data-outcome") == outcome
        page.unroute("**/readings.json*", lie)


def check_others(browser: Browser, month: PostedLine) -> None:
    """Nobody else gets them, and no other line has any."""
    assert httpx.get(f"{month.url}{month.line}/readings.json", trust_env=False, timeout=60).status_code == 401
    context = browser.new_context(locale="zh-CN")
    sign_in(context, month, "owner:1")
    page = context.new_page()
    assert page.request.get(f"{month.url}{month.line}/readings.json").status == 404
    assert page.request.get(month.url + month.paper).status == 404
    shared = month.line.replace("0101", "0102").replace("lines/0", "lines/1")
    assert page.request.get(f"{month.url}{shared}/readings.json").status == 404
    context.close()
