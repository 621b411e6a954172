"""Work orders on a phone whose cloud follows no chain: what the cloud would tell is written into its true answer."""

import json
import time
from hashlib import sha256
from typing import Any

from playwright.sync_api import Page, Route

from contracts.entry import device_id
from tests.crew.phone import PIN
from tests.crew.site import LIFT

WORK_ORDERS = "0x" + "d2" * 20
SENDS = "() => import('/static/crew/store.js').then((store) => store.all('sends'))"


def order_of(number: int, **changes: Any) -> dict[str, Any]:
    """An order about the lift, as the work file holds it: people trapped ten minutes ago."""
    order: dict[str, Any] = {
        "name": sha256(b"order %d" % number).hexdigest(), "device": device_id(LIFT).hex(), "cause": "entrapment",
        "state": "reported", "round": 0, "seen_at": int(time.time()) - 600, "promise_at": None, "firm": 0,
        "rescue_s": 1800, "arrived_after_s": None, "arrival_shown": False,
    }  # fmt: skip
    return order | changes


def tell_orders(page: Page, *orders: dict[str, Any]) -> None:
    """Let the cloud's next answers name these orders, and the phone keep them."""

    def answer(route: Route) -> None:
        headers = {name: value for name, value in route.request.headers.items() if name != "if-none-match"}
        true = route.fetch(headers=headers)
        work = true.json()
        work["orders"] = list(orders)
        work["contracts"]["work_orders"] = WORK_ORDERS
        route.fulfill(response=true, body=json.dumps(work))

    page.route("**/v1/crew/work", answer)
    page.evaluate("() => import('/static/crew/work.js').then((work) => work.refresh())")


def sign(page: Page, act: str) -> None:
    """The first of the phone's mechanics signs what the screen asks for: promise, arrival or done."""
    form = page.locator(f"form[data-act={act}] >> nth=0")
    form.locator("input").fill(PIN)
    form.locator("button").click()


def push(page: Page) -> None:
    """Let the outbox try everything now, unless it is at work already."""
    page.evaluate("() => import('/static/crew/outbox.js').then((outbox) => outbox.step({ now: true }))")


def signed_about(page: Page, order: str, what: str) -> dict[str, Any]:
    """What the phone keeps of its last word about an order, and of what the cloud answered."""
    rows = [one for one in page.evaluate(SENDS) if (one.get("order"), one.get("what")) == (order, what)]
    found: dict[str, Any] = max(rows, key=lambda one: one["at"])
    return found
