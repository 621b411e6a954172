"""What the code on a device opens: a page that everybody understands, for passengers and crews, in both languages."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, sync_playwright

from cloud.web.device_answers import Word
from tests.cloud.web.device_world import (
    CHAIN,
    FLAG,
    GATE_CODE,
    LATE,
    LIFT_CODE,
    METER_CODE,
    REVOKED_CODE,
    TRAPPED,
    WELL,
)
from tests.cloud.web.reader import Reader
from tests.cloud.web.site import site
from tests.cloud.web.test_browser import ARGUMENTS
from tests.cloud.web.test_pages import text_of
from tests.cloud.web.world import CREW, DOOR, World
from tests.processes import REPOSITORY

AXE = REPOSITORY / ".tools" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
EN, ZH = {"accept-language": "en"}, {"accept-language": "zh-CN"}
SCANNED = f"/d/{LIFT_CODE}"


def test_a_scanned_code_opens_the_public_page(stranger: Reader) -> None:
    page = stranger.get(SCANNED, headers=EN)
    assert page.status_code == 200
    says = text_of(page.text)
    assert "Lift 1" in says and "In service" in says and "Maintained by Anxing Service" in says
    assert 'href="tel:057188880000"' in page.text and 'href="/crew#/d/4k7mq2xd90bz"' in page.text
    assert 'action="/d/4k7mq2xd90bz/fault"' in page.text


@pytest.mark.parametrize("typed", ["4K7M-Q2XD-9OBZ", "4k7m%20q2xd%2090bz"])
def test_a_typed_code_is_read_as_people_type(stranger: Reader, typed: str) -> None:
    assert "1号电梯" in stranger.get(f"/d/{typed}", headers=ZH).text


@pytest.mark.parametrize("code", ["4k7mq2xd90b", "0000000000zz", "u" * 12, "%00", "x" * 300])
def test_a_code_of_nothing_here_says_what_to_do(stranger: Reader, code: str) -> None:
    answer = stranger.get(f"/d/{code}", headers=EN)
    assert answer.status_code in (404, 422)
    assert "tell the property office" in answer.text or answer.status_code == 422


def test_a_withdrawn_code_is_said_to_be_withdrawn_and_takes_no_report(stranger: Reader) -> None:
    page = text_of(stranger.get(f"/d/{REVOKED_CODE}", headers=EN).text)
    assert "This code was withdrawn" in page and "What is wrong?" not in page
    assert "In service" in page, "what it says of the lift is right"
    assert stranger.post(f"/d/{REVOKED_CODE}/fault", data={"says": "x"}, headers=EN).status_code == 404


def test_an_overdue_lift_says_so_in_one_word(world: World, stranger: Reader) -> None:
    world.care = LATE
    page = text_of(stranger.get("/lifts/b07-l1", headers=EN).text)
    assert "Visit overdue 2 days" in page
    assert "Next due 25 Nov 2026 Half-month service 2 days late" in page
    assert "维保超期2天" in text_of(stranger.get("/lifts/b07-l1", headers=ZH).text).replace(" ", "")
    assert "Visit overdue 2 days" in text_of(stranger.get("/lifts", headers=EN).text)
    world.care = replace(LATE, overdue_days=1)
    assert "Visit overdue 1 day " in text_of(stranger.get("/lifts/b07-l1", headers=EN).text)


def test_a_lift_that_stands_still_says_that_first_and_what_is_late_second(world: World, stranger: Reader) -> None:
    world.care = replace(LATE, word=Word.STOPPED)
    page = text_of(stranger.get("/lifts/b07-l1", headers=EN).text)
    assert 0 < page.index("Stopped") < page.index("Visit overdue 2 days")


def test_availability_stands_beside_silence_and_beside_what_is_known(stranger: Reader) -> None:
    page = text_of(stranger.get("/lifts/b07-l1", headers=EN).text).replace("\N{NO-BREAK SPACE}", " ")
    assert "Time in service 30 days: 99.8 % silent 0.3 %" in page
    assert "365 days: 99.1 % 120 days on record" in page


def test_inspection_and_what_is_left_of_it_are_told_by_whose_word(world: World, stranger: Reader) -> None:
    assert "31 May 2027 by the property office" in text_of(stranger.get("/lifts/b07-l1", headers=EN).text)
    world.care = LATE
    assert "20 Dec 2026 23 days left" in text_of(stranger.get("/lifts/b07-l1", headers=EN).text)
    world.care = replace(LATE, inspection_until=LATE.today.replace(day=1))
    assert "1 Nov 2026 ran out" in text_of(stranger.get("/lifts/b07-l1", headers=EN).text)


def test_trapped_people_are_told_with_when_the_crew_came_and_by_whose_word(world: World, stranger: Reader) -> None:
    assert "People trapped no record since" in text_of(stranger.get("/lifts/b07-l1", headers=EN).text)
    world.care = LATE
    page = text_of(stranger.get("/lifts/b07-l1", headers=EN).text)
    assert "2 times in a year" in page
    on_ledger = "Recorded on the ledger 0x5a5a5a5a…"
    assert f"crew there after 14 minutes, as the device shows {on_ledger} 25 minutes" in page
    assert "no arrival on record no end on record" in page


def test_a_visit_shows_its_proof_its_flags_and_what_the_chain_did(world: World, stranger: Reader) -> None:
    visit = world.signed_visit(3, "confirmed", "confirmed", "confirmed", "confirmed")
    listed, ticked = {"confirmed": 9, "not-seen": 1}, {"ok": 29, "absent": 2}
    told = replace(visit, people=2, countersigned=True, listed=listed, list_length=31, ticked=ticked)
    world.visits = (replace(told, chain=CHAIN, flags=(FLAG,)),)
    page = stranger.get("/lifts/b07-l1", headers=EN).text
    says = text_of(page)
    assert "2 mechanics signed, and the site's manager, with a software key" in says
    assert "Recorded, and its fee released 0xcdcdcdcd" in says
    assert "Being asked about" in says and "overlaps this one by 12 min" in says
    assert "The crew at the device seen" in says
    assert "31 items on the list." in says and "it showed 9, did not show 1" in says
    assert "This visit, with proof" in says
    assert "The crew's list: 2 not fitted , 29 in order" in says.replace("&#39;", "'")
    world.visits = (replace(visit, chain=replace(CHAIN, paid_transaction=None)),)
    assert "Recorded on the ledger 0xabababab" in text_of(stranger.get("/lifts/b07-l1", headers=EN).text)


def test_a_flats_meter_shows_nothing_of_the_household(stranger: Reader) -> None:
    page = stranger.get(f"/d/{METER_CODE}", headers=EN).text
    says = text_of(page)
    assert "Calibrated until 1 Jan 2030" in says and "household" in says
    for told in ("0501", DOOR, "501", "Its own last word", "kWh", "signed visit", "What is wrong?"):
        assert told not in says
    assert stranger.get("/devices/0501").status_code == 404
    assert stranger.get("/devices/b07-l1").status_code == 404, "a lift has its own page"


def test_another_device_has_a_page_too(stranger: Reader) -> None:
    page = text_of(stranger.get("/devices/gate", headers=EN).text)
    assert "Front gate" in page and "It reports" in page and "Next due" in page
    assert "What is wrong?" in text_of(stranger.get(f"/d/{GATE_CODE}", headers=EN).text)


def test_a_fault_is_reported_once_and_thanked_for(world: World, stranger: Reader) -> None:
    says = "门关不上,\n has been so\x07 since 8"
    answer = stranger.post(f"{SCANNED}/fault", data={"says": says}, headers=EN)
    assert answer.status_code == 200 and str(answer.url).endswith(f"{SCANNED}?told")
    assert "Thank you" in answer.text
    assert world.reported == [(LIFT_CODE, "门关不上, has been so since 8")]


@pytest.mark.parametrize("says", ["", "  \n", "x" * 501, "楼" * 501])
def test_an_empty_or_endless_report_is_not_taken(world: World, stranger: Reader, says: str) -> None:
    assert stranger.post(f"{SCANNED}/fault", data={"says": says}).status_code == 422
    assert world.reported == []


def test_500_chinese_letters_are_taken(world: World, stranger: Reader) -> None:
    assert stranger.post(f"{SCANNED}/fault", data={"says": "楼" * 500}).status_code == 200
    assert len(world.reported) == 1


def test_the_sixth_report_of_an_hour_is_refused_with_what_to_do(stranger: Reader) -> None:
    for _ in range(5):
        stranger.post(f"{SCANNED}/fault", data={"says": "stuck"})
    answer = stranger.post(f"{SCANNED}/fault", data={"says": "stuck"}, headers=EN)
    assert answer.status_code == 429 and "If somebody is in danger, call" in answer.text


def test_another_sites_page_reports_nothing(world: World, stranger: Reader) -> None:
    body = urlencode({"says": "stuck"})
    answer = stranger.post(f"{SCANNED}/fault", content=body, headers={"origin": "http://evil.example"})
    assert answer.status_code == 403 and world.reported == []


def test_what_a_stranger_wrote_is_shown_as_words_alone(world: World, stranger: Reader) -> None:
    visit = world.signed_visit(2, "confirmed")
    flag = replace(FLAG, state="explained", explanation="<script>alert(1)</script>")
    world.visits = (replace(visit, flags=(flag,)),)
    page = stranger.get("/lifts/b07-l1", headers=EN).text
    assert "&lt;script&gt;" in page and "<script>alert" not in page


def test_every_word_of_state_is_said_in_both_languages(world: World, stranger: Reader) -> None:
    for word, english, chinese in (
        (Word.IN_SERVICE, "In service", "正常运行"), (Word.STOPPED, "Stopped", "停止运行"),
        (Word.INSPECTION, "Being worked on", "检修中"), (Word.UNKNOWN, "No word", "没有消息"),
    ):  # fmt: skip
        world.care = replace(WELL, word=word)
        for headers, says in ((EN, english), (ZH, chinese)):
            page = stranger.get("/lifts/b07-l1", headers=headers).text
            found = re.search(r'<p class="word">.*?</p>', page, re.DOTALL)
            assert found and says in found[0]


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(chromium), headless=True, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
def test_pages_fit_a_small_phone_and_hand_the_displays_code_to_the_app_alone(
    world: World, browser: Browser, language: str
) -> None:
    world.care = LATE
    visit = world.signed_visit(2, "confirmed", "not-seen", "confirmed", "contradicted")
    world.visits = (replace(visit, people=2, chain=CHAIN, flags=(FLAG,), listed={"confirmed": 9}, list_length=31),)
    with site(world) as address:
        page = browser.new_context(locale=language, viewport={"width": 360, "height": 740}).new_page()
        said: list[str] = []
        page.on("pageerror", lambda error: said.append(str(error)))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for view in ("elder", "normal"):
            page.request.post(f"{address}/preferences", form={"view": view, "back": "/"})
            for path in (f"{SCANNED}#1s2mwhg-0123456789abc", f"/d/{METER_CODE}", "/devices/gate", "/lifts"):
                page.goto(f"{address}{path}")
                assert page.evaluate("document.documentElement.scrollWidth") <= 360, (view, path)
        page.goto(f"{address}{SCANNED}#1s2mwhg-0123456789abc")
        page.wait_for_function("document.getElementById('crew').href.endsWith('abc')")
        assert page.get_attribute("#crew", "href").endswith("/crew#/d/4k7mq2xd90bz/1s2mwhg-0123456789abc")
        small = page.evaluate(
            "[...document.querySelectorAll('.actions .button, form button')].filter("
            "(one) => one.getBoundingClientRect().height < 48).length"
        )
        assert small == 0, "large enough for a thumb"
        assert not any("0123456789abc" in url.partition("#")[0] for url in asked), "no server is told the code"
        assert said == []
        page.context.close()


@pytest.mark.parametrize(("language", "theme", "view"), [("zh-CN", "light", "normal"), ("en-GB", "dark", "elder")])
def test_pages_of_devices_and_work_break_no_rule_of_accessibility(
    world: World, browser: Browser, language: str, theme: str, view: str
) -> None:
    world.care = LATE
    visit = world.signed_visit(2, "confirmed", "not-seen", "confirmed", "contradicted")
    world.visits = (replace(visit, chain=CHAIN, flags=(FLAG,), listed={"confirmed": 9}, list_length=31),)
    with site(world) as address:
        context = browser.new_context(locale=language, viewport={"width": 360, "height": 740}, bypass_csp=True)
        page = context.new_page()
        for name, value in (("theme", theme), ("view", view)):
            page.request.post(f"{address}/preferences", form={name: value, "back": "/"})
        page.goto(f"{address}/signin#t={world.token_of(CREW)}")
        page.wait_for_url("**/work")
        for path in (SCANNED, "/work", f"/orders/{TRAPPED.name}"):
            page.goto(f"{address}{path}")
            page.evaluate(AXE.read_text(encoding="utf-8"))
            found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa']})")
            assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == [], path
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        context.close()
