"""Two mechanics and a manager, each with a phone of their own, sign one visit with no network between them."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from contracts.entry import device_id
from contracts.person import key_id_of
from contracts.rotating import is_token
from contracts.signed_visit import verify_signed_visit
from provisioning.people import checked_key
from tests.crew.meeting import HAS_TAKEN, answers, carry, hold, joins, signs
from tests.crew.phone import IS_KEPT, VISITS, CrewPhone, phone_context, watched
from tests.crew.phone import PEOPLE as KEYS
from tests.crew.site import LIFT, SECRET, CrewSite

PEOPLE = (("王师傅", "mechanic"), ("李师傅", "mechanic"), ("赵经理", "manager"))
DRAWN = """async (asked) => {
  const { frames } = await import("/static/crew/exchange.js");
  const { draw } = await import("/static/crew/qr.js");
  const canvas = document.createElement("canvas");
  return (await frames("ask", asked)).map((text) => {
    draw(canvas, text);
    return canvas.toDataURL();
  });
}"""
KNOW = """async ([alias, keyId]) => {
  const { get, put } = await import("/static/crew/store.js");
  const kept = await get("work", "one");
  const others = kept.file.people.filter((one) => one.alias !== alias);
  kept.file.people = keyId ? [...others, { alias, key_id: keyId, duty: "mechanic" }] : others;
  await put("work", kept);
}"""
JOINED = """async (earlierS) => {
  const { newVisit, step } = await import("/static/crew/visit.js");
  const at = 1_800_000_000;
  const device = { hash: "00".repeat(32) };
  const begun = step(newVisit({ id: "ab", device, scan: { at, sense: "in" } }), {
    type: "start", people: ["one"], visitClass: 1, pack: "cd", atS: at,
  });
  const scan = { at: at - earlierS, sense: "in" };
  return step(begun, { type: "join", alias: "two", name: "two", scans: [scan] }).scans;
}"""


@pytest.fixture(scope="module")
def phones(browser: Browser, site: CrewSite) -> Iterator[list[CrewPhone]]:
    """Three phones that know their work and each hold one person's key; then the network is gone."""
    with ExitStack() as stack:
        found, problems = [], list[str]()
        for number, person in enumerate(PEOPLE):
            context = stack.enter_context(phone_context(browser))
            phone = CrewPhone(watched(context, problems), site)
            phone.sign_in(number)
            phone.make_people(person)
            phone.page.wait_for_function(IS_KEPT)
            found.append(phone)
        for phone in found:
            phone.open("#/work")
            phone.page.context.set_offline(True)
        yield found
        assert problems == []


def test_two_phones_and_a_manager_sign_without_network(phones: list[CrewPhone], site: CrewSite) -> None:
    chief, second, manager = phones
    visit = chief.begin(site.display(), mechanics=1)
    second.open("#/")
    second.scan(site.display())
    second.page.click(".actions .button >> nth=0")
    second.page.wait_for_selector("#start")
    chief.fill(visit)
    chief.close_list(visit)
    joins(second, chief)
    joins(manager, chief)
    digest = chief.freeze(visit)
    chief.sign_as(0)
    assert signs(second, chief, 1) == signs(manager, chief, 2) == digest[:8]
    frozen = chief.visit(visit)
    assert frozen["state"] == "outbox"
    chief.page.context.set_offline(False)
    chief.open("#/outbox")
    chief.send()
    (bundle,) = [one for one in site.visits() if one.visit.digest().hex() == frozen["frozen"]["digest"]]
    verify_signed_visit(bundle.signed)
    assert len(bundle.visit.mechanics) == 2
    assert bundle.visit.manager != bytes(32)
    assert bundle.presence is not None
    assert len({phone.id for phone in bundle.presence.phones}) == 3, "each signed on an own phone"
    moments = {scan.by: scan.moment for scan in bundle.presence.scans}
    assert all(moment and is_token(SECRET, device_id(LIFT), moment) for moment in (moments[0], moments[1]))


def asked_of(phone: CrewPhone) -> dict[str, Any]:
    """What this phone asked the others to sign."""
    (visit,) = [one for one in phone.page.evaluate(VISITS) if one["frozen"]]
    frozen = visit["frozen"]
    return {"chain_id": frozen["chainId"], "contract": frozen["contract"], "record": frozen["record"],
            "checklist": frozen["checklist"], "presence": frozen["presence"]}  # fmt: skip


