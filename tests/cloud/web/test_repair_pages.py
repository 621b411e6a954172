"""Repairs as a household reports, follows and answers them; how the firms keep their days, for who oversees them."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from cloud.chain.directory import abi_of
from cloud.web.answers import Person
from contracts import p256
from contracts.act_file import Act, parse_act
from contracts.detail import detail_digest
from contracts.person import Purpose, key_id_of, person_digest
from contracts.repair import parse_reason, parse_report
from tests.cloud.photographs import scene
from tests.cloud.web.conftest import SignIn
from tests.cloud.web.reader import Reader
from tests.cloud.web.repair_world import DONE, LIFT_DEVICE, ORDERS, REPAIR, TOLD, terms_of
from tests.cloud.web.site import site
from tests.cloud.web.test_browser import ARGUMENTS
from tests.cloud.web.test_device_pages import AXE
from tests.cloud.web.test_pages import text_of
from tests.cloud.web.world import COMMITTEE, CREW, DOOR, MANAGER, NEIGHBOUR, OWNER, OWNER_KEY, OWNER_SEED, World


def placed_picture(side: int = 2000) -> bytes:
    """A camera's photo that says where it was taken."""
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (30.0, 16.0, 12.0)})
    exif[0x8825] = exif.get_ifd(0x8825)
    exif[0x010E] = "GPS-MARK"
    kept = BytesIO()
    scene(1, side=side).save(kept, "JPEG", exif=exif)
    return kept.getvalue()


EN, ZH = {"accept-language": "en"}, {"accept-language": "zh-CN"}


def test_a_household_sees_its_own_repairs_and_how_each_stands(sign_in: SignIn) -> None:
    page = text_of(sign_in(OWNER).get("/repairs", headers=EN).text)
    assert "Somebody is coming" in page and "Done, not confirmed yet" in page and "The property office knows" in page
    assert "Report a repair" in page and "Lift 1 · Building 7, east" in page
    one = text_of(sign_in(OWNER).get(f"/repairs/{DONE.name}", headers=EN).text)
    assert "The door opens twice before it goes." in one and "It still does." in one and "Reopened 1 time" in one
    told = text_of(sign_in(OWNER).get(f"/repairs/{TOLD.name}", headers=ZH).text)
    assert "物业已收到" in told and "租客" in told


def test_nobody_else_sees_them(sign_in: SignIn, stranger: Reader) -> None:
    client = sign_in(NEIGHBOUR)
    assert "Nothing was reported" in client.get("/repairs", headers=EN).text
    assert client.get(f"/repairs/{REPAIR.name}").status_code == 404
    for person in (MANAGER, COMMITTEE, CREW):
        assert sign_in(person).get("/repairs").status_code == 404
        assert sign_in(person).get(f"/repairs/{REPAIR.name}").status_code == 404
        assert sign_in(person).post("/repairs", data={"door": DOOR, "says": "x"}).status_code == 404
    assert stranger.get("/repairs").status_code == 401
    assert stranger.post("/repairs", data={"door": DOOR, "says": "x"}).status_code == 401


def test_a_form_without_a_key_goes_to_the_property_office(world: World, sign_in: SignIn) -> None:
    client = sign_in(OWNER)
    sent = {"door": DOOR, "device": LIFT_DEVICE.hex(), "place": " car ", "says": "门关不上,\n since 8"}
    answer = client.post("/repairs", data=sent, headers=EN)
    assert answer.status_code == 200 and str(answer.url).endswith(f"/repairs/{TOLD.name}")
    assert world.handed_in[0] == {**sent, "place": "car", "says": "门关不上, since 8"}
    assert client.post("/repairs", data={**sent, "says": "  "}).status_code == 422
    assert client.post("/repairs", data={**sent, "door": "b07-0502"}).status_code == 404
    evil = {"origin": "http://evil.example"}
    assert client.post("/repairs", data=sent, headers=evil).status_code == 403
    assert len(world.handed_in) == 1


def test_a_form_without_scripts_brings_a_photo_that_is_drawn_anew(world: World, sign_in: SignIn) -> None:
    client = sign_in(OWNER)
    sent = {"door": DOOR, "device": LIFT_DEVICE.hex(), "place": "car", "says": "门关不上"}
    placed = placed_picture()
    assert b"GPS-MARK" in placed
    answer = client.post("/repairs", data=sent, files={"photo": ("IMG_1.jpg", placed, "image/jpeg")}, headers=EN)
    assert answer.status_code == 200 and world.handed_in == (sent,)
    assert f'src="/repairs/{TOLD.name}/photo"' in answer.text
    shown = client.get(f"/repairs/{TOLD.name}/photo")
    assert (shown.headers["content-type"], shown.headers["cache-control"]) == ("image/jpeg", "no-store")
    assert b"GPS-MARK" not in shown.content
    with Image.open(BytesIO(shown.content)) as picture:
        assert max(picture.size) == 1600 and not picture.getexif()
    assert sign_in(NEIGHBOUR).get(f"/repairs/{TOLD.name}/photo").status_code == 404
    assert sign_in(NEIGHBOUR).post(f"/repairs/{TOLD.name}/photo", content=placed).status_code == 404
    assert sign_in(COMMITTEE).get(f"/repairs/{TOLD.name}/photo").status_code == 404


