"""Crews: firms under licence, people with duties and one key each; ended at once, never added by one party."""

from hashlib import sha256
from typing import Any

import pytest
from eth_utils.crypto import keccak

from contracts import p256
from contracts.abi import Call, encode_arguments
from contracts.calls import crews, crews_changes, registry, roll
from contracts.calls.crews import Counts, Duty, Firm
from contracts.calls.crews_events import CrewCounted, CrewKeyEnded, CrewKeySet, FirmSet, MemberSet, parse_event
from contracts.person import Purpose
from tests.contracts.vyper.chain import Receipt
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.site import (
    DAY,
    FIRM,
    INSTALLER,
    INSTALLER_KEY,
    LICENCE_UNTIL,
    WEB_ORIGIN,
    Site,
    announced,
    coordinates,
    key_id,
    key_of,
    name,
)

MECHANIC = name("mechanic")
NOBODY = crews.CrewKey(bytes(32), 0, 0, 0, 0, 0, 0, bytes(32), "", 0)


def events(receipt: Receipt) -> list[Any]:
    parsed = (parse_event(log.topics, log.data) for log in receipt.logs)
    return [event for event in parsed if event is not None]


def firm(site: Site, number: int = FIRM) -> Firm:
    return crews.parse_firm(site.chain.view(crews.firm(site.crews, number=number)))


def member(site: Site, alias: bytes) -> crews.Member:
    return crews.parse_member(site.chain.view(crews.member(site.crews, alias=alias)))


def crew_key(site: Site, key: p256.PrivateKey) -> crews.CrewKey:
    return crews.parse_crew_key(site.chain.view(crews.crew_key(site.crews, key_id=key_id(key))))


def crew_key_of(site: Site, alias: bytes) -> crews.CrewKey:
    return crews.parse_crew_key_of(site.chain.view(crews.crew_key_of(site.crews, alias=alias)))


def counts(site: Site) -> Counts:
    return crews.parse_additions(site.chain.view(crews.additions(site.crews)))


def firm_change(site: Site, number: int, digest: bytes, licence_until: int = LICENCE_UNTIL) -> Call:
    return crews_changes.set_firm(site.crews, firm=number, name_digest=digest, licence_until=licence_until)


def test_a_person_serves_with_one_key_under_two_licences(site: Site) -> None:
    receipt = site.enact(
        site.member_change(MECHANIC, Duty.MECHANIC | Duty.SITE_MANAGER, licence_until=LICENCE_UNTIL - 5),
        site.crew_key_change(MECHANIC, key_of(3000)),
    )
    x, y = coordinates(key_of(3000))
    joined_at = site.chain.now()
    assert events(receipt) == [
        MemberSet(MECHANIC, FIRM, 3, LICENCE_UNTIL - 5),
        CrewCounted(1, 2, 1),
        CrewKeySet(MECHANIC, key_id(key_of(3000)), x, y, 2, 0),
        CrewCounted(1, 2, 2),
    ]
    found = crew_key(site, key_of(3000))
    assert (found.alias, found.firm, found.duties, found.x, found.since) == (MECHANIC, FIRM, 3, x, joined_at)
    assert found.licence_until == LICENCE_UNTIL - 5 and found.origin == "http://localhost:8600"
    assert crew_key_of(site, MECHANIC) == found
    assert member(site, MECHANIC).key_id == key_id(key_of(3000))
    assert crew_key(site, key_of(3001)) == NOBODY and crew_key_of(site, name("nobody")) == NOBODY
    assert counts(site) == Counts(1, 2, 2)


def test_no_licence_reaches_beyond_the_firms_and_a_firm_is_ended_at_once(site: Site) -> None:
    site.enact(site.member_change(INSTALLER, Duty.INSTALLER, licence_until=LICENCE_UNTIL + 100))
    assert crew_key_of(site, INSTALLER).licence_until == LICENCE_UNTIL
    end = crews.end_firm(site.crews, firm=FIRM)
    with refused("crews: only manager or committee may do this"):
        site.chain.send(site.relayer, end)
    receipt = site.chain.send(site.committee, end)
    ended_at = site.chain.now()
    assert events(receipt) == [FirmSet(FIRM, firm(site).name_digest, ended_at)]
    assert crew_key_of(site, INSTALLER).licence_until == ended_at
    with refused("crews: firm has no licence in force"):
        site.chain.send(site.manager, end)
    with refused("crews: firm has no licence in force"):
        site.chain.send(site.manager, crews.end_firm(site.crews, firm=77))
    site.enact(firm_change(site, FIRM, firm(site).name_digest, LICENCE_UNTIL + 50))
    assert crew_key_of(site, INSTALLER).licence_until == LICENCE_UNTIL + 50
    assert counts(site).firms == 1


def test_a_firms_number_stays_its_own(site: Site) -> None:
    assert firm(site) == Firm(True, LICENCE_UNTIL, name("lift and meter firm"))
    assert not firm(site, 2).exists
    with refused("crews: number belongs to another firm"):
        site.enact(firm_change(site, FIRM, name("another firm")))
    for number, digest in ((0, name("f")), (2**24, name("f")), (2, bytes(32))):
        with refused("crews: firm's number or name is wrong"):
            site.enact(firm_change(site, number, digest))
    for until in (site.chain.now(), 2**40):
        with refused("crews: licence has ended or has no end"):
            site.enact(firm_change(site, 2, name("f"), until))
    site.enact(firm_change(site, 2, name("second")))
    assert counts(site).firms == 2


