"""Sub-meters against their main meter, on a page for whoever looks after them and for the owners behind it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from cloud.web.answers import BalanceDay, BusBalance, Person
from cloud.web.balance import HEIGHT, loss_chart, loss_permille
from tests.cloud.web.reader import Reader
from tests.cloud.web.site import site
from tests.cloud.web.test_browser import ARGUMENTS
from tests.cloud.web.world import CLOSING, COMMITTEE, CREW, MANAGER, OWNER, PERIOD, World

SignIn = Callable[[Person], Reader]
ORDER = """() => {
  const card = document.querySelector("section.balance");
  return ["dl", "svg", "table"].map((part) => [...card.querySelectorAll("*")].indexOf(card.querySelector(part)));
}"""


def test_the_page_says_in_both_languages_what_went_in_what_came_out_and_when_it_was_odd(sign_in: SignIn) -> None:
    manager = sign_in(MANAGER)
    says = manager.get("/balance", headers={"accept-language": "zh-CN"}).text
    assert "对得上吗" in says and "有2天因缺少零点读数" in says and "未经任何分表" in says
    manager.post("/preferences", data={"language": "en", "back": "/"})
    says = manager.get("/balance").text
    assert "Does it add up?" in says and "passed the main meter and no other one" in says
    assert "2 days have no balance" in says and "1 reading missing" in says and "Look at it" in says
    assert says.count('class="odd"') == 2


@pytest.mark.parametrize(("person", "status"), [(OWNER, 200), (MANAGER, 200), (COMMITTEE, 200), (CREW, 404)])
def test_owners_manager_and_committee_see_it(sign_in: SignIn, person: Person, status: int) -> None:
    assert sign_in(person).get("/balance").status_code == status


def test_a_strangers_question_is_refused_and_a_day_that_is_none_too(stranger: Reader, sign_in: SignIn) -> None:
    assert stranger.get("/balance").status_code in (401, 403, 404)
    assert sign_in(OWNER).get("/balance?to=yesterday").status_code == 404
    assert "26" in sign_in(OWNER).get("/balance?to=2026-10-26").text


def test_the_shared_energy_line_leads_to_it(sign_in: SignIn) -> None:
    owner = sign_in(OWNER)
    assert 'href="/balance"' in owner.get(f"/bills/b07-0501/{PERIOD}/lines/1").text
    assert 'href="/balance"' not in owner.get(f"/bills/b07-0501/{PERIOD}/lines/0").text
    assert 'href="/balance"' in sign_in(MANAGER).get("/site").text


@pytest.mark.parametrize(
    ("difference", "main", "parts"),
    [(25, 1000, 25), (-5, 1000, -5), (1, 2000, 1), (-1, 2000, -1), (1, 2001, 0), (3, 0, None)],
)
def test_a_loss_is_rounded_half_away_from_nothing(difference: int, main: int, parts: int | None) -> None:
    assert loss_permille(difference, main) == parts


def test_bars_begin_at_nothing_and_stay_within_the_chart() -> None:
    losses = (20, -30, None, 400)
    days = tuple(
        BalanceDay(
            day=CLOSING.replace(day=1 + at), main=None if loss is None else 1000,
            subs=None if loss is None else 1000 - loss, missing=int(loss is None), in_band=loss == 20,
        )
        for at, loss in enumerate(losses)
    )  # fmt: skip
    chart = loss_chart(
        BusBalance(name="b", unit="Wh", meters=9, low_permille=-5, high_permille=50, days=days, stretches=())
    )
    assert chart is not None and len(chart.bars) == 3
    assert chart.labelled_days == (days[0].day, days[2].day, days[3].day), "the third has no bar, and keeps its place"
    above, below, odd = chart.bars
    assert above.y + above.height == pytest.approx(chart.zero_y, abs=0.02) == below.y
    assert odd.y == 0 and all(bar.y >= 0 and bar.y + bar.height <= HEIGHT + 0.02 for bar in chart.bars)
    assert chart.band_y < chart.zero_y < chart.band_y + chart.band_height


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(chromium), headless=True, args=ARGUMENTS)
        yield opened
        opened.close()


def opened(world: World, browser: Browser, address: str, *, locale: str = "zh-CN") -> Page:
    page = browser.new_context(locale=locale, viewport={"width": 360, "height": 640}).new_page()
    page.goto(f"{address}/signin#t={world.token_of(OWNER)}")
    page.wait_for_url("**/home")
    return page


def test_it_fits_a_small_phone_in_both_views_and_a_sheet_of_paper(
    world: World, browser: Browser, tmp_path: Path
) -> None:
    with site(world) as address:
        page = opened(world, browser, address)
        for view in ("elder", "normal"):
            page.request.post(f"{address}/preferences", form={"view": view, "back": "/"})
            page.goto(f"{address}/balance")
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
            assert page.locator("section.balance").count() == 2
            assert page.locator("svg rect.bar[data-suspect]").count() == 2
            order = page.evaluate(ORDER)
            assert order == sorted(order), "words before the chart, the figures after it"
        assert len(page.pdf(format="A4")) > 10_000
        page.emulate_media(media="print")
        assert page.locator("section.balance table").first.is_visible()
        page.context.close()
