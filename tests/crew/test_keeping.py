"""What the phone keeps and for how long, and what becomes of a visit when people, the cloud or the phone fail it."""

import json
import time
import zipfile
from io import BytesIO
from typing import Any

from playwright.sync_api import Page

from tests.crew.phone import PEOPLE, VISITS, CrewPhone, wait_for
from tests.crew.site import CODES, CrewSite

SENDS = "() => import('/static/crew/store.js').then((store) => store.all('sends'))"
PUSH = "() => import('/static/crew/outbox.js').then((outbox) => outbox.step({ now: true }))"
SWEEP = "days => import('/static/crew/visits.js').then((visits) => visits.sweep(Date.now() + days * 86400000))"
PHOTOS = """visit => import('/static/crew/store.js').then((store) => store.all('photos'))
  .then((all) => all.filter((one) => one.visit === visit).map((one) => one.sha256))"""
FORGET_PHOTO = """([visit, name]) => import('/static/crew/store.js').then((store) =>
  store.atomically(['photos'], ({ photos }) => photos.delete([visit, name])))"""
AGE = """([id, seconds]) => import('/static/crew/store.js').then((store) =>
  store.atomically(['visits'], async ({ visits }) => {
    const visit = await visits.get(id);
    await visits.put({ ...visit, startedAtS: visit.startedAtS - seconds });
  }))"""
NUMBERS = """async () => {
  const { signedElsewhere, takeNumber } = await import('/static/crew/visits.js');
  const [one, two] = [await takeNumber(), await takeNumber()];
  const phones = [{ by: 0, id: '00'.repeat(16), number: 1, previous: 'aa'.repeat(32) }, { by: 1, ...one }];
  const tries = [];
  for (const digest of ['aa', 'aa', 'bb']) {
    tries.push(await signedElsewhere(digest.repeat(32), phones, 1).then(() => 'signs', (error) => error.word));
  }
  const elsewhere = [{ ...phones[0], previous: 'cc'.repeat(32) }, phones[1]];
  tries.push(await signedElsewhere('dd'.repeat(32), elsewhere, 1).then(() => 'signs', (error) => error.word));
  return { apart: two.number - one.number, tries };
}"""


def rows_of(page: Page, digest: str) -> list[dict[str, Any]]:
    return [row for row in page.evaluate(SENDS) if row["digest"] == digest]


def test_who_does_not_sign_keeps_no_visit_back(crew: CrewPhone, page: Page, site: CrewSite) -> None:
    visit = crew.begin(site.display(), mechanics=1, manager=True)
    crew.fill(visit)
    first = crew.end(visit)
    crew.sign_as(0)
    with page.expect_download() as download:
        page.click("#export")
    archive = zipfile.ZipFile(BytesIO(download.value.path().read_bytes()))
    record = json.loads(archive.read(f"visit-{first}.json"))
    assert [one is None for one in record["signed"]["signatures"]] == [False, True]
    manager = next(one["alias"] for one in page.evaluate(PEOPLE) if one["duty"] == "manager")
    page.click(f'[data-leave="{manager}"]')
    page.click(f'[data-leave="{manager}"]')
    page.click("#freeze")
    page.wait_for_selector("#digest")
    second = crew.visit(visit)["frozen"]
    assert json.loads(second["presence"])["phones"][0]["previous"] == first != second["digest"]
    crew.sign()
    page.wait_for_selector(f'[data-digest="{second["digest"]}"][data-state=sent]')
    (bundle,) = [one for one in site.visits() if one.visit.digest().hex() in (first, second["digest"])]
    assert bundle.visit.manager == bytes(32)


def test_what_the_cloud_lost_after_its_receipt_is_sent_again(crew: CrewPhone, page: Page, site: CrewSite) -> None:
    digest = crew.make(site.link("car"))
    page.wait_for_selector(f'[data-digest="{digest}"][data-state=sent]')
    unknown = json.dumps({"error": "unknown_visit", "message": "no such visit was handed in here"})
    page.route(f"**/v1/visits/{digest}", lambda route: route.fulfill(status=404, body=unknown))
    wait_for(page, f"() => ({SENDS})().then((rows) => rows.every((row) => row.state === 'sent'))")
    lost = "rows.filter((row) => row.digest === digest).every((row) => row.state === 'waiting')"
    wait_for(page, f"digest => ({PUSH})().then({SENDS}).then((rows) => {lost})", digest)
    page.unroute_all()
    wait_for(page, f"() => ({PUSH})().then({SENDS}).then((rows) => rows.every((row) => row.state === 'sent'))")
    assert len([one for one in site.visits() if one.visit.digest().hex() == digest]) == 1


