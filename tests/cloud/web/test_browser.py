"""The checks and the dispute in Debian's Chromium, on the same pages and scripts that people get."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from contracts import p256
from contracts.act_file import parse_act
from contracts.errors import RpcError
from contracts.evidence import format_evidence
from contracts.meter_swap import format_meter_swap
from contracts.person import Purpose, person_digest
from contracts.vyper.compile import artifact
from tests.cloud.web.site import site
from tests.cloud.web.swap_world import SIGNED, SWAP
from tests.cloud.web.test_roles import BILL, READING
from tests.cloud.web.world import (
    CHALLENGES,
    CLOSING_INDEX,
    LIFT_INDEX,
    MANAGER,
    OWNER,
    OWNER_KEY,
    OWNER_SEED,
    PERIOD,
    World,
)
from tests.vectors.deployment import ORIGIN, TRUST

PHONE = ViewportSize(width=390, height=844)
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP lan.test 127.0.0.1",
]  # fmt: skip
LINE = f"{BILL}/lines/0"


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(chromium), headless=True, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def address(world: World) -> Iterator[str]:
    with site(world) as served:
        yield served


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    opened = browser.new_context(locale="zh-CN", viewport=PHONE)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page on which nothing may go wrong unseen: no script error, nothing that the policy had to stop."""
    opened = context.new_page()
    said: list[str] = []
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("console", lambda line: said.append(line.text) if "Content Security Policy" in line.text else None)
    yield opened
    assert said == []


@pytest.fixture
def owner(world: World, address: str, page: Page) -> Page:
    """The owner's phone, signed in by the activation letter's link."""
    seed = urlsafe_b64encode(OWNER_SEED).rstrip(b"=").decode()
    page.goto(f"{address}/signin#t={world.token_of(OWNER)}&k={seed}")
    page.wait_for_url("**/home")
    return page


Check = Callable[[Page, str], dict[str, str]]


def check(page: Page, address: str) -> dict[str, str]:
    """Press the button; the outcome of every step by `file.step`, and the verdict's words under `verdict`."""
    page.goto(address)
    page.click("#check")
    return outcomes(page)


def outcomes(page: Page) -> dict[str, str]:
    page.wait_for_selector("#verdict:not([hidden])")
    steps = page.eval_on_selector_all(
        ".group:not([hidden]) [data-check]",
        "rows => rows.map(row => [row.closest('.group').dataset.role + '.' + row.dataset.check, row.dataset.outcome])",
    )
    verdict = page.locator("#verdict")
    words = verdict.locator(".word:visible").inner_text()
    state = f"{verdict.get_attribute('data-outcome')} {verdict.get_attribute('data-state')}"
    return {**dict(steps), "verdict": state, "words": words}


def test_a_reading_is_checked_from_meter_to_chain(owner: Page, address: str) -> None:
    found = check(owner, address + READING)
    assert found.pop("verdict") == "passed final"
    assert "再也改不了" in found.pop("words")
    assert len(found) == 13
    assert set(found.values()) == {"passed"}


def test_a_tampered_reading_names_the_broken_step(world: World, owner: Page, address: str) -> None:
    evidence = format_evidence(world.deployment.evidence(CLOSING_INDEX))
    world.tampered[CLOSING_INDEX] = evidence.replace(b'"value":"1322456"', b'"value":"1322457"')
    found = check(owner, address + READING)
    assert found["reading.inclusion"] == "failed"
    assert found["verdict"] == "failed broken"
    assert "在网关日志中的位置" in found["words"]
    assert owner.get_by_text("封存之后有数字被改过").is_visible()


def test_a_padded_line_fails_at_its_usage(owner: Page, address: str) -> None:
    found = check(owner, address + LINE)
    failed = [name for name, outcome in found.items() if outcome == "failed"]
    assert failed == ["line.readings"]
    assert found["verdict"] == "failed broken"
    assert found["opening.origin"] == found["closing.finality"] == found["bill.period"] == "passed"


