"""A mechanic on call whose telephone is this program: accepts an order, arrives, says that it is done."""

import time
from dataclasses import dataclass
from typing import Any

import httpx

from cloud.chain.directory import abi_of
from contracts import p256
from contracts.abi import Call
from contracts.act_file import act_of_call, format_act
from contracts.arrival import Arrival, format_arrival, sign_arrival
from contracts.calls import work_orders
from contracts.entry import device_id
from contracts.label import Place, parse_link
from contracts.person import PersonSignature, Purpose, sign_software
from contracts.presence import Scan
from contracts.rotating import parse_moment
from contracts.work_order import Order
from tests.plain_http import NO_TLS
from tests.visits import ALIASES, LIFT, MECHANIC

CHAIN_ID, FAR_S = 31337, 2**40
ALIAS, PUBLIC = ALIASES[MECHANIC], p256.public_bytes(MECHANIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCall:
    """Where he sends what he signs."""

    url: str
    work_orders: str

    def accept(self, name: bytes, order: Order, *, within_s: int = 3600) -> None:
        """The firm comes within an hour."""
        promise_at = int(time.time()) + within_s
        signature = self._sign(Purpose.ACCEPT_WORK, name, promise_at, order.round)
        call = work_orders.accept_as_firm(self.work_orders, order=name, promise_at=promise_at, signature=signature)
        self._relay(call, "accept_as_firm")

    def arrive(self, name: bytes, link: str) -> None:
        """Scan what the display shows, and sign it."""
        moment = parse_moment(parse_link(link).moment)
        scan = Scan(
            by=0, sense="in", place=Place.DISPLAY, way="camera", at_s=int(time.time()), moment=moment
        )  # fmt: skip
        said = Arrival(
            order=name, device=device_id(LIFT), mechanic=ALIAS, scan=scan, salt=bytes(range(16))
        )  # fmt: skip
        signed = sign_arrival(
            said, MECHANIC, chain_id=CHAIN_ID, contract=self.work_orders, nonce=1, deadline=FAR_S
        )  # fmt: skip
        assert self._post("/v1/arrivals", format_arrival(signed))["order"] == name.hex()

    def finish(self, name: bytes, order: Order, evidence: bytes) -> None:
        """It is done."""
        signature = self._sign(Purpose.FINISH_WORK, name, evidence, order.round)
        call = work_orders.finish(self.work_orders, order=name, evidence=evidence, signature=signature)
        self._relay(call, "finish")

    def _sign(self, purpose: Purpose, *body: Any) -> PersonSignature:
        return sign_software(
            MECHANIC, chain_id=CHAIN_ID, contract=self.work_orders, purpose=purpose, nonce=1, deadline=FAR_S,
            body_digest=purpose.body_digest(*body),
        )  # fmt: skip

    def _relay(self, call: Call, function: str) -> None:
        abi = abi_of("WorkOrders")
        act = act_of_call(call, chain_id=CHAIN_ID, contract="WorkOrders", function=function, abi=abi)
        assert self._post("/v1/relay/act", format_act(act, abi))["state"] == "pending"

    def _post(self, path: str, content: bytes) -> dict[str, Any]:
        answer = httpx.post(self.url + path, content=content, timeout=70, trust_env=False, verify=NO_TLS)
        assert answer.is_success, answer.text
        said: dict[str, Any] = answer.json()
        return said
