"""Registry: every witness takes two parties and time; taking one away takes neither."""

from hashlib import sha256

import pytest

from contracts.abi import Call, Function
from contracts.calls import registry, registry_changes
from contracts.calls.registry_events import BindingConfirmed, GatewayKeyEnded, GatewayKeySet, OwnerKeySet, parse_event
from contracts.person import Purpose
from tests.contracts.vyper.chain import Receipt
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.site import (
    DAY,
    METERS,
    ORIGIN,
    OWNER_KEYS,
    POOL,
    SPARE_METER,
    UNITS,
    Site,
    announced,
    coordinates,
    gateway_change,
    key_id,
    key_of,
    name,
    owner_key_change,
)

changes = registry_changes


def events(receipt: Receipt) -> list[object]:
    return [event for log in receipt.logs if (event := parse_event(log.topics, log.data)) is not None]


def pending(site: Site, *calls: bytes) -> int:
    """A batch that both parties signed and whose delay has not begun to pass."""
    number = site.announce(*calls)
    site.chain.send(site.committee, registry.approve(site.registry, number=number))
    return number


def enact(site: Site, number: int, *calls: bytes) -> Receipt:
    return site.chain.send(site.stranger, registry.enact(site.registry, number=number, calls=calls))


def holds_operator(site: Site, account: str) -> bool:
    call = registry.has_role(site.registry, role=registry.OPERATOR, account=account)
    return registry.parse_has_role(site.chain.view(call))


def test_a_batch_needs_both_parties_its_delay_and_its_own_calls(site: Site) -> None:
    grant = changes.set_role(role=registry.OPERATOR, account=site.stranger)
    with refused("registry: only manager or committee may do this"):
        site.announce(grant, by=site.relayer)
    with refused("registry: batch is empty"):
        site.announce()
    number = site.announce(grant)
    with refused("registry: the second party has not approved"):
        enact(site, number, grant)
    with refused("registry: the other party must approve"):
        site.chain.send(site.manager, registry.approve(site.registry, number=number))
    with refused("registry: only manager or committee may do this"):
        site.chain.send(site.relayer, registry.approve(site.registry, number=number))
    site.chain.send(site.committee, registry.approve(site.registry, number=number))
    with refused("registry: batch does not wait for approval"):
        site.chain.send(site.committee, registry.approve(site.registry, number=number))
    with refused("registry: delay is not over"):
        enact(site, number, grant)
    site.chain.wait(7 * DAY - 10)
    with refused("registry: delay is not over"):
        enact(site, number, grant)
    site.chain.wait(20)
    other = changes.set_role(role=registry.OPERATOR, account=site.relayer)
    with refused("registry: calls are not the announced ones"):
        enact(site, number, other)
    enact(site, number, grant)
    assert holds_operator(site, site.stranger)
    with refused("registry: batch is already enacted"):
        enact(site, number, grant)
    with refused("registry: batch is already enacted"):
        site.chain.send(site.committee, registry.veto(site.registry, number=number, mask=1))


def test_the_committee_announces_and_the_manager_approves_as_well(site: Site) -> None:
    grant = changes.set_role(role=registry.OPERATOR, account=site.stranger)
    number = site.announce(grant, by=site.committee)
    site.chain.send(site.manager, registry.approve(site.registry, number=number))
    site.chain.wait(7 * DAY)
    enact(site, number, grant)
    assert holds_operator(site, site.stranger)


def test_an_unknown_batch_is_neither_approved_nor_vetoed(site: Site) -> None:
    with refused("registry: batch does not wait for approval"):
        site.chain.send(site.committee, registry.approve(site.registry, number=999))
    with refused("registry: no such batch"):
        site.chain.send(site.committee, registry.veto(site.registry, number=999, mask=1))