@pytest.mark.parametrize("language", [EN, ZH], ids=["en", "zh"])
def test_what_is_no_photo_is_told_beside_words_that_are_kept(
    world: World, sign_in: SignIn, language: dict[str, str]
) -> None:
    sent = {"door": DOOR, "device": "", "place": "", "says": "dark"}
    answer = sign_in(OWNER).post("/repairs", data=sent, files={"photo": ("a.jpg", b"<svg/>")}, headers=language)
    assert answer.status_code == 422 and len(world.handed_in) == 1
    assert ("The photo cannot be read" if language is EN else "照片读不了") in answer.text
    raw = sign_in(OWNER).post(f"/repairs/{TOLD.name}/photo", content=b"GIF89a", headers=language)
    assert (raw.status_code, raw.json()["code"]) == (422, "bad_picture")


@pytest.mark.parametrize(
    "body",
    [b"", b"--x--\r\n", b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n",
     b'--x\r\nContent-Disposition: form-data; name="says"\r\n\r\nhalf of it',
     b'--x\r\nContent-Disposition: form-data; name="says"\r\n\r\n' + b"a" * 5000 + b"\r\n--x--\r\n",
     b'--x\r\nContent-Disposition: form-data; name="says"\r\n\r\na\r\n' * 20 + b"--x--\r\n"],
)  # fmt: skip
def test_a_form_that_is_not_whole_or_too_much_is_refused(world: World, sign_in: SignIn, body: bytes) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x", **EN}
    assert sign_in(OWNER).post("/repairs", content=body, headers=headers).status_code in (404, 422)
    assert world.handed_in == ()


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"door":"","detail":null}', '{"door":1,"detail":null,"act":""}',
             '{"door":"","detail":"\\ud800","act":""}']
)  # fmt: skip
def test_a_malformed_answer_is_refused(world: World, sign_in: SignIn, body: str) -> None:
    headers = {"content-type": "application/json"}
    for path in ("/repairs", f"/repairs/{DONE.name}", "/repairs/zz"):
        answer = sign_in(OWNER).post(path, content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert world.handed_in == ()


def test_posted_json_is_no_form(world: World, sign_in: SignIn) -> None:
    body = json.dumps({"door": DOOR, "detail": TOLD.detail, "act": "{}"})
    answer = sign_in(OWNER).post("/repairs", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["name"]) == (202, REPAIR.name)
    assert world.handed_in[0]["detail"] == TOLD.detail.encode()


@pytest.mark.parametrize(
    ("person", "status"), [(MANAGER, 200), (COMMITTEE, 200), (CREW, 404), (OWNER, 404), (NEIGHBOUR, 404)]
)
def test_oversight_is_for_those_who_oversee(sign_in: SignIn, person: Person, status: int) -> None:
    client = sign_in(person)
    assert client.get("/oversight").status_code == status
    assert ('href="/oversight"' in client.get("/lifts").text) is (status == 200)


def test_oversight_says_by_firm_what_is_late_and_when_somebody_came(sign_in: SignIn, stranger: Reader) -> None:
    page = text_of(sign_in(COMMITTEE).get("/oversight", headers=EN).text)
    assert "Anxing Service 3 devices" in page and "1 late" in page and "up to 2 days" in page
    assert "there after 14 minutes of 30 as the device shows Recorded on the ledger 0x5a5a5a5a…" in page
    assert "no end on record" in page
    assert "promised earlier" in page and "Lift 1 · People trapped" in page
    assert DOOR not in page
    assert stranger.get("/oversight").status_code == 401


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(chromium), headless=True, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def owner(world: World, browser: Browser) -> Iterator[Page]:
    """The owner's phone with the flat's key in it; nothing may go wrong on a page unseen."""
    world.repair_terms = terms_of(OWNER_KEY, world.now_ms)
    with site(world) as address:
        context = browser.new_context(locale="zh-CN", viewport={"width": 360, "height": 740}, base_url=address)
        page, said = context.new_page(), list[str]()
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda line: said.append(line.text) if "Content Security" in line.text else None)
        seed = urlsafe_b64encode(OWNER_SEED).rstrip(b"=").decode()
        page.goto(f"/signin#t={world.token_of(OWNER)}&k={seed}")
        page.wait_for_url("**/home")
        yield page
        context.close()
        assert said == []