def test_an_honest_line_follows_from_its_readings_and_the_tariff(world: World, owner: Page, address: str) -> None:
    world.padded = False
    found = check(owner, address + LINE)
    assert found.pop("verdict") == "passed final"
    found.pop("words")
    assert set(found.values()) == {"passed"}
    assert len(found) == 13 + 13 + 6 + 2


def test_a_check_asks_the_node_in_few_round_trips(world: World, owner: Page, address: str) -> None:
    world.padded = False
    assert check(owner, address + LINE)["verdict"] == "passed final"
    assert world.round_trips <= 4


def test_a_bill_changed_after_publication_fails_at_the_published_sum(world: World, owner: Page, address: str) -> None:
    honest = world.rpc

    def published(method: str, parameters: list[Any]) -> Any:
        was, world.padded = world.padded, False  # what the contract holds is the honest bill
        try:
            return honest(method, parameters)
        finally:
            world.padded = was

    world.rpc = published  # type: ignore[method-assign]
    found = check(owner, address + BILL)
    assert (found["bill.tree"], found["bill.period"]) == ("passed", "failed")
    assert "公布的总和" in found["words"]


def test_a_silent_node_is_said_and_breaks_nothing(world: World, owner: Page, address: str) -> None:
    def silent(method: str, parameters: list[Any]) -> Any:
        raise RpcError("no answer")

    world.rpc = silent  # type: ignore[method-assign]
    found = check(owner, address + READING)
    assert found["verdict"] == "passed logged"
    assert (found["reading.anchor"], found["reading.inclusion"]) == ("not_checked", "passed")
    assert owner.locator("#verdict .asked").is_visible()


def test_the_checks_run_without_webcrypto_on_plain_http(address: str, page: Page) -> None:
    lan = address.replace("localhost", "lan.test")
    page.goto(f"{lan}/readings/{ORIGIN}/{LIFT_INDEX}")
    assert page.evaluate("globalThis.crypto.subtle === undefined")
    found = check(page, f"{lan}/readings/{ORIGIN}/{LIFT_INDEX}")
    assert found["verdict"] == "passed final"


def test_the_letters_secret_leaves_the_address_and_the_key_cannot_be_read_out(owner: Page, address: str) -> None:
    owner.go_back()
    assert "#" not in owner.url
    assert "k=" not in owner.url
    owner.goto(f"{address}/home")
    kept = owner.evaluate(
        """async () => {
          const open = indexedDB.open("minglou", 1);
          await new Promise((done) => { open.onsuccess = done; });
          const all = open.result.transaction("keys").objectStore("keys").getAll();
          await new Promise((done) => { all.onsuccess = done; });
          const [key] = all.result;
          const out = await crypto.subtle.exportKey("jwk", key).then(() => "read out", () => "kept");
          return [all.result.length, key.extractable, key.type, out];
        }"""
    )
    assert kept == [1, False, "private", "kept"]


def test_an_owner_signs_a_dispute_of_exactly_what_the_page_shows(world: World, owner: Page, address: str) -> None:
    owner.goto(f"{address}{LINE}/dispute")
    owner.wait_for_selector("#dispute-sign:not([disabled])")
    shown = owner.locator("#dispute-digest").inner_text()
    owner.click("#dispute-sign")
    owner.wait_for_selector("#dispute-result[data-outcome=sent]")
    (request,) = world.relayed
    bill = world.proof().bill
    digest = person_digest(
        chain_id=TRUST.chain_id, contract=CHALLENGES, purpose=Purpose.CHALLENGE,
        key_id=world_key_id(), nonce=request.nonce, deadline=request.deadline_s,
        body_digest=Purpose.CHALLENGE.body_digest(int(PERIOD), 3, 0, bill.lines_digest),
    )  # fmt: skip
    assert request.digest == digest
    assert shown == digest.hex()[:8]
    p256.verify(request.public, digest, request.signature)
    owner.goto(address + LINE)
    assert owner.get_by_text("等待答复").is_visible()