def test_the_committee_vetoes_single_calls(site: Site) -> None:
    calls = [changes.set_role(role=registry.OPERATOR, account=who) for who in (site.stranger, site.deployer)]
    number = pending(site, *calls)
    with refused("registry: only the committee may veto"):
        site.chain.send(site.manager, registry.veto(site.registry, number=number, mask=1))
    site.chain.send(site.committee, registry.veto(site.registry, number=number, mask=1))
    site.chain.wait(7 * DAY)
    enact(site, number, *calls)
    assert not holds_operator(site, site.stranger) and holds_operator(site, site.deployer)


def test_a_units_present_key_vetoes_what_concerns_its_unit_and_nothing_else(site: Site) -> None:
    thief = owner_key_change(UNITS[1], key_of(66))
    calls = [owner_key_change(UNITS[0], key_of(65)), thief]
    number = pending(site, *calls)

    def veto(signer: int, call_index: int, given: list[bytes] = calls) -> Call:
        signature = site.sign(signer, Purpose.VETO, number, call_index, contract=site.registry)
        return registry.veto_as_owner(
            site.registry, number=number, calls=given, call_index=call_index, signature=signature
        )

    with refused("registry: call concerns another unit"):
        site.chain.send(site.stranger, veto(1, 0))
    with refused("registry: no such call"):
        site.chain.send(site.stranger, veto(1, 2))
    with refused("registry: calls are not the announced ones"):
        site.chain.send(site.stranger, veto(1, 0, [thief]))
    site.chain.send(site.stranger, veto(1, 1))
    site.chain.wait(7 * DAY)
    receipt = enact(site, number, *calls)
    assert [event.unit for event in events(receipt) if isinstance(event, OwnerKeySet)] == [UNITS[0]]


INNER = [
    changes.set_manager(manager="0x" + "11" * 20),
    changes.set_committee(committee="0x" + "11" * 20),
    changes.set_role(role=registry.OPERATOR, account="0x" + "11" * 20),
    changes.set_relying_party(number=7, rp_id_hash=name("rp"), origin="http://evil"),
    gateway_change("minglou.example/cuiyuan/ghost/e0", key_of(66)),
    changes.add_units(units=[changes.NewUnit(alias=name("ghost"), area_centi_m2=1)]),
    changes.add_pool(pool=name("ghost pool")),
    owner_key_change(UNITS[0], key_of(66)),
    changes.replace_owner_key(unit=UNITS[0], old_key_id=key_id(OWNER_KEYS[0]), x=1, y=2, kind=2, relying_party=0),
    changes.remove_owner_key(unit=UNITS[0], key_id=key_id(OWNER_KEYS[0])),
    changes.assign_devices(origin_id=name("o"), first_index=0, devices=[name("d")]),
    changes.end_assignment(device=METERS[0], last_index=5),
    changes.bind(subject=UNITS[0], device=name("d"), role=1, from_date=20261001, commitment=name("c")),
    changes.end_binding(subject=UNITS[0], device=METERS[0], to_date=20261101, commitment=name("c")),
    changes.name_successor(old="0x" + "11" * 20, successor="0x" + "22" * 20),
]


@pytest.mark.parametrize("call", INNER, ids=lambda call: call[:4].hex())
def test_no_inner_function_runs_but_from_an_enacted_batch(site: Site, call: bytes) -> None:
    for account in (site.manager, site.committee, site.operator, site.relayer, site.stranger):
        with refused("registry: only an enacted batch may do this"):
            site.chain.send(account, Call(to=site.registry, data=call))


def test_every_inner_function_is_among_those_tested() -> None:
    written = {value.selector for value in vars(changes).values() if isinstance(value, Function)}
    assert {call[:4] for call in INNER} == written


def test_a_gateways_next_key_ends_the_one_before_by_block(site: Site) -> None:
    receipt = site.enact(gateway_change(ORIGIN, key_of(70), key_class=2))
    found = events(receipt)
    assert [type(event) for event in found if not hasattr(event, "number")] == [GatewayKeyEnded, GatewayKeySet]
    old = registry.gateway_key(site.registry, origin_id=site.log.origin_id, key_id=key_id(site.log.key))
    assert registry.parse_gateway_key(site.chain.view(old)).to_block == receipt.block - 1
    new = registry.gateway_key(site.registry, origin_id=site.log.origin_id, key_id=key_id(key_of(70)))
    assert registry.parse_gateway_key(site.chain.view(new)) == registry.KeyRange(2, receipt.block, 0)
    with refused("registry: gateway key was used before"):
        site.enact(gateway_change(ORIGIN, site.log.key))
    with refused("registry: gateway key or class is wrong"):
        site.enact(gateway_change(ORIGIN, key_of(71), key_class=4))


