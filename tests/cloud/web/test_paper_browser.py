"""A bill's PDF dropped on the site's page, and on the checker as one file, opened from a disk without a network."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from pypdf import PdfReader, PdfWriter

from contracts.trust import format_trust
from tests.cloud.web.paper_world import AMOUNT, READING, SALT, exchanged, printed
from tests.cloud.web.site import site
from tests.cloud.web.test_browser import ARGUMENTS, PHONE, outcomes
from tests.cloud.web.test_device_pages import AXE
from tests.cloud.web.world import World
from tests.vectors.deployment import TRUST

Drop = Callable[[bytes], dict[str, str]]
ON_CHAIN = {"gateway_key", "assignment", "anchor", "finality", "period", "terms", "tariff"}


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(chromium), headless=True, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(locale="zh-CN", viewport=PHONE)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page whose scripts may neither fail nor meet their policy."""
    opened, said = context.new_page(), list[str]()
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("console", lambda line: said.append(line.text) if "Content Security Policy" in line.text else None)
    yield opened
    assert said == []


@pytest.fixture
def drop(page: Page) -> Drop:
    """Chooses a file; the outcome of each step by `part.step`, and the verdict."""

    def choose(content: bytes) -> dict[str, str]:
        page.evaluate("document.getElementById('verdict').hidden = true")
        page.set_input_files("#file", {"name": "bill.pdf", "mimeType": "application/pdf", "buffer": content})
        return outcomes(page)

    return choose


def failed(found: dict[str, str]) -> list[str]:
    return [name for name, outcome in found.items() if outcome == "failed"]


def refused(page: Page, content: bytes, why: str) -> None:
    page.set_input_files("#file", {"name": "other.pdf", "mimeType": "application/pdf", "buffer": content})
    page.locator(f"#{why}").wait_for()
    assert page.locator("#verdict").is_hidden()
    assert page.locator("#groups > *").count() == 0


def rewritten(pdf: bytes, password: str | None = None) -> bytes:
    """The same PDF as another program saves it."""
    writer, out = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf))), io.BytesIO()
    if password:
        writer.encrypt(password, algorithm="AES-256")
    writer.write(out)
    return out.getvalue()


def test_a_bills_pdf_is_checked_on_the_sites_page_against_the_chain(page: Page, drop: Drop) -> None:
    world = World(padded=False)
    with site(world) as address:
        page.goto(f"{address}/verify")
        found = drop(printed("zh"))
        assert found.pop("verdict") == "open final"
        found.pop("words")
        unchecked = {name for name, outcome in found.items() if outcome != "passed"}
        assert unchecked == {"line1.readings", "line1.tariff"}, "the pool's readings are not the owner's to see here"
        assert len(found) == 6 + 1 + 13 + 13 + 2 + 2
        assert page.locator("#said-total").inner_text() == "¥74.05"
        assert page.locator("#said-days").inner_text() == "2026年10月23日 – 2026年11月27日"
        assert failed(drop(exchanged(printed("zh"), *AMOUNT))) == ["bill.amounts", "bill.tree", "line0.tariff"]
        world.padded = True  # the contract holds another bill than the one that was printed
        assert failed(drop(printed("zh"))) == ["bill.period"]
        refused(page, printed("zh")[:-200], "foreign")


@pytest.fixture
def checker(page: Page, tmp_path: Path) -> Iterator[Callable[[World], Page]]:
    """Saves the checker of a site, ends the site, and opens the file."""

    def open_saved(world: World) -> Page:
        with site(world) as address:
            page.goto(f"{address}/verify")
            with page.expect_download() as download:
                page.click('a[href="/checker.html"]')
            saved = tmp_path / "checker.html"
            download.value.save_as(saved)
        page.context.set_offline(True)
        page.goto(saved.as_uri())
        return page

    yield open_saved
    page.context.set_offline(False)


