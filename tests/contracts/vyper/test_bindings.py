"""Bindings: whom a meter counts for, signed by the installer and by the owner or the committee."""

from typing import Any

from contracts import p256
from contracts.abi import Call
from contracts.calls import bindings, bindings_changes, crews, crews_changes, roll_changes
from contracts.calls.bindings import Confirmed, Swap
from contracts.calls.bindings_events import (
    BindingAttested,
    BindingConfirmed,
    BindingEnded,
    DeviceBound,
    parse_event,
)
from contracts.person import PersonSignature, Purpose
from tests.contracts.vyper.chain import Receipt
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.site import (
    BINDING,
    DAY,
    INSTALLER,
    INSTALLER_KEY,
    LICENCE_UNTIL,
    METERS,
    OWNER_KEYS,
    POOL,
    POOL_METER,
    SPARE_METER,
    UNITS,
    Site,
    announced,
    key_of,
    name,
)

CLOSING = name("binding with its closing register")


def events(receipt: Receipt) -> list[Any]:
    parsed = (parse_event(log.topics, log.data) for log in receipt.logs)
    return [event for event in parsed if event is not None]


def bound(site: Site, device: bytes, subject: bytes, role: int, from_date: int, to_date: int) -> bool:
    call = bindings.is_bound(
        site.bindings, device=device, subject=subject, role=role, from_date=from_date, to_date=to_date
    )
    return bindings.parse_is_bound(site.chain.view(call))


def end(site: Site, subject: bytes, device: bytes, to_date: int, commitment: bytes = CLOSING) -> Call:
    return bindings_changes.end_binding(
        site.bindings, subject=subject, device=device, to_date=to_date, commitment=commitment
    )


def owners(
    site: Site, purpose: Purpose, signer: int = 0, *, device: bytes = METERS[0], number: int = 0, **signed: Any
) -> PersonSignature:
    commitment = signed.pop("commitment", BINDING)
    given = {"contract": site.bindings} | signed
    return site.sign(signer, purpose, device, number, commitment, **given)


def confirm(site: Site, signer: int = 0, *, device: bytes = METERS[0], number: int = 0, **signed: Any) -> Call:
    signature = owners(site, Purpose.CONFIRM_BINDING, signer, device=device, number=number, **signed)
    return bindings.confirm(site.bindings, device=device, number=number, signature=signature)


def contest(site: Site, signer: int = 0, *, device: bytes = METERS[0], number: int = 0, **signed: Any) -> Call:
    signature = owners(site, Purpose.CONTEST_BINDING, signer, device=device, number=number, **signed)
    return bindings.contest(site.bindings, device=device, number=number, signature=signature)


def test_a_device_counts_for_one_subject_on_one_day(site: Site) -> None:
    def bind(subject: bytes, from_date: int, role: int = 1) -> Call:
        return site.binding_change(subject, METERS[0], role=role, from_date=from_date)

    with refused("bindings: device still counts for another"):
        site.enact(bind(UNITS[1], 20261101))
    with refused("bindings: device does not count for the subject"):
        site.enact(end(site, UNITS[1], METERS[0], 20261101))
    with refused("bindings: device does not count for the subject"):
        site.enact(end(site, bytes(32), name("x"), 20261101))
    with refused("bindings: binding ends before it begins"):
        site.enact(end(site, UNITS[0], METERS[0], 20260901))
    receipt = site.enact(end(site, UNITS[0], METERS[0], 20261101))
    assert events(receipt) == [BindingEnded(METERS[0], 0, 20261101, CLOSING)]
    with refused("bindings: bindings overlap"):
        site.enact(bind(UNITS[1], 20261031))
    for subject, role in ((POOL, 1), (UNITS[1], 2), (name("nobody"), 1), (UNITS[1], 3)):
        with refused("bindings: subject is neither unit nor pool for this role"):
            site.enact(bind(subject, 20261101, role))
    with refused("calendar: no such date"):
        site.enact(bind(UNITS[1], 20261131))
    with refused("bindings: binding has no first day"):
        site.enact(bind(UNITS[1], 19700101))
    receipt = site.enact(bind(UNITS[1], 20261101))
    assert events(receipt) == [DeviceBound(METERS[0], UNITS[1], 1, 1, 20261101, BINDING)]
    assert bound(site, METERS[0], UNITS[0], 1, 20260901, 20261101)
    assert not bound(site, METERS[0], UNITS[0], 1, 20260901, 20261102)
    assert not bound(site, METERS[0], UNITS[0], 2, 20260901, 20261101)
    assert bound(site, METERS[0], UNITS[1], 1, 20261101, 20271101)
    assert not bound(site, SPARE_METER, UNITS[0], 1, 20261101, 20261201)
    count = bindings.parse_binding_count(site.chain.view(bindings.binding_count(site.bindings, device=METERS[0])))
    assert count == 2


