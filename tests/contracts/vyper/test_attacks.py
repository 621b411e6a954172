"""What single parties try: the relayer, a manager with ghosts, a revoked gateway, a neighbour's entry."""

from dataclasses import replace

from eth_utils.crypto import keccak

from contracts.abi import Call
from contracts.calls import (
    anchor_log,
    bindings,
    challenges,
    crews,
    registry,
    roll,
    roll_changes,
    tariffs,
    token,
    usage_fees,
)
from contracts.calls.charges import LineProof
from contracts.calls.registry_events import Announced, parse_event
from contracts.calls.roll import Additions
from contracts.calls.roll_events import UnitAdded
from contracts.calls.roll_events import parse_event as parse_roll_event
from contracts.key_table import KeyTable
from contracts.person import Purpose
from contracts.vyper.compile import artifact
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.month import PADDING, Month, close_month
from tests.contracts.vyper.site import (
    BUILDING,
    CLOSING,
    CONTRACTS,
    DAY,
    FIRM,
    INSTALLER,
    METERS,
    OPENING,
    ORIGIN,
    PERIOD,
    RESIDENTIAL,
    UNITS,
    WINDOW,
    GatewayLog,
    Site,
    key_id,
    key_of,
    name,
    sign_head,
    span,
)
from tests.contracts.vyper.test_face import abi_type
from tests.contracts.vyper.test_registry import INNER


def forbidden_witnesses(site: Site) -> dict[str, tuple[Call, str]]:
    """Everything that makes or ends a witness, as the relayer would try it."""
    only_party = "registry: only manager or committee may do this"
    return {
        "a gateway": (
            registry.announce(site.registry, calls=[site.gateway_change("a.b/c/d/e0", key_of(666))]),
            only_party,
        ),
        "an approval": (registry.approve(site.registry, number=0), only_party),
        "a manager": (registry.succeed_manager(site.registry, new=site.relayer), only_party),
        "a letter": (
            roll.post_letters(site.roll, units=UNITS[:1], digests=[bytes(32)]),
            "roll: only the committee or its registrar posts letters",
        ),
        "a revoked gateway": (registry.revoke_gateway_key(site.registry, origin_id=site.log.origin_id), only_party),
        "a revoked office": (
            registry.revoke_role(site.registry, role=registry.OPERATOR, account=site.operator),
            only_party,
        ),
        "an announcement in another's name": (
            registry.announce_signed(site.registry, data=b"1234"),
            "registry: only a contract of the site announces for a signer",
        ),
        "an ended crew member": (
            crews.end_member(site.crews, alias=INSTALLER),
            "crews: only manager or committee may do this",
        ),
        "an ended firm": (crews.end_firm(site.crews, firm=FIRM), "crews: only manager or committee may do this"),
        "a confirmed meter": (
            bindings.confirm_as_committee(site.bindings, devices=METERS[:1], numbers=[0]),
            "bindings: only the committee may do this",
        ),
        "a veto": (
            registry.veto(site.registry, number=0, mask=1),
            "registry: only the committee may veto",
        ),
    }


def forbidden_to_the_relayer(site: Site, month: Month) -> dict[str, tuple[Call, str]]:
    """Everything by which somebody can make a fact, as the relayer would try it with its own key alone."""
    ghost = sign_head(key_of(666), ORIGIN, 1001, name("ghost history"))
    return forbidden_witnesses(site) | {
        "a reading": (
            anchor_log.accept(
                site.anchor_log,
                origin=ORIGIN,
                previous=site.heads[ORIGIN],
                size=1001,
                root=ghost.root,
                r=ghost.r,
                s=ghost.s,
                proof=site.log.consistency(1000, 1000),
            ),
            "anchor_log: root does not extend the accepted head",
        ),
        "a fork": (
            anchor_log.report_two_roots(
                site.anchor_log, origin=ORIGIN, a=ghost, b=sign_head(key_of(666), ORIGIN, 1001, name("another"))
            ),
            "anchor_log: gateway's signature does not match",
        ),
        "a relayer": (
            anchor_log.set_relayer(site.anchor_log, relayer=site.stranger),
            "anchor_log: only manager or committee",
        ),
        "a super-log": (
            anchor_log.propose_super_log(site.anchor_log, super_log=name("mine")),
            "anchor_log: only the manager proposes a super-log",
        ),
        "a tariff": (
            tariffs.announce(site.tariffs, tariff=RESIDENTIAL),
            "tariffs: only the manager or the tariffs office announces tariffs",
        ),
        "an approved tariff": (
            tariffs.approve(site.tariffs, version=1),
            "tariffs: only the committee may do this",
        ),
        **fees_forbidden_to_the_relayer(site, month),
        "money": (token.mint(site.token, recipient=site.relayer, amount=1), "token: only the minter mints"),
    }