def test_the_saved_checker_checks_a_pdf_without_us_and_names_what_was_exchanged(
    checker: Callable[[World], Page], drop: Drop, page: Page
) -> None:
    checker(World(padded=False))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    assert page.locator("#short-form").inner_text() == TRUST.fingerprint()
    pdf = printed("zh")
    found = drop(pdf)
    assert found.pop("verdict") == "open logged"
    assert "公布的总和" in found.pop("words"), "what only the chain knows is named as not checked"
    assert failed(found) == []
    passed = {name for name, outcome in found.items() if outcome == "passed"}
    assert {name.partition(".")[2] for name in set(found) - passed} == ON_CHAIN | {"readings"}
    assert {"reading1.origin", "reading1.witnesses", "bill.contract", "line0.readings"} <= passed
    assert failed(drop(exchanged(pdf, *AMOUNT))) == ["bill.amounts", "bill.tree"]
    found = drop(exchanged(pdf, *READING))
    assert failed(found) == ["reading1.inclusion"]
    assert "在网关日志中的位置" in found["words"]
    assert found["line0.readings"] == "not_checked", "a line does not rest on a reading that is not proven"
    assert failed(drop(exchanged(pdf, *SALT))) == ["bill.format"]
    refused(page, b"%PDF-1.7\n" + bytes(1000), "foreign")
    refused(page, b"%PDF-1.7\n" + bytes(9 << 20), "too_large")
    refused(page, rewritten(pdf, "secret"), "encrypted")
    refused(page, b"/Prev 9/Size ".join(pdf.rsplit(b"/Size ", 1)), "changed")
    refused(page, b"hello", "unknown")
    assert asked == [], "no step asked anybody"


def test_a_trust_file_in_the_pdf_vouches_for_nothing_by_itself(
    checker: Callable[[World], Page], drop: Drop, page: Page
) -> None:
    elsewhere = World(padded=False)
    other = format_trust(replace(TRUST, super_log_public=bytes(32)))

    async def trust_file() -> bytes:
        return other

    elsewhere.trust_file = trust_file  # type: ignore[method-assign]  # a site with roots of its own
    checker(elsewhere)
    found = drop(printed("zh"))
    assert {"reading0.super_signature", "reading1.super_signature"} == set(failed(found))
    assert page.locator("#other-roots .brought-form").inner_text() == TRUST.fingerprint()
    assert page.locator("#adopt").is_hidden()
    page.evaluate("document.getElementById('saved-roots').textContent = ''")  # a checker that no site gave roots
    found = drop(printed("zh"))
    assert failed(found) == []
    assert found["verdict"] == "open logged"
    assert (found["reading0.origin"], found["bill.contract"]) == ("not_checked", "not_checked")
    assert page.locator("#verdict .word:visible").get_attribute("data-for") == "unknown"
    assert page.locator("#brought .brought-form").inner_text() == TRUST.fingerprint()
    page.evaluate("document.getElementById('verdict').hidden = true")
    page.click("#adopt")
    assert outcomes(page)["reading0.origin"] == "passed"
    assert page.locator("#short-form").inner_text() == TRUST.fingerprint()


def test_page_and_checker_fit_a_small_phone_and_break_no_rule_of_accessibility(
    browser: Browser, tmp_path: Path
) -> None:
    pdf, saved = exchanged(printed("zh"), *READING), tmp_path / "checker.html"
    with site(World(padded=False)) as address:
        for scheme, language in (("light", "zh-CN"), ("dark", "en-GB")):
            context = browser.new_context(
                locale=language, color_scheme=scheme, viewport={"width": 360, "height": 740}, bypass_csp=True
            )
            page = context.new_page()
            page.goto(f"{address}/verify")
            saved.write_bytes(page.request.get(f"{address}/checker.html", headers={"accept-language": language}).body())
            for place in (f"{address}/verify", saved.as_uri()):
                page.goto(place)
                page.set_input_files("#file", {"name": "bill.pdf", "mimeType": "application/pdf", "buffer": pdf})
                assert failed(outcomes(page)) == ["reading1.inclusion"]
                page.locator("#brought, #other-roots").evaluate_all(
                    "notices => notices.forEach((one) => (one.hidden = false))"
                )
                page.evaluate(AXE.read_text(encoding="utf-8"))
                found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa']})")
                assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == [], place
                assert page.evaluate("document.documentElement.scrollWidth") <= 360, place
            context.close()
