"""Write the bill vectors for the browser's checks: `python -m tests.contracts.js.make`.

Made by `contracts.bill`, `contracts.tariff` and `contracts.person`, which the contracts are tested against.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from contracts import p256
from contracts.abi import Call
from contracts.bill import Bill, BillProof, BillTree, Line, LineKind, share
from contracts.bill_file import bill_to_json
from contracts.calls import registry, roll, tariffs, usage_fees
from contracts.person import Purpose, key_id_of, person_digest
from contracts.tariff import Tariff, Tier
from contracts.trust import format_trust
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
TIERS = (Tier(up_to=100_000, price=48_830_000), Tier(up_to=2**64 - 1, price=53_830_000))


def tariff() -> Tariff:
    """A tariff by year with two steps, of which the line's usage needs both."""
    return Tariff(
        quantity="1-0:1.8.0", category=0, by_year=True, valid_from=20260101, valid_to=0, document=bytes(32), tiers=TIERS
    )


def bill_vectors() -> dict[str, Any]:
    """A bill among four, its readings, what the node answers, prices, and the digest that its owner signs."""
    opening, closing = (entries()[index][0] for index in (OPENING, CLOSING))
    usage = closing.value - opening.value
    own = Line(
        kind=LineKind.OWN, subject=closing.device, quantity="1-0:1.8.0", tariff=1, since=20261023, usage=usage,
        amount=tariff().charge(used=usage, prior=0),
    )  # fmt: skip
    shared = Line(
        kind=LineKind.SHARED, subject=sha256(b"pool").digest(), quantity="1-0:1.8.0", tariff=1, since=20261023,
        usage=usage,
        amount=share(tariff().charge(used=usage, prior=0), AREA_BEFORE, AREA, AREA_SUM),
    )  # fmt: skip
    bills = [_bill(unit, (own, shared) if unit == 3 else (shared,)) for unit in range(5)]
    tree = BillTree.of_bills(bills)
    proof = BillProof(bill=bills[3], path=tuple(tree.path(3)), unit_count=5, root=tree.root)
    return {
        "trust": json.loads(format_trust(TRUST)),
        "bill": bill_to_json(proof),
        "leaf_lines_digest": bills[3].lines_digest.hex(),
        "opening": _entry(OPENING),
        "closing": _entry(CLOSING),
        "exchanges": _exchanges(proof),
        "prices": [_price(used) for used in (0, 1, 99_999, 100_000, 100_001, usage, 10**12)],
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
            [proof.root.hash, proof.root.sums, proof.unit_count, closed_at_s, closed_at_s + 604_800],
        ),
        _call(Call(to=FEES, data=TARIFFS_VIEW), [int(TARIFFS, 16)]),
        _call(registry.contract_named(REGISTRY, name=b"roll".ljust(32, b"\0")), [int(ROLL, 16)]),
        _call(roll.unit_at(ROLL, index=3), [ALIAS]),
        _call(roll.total_area(ROLL), [AREA_SUM]),
        _call(roll.unit(ROLL, alias=ALIAS), [3, AREA, AREA_BEFORE, 0, 3, 7, 5, 1]),
        _call(
            tariffs.tariff(TARIFFS, version=1),
            [32, b"1-0:1.8.0".ljust(32, b"\0"), 0, 1, 20260101, 0, 0, 1, 256, len(TIERS)]
            + [number for tier in TIERS for number in (tier.up_to, tier.price)],
        ),
    ]


def _call(call: Call, words: list[bytes | int]) -> dict[str, Any]:
    answer = b"".join(word if isinstance(word, bytes) else word.to_bytes(32) for word in words)
    params = [{"to": call.to.lower(), "data": "0x" + call.data.hex()}, "latest"]
    return {"method": "eth_call", "params": params, "result": "0x" + answer.hex()}


def _price(used: int) -> dict[str, Any]:
    return {
        "tiers": [[str(tier.up_to), str(tier.price)] for tier in TIERS], "usage": str(used),
        "fen": str(tariff().fen(used)),
    }  # fmt: skip


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