def test_manager_or_committee_revoke_at_once(site: Site) -> None:
    revoke = registry.revoke_gateway_key(site.registry, origin_id=site.log.origin_id)
    with refused("registry: only manager or committee may do this"):
        site.chain.send(site.relayer, revoke)
    site.chain.send(site.manager, revoke)
    with refused("registry: gateway has no key in force"):
        site.chain.send(site.committee, revoke)
    in_force = registry.key_in_force(site.registry, origin_id=site.log.origin_id)
    assert registry.parse_key_in_force(site.chain.view(in_force)) == registry.GatewayKey(0, 0)
    role = registry.revoke_role(site.registry, role=registry.OPERATOR, account=site.operator)
    with refused("registry: only manager or committee may do this"):
        site.chain.send(site.operator, role)
    site.chain.send(site.committee, role)
    assert not holds_operator(site, site.operator)
    with refused("registry: account does not hold the role"):
        site.chain.send(site.committee, role)


def test_units_keep_index_area_and_running_sum(site: Site) -> None:
    unit = registry.parse_unit(site.chain.view(registry.unit(site.registry, alias=UNITS[2])))
    assert unit == registry.Unit(2, 7777, 8930 + 12050, 0, True)
    assert registry.parse_unit_at(site.chain.view(registry.unit_at(site.registry, index=2))) == UNITS[2]
    nobody = registry.parse_unit(site.chain.view(registry.unit(site.registry, alias=name("nobody"))))
    assert not nobody.exists
    for alias, reason in (
        (UNITS[0], "registry: unit is already on the roll"),
        (bytes(32), "registry: unit is already on the roll"),
        (POOL, "registry: unit is already a pool"),
    ):
        with refused(reason):
            site.enact(changes.add_units(units=[changes.NewUnit(alias=alias, area_centi_m2=1)]))
    with refused("registry: area or category is out of range"):
        site.enact(changes.add_units(units=[changes.NewUnit(alias=name("large"), area_centi_m2=2**40)]))
    with refused("registry: pool is already known"):
        site.enact(changes.add_pool(pool=UNITS[0]))
    assert registry.parse_is_pool(site.chain.view(registry.is_pool(site.registry, pool=POOL)))


def test_a_first_owner_key_needs_its_activation_letter(site: Site) -> None:
    fresh, code = name("fresh unit"), name("fresh code")
    site.enact(changes.add_units(units=[changes.NewUnit(alias=fresh, area_centi_m2=5000)]))
    with refused("registry: unit is not on the roll"):
        site.enact(owner_key_change(name("nobody"), key_of(80)))
    with refused("registry: no activation letter was posted for the unit"):
        site.enact(owner_key_change(fresh, key_of(80), code))
    letters = registry.post_letters(site.registry, units=[fresh], digests=[sha256(code).digest()])
    with refused("registry: only the committee or its registrar posts letters"):
        site.chain.send(site.manager, letters)
    with refused("registry: one digest for each unit"):
        site.chain.send(site.committee, registry.post_letters(site.registry, units=[fresh], digests=[]))
    site.enact(changes.set_role(role=registry.REGISTRAR, account=site.deployer))
    site.chain.send(site.deployer, letters)
    with refused("registry: activation code does not match the letter"):
        site.enact(owner_key_change(fresh, key_of(80), name("guessed")))
    site.enact(owner_key_change(fresh, key_of(80), code))
    site.enact(owner_key_change(fresh, key_of(81)))
    found = registry.parse_owner_key(site.chain.view(registry.owner_key(site.registry, key_id=key_id(key_of(81)))))
    assert found.unit == fresh and found.until == 0
    with refused("registry: owner key was used before"):
        site.enact(owner_key_change(fresh, key_of(80)))
    with refused("registry: key is neither webauthn nor software"):
        site.enact(owner_key_change(fresh, key_of(82), kind=3))


