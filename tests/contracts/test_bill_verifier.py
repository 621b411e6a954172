"""The bill file's checks, against the vectors that the browser's verifier passes too."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from contracts import onchain
from contracts.bill import LineKind, doubled
from contracts.bill_file import line_from_json
from contracts.bill_verifier import BILL_BYTES_MAX, BillCheckName, verify_bill_file
from contracts.errors import RpcError
from contracts.report import Outcome
from contracts.trust import parse_trust
from contracts.vyper.compile import artifact

VECTORS = json.loads((Path(__file__).parent / "js" / "bill.json").read_text(encoding="utf-8"))
TRUST = parse_trust(json.dumps(VECTORS["trust"]).encode())
FILE = json.dumps(VECTORS["bill"], separators=(",", ":")).encode()

FORMAT, AMOUNTS, TREE, CONTRACT, PERIOD, TERMS = BillCheckName


def rpc(method: str, parameters: list[Any]) -> Any:
    for exchange in VECTORS["exchanges"]:
        if (exchange["method"], exchange["params"]) == (method, parameters):
            return exchange["result"]
    raise RpcError(f"{method} is not answered")


def outcomes(bill: Any, *, trust: Any = TRUST, ask: Any = rpc) -> tuple[list[BillCheckName], list[BillCheckName]]:
    """The checks that failed and those that were not made."""
    checks = verify_bill_file(bill if isinstance(bill, bytes) else json.dumps(bill).encode(), trust, ask)
    assert [check.name for check in checks] == list(BillCheckName)
    assert all(check.remedy for check in checks if check.outcome is Outcome.FAILED)
    failed, open_ = ([c.name for c in checks if c.outcome is o] for o in (Outcome.FAILED, Outcome.NOT_CHECKED))
    return failed, open_  # type: ignore[return-value]  # the names are those of a bill, as just checked


def test_a_posted_bill_passes_every_check_in_any_layout() -> None:
    assert outcomes(FILE) == ([], [])
    assert outcomes(json.dumps(VECTORS["bill"], indent=2).encode()) == ([], [])


def test_without_a_node_or_trust_the_chains_checks_stay_open() -> None:
    assert outcomes(FILE, ask=None) == ([], [PERIOD, TERMS])
    assert outcomes(FILE, trust=None) == ([], [CONTRACT, PERIOD, TERMS])


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        (lambda bill: bill.update(format="minglou-bill/2"), [FORMAT]),
        (lambda bill: bill.pop("salt"), [FORMAT]),
        (lambda bill: bill.update(tip="1"), [FORMAT]),
        (lambda bill: bill.update(unit_index=3), [FORMAT]),
        (lambda bill: bill["amounts"].update(total="1"), [AMOUNTS]),
        (lambda bill: bill["lines"][0].update(amount="6093"), [AMOUNTS, TREE]),
        (lambda bill: bill["lines"][0].update(usage="1"), [TREE]),
        (lambda bill: bill.update(unit_index="2"), [TREE]),
        (lambda bill: bill.update(unit_index="5"), [TREE]),
        (lambda bill: bill.update(salt="00" * 32), [TREE]),
        (lambda bill: bill["path"].pop(), [TREE]),
        (lambda bill: bill["terms"].pop(), [TERMS]),
        (lambda bill: bill["terms"][0].update(encoded="00"), [TERMS]),
        (lambda bill: bill["path"][0]["sums"].update(total="1"), [FORMAT]),
        (lambda bill: bill["lines"][0].update(to="20261126"), [TREE]),
        (lambda bill: bill["root"].update(hash="00" * 32), [TREE]),
        (lambda bill: bill.update(chain_id="1"), [TREE, CONTRACT]),
        (lambda bill: bill.update(contract="0x" + "00" * 20), [TREE, CONTRACT]),
    ],
)
def test_a_changed_bill_names_what_does_not_hold(
    change: Callable[[dict[str, Any]], object], failed: list[BillCheckName]
) -> None:
    bill = json.loads(FILE)
    change(bill)
    assert outcomes(bill)[0] == failed


def test_a_bill_that_charges_the_same_thing_twice_for_a_day_is_told() -> None:
    twice = json.loads(FILE)
    twice["lines"].append(twice["lines"][0])
    for name in ("own", "total"):
        twice["amounts"][name] = str(int(twice["amounts"][name]) + int(twice["lines"][0]["amount"]))
    assert outcomes(twice)[0] == [AMOUNTS, TREE]
    line = line_from_json(twice["lines"][0])
    later = replace(line, from_date=line.from_date + 1)
    assert doubled([line, later]) == (0, 1)
    assert doubled([replace(line, to_date=later.from_date), later]) is None
    assert doubled([line, replace(line, quantity="8-0:1.0.0")]) is None
    assert doubled([line, replace(line, kind=LineKind.CREDIT)]) is None
    right = replace(line, kind=LineKind.STANDING, tariff=0)
    assert doubled([right, right]) is None


def test_another_root_on_the_chain_or_none_is_noticed() -> None:
    def answer(words: str) -> Callable[[str, list[Any]], Any]:
        return lambda method, parameters: rpc(method, parameters) if method == "eth_chainId" else "0x" + words

    assert outcomes(FILE, ask=answer("00" * 224)) == ([PERIOD], [TERMS])
    assert outcomes(FILE, ask=answer("11" * 224)) == ([PERIOD], [TERMS])
    assert outcomes(FILE, ask=answer("")) == ([], [PERIOD, TERMS])


@given(st.integers(0, len(FILE) - 1), st.integers(0, 255))
def test_a_changed_byte_breaks_a_check_or_says_the_same(position: int, octet: int) -> None:
    damaged = bytearray(FILE)
    damaged[position] = octet
    if not outcomes(bytes(damaged))[0]:
        assert json.loads(bytes(damaged)) == VECTORS["bill"]


def test_texts_that_are_no_bill_are_refused() -> None:
    for junk in (b"", b"[]", b"null", b"{}", b"[" * 60_000, b" " * (BILL_BYTES_MAX + 1), b'{"amounts":1,"amounts":1}'):
        assert outcomes(junk)[0] == [FORMAT]


def test_the_contracts_period_has_the_verifiers_selector_and_words() -> None:
    view = next(part for part in artifact("UsageFees").abi if part.get("name") == "period")
    assert keccak(text="period(uint256)")[:4].hex() == onchain.PERIOD
    (output,) = view["outputs"]
    assert [(part["name"], part["type"]) for part in output["components"]] == [
        ("root", "bytes32"),
        ("sums", "uint256"),
        ("unit_count", "uint256"),
        ("closed_at", "uint256"),
        ("window_end", "uint256"),
        ("total_area", "uint256"),
        ("corrections", "uint256"),
    ]


def test_the_tariffs_views_have_the_verifiers_selectors() -> None:
    assert keccak(text="tariffs()")[:4].hex() == onchain.TARIFFS
    assert keccak(text="tariff(uint256)")[:4].hex() == onchain.TARIFF
    assert keccak(text="volumes(bytes32,uint256)")[:4].hex() == onchain.VOLUMES
    view = next(part for part in artifact("Tariffs").abi if part.get("name") == "tariff")
    assert next(part["name"] for part in view["outputs"][0]["components"]) == "digest"
    assert len(view["outputs"][0]["components"]) == 5
