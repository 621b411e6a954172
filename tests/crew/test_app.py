"""The crew app in Chromium against a real cloud: a visit by hand, one without a network, and what the outbox says."""

import gzip
import json
import re
import zipfile
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import httpx
from playwright.sync_api import BrowserContext, Page, Route

from cloud.web.page import STATIC_DIRECTORY
from contracts.bundle import Bundle, parse_bundle
from contracts.entry import device_id
from contracts.pack import read_pack
from contracts.rotating import is_token
from contracts.signed_visit import verify_signed_visit
from contracts.visit import VisitClass
from tests.crew.phone import DROP, PEOPLE, READY, CrewPhone, picture, wait_for
from tests.crew.site import CODES, LIFT, PACK, SECRET, CrewSite
from tests.plain_http import NO_TLS

HALF_MONTH = read_pack(PACK).items_of(VisitClass.HALF_MONTH)
TEST_ITEM = next(item.code for item in HALF_MONTH if item.needs_photo)
SHELL_BYTES_MAX = 600 * 1024
BY_HAND = 8  # with one that needs a photo
NUMBER_ITEM = next(item.code for item in HALF_MONTH if item.needs_value)


def kept_by_cloud(site: CrewSite, digest: str) -> list[Bundle]:
    return [bundle for bundle in site.visits() if bundle.visit.digest().hex() == digest]


def test_a_visit_goes_by_hand_from_the_displays_code_to_the_clouds_receipt(
    crew: CrewPhone, page: Page, site: CrewSite
) -> None:
    visit = crew.begin(site.display(), mechanics=2, manager=True)
    page.click("#go-on")
    for done in range(BY_HAND):
        page.wait_for_selector(".results")
        here = page.url
        if page.locator(".item > p.warn").count():
            file = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": picture(done)}
            page.set_input_files("#photo", file)  # type: ignore[arg-type]
            page.wait_for_selector(".pictures img")
        page.click("[data-result=ok]")
        page.wait_for_function("here => location.href !== here", arg=here)
    wait_for(
        page, "id => import('/static/crew/visits.js').then((one) => one.visitOf(id)).then((one) => one.inside)", visit
    )
    answered = crew.visit(visit)["answers"]
    assert [one["result"] for one in answered.values() if one["result"]] == ["ok"] * BY_HAND
    crew.fill(visit)
    digest = crew.end(visit)
    shown = page.locator("#digest").inner_text()
    crew.sign(3)
    page.wait_for_selector(f'[data-digest="{digest}"][data-state=sent]')
    (bundle,) = kept_by_cloud(site, digest)
    assert digest.startswith(shown) and len(shown) == 8
    verify_signed_visit(bundle.signed)
    assert bundle.checklist is not None and bundle.presence is not None
    bundle.checklist.check(read_pack(PACK))
    assert bundle.presence.inside is True, "near the building: yes or no, and nothing else"
    (scan,) = bundle.presence.scans
    assert scan.moment is not None and is_token(SECRET, device_id(LIFT), scan.moment)
    assert bundle.checklist.unanswered(scan.moment.token, read_pack(PACK)) == ()
    people = {one["name"]: bytes.fromhex(one["alias"]) for one in page.evaluate(PEOPLE)}
    assert set(bundle.visit.mechanics) == {people["王师傅"], people["李师傅"]}
    assert bundle.visit.manager == people["赵经理"]
    assert len({phone.id for phone in bundle.presence.phones}) == 1, "signed on one phone, and says so"


def test_a_number_turns_red_before_its_limit(crew: CrewPhone, page: Page, site: CrewSite) -> None:
    visit = crew.begin(site.link("car"))
    crew.open(f"#/visit/{visit}/list/{NUMBER_ITEM}")
    number = page.locator("#number")
    for typed, tone in (("7,6", "good"), ("7.0", "warn"), ("6.9", "bad"), ("seven", "quiet")):
        number.fill(typed)
        assert number.get_attribute("data-tone") == tone, typed
    number.fill("6.9")
    page.click(".measure button")
    page.wait_for_selector("[data-result=fault][aria-pressed=true]")
    page.click("[data-result=ok]")
    page.wait_for_selector("[data-result=ok][aria-pressed=true]")
    assert page.locator(".kept").get_attribute("data-tone") == "warn"
    assert page.url.endswith(NUMBER_ITEM), "an open item does not move on"


