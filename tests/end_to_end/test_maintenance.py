"""Maintenance on real parts: apps on three phones, display, lift, gateway, cloud, chain.

A visit from its code to the fee; a passenger trapped until the lift itself is well; overdue days until the penalty.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from contracts.calls import service_agreements
from contracts.due import DAY_S, PROVISIONAL_S, fee
from contracts.visit import VisitClass
from contracts.work_order import State
from tests.cloud.maintenance_site import BUDGET, FIRM
from tests.cloud.served import minglou
from tests.crew.camera import chromium_with
from tests.crew.meeting import joins, signs
from tests.crew.orders import push, sign, signed_about
from tests.crew.phone import CrewPhone, phone_context
from tests.end_to_end.upkeep import PEOPLE, Upkeep, upkeep
from tests.processes import wait_until

# A phone whose clock shows the hour of the visit: the lift has to have lived on since, for its gateway to judge.
CLOCK = """{
  const now = Date.now.bind(Date);
  Date.now = () => now() - Number(localStorage.getItem("behind") ?? 0);
}"""
RESCUE_S = 1800
NOBODY_CAME_DAYS = 19  # since the visit of today; the agreement allows 15
REFRESH = "() => import('/static/crew/work.js').then((work) => work.refresh())"
KNOWS = """order => import('/static/crew/work.js').then((work) => work.kept())
  .then((kept) => kept.file.orders.some((one) => one.name === order))"""
BEHIND = "behind => localStorage.setItem('behind', String(behind))"


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with chromium_with(chromium) as opened:
        yield opened


@pytest.fixture(scope="module")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upkeep]:
    """One site for the whole file; its time goes forward only."""
    with ExitStack() as stack:
        phones = [stack.enter_context(own_phone(browser)) for _ in PEOPLE]
        yield stack.enter_context(upkeep(tmp_path_factory.mktemp("upkeep"), phones))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_scan_visit_verdict_chain_page_fee(site: Upkeep, tmp_path: Path) -> None:
    """A half-month visit: scanned and signed on three phones, judged by the machine, recorded, paid, public, proved."""
    had = site.balance_of_firm()
    wait_until(lambda: is_registered(site.phones[0]), seconds=60, what="the chief's phone says that its key serves")
    digest = visited(site)
    judged = site.wait_for(digest, "judged")
    verdict = verdict_of(site, judged["entry"])
    assert judged["level"] >= 2
    assert verdict["facts"]["presence"]["signers"][:2] == ["confirmed", "confirmed"], "each by a scan of their own"
    assert verdict["verdict"]["list"]["A-1-31"] == "confirmed"

    assert site.wait_for(digest, "paid")["level"] == judged["level"]
    assert site.became(digest)["files_missing"] == []
    earned = fee(site.terms, VisitClass.HALF_MONTH, judged["level"])
    kept = site.kept(site.visited_ms[1] // 1000)
    assert (kept.digest.hex(), kept.paid) == (digest[: 2 * service_agreements.DIGEST_BYTES], earned)
    assert 0 < earned == site.balance_of_firm() - had < BUDGET

    entry = judged["entry"]
    assert f"/readings/{entry['origin']}/{entry['index']}" in site.cloud.get("/lifts/b07-l1").text
    assert proved(site, entry, tmp_path)["state"] in ("anchored", "final")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_trapped_passenger_is_an_order_with_a_clock_until_the_lift_itself_is_well(site: Upkeep) -> None:
    """Told by the lift, ordered on chain; promised, arrived at by scan and done on a mechanic's phone; confirmed by the
    machine, and public.
    """
    since_ms = site.lift.trap()
    site.wait_until(lambda: any(site.entrapment_order()), what="the lift's word is an order")
    name = site.entrapment_order()
    assert site.order(name).state is State.REPORTED
    site.wait_until(lambda: site.page()["orders_open"] == 1, what="the page knows of it")
    assert site.page()["entrapments"][0]["arrived_after_s"] is None

    phone, order = site.phones[0], name.hex()
    phone.page.evaluate(BEHIND, 0)
    site.wait_until(lambda: is_told(phone, order), what="the phone is told of it")
    phone.open(f"#/order/{order}")
    phone.page.select_option("#promise", value="15")
    sign(phone.page, "promise")
    site.wait_until(lambda: site.order(name).state is State.ACCEPTED, what="the firm comes")
    promised = site.order(name)
    assert promised.promise_at == signed_about(phone.page, order, "promise")["promiseAt"]
    assert promised.firm == FIRM, "by the key that both parties gave the firm's mechanic"

    phone.page.click("#arrive")
    phone.scan(site.display.shown(int(time.time() * 1000)))
    sign(phone.page, "arrival")
    phone.page.wait_for_selector("[data-what=arrival][data-state=sent]")
    (trapped, *_) = site.page()["entrapments"]
    assert abs(trapped["at_ms"] - since_ms) < 1000 and trapped["freed_at_ms"] is None
    assert trapped["arrival"] == "said" and 0 <= trapped["arrived_after_s"] <= RESCUE_S
    site.wait_until(lambda: site.order(name).arrived_at > 0, what="the arrival is on the chain")
    reached, came_s = site.order(name), signed_about(phone.page, order, "arrival")["arrivedAt"]
    assert reached.is_kept and reached.arrived_at == max(came_s, reached.seen_at) <= reached.seen_at + RESCUE_S
    site.wait_until(lambda: site.page()["entrapments"][0]["arrival_transaction"] is not None, what="the page tells so")
    told = "the phone is told that the chain has it"
    site.wait_until(lambda: (push(phone.page), is_on_chain(phone, order))[1], what=told)

    phone.page.fill("#done-note", "门锁触点已调整")
    sign(phone.page, "done")
    phone.page.wait_for_selector("[data-what=done]")
    site.wait_until(lambda: (push(phone.page), site.order(name).state)[1] is State.DONE, what="the work is done")
    done_at = site.order(name).done_at
    site.wait_until(lambda: time.time() > done_at + 1, what="the lift speaks after it")
    site.lift.free(since_ms)
    site.wait_until(lambda: site.order(name).state is State.CONFIRMED, what="the machine confirms it")

    site.wait_until(lambda: site.page()["orders_open"] == 0, what="the page knows of it")
    assert site.page()["entrapments"][0]["freed_at_ms"] >= done_at * 1000
    page = site.cloud.get("/lifts/b07-l1").text
    assert f"{-(-trapped['arrived_after_s'] // 60)}分钟后到场" in page
    assert "尚未解救" not in page and "件处理中" not in page
    site.wait_until(lambda: not is_told(phone, order), what="the phone is told that it is over")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_overdue_becomes_a_penalty_after_thirty_days(site: Upkeep) -> None:
    """Nobody comes for longer than the agreement allows: claimed by the cloud, and settled on chain."""
    before = site.agreement()
    site.gateway_lives_on(NOBODY_CAME_DAYS)
    site.pass_days(NOBODY_CAME_DAYS)
    site.wait_until(lambda: site.agreement().claimed > 0, what="the overdue days are claimed")
    claimed = site.agreement()
    days = claimed.claimed // site.terms.penalty
    assert days >= 1 and claimed.claimed == days * site.terms.penalty
    assert (claimed.deposit, claimed.budget) == (before.deposit - claimed.claimed, before.budget)

    site.pass_days(PROVISIONAL_S // DAY_S + 1)
    site.wait_until(lambda: site.agreement().budget > before.budget, what="the claim is settled", seconds=180)
    assert site.agreement().budget == before.budget + days * site.terms.penalty


def is_on_chain(phone: CrewPhone, order: str) -> bool:
    """What the phone knows of its arrival."""
    return bool(signed_about(phone.page, order, "arrival")["told"]["chain"] == "recorded")


@contextmanager
def own_phone(browser: Browser) -> Iterator[CrewPhone]:
    """A phone that is given its site once that is served."""
    with phone_context(browser) as context:
        context.add_init_script(CLOCK)
        yield CrewPhone(context.new_page(), None)  # type: ignore[arg-type]


def is_registered(phone: CrewPhone) -> bool:
    """What the phone says of its own key after asking for news."""
    phone.page.evaluate(REFRESH)
    phone.open("#/people")
    phone.page.reload()
    phone.page.wait_for_selector(".signers .status")
    return phone.page.locator(".signers .status").get_attribute("data-tone") == "good"


def is_told(phone: CrewPhone, order: str) -> bool:
    """Whether the phone's work names an order, after asking for news."""
    phone.page.evaluate(REFRESH)
    return bool(phone.page.evaluate(KNOWS, order))