def reads(phone: CrewPhone, asked: dict[str, Any]) -> None:
    """Hold what is asked before the phone's camera."""
    phone.open("#/people")
    phone.open("#/exchange/help")
    phone.page.click("#read")
    pictures = phone.page.evaluate(DRAWN, asked)
    for have, picture in enumerate(pictures, start=1):
        phone.page.evaluate("picture => window.__setQR(picture)", picture)
        phone.page.wait_for_function(HAS_TAKEN, arg=have)
    phone.page.evaluate("window.__setQR(null)")


def told(phone: CrewPhone) -> str:
    return phone.page.locator("p.warn[role=alert]").inner_text()


def test_a_phone_signs_nothing_that_does_not_name_its_people_or_is_of_another_contract(
    phones: list[CrewPhone],
) -> None:
    """What another phone shows is a stranger's word until this one has read it by its own rules."""
    chief, second, _ = phones
    honest = asked_of(chief)
    reads(second, {**honest, "contract": "0x" + "11" * 20})
    assert "合约" in told(second)
    reads(second, {**honest, "checklist": honest["checklist"].replace('"ok"', '"adjusted"', 1)})
    assert "belong together" in told(second)
    assert second.page.locator("[data-give]").count() == 0


def test_who_countersigns_is_shown_the_scans_that_the_records_own_bytes_hold(phones: list[CrewPhone]) -> None:
    """The two mechanics scanned the display, the manager nothing; and no phone can say otherwise beside the record."""
    chief, _, manager = phones
    asked = asked_of(chief)
    reads(manager, asked)
    manager.page.wait_for_selector("[data-give]")
    rows = manager.page.locator(".summary li[data-scans]")
    assert [row.get_attribute("data-scans") for row in rows.all()] == ["1", "1", "0"]
    assert [row.inner_text().rpartition("：")[2].rpartition(": ")[2] for row in rows.all()] == [
        "扫码 1 次，其中动态码 1 次", "扫码 1 次，其中动态码 1 次", "没有扫码",
    ]  # fmt: skip
    presence = json.loads(asked["presence"])
    presence["scans"] = [{**scan, "by": 2} for scan in presence["scans"]]
    reads(manager, {**asked, "presence": json.dumps(presence, separators=(",", ":"), sort_keys=True)})
    assert "belong together" in told(manager)
    assert manager.page.locator("[data-give]").count() == 0


def test_a_signature_by_a_key_that_the_site_does_not_know_for_its_person_is_not_taken(
    phones: list[CrewPhone], site: CrewSite
) -> None:
    """It would be refused by everybody for ever, and the record could not be signed again."""
    chief, second, _ = phones
    chief.page.context.set_offline(True)
    visit = chief.begin(site.display(), mechanics=1)
    chief.fill(visit)
    chief.close_list(visit)
    joins(second, chief)
    chief.freeze(visit)
    chief.sign_as(0)
    (person,) = second.page.evaluate(KEYS)
    chief.page.evaluate(KNOW, [person["alias"], "00" * 32])
    answers(second, chief, 1)
    hold(second.page, chief.page)
    assert "不是这个人登记的钥匙" in told(chief)
    assert chief.visit(visit)["state"] != "outbox"
    known = key_id_of(bytes.fromhex(person["public"]))
    chief.page.evaluate(KNOW, [person["alias"], known.hex()])
    chief.open(f"#/visit/{visit}/sign")
    second.open("#/people")
    signs(second, chief, 1)
    assert chief.visit(visit)["state"] == "outbox"


def test_a_new_key_goes_to_the_office_from_screen_to_camera(phones: list[CrewPhone], tmp_path: Path) -> None:
    """What the office saves is the file that `minglou provision crew add` takes."""
    _, second, office = phones
    (person,) = second.page.evaluate(KEYS)
    second.open(f"#/enrol/{person['alias']}")
    office.open("#/enrol")
    office.page.click("#read")
    carry(second.page, office.page)
    assert office.page.locator("#alias").inner_text() == second.page.locator("#alias").inner_text()
    with office.page.expect_download() as saving:
        office.page.click("#save")
    path = tmp_path / saving.value.suggested_filename
    saving.value.save_as(path)
    key = checked_key(path.read_bytes(), "any.example")
    assert (key.alias.hex(), key.public.hex()) == (person["alias"], person["public"])
    assert person["name"] not in path.read_text("utf-8")


@pytest.mark.parametrize(("earlier_s", "taken"), [(300, 1), (3000, 0)], ids=["shortly before", "long before"])
def test_a_colleagues_scan_from_long_before_the_visit_does_not_spoil_it(
    phones: list[CrewPhone], earlier_s: int, taken: int
) -> None:
    """Nobody takes a visit with a scan that lies ten minutes outside it."""
    scans = phones[0].page.evaluate(JOINED, earlier_s)
    assert len(scans) == 1 + taken
