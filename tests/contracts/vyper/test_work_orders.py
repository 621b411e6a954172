"""WorkOrders: an order's whole way, and every refusal beside its success."""

from dataclasses import replace
from hashlib import sha256

from contracts.calls import crews_changes, roll, roll_changes, token, work_orders
from contracts.calls import work_orders_events as events
from contracts.p256 import PrivateKey
from contracts.person import PersonSignature, Purpose
from contracts.work_order import LIFT_FAULT, Cause, Fault, State, Trigger, owners_order, triggers
from tests.contracts.vyper.assembly_site import ORIGIN, RP_ID_HASH, TAIL, authenticator, sign_passkey
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.fund_site import CHAIN_ID, FOREVER, UNITS
from tests.contracts.vyper.site import DAY, LICENCE_UNTIL, LIFT, coordinates, key_id, key_of, name
from tests.contracts.vyper.work_site import (
    HOUR,
    MECHANICS,
    OWNERS,
    PRICE,
    TERMS,
    WorkSite,
)


def test_terms_are_those_of_the_deployment(work: WorkSite) -> None:
    assert work_orders.parse_terms(work.chain.view(work_orders.terms(work.orders))) == TERMS
    assert work_orders.parse_fault(work.chain.view(work_orders.fault(work.orders, quantity="lift.mode"))) == (8, 1)
    for terms in (replace(TERMS, reopens_max=256), replace(TERMS, price_max=2**64)):
        with refused("work_orders: terms are out of range"):
            work.deploy(terms)
    with refused("work_orders: a value is faulty and sound"):
        work.deploy(TERMS, [LIFT_FAULT, Fault(quantity="smoke", faulty=(1, 2), sound=(0, 2))])


# --- Owners' orders ---


def test_an_order_from_report_to_payment(work: WorkSite) -> None:
    order = work.report()
    found = work.order(order)
    assert (found.state, found.source, found.seen_at) == (State.REPORTED, UNITS[0], 0)
    work.accept_paid(order)
    assert work.held(work.orders) == work.escrowed() == PRICE
    work.finish(order)
    assert work.held(work.firm) == 0
    work.confirm(order)
    assert work.order(order).state is State.CONFIRMED and work.order(order).is_closed
    assert work.held(work.firm) == PRICE and work.escrowed() == 0


def test_a_report_is_signed_by_a_key_in_force_and_counts_once(work: WorkSite) -> None:
    report = name("door")
    signature = work.sign(OWNERS[0], Purpose.REPORT_WORK, LIFT, report)
    with refused("work_orders: owner's signature does not match"):
        call = work_orders.report(work.orders, device=LIFT, report=name("another door"), signature=signature)
        work.send(work.relayer, call)
    with refused("work_orders: key is not in force"):
        stranger = work.sign(MECHANICS[1], Purpose.REPORT_WORK, LIFT, report)
        work.send(work.relayer, work_orders.report(work.orders, device=LIFT, report=report, signature=stranger))
    with refused("work_orders: signature's deadline has passed"):
        late = work.sign(OWNERS[0], Purpose.REPORT_WORK, LIFT, report, deadline=work.chain.now() - 1)
        work.send(work.relayer, work_orders.report(work.orders, device=LIFT, report=report, signature=late))
    call = work_orders.report(work.orders, device=LIFT, report=report, signature=signature)
    work.send(work.relayer, call)
    with refused("work_orders: order is known"):
        work.send(work.stranger, call)


def test_an_owner_takes_back_what_nobody_has_accepted(work: WorkSite) -> None:
    order, accepted = work.report(), work.report()
    with refused("work_orders: another unit reported it"):
        work.withdraw(order, owner=1)
    work.withdraw(order)
    assert work.order(order).state is State.WITHDRAWN
    work.accept(accepted)
    with refused("work_orders: order is in another state"):
        work.withdraw(accepted)


