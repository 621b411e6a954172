"""Evidence against the compiled contracts on a real chain: what is in force there decides."""

from dataclasses import replace
from datetime import date
from hashlib import sha256
from typing import Any

import pytest

from contracts import ed25519, p256
from contracts.calls import anchor_log, registry
from contracts.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from contracts.evidence import Anchor, Assignment, Binding, Evidence, GatewayKey, LogProof, SuperProof, format_evidence
from contracts.onchain import ANCHORED_TOPIC, ChainView, Rpc
from contracts.report import CheckName, State
from contracts.superlog import WitnessPolicy, sign_superlog, superlog_leaf
from contracts.tree import MemoryTree, inclusion_path, leaf_hash
from contracts.trust import Trust
from contracts.verifier import verify_evidence
from tests.contracts.vyper.site import METERS, UNITS, GatewayLog, Site, reading

SUPER_ORIGIN = "minglou.example/log"
SUPER_KEY = ed25519.key_from_seed(sha256(b"super-log").digest())


def octets(address: str) -> bytes:
    return bytes.fromhex(address[2:])


def trust_of(site: Site) -> Trust:
    return Trust(
        chain_id=31337,
        registry=octets(site.registry),
        anchor_log=octets(site.anchor_log),
        usage_fees=octets(site.usage_fees),
        super_log_origin=SUPER_ORIGIN,
        super_log_public=ed25519.public_bytes(SUPER_KEY),
        witness_policy=WitnessPolicy(),
    )


def rpc_of(site: Site) -> Rpc:
    return lambda method, parameters: site.chain.rpc(method, *parameters)


def anchored(site: Site, root: bytes) -> Anchor:
    """Anchor a super-log of one checkpoint, and say where it stands."""
    receipt = site.chain.send(site.relayer, anchor_log.anchor(site.anchor_log, size=1, root=root, proof=[]))
    place = {"fromBlock": hex(receipt.block), "toBlock": hex(receipt.block), "topics": [ANCHORED_TOPIC]}
    (log,) = site.chain.rpc("eth_getLogs", place)
    return Anchor(
        chain_id=31337, contract=octets(site.anchor_log), size=1, root=root, path=(), block=receipt.block,
        block_hash=octets(log["blockHash"]), transaction=octets(log["transactionHash"]),
    )  # fmt: skip


def evidence_of(site: Site, log: GatewayLog) -> Evidence:
    """Anchored evidence of the first flat's closing register, as this gateway logged it."""
    entry = reading(METERS[0], "1-0:1.8.0*20261201", 1_322_456)
    index = log.append(replace(entry, observed_at_ms=1000 * site.chain.now()))
    note = sign_checkpoint(Checkpoint(origin=log.origin, size=log.tree.size, root=log.tree.root()), log.key)
    public = p256.public_bytes(log.key)
    super_log = MemoryTree([leaf_hash(superlog_leaf(open_checkpoint(note, public)))])
    registered = ChainView(rpc_of(site), trust_of(site)).gateway_key(log.origin, public)
    assert registered is not None
    (assignment,) = ChainView(rpc_of(site), trust_of(site)).assignments(METERS[0])
    binding = Binding(unit=UNITS[0], role="own", from_date=date(2026, 9, 1), to_date=None, confirmed=False)
    return Evidence(
        row=log.entries[index].row,
        detail=None,
        log=LogProof(
            origin=log.origin, index=index, size=log.tree.size,
            path=tuple(inclusion_path(log.tree.node, index, log.tree.size)), checkpoint=note,
            key=GatewayKey(public=public, key_class="file", from_block=registered.from_block, to_block=None),
        ),
        assignment=Assignment(
            urn=None, device=METERS[0], origin=log.origin, first_index=0, last_index=None, block=assignment.block,
            binding=binding,
        ),
        super_proof=SuperProof(
            origin=SUPER_ORIGIN, index=0, size=1, path=(),
            note=sign_superlog(Checkpoint(origin=SUPER_ORIGIN, size=1, root=super_log.root()), SUPER_KEY),
        ),
        anchor=anchored(site, super_log.root()),
    )  # fmt: skip


def verified(site: Site, evidence: Evidence) -> Any:
    return verify_evidence(format_evidence(evidence), trust_of(site), rpc_of(site))


def test_an_entry_is_anchored_at_once_and_final_when_its_block_is(site: Site) -> None:
    evidence = evidence_of(site, site.log)
    report = verified(site, evidence)
    assert (report.state, report.broken_at) == (State.ANCHORED, ())
    assert report.marks == ("key class file", "binding not confirmed")
    site.chain.rpc("anvil_mine", hex(80))
    assert verified(site, evidence).state is State.FINAL


def test_a_genuine_entry_of_a_neighbours_gateway_is_refused(site: Site) -> None:
    report = verified(site, evidence_of(site, site.neighbour))
    assert report.broken_at == (CheckName.ASSIGNMENT,)


def test_a_key_that_ended_later_still_vouches_for_what_was_anchored_before(site: Site) -> None:
    evidence = evidence_of(site, site.log)
    site.chain.send(site.committee, registry.revoke_gateway_key(site.registry, origin_id=site.log.origin_id))
    report = verified(site, evidence)
    assert (report.state, report.marks[-1]) == (State.ANCHORED, "key ended")


def test_what_a_revoked_key_signs_afterwards_is_refused(site: Site) -> None:
    site.chain.send(site.committee, registry.revoke_gateway_key(site.registry, origin_id=site.log.origin_id))
    assert verified(site, evidence_of(site, site.log)).broken_at == (CheckName.GATEWAY_KEY,)


@pytest.mark.parametrize("claim", [{"unit": UNITS[1]}, {"role": "pool"}, {"confirmed": True}])
def test_a_binding_that_the_registry_does_not_hold_is_refused(site: Site, claim: dict[str, Any]) -> None:
    evidence = evidence_of(site, site.log)
    assert evidence.assignment is not None
    assert evidence.assignment.binding is not None
    binding = replace(evidence.assignment.binding, **claim)
    claimed = replace(evidence, assignment=replace(evidence.assignment, binding=binding))
    assert verified(site, claimed).broken_at == (CheckName.ASSIGNMENT,)


def test_an_anchor_that_the_chain_dropped_is_refused(site: Site) -> None:
    before = site.chain.snapshot()
    evidence = evidence_of(site, site.log)
    site.chain.revert_to(before)
    site.chain.rpc("anvil_mine", "0x5")
    assert verified(site, evidence).broken_at == (CheckName.ANCHOR,)
