"""Write the fund's and the repairs' vectors for the browser: `python -m tests.contracts.js.make_fund`.

Made by `contracts.fund`, `contracts.work_order` and `contracts.person`, which the contracts are tested against.
"""

import json
import random
from hashlib import sha256
from pathlib import Path
from typing import Any

from contracts import p256
from contracts.arrival import Arrival, SignedArrival, arrival_to_json, sign_arrival
from contracts.fund import (
    Budget,
    Ledger,
    Pot,
    budget_payload,
    fund_share_of_income,
    move_payload,
    payload_digest,
    raise_payload,
    ratify_payload,
)
from contracts.label import Place
from contracts.person import Purpose, key_id_of, person_digest
from contracts.presence import Scan
from contracts.rotating import SLOT_S, Moment
from contracts.work_order import Order, State, Terms, owners_order, triggers

PATH = Path(__file__).with_name("fund.json")
CHAIN_ID = 31337
FUND = "0x" + "fd" * 20
WORK = "0x" + "30" * 20
DEADLINE = 1_795_800_000
SLOT = DEADLINE // SLOT_S - 100
_UNSAID = {"chain_id", "contract", "signature"}


def digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


def fund_vectors() -> dict[str, Any]:
    """Random ledgers from a fixed seed, the words that resolutions pass, and what owners and crews sign."""
    rng = random.Random(282)
    return {
        "ledgers": [_ledger(rng) for _ in range(12)],
        "incomes": [_income(rng.randint(0, 10**9), rng.randint(5001, 10_000)) for _ in range(40)],
        "payloads": _payloads(),
        "acts": _acts(),
        "triggers": [_triggers(rng) for _ in range(120)],
    }


def _ledger(rng: random.Random) -> dict[str, Any]:
    ledger = Ledger(7000)
    for _ in range(rng.randint(3, 12)):
        ledger.enter(rng.randint(1, 30_000), rng.randint(1, 2))
    for _ in range(rng.randint(3, 15)):
        if rng.random() < 0.2:
            ledger.enter(rng.randint(1, 30_000), rng.randint(1, 2))
        index = rng.randrange(len(ledger.places))
        purse = rng.choice((0, ledger.places[index].building_purse))
        ledger.deposit(purse, (index,), (rng.randint(0, 10**7),))
        ledger.credit(purse, rng.randint(0, 10**6))
        number = len(ledger.emergencies)
        ledger.spend_in_emergency(number, purse, rng.randint(0, ledger.purse(purse).fund))
    return {
        "places": [
            {
                "area": str(place.area),
                "before": str(place.before),
                "building_purse": str(place.building_purse),
                "before_in_building": str(place.before_in_building),
            }
            for place in ledger.places
        ],
        "purses": [_purse(ledger, number) for number in sorted(ledger.purses)],
    }


def _purse(ledger: Ledger, number: int) -> dict[str, Any]:
    book = ledger.purse(number)
    households = [ledger.household(number, index) for index in range(len(ledger.places))]
    return {
        "purse": str(number),
        "fund": str(book.fund),
        "epochs": [
            {"area": str(epoch.area), "credited": str(epoch.credited), "spent": str(epoch.spent)}
            for epoch in book.epochs
        ],
        "households": [
            {"deposited": str(one.deposited), "credited": str(one.credited), "spent": str(one.spent)}
            for one in households
        ],
    }


def _income(net: int, share_bp: int) -> dict[str, str]:
    return {"net": str(net), "share_bp": str(share_bp), "to_fund": str(fund_share_of_income(net, share_bp))}


def _payloads() -> dict[str, Any]:
    document = digest("project")
    budget = Budget(
        purse=3,
        pot=Pot.INCOME,
        amount=123_456,
        payee="0x" + "ab" * 20,
        is_drawn=True,
        until=DEADLINE,
        document=document,
    )
    words = {
        "budget": budget_payload(chain_id=CHAIN_ID, fund=FUND, budget=budget),
        "raise": raise_payload(chain_id=CHAIN_ID, fund=FUND, purse=1, rate=500, due_at=DEADLINE, document=document),
        "move": move_payload(chain_id=CHAIN_ID, fund=FUND, purse=2, amount=77, document=document),
        "ratify": ratify_payload(chain_id=CHAIN_ID, fund=FUND, purse=1, number=9, amount=30_000),
    }
    return {
        "chain_id": str(CHAIN_ID),
        "fund": FUND,
        "until": str(DEADLINE),
        "document": document.hex(),
        "payee": budget.payee,
        "digests": {action: payload_digest(payload).hex() for action, payload in words.items()},
    }


