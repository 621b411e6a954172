"""The contracts at older forks: a month at Prague by the fallback verifier; AnchorLog at London, in two EVMs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from contracts.abi import Call, encode_arguments
from contracts.calls import anchor_log, usage_fees
from contracts.calls.anchor_log import NO_HEAD, Accepted, Anchored, ForkReported, Head, parse_event
from contracts.person import Purpose
from contracts.tree import MemoryTree, consistency_path
from tests.contracts.vyper.chain import Chain, Receipt
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.forks import SECOND_EVM, chain_at, creation_for, recorded, replayed, storage
from tests.contracts.vyper.month import Month, close_month
from tests.contracts.vyper.p256_curve import corners, is_signed
from tests.contracts.vyper.site import (
    GATEWAY_KEY,
    ORIGIN,
    OWNER_KEYS,
    PRECOMPILE,
    SUPER_LOG,
    GatewayLog,
    Site,
    coordinates,
    name,
    reading,
)

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def prague(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Month]:
    with chain_at("prague", tmp_path_factory.mktemp("prague")) as chain:
        site = Site(chain)
        site.set_up()
        yield close_month(site)


def test_a_month_is_billed_and_challenged_at_prague_by_the_fallback_verifier(prague: Month) -> None:
    """Every signature of people and gateways in it went through P256Verifier: the fork has no precompile."""
    prague.open(0)
    prague.answer(0)
    assert prague.status(0).reduction > 0


def test_a_wrong_signature_is_refused_at_prague_too(prague: Month) -> None:
    site = prague.site
    forged = site.sign(0, Purpose.MANDATE, 0, 1, key=OWNER_KEYS[1], nonce=9)
    forged = replace(forged, key_id=site.sign(0, Purpose.MANDATE, 0, 1, nonce=9).key_id)
    with refused("usage_fees: owner's signature does not match"):
        site.chain.send(site.stranger, usage_fees.set_mandate(site.usage_fees, cap=1, signature=forged))


@dataclass(frozen=True, slots=True)
class London:
    """AnchorLog, compiled for London, on a London chain, with the fallback verifier where the precompile would be."""

    chain: Chain
    anchor_log: str
    log: GatewayLog

    def anchor(self, tree: MemoryTree, old: int, size: int) -> Receipt:
        proof = consistency_path(tree.node, old, size) if old else []
        call = anchor_log.anchor(self.anchor_log, size=size, root=tree.root(size), proof=proof)
        return self.chain.send(self.chain.accounts[3], call)

    def accept_call(self, previous: Head, size: int, *, damage: int = 0) -> Call:
        signed = self.log.signed(size)
        return anchor_log.accept(
            self.anchor_log,
            origin=ORIGIN,
            previous=previous,
            size=signed.size,
            root=signed.root,
            r=signed.r ^ damage,
            s=signed.s,
            proof=self.log.consistency(previous.size, size),
        )

    def send(self, call: Call) -> Receipt:
        return self.chain.send(self.chain.accounts[5], call)


@pytest.fixture(scope="module")
def london(tmp_path_factory: pytest.TempPathFactory) -> Iterator[London]:
    with chain_at("london", tmp_path_factory.mktemp("london"), with_every_state=True) as chain:
        deployer, manager, committee, relayer = chain.accounts[:4]
        keys = creation_for("GatewayKeysStandIn", "london", TESTS)
        types = ("address", "address", "uint256", "uint256")
        registry = chain.deploy(
            deployer, keys + encode_arguments("", types, (manager, committee, *coordinates(GATEWAY_KEY)))
        )
        creation = anchor_log.deploy(
            creation_for("AnchorLog", "london"),
            registry=registry,
            relayer=relayer,
            super_log=SUPER_LOG,
            verifier=PRECOMPILE,
        )
        yield London(chain, chain.deploy(deployer, creation), GatewayLog(ORIGIN, GATEWAY_KEY))


def test_anchor_log_and_the_fallback_verifier_work_at_london(london: London) -> None:
    """FISCO BCOS's fork. Ends with a fork report, so it is one story; the second EVM then repeats it."""
    tree = MemoryTree(name(str(number)) for number in range(20))
    london.anchor(tree, 0, 5)
    assert isinstance(event(london.anchor(tree, 5, 20)), Anchored)
    for number in range(9):
        london.log.append(reading(name("meter"), "1-0:1.8.0", number))
    first = event(london.send(london.accept_call(NO_HEAD, 4)))
    assert isinstance(first, Accepted)
    head = Head(first.size, first.root, first.accepted_at)
    with refused("anchor_log: gateway's signature does not match"):
        london.send(london.accept_call(head, 9, damage=1))
    assert isinstance(event(london.send(london.accept_call(head, 9))), Accepted)
    other = GatewayLog(ORIGIN, GATEWAY_KEY)
    for number in range(9):
        other.append(reading(name("meter"), "1-0:1.8.0", number + 1))
    report = anchor_log.report_two_roots(london.anchor_log, origin=ORIGIN, a=london.log.signed(9), b=other.signed(9))
    assert isinstance(event(london.send(report)), ForkReported)


def test_the_verifier_answers_the_corners_at_london(london: London) -> None:
    for case in corners():
        expected = (1).to_bytes(32) if is_signed(*case.numbers) else b""
        assert london.chain.view(Call(to=PRECOMPILE, data=case.encode())) == expected, case.name


@pytest.mark.skipif(not SECOND_EVM.exists(), reason="the second EVM is not installed; `make install` does it")
def test_the_execution_specification_agrees_with_the_london_chain(london: London) -> None:
    blocks = recorded(london.chain)
    answer = replayed(london.chain, "london", blocks, [london.anchor_log])
    receipts = [receipt for block in blocks for receipt in block["receipts"]]
    assert len(receipts) >= 7
    assert [receipt["gas"] for receipt in answer["receipts"]] == [int(ours["gasUsed"], 16) for ours in receipts]
    assert [len(receipt["logs"]) for receipt in answer["receipts"]] == [len(ours["logs"]) for ours in receipts]
    assert answer["contracts"][london.anchor_log]["storage"] == storage(london.chain)[london.anchor_log]


def event(receipt: Receipt) -> object:
    return parse_event(receipt.logs[0].topics, receipt.logs[0].data)