def test_a_passkey_needs_a_registered_web_origin(site: Site) -> None:
    x, y = coordinates(key_of(83))

    def passkey(party: int) -> bytes:
        return changes.add_owner_key(unit=UNITS[0], x=x, y=y, kind=1, relying_party=party, letter_code=bytes(32))

    with refused("registry: relying party is not set"):
        site.enact(passkey(9))
    with refused("registry: relying party number is above 255"):
        site.enact(changes.set_relying_party(number=256, rp_id_hash=name("rp"), origin="http://x"))
    with refused("registry: relying party is already set"):
        site.enact(changes.set_relying_party(number=0, rp_id_hash=name("rp"), origin="http://x"))
    site.enact(passkey(0))
    with refused("registry: relying party number is above 255"):
        x2, y2 = coordinates(key_of(84))
        site.enact(changes.add_owner_key(unit=UNITS[0], x=x2, y=y2, kind=2, relying_party=256, letter_code=bytes(32)))


def test_an_owner_rotates_with_the_key_replaced_after_the_delay(site: Site) -> None:
    x, y = coordinates(key_of(90))
    signature = site.sign(0, Purpose.ROTATE_KEY, x, y, 2, 0, contract=site.registry)
    call = registry.rotate_owner_key(site.registry, x=x, y=y, kind=2, relying_party=0, signature=signature)
    number = announced(site.chain.send(site.relayer, call))
    inner = changes.replace_owner_key(
        unit=UNITS[0], old_key_id=key_id(OWNER_KEYS[0]), x=x, y=y, kind=2, relying_party=0
    )
    with refused("registry: delay is not over"):
        enact(site, number, inner)
    site.chain.wait(7 * DAY)
    enact(site, number, inner)
    person = registry.parse_person_key(
        site.chain.view(registry.person_key(site.registry, key_id=key_id(OWNER_KEYS[0])))
    )
    assert person.unit == bytes(32)
    person = registry.parse_person_key(site.chain.view(registry.person_key(site.registry, key_id=key_id(key_of(90)))))
    assert (person.unit, person.x) == (UNITS[0], x)


def test_a_forged_late_or_foreign_rotation_is_refused(site: Site) -> None:
    x, y = coordinates(key_of(90))
    body = (x, y, 2, 0)
    cases = [
        (site.sign(0, Purpose.ROTATE_KEY, *body), "registry: owner's signature does not match"),
        (
            site.sign(0, Purpose.ROTATE_KEY, *body, contract=site.registry, deadline=1),
            "registry: signature's deadline has passed",
        ),
        (
            site.sign(0, Purpose.ROTATE_KEY, *body, contract=site.registry, key=key_of(90)),
            "registry: key is not in force",
        ),
    ]
    for signature, reason in cases:
        call = registry.rotate_owner_key(site.registry, x=x, y=y, kind=2, relying_party=0, signature=signature)
        with refused(reason):
            site.chain.send(site.stranger, call)


def test_an_owner_ends_a_lost_key_at_once_and_two_parties_after_the_delay(site: Site) -> None:
    signature = site.sign(0, Purpose.REVOKE_KEY, key_id(OWNER_KEYS[0]), contract=site.registry)
    revoke = registry.revoke_owner_key(site.registry, signature=signature)
    site.chain.send(site.stranger, revoke)
    with refused("registry: key is not in force"):
        site.chain.send(site.stranger, revoke)
    site.enact(changes.remove_owner_key(unit=UNITS[1], key_id=key_id(OWNER_KEYS[1])))
    with refused("registry: key is not in force for the unit"):
        site.enact(changes.remove_owner_key(unit=UNITS[1], key_id=key_id(OWNER_KEYS[1])))
    with refused("registry: key is not in force for the unit"):
        site.enact(changes.remove_owner_key(unit=UNITS[1], key_id=key_id(OWNER_KEYS[2])))


