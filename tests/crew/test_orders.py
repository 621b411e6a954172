"""Work orders in the app: who comes and when, that he is there, that it is done; signed with or without a network."""

import json
import time
from hashlib import sha256
from typing import Any

from playwright.sync_api import BrowserContext, Page, Route

from cloud.chain.directory import abi_of
from contracts.act_file import Act, format_act, parse_act
from contracts.arrival import parse_arrival, verify_arrival
from contracts.entry import device_id
from contracts.person import KeyKind, PersonSignature, Purpose, key_id_of
from contracts.rotating import is_token
from contracts.signed_visit import VisitSignature, verify_signature
from tests.crew.orders import WORK_ORDERS, order_of, push, sign, signed_about, tell_orders
from tests.crew.phone import READY, VISITS, CrewPhone
from tests.crew.site import CHAIN_ID, LIFT, SECRET, CrewSite
from tests.processes import wait_until


def has_signed(act: Act, purpose: Purpose, public: bytes, *body: Any) -> None:
    """Refuses an act whose signature is not that of this key over this body."""
    signed = PersonSignature(**act.arguments["signature"])
    assert signed.key_id == key_id_of(public)
    verify_signature(
        VisitSignature(public=public, kind=KeyKind.SOFTWARE, signature=signed), chain_id=CHAIN_ID, contract=WORK_ORDERS,
        purpose=purpose, body_digest=purpose.body_digest(*body),
    )  # fmt: skip


def test_an_order_is_promised_arrived_at_and_done_without_network_and_told_in_that_order(
    crew: CrewPhone, page: Page, site: CrewSite, context: BrowserContext
) -> None:
    order = order_of(1)
    name = bytes.fromhex(order["name"])
    crew.open("#/work")
    tell_orders(page, order)
    context.set_offline(True)
    page.reload()
    page.wait_for_selector(READY, state="attached")
    page.click(f'[data-order="{order["name"]}"]')
    page.wait_for_selector("[role=timer]")
    assert "20" in page.locator("[role=timer]").inner_text(), "ten of thirty minutes are over"

    page.select_option("#promise", value="15")
    sign(page, "promise")
    page.wait_for_selector("[data-what=promise][data-state=waiting]")
    page.click("#arrive")
    crew.scan(site.display())
    sign(page, "arrival")
    page.wait_for_selector("[data-what=arrival][data-state=waiting]")
    page.fill("#done-note", "door lock adjusted")
    sign(page, "done")
    page.wait_for_selector("[data-what=done][data-state=waiting]")

    handed: list[tuple[str, bytes]] = []
    chain = {"state": "pending"}

    def take(route: Route) -> None:
        body = route.request.post_data_buffer or b""
        handed.append((route.request.url.rpartition("/v1/")[2], body))
        if route.request.url.endswith("arrivals"):
            said = parse_arrival(body).arrival.digest().hex()
            answer: dict[str, str] = {"order": order["name"], "digest": said, "chain": "recorded"}
        else:
            answer = {"act": sha256(body).hexdigest(), "message": "", **chain}
        route.fulfill(status=200, body=json.dumps(answer), content_type="application/json")

    page.route("**/v1/arrivals", take)
    page.route("**/v1/relay/act", take)
    context.set_offline(False)
    crew.open("#/outbox")
    page.wait_for_selector("[data-state=waiting]")
    push(page)
    wait_until(lambda: (push(page), len(handed))[1] >= 2, seconds=20, what="the arrival and the promise")
    assert [path for path, _ in handed][:2] == ["arrivals", "relay/act"], "done waits until the promise is on the chain"
    assert page.locator("[data-state=waiting]").count() == 1
    chain["state"] = "mined"
    wait_until(lambda: (push(page), len(handed))[1] >= 4, seconds=20, what="the promise asked about, and done")
    page.wait_for_selector("[data-state=waiting]", state="detached")

    arrival, promise = parse_arrival(handed[0][1]), parse_act(handed[1][1], abi_of)
    done = next(act for act in (parse_act(body, abi_of) for _, body in handed[2:]) if act.function == "finish")
    verify_arrival(arrival)
    assert (arrival.contract, arrival.arrival.order, arrival.arrival.device) == (WORK_ORDERS, name, device_id(LIFT))
    moment = arrival.arrival.scan.moment
    assert moment is not None and is_token(SECRET, device_id(LIFT), moment)
    assert format_act(promise, abi_of("WorkOrders")) == handed[1][1], "the same bytes as everybody else writes"
    assert (promise.function, promise.address, promise.arguments["order"]) == ("accept_as_firm", WORK_ORDERS, name)
    promise_at = promise.arguments["promise_at"]
    assert abs(promise_at - time.time() - 900) < 600
    public = arrival.signature.public
    has_signed(promise, Purpose.ACCEPT_WORK, public, name, promise_at, 0)
    has_signed(done, Purpose.FINISH_WORK, public, name, done.arguments["evidence"], 0)
    row = signed_about(page, order["name"], "done")
    assert sha256(row["detail"].encode()).digest() == done.arguments["evidence"]
    assert json.loads(row["detail"])["says"] == "door lock adjusted"


def test_the_arrivals_scan_is_the_first_of_the_repairs_own_visit(
    crew: CrewPhone, page: Page, site: CrewSite, context: BrowserContext
) -> None:
    order = order_of(2, cause="stopped", rescue_s=None)
    crew.open("#/work")
    tell_orders(page, order)
    context.set_offline(True)
    crew.open(f"#/order/{order['name']}/arrive")
    crew.scan(site.display())
    sign(page, "arrival")
    page.wait_for_selector("[data-what=arrival]")
    page.click("[href^='#/visit/']")
    page.locator("fieldset input").nth(0).check()
    page.click("#start")
    page.wait_for_selector("#finish")
    page.click("summary")
    page.fill("#part", "door lock")
    page.click("#parts button")
    page.wait_for_selector(".part")
    page.click("#finish")
    page.click("#freeze")
    page.wait_for_selector("#digest")
    visit = next(one for one in page.evaluate(VISITS) if one["order"] == order["name"])
    presence, checklist = (json.loads(visit["frozen"][name]) for name in ("presence", "checklist"))
    row = signed_about(page, order["name"], "arrival")
    scan = json.loads(row["body"])["scan"]
    assert {**scan, "by": 0} == presence["scans"][0]
    assert (checklist["class"], checklist["order"], checklist["items"]) == ("repair", order["name"], [])
    assert checklist["parts"] == [{"name": "door lock", "count": 1}]