def test_a_device_is_bound_at_most_sixty_four_times(site: Site) -> None:
    dates = [20250000 + month * 100 + day for month in range(1, 13) for day in range(1, 28)]
    device = name("restless")

    def moves(number: int) -> list[Call]:
        return [
            site.binding_change(POOL, device, role=2, from_date=dates[number]),
            end(site, POOL, device, dates[number + 1]),
        ]

    for start in range(0, 64, 16):
        site.enact(*[move for number in range(start, start + 16) for move in moves(number)])
    with refused("bindings: device was bound too often"):
        site.enact(site.binding_change(POOL, device, role=2, from_date=20260101))


def test_the_installer_signs_and_then_the_owner_confirms(site: Site) -> None:
    with refused("bindings: no installer has signed the binding"):
        site.chain.send(site.stranger, confirm(site))
    receipt = site.attest(*METERS, POOL_METER)
    assert events(receipt) == [BindingAttested(device, 0, INSTALLER) for device in (*METERS, POOL_METER)]
    assert site.binding(METERS[0]).attested and site.binding(METERS[0]).confirmed == Confirmed.NO
    with refused("bindings: binding belongs to another unit"):
        site.chain.send(site.stranger, confirm(site, 1))
    receipt = site.chain.send(site.stranger, confirm(site))
    assert events(receipt) == [BindingConfirmed(METERS[0], 0, Confirmed.OWNER, 1)]
    assert site.binding(METERS[0]).confirmed == Confirmed.OWNER
    with refused("bindings: signature is not newer than the last one"):
        site.chain.send(site.stranger, confirm(site))
    with refused("bindings: binding is already confirmed"):
        site.chain.send(site.stranger, confirm(site, nonce=2))
    with refused("bindings: an installer has already signed the binding"):
        site.attest(METERS[0])


def test_an_owners_signature_is_for_one_commitment_one_contract_and_a_time(site: Site) -> None:
    site.attest(METERS[0])
    cases: list[tuple[dict[str, Any], str]] = [
        ({"commitment": CLOSING}, "bindings: signature does not match"),
        ({"contract": site.roll}, "bindings: signature does not match"),
        ({"deadline": 1}, "bindings: signature's deadline has passed"),
        ({"key": key_of(66)}, "bindings: key is not in force"),
        ({"nonce": 2**64}, "bindings: signature is not newer than the last one"),
        # The highest of all would take the next owner's word about this meter away.
        ({"nonce": 2**64 - 1}, "bindings: signature is not newer than the last one"),
    ]
    for signed, reason in cases:
        with refused(reason):
            site.chain.send(site.stranger, confirm(site, **signed))
    other = owners(site, Purpose.CONTEST_BINDING)
    with refused("bindings: signature does not match"):
        call = bindings.confirm(site.bindings, device=METERS[0], number=0, signature=other)
        site.chain.send(site.stranger, call)


def test_an_owner_contests_and_an_old_confirmation_does_not_undo_it(site: Site) -> None:
    site.attest(METERS[0])
    confirmed = confirm(site, nonce=5)
    site.chain.send(site.stranger, confirmed)
    with refused("bindings: signature is not newer than the last one"):
        site.chain.send(site.stranger, contest(site, nonce=5))
    receipt = site.chain.send(site.stranger, contest(site, nonce=6))
    assert events(receipt) == [BindingConfirmed(METERS[0], 0, Confirmed.CONTESTED, 6)]
    with refused("bindings: binding is already contested"):
        site.chain.send(site.stranger, contest(site, nonce=7))
    with refused("bindings: signature is not newer than the last one"):
        site.chain.send(site.relayer, confirmed)
    with refused("bindings: binding belongs to another unit"):
        site.chain.send(site.stranger, contest(site, 1, nonce=8))
    site.chain.send(site.stranger, confirm(site, nonce=9))
    assert site.binding(METERS[0]).confirmed == Confirmed.OWNER