def visited(site: Upkeep) -> str:
    """What the crew did with its phones, at the hours at which the machine was served; the visit's digest."""
    chief, second, manager = phones = site.phones
    for_start, for_end = (int(time.time() * 1000) - at_ms for at_ms in site.visited_ms)
    for phone in phones:
        phone.page.evaluate(BEHIND, for_start)
    code = site.display.showed(site.visited_ms[0])
    visit = chief.begin(code)
    second.open("#/")
    second.scan(code)
    second.page.click(".actions .button >> nth=0")
    second.page.wait_for_selector("#start")
    chief.fill(visit)
    for phone in phones:
        phone.page.evaluate(BEHIND, for_end)
    chief.close_list(visit)
    joins(second, chief)
    joins(manager, chief)
    digest = chief.freeze(visit)
    chief.sign_as(0)
    for index, phone in enumerate((second, manager), start=1):
        assert signs(phone, chief, index) == digest[:8]
    chief.open("#/outbox")
    chief.page.wait_for_selector(f'[data-digest="{digest}"][data-state=sent]')
    return digest


def verdict_of(site: Upkeep, entry: dict[str, str]) -> dict[str, Any]:
    """The detail of the verdict, which stands right behind the visit's entry."""
    answer = site.cloud.get(f"/v1/evidence/{entry['origin']}/{int(entry['index']) + 1}").json()
    detail: dict[str, Any] = answer["detail"]
    return detail


def proved(site: Upkeep, entry: dict[str, str], folder: Path) -> dict[str, Any]:
    """What `minglou verify` says of the visit's evidence."""
    path = folder / "visit.json"
    path.write_bytes(site.cloud.get(f"/v1/evidence/{entry['origin']}/{entry['index']}").content)
    trust = site.cloud.folder / "trust.json"
    command = [minglou(), "verify", path, "--trust", trust, "--rpc", site.chain.url, "--json"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    said: dict[str, Any] = json.loads(run.stdout.splitlines()[0])
    return said