def test_the_manager_accepts_for_a_licensed_firm_with_a_promise(work: WorkSite) -> None:
    order = work.report()
    for other in (work.stranger, work.committee, work.relayer):
        with refused("work_orders: only the manager accepts for a firm"):
            work.accept(order, by=other)
    with refused("work_orders: firm has no licence in force"):
        work.accept(order, firm=3)
    work.end_firm(2)
    work.chain.wait(1)
    with refused("work_orders: firm has no licence in force"):
        work.accept(order, firm=2)
    with refused("work_orders: promise is in the past"):
        work.accept(order, promise_at=work.chain.now() - 1)
    with refused("work_orders: promise is too far away"):
        work.accept(order, promise_at=work.chain.now() + TERMS.promise_max + HOUR)
    with refused("work_orders: price or budget is out of range"):
        work.accept_paid(order, 2**64)
    with refused("work_orders: nobody to pay"):
        work.accept(order, price=1)
    with refused("work_orders: order is not open"):
        work.accept(name("no order"))
    work.accept(order)
    assert work.order(order).firm == 1


def test_a_firm_accepts_by_itself_and_the_manager_may_choose_another_without_a_later_promise(work: WorkSite) -> None:
    order = work.report()
    work.accept_as_firm(order, seconds=DAY)
    promise_at = work.order(order).promise_at
    with refused("work_orders: promise is later than the one that stands"):
        work.accept(order, firm=2, promise_at=promise_at + 1)
    work.accept(order, firm=2, promise_at=promise_at, price=PRICE, payee=work.firm)
    with refused("work_orders: order is not open"):
        work.accept(order)
    with refused("work_orders: order is in another state"):
        work.accept_as_firm(order)
    with refused("work_orders: another firm accepted the order"):
        work.finish(order, firm=1)
    work.finish(order, firm=2)


def test_who_takes_over_a_missed_promise_gives_one_that_lies_ahead(work: WorkSite) -> None:
    """Else the manager could put a missed promise on record for a firm that never gave one."""
    order = work.report()
    work.accept_as_firm(order, seconds=DAY)
    with refused("work_orders: promise is in the past"):
        work.accept(order, firm=2, promise_at=1)
    work.chain.wait(DAY + 1)
    work.send(work.stranger, work_orders.escalate(work.orders, order=order))
    with refused("work_orders: promise is in the past"):
        work.accept(order, firm=2, promise_at=work.order(order).promise_at)
    work.accept(order, firm=2)
    assert work.order(order).escalated == 0 and work.order(order).promise_at > work.chain.now()
    assert work.book().order(order).escalated == 0


def test_a_firms_promise_is_bounded_too(work: WorkSite) -> None:
    order = work.report()
    with refused("work_orders: promise is too far away"):
        work.accept_as_firm(order, seconds=TERMS.promise_max + HOUR)
    work.accept_as_firm(order)


def test_done_is_said_by_a_licensed_key_of_the_firm_with_evidence(work: WorkSite) -> None:
    order = work.report()
    with refused("work_orders: order is in another state"):
        work.finish(order)
    work.accept(order)
    key = MECHANICS[1]
    with refused("work_orders: evidence is missing"):
        unproven = work.sign(key, Purpose.FINISH_WORK, order, bytes(32), 0)
        work.send(work.relayer, work_orders.finish(work.orders, order=order, evidence=bytes(32), signature=unproven))
    with refused("work_orders: crew key is not in force"):
        owner = work.sign(OWNERS[0], Purpose.FINISH_WORK, order, name("photographs"), 0)
        work.send(
            work.relayer, work_orders.finish(work.orders, order=order, evidence=name("photographs"), signature=owner)
        )
    with refused("work_orders: crew's signature does not match"):
        signature = work.sign(key, Purpose.FINISH_WORK, order, name("photographs"), 0)
        work.send(
            work.relayer, work_orders.finish(work.orders, order=order, evidence=name("others"), signature=signature)
        )
    with refused("work_orders: signature's deadline has passed"):
        late = work.sign(key, Purpose.FINISH_WORK, order, name("photographs"), 0, deadline=work.chain.now() - 1)
        work.send(
            work.relayer, work_orders.finish(work.orders, order=order, evidence=name("photographs"), signature=late)
        )
    other = work.report()
    work.accept(other, firm=2)
    work.end_firm(2)
    work.chain.wait(1)
    with refused("work_orders: licence is over"):
        work.finish(other, firm=2)
    work.finish(order)
    assert work.order(order).state is State.DONE