def test_a_test_item_needs_a_photo(crew: CrewPhone, page: Page, site: CrewSite) -> None:
    visit = crew.begin(site.link("car"))
    crew.open(f"#/visit/{visit}/list/{TEST_ITEM}")
    page.click("[data-result=ok]")
    page.wait_for_selector(".kept[data-tone=warn]:visible")
    file = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": picture(1)}
    page.set_input_files("#photo", file)  # type: ignore[arg-type]
    page.wait_for_selector(".kept[data-tone=good]:visible")
    crew.open(f"#/visit/{visit}/list")
    page.wait_for_selector("#go-on")
    assert page.locator("#finish").count() == 0, "thirty items are still open"


def test_the_app_opens_and_works_after_a_reload_without_a_network(
    crew: CrewPhone, page: Page, site: CrewSite, context: BrowserContext
) -> None:
    crew.open("#/")
    context.set_offline(True)
    page.reload()
    page.wait_for_selector(READY, state="attached")
    visit = crew.begin(site.display())
    page.click("#go-on")
    page.click("[data-result=adjusted]")
    page.wait_for_selector("[data-result=adjusted][aria-pressed=true]")
    page.reload()
    page.wait_for_selector("[data-result=adjusted][aria-pressed=true]")
    crew.fill(visit)
    digest = crew.end(visit)
    page.reload()
    page.wait_for_selector("#digest")
    assert crew.visit(visit)["frozen"]["digest"] == digest, "a reload leads to the same bytes"
    crew.sign()
    assert crew.state_of(digest) == "waiting"
    assert kept_by_cloud(site, digest) == []
    context.set_offline(False)
    crew.send()
    page.wait_for_selector(f'[data-digest="{digest}"][data-state=sent]')
    assert len(kept_by_cloud(site, digest)) == 1


def test_a_scanned_address_opens_the_app_where_there_is_no_network(
    crew: CrewPhone, page: Page, site: CrewSite, context: BrowserContext
) -> None:
    context.set_offline(True)
    page.goto(site.display())
    page.wait_for_selector(".found")
    assert page.url.startswith(f"{site.url}/crew#/d/{CODES['display']}/")


def test_nothing_is_called_sent_before_the_cloud_named_its_digest(crew: CrewPhone, page: Page, site: CrewSite) -> None:
    wrong = [
        {"status": 200, "body": json.dumps({"digest": "ab" * 32}), "content_type": "application/json"},
        {"status": 200, "body": "<html>Please sign in to the WLAN</html>", "content_type": "text/html"},
        {"status": 200, "body": "{}", "content_type": "application/json"},
        {"status": 503, "body": "{}", "content_type": "application/json"},
    ]
    answered: list[int] = []

    def answer(route: Route) -> None:
        at = len(answered)
        answered.append(at)
        if at < len(wrong):
            route.fulfill(**wrong[at])  # type: ignore[arg-type]
            return
        route.fetch()  # it arrives, and its answer is lost on the way back
        route.abort()

    page.route("**/v1/visits", answer)
    digest = crew.make(site.link("machine-room"))
    page.wait_for_selector(f'[data-digest="{digest}"]')
    while len(answered) <= len(wrong):
        assert crew.state_of(digest) == "waiting"
        crew.send()
    assert crew.state_of(digest) == "waiting"
    assert len(kept_by_cloud(site, digest)) == 1, "the cloud has it, but the phone was not told"
    page.unroute_all()
    crew.send()
    page.wait_for_selector(f'[data-digest="{digest}"][data-state=sent]')
    assert len(kept_by_cloud(site, digest)) == 1, "sent twice, kept once"


def test_what_was_refused_stays_with_its_reason_until_it_is_taken(crew: CrewPhone, page: Page, site: CrewSite) -> None:
    crew.open("#/people")
    (stranger,) = crew.make_people(("张师傅", "mechanic"), enrolled=False)
    crew.open("#/")
    page.evaluate(DROP)
    crew.scan(site.link("car"))
    page.click(".actions .button >> nth=0")
    page.wait_for_selector("#start")
    for box in page.locator("fieldset input").all():
        box.set_checked(box.get_attribute("value") == stranger["alias"])
    page.click("#start")
    page.wait_for_selector("#go-on")
    visit = page.url.split("/visit/")[1].split("/")[0]
    crew.fill(visit)
    digest = crew.end(visit)
    crew.sign()
    page.wait_for_selector(f'[data-digest="{digest}"][data-state=refused]')
    assert "还没有在本小区登记" in page.locator(f'[data-digest="{digest}"]').inner_text()
    site.enrol(stranger)
    crew.send()
    page.wait_for_selector(f'[data-digest="{digest}"][data-state=sent]')


