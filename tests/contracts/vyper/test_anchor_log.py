"""AnchorLog: the super-log only grows; gateways' heads need a key in force and a proof; forks end an epoch."""

from hashlib import sha256

import pytest

from contracts.calls import anchor_log, registry
from contracts.calls.anchor_log import NO_HEAD, Accepted, Anchored, ForkReported, Head, SignedHead, parse_event
from contracts.tree import MemoryTree, consistency_path, inclusion_path
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.site import DAY, LIFT, METERS, ORIGIN, GatewayLog, Site, key_of, name, reading, sign_head


def super_tree(size: int, seed: str = "") -> MemoryTree:
    return MemoryTree(sha256(f"checkpoint {seed}{index}".encode()).digest() for index in range(size))


def anchor(site: Site, tree: MemoryTree, old: int, size: int, by: str | None = None) -> None:
    proof = consistency_path(tree.node, old, size) if old else []
    call = anchor_log.anchor(site.anchor_log, size=size, root=tree.root(size), proof=proof)
    site.chain.send(by or site.relayer, call)


def head(site: Site) -> anchor_log.AnchoredHead:
    return anchor_log.parse_head(site.chain.view(anchor_log.head(site.anchor_log)))


def test_the_super_log_grows_by_proof_and_says_so(site: Site) -> None:
    tree = super_tree(300)
    anchor(site, tree, 0, 5)
    proof = consistency_path(tree.node, 5, 300)
    receipt = site.chain.send(site.relayer, anchor_log.anchor(site.anchor_log, size=300, root=tree.root(), proof=proof))
    assert [parse_event(log.topics, log.data) for log in receipt.logs] == [Anchored(300, tree.root())]
    assert (head(site).size, head(site).root) == (300, tree.root())
    roots = anchor_log.parse_recent_roots(site.chain.view(anchor_log.recent_roots(site.anchor_log)))
    assert roots[:3] == (tree.root(), tree.root(5), bytes(32))


def test_the_same_head_again_changes_nothing(site: Site) -> None:
    tree = super_tree(9)
    anchor(site, tree, 0, 9)
    before = head(site)
    receipt = site.chain.send(site.relayer, anchor_log.anchor(site.anchor_log, size=9, root=tree.root(), proof=[]))
    assert receipt.logs == () and head(site) == before


def test_another_root_at_the_anchored_size_is_refused(site: Site) -> None:
    anchor(site, super_tree(9), 0, 9)
    with refused("anchor_log: another root is anchored at this size"):
        anchor(site, super_tree(9, "other"), 0, 9)


def test_a_rewritten_or_shorter_history_is_refused(site: Site) -> None:
    tree, other = super_tree(20), super_tree(20, "other")
    anchor(site, tree, 0, 9)
    with refused("anchor_log: root does not extend the anchored head"):
        anchor(site, other, 9, 20)
    with refused("anchor_log: root does not extend the anchored head"):
        site.chain.send(site.relayer, anchor_log.anchor(site.anchor_log, size=8, root=tree.root(8), proof=[]))


def test_the_first_head_is_checked_for_size_and_takes_no_proof(site: Site) -> None:
    with refused("anchor_log: size is out of range"):
        site.chain.send(site.relayer, anchor_log.anchor(site.anchor_log, size=0, root=bytes(32), proof=[]))
    with refused("anchor_log: size is out of range"):
        site.chain.send(site.relayer, anchor_log.anchor(site.anchor_log, size=2**48, root=bytes(32), proof=[]))
    with refused("anchor_log: the first head needs no proof"):
        site.chain.send(site.relayer, anchor_log.anchor(site.anchor_log, size=2, root=bytes(32), proof=[bytes(32)]))


def test_only_the_relayer_anchors_and_the_committee_after_a_day_of_silence(site: Site) -> None:
    tree = super_tree(9)
    anchor(site, tree, 0, 3)
    with refused("anchor_log: only the relayer anchors"):
        anchor(site, tree, 3, 4, by=site.stranger)
    with refused("anchor_log: committee may anchor after 24 hours of silence"):
        anchor(site, tree, 3, 4, by=site.committee)
    site.chain.wait(DAY + 1)
    anchor(site, tree, 3, 4, by=site.committee)
    assert head(site).size == 4


def test_manager_or_committee_replace_the_relayer(site: Site) -> None:
    tree = super_tree(9)
    anchor(site, tree, 0, 3)
    with refused("anchor_log: only manager or committee"):
        site.chain.send(site.relayer, anchor_log.set_relayer(site.anchor_log, relayer=site.stranger))
    site.chain.send(site.manager, anchor_log.set_relayer(site.anchor_log, relayer=site.stranger))
    with refused("anchor_log: only the relayer anchors"):
        anchor(site, tree, 3, 4)
    anchor(site, tree, 3, 4, by=site.stranger)
    assert head(site).size == 4