def fees_forbidden_to_the_relayer(site: Site, month: Month) -> dict[str, tuple[Call, str]]:
    """What he might try with bills, balances and the bond."""
    thief, nonce = key_of(666), 99
    return {
        "a bill": (
            usage_fees.close_period(site.usage_fees, period=PERIOD, root=name("r"), sums=0, unit_count=3),
            "usage_fees: only the operator may do this",
        ),
        "a corrected period": (
            usage_fees.supersede(site.usage_fees, period=PERIOD, root=name("r"), sums=0, document=name("d")),
            "usage_fees: only the operator may do this",
        ),
        "a credit note": (
            usage_fees.credit(site.usage_fees, unit_index=0, amount=1, note=name("note")),
            "usage_fees: only the operator may do this",
        ),
        "volumes": (
            tariffs.post_volumes(site.tariffs, period=PERIOD, table=KeyTable(pool=name("pool"), keys=(1,))),
            "tariffs: only the operator may do this",
        ),
        "a judgement": (
            challenges.judge(
                site.challenges,
                period=PERIOD,
                unit_index=0,
                number=0,
                line=month.bills[0].lines[0],
                terms=None,
                charge=0,
                reason=name("reason"),
            ),
            "challenges: only the arbiter may do this",
        ),
        "another unit's balance": (
            usage_fees.move(
                site.usage_fees,
                to_index=1,
                amount=1,
                signature=site.sign(0, Purpose.MOVE, 0, 1, 1, nonce=nonce, key=thief),
            ),
            "usage_fees: key is not in force",
        ),
        "who moves out": (
            usage_fees.leave(
                site.usage_fees,
                date=CLOSING,
                reading=name("reading"),
                recipient=site.relayer,
                signature=site.sign(
                    0, Purpose.LEAVE, 0, CLOSING, name("reading"), site.relayer, nonce=nonce, key=thief
                ),
            ),
            "usage_fees: key is not in force",
        ),
        "the bond": (
            usage_fees.withdraw_bond(site.usage_fees, amount=1, recipient=site.relayer),
            "usage_fees: only the operator may do this",
        ),
        "the fees": (
            usage_fees.collect(site.usage_fees, amount=1, recipient=site.relayer),
            "usage_fees: only the operator may do this",
        ),
        "a balance": (
            usage_fees.withdraw(
                site.usage_fees,
                amount=1,
                recipient=site.relayer,
                signature=site.sign(0, Purpose.WITHDRAW, 0, 1, site.relayer, nonce=nonce, key=thief),
            ),
            "usage_fees: key is not in force",
        ),
        "a mandate": (
            usage_fees.set_mandate(
                site.usage_fees, cap=1, signature=site.sign(0, Purpose.MANDATE, 0, 1, nonce=nonce, key=thief)
            ),
            "usage_fees: key is not in force",
        ),
    }


def test_the_relayers_key_alone_makes_nothing_true(site: Site) -> None:
    month = close_month(site)
    tried = forbidden_to_the_relayer(site, month)
    assert len(tried) >= 18
    for call, reason in tried.values():
        with refused(reason):
            site.chain.send(site.relayer, call)


