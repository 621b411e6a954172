"""Two mechanics and a manager, each with a phone of their own, sign one visit with no network between them."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from contracts.entry import device_id
from contracts.rotating import is_token
from contracts.signed_visit import verify_signed_visit
from provisioning.people import checked_key
from tests.crew.meeting import HAS_TAKEN, carry, joins, signs
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


def test_a_phone_signs_nothing_that_does_not_name_its_people_or_is_of_another_contract(
    phones: list[CrewPhone],
) -> None:
    """What another phone shows is a stranger's word until this one has read it by its own rules."""
    chief, second, _ = phones
    (visit,) = [one for one in chief.page.evaluate(VISITS)
                if one["frozen"]]  # fmt: skip
    frozen = visit["frozen"]
    honest = {"chain_id": frozen["chainId"], "contract": frozen["contract"], "record": frozen["record"],
              "checklist": frozen["checklist"], "presence": frozen["presence"]}  # fmt: skip

    def answer(asked: dict[str, Any]) -> str:
        second.open("#/people")
        second.open("#/exchange/help")
        second.page.click("#read")
        pictures = second.page.evaluate(DRAWN, asked)
        for have, picture in enumerate(pictures, start=1):
            second.page.evaluate("picture => window.__setQR(picture)", picture)
            second.page.wait_for_function(HAS_TAKEN, arg=have)
        second.page.evaluate("window.__setQR(null)")
        return second.page.locator("p.warn[role=alert]").inner_text()

    assert "合约" in answer({**honest, "contract": "0x" + "11" * 20})
    assert "belong together" in answer({**honest, "checklist": frozen["checklist"].replace('"ok"', '"adjusted"', 1)})
    assert second.page.locator("[data-give]").count() == 0


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
