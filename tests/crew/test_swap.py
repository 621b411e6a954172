"""A meter takes another's place on a phone without a network; then the cloud has visit, swap and photos, and the flat's
owner sees both numbers."""

import json
import re
import zipfile
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route

from contracts.bundle import Bundle
from contracts.entry import device_id
from contracts.meter_swap import SignedMeterSwap, parse_meter_swap, verify_meter_swap
from contracts.pack import read_pack
from tests.crew.camera import show
from tests.crew.phone import CLOSING_ITEM, IS_KEPT, OPENING_ITEM, CrewPhone, phone_context, picture, wait_for, watched
from tests.crew.site import BINDINGS, BOUND_FROM, DOOR, FLAT, METER, OWNERS_TOKEN, REGISTER, SPARE, STEP, CrewSite
from tests.plain_http import NO_TLS

BEGAN_AT = 1_000_000  # the register that the old meter's binding began with, as the work file tells it
CLOSING, OPENING = 1_234_560, 120
REFRESH = "() => import('/static/crew/work.js').then((work) => work.refresh())"
SWAPS = """() => import('/static/crew/store.js').then((store) => store.all('visits'))
  .then((all) => all.map((one) => [one.frozen?.swap ?? null, one.swap]))"""
READ = """([typed, quantity, step]) =>
  import('/static/crew/register.js').then((one) => one.parseRegister(typed, quantity, step))"""
TEXT = """([value, quantity, step]) =>
  import('/static/crew/register.js').then((one) => one.registerWords(value, quantity, step))"""
LACK = """([item, said]) => import('/static/crew/swap.js').then((one) => one.registerLack(item, said))"""
METER_OF = """([visit, items]) => import('/static/crew/swap.js').then((one) => one.meterOf(visit, items))"""
SEND_AND_SEE = """(state) => import('/static/crew/outbox.js').then(async ({ step, states }) => {
  await step({ now: true });
  return (await states()).every((one) => one.swap === state);
})"""
SWAP_TRIED = """() => import('/static/crew/store.js').then((store) => store.all('sends'))
  .then((rows) => rows.some(({ kind, state, tries }) => kind === "swap" && state === "waiting" && tries > 0))"""
ALL_SENT = """() => import('/static/crew/outbox.js').then((one) => one.states())
  .then((all) => all.length > 0 && all.every((one) => !one.isOpen))"""


@pytest.fixture(scope="module")
def installer(browser: Browser, site: CrewSite) -> Iterator[CrewPhone]:
    """A phone of somebody who may hang up meters, which knows its work; then the network is gone."""
    problems: list[str] = []
    with phone_context(browser) as context:
        phone = CrewPhone(watched(context, problems), site)
        phone.sign_in(2)
        (person,) = phone.make_people(("王师傅", "mechanic"), enrolled=False)
        site.enrol(person | {"duty": "installer"})
        phone.page.route("**/v1/crew/work", began_at)
        assert phone.page.evaluate(REFRESH) == "fresh"
        phone.page.unroute_all()
        phone.page.wait_for_function(IS_KEPT)
        context.set_offline(True)
        yield phone
    assert problems == []


def began_at(route: Route) -> None:
    """The work file as of a meter that an earlier swap hung up."""
    headers = {name: value for name, value in route.request.headers.items() if name != "if-none-match"}
    true = route.fetch(headers=headers)
    work = true.json()
    for device in work["devices"]:
        if device["swap"]:
            device["swap"]["opening"] = BEGAN_AT
    route.fulfill(response=true, body=json.dumps(work))


def read_register(page: Page, typed: str) -> str:
    """Type a number and press the button by the keyboard; what the page says against it."""
    page.fill("#register", typed)
    page.press("#register", "Enter")
    page.wait_for_function(
        "() => document.getElementById('said').textContent || document.querySelector('.register .bad').textContent"
    )
    return page.locator("#register-tone").inner_text()


def photograph(page: Page, seed: int) -> None:
    file: Any = {"name": "face.jpg", "mimeType": "image/jpeg", "buffer": picture(seed)}
    page.set_input_files("#photo", file)
    page.wait_for_selector(".pictures img")