def test_every_function_is_either_tried_by_the_relayer_or_open_to_anyone(site: Site) -> None:
    """A new function must be put on one of the two lists."""
    month = close_month(site)
    tried = {call.data[:4] for call, _ in forbidden_to_the_relayer(site, month).values()}
    # Functions whose effect rests on somebody's signature, on proofs, on time, or on the caller's own money.
    open_to_anyone = {
        "veto_signed", "enact", "rotate_owner_key", "revoke_owner_key", "rotate_crew_key", "revoke_crew_key",
        "attest", "confirm", "contest", "swap_signed",
        "accept", "report_two_leaves", "anchor",
        "post_bond", "top_up", "debit", "pay", "present_receipt", "close_account",
        "open_challenge", "answer", "correct_sum", "correct_double", "correct_note", "reverse", "demand", "show",
        "flag_silence", "hear", "clear_silence", "claim",
        "transfer", "transferFrom", "approve",
        "report_silence", "report_life", "report_overlap",
    }  # fmt: skip
    # Functions of the committee that the list above does not try under this name but refuse by the same check.
    committees = {"succeed_committee", "confirm_super_log", "veto", "swap_as_committee"}
    # What only Challenges.vy may do, whoever asks: test_fee_accounts tries each from every office.
    challenges_own = {"hold", "settle", "credit_missing", "set_silent"}
    inner = {call.data[:4] for _, call in INNER}
    for contract in CONTRACTS.values():
        for item in artifact(contract).abi:
            if item["type"] != "function" or item["stateMutability"] in ("view", "pure"):
                continue
            signature = f"{item['name']}({','.join(abi_type(parameter) for parameter in item['inputs'])})"
            selector = keccak(text=signature)[:4]
            known = selector in tried | inner or item["name"] in open_to_anyone | committees | challenges_own
            assert known, f"{contract}.{signature} is on no list"


def test_the_committees_own_functions_refuse_the_relayer(site: Site) -> None:
    cases = (
        (
            registry.succeed_committee(site.registry, new=site.relayer),
            "registry: only the committee may name its successor",
        ),
        (
            anchor_log.confirm_super_log(site.anchor_log, super_log=name("x")),
            "anchor_log: only the committee confirms a super-log",
        ),
        (tariffs.veto(site.tariffs, version=1), "tariffs: only the committee may do this"),
    )
    for call, reason in cases:
        with refused(reason):
            site.chain.send(site.relayer, call)


def test_a_manager_cannot_enrol_two_hundred_ghost_owners(site: Site) -> None:
    """Alone he enrols none; what he announces is counted in public; the committee stops a batch at once."""
    ghosts = [name(f"ghost {index}") for index in range(200)]
    units = [
        roll_changes.NewUnit(alias=alias, area_centi_m2=9000, head=3 + n, building=66) for n, alias in enumerate(ghosts)
    ]
    changes = [site.units_change(units[start : start + 5]) for start in range(0, 200, 5)]
    for calls in (changes[:20], changes[20:]):
        receipt = site.chain.send(site.manager, registry.announce(site.registry, calls=calls))
        event = parse_event(receipt.logs[0].topics, receipt.logs[0].data)
        assert isinstance(event, Announced) and event.effective_at == 0
        assert event.calls == tuple((call.to, call.data) for call in calls)
        with refused("registry: the other party must approve"):
            site.chain.send(site.manager, registry.approve(site.registry, number=event.number))
        site.chain.wait(400 * DAY)
        enact = registry.enact(site.registry, number=event.number, calls=calls)
        with refused("registry: the second party has not approved"):
            site.chain.send(site.manager, enact)
        # Even with an approval given by mistake there are seven days to see the units and stop them.
        site.chain.send(site.committee, registry.approve(site.registry, number=event.number))
        site.chain.send(site.committee, registry.veto(site.registry, number=event.number, mask=2**256 - 1))
        site.chain.wait(7 * DAY)
        enacted = site.chain.send(site.stranger, enact)
        assert not [log for log in enacted.logs if isinstance(parse_roll_event(log.topics, log.data), UnitAdded)]
    counted = roll.building_additions(site.roll, building=66)
    assert roll.parse_building_additions(site.chain.view(counted)) == Additions(0, 0)
    # And for units that exist, the first key needs the owner's letter, later ones can be vetoed by the present key.
    call = site.owner_key_change(UNITS[0], key_of(666))
    number = site.announce(call)
    site.chain.send(site.committee, registry.approve(site.registry, number=number))
    signature = site.sign(0, Purpose.VETO, number, 0, contract=site.registry)
    site.chain.send(
        site.stranger,
        registry.veto_signed(site.registry, number=number, calls=[call], call_index=0, signature=signature),
    )
    site.chain.wait(7 * DAY)
    site.chain.send(site.stranger, registry.enact(site.registry, number=number, calls=[call]))
    ghost = roll.owner_key(site.roll, key_id=key_id(key_of(666)))
    assert roll.parse_owner_key(site.chain.view(ghost)).kind == 0