def test_the_sites_own_people_do_what_no_firm_was_called_for(work: WorkSite) -> None:
    order = work.report()
    work.accept(order, firm=0)
    with refused("work_orders: another firm accepted the order"):
        work.finish(order, firm=1)
    work.finish(order, firm=0)


def test_only_the_reporting_unit_confirms_or_reopens(work: WorkSite) -> None:
    order = work.done(PRICE)
    with refused("work_orders: another unit reported it"):
        work.confirm(order, owner=1)
    with refused("work_orders: another unit reported it"):
        work.reopen(order, owner=1)
    work.reopen(order)
    found = work.order(order)
    assert (found.state, found.reopened, found.round) == (State.ACCEPTED, 1, 1)
    assert found.promise_at == work.chain.now() + TERMS.redo_within and work.escrowed() == PRICE
    with refused("work_orders: order is in another state"):
        work.confirm(order)


def test_a_signature_serves_one_round(work: WorkSite) -> None:
    order = work.done()
    first = work.sign(OWNERS[0], Purpose.REOPEN_WORK, order, name("still drips"), 0)
    done = work.sign(MECHANICS[1], Purpose.FINISH_WORK, order, name("photographs"), 0)
    call = work_orders.reopen(work.orders, order=order, reason=name("still drips"), signature=first)
    work.send(work.relayer, call)
    with refused("work_orders: crew's signature does not match"):
        work.send(
            work.relayer, work_orders.finish(work.orders, order=order, evidence=name("photographs"), signature=done)
        )
    work.finish(order)
    with refused("work_orders: owner's signature does not match"):
        work.send(work.relayer, call)


def test_silence_confirms_when_the_window_is_over_and_not_before(work: WorkSite) -> None:
    order = work.done(PRICE)
    lapse = work_orders.lapse(work.orders, order=order)
    with refused("work_orders: window is open"):
        work.send(work.firm, lapse)
    work.chain.wait(TERMS.confirm_within + 1)
    with refused("work_orders: window is over"):
        work.reopen(order)
    assert triggers(work.order(order), TERMS, work.chain.now()) == (Trigger.LAPSE,)
    work.send(work.firm, lapse)
    assert work.order(order).state is State.LAPSED and work.held(work.firm) == PRICE
    with refused("work_orders: order is in another state"):
        work.send(work.firm, lapse)


def test_reopening_is_bounded_and_then_the_committee_may_refuse(work: WorkSite) -> None:
    order = work.done(PRICE)
    refuse = work_orders.refuse(work.orders, order=order, document=name("expert's report"))
    with refused("work_orders: work can still be reopened"):
        work.send(work.committee, refuse)
    for _ in range(TERMS.reopens_max):
        work.reopen(order)
        work.finish(order)
    with refused("work_orders: reopened too often"):
        work.reopen(order)
    with refused("work_orders: only the committee refuses work"):
        work.send(work.manager, refuse)
    before = work.held(work.manager)
    work.send(work.committee, refuse)
    assert work.held(work.manager) == before + PRICE and work.escrowed() == 0
    found = work.order(order)
    assert (found.state, found.round, found.reopened) == (State.REPORTED, 3, 0)
    with refused("work_orders: order is in another state"):
        work.send(work.committee, refuse)


def test_the_committee_refuses_only_within_the_window(work: WorkSite) -> None:
    order = work.done(PRICE)
    for _ in range(TERMS.reopens_max):
        work.reopen(order)
        work.finish(order)
    work.chain.wait(TERMS.confirm_within + 1)
    with refused("work_orders: window is over"):
        work.send(work.committee, work_orders.refuse(work.orders, order=order, document=name("expert's report")))
    work.send(work.stranger, work_orders.lapse(work.orders, order=order))