def test_the_committee_confirms_pools_and_for_silent_owners_but_over_no_owner(site: Site) -> None:
    def committee(*devices: bytes, numbers: list[int] | None = None) -> Call:
        return bindings.confirm_as_committee(
            site.bindings, devices=devices, numbers=[0] * len(devices) if numbers is None else numbers
        )

    with refused("bindings: no installer has signed the binding"):
        site.chain.send(site.committee, committee(POOL_METER))
    site.attest(*METERS, POOL_METER)
    with refused("bindings: only the committee may do this"):
        site.chain.send(site.manager, committee(POOL_METER))
    with refused("bindings: one number for each device"):
        site.chain.send(site.committee, committee(POOL_METER, numbers=[]))
    receipt = site.chain.send(site.committee, committee(POOL_METER, METERS[1]))
    assert [event.confirmed for event in events(receipt)] == [Confirmed.COMMITTEE, Confirmed.COMMITTEE]
    with refused("bindings: binding is already confirmed"):
        site.chain.send(site.committee, committee(POOL_METER))
    site.chain.send(site.stranger, confirm(site, 1, device=METERS[1]))  # the owner's own word comes later
    assert site.binding(METERS[1]).confirmed == Confirmed.OWNER
    with refused("bindings: binding is already confirmed"):
        site.chain.send(site.committee, committee(METERS[1]))
    with refused("bindings: binding belongs to another unit"):
        site.chain.send(site.stranger, confirm(site, 1, device=POOL_METER))


def test_only_an_installer_under_licence_attests(site: Site) -> None:
    mechanic = name("mechanic")
    site.enact(
        site.member_change(mechanic, crews.Duty.MECHANIC),
        site.crew_key_change(mechanic, key_of(3000)),
    )
    for key in (OWNER_KEYS[0], key_of(3000), key_of(66)):
        with refused("bindings: signer is no installer with a licence"):
            site.attest(METERS[0], key=key)
    signature = site.sign(
        0, Purpose.ATTEST_BINDINGS, [METERS[0]], [0], [CLOSING], contract=site.bindings, key=INSTALLER_KEY
    )
    with refused("bindings: signature does not match"):
        call = bindings.attest(site.bindings, devices=[METERS[0]], numbers=[0], signature=signature)
        site.chain.send(site.stranger, call)
    with refused("bindings: one number for each device"):
        call = bindings.attest(site.bindings, devices=[METERS[0]], numbers=[], signature=signature)
        site.chain.send(site.stranger, call)
    with refused("bindings: no such binding"):
        site.attest(SPARE_METER)
    site.chain.wait_until(LICENCE_UNTIL + 10)
    with refused("bindings: signer is no installer with a licence"):
        site.attest(METERS[0])


def test_a_change_without_the_owners_signature_is_contested_until_somebody_looked_again(site: Site) -> None:
    site.attest(*METERS[:2])
    site.chain.send(site.stranger, confirm(site))
    receipt = site.enact(end(site, UNITS[0], METERS[0], 20261101), end(site, UNITS[1], METERS[1], 20261101))
    assert BindingConfirmed(METERS[0], 0, Confirmed.CONTESTED, 1) in events(receipt)
    first, second = site.binding(METERS[0]), site.binding(METERS[1])
    assert (first.confirmed, first.attested, first.to_date) == (Confirmed.CONTESTED, False, 20261101)
    assert second.confirmed == Confirmed.NO and not second.attested  # nobody had confirmed it
    # The owner's old signature is for the open binding; the closed one needs the installer's again, and a new one.
    with refused("bindings: signature does not match"):
        site.chain.send(site.stranger, confirm(site, nonce=2))
    with refused("bindings: no installer has signed the binding"):
        site.chain.send(site.stranger, confirm(site, nonce=2, commitment=CLOSING))
    site.attest(METERS[0])
    site.chain.send(site.stranger, confirm(site, nonce=2, commitment=CLOSING))
    assert site.binding(METERS[0]).confirmed == Confirmed.OWNER