def test_the_ring_holds_the_last_thirty_two_roots(site: Site) -> None:
    tree = super_tree(40)
    for size in range(1, 41):
        anchor(site, tree, size - 1, size)
    roots = anchor_log.parse_recent_roots(site.chain.view(anchor_log.recent_roots(site.anchor_log)))
    assert roots == tuple(tree.root(size) for size in range(40, 8, -1))


def test_a_poisoned_super_log_gets_a_successor_and_its_head_is_kept(site: Site) -> None:
    tree, successor = super_tree(9), name("successor")
    anchor(site, tree, 0, 9)
    propose = anchor_log.propose_super_log(site.anchor_log, super_log=successor)
    confirm = anchor_log.confirm_super_log(site.anchor_log, super_log=successor)
    with refused("anchor_log: only the manager proposes a super-log"):
        site.chain.send(site.committee, propose)
    with refused("anchor_log: another super-log was proposed"):
        site.chain.send(site.committee, confirm)
    with refused("anchor_log: super-log has no name"):
        site.chain.send(site.manager, anchor_log.propose_super_log(site.anchor_log, super_log=bytes(32)))
    site.chain.send(site.manager, propose)
    with refused("anchor_log: only the committee confirms a super-log"):
        site.chain.send(site.manager, confirm)
    with refused("anchor_log: delay is not over"):
        site.chain.send(site.committee, confirm)
    site.chain.wait(7 * DAY)
    site.chain.send(site.committee, confirm)
    ended = anchor_log.parse_super_log(site.chain.view(anchor_log.super_log(site.anchor_log, number=0)))
    assert (ended.size, ended.root) == (9, tree.root())
    assert head(site).size == 0
    anchor(site, super_tree(2, "successor"), 0, 2)
    assert head(site).size == 2


def test_a_gateways_heads_are_accepted_forward(site: Site) -> None:
    site.log.fill(1)
    receipt = site.accept(site.log)
    assert parse_event(receipt.logs[0].topics, receipt.logs[0].data) == Accepted(
        site.log.origin_id, 1, site.log.tree.root(), site.chain.now()
    )
    site.log.fill(700)
    site.accept(site.log)
    accepted = anchor_log.accepted(site.anchor_log, origin_id=site.log.origin_id, head=site.heads[ORIGIN])
    assert anchor_log.parse_accepted(site.chain.view(accepted)) == anchor_log.AcceptedHead(True, False)
    stale = anchor_log.accepted(site.anchor_log, origin_id=site.log.origin_id, head=NO_HEAD)
    assert not anchor_log.parse_accepted(site.chain.view(stale)).is_head
    again = site.chain.send(site.stranger, site.accept_call(site.log))
    assert again.logs == ()


def test_a_head_needs_the_registered_key_and_its_low_s_signature(site: Site) -> None:
    site.log.fill(4)
    thief = GatewayLog(ORIGIN, key_of(99), tree=site.log.tree)
    with refused("anchor_log: gateway's signature does not match"):
        site.accept(thief)
    signed = site.log.signed()
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    high = anchor_log.accept(
        site.anchor_log,
        origin=ORIGIN,
        previous=NO_HEAD,
        size=4,
        root=signed.root,
        r=signed.r,
        s=order - signed.s,
        proof=[],
    )
    with refused("anchor_log: gateway's signature does not match"):
        site.chain.send(site.stranger, high)
    ghost = GatewayLog("minglou.example/cuiyuan/ghost/e0", key_of(99), tree=site.log.tree)
    with refused("anchor_log: gateway has no key in force"):
        site.accept(ghost)


def test_sizes_never_fall_and_history_is_never_rewritten(site: Site) -> None:
    site.log.fill(10)
    site.accept(site.log)
    rewritten = GatewayLog(ORIGIN, site.log.key)
    rewritten.append(reading(LIFT, "1-0:1.8.0", 999))
    rewritten.fill(12)
    with refused("anchor_log: root does not extend the accepted head"):
        site.accept(rewritten)
    with refused("anchor_log: size falls"):
        site.accept(site.log, 9)
    site.heads[ORIGIN] = Head(9, site.log.tree.root(9), site.chain.now())
    with refused("anchor_log: another head was accepted last"):
        site.accept(site.log)