def test_anyone_puts_on_record_what_is_late_once_for_each_cause(work: WorkSite) -> None:
    order = work.report()
    escalate = work_orders.escalate(work.orders, order=order)
    with refused("work_orders: there is still time"):
        work.send(work.stranger, escalate)
    work.chain.wait(TERMS.accept_within + 1)
    assert triggers(work.order(order), TERMS, work.chain.now()) == (Trigger.ESCALATE,)
    work.send(work.stranger, escalate)
    assert triggers(work.order(order), TERMS, work.chain.now()) == ()
    with refused("work_orders: order is escalated"):
        work.send(work.stranger, escalate)
    work.accept(order)
    with refused("work_orders: there is still time"):
        work.send(work.stranger, escalate)
    work.chain.wait(DAY + 1)
    work.send(work.stranger, escalate)
    assert work.order(order).escalated == Cause.NOT_ACCEPTED | Cause.PROMISE_MISSED
    work.finish(order)
    with refused("work_orders: order waits for nobody"):
        work.send(work.stranger, escalate)


def test_a_promise_missed_for_long_frees_order_and_escrow(work: WorkSite) -> None:
    order = work.report()
    work.accept_paid(order)
    before = work.held(work.manager)
    release = work_orders.release(work.orders, order=order)
    with refused("work_orders: order is in another state"):
        work.send(work.stranger, work_orders.release(work.orders, order=name("no order")))
    work.chain.wait(DAY + HOUR)
    with refused("work_orders: firm may still come"):
        work.send(work.stranger, release)
    work.chain.wait(TERMS.give_up_after)
    assert Trigger.RELEASE in triggers(work.order(order), TERMS, work.chain.now())
    work.send(work.stranger, release)
    assert work.held(work.manager) == before + PRICE and work.order(order).state is State.REPORTED
    work.accept(order, firm=2)


# --- Escrow from the fund ---


def test_escrow_is_drawn_from_a_budget_that_owners_resolved_and_returns_there(work: WorkSite) -> None:
    budget = work.budget(30_000)
    paid, refunded = work.report(), work.report()
    with refused("work_orders: price is above what may be drawn"):
        work.accept_paid(paid, TERMS.price_max + 1, budget)
    with refused("reserve_fund: there is no such budget"):
        work.accept_paid(paid, PRICE, budget + 1)
    work.accept_paid(paid, PRICE, budget)
    work.accept_paid(refunded, 2 * PRICE, budget)
    assert work.purse().fund == 1_000_000 - 3 * PRICE and work.escrowed() == 3 * PRICE
    work.finish(paid)
    work.confirm(paid)
    work.chain.wait(DAY + TERMS.give_up_after + 1)
    work.send(work.stranger, work_orders.release(work.orders, order=refunded))
    assert work.purse().fund == 1_000_000 - PRICE and work.held(work.firm) == PRICE
    assert work.held(work.orders) == work.escrowed() == 0


def test_a_token_that_says_no_is_believed(work: WorkSite) -> None:
    work.chain.rpc("anvil_setCode", work.token, "0x600060005260206000f3")
    with refused("tokens: token refused the transfer"):
        work.accept_paid(work.report())


def test_escrow_is_what_arrived(work: WorkSite) -> None:
    """A token may say yes and move nothing, as one does that answers 1 to everything."""
    work.chain.rpc("anvil_setCode", work.token, "0x600160005260206000f3")
    with refused("tokens: another amount arrived"):
        work.accept_paid(work.report())


def test_the_manager_needs_the_money(work: WorkSite) -> None:
    work.chain.send(work.manager, token.approve(work.token, spender=work.orders, amount=PRICE - 1))
    with refused("token: allowance is too small"):
        work.accept_paid(work.report())


# --- Passkeys ---


