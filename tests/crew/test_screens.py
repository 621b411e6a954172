"""The crew app's screens as people see them: both languages, a small phone, large text.

With MINGLOU_PICTURES=docs/pictures in the environment the pictures of docs/for-crews.md are taken anew.
"""

import os
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser

from contracts.pack import read_pack
from contracts.visit import VisitClass
from tests.crew.orders import order_of, tell_orders
from tests.crew.phone import CLOSING_ITEM, OPENING_ITEM, READY, CrewPhone, phone_context, watched
from tests.crew.site import CODES, PACK, CrewSite
from tests.processes import REPOSITORY

HALF_MONTH = read_pack(PACK).items_of(VisitClass.HALF_MONTH)
TEST_ITEM = next(item.code for item in HALF_MONTH if item.needs_photo)
NUMBER_ITEM = next(item.code for item in HALF_MONTH if item.needs_value)
COLOURS = 64
PICTURE_BYTES_MAX = 40_000
TARGET_PX = 55.5
GUIDE = REPOSITORY / "docs" / "for-crews.md"
SHOW = """(address) => {
  delete document.documentElement.dataset.shown;
  if (location.hash === address) dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = address;
}"""
CHOOSE = """(choices) =>
  import("/static/crew/store.js").then((store) => store.put("phone", { key: "choices", ...choices }))"""
TARGETS = "button, .button, #nav a, .rows a, select, .choice, input:not(.visually-hidden, .choice input)"
SMALL_TARGETS = """([targets, least]) => [...document.querySelectorAll(targets)]
  .filter((one) => one.offsetParent)
  .filter((one) => one.getBoundingClientRect().height < least)
  .map((one) => one.outerHTML.slice(0, 80))"""


class Screens:
    """A phone with something on every screen, and the way to each."""

    def __init__(self, crew: CrewPhone, site: CrewSite) -> None:
        self.crew, self.page, self.site = crew, crew.page, site
        self.order = order_of(1)
        self.page.route("**/v1/visits", lambda route: route.abort())
        tell_orders(self.page, self.order, order_of(2, cause="stopped", rescue_s=None))
        self.crew.make(site.display(), signers=2)
        self.signing = self.crew.begin(site.display(), mechanics=2, manager=True)
        self.crew.fill(self.signing, faulty=(HALF_MONTH[20].code,))
        self.crew.end(self.signing)
        self.swap = self.crew.begin(site.link("meter"))
        self.crew.read_registers(self.swap)
        self.crew.fill(self.swap)
        self.crew.end(self.swap)
        self.swapping = self.crew.begin(site.link("meter"))
        self.crew.read_registers(self.swapping)
        self.visit = self.crew.begin(site.display(), mechanics=2, drop=False)
        for item in HALF_MONTH[:12]:
            self.page.evaluate(
                """([id, code]) => import("/static/crew/visits.js").then((visits) =>
                  visits.advance(id, { type: "answer", code, result: "ok", value: null }))""",
                [self.visit, item.code],
            )

    def addresses(self) -> dict[str, str]:
        """Every screen's address and what shows that it stands."""
        visit = f"#/visit/{self.visit}"
        return {
            "work": "#/work", "order": f"#/order/{self.order['name']}", "scan": "#/", "found": f"#/d/{CODES['car']}",
            "list": f"{visit}/list", "item": f"{visit}/list/{HALF_MONTH[11].code}",
            "test": f"{visit}/list/{TEST_ITEM}", "number": f"{visit}/list/{NUMBER_ITEM}",
            "sign": f"#/visit/{self.signing}/sign", "outbox": "#/outbox", "people": "#/people",
            "closing": f"#/visit/{self.swapping}/list/{CLOSING_ITEM}",
            "opening": f"#/visit/{self.swapping}/list/{OPENING_ITEM}", "swap": f"#/visit/{self.swap}/sign",
        }  # fmt: skip

    def show(self, name: str) -> None:
        """Open one screen anew."""
        address = self.addresses()[name]
        self.page.evaluate(SHOW, address)
        self.page.wait_for_selector(f'html[data-shown="{address}"]', state="attached")
        if name == "number":
            self.page.fill("#number", "6.9")
        if name == "closing":
            self.page.fill("#register", "1234.567")
            self.page.press("#register", "Enter")
        if name == "found":
            self.page.wait_for_selector(".found")

    def choose(self, **choices: str) -> None:
        """What the phone's people chose; the app begins anew with it."""
        self.page.evaluate(CHOOSE, choices)
        self.page.reload()
        self.page.wait_for_selector(READY, state="attached")


