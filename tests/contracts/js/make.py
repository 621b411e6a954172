"""Write the bill vectors for the browser's checks: `python -m tests.contracts.js.make`.

Made by `contracts.bill`, `contracts.tariff` and `contracts.person`, which the contracts are tested against.
"""

import json
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from contracts import p256
from contracts.abi import Call
from contracts.bill import Bill, BillProof, BillTree, Line, LineKind, share
from contracts.bill_file import bill_to_json
from contracts.calls import registry, roll, tariffs, usage_fees
from contracts.person import Purpose, key_id_of, person_digest
from contracts.standing import standing_charge
from contracts.tariff import Counting, Terms
from contracts.trust import format_trust
from tests.contracts.prices import random_span, random_standing, random_terms
from tests.vectors.deployment import TRUST, UNIT, entries

PATH = Path(__file__).with_name("bill.json")
PERIOD = 2026102320261127
FEES = "0x" + TRUST.usage_fees.hex()
TARIFFS = "0x" + "7a" * 20
TARIFFS_VIEW = bytes.fromhex("79073d58")  # tariffs() -> address
OPENING, CLOSING = 2, 9
AREA, AREA_BEFORE, AREA_SUM = 8_930, 29_120, 49_280
REGISTRY = "0x" + TRUST.registry.hex()
ROLL = "0x" + "7b" * 20
ALIAS = sha256(b"unit 3").digest()
TIERS = ((100_000, 48_830_000), (None, 53_830_000))
PRICE_CASES = 60


def terms() -> Terms:
    """Terms by year with two steps, of which the line's usage needs both."""
    return Terms.tiered(quantity="1-0:1.8.0", counting=Counting.YEAR, tiers=TIERS)


def charge(used: int) -> int:
    """Fen for a usage by these terms."""
    return terms().seasons[0].charge(used=[used])


def bill_vectors() -> dict[str, Any]:
    """A bill among four, its readings, what the node answers, prices, and the digest that its owner signs."""
    opening, closing = (entries()[index][0] for index in (OPENING, CLOSING))
    usage = closing.value - opening.value
    own = Line(
        kind=LineKind.OWN, subject=closing.device, quantity="1-0:1.8.0", tariff=1, since=20261023,
        from_date=20261023, to_date=20261127, usage=usage, amount=charge(usage),
    )  # fmt: skip
    shared = Line(
        kind=LineKind.SHARED, subject=sha256(b"pool").digest(), quantity="1-0:1.8.0", tariff=1, since=20261023,
        from_date=20261023, to_date=20261127, usage=usage,
        amount=share(charge(usage), AREA_BEFORE, AREA, AREA_SUM),
    )  # fmt: skip
    bills = [_bill(unit, (own, shared) if unit == 3 else (shared,)) for unit in range(5)]
    tree = BillTree.of_bills(bills)
    proof = BillProof(
        bill=bills[3], path=tuple(tree.path(3)), unit_count=5, root=tree.root, terms=((1, terms().encode()),)
    )
    return {
        "trust": json.loads(format_trust(TRUST)),
        "trust_fingerprint": TRUST.fingerprint(),
        "bill": bill_to_json(proof),
        "leaf_lines_digest": bills[3].lines_digest.hex(),
        "opening": _entry(OPENING),
        "closing": _entry(CLOSING),
        "exchanges": _exchanges(proof),
        "prices": _prices(),
        "person": _person(bills[3]),
    }


def _bill(unit_index: int, lines: tuple[Line, ...]) -> Bill:
    return Bill(
        chain_id=TRUST.chain_id, contract=FEES, site=UNIT, period=PERIOD, unit_index=unit_index, lines=lines,
        salt=sha256(b"bill %d" % unit_index).digest(),
    )  # fmt: skip


def _entry(index: int) -> dict[str, Any]:
    entry, _ = entries()[index]
    return {
        "kind": int(entry.kind), "device": entry.device.hex(), "quantity": entry.quantity, "value": str(entry.value)
    }  # fmt: skip


def _exchanges(proof: BillProof) -> list[dict[str, Any]]:
    closed_at_s = 1_795_744_800
    return [
        {"method": "eth_chainId", "params": [], "result": hex(TRUST.chain_id)},
        _call(
            usage_fees.period(FEES, period=PERIOD),
            [proof.root.hash, proof.root.sums, proof.unit_count, closed_at_s, closed_at_s + 604_800, AREA_SUM, 0],
        ),
        _call(Call(to=FEES, data=TARIFFS_VIEW), [int(TARIFFS, 16)]),
        _call(registry.contract_named(REGISTRY, name=b"roll".ljust(32, b"\0")), [int(ROLL, 16)]),
        _call(roll.unit_at(ROLL, index=3), [ALIAS]),
        _call(roll.unit(ROLL, alias=ALIAS), [3, AREA, AREA_BEFORE, 0, 3, 7, 5, 1]),
        _call(
            tariffs.tariff(TARIFFS, version=1),
            [terms().digest, 20260101, 0, 1_767_225_600, 0],
        ),
    ]


def _call(call: Call, words: list[bytes | int]) -> dict[str, Any]:
    answer = b"".join(word if isinstance(word, bytes) else word.to_bytes(32) for word in words)
    params = [{"to": call.to.lower(), "data": "0x" + call.data.hex()}, "latest"]
    return {"method": "eth_call", "params": params, "result": "0x" + answer.hex()}


def _prices() -> list[dict[str, Any]]:
    """Random terms of every shape, and what they make of random usages."""
    rng = Random(1)
    cases = []
    for number in range(PRICE_CASES):
        one = random_terms(rng) if number % 4 else random_standing(rng)
        span = random_span(rng, one)
        used = [rng.choice((0, rng.randrange(2_000_000))) for _ in one.registers]
        prior, residents, count = rng.choice((0, rng.randrange(6_000_000))), rng.randint(0, 9), rng.randrange(10_000)
        fen = (
            one.season(*span).charge(used=used, prior=prior, residents=residents)
            if one.registers
            else standing_charge(one, count=count, from_date=span[0], to_date=span[1])
        )
        cases.append(
            {
                "terms": one.encode().hex(),
                "from": str(span[0]),
                "to": str(span[1]),
                "used": [str(n) for n in used],
                "prior": str(prior),
                "residents": str(residents),
                "count": str(count),
                "fen": str(fen),
            }
        )
    return cases


def _person(bill: Bill) -> dict[str, Any]:
    public = p256.public_bytes(p256.key_from_secret(501))
    body = Purpose.CHALLENGE.body_digest(bill.period, bill.unit_index, 0, bill.lines_digest)
    digest = person_digest(
        chain_id=TRUST.chain_id, contract=FEES, purpose=Purpose.CHALLENGE, key_id=key_id_of(public), nonce=7,
        deadline=1_795_800_000, body_digest=body,
    )  # fmt: skip
    return {
        "chain_id": str(TRUST.chain_id), "contract": FEES, "public": public.hex(), "nonce": "7",
        "deadline": "1795800000", "period": str(bill.period), "unit_index": str(bill.unit_index), "line": "0",
        "lines_digest": bill.lines_digest.hex(), "digest": digest.hex(),
    }  # fmt: skip


def written() -> str:
    """The file's text."""
    return json.dumps(bill_vectors(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(written())