def test_an_owner_confirms_a_meters_swap_by_exactly_what_the_installer_signed(
    world: World, owner: Page, address: str
) -> None:
    owner.goto(f"{address}/bills/b07-0501")
    owner.get_by_text("您的电表已更换").click()
    owner.wait_for_selector("#swap-sign:not([disabled])")
    shown = owner.locator("#swap-digest").inner_text()
    owner.click("#swap-sign")
    owner.wait_for_selector("#swap-result[data-outcome=sent]")
    (request,) = world.confirmed
    digest = person_digest(
        chain_id=SWAP.chain_id, contract=SWAP.contract, purpose=Purpose.SWAP_METER, key_id=world_key_id(),
        nonce=request.nonce, deadline=request.deadline_s, body_digest=SWAP.body_digest(),
    )  # fmt: skip
    assert shown == digest.hex()[:8]
    p256.verify(request.public, digest, request.signature)


def test_a_swap_whose_file_names_another_register_than_the_page_is_not_signed(
    world: World, owner: Page, address: str
) -> None:
    water = format_meter_swap(replace(SIGNED, file=replace(SWAP, noted=replace(SWAP.noted, quantity="8-0:1.0.0"))))
    owner.route("**/swap.json", lambda route: route.fulfill(body=water, content_type="application/json"))
    owner.goto(f"{address}/bills/b07-0501/swaps/{SWAP.visit.hex()}")
    owner.wait_for_selector("#swap-result[data-outcome=mismatch]")
    assert owner.locator("#swap-sign").is_disabled() and world.confirmed == []


def test_what_was_signed_can_be_kept_as_a_file_when_the_service_refuses_it(
    world: World, owner: Page, address: str
) -> None:
    """The file is the whole act: `minglou chain submit` needs nothing else."""
    owner.goto(f"{address}{LINE}/dispute")
    owner.wait_for_selector("#dispute-sign:not([disabled])")
    owner.route(
        "**/lines/0/dispute", lambda route: route.fulfill(status=503, body="{}", content_type="application/json")
    )
    owner.click("#dispute-sign")
    owner.wait_for_selector("#dispute-result[data-outcome=refused]")
    assert world.relayed == []
    with owner.expect_download() as download:
        owner.click("#dispute-file")
    assert download.value.suggested_filename.endswith(".json")
    act = parse_act(download.value.path().read_bytes(), lambda contract: artifact(contract).abi)
    bill = world.proof().bill
    assert (act.chain_id, act.contract, act.function) == (TRUST.chain_id, "Challenges", "open_challenge")
    assert act.arguments["bill"]["lines_digest"] == bill.lines_digest
    assert (act.arguments["period"], act.arguments["unit_index"], act.arguments["number"]) == (int(PERIOD), 3, 0)
    signature = act.arguments["signature"]
    digest = person_digest(
        chain_id=TRUST.chain_id, contract=act.address, purpose=Purpose.CHALLENGE,
        key_id=world_key_id(), nonce=signature["nonce"], deadline=signature["deadline"],
        body_digest=Purpose.CHALLENGE.body_digest(int(PERIOD), 3, 0, bill.lines_digest),
    )  # fmt: skip
    signed = signature["r"].to_bytes(32) + signature["s"].to_bytes(32)
    p256.verify(p256.public_bytes(OWNER_KEY), digest, signed)
    assert act.call(artifact("Challenges").abi, selector=bytes(4)).data


def world_key_id() -> bytes:
    """The registered key's id."""
    from contracts.person import key_id_of

    return key_id_of(p256.public_bytes(OWNER_KEY))


def test_a_page_that_shows_another_amount_than_the_bill_gets_no_signature(
    world: World, owner: Page, address: str
) -> None:
    honest = world.proof().bill
    owner.goto(f"{address}/home")
    file = json.dumps(world.bill_json()).replace(f'"{honest.lines[0].amount}"', '"1"')
    owner.route("**/bill.json", lambda route: route.fulfill(body=file, content_type="application/json"))
    owner.goto(f"{address}{LINE}/dispute")
    owner.wait_for_selector("#dispute-result[data-outcome=mismatch]")
    assert owner.locator("#dispute-sign").is_disabled()
    assert world.relayed == []