def test_an_exported_file_is_taken_by_minglou_and_by_the_cloud(
    crew: CrewPhone, page: Page, site: CrewSite, context: BrowserContext
) -> None:
    crew.open("#/")
    context.set_offline(True)
    digest = crew.make(site.display())
    with page.expect_download() as download:
        page.click(f'[data-digest="{digest}"] .actions button')
    context.set_offline(False)
    archive = zipfile.ZipFile(BytesIO(download.value.path().read_bytes()))
    assert archive.testzip() is None
    file = archive.read(f"visit-{digest}.json")
    bundle = parse_bundle(file)
    verify_signed_visit(bundle.signed)
    assert bundle.checklist is not None
    photos = {name: archive.read(name) for name in archive.namelist() if name.startswith("photos/")}
    named = {photo.sha256.hex() for photo in bundle.checklist.photos}
    assert {Path(name).stem for name in photos} == named == {sha256(one).hexdigest() for one in photos.values()}
    taken = httpx.post(f"{site.url}/v1/visits", content=file, trust_env=False, verify=NO_TLS, timeout=60)
    assert (taken.status_code, taken.json()["digest"]) == (200, digest)


def test_each_record_of_a_phone_names_the_one_before(crew: CrewPhone, page: Page, site: CrewSite) -> None:
    first = crew.make(site.link("car"))
    second = crew.make(site.link("car"))
    page.wait_for_selector(f'[data-digest="{second}"][data-state=sent]')
    (before,), (after,) = kept_by_cloud(site, first), kept_by_cloud(site, second)
    assert before.presence is not None and after.presence is not None
    (old,), (new,) = before.presence.phones, after.presence.phones
    assert (new.id, new.number, new.previous.hex()) == (old.id, old.number + 1, first)


def test_every_word_is_there_in_both_languages(crew: CrewPhone, page: Page) -> None:
    crew.open("#/")
    words: dict[str, dict[str, str]] = page.evaluate("import('/static/crew/words.js').then((one) => one.WORDS)")
    assert words["zh"].keys() == words["en"].keys()
    for key, chinese in words["zh"].items():
        english = words["en"][key]
        assert set(re.findall(r"{\w+}", chinese)) == set(re.findall(r"{\w+}", english)), key
        if key != "people.language":  # the other language's own name
            assert re.search(r"[\u4e00-\u9fff]", chinese) or "{" in chinese, key
            assert not re.search(r"[\u3000-\u9fff]", english), key
    sources = [path.read_text(encoding="utf-8") for path in (STATIC_DIRECTORY / "crew").rglob("*.js")]
    said = {key for source in sources for key in re.findall(r'\bsay\("([a-z_.-]+)"', source)}
    assert len(said) > 80
    assert said - words["zh"].keys() == set()


def test_a_phone_keeps_exactly_what_is_served_and_no_more_than_it_may(
    crew: CrewPhone, page: Page, site: CrewSite
) -> None:
    crew.open("#/")
    with httpx.Client(base_url=site.url, trust_env=False, verify=NO_TLS, timeout=60) as client:
        listing = client.get("/crew/shell.json")
        worker = client.get("/crew-worker.js").text
        assert sha256(listing.content).hexdigest() in worker
        sizes = {}
        for file in listing.json()["files"]:
            served = client.get(file["path"]).content
            assert (sha256(served).hexdigest(), len(served)) == (file["sha256"], file["bytes"]), file["path"]
            sizes[file["path"]] = len(gzip.compress(served, 6))
    assert sum(sizes.values()) < SHELL_BYTES_MAX, sizes
    assert "/static/forms.css" in sizes and not any("uplot" in path for path in sizes), "owners' charts stay away"
    assert page.evaluate("caches.keys()") == [f"minglou-crew-{sha256(listing.content).hexdigest()}"]


def test_the_worker_answers_for_the_app_alone(crew: CrewPhone, page: Page, context: BrowserContext) -> None:
    crew.open("#/")
    context.set_offline(True)
    for path in ("/lifts", "/v1/status", "/static/check.js"):
        assert page.evaluate("path => fetch(path).then(() => 'answered', () => 'failed')", path) == "failed", path
    assert page.evaluate("fetch('/static/crew/app.js').then((answer) => answer.ok)")