def swapped(phone: CrewPhone, site: CrewSite) -> str:
    """A whole swap by hand, up to the record that is about to be signed; answers its digest."""
    page = phone.page
    visit = phone.begin(site.link("meter"))
    phone.open(f"#/visit/{visit}/list/{CLOSING_ITEM}")
    for typed in ("-5", "1234.567", "twelve", "999.99"):
        assert read_register(page, typed), typed
        assert page.get_attribute("#register", "aria-invalid") == "true"
        assert "register" not in phone.visit(visit)["answers"].get(CLOSING_ITEM, {})
    assert read_register(page, "001234.56") == ""
    photograph(page, 1)
    phone.open(f"#/visit/{visit}/list/{OPENING_ITEM}")
    page.click("#scan-new")
    show(page, site.link("stranger's meter"))
    page.wait_for_selector(".notice[data-tone=warn]")
    show(page, None)
    page.click(".actions .button")
    show(page, site.link("new meter"))
    page.wait_for_selector("#register")
    assert page.input_value("#fresh") == device_id(SPARE).hex()
    assert read_register(page, "0,12") == ""
    photograph(page, 2)
    phone.fill(visit)
    return phone.end(visit)


def day_after(at_s: int) -> date:
    return datetime.fromtimestamp(at_s, UTC).astimezone(ZoneInfo("Asia/Shanghai")).date() + timedelta(days=1)


@contextmanager
def owner(site: CrewSite) -> Iterator[httpx.Client]:
    """The flat's owner, who came by the link of the activation letter."""
    with httpx.Client(base_url=site.url, trust_env=False, verify=NO_TLS, timeout=60) as client:
        token = urlsafe_b64encode(OWNERS_TOKEN).rstrip(b"=").decode()
        client.post("/signin", json={"token": token}, headers={"Origin": site.url}).raise_for_status()
        yield client


def test_registers_are_read_and_shown_in_their_own_unit_and_digits(installer: CrewPhone) -> None:
    page = installer.page
    energy, water, gas = (REGISTER, 10), ("8-0:1.0.0", 1000), ("7-0:3.0.0", 1)
    for typed, register, value in (
        ("1234.56", energy, 1_234_560), ("0", energy, 0), ("12，5", energy, 12_500), ("1234.567", energy, None),
        ("-1", energy, None), ("", energy, None), ("1e3", energy, None), ("1.2.3", energy, None),
        ("123.456", water, 123_456_000), ("123.4567", water, None), ("98.765", gas, 98_765),
        ("9999999999", ("8-0:1.0.0", 1), None), ("7", ("1-0:1.8.0", 5000), None),
    ):  # fmt: skip
        assert page.evaluate(READ, [typed, *register]) == value, typed
    for value, register, text in (
        (1_234_560, energy, "1234.56 kWh"), (120, energy, "0.12 kWh"), (5, energy, "0.005 kWh"),
        (123_456_000, water, "123.456 m³"), (98_765, gas, "98.765 m³"), (0, ("8-0:1.0.0", 1_000_000), "0 m³"),
    ):  # fmt: skip
        assert page.evaluate(TEXT, [value, *register]) == text


def test_a_swap_has_both_registers_in_order_or_is_none(installer: CrewPhone) -> None:
    page, spare = installer.page, {"device": "56" * 32, "step": STEP, "labels": []}
    register = {"quantity": REGISTER, "step": STEP}
    closing = {"code": CLOSING_ITEM, "register": {**register, "end": "closing", "least": BEGAN_AT, "spares": []}}
    opening = {"code": OPENING_ITEM, "register": {**register, "end": "opening", "least": 0, "spares": [spare]}}
    for item, said, lack in (
        (closing, {}, "register"), (closing, {"register": BEGAN_AT - STEP}, "register_low"),
        (closing, {"register": BEGAN_AT}, None), (closing, {"result": "fault"}, None),
        (opening, {"register": 0}, "fresh"), (opening, {"fresh": spare["device"]}, "register"),
        (opening, {"fresh": spare["device"], "register": 0}, None), ({"code": "MS-01"}, {}, None),
    ):  # fmt: skip
        assert page.evaluate(LACK, [item, {"result": "ok", **said}]) == lack, (item["code"], said)
    swap = {"quantity": REGISTER, "timezone": "Asia/Shanghai"}
    for result, is_made in (("ok", True), ("fault", False), ("absent", False)):
        answers = {
            CLOSING_ITEM: {"result": result, "register": CLOSING},
            OPENING_ITEM: {"result": "adjusted", "register": OPENING, "fresh": spare["device"]},
        }
        visit = {"device": {"hash": "12" * 32, "swap": swap}, "answers": answers, "endedAtS": 1_796_140_799}
        made = page.evaluate(METER_OF, [visit, [{"code": "MS-01"}, closing, opening]])
        noted = {"old": "12" * 32, "new": spare["device"], "closing": CLOSING, "opening": OPENING}
        # A second before midnight in Shanghai: it counts from the next day on, whatever the phone's own zone is.
        assert made == (noted | {"quantity": REGISTER, "date": "2026-12-02"} if is_made else None)