def test_passkeys_report_and_finish_as_software_keys_do(work: WorkSite) -> None:
    site, owner, mechanic = work.fund_site, key_of(3300), key_of(3301)
    letter = sha256(name("code of a passkey")).digest()
    work.chain.send(work.committee, roll.post_letters(site.roll, units=[UNITS[2]], digests=[letter]))
    parties = {"number": 1, "rp_id_hash": RP_ID_HASH, "origin": ORIGIN}
    owners_key = dict(zip("xy", coordinates(owner), strict=True)) | {"kind": 1, "relying_party": 1}
    mechanics_key = dict(zip("xy", coordinates(mechanic), strict=True)) | {"kind": 1, "relying_party": 1}
    alias = name("mechanic with a passkey")
    site.enact(
        roll_changes.set_relying_party(site.roll, **parties),
        crews_changes.set_relying_party(site.crews, **parties),
        roll_changes.add_owner_key(site.roll, unit=UNITS[2], letter_code=name("code of a passkey"), **owners_key),
        crews_changes.set_member(site.crews, alias=alias, firm=1, duties=1, licence_until=LICENCE_UNTIL),
        crews_changes.add_crew_key(site.crews, alias=alias, **mechanics_key),
    )

    def signed(key: PrivateKey, purpose: Purpose, *body: object) -> PersonSignature:
        return sign_passkey(
            key,
            data=authenticator(),
            tail=TAIL,
            chain_id=CHAIN_ID,
            contract=work.orders,
            purpose=purpose,
            nonce=1,
            deadline=FOREVER,
            body_digest=purpose.body_digest(*body),
        )

    report, evidence = name("bell"), name("photographs")
    signature = signed(owner, Purpose.REPORT_WORK, LIFT, report)
    work.send(work.relayer, work_orders.report(work.orders, device=LIFT, report=report, signature=signature))
    order = owners_order(UNITS[2], LIFT, report)
    work.accept(order)
    for wrong in (signed(mechanic, Purpose.FINISH_WORK, order, evidence, 1), replace(signature, nonce=2)):
        reasons = {wrong.key_id: "work_orders: crew key is not in force"}
        reasons[key_id(mechanic)] = "work_orders: crew's signature does not match"
        with refused(reasons[wrong.key_id]):
            work.send(work.relayer, work_orders.finish(work.orders, order=order, evidence=evidence, signature=wrong))
    at = work.chain.now()
    here = signed(mechanic, Purpose.ARRIVE_WORK, order, evidence, at, 0)
    work.send(work.relayer, work_orders.arrive(work.orders, order=order, arrival=evidence, at=at, signature=here))
    done = signed(mechanic, Purpose.FINISH_WORK, order, evidence, 0)
    work.send(work.relayer, work_orders.finish(work.orders, order=order, evidence=evidence, signature=done))
    agreed = signed(owner, Purpose.CONFIRM_WORK, order, 0)
    work.send(work.relayer, work_orders.confirm(work.orders, order=order, signature=agreed))
    assert work.order(order).state is State.CONFIRMED


# --- The events ---


def test_the_events_alone_rebuild_the_book(work: WorkSite) -> None:
    confirmed, released, reopened = work.done(PRICE), work.report(), work.done()
    work.confirm(confirmed)
    work.accept_paid(released)
    work.reopen(reopened)
    machine = work.report_by_machine()
    work.chain.wait(DAY + TERMS.give_up_after + 1)
    work.send(work.stranger, work_orders.escalate(work.orders, order=released))
    work.send(work.stranger, work_orders.release(work.orders, order=released))
    work.accept_paid(machine)
    book = work.book()
    assert book.escrowed == work.escrowed() == PRICE
    for order in (confirmed, released, reopened, machine):
        told = book.order(order)
        assert replace(told, payee=told.payee.lower()) == replace(
            work.order(order), payee=work.order(order).payee.lower()
        )
    assert {type(event) for event, _ in work.logs} >= {events.Refunded, events.PaidOut}