def assigned(site: Site, device: bytes, origin_id: bytes, index: int) -> bool:
    call = registry.is_assigned(site.registry, device=device, origin_id=origin_id, index=index)
    return registry.parse_is_assigned(site.chain.view(call))


def test_a_devices_log_ranges_follow_each_other_without_overlap(site: Site) -> None:
    other = site.neighbour.origin_id

    def assign(first: int) -> bytes:
        return changes.assign_devices(origin_id=other, first_index=first, devices=[METERS[0]])

    with refused("registry: device still writes to a log"):
        site.enact(assign(0))
    with refused("registry: last index is outside the range"):
        site.enact(changes.end_assignment(device=METERS[0], last_index=2**48 - 1))
    site.enact(changes.end_assignment(device=METERS[0], last_index=99))
    with refused("registry: device writes to no log"):
        site.enact(changes.end_assignment(device=METERS[0], last_index=120))
    with refused("registry: device writes to no log"):
        site.enact(changes.end_assignment(device=name("unknown"), last_index=120))
    site.enact(assign(40))
    mine = site.log.origin_id
    assert [assigned(site, METERS[0], mine, index) for index in (0, 99, 100)] == [True, True, False]
    assert [assigned(site, METERS[0], other, index) for index in (39, 40, 10**6)] == [False, True, True]
    site.enact(changes.end_assignment(device=METERS[0], last_index=50))
    with refused("registry: index ranges overlap"):
        site.enact(assign(50))
    with refused("registry: index is beyond any log"):
        site.enact(assign(2**48))
    site.enact(assign(51))
    count = registry.assignment_count(site.registry, device=METERS[0])
    assert registry.parse_assignment_count(site.chain.view(count)) == 3


def bound(site: Site, device: bytes, subject: bytes, role: int, from_date: int, to_date: int) -> bool:
    call = registry.is_bound(
        site.registry, device=device, subject=subject, role=role, from_date=from_date, to_date=to_date
    )
    return registry.parse_is_bound(site.chain.view(call))


def test_a_device_counts_for_one_subject_on_one_day(site: Site) -> None:
    commitment = name("commitment")

    def bind(subject: bytes, from_date: int, role: int = 1, device: bytes = METERS[0]) -> bytes:
        return changes.bind(subject=subject, device=device, role=role, from_date=from_date, commitment=commitment)

    with refused("registry: device still counts for another"):
        site.enact(bind(UNITS[1], 20261101))
    with refused("registry: device does not count for the subject"):
        site.enact(changes.end_binding(subject=UNITS[1], device=METERS[0], to_date=20261101, commitment=commitment))
    with refused("registry: device does not count for the subject"):
        site.enact(changes.end_binding(subject=bytes(32), device=name("x"), to_date=20261101, commitment=commitment))
    with refused("registry: binding ends before it begins"):
        site.enact(changes.end_binding(subject=UNITS[0], device=METERS[0], to_date=20260901, commitment=commitment))
    site.enact(changes.end_binding(subject=UNITS[0], device=METERS[0], to_date=20261101, commitment=commitment))
    with refused("registry: bindings overlap"):
        site.enact(bind(UNITS[1], 20261031))
    for subject, role in ((POOL, 1), (UNITS[1], 2), (name("nobody"), 1)):
        with refused("registry: subject is neither unit nor pool for this role"):
            site.enact(bind(subject, 20261101, role))
    with refused("calendar: no such date"):
        site.enact(bind(UNITS[1], 20261131))
    with refused("registry: binding has no first day"):
        site.enact(bind(UNITS[1], 19700101))
    site.enact(bind(UNITS[1], 20261101))
    assert bound(site, METERS[0], UNITS[0], 1, 20260901, 20261101)
    assert not bound(site, METERS[0], UNITS[0], 1, 20260901, 20261102)
    assert not bound(site, METERS[0], UNITS[0], 2, 20260901, 20261101)
    assert bound(site, METERS[0], UNITS[1], 1, 20261101, 20271101)
    assert not bound(site, SPARE_METER, UNITS[0], 1, 20261101, 20261201)


