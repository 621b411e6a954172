"""Work orders on a phone whose cloud follows no chain: what the cloud would tell is written into its true answer."""

import json
import time
from hashlib import sha256
from typing import Any

from playwright.sync_api import Page, Route

from contracts.entry import device_id
from tests.crew.site import LIFT

WORK_ORDERS = "0x" + "d2" * 20


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
