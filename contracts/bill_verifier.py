"""Verify a bill file: do its lines add up, does it stand among all bills, and does the contract hold their root?

The same checks, with the same names, run in the browser (`contracts/js/bill.js`). What a line rests on is proven by the
evidence of its readings; `contracts.verifier` is for that.
"""

from collections.abc import Callable
from enum import StrEnum
from hashlib import sha256
from typing import Any

from contracts.bill import LANES, Amounts, BillError, BillProof, LineKind, doubled, verify_bill
from contracts.bill_file import bill_from_json
from contracts.fields import parse_json
from contracts.onchain import ChainView, Rpc
from contracts.report import Check, NotCheckedError, Outcome, run_check
from contracts.trust import Trust

BILL_BYTES_MAX = 65_536


class BillCheckName(StrEnum):
    """The checks, in the order in which they are made and told."""

    FORMAT = "format"
    AMOUNTS = "amounts"
    TREE = "tree"
    CONTRACT = "contract"
    PERIOD = "period"
    TERMS = "terms"


_REMEDIES = {
    BillCheckName.FORMAT: "Ask for a fresh copy of the file; this one was edited, cut or made by another program.",
    BillCheckName.AMOUNTS: "The lines and the total were changed apart. Keep this file and ask for a fresh copy.",
    BillCheckName.TREE: "This is not the bill that was posted for your unit. Keep this file and tell the committee.",
    BillCheckName.CONTRACT: "Compare the fingerprint of your trust file with the one on the notice board.",
    BillCheckName.PERIOD: "The contract holds other bills for this period. Keep this file and tell the committee.",
    BillCheckName.TERMS: "These are not the prices that were announced. Keep this file and tell the committee.",
}


def verify_bill_file(encoded: bytes, trust: Trust | None = None, rpc: Rpc | None = None) -> tuple[Check, ...]:
    """The checks of one `minglou-bill/1` file; what rests on a check that has not passed is not checked.

    Args:
        encoded: the file's bytes.
        trust: the roots that say which contract to believe.
        rpc: asks a chain node; it raises `RpcError` when the node does not answer.
    """
    chain = ChainView(rpc, trust) if rpc is not None and trust is not None else None
    return _Verification(encoded, trust, chain).checks()


class _Verification:
    """One run over one bill, from the file outwards to the chain."""

    def __init__(self, encoded: bytes, trust: Trust | None, chain: ChainView | None) -> None:
        self._encoded = encoded
        self._trust = trust
        self._chain = chain
        self._stated: object = None
        self._proof: BillProof | None = None
        self._passed: set[BillCheckName] = set()

    def checks(self) -> tuple[Check, ...]:
        steps: dict[BillCheckName, Callable[[], str]] = {
            BillCheckName.FORMAT: self._check_format,
            BillCheckName.AMOUNTS: self._check_amounts,
            BillCheckName.TREE: self._check_tree,
            BillCheckName.CONTRACT: self._check_contract,
            BillCheckName.PERIOD: self._check_period,
            BillCheckName.TERMS: self._check_terms,
        }
        return tuple(self._run(name, step) for name, step in steps.items())

    def _run(self, name: BillCheckName, step: Callable[[], str]) -> Check:
        check = run_check(name, step, _REMEDIES[name])
        if check.outcome is Outcome.PASSED:
            self._passed.add(name)
        return check

    def _needs(self, *names: BillCheckName) -> BillProof:
        """The bill, for a check that rests on others. Raises `NotCheckedError` unless they have passed."""
        for name in names:
            if name not in self._passed:
                raise NotCheckedError(f"rests on the check {name}, which has not passed")
        assert self._proof is not None
        return self._proof

    def _check_format(self) -> str:
        document = parse_json(self._encoded, length_max=BILL_BYTES_MAX, what="bill", refuse=BillError)
        if isinstance(document, dict):
            # The parser refuses amounts that are not the lines' sums; here that is a check of its own.
            self._stated = document.get("amounts")
            document = {**document, "amounts": _sums(document)}
        self._proof = bill_from_json(document)
        return "the file is a bill in its one form"

    def _check_amounts(self) -> str:
        bill = self._needs(BillCheckName.FORMAT).bill
        amounts = {name: str(getattr(bill.amounts, name)) for name in ("total", "own", "shared", "other")}
        if self._stated != amounts:
            raise BillError(f"the lines add up to {bill.amounts.total} fen, which is not what the bill states")
        twice = doubled(bill.lines)
        if twice is not None:
            raise BillError(f"lines {twice[0]} and {twice[1]} charge the same thing for the same days")
        return f"{len(bill.lines)} lines add up to {bill.amounts.total} fen"

    def _check_tree(self) -> str:
        proof = self._needs(BillCheckName.FORMAT)
        verify_bill(proof)
        together = Amounts.from_word(proof.root.sums).total
        return f"the bill is number {proof.bill.unit_index} of {proof.unit_count}, together {together} fen"

    def _check_contract(self) -> str:
        bill = self._needs(BillCheckName.FORMAT).bill
        if self._trust is None:
            raise NotCheckedError("whose contract this is, only a trust file tells: --trust trust.json")
        if (bill.chain_id, bill.contract) != (self._trust.chain_id, "0x" + self._trust.usage_fees.hex()):
            raise BillError(f"the bill names {bill.contract} on chain {bill.chain_id}, not the contract you trust")
        return "the bill names the contract you trust"

    def _check_period(self) -> str:
        proof = self._needs(BillCheckName.TREE, BillCheckName.CONTRACT)
        if self._chain is None:
            raise NotCheckedError("only the chain knows: name a node, --rpc URL")
        held = self._chain.period(proof.bill.period)
        if held is None:
            raise BillError(f"the contract has closed no period {proof.bill.period}")
        if (held.root, held.sums, held.unit_count) != (proof.root.hash, proof.root.sums, proof.unit_count):
            raise BillError(f"the contract holds other bills for period {proof.bill.period}")
        return f"the contract holds this root for period {proof.bill.period}"

    def _check_terms(self) -> str:
        proof = self._needs(BillCheckName.FORMAT, BillCheckName.CONTRACT)
        named = {line.tariff for line in proof.bill.lines if line.tariff}
        if sorted(version for version, _ in proof.terms) != sorted(named):
            raise BillError("the file brings other terms than its lines name")
        if self._chain is None:
            raise NotCheckedError("only the chain knows: name a node, --rpc URL")
        for version, encoded in proof.terms:
            if sha256(encoded).digest() != self._chain.tariff_digest(version):
                raise BillError(f"the terms of tariff {version} are not those that were announced")
        return f"the prices of {len(named)} tariffs are those that were announced"


def _sums(document: dict[str, Any]) -> object:
    """What the lines of a bill file add up to, as the file would state it; as stated where they cannot be read."""
    sums = {"own": 0, "shared": 0, "other": 0}
    try:
        for line in document["lines"]:
            lane = LANES.get(LineKind(line["kind"]))
            if lane is not None:
                sums[lane] += int(line["amount"])
    except (KeyError, TypeError, ValueError):
        return document.get("amounts")
    return {"total": str(sum(sums.values())), **{name: str(value) for name, value in sums.items()}}
