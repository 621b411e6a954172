"""Days one by one in a real browser, and the design page: by keyboard, read aloud, in all themes, on paper."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.cloud.web.site import site
from tests.cloud.web.test_browser import ARGUMENTS, LINE
from tests.cloud.web.world import OWNER, World
from tests.processes import REPOSITORY

AXE = REPOSITORY / ".tools" / "npm" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(chromium), headless=True, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def address(world: World) -> Iterator[str]:
    with site(world) as served:
        yield served


def violations(page: Page) -> list[tuple[str, str]]:
    """What axe finds, by rule."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'best-practice']})")
    assert len(found["passes"]) > 5
    return [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]]


def test_days_open_one_by_one_by_keyboard_and_each_is_said(world: World, browser: Browser, address: str) -> None:
    context = browser.new_context(locale="en-GB", viewport={"width": 360, "height": 740})
    page, asked, said = context.new_page(), list[str](), list[str]()
    page.on("request", lambda request: asked.append(request.url.removeprefix(address)))
    page.on("console", lambda line: said.append(line.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{address}/signin#t={world.token_of(OWNER)}")
    page.wait_for_url("**/home")
    page.goto(address + LINE)
    page.locator("[data-look]").focus()
    assert not any("uplot" in path or "chart-view" in path for path in asked), "nothing of it before it is asked for"
    page.keyboard.press("Enter")
    page.wait_for_selector(".plot canvas")
    slider = page.get_by_role("slider", name="Day")
    assert page.evaluate("document.activeElement.type") == "range"
    assert slider.get_attribute("aria-valuetext") == "17 Nov: 6.00 kWh"
    page.keyboard.press("ArrowLeft")
    assert slider.get_attribute("aria-valuetext") == "16 Nov: 4.90 kWh"
    slider.fill("20")
    assert slider.get_attribute("aria-valuetext") == "12 Nov: 3.00 kWh · estimated"
    slider.fill("16")
    assert slider.get_attribute("aria-valuetext") == "8 Nov: no reading"
    assert page.locator(".chart .day").inner_text() == "8 Nov: no reading"
    bar = page.locator(".u-over").bounding_box()
    assert bar is not None
    page.mouse.move(bar["x"] + 3, bar["y"] + bar["height"] / 2)
    assert (slider.get_attribute("aria-valuetext") or "").startswith("23 Oct:"), "a finger or mouse tells the day too"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert said == [], "no error, and nothing that the policy had to stop"
    context.close()


def test_another_chart_program_is_not_run_and_the_bars_stay(browser: Browser, address: str) -> None:
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.route("**/uplot.js", lambda route: route.fulfill(body="globalThis.forged = 1", content_type="text/javascript"))
    page.goto(f"{address}/design")
    page.locator("[data-look]").click()
    page.get_by_text("The service did not answer.").wait_for()
    assert page.evaluate("globalThis.forged") is None
    assert page.locator("figure.chart > svg").is_visible()
    page.unroute("**/uplot.js")
    page.locator("[data-look]").click()  # the right one is taken once it is there
    page.wait_for_selector(".plot canvas")
    context.close()


def test_without_scripts_the_bars_and_the_table_are_all_there(browser: Browser, address: str) -> None:
    context = browser.new_context(locale="en-GB", java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/design")
    assert page.locator("[data-look]").is_hidden()
    page.get_by_text("Figures of each day").first.click()
    assert page.locator("figure tbody tr").count() == 14
    context.close()


@pytest.mark.parametrize(("language", "theme", "view"), [("zh-CN", "dark", "normal"), ("en-GB", "light", "elder")])
def test_the_design_page_breaks_no_rule_of_accessibility_and_prints_black_on_white(
    browser: Browser, address: str, language: str, theme: str, view: str
) -> None:
    context = browser.new_context(locale=language, viewport={"width": 360, "height": 740}, bypass_csp=True)
    page = context.new_page()
    for name, value in (("theme", theme), ("view", view)):
        page.request.post(f"{address}/preferences", form={name: value, "back": "/"})
    page.goto(f"{address}/design")
    page.locator("[data-look]").click()
    page.wait_for_selector(".plot canvas")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.emulate_media(media="print")
    colours = page.evaluate(
        "[document.body, document.querySelector('.status')].map((one) => getComputedStyle(one).color)"
    )
    assert colours == ["rgb(0, 0, 0)"] * 2
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("figure.chart > svg").is_visible() and not page.locator(".plot").is_visible()
    context.close()