@pytest.mark.parametrize(
    ("alias", "duties", "firm_number", "until", "reason"),
    [
        (bytes(32), 1, FIRM, LICENCE_UNTIL, "crews: alias or duties are missing"),
        (MECHANIC, 0, FIRM, LICENCE_UNTIL, "crews: alias or duties are missing"),
        (MECHANIC, 32, FIRM, LICENCE_UNTIL, "crews: alias or duties are missing"),
        (MECHANIC, 1, FIRM, 1, "crews: licence has ended or has no end"),
        (MECHANIC, 1, FIRM, 2**40, "crews: licence has ended or has no end"),
        (MECHANIC, 1, 0, LICENCE_UNTIL, "crews: mechanics and installers belong to a known firm"),
        (MECHANIC, 4 | 8, 0, LICENCE_UNTIL, "crews: mechanics and installers belong to a known firm"),
        (MECHANIC, 16, 2, LICENCE_UNTIL, "crews: mechanics and installers belong to a known firm"),
        (MECHANIC, 16, 2**24, LICENCE_UNTIL, "crews: mechanics and installers belong to a known firm"),
    ],
)
def test_duties_that_do_not_fit_are_refused(
    site: Site, alias: bytes, duties: int, firm_number: int, until: int, reason: str
) -> None:
    with refused(reason):
        site.enact(site.member_change(alias, duties, firm=firm_number, licence_until=until))


def test_the_sites_own_people_belong_to_no_firm(site: Site) -> None:
    officer = name("returning officer")
    duties = Duty.RETURNING_OFFICER | Duty.CASHIER | Duty.SITE_MANAGER
    site.enact(site.member_change(officer, duties, firm=0), site.crew_key_change(officer, key_of(3100)))
    assert crew_key_of(site, officer).licence_until == LICENCE_UNTIL and crew_key_of(site, officer).firm == 0


def test_a_key_serves_one_person_once(site: Site) -> None:
    with refused("crews: person has a key in force"):
        site.enact(site.crew_key_change(INSTALLER, key_of(3200)))
    with refused("crews: nobody serves under this alias"):
        site.enact(site.crew_key_change(MECHANIC, key_of(3200)))
    with refused("crews: key was used before"):
        site.enact(site.member_change(MECHANIC, Duty.MECHANIC), site.crew_key_change(MECHANIC, INSTALLER_KEY))
    with refused("relying: key is neither webauthn nor software"):
        site.enact(site.member_change(MECHANIC, Duty.MECHANIC), site.crew_key_change(MECHANIC, key_of(3200), kind=0))
    other = crews_changes.set_relying_party(site.crews, number=1, rp_id_hash=name("crews"), origin="https://crews")
    site.enact(other)
    found = roll.parse_relying_party(site.chain.view(crews.relying_party(site.crews, number=1)))
    assert found == roll.RelyingParty(name("crews"), "https://crews")


def rotation(site: Site, key: p256.PrivateKey, new: p256.PrivateKey, **signed: Any) -> tuple[Call, Call]:
    """The signed call, and the inner one that it announces."""
    x, y = coordinates(new)
    by: dict[str, Any] = {"contract": site.crews, "key": key} | signed
    signature = site.sign(0, Purpose.ROTATE_KEY, x, y, 2, 0, **by)
    fields = {"x": x, "y": y, "kind": 2, "relying_party": 0}
    inner = crews_changes.replace_crew_key(site.crews, alias=INSTALLER, old_key_id=key_id(key), **fields)
    return crews.rotate_crew_key(site.crews, signature=signature, **fields), inner


def test_a_person_rotates_with_the_key_replaced_after_the_delay(site: Site) -> None:
    call, inner = rotation(site, INSTALLER_KEY, key_of(3300))
    number = announced(site.chain.send(site.relayer, call))
    again = announced(site.chain.send(site.relayer, rotation(site, INSTALLER_KEY, key_of(3300), nonce=2)[0]))
    with refused("registry: delay is not over"):
        site.enact_batch(number, inner)
    site.chain.wait(7 * DAY)
    receipt = site.enact_batch(number, inner)
    assert CrewKeyEnded(INSTALLER, key_id(INSTALLER_KEY)) in events(receipt)
    assert crew_key(site, INSTALLER_KEY) == NOBODY
    assert crew_key(site, key_of(3300)).alias == INSTALLER
    with refused("crews: key is not in force for the person"):
        site.enact_batch(again, inner)


def test_a_forged_late_or_foreign_rotation_is_refused(site: Site) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"contract": site.roll}, "crews: person's signature does not match"),
        ({"deadline": 1}, "crews: signature's deadline has passed"),
        ({"key": key_of(3301)}, "crews: key is not in force"),
    ]
    for signed, reason in cases:
        call, _ = rotation(site, signed.pop("key", INSTALLER_KEY), key_of(3300), **signed)
        with refused(reason):
            site.chain.send(site.stranger, call)