def test_a_photo_that_is_gone_stops_nothing_behind_it_and_is_said(crew: CrewPhone, page: Page, site: CrewSite) -> None:
    page.route("**/files/*", lambda route: route.abort())
    digest = crew.make(site.display())
    visit = next(one["id"] for one in page.evaluate(VISITS) if one["frozen"] and one["frozen"]["digest"] == digest)
    names = page.evaluate(PHOTOS, visit)
    assert len(names) >= 2
    page.evaluate(FORGET_PHOTO, [visit, names[0]])
    page.unroute_all()
    wait_for(
        page,
        f"() => ({PUSH})().then({SENDS}).then((rows) => rows.every((row) => ['sent', 'gone'].includes(row.state)))",
    )
    states = {row.get("sha256"): row["state"] for row in rows_of(page, digest)}
    assert [name for name, state in states.items() if state == "gone"] == [names[0]]
    page.wait_for_selector(f'[data-digest="{digest}"] .status[data-tone=bad]')


def test_photos_leave_the_phone_a_week_after_the_cloud_has_them_and_visits_after_a_quarter(
    crew: CrewPhone, page: Page, site: CrewSite
) -> None:
    digest = crew.make(site.display())
    wait_for(page, f"() => ({PUSH})().then({SENDS}).then((rows) => rows.every((row) => row.state !== 'waiting'))")
    visit = next(one["id"] for one in page.evaluate(VISITS) if one["frozen"] and one["frozen"]["digest"] == digest)
    page.evaluate(SWEEP, 8)
    assert page.evaluate(PHOTOS, visit), "nobody has judged it yet"
    judged = json.dumps({"digest": digest, "state": "judged", "level": 2, "chain": "recorded"})
    page.route(f"**/v1/visits/{digest}", lambda route: route.fulfill(body=judged))
    wait_for(
        page,
        f"digest => ({PUSH})().then({SENDS})"
        ".then((rows) => rows.find((row) => row.key === digest).told.state === 'judged')",
        digest,
    )
    page.evaluate(SWEEP, 6)
    assert page.evaluate(PHOTOS, visit)
    page.evaluate(SWEEP, 8)
    assert page.evaluate(PHOTOS, visit) == []
    assert rows_of(page, digest)
    page.evaluate(SWEEP, 91)
    assert rows_of(page, digest) == [] and visit not in {one["id"] for one in page.evaluate(VISITS)}


def test_a_visit_of_yesterday_takes_up_nothing_of_today(crew: CrewPhone, page: Page, site: CrewSite) -> None:
    visit = crew.begin(site.display())
    crew.open(f"#/d/{CODES['car']}")
    page.wait_for_selector(".found")
    going_on = page.locator(".actions .button >> nth=0").inner_text()
    page.evaluate(AGE, [visit, 13 * 3600])
    crew.open("#/work")
    crew.open(f"#/d/{CODES['car']}")
    page.wait_for_selector(".found")
    assert page.locator(".actions .button >> nth=0").inner_text() != going_on
    crew.open("#/work")
    assert page.locator(f"[href^='#/visit/{visit}']").count() == 1, "the old one is not lost"


def test_a_phone_whose_clock_is_off_is_told_before_it_begins(crew: CrewPhone, page: Page, site: CrewSite) -> None:
    now = int(time.time())
    for at_s, begins, tones in ((now - 200, True, ["warn"]), (now - 900, False, ["bad"]), (now + 900, False, ["bad"])):
        crew.open("#/work")
        crew.open("#" + site.display(at_s).removeprefix(site.url).replace("#", "/"))
        page.wait_for_selector(".found")
        assert [one.get_attribute("data-tone") for one in page.locator(".notice").all()] == tones
        assert (page.locator(".actions .button").count() > 1) is begins


def test_a_number_of_this_phone_serves_one_record_or_the_one_made_in_its_place(crew: CrewPhone, page: Page) -> None:
    crew.open("#/work")
    assert page.evaluate(NUMBERS) == {"apart": 1, "tries": ["signs", "signs", "signs", "number_used"]}