def test_the_first_acceptance_is_checked_too(site: Site) -> None:
    site.log.fill(3)
    signed = site.log.signed()
    for size, proof, reason in (
        (0, [], "anchor_log: size is out of range"),
        (2**48, [], "anchor_log: size is out of range"),
        (3, [bytes(32)], "anchor_log: the first head needs no proof"),
    ):
        call = anchor_log.accept(
            site.anchor_log,
            origin=ORIGIN,
            previous=NO_HEAD,
            size=size,
            root=signed.root,
            r=signed.r,
            s=signed.s,
            proof=proof,
        )
        with refused(reason):
            site.chain.send(site.stranger, call)


def test_a_revoked_key_changes_nothing_any_more(site: Site) -> None:
    site.log.fill(5)
    site.accept(site.log)
    site.chain.send(site.committee, registry.revoke_gateway_key(site.registry, origin_id=site.log.origin_id))
    # Whoever holds the stolen key rewrites nothing and adds nothing, however old the entries claim to be.
    site.log.append(reading(METERS[0], "1-0:1.8.0*20261001", 5))
    with refused("anchor_log: gateway has no key in force"):
        site.accept(site.log)


def test_two_roots_for_one_size_end_the_epoch(site: Site) -> None:
    site.log.fill(6)
    site.accept(site.log)
    forked = GatewayLog(ORIGIN, site.log.key)
    forked.append(reading(LIFT, "1-0:1.8.0", 999))
    forked.fill(6)
    call = anchor_log.report_two_roots(site.anchor_log, origin=ORIGIN, a=site.log.signed(), b=forked.signed())
    receipt = site.chain.send(site.stranger, call)
    event = parse_event(receipt.logs[0].topics, receipt.logs[0].data)
    assert isinstance(event, ForkReported) and event.kind == 1
    accepted = anchor_log.accepted(site.anchor_log, origin_id=site.log.origin_id, head=site.heads[ORIGIN])
    assert anchor_log.parse_accepted(site.chain.view(accepted)) == anchor_log.AcceptedHead(True, True)
    site.log.fill(7)
    with refused("anchor_log: epoch was ended by a fork report"):
        site.accept(site.log)
    with refused("anchor_log: epoch was ended by a fork report"):
        site.chain.send(site.stranger, call)


def test_two_leaves_at_one_index_end_the_epoch_before_any_head_was_accepted(site: Site) -> None:
    site.log.fill(6)
    forked = GatewayLog(ORIGIN, site.log.key)
    forked.append(reading(LIFT, "1-0:1.8.0", 999))
    forked.fill(9)
    call = anchor_log.report_two_leaves(
        site.anchor_log,
        origin=ORIGIN,
        a=site.log.signed(),
        b=forked.signed(),
        index=0,
        leaf_a=site.log.tree.node(0, 0),
        path_a=inclusion_path(site.log.tree.node, 0, 6),
        leaf_b=forked.tree.node(0, 0),
        path_b=inclusion_path(forked.tree.node, 0, 9),
    )
    receipt = site.chain.send(site.stranger, call)
    event = parse_event(receipt.logs[0].topics, receipt.logs[0].data)
    assert isinstance(event, ForkReported) and event.kind == 2
    with refused("anchor_log: epoch was ended by a fork report"):
        site.accept(site.log)


@pytest.mark.parametrize("forged", ["signature", "same", "leaf"])
def test_a_fork_report_needs_a_real_contradiction(site: Site, forged: str) -> None:
    site.log.fill(6)
    mine = site.log.signed()
    other = sign_head(key_of(99), ORIGIN, 6, name("another root"))
    if forged == "signature":
        with refused("anchor_log: gateway's signature does not match"):
            site.chain.send(site.stranger, anchor_log.report_two_roots(site.anchor_log, origin=ORIGIN, a=mine, b=other))
        return
    if forged == "same":
        with refused("anchor_log: heads do not contradict each other"):
            site.chain.send(site.stranger, anchor_log.report_two_roots(site.anchor_log, origin=ORIGIN, a=mine, b=mine))
    leaves = (site.log.tree.node(0, 1), name("no leaf"))
    path = inclusion_path(site.log.tree.node, 1, 6)
    for leaf_a, leaf_b, reason in (
        (leaves[0], leaves[0], "anchor_log: heads do not contradict each other"),
        (leaves[1], leaves[0], "anchor_log: first leaf is not under its head"),
        (leaves[0], leaves[1], "anchor_log: second leaf is not under its head"),
    ):
        call = anchor_log.report_two_leaves(
            site.anchor_log,
            origin=ORIGIN,
            a=mine,
            b=SignedHead(mine.size, mine.root, mine.r, mine.s),
            index=1,
            leaf_a=leaf_a,
            path_a=path,
            leaf_b=leaf_b,
            path_b=path,
        )
        with refused(reason):
            site.chain.send(site.stranger, call)