def test_a_ghost_gateways_entries_count_for_nobody(site: Site) -> None:
    ghost = GatewayLog("minglou.example/cuiyuan/ghost/e0", key_of(666))
    for date, value in ((20260901, 0), (OPENING, 0), (CLOSING, 9_000_000)):
        ghost.read(METERS[0], date, value)
    with refused("anchor_log: gateway has no key in force"):
        site.accept(ghost)
    with refused("registry: only an enacted batch may do this"):
        site.chain.send(site.manager, site.gateway_change(ghost.origin, ghost.key))
    # Enrolled by both parties, it still writes for no meter until the Registry assigns one to it.
    site.enact(site.gateway_change(ghost.origin, ghost.key))
    added = registry.gateways_added(site.registry, building=BUILDING)
    assert registry.parse_gateways_added(site.chain.view(added)) == 3  # and everybody sees that there is one more
    month = close_month(site)
    site.accept(ghost)
    month.open(0)
    call = answer_call(month, ghost, (0, 1, 2))
    with refused("charges: device does not write to this log"):
        site.chain.send(site.operator, call)


def answer_call(month: Month, log: GatewayLog, indexes: tuple[int, int, int]) -> Call:
    site, size = month.site, month.site.heads[log.origin].size
    since, opening, closing = indexes
    proof = LineProof(
        terms=RESIDENTIAL.terms,
        logs=[(log.origin_id, site.heads[log.origin])],
        before=[span(log, size, since, opening)],
        during=[span(log, size, opening, closing)],
    )
    line = month.bills[0].lines[0]
    return challenges.answer(site.challenges, period=PERIOD, unit_index=0, number=0, line=line, proof=proof)


def test_a_revoked_key_backdates_nothing(site: Site) -> None:
    month = close_month(site)
    meter = METERS[0]
    site.chain.send(site.committee, registry.revoke_gateway_key(site.registry, origin_id=site.log.origin_id))
    # The thief logs a closing of the month with a date that lies before the revocation.
    backdated = site.log.read(meter, CLOSING, 1_000_000 + 2_600_000 + 350_000 + 20_000)
    with refused("anchor_log: gateway has no key in force"):
        site.accept(site.log)
    month.open(0)
    size = site.log.tree.size
    proof = span(site.log, size, month.indexes[meter, OPENING], backdated)
    with refused("charges: entry is not in the accepted log"):
        month.answer(0, during=[proof])
    month.answer(0)  # What was accepted before the revocation stays evidence.
    assert month.status(0).reduction == PADDING


def test_a_genuine_entry_of_a_neighbours_gateway_is_refused(site: Site) -> None:
    month = close_month(site)
    other = site.neighbour
    for date, value in ((20260901, 0), (OPENING, 0), (CLOSING, 9_000_000)):
        other.read(METERS[0], date, value)
    site.accept(other)
    month.open(0)
    with refused("charges: device does not write to this log"):
        site.chain.send(site.operator, answer_call(month, other, (0, 1, 2)))


def test_an_index_beyond_the_size_is_refused(site: Site) -> None:
    month = close_month(site)
    month.open(0)
    good = month.span(METERS[0], OPENING, CLOSING)
    size = site.heads[ORIGIN].size
    for index in (size, good.closing.index + size, good.closing.index + 2**48, 2**255):
        with refused("charges: entry is not in the accepted log"):
            month.answer(0, during=[replace(good, closing=replace(good.closing, index=index))])


def test_the_operator_cannot_pad_a_bill_and_keep_it(site: Site) -> None:
    """Answered with true entries it is corrected, in silence it is reversed, and no forged entry proves it."""
    month = close_month(site)
    month.open(0)
    forged = GatewayLog(ORIGIN, key_of(666), tree=site.log.tree, entries=site.log.entries)
    forged.read(METERS[0], CLOSING, 9_000_000)
    with refused("anchor_log: gateway's signature does not match"):
        site.accept(forged)
    site.chain.wait(WINDOW + 1)
    with refused("challenges: answer is too late"):
        month.answer(0)
    site.chain.send(site.stranger, challenges.reverse(site.challenges, period=PERIOD, unit_index=0, number=0))
    assert month.status(0).reduction == month.bills[0].lines[0].amount