def choose_photo(page: Page, octets: bytes) -> None:
    page.set_input_files("[name=photo]", {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": octets})


def signed(act: bytes, purpose: Purpose, *body: object) -> Act:
    """The act, if the flat's key signed exactly this for WorkOrders."""
    found = parse_act(act, abi_of)
    signature = found.arguments["signature"]
    public = p256.public_bytes(OWNER_KEY)
    digest = person_digest(
        chain_id=31337, contract=ORDERS, purpose=purpose, key_id=key_id_of(public), nonce=signature["nonce"],
        deadline=signature["deadline"], body_digest=purpose.body_digest(*body),
    )  # fmt: skip
    raw = signature["r"].to_bytes(32) + signature["s"].to_bytes(32)
    p256.verify(public, digest, raw)
    assert signature["key_id"] == key_id_of(public)
    assert (found.contract, found.address, found.chain_id) == ("WorkOrders", ORDERS, 31337)
    return found


def test_an_owner_signs_exactly_the_words_of_the_form(world: World, owner: Page) -> None:
    owner.goto("/repairs")
    owner.wait_for_selector("form.repair[data-ready=signs]")
    owner.fill("[name=place]", " 轿厢 ")
    owner.fill("[name=says]", "门开两次，\n然后才走 👨‍👩‍👧")
    choose_photo(owner, b"no photo at all")
    owner.click("form.repair button")
    owner.wait_for_selector("form.repair[data-outcome=photo]")
    assert not world.handed_in, "nothing is sent before the photo can be read"
    choose_photo(owner, placed_picture())
    owner.click("form.repair button")
    owner.wait_for_url(f"**/repairs/{REPAIR.name}")
    (handed,) = world.handed_in
    report, digest = parse_report(handed["detail"])
    assert (report.device, report.place, report.says) == (LIFT_DEVICE, "轿厢", "门开两次， 然后才走 👨‍👩‍👧")
    act = signed(handed["act"], Purpose.REPORT_WORK, LIFT_DEVICE, digest)
    assert act.function == "report" and act.arguments["report"] == digest and handed["door"] == DOOR
    (sent,) = world.uploaded
    with Image.open(BytesIO(sent)) as picture:
        assert max(picture.size) == 1600 and not picture.getexif()
    owner.wait_for_function("document.querySelector('img.photo').naturalWidth === 1600")


def test_a_photo_is_small_and_without_its_place_before_it_leaves_the_browser(world: World, owner: Page) -> None:
    """Also where nobody signs: the form goes as it is, with the small photo in the large one's place."""
    world.repair_terms = None
    owner.goto("/repairs")
    owner.wait_for_selector("form.repair[data-ready=unsigned]")
    owner.fill("[name=says]", "灯不亮")
    choose_photo(owner, placed_picture())
    owner.click("form.repair button")
    owner.wait_for_url(f"**/repairs/{TOLD.name}")
    (sent,) = world.uploaded
    assert b"GPS-MARK" not in sent and len(sent) <= 512 * 1024
    assert world.handed_in[0]["says"] == "灯不亮" and TOLD.name in world.repair_pictures


def test_an_owner_confirms_reopens_and_signs_what_a_tenant_told(world: World, owner: Page) -> None:
    order = bytes.fromhex(DONE.name)
    owner.goto(f"/repairs/{DONE.name}")
    owner.click("[data-act=reopen] button:not([disabled])")
    owner.wait_for_selector("[data-act=reopen][data-outcome=empty]")
    owner.fill("textarea", "它还是开两次")
    owner.click("[data-act=reopen] button")
    owner.wait_for_selector("[data-act=reopen][data-outcome=sent]")
    owner.click("[data-act=confirm] button")
    owner.wait_for_selector("[data-act=confirm][data-outcome=sent]")
    owner.goto(f"/repairs/{TOLD.name}")
    owner.click("[data-act=report] button:not([disabled])")
    owner.wait_for_selector("[data-act=report][data-outcome=sent]")
    again, done, told = world.handed_in
    reason, digest = parse_reason(again["detail"])
    assert (reason.order, reason.says) == (order, "它还是开两次")
    assert signed(again["act"], Purpose.REOPEN_WORK, order, digest, DONE.round).function == "reopen"
    assert done["detail"] is None
    assert signed(done["act"], Purpose.CONFIRM_WORK, order, DONE.round).function == "confirm"
    assert told["detail"] == TOLD.detail.encode(), "the tenant's words, to the letter"
    signed(told["act"], Purpose.REPORT_WORK, TOLD.device_hash, detail_digest(told["detail"]))


@pytest.mark.parametrize(("language", "theme", "view"), [("zh-CN", "light", "normal"), ("en-GB", "dark", "elder")])
def test_their_pages_fit_a_small_phone_and_break_no_rule_of_accessibility(
    world: World, browser: Browser, language: str, theme: str, view: str
) -> None:
    world.repair_terms = terms_of(OWNER_KEY, world.now_ms)
    paths = {
        OWNER.key: ["/repairs", *(f"/repairs/{one.name}" for one in (REPAIR, DONE, TOLD))],
        MANAGER.key: ["/oversight", "/work"],
    }
    with site(world) as address:
        for person in (OWNER, MANAGER):
            context = browser.new_context(locale=language, viewport={"width": 360, "height": 740}, bypass_csp=True)
            page = context.new_page()
            for name, value in (("theme", theme), ("view", view)):
                page.request.post(f"{address}/preferences", form={name: value, "back": "/"})
            page.goto(f"{address}/signin#t={world.token_of(person)}")
            page.wait_for_url(lambda url: "/signin" not in url)
            for path in paths[person.key]:
                page.goto(f"{address}{path}")
                page.evaluate(AXE.read_text(encoding="utf-8"))
                found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa']})")
                assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == [], path
                assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
            context.close()