def test_without_the_letters_key_nothing_can_be_signed(world: World, address: str, page: Page) -> None:
    page.goto(f"{address}/signin#t={world.token_of(OWNER)}")
    page.wait_for_url("**/home")
    page.goto(f"{address}{LINE}/dispute")
    page.wait_for_selector("#dispute-result[data-outcome=no-key]")
    assert page.locator("#dispute-sign").is_disabled()


def test_a_used_link_says_what_to_do(world: World, address: str, page: Page) -> None:
    page.goto(f"{address}/signin#t={'A' * 43}")
    page.get_by_text("这个链接已经用过").wait_for()
    page.goto(f"{address}/lifts")
    page.goto(f"{address}/signin")
    page.get_by_text("本页需要激活信里的链接").wait_for()


def test_any_file_can_be_dropped_on_the_public_page(world: World, address: str, page: Page, tmp_path: Path) -> None:
    evidence = format_evidence(world.deployment.evidence(CLOSING_INDEX))
    damaged = evidence.replace(b'"index":"9"', b'"index":"8"')
    files = {"good": evidence, "damaged": damaged, "bill": json.dumps(world.bill_json()).encode(), "other": b"hello"}
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_bytes(content)
    page.goto(f"{address}/verify")

    def drop(name: str) -> dict[str, str]:
        page.set_input_files("#file", tmp_path / f"{name}.json")
        return outcomes(page)

    assert drop("good")["verdict"] == "passed final"
    found = drop("damaged")
    assert (found["verdict"], found["reading.inclusion"]) == ("failed broken", "failed")
    found = drop("bill")
    assert (found["verdict"], found["bill.period"]) == ("passed bill", "passed")
    page.set_input_files("#file", tmp_path / "other.json")
    page.locator("#unknown").wait_for()
    assert page.locator("#verdict").is_hidden()


def test_the_check_is_reached_and_run_by_keyboard_alone(owner: Page, address: str) -> None:
    owner.goto(address + READING)
    for _ in range(20):
        owner.keyboard.press("Tab")
        if owner.evaluate("document.activeElement.id") == "check":
            break
    owner.keyboard.press("Enter")
    assert outcomes(owner)["verdict"] == "passed final"
    assert owner.evaluate("document.activeElement.id") == "verdict"


@pytest.mark.parametrize("view", ["normal", "elder"])
def test_no_page_is_wider_than_a_small_phone_and_targets_are_large(
    world: World, owner: Page, address: str, view: str
) -> None:
    world.visits = (
        world.signed_visit(0, *["not-seen"] * 3, "confirmed"), world.signed_visit(2, *["contradicted"] * 4),
        world.signed_visit(0, *["not-observable"] * 4), world.signed_visit(None),
    )  # fmt: skip
    owner.request.post(f"{address}/preferences", form={"view": view, "back": "/"})
    owner.set_viewport_size({"width": 360, "height": 640})
    for path in ("/home", BILL, LINE, f"{BILL}/lines/1", READING, "/lifts/b07-l1", "/verify", "/trust", "/nope"):
        owner.goto(address + path)
        assert owner.evaluate("document.documentElement.scrollWidth") <= 360, path
        small = owner.eval_on_selector_all(
            "button, .button, nav a, .lines a, .boards a, summary, .trail",
            "rows => rows.filter(row => row.offsetParent && row.getBoundingClientRect().height < 47.5)"
            ".map(row => row.outerHTML.slice(0, 80))",
        )
        assert small == [], path


@pytest.mark.parametrize("view", ["normal", "elder"])
def test_the_managers_page_fits_a_small_phone_whatever_names_witnesses_and_gateways_have(
    world: World, address: str, page: Page, view: str
) -> None:
    page.goto(f"{address}/signin#t={world.token_of(MANAGER)}")
    page.wait_for_url("**/site")
    page.request.post(f"{address}/preferences", form={"view": view, "back": "/"})
    page.set_viewport_size({"width": 360, "height": 640})
    page.goto(f"{address}/site")
    assert page.locator(".lines .what").count() > 2
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