def _acts() -> dict[str, Any]:
    public = p256.public_bytes(p256.key_from_secret(71))
    unit, device, report = digest("unit"), digest("lift"), digest("report")
    order, evidence, reason = owners_order(unit, device, report), digest("evidence"), digest("reason")
    arrivals = [_arrival(order, device, at_s) for at_s in (SLOT * SLOT_S - 40, SLOT * SLOT_S + 7, DEADLINE)]
    bodies: dict[Purpose, tuple[Any, ...]] = {
        Purpose.REPORT_WORK: (device, report),
        Purpose.WITHDRAW_WORK: (order, 2),
        Purpose.ACCEPT_WORK: (order, DEADLINE, 2),
        Purpose.ARRIVE_WORK: (order, evidence, DEADLINE, 2),
        Purpose.FINISH_WORK: (order, evidence, 2),
        Purpose.CONFIRM_WORK: (order, 2),
        Purpose.REOPEN_WORK: (order, reason, 2),
    }
    return {
        "contract": WORK,
        "public": public.hex(),
        "deadline": str(DEADLINE),
        "unit": unit.hex(),
        "device": device.hex(),
        "report": report.hex(),
        "order": order.hex(),
        "evidence": evidence.hex(),
        "reason": reason.hex(),
        "arrivals": [
            {
                "said": {key: value for key, value in arrival_to_json(signed).items() if key not in _UNSAID},
                "at": str(signed.arrival.at_s),
                "digest": signed.arrival.digest().hex(),
                "signed": signed.arrival.body_digest().hex(),
            }
            for signed in arrivals
        ],
        "digests": {
            purpose.value[0]: person_digest(
                chain_id=CHAIN_ID,
                contract=WORK,
                purpose=purpose,
                key_id=key_id_of(public),
                nonce=1,
                deadline=DEADLINE,
                body_digest=purpose.body_digest(*body),
            ).hex()
            for purpose, body in bodies.items()
        },
    }


def _arrival(order: bytes, device: bytes, at_s: int) -> SignedArrival:
    """By a display's code, or by a label's where that is long over."""
    is_display = at_s < DEADLINE
    scan = Scan(
        by=0, sense="in", place=Place.DISPLAY if is_display else Place.CAR, way="camera", at_s=at_s,
        moment=Moment(SLOT, bytes(range(8))) if is_display else None, label=None if is_display else digest("label"),
    )  # fmt: skip
    said = Arrival(order=order, round=2, device=device, mechanic=digest("mechanic"), scan=scan, salt=bytes(16))
    key = p256.key_from_secret(71)
    return sign_arrival(said, key, chain_id=CHAIN_ID, contract=WORK, nonce=1, deadline=DEADLINE)


def _triggers(rng: random.Random) -> dict[str, Any]:
    terms = Terms(
        accept_within=10,
        promise_max=99,
        confirm_within=10,
        redo_within=5,
        give_up_after=8,
        report_within=9,
        reopens_max=2,
        price_max=0,
    )
    order = Order(
        state=rng.choice([*State][1:]),
        escalated=rng.randint(0, 3),
        reported_at=rng.randint(0, 20),
        promise_at=rng.randint(0, 20),
        done_at=rng.randint(0, 20),
        source=bytes(32),
        firm=rng.randint(1, 2),
        arrived_at=rng.choice([0, rng.randint(1, 20)]),
        arrived_firm=rng.randint(1, 2),
    )
    now = rng.randint(0, 40)
    return {
        "state": int(order.state),
        "escalated": order.escalated,
        "times": [str(at) for at in (order.reported_at, order.promise_at, order.done_at, order.arrived_at, now)],
        "firms": [str(firm) for firm in (order.firm, order.arrived_firm)],
        "terms": [str(seconds) for seconds in (terms.accept_within, terms.give_up_after, terms.confirm_within)],
        "triggers": [str(trigger) for trigger in triggers(order, terms, now)],
    }


def written() -> str:
    """The file's text."""
    return json.dumps(fund_vectors(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(written())
