"""Visits through the contract: who signed, what the gateway logged, which day it counts for, and what refuses each."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from contracts import p256
from contracts.act_file import act_of_call, format_act, parse_act
from contracts.calls import crews, service_agreements
from contracts.calls.anchor_log import Head
from contracts.calls.service_agreements import SeenVisit
from contracts.crew_signature import CrewSignature, CrewSignatureError, crew_signature
from contracts.person import KeyKind, Purpose, challenge_text, person_digest, webauthn_signature
from contracts.visit import VisitClass
from contracts.vyper.compile import artifact
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.service import (
    BOTH,
    BY_SOFTWARE,
    LEARNER,
    MECHANIC,
    OTHER_FIRM,
    SECOND,
    SITE_MANAGER,
    STRANGER,
    Member,
    Service,
    recorded,
)
from tests.contracts.vyper.site import DAY, FIRM, NEIGHBOUR, ORIGIN, WEB_ORIGIN, Site, key_of

NO_MATCH = "service_agreements: signature does not match the visit"
NOT_ACCEPTED = "service_agreements: entry is not under the accepted head"


def test_a_visit_that_its_mechanic_signed_and_a_gateway_logged_is_kept(service: Service) -> None:
    terms = service.terms_now
    visit = service.visit()
    event = recorded(service.record(terms, visit))
    kept = service.kept(terms, terms.starts_on)
    assert kept is not None
    assert (kept.day, kept.seen, kept.paid) == (terms.starts_on, (kept.best,), 0)
    assert kept.best == SeenVisit(VisitClass.HALF_MONTH, 3, two_people=False, countersigned=False)
    assert kept.digest == visit.digest()[:20]
    assert event.digest == visit.digest()
    assert service_agreements.recorded_visit(event.lanes) == (kept.day, kept.best)


@pytest.mark.parametrize(
    ("mechanics", "manager", "signers"),
    [
        ((BY_SOFTWARE,), None, (BY_SOFTWARE,)),
        ((MECHANIC, SECOND), None, (MECHANIC, SECOND)),
        ((MECHANIC, LEARNER), SITE_MANAGER, (MECHANIC, LEARNER, SITE_MANAGER)),
        ((BY_SOFTWARE,), SITE_MANAGER, (BY_SOFTWARE, SITE_MANAGER)),
    ],
)
def test_crews_of_one_or_two_with_or_without_the_site_manager_can_sign(
    service: Service, mechanics: tuple[Member, ...], manager: Member | None, signers: tuple[Member, ...]
) -> None:
    visit = service.visit(mechanics=mechanics, manager=manager)
    service.record(service.terms_now, visit, signers=signers)
    kept = service.kept(service.terms_now, service.terms_now.starts_on)
    assert kept is not None
    assert kept.best.two_people == (len(mechanics) == 2)
    assert kept.best.countersigned == (manager is not None)


@pytest.mark.parametrize(
    ("mechanics", "manager", "signers", "reason"),
    [
        ((MECHANIC,), None, (SECOND,), NO_MATCH),
        ((MECHANIC,), None, (), "service_agreements: not one signature for each person"),
        ((MECHANIC,), None, (MECHANIC, SECOND), "service_agreements: not one signature for each person"),
        ((MECHANIC, SECOND), None, (MECHANIC,), "service_agreements: not one signature for each person"),
        ((MECHANIC, SECOND), None, (SECOND, MECHANIC), NO_MATCH),
        ((LEARNER,), None, (LEARNER,), "service_agreements: person has not this duty"),
        ((LEARNER, MECHANIC), None, (LEARNER, MECHANIC), "service_agreements: person has not this duty"),
        ((STRANGER,), None, (STRANGER,), NO_MATCH),
        ((MECHANIC,), SECOND, (MECHANIC, SECOND), "service_agreements: person has not this duty"),
        ((MECHANIC,), SITE_MANAGER, (MECHANIC, MECHANIC), "service_agreements: person has not this duty"),
    ],
)
def test_a_visit_that_not_everyone_signed_who_must_is_refused(
    service: Service,
    mechanics: tuple[Member, ...],
    manager: Member | None,
    signers: tuple[Member, ...],
    reason: str,
) -> None:
    with refused(reason):
        service.record(service.terms_now, service.visit(mechanics=mechanics, manager=manager), signers=signers)


@pytest.mark.parametrize(
    ("word", "value", "reason"),
    [
        (8, MECHANIC.alias, "service_agreements: one mechanic stands twice"),
        (9, MECHANIC.alias, "service_agreements: a mechanic counter-signs"),
        (2, (5).to_bytes(32), "service_agreements: no such class"),
        (5, (1).to_bytes(32), "service_agreements: visit's times are no stretch of a day"),
        (4, (1).to_bytes(32), "service_agreements: visit's times are no stretch of a day"),
    ],
)
def test_records_that_break_the_format_are_refused_by_the_contract_too(
    service: Service, word: int, value: bytes, reason: str
) -> None:
    """Python refuses to build them, so the bytes are changed by hand."""

    class Broken:
        def __init__(self, encoded: bytes) -> None:
            self.encoded, self.device = encoded, encoded[:32]
            self.ended_at_s = int.from_bytes(encoded[160:192])

        def digest(self) -> bytes:
            return sha256(self.encoded).digest()

        def abi(self) -> tuple[Any, ...]:
            words = [self.encoded[at : at + 32] for at in range(0, 352, 32)]
            numbers = {2, 4, 5}
            plain = [int.from_bytes(each) if at in numbers else each for at, each in enumerate(words)]
            return (*plain[:7], (words[7], words[8]), *plain[9:])

    encoded = bytearray(service.visit().encode())
    encoded[32 * word : 32 * word + 32] = value
    broken: Any = Broken(bytes(encoded))
    signers = (MECHANIC, MECHANIC) if word in (8, 9) else (MECHANIC,)
    now = service.chain.now()
    with refused(reason):
        service.record(service.terms_now, broken, signers=signers, observed_at_s=now)


def test_a_person_whose_licence_had_ended_does_not_serve(service: Service) -> None:
    visit = service.visit(mechanics=(service.unlicensed,))
    with refused("service_agreements: person's licence had ended"):
        service.record(service.terms_now, visit, signers=(service.unlicensed,))


def test_a_signature_means_one_visit_in_one_place_until_its_deadline(service: Service) -> None:
    visit, other = service.visit(), service.visit(salt=bytes(16))
    index = service.log(visit)
    service.chain.wait(120)
    service.site.accept(service.site.log)
    now = service.chain.now()

    def relay(signature: CrewSignature) -> None:
        call = service.call(service.terms_now, visit, index, signers=(), signatures=[signature])
        service.chain.send(service.site.relayer, call)

    def changed(**changes: Any) -> CrewSignature:
        return service.sign(visit, MECHANIC, **changes)

    for wrong in (service.sign(other, MECHANIC), changed(contract=service.site.usage_fees)):
        with refused(NO_MATCH):
            relay(wrong)
    service.chain.wait(1)
    with refused("service_agreements: signature's deadline has passed"):
        relay(changed(deadline=now))
    relay(changed(deadline=service.chain.now() + 3600, nonce=7))


def test_a_countersignature_does_not_pass_for_a_mechanics(service: Service) -> None:
    with refused(NO_MATCH):  # `sign` takes the purpose of the counter-signature for whoever has that duty
        service.record(service.terms_now, service.visit(mechanics=(BOTH,)), signers=(BOTH,))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace(b"webauthn.get", b"webauthn.create"),
        lambda text: text.replace(b"8600", b"8601"),
        lambda text: text.replace(b'"crossOrigin":false', b'"crossOrigin":true'),
        lambda text: text.replace(b',"crossOrigin":false}', b'x"}'),
        lambda text: text.replace(b',"crossOrigin":false}', b""),
        lambda text: text.replace(b'"challenge":"', b'"challenge":"A'),
    ],
)
def test_client_data_of_another_form_is_refused(service: Service, damage: Callable[[bytes], bytes]) -> None:
    with refused(NO_MATCH):
        record_with_client_data(service, damage)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace(b',"crossOrigin":false}', b"}"),
        lambda text: text.replace(b"false}", b'false,"other_keys_can_be_added_here":"do not compare"}'),
        lambda text: text.replace(b',"crossOrigin":false}', b',"topOrigin":"x"}'),
    ],
)
def test_client_data_may_end_as_browsers_end_them(service: Service, change: Callable[[bytes], bytes]) -> None:
    record_with_client_data(service, change)


def record_with_client_data(service: Service, change: Callable[[bytes], bytes], flags: int = 5) -> None:
    """A visit whose passkey answered with other client data or flags, truly signed."""
    visit = service.visit()
    good = service.person_signature(visit, MECHANIC)
    digest = person_digest(
        chain_id=31337,
        contract=service.address,
        purpose=Purpose.VISIT,
        key_id=good.key_id,
        nonce=0,
        deadline=good.deadline,
        body_digest=visit.digest(),
    )
    assert challenge_text(digest).encode() in good.client_data
    client = change(good.client_data)
    authenticator = good.authenticator_data[:32] + bytes([flags]) + good.authenticator_data[33:]
    signed = p256.sign(MECHANIC.private, authenticator + sha256(client).digest())
    answer = webauthn_signature(
        key_id=good.key_id,
        nonce=0,
        deadline=good.deadline,
        signature_der=p256.signature_to_der(signed),
        authenticator_data=authenticator,
        client_data=client,
    )
    if WEB_ORIGIN.encode() + b'"' in client:
        signature = crew_signature(MECHANIC.key, answer)
    else:  # the face refuses it before the contract can
        with pytest.raises(CrewSignatureError):
            crew_signature(MECHANIC.key, answer)
        words = (*crew_signature(MECHANIC.key, good).words[:4], answer.r, answer.s)
        signature = CrewSignature(words, client[client.find(b"http") :])
    service.record(service.terms_now, visit, signatures=[signature])


@pytest.mark.parametrize("flags", [0, 1, 4])
def test_a_passkey_must_say_that_its_person_was_there_and_verified(service: Service, flags: int) -> None:
    with refused(NO_MATCH):
        record_with_client_data(service, lambda text: text, flags)


def test_what_the_caller_says_about_a_key_is_what_crews_holds(service: Service) -> None:
    """Another kind, duty, licence, coordinate, relying party or origin than the committed ones."""
    visit = service.visit()
    index = service.log(visit)
    service.chain.wait(120)
    service.site.accept(service.site.log)
    good = service.person_signature(visit, MECHANIC)
    key = MECHANIC.key
    for other in (
        replace(key, duties=9),
        replace(key, licence_until_s=2**36),
        replace(key, x=key.x + 1),
        replace(key, kind=KeyKind.SOFTWARE),
    ):
        call = service.call(service.terms_now, visit, index, signers=(), signatures=[crew_signature(other, good)])
        with refused(NO_MATCH):
            service.chain.send(service.site.relayer, call)
    with pytest.raises(CrewSignatureError, match="did not sign for"):
        crew_signature(replace(key, origin="https://elsewhere.example"), good)
    with pytest.raises(CrewSignatureError, match="did not sign for"):
        crew_signature(replace(key, rp_id_hash=bytes(32)), good)


def test_a_software_signature_with_anything_of_a_passkeys_is_refused(service: Service) -> None:
    visit = service.visit(mechanics=(BY_SOFTWARE,))
    lanes, *rest = service.sign(visit, BY_SOFTWARE).words
    for more, client_data in ((2 << 248, b"{}"), (5 << 240, b""), (1 << 248, b"")):
        with refused(NO_MATCH):
            signature = CrewSignature((lanes | more, *rest), client_data)
            service.record(service.terms_now, visit, signatures=[signature])


def test_a_revoked_key_and_a_firm_without_licence_sign_no_more(service: Service) -> None:
    site, pair = service.site, service.visit(mechanics=(MECHANIC, LEARNER))
    service.chain.send(site.manager, crews.end_member(site.crews, alias=SECOND.alias))
    with refused(NO_MATCH):
        service.record(service.terms_now, service.visit(mechanics=(SECOND,)), signers=(SECOND,))
    service.chain.send(site.committee, crews.end_firm(site.crews, firm=FIRM))
    service.chain.wait(60)
    with refused("service_agreements: firm's licence had ended"):
        service.record(service.terms_now, service.visit())
    service.record(service.terms_now, pair, signers=(MECHANIC, LEARNER))  # it was done before


def test_only_the_entry_that_the_gateway_logged_proves_the_visit(service: Service) -> None:
    terms, visit = service.terms_now, service.visit()
    service.site.log.fill(2)
    index = service.log(visit)
    other = service.log(service.visit(salt=bytes(16)))
    service.site.log.fill(9)
    service.chain.wait(120)
    service.site.accept(service.site.log)
    logged = service.logged(index)
    size = logged.head.size

    def relay(**changes: Any) -> None:
        call = service.call(terms, visit, index, signers=(MECHANIC,), logged=replace(logged, **changes))
        service.chain.send(service.site.relayer, call)

    entry = logged.entry
    for wrong in (
        {"entry": replace(entry, value=2)},
        {"entry": replace(entry, salt=bytes(16))},
        {"entry": replace(entry, observed_at_ms=entry.observed_at_ms + 1)},
        {"path": (*logged.path[:-1], bytes(32))},
        {"index": other},
        {"head": replace(logged.head, accepted_at=logged.head.accepted_at + 1)},
        {"entry": service.logged(other).entry, "index": other, "path": service.logged(other).path},
    ):
        with refused(NOT_ACCEPTED):
            relay(**wrong)
    with refused("service_agreements: path has another length"):
        relay(path=logged.path[:-1])
    with refused("service_agreements: index is not in the log"):
        relay(index=size)
    with refused("service_agreements: device is not assigned to this index"):
        relay(assignment=1)
    relay()


def test_a_level_above_four_is_none(service: Service) -> None:
    visit = service.visit()
    index = service.log(visit)
    service.chain.wait(120)
    service.site.accept(service.site.log)
    logged = service.logged(index)
    object.__setattr__(logged.entry, "value", 5)
    with refused("service_agreements: no such level"):
        service.chain.send(
            service.site.relayer, service.call(service.terms_now, visit, index, signers=(MECHANIC,), logged=logged)
        )


def test_an_entry_under_an_older_head_needs_the_newer_ones_path(service: Service) -> None:
    visit = service.visit()
    index = service.log(visit)
    service.chain.wait(120)
    service.site.accept(service.site.log)
    old = service.call(service.terms_now, visit, index, signers=(MECHANIC,))
    service.site.log.fill(40)
    service.site.accept(service.site.log)
    with refused(NOT_ACCEPTED):
        service.chain.send(service.site.relayer, old)
    service.chain.send(service.site.relayer, service.call(service.terms_now, visit, index, signers=(MECHANIC,)))


def test_a_genuine_entry_of_a_neighbours_gateway_proves_nothing(service: Service) -> None:
    site, visit = service.site, service.visit()
    own = service.log(visit)
    entry = site.log.entries[own]
    site.neighbour.fill(3)
    index = site.neighbour.append(entry)
    service.chain.wait(120)
    site.accept(site.log)
    site.accept(site.neighbour)
    head: Head = site.heads[NEIGHBOUR]
    proof = site.neighbour.proof(index, head.size)
    logged = service_agreements.LoggedVisit(entry, index, 0, head, proof.path)
    with refused(NOT_ACCEPTED):
        call = service.call(service.terms_now, visit, own, signers=(MECHANIC,), logged=logged)
        service.chain.send(site.relayer, call)


def test_level_four_needs_a_key_that_is_more_than_a_file(service: Service) -> None:
    terms = service.terms_now
    service.record(terms, service.visit(), level=4)
    kept = service.kept(terms, terms.starts_on)
    assert kept is not None and kept.best.level == 3
    rotate_to_token(service.site)
    service.record(terms, service.visit(), level=4)
    kept = service.kept(terms, terms.starts_on + 7)
    assert kept is not None and kept.best.level == 4


def rotate_to_token(site: Site) -> None:
    """The same gateway with a key in a token."""
    key = key_of(7007)
    site.enact(site.gateway_change(ORIGIN, key, 2))
    site.log.key = key


def test_times_that_cannot_be_are_refused(service: Service) -> None:
    now = service.chain.now()
    terms = service.terms_now
    with refused("service_agreements: visit ended after it was logged"):
        service.record(terms, service.visit(), observed_at_s=now - 601)
    with refused("service_agreements: entry's time is after its head's"):
        service.record(terms, service.visit(ended_at_s=now + 2000), observed_at_s=now + 2000)
    with refused("service_agreements: visit is older than gateways remember"):
        service.record(terms, service.visit(ended_at_s=now - 60 * DAY - 5), observed_at_s=now)
    service.record(terms, service.visit(ended_at_s=now), observed_at_s=now - 590)


def test_a_visit_that_nobody_saw_counts_when_it_was_logged(service: Service) -> None:
    """Whoever backdates a visit gains nothing from a gateway that saw nothing of it."""
    terms = service.terms_now
    service.go_to(terms.starts_on + 5)
    ended = service.chain.now() - 3 * DAY
    service.record(terms, service.visit(ended_at_s=ended), level=0, observed_at_s=service.chain.now())
    assert service.kept(terms, terms.starts_on + 2) is None
    kept = service.kept(terms, terms.starts_on + 5)
    assert kept is not None and kept.best.level == 0
    service.record(terms, service.visit(ended_at_s=ended), level=1, observed_at_s=service.chain.now())
    seen = service.kept(terms, terms.starts_on + 2)
    assert seen is not None and seen.best.level == 1


def test_no_visit_is_kept_twice_and_a_day_keeps_its_best(service: Service) -> None:
    terms = service.terms_now
    again = "service_agreements: day has a visit that is as good"
    visit = service.visit()
    service.record(terms, visit)
    with refused(again):
        service.record(terms, visit)
    with refused(again):
        service.record(terms, service.visit(salt=bytes(16)))
    with refused(again):
        service.record(terms, service.visit(salt=bytes(16)), level=2)
    pair = service.visit(mechanics=(MECHANIC, SECOND))
    service.record(terms, pair, signers=(MECHANIC, SECOND), level=1)
    yearly = service.visit(VisitClass.YEAR)
    service.record(terms, yearly, level=1)
    kept = service.kept(terms, terms.starts_on)
    assert kept is not None and kept.digest == yearly.digest()[:20]
    # What is seen better of a lower class is kept too, beside the best one's digest.
    service.record(terms, pair, signers=(MECHANIC, SECOND))
    with refused(again):
        service.record(terms, pair, signers=(MECHANIC, SECOND))
    kept = service.kept(terms, terms.starts_on)
    assert kept is not None and kept.digest == yearly.digest()[:20]
    assert [(each.visit_class, each.two_people, each.level) for each in kept.seen] == [
        (VisitClass.YEAR, False, 1),
        (VisitClass.HALF_MONTH, True, 3),
        (VisitClass.HALF_MONTH, False, 3),
    ]


def test_a_repair_is_kept_beside_and_once_in_ten_minutes(service: Service) -> None:
    terms = service.terms_now
    repair = service.visit(VisitClass.REPAIR)
    service.record(terms, service.visit())
    service.record(terms, repair)
    with refused("service_agreements: day has a visit that is as good"):
        service.record(terms, repair)
    slot = service_agreements.repair_slot(repair.ended_at_s)
    kept = service.kept_at(terms, slot)
    assert kept is not None and kept.digest == repair.digest()[:20] and kept.best.visit_class is VisitClass.REPAIR
    service.chain.wait(600)
    service.record(terms, service.visit(VisitClass.REPAIR))


def test_another_firms_visit_stands_on_its_own_line(service: Service) -> None:
    terms = service.terms_now
    other = replace(terms, firm=OTHER_FIRM)
    service.record(other, service.visit(mechanics=(STRANGER,)), signers=(STRANGER,))
    assert service.kept(other, terms.starts_on) is not None
    assert service.kept(terms, terms.starts_on) is None


def test_a_digest_stays_four_years_and_then_its_slot_is_used_again(service: Service) -> None:
    terms = service.terms_now
    service.record(terms, service.visit())
    service.go_to(terms.starts_on + service_agreements.RING)
    later = service.visit()
    service.record(terms, later)
    kept = service.kept(terms, terms.starts_on + service_agreements.RING)
    assert kept is not None and kept.digest == later.digest()[:20]


def test_a_visit_can_be_kept_as_a_file_and_brought_by_a_stranger(service: Service) -> None:
    abi = artifact("ServiceAgreements").abi
    visit = service.visit(mechanics=(MECHANIC, SECOND), manager=SITE_MANAGER)
    index = service.log(visit)
    service.chain.wait(120)
    service.site.accept(service.site.log)
    call = service.call(service.terms_now, visit, index, signers=(MECHANIC, SECOND, SITE_MANAGER))
    act = act_of_call(call, chain_id=31337, contract="ServiceAgreements", function="record_visit", abi=abi)
    read = parse_act(format_act(act, abi), lambda _contract: abi).call(abi, selector=call.data[:4])
    assert read == replace(call, to=call.to.lower())
    service.chain.send(service.site.stranger, read)
    assert service.kept(service.terms_now, service.terms_now.starts_on) is not None


def test_a_repair_that_nobody_saw_takes_no_other_repairs_place(service: Service) -> None:
    terms = service.terms_now
    repair = service.visit(VisitClass.REPAIR)
    service.record(terms, repair)
    service.chain.wait(DAY)
    unseen = service.visit(VisitClass.REPAIR, ended_at_s=repair.ended_at_s, salt=bytes(16))
    with refused("service_agreements: day has a visit that is as good"):
        service.record(terms, unseen, level=0, observed_at_s=service.chain.now())
    kept = service.kept_at(terms, service_agreements.repair_slot(repair.ended_at_s))
    assert kept is not None and kept.digest == repair.digest()[:20]