@pytest.fixture(scope="module")
def screens(browser: Browser, site: CrewSite) -> Iterator[Screens]:
    problems: list[str] = []
    with phone_context(browser) as context:
        crew = CrewPhone(watched(context, problems), site)
        crew.sign_in(1)
        crew.make_people(("王师傅 Wang", "mechanic"), ("李师傅 Li", "mechanic"), ("赵经理 Zhao", "manager"))
        yield Screens(crew, site)
    assert problems == []


def faults(screens: Screens, name: str) -> dict[str, Any]:
    """What is wrong with the screen that stands."""
    wide = screens.page.evaluate("document.documentElement.scrollWidth")
    small = screens.page.evaluate(SMALL_TARGETS, [TARGETS, TARGET_PX])
    found = {"wide": wide if wide > 360 else None, "small": small}
    return {f"{name} {fault}": value for fault, value in found.items() if value}


def take_picture(screens: Screens, path: Path) -> None:
    """The screen as a small picture: few colours are enough for text."""
    seen = Image.open(BytesIO(screens.page.screenshot())).convert("RGB")
    seen.quantize(COLOURS, dither=Image.Dither.NONE).save(path, "PNG", optimize=True)
    assert 1_000 < path.stat().st_size < PICTURE_BYTES_MAX


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_screen_fits_a_small_phone(screens: Screens, language: str, tmp_path: Path) -> None:
    screens.choose(language=language)
    folder = Path(os.environ.get("MINGLOU_PICTURES", tmp_path))
    wrong: dict[str, Any] = {}
    for name in screens.addresses():
        screens.show(name)
        wrong |= faults(screens, name)
        take_picture(screens, folder / f"crew-{name}-{language}.png")
    assert wrong == {}


def test_large_text_fits_a_small_phone_too(screens: Screens) -> None:
    screens.choose(language="en", view="elder")
    wrong: dict[str, Any] = {}
    for name in screens.addresses():
        screens.show(name)
        wrong |= faults(screens, name)
    assert wrong == {}


def test_an_item_says_what_it_asks_for_in_the_readers_language_and_in_its_sources(screens: Screens) -> None:
    needs = {"zh": [["zh-Hans-CN", "不小于7mm"]], "en": [["en", "At least 7 mm"], ["zh-Hans-CN", "不小于7mm"]]}
    for language, told in needs.items():
        screens.choose(language=language)
        screens.show("number")
        found = screens.page.evaluate(
            "[...document.querySelectorAll('.need p')].map((one) => [one.lang, one.textContent])"
        )
        assert found == told


def test_an_item_is_reached_and_answered_by_keyboard_alone(screens: Screens) -> None:
    screens.choose(language="zh")
    screens.show("item")
    page = screens.page
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.result") == "replaced":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-result=replaced][aria-pressed=true]")
    assert page.evaluate("document.activeElement.dataset.result") == "replaced", "focus stays where it was"
    page.keyboard.press("ArrowRight")
    page.wait_for_function("code => location.href.endsWith(code)", arg=HALF_MONTH[12].code)
    assert page.evaluate("document.activeElement.id") == "title"


def test_a_swipe_does_what_the_buttons_do(screens: Screens) -> None:
    screens.show("item")
    page = screens.page
    cdp = page.context.new_cdp_session(page)
    for kind, x in (("touchStart", 300), ("touchMove", 200), ("touchMove", 90), ("touchEnd", None)):
        points = [] if x is None else [{"x": x, "y": 190}]
        cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.wait_for_function("code => location.href.endsWith(code)", arg=HALF_MONTH[12].code)


def test_the_guide_shows_pictures_that_this_file_takes(screens: Screens) -> None:
    shown = re.findall(r"\(pictures/(crew-[a-z-]+\.png)\)", GUIDE.read_text(encoding="utf-8"))
    taken = {f"crew-{name}-{language}.png" for name in screens.addresses() for language in ("zh", "en")}
    assert len(shown) >= 8 and set(shown) <= taken