def swap_of(subject: bytes = UNITS[0], old: bytes = METERS[0]) -> Swap:
    return Swap(
        subject=subject,
        old_device=old,
        new_device=SPARE_METER,
        date=20261101,
        closing=CLOSING,
        opening=name("binding of the new meter"),
    )


def swap_signature(site: Site, swap: Swap, key: p256.PrivateKey, **signed: Any) -> PersonSignature:
    return site.sign(0, Purpose.SWAP_METER, *swap.abi(), key=key, **({"contract": site.bindings} | signed))


def swap_call(site: Site, swap: Swap, owner: p256.PrivateKey = OWNER_KEYS[0], **signed: Any) -> Call:
    installer = swap_signature(site, swap, INSTALLER_KEY)
    owners_word = swap_signature(site, swap, owner, **signed)
    return bindings.swap_signed(site.bindings, swap=swap, installer=installer, owner=owners_word)


def test_installer_and_owner_swap_a_meter_after_the_delay(site: Site) -> None:
    site.attest(METERS[0])
    site.chain.send(site.stranger, confirm(site))
    swap = swap_of()
    number = announced(site.chain.send(site.relayer, swap_call(site, swap)))
    inner = bindings_changes.swap_devices(site.bindings, swap=swap, installer=INSTALLER, confirmed=1)
    with refused("registry: delay is not over"):
        site.enact_batch(number, inner)
    site.chain.wait(7 * DAY)
    receipt = site.enact_batch(number, inner)
    assert BindingAttested(SPARE_METER, 0, INSTALLER) in events(receipt)
    old, new = site.binding(METERS[0]), site.binding(SPARE_METER)
    assert (old.to_date, old.commitment, old.confirmed, old.attested) == (20261101, CLOSING, 1, True)
    assert (new.subject, new.role, new.from_date, new.confirmed, new.attested) == (UNITS[0], 1, 20261101, 1, True)
    assert bound(site, METERS[0], UNITS[0], 1, 20260901, 20261101)
    assert bound(site, SPARE_METER, UNITS[0], 1, 20261101, 20261201)


def test_a_swap_without_the_second_signature_is_refused(site: Site) -> None:
    swap = swap_of()
    with refused("bindings: binding belongs to another unit"):
        site.chain.send(site.stranger, swap_call(site, swap, OWNER_KEYS[1]))
    with refused("bindings: key is not in force"):
        site.chain.send(site.stranger, swap_call(site, swap, INSTALLER_KEY))
    with refused("bindings: signature does not match"):
        site.chain.send(site.stranger, swap_call(site, swap, contract=site.roll))
    installer = swap_signature(site, swap, OWNER_KEYS[0])
    with refused("bindings: signer is no installer with a licence"):
        call = bindings.swap_signed(site.bindings, swap=swap, installer=installer, owner=installer)
        site.chain.send(site.stranger, call)


def test_the_committee_swaps_a_pools_meter_and_no_units(site: Site) -> None:
    def call(swap: Swap) -> Call:
        installer = swap_signature(site, swap, INSTALLER_KEY)
        return bindings.swap_as_committee(site.bindings, swap=swap, installer=installer)

    swap = swap_of(POOL, POOL_METER)
    with refused("bindings: only the committee may do this"):
        site.chain.send(site.manager, call(swap))
    with refused("bindings: the committee swaps a pool's meter"):
        site.chain.send(site.committee, call(swap_of()))
    number = announced(site.chain.send(site.committee, call(swap)))
    site.chain.wait(7 * DAY)
    inner = bindings_changes.swap_devices(site.bindings, swap=swap, installer=INSTALLER, confirmed=2)
    site.enact_batch(number, inner)
    assert site.binding(SPARE_METER).role == bindings.ROLE_POOL
    assert site.binding(SPARE_METER).confirmed == site.binding(POOL_METER).confirmed == Confirmed.COMMITTEE


def test_a_sold_units_old_owner_and_an_ended_installer_sign_no_more(site: Site) -> None:
    site.attest(METERS[0])
    site.enact(
        roll_changes.set_head(site.roll, unit=UNITS[0], head=3),
        crews_changes.set_member(site.crews, alias=INSTALLER, firm=1, duties=1, licence_until=LICENCE_UNTIL),
    )
    with refused("bindings: key is not in force"):
        site.chain.send(site.stranger, confirm(site))
    with refused("bindings: signer is no installer with a licence"):
        site.attest(METERS[1])