def test_the_owner_confirms_the_meter_once(site: Site) -> None:
    def confirm(signer: int) -> Call:
        signature = site.sign(signer, Purpose.CONFIRM_BINDING, METERS[0], 0, name("binding"), contract=site.registry)
        return registry.confirm_binding(site.registry, device=METERS[0], number=0, signature=signature)

    with refused("registry: binding belongs to another unit"):
        site.chain.send(site.stranger, confirm(1))
    receipt = site.chain.send(site.stranger, confirm(0))
    assert events(receipt) == [BindingConfirmed(METERS[0], 0, key_id(OWNER_KEYS[0]))]
    binding = registry.binding(site.registry, device=METERS[0], number=0)
    assert registry.parse_binding(site.chain.view(binding)).confirmed
    with refused("registry: binding is already confirmed"):
        site.chain.send(site.stranger, confirm(0))


def test_a_device_has_at_most_sixty_four_ranges_and_bindings(site: Site) -> None:
    device, commitment = name("restless"), name("c")
    dates = [20250000 + month * 100 + day for month in range(1, 13) for day in range(1, 28)]
    for number in range(64):
        moves = [
            changes.assign_devices(origin_id=name("o"), first_index=2 * number, devices=[device]),
            changes.end_assignment(device=device, last_index=2 * number + 1),
            changes.bind(subject=POOL, device=device, role=2, from_date=dates[number], commitment=commitment),
            changes.end_binding(subject=POOL, device=device, to_date=dates[number + 1], commitment=commitment),
        ]
        site.enact(*moves)
    with refused("registry: device was assigned too often"):
        site.enact(changes.assign_devices(origin_id=name("o"), first_index=999, devices=[device]))
    with refused("registry: device was bound too often"):
        site.enact(changes.bind(subject=POOL, device=device, role=2, from_date=20260101, commitment=commitment))


def test_a_manager_hands_over_and_the_committee_replaces_one_who_does_not(site: Site) -> None:
    inner = changes.set_manager(manager=site.stranger)
    number = announced(site.chain.send(site.manager, registry.succeed_manager(site.registry, new=site.stranger)))
    site.chain.wait(7 * DAY)
    enact(site, number, inner)
    assert registry.parse_manager(site.chain.view(registry.manager(site.registry))) == site.stranger.lower()
    back = changes.set_manager(manager=site.manager)
    number = announced(site.chain.send(site.committee, registry.succeed_manager(site.registry, new=site.manager)))
    site.chain.wait(29 * DAY)
    with refused("registry: delay is not over"):
        enact(site, number, back)
    site.chain.wait(DAY)
    enact(site, number, back)
    with refused("registry: only manager or committee may do this"):
        site.chain.send(site.relayer, registry.succeed_manager(site.registry, new=site.relayer))


def test_only_the_committee_names_its_successor(site: Site) -> None:
    call = registry.succeed_committee(site.registry, new=site.stranger)
    with refused("registry: only the committee may name its successor"):
        site.chain.send(site.manager, call)
    number = announced(site.chain.send(site.committee, call))
    site.chain.wait(7 * DAY)
    enact(site, number, changes.set_committee(committee=site.stranger))
    assert registry.parse_committee(site.chain.view(registry.committee(site.registry))) == site.stranger.lower()


def test_manager_and_committee_never_become_one(site: Site) -> None:
    for call in (
        changes.set_manager(manager=site.committee),
        changes.set_committee(committee=site.manager),
        changes.set_manager(manager="0x" + "00" * 20),
    ):
        with refused("registry: manager and committee must be two parties"):
            site.enact(call)


def test_a_contracts_successor_is_public(site: Site) -> None:
    site.enact(changes.name_successor(old=site.usage_fees, successor=site.stranger))
    found = site.chain.view(registry.successor(site.registry, old=site.usage_fees))
    assert registry.parse_successor(found) == site.stranger.lower()