def test_a_meter_is_swapped_without_a_network_and_a_kill_between_two_uploads_loses_and_doubles_nothing(
    installer: CrewPhone, site: CrewSite
) -> None:
    page, context = installer.page, installer.page.context
    digest = swapped(installer, site)
    summary = page.locator(".summary .exchanged").inner_text()
    assert re.search(r"旧表\s*1234\.56 kWh\s*备用电表 1\s*0\.12 kWh", summary), summary
    assert page.locator("#swap .warn").count() == 0, "the site knows this key as an installer's"
    ((unsigned, nothing),) = page.evaluate(SWAPS)
    assert nothing is None and "installer" not in json.loads(unsigned)
    installer.sign()
    ((_, signed),) = page.evaluate(SWAPS)
    assert {**json.loads(unsigned), "installer": json.loads(signed)["installer"]} == json.loads(signed)
    assert site.visits() == [] and installer.state_of(digest) == "waiting"
    with page.expect_download() as download:
        page.click(".sent .button")
    archive = zipfile.ZipFile(BytesIO(download.value.path().read_bytes()))
    assert archive.read(f"swap-{digest}.json").decode() == signed

    asked: Counter[str] = Counter()
    context.on(
        "request", lambda request: asked.update([request.url.partition(digest)[2]]) if digest in request.url else None
    )

    def taken_and_never_told(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/swap", taken_and_never_told)
    context.set_offline(False)
    page.wait_for_selector(f'[data-digest="{digest}"][data-state=sent]')
    wait_for(page, SWAP_TRIED)
    assert page.locator(f'[data-digest="{digest}"] .status[data-tone=warn]').count() == 2, "swap and photos: not yet"
    page.close()
    installer.page = context.new_page()
    installer.open("#/outbox")
    wait_for(installer.page, ALL_SENT)
    installer.page.wait_for_selector(f'[data-digest="{digest}"] .status[data-tone=warn]', state="detached")

    unknown = json.dumps({"error": "unknown_visit", "message": "no such visit was handed in here"})
    installer.page.route(f"**/v1/visits/{digest}", lambda route: route.fulfill(status=404, body=unknown))
    wait_for(installer.page, SEND_AND_SEE, "waiting")
    installer.page.unroute_all()
    wait_for(installer.page, ALL_SENT)
    ways = [way for way in asked if way.startswith("/files/")]
    assert len(ways) == 2 and asked["/swap"] >= 3, "again where nobody had heard the answer, or the cloud lost it all"
    (bundle,) = site.visits()
    with owner(site) as client:
        page_of_it = f"/bills/{DOOR}/swaps/{digest}"
        assert client.get(f"/v1/visits/{digest}").json()["files_missing"] == []
        kept = parse_meter_swap(client.get(f"{page_of_it}/swap.json").content)
        for language, unit in (("zh", "度"), ("en", "kWh")):
            shown = client.get(page_of_it, headers={"accept-language": language}).text
            assert f"1,234.56 {unit}" in shown and f"0.12 {unit}" in shown
        for photo in (kept.file.closing_photo, kept.file.opening_photo):
            taken = client.get(f"{page_of_it}/photos/{photo.hex()}")
            assert (taken.status_code, taken.headers["content-type"]) == (200, "image/jpeg")
    check_kept(kept, bundle)


def check_kept(kept: SignedMeterSwap, bundle: Bundle) -> None:
    """What the cloud holds is what was read off both displays, signed by who signed the visit."""
    assert bundle.checklist is not None
    bundle.checklist.check(read_pack("meter-swap"))
    verify_meter_swap(kept)
    file, noted = kept.file, bundle.checklist.meter
    assert noted is not None and file.noted == noted
    assert (noted.old, noted.new, noted.quantity) == (device_id(METER), device_id(SPARE), REGISTER)
    assert (noted.closing, noted.opening, noted.day) == (CLOSING, OPENING, day_after(bundle.visit.ended_at_s))
    assert (file.contract, file.subject, file.old_opening) == (BINDINGS, FLAT, BEGAN_AT)
    assert (file.visit, int(f"{file.old_from:%Y%m%d}")) == (bundle.visit.digest(), BOUND_FROM)
    assert kept.installer.public == bundle.signed.signatures[0].public