def test_a_person_ends_a_lost_key_and_manager_or_committee_end_the_person(site: Site) -> None:
    signature = site.sign(0, Purpose.REVOKE_KEY, key_id(INSTALLER_KEY), contract=site.crews, key=INSTALLER_KEY)
    call, inner = rotation(site, INSTALLER_KEY, key_of(3300))
    pending = announced(site.chain.send(site.relayer, call))
    revoke = crews.revoke_crew_key(site.crews, signature=signature)
    site.chain.send(site.stranger, revoke)
    assert crew_key(site, INSTALLER_KEY) == NOBODY and member(site, INSTALLER).key_id == bytes(32)
    with refused("crews: key is not in force"):
        site.chain.send(site.stranger, revoke)
    site.chain.wait(7 * DAY)
    with refused("crews: key is not in force for the person"):  # what the lost key began ends with it
        site.enact_batch(pending, inner)
    site.enact(site.crew_key_change(INSTALLER, key_of(3400)))
    end = crews.end_member(site.crews, alias=INSTALLER)
    with refused("crews: only manager or committee may do this"):
        site.chain.send(site.operator, end)
    receipt = site.chain.send(site.manager, end)
    ended_at = site.chain.now()
    assert events(receipt) == [
        CrewKeyEnded(INSTALLER, key_id(key_of(3400))),
        MemberSet(INSTALLER, FIRM, 0, ended_at),
    ]
    assert crew_key_of(site, INSTALLER) == NOBODY
    assert member(site, INSTALLER) == crews.Member(FIRM, 0, ended_at, 0, True, bytes(32))
    with refused("crews: nobody serves under this alias"):
        site.chain.send(site.manager, crews.end_member(site.crews, alias=name("nobody")))
    site.chain.send(site.manager, end)  # twice changes nothing


def test_a_manager_cannot_enrol_a_ghost_crew(site: Site) -> None:
    """Alone he enrols none; what he announces is public, counted when it takes effect, and vetoed one by one."""
    ghosts = [name(f"ghost mechanic {n}") for n in range(8)]
    calls = [
        change
        for n, alias in enumerate(ghosts)
        for change in (site.member_change(alias, Duty.MECHANIC), site.crew_key_change(alias, key_of(6000 + n)))
    ]
    with refused("crews: only an enacted batch may do this"):
        site.chain.send(site.manager, calls[0])
    number = site.announce(*calls)
    site.chain.wait(100 * DAY)
    with refused("registry: the second party has not approved"):
        site.enact_batch(number, *calls)
    site.chain.send(site.committee, registry.approve(site.registry, number=number))
    site.chain.send(site.committee, registry.veto(site.registry, number=number, mask=2**16 - 1))
    site.chain.wait(7 * DAY)
    site.enact_batch(number, *calls)
    assert counts(site) == Counts(1, 1, 1)
    assert all(crew_key_of(site, alias) == NOBODY for alias in ghosts)


def test_one_hash_says_all_that_makes_a_key_count(site: Site) -> None:
    """It follows every change of member, key and firm, and is zero while no key is in force."""

    def commitment(alias: bytes = INSTALLER, number: int = FIRM) -> tuple[bytes, int]:
        call = crews.crew_commitment(site.crews, alias=alias, firm=number)
        return crews.parse_crew_commitment(site.chain.view(call))

    def expected(key: p256.PrivateKey, duties: int, licence_until: int, *, kind: int = 2) -> bytes:
        rp_id_hash, origin = (sha256(b"localhost").digest(), WEB_ORIGIN) if kind == 1 else (bytes(32), "")
        words = (FIRM, duties, licence_until, *coordinates(key), kind, rp_id_hash, keccak(text=origin))
        return keccak(encode_arguments("", ("uint256",) * 6 + ("bytes32",) * 2, words))

    assert commitment() == (expected(INSTALLER_KEY, 4, LICENCE_UNTIL), LICENCE_UNTIL)
    assert commitment(number=0)[1] == 2**256 - 1
    assert commitment(number=FIRM + 1)[1] == 0
    assert commitment(MECHANIC)[0] == bytes(32)
    renewed = site.member_change(INSTALLER, 5, licence_until=LICENCE_UNTIL + 9)
    passkey = [site.member_change(MECHANIC, Duty.MECHANIC), site.crew_key_change(MECHANIC, key_of(77), 1)]
    site.enact(renewed, *passkey)
    assert commitment()[0] == expected(INSTALLER_KEY, 5, LICENCE_UNTIL + 9)
    assert commitment(MECHANIC)[0] == expected(key_of(77), 1, LICENCE_UNTIL, kind=1)
    site.chain.send(site.committee, crews.end_member(site.crews, alias=INSTALLER))
    assert commitment()[0] == bytes(32)
    site.chain.send(site.manager, crews.end_firm(site.crews, firm=FIRM))
    assert commitment(MECHANIC) == (expected(key_of(77), 1, LICENCE_UNTIL, kind=1), site.chain.now())
