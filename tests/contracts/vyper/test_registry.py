"""Registry: every witness takes two parties and time; taking one away takes neither."""

import pytest

from contracts.abi import Call, Function
from contracts.calls import (
    bindings,
    bindings_changes,
    crews_changes,
    registry,
    registry_changes,
    registry_events,
    roll_changes,
    roll_events,
)
from contracts.calls.registry_events import ContractNamed, GatewayKeyEnded, GatewayKeySet, SuccessorNamed
from contracts.calls.roll import PoolKeys
from contracts.person import Purpose
from tests.contracts.vyper.chain import Receipt
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.site import (
    BUILDING,
    CONTRACTS,
    DAY,
    INSTALLER,
    INSTALLER_KEY,
    METERS,
    ORIGIN,
    OWNER_KEYS,
    POOL,
    UNITS,
    Site,
    announced,
    key_id,
    key_of,
    name,
)

changes = registry_changes


def events(receipt: Receipt) -> list[registry_events.Event]:
    parsed = (registry_events.parse_event(log.topics, log.data) for log in receipt.logs)
    return [event for event in parsed if event is not None]


def grant(site: Site, account: str) -> Call:
    return changes.set_role(site.registry, role=registry.OPERATOR, account=account)


def holds_operator(site: Site, account: str) -> bool:
    call = registry.has_role(site.registry, role=registry.OPERATOR, account=account)
    return registry.parse_has_role(site.chain.view(call))


def test_a_batch_needs_both_parties_its_delay_and_its_own_calls(site: Site) -> None:
    wanted = grant(site, site.stranger)
    with refused("registry: only manager or committee may do this"):
        site.announce(wanted, by=site.relayer)
    with refused("registry: batch is empty"):
        site.announce()
    number = site.announce(wanted)
    with refused("registry: the second party has not approved"):
        site.enact_batch(number, wanted)
    with refused("registry: the other party must approve"):
        site.chain.send(site.manager, registry.approve(site.registry, number=number))
    with refused("registry: only manager or committee may do this"):
        site.chain.send(site.relayer, registry.approve(site.registry, number=number))
    site.chain.send(site.committee, registry.approve(site.registry, number=number))
    with refused("registry: batch does not wait for approval"):
        site.chain.send(site.committee, registry.approve(site.registry, number=number))
    with refused("registry: delay is not over"):
        site.enact_batch(number, wanted)
    site.chain.wait(7 * DAY - 10)
    with refused("registry: delay is not over"):
        site.enact_batch(number, wanted)
    site.chain.wait(20)
    with refused("registry: calls are not the announced ones"):
        site.enact_batch(number, grant(site, site.relayer))
    site.enact_batch(number, wanted)
    assert holds_operator(site, site.stranger)
    with refused("registry: batch is already enacted"):
        site.enact_batch(number, wanted)
    with refused("registry: batch is already enacted"):
        site.chain.send(site.committee, registry.veto(site.registry, number=number, mask=1))


def test_the_committee_announces_and_the_manager_approves_as_well(site: Site) -> None:
    wanted = grant(site, site.stranger)
    number = site.announce(wanted, by=site.committee)
    site.chain.send(site.manager, registry.approve(site.registry, number=number))
    site.chain.wait(7 * DAY)
    site.enact_batch(number, wanted)
    assert holds_operator(site, site.stranger)


def test_an_unknown_batch_is_neither_approved_nor_vetoed(site: Site) -> None:
    with refused("registry: batch does not wait for approval"):
        site.chain.send(site.committee, registry.approve(site.registry, number=999))
    with refused("registry: no such batch"):
        site.chain.send(site.committee, registry.veto(site.registry, number=999, mask=1))


def test_the_committee_vetoes_single_calls(site: Site) -> None:
    calls = [grant(site, who) for who in (site.stranger, site.deployer)]
    number = site.approved(*calls)
    with refused("registry: only the committee may veto"):
        site.chain.send(site.manager, registry.veto(site.registry, number=number, mask=1))
    site.chain.send(site.committee, registry.veto(site.registry, number=number, mask=1))
    site.chain.wait(7 * DAY)
    site.enact_batch(number, *calls)
    assert not holds_operator(site, site.stranger) and holds_operator(site, site.deployer)


def test_a_units_present_key_vetoes_what_concerns_its_unit_and_nothing_else(site: Site) -> None:
    thief = site.owner_key_change(UNITS[1], key_of(66))
    # Bindings' calls concern the unit too: the Roll knows its keys.
    meter = site.binding_change(UNITS[1], METERS[0])
    calls = [site.owner_key_change(UNITS[0], key_of(65)), thief, meter]
    number = site.approved(*calls)

    def veto(signer: int, call_index: int, given: list[Call] = calls, deadline: int = 2**63) -> Call:
        signature = site.sign(signer, Purpose.VETO, number, call_index, contract=site.registry, deadline=deadline)
        return registry.veto_signed(
            site.registry, number=number, calls=given, call_index=call_index, signature=signature
        )

    with refused("registry: call concerns somebody else"):
        site.chain.send(site.stranger, veto(1, 0))
    with refused("registry: no such call"):
        site.chain.send(site.stranger, veto(1, 3))
    with refused("registry: calls are not the announced ones"):
        site.chain.send(site.stranger, veto(1, 0, [thief]))
    with refused("registry: signature's deadline has passed"):
        site.chain.send(site.stranger, veto(1, 1, deadline=1))
    forged = site.sign(1, Purpose.VETO, number, 0, contract=site.registry)
    with refused("registry: person's signature does not match"):
        call = registry.veto_signed(site.registry, number=number, calls=calls, call_index=1, signature=forged)
        site.chain.send(site.stranger, call)
    unknown = site.sign(1, Purpose.VETO, number, 1, contract=site.registry, key=key_of(66))
    with refused("registry: key is not in force"):
        call = registry.veto_signed(site.registry, number=number, calls=calls, call_index=1, signature=unknown)
        site.chain.send(site.stranger, call)
    for stopped in (1, 2):
        site.chain.send(site.stranger, veto(1, stopped))
    site.chain.wait(7 * DAY)
    receipt = site.enact_batch(number, *calls)
    parsed = [roll_events.parse_event(log.topics, log.data) for log in receipt.logs]
    assert [event.unit for event in parsed if isinstance(event, roll_events.OwnerKeySet)] == [UNITS[0]]


def test_a_crew_members_present_key_vetoes_what_concerns_the_member(site: Site) -> None:
    calls = [
        crews_changes.replace_crew_key(
            site.crews, alias=INSTALLER, old_key_id=key_id(INSTALLER_KEY), x=1, y=2, kind=2, relying_party=0
        )
    ]
    number = site.approved(*calls)
    for key, reason in (
        (OWNER_KEYS[0], "registry: key is not in force"),  # an owner's key is none of Crews'
        (INSTALLER_KEY, None),
    ):
        signature = site.sign(0, Purpose.VETO, number, 0, contract=site.registry, key=key)
        call = registry.veto_signed(site.registry, number=number, calls=calls, call_index=0, signature=signature)
        if reason is None:
            site.chain.send(site.stranger, call)
        else:
            with refused(reason):
                site.chain.send(site.stranger, call)
    batch = registry.parse_batch(site.chain.view(registry.batch(site.registry, number=number)))
    assert (batch.parties, batch.vetoed, batch.enacted) == (3, 1, False)


def test_a_call_to_anything_but_the_sites_contracts_is_refused(site: Site) -> None:
    for target in (site.stranger, "0x" + "77" * 20):
        with refused("registry: target is no contract of the site"):
            site.enact(Call(to=target, data=b"1234"))
    # A name without code behind it would swallow calls in silence.
    site.enact(changes.name_contract(site.registry, name=name("later"), at="0x" + "77" * 20))
    with refused("registry: target is no contract of the site"):
        site.enact(Call(to="0x" + "77" * 20, data=b"1234"))


def test_only_a_contract_of_the_site_announces_for_a_signer(site: Site) -> None:
    with refused("registry: only a contract of the site announces for a signer"):
        site.chain.send(site.manager, registry.announce_signed(site.registry, data=b"1234"))


def inner_calls(to: str) -> list[tuple[str, Call]]:
    """Every inner function of every contract, as somebody calls it who may not; by the contract's attribute."""
    somebody, digest = "0x" + "11" * 20, name("c")
    keys = {"x": 1, "y": 2, "kind": 2, "relying_party": 0}
    swap = bindings.Swap(
        subject=POOL, old_device=name("d"), new_device=name("e"), date=20261101, closing=digest, opening=digest
    )
    roll_, crews_ = roll_changes, crews_changes
    return [
        ("registry", changes.set_manager(to, manager=somebody)),
        ("registry", changes.set_committee(to, committee=somebody)),
        ("registry", changes.set_role(to, role=registry.OPERATOR, account=somebody)),
        ("registry", changes.set_gateway_key(to, origin=ORIGIN, x=1, y=2, key_class=1, building=1)),
        ("registry", changes.assign_devices(to, origin_id=name("o"), first_index=0, devices=[name("d")])),
        ("registry", changes.end_assignment(to, device=METERS[0], last_index=5)),
        ("registry", changes.name_contract(to, name=name("n"), at=somebody)),
        ("roll", roll_.add_units(to, units=[roll_.NewUnit(alias=name("ghost"), area_centi_m2=1, head=3)])),
        ("roll", roll_.set_head(to, unit=UNITS[0], head=0)),
        ("roll", roll_.add_owner_key(to, unit=UNITS[0], letter_code=digest, **keys)),
        ("roll", roll_.replace_owner_key(to, unit=UNITS[0], old_key_id=digest, **keys)),
        ("roll", roll_.remove_owner_key(to, unit=UNITS[0], key_id=key_id(OWNER_KEYS[0]))),
        ("roll", roll_.set_residents(to, unit=UNITS[0], from_date=20261001, count=3)),
        ("roll", roll_.add_pool(to, pool=name("ghost pool"))),
        ("roll", roll_.set_pool_keys(to, pool=POOL, keys=PoolKeys(digest, 1, 1, 1, 20261001))),
        ("roll", roll_.set_relying_party(to, number=7, rp_id_hash=digest, origin="http://evil")),
        ("crews", crews_.set_firm(to, firm=9, name_digest=digest, licence_until=2**33)),
        ("crews", crews_.set_member(to, alias=name("ghost"), firm=1, duties=1, licence_until=2**33)),
        ("crews", crews_.add_crew_key(to, alias=INSTALLER, **keys)),
        ("crews", crews_.replace_crew_key(to, alias=INSTALLER, old_key_id=key_id(INSTALLER_KEY), **keys)),
        ("crews", crews_.set_relying_party(to, number=7, rp_id_hash=digest, origin="http://evil")),
        (
            "bindings",
            bindings_changes.bind(
                to, subject=UNITS[0], device=name("d"), role=1, from_date=20261001, commitment=digest
            ),
        ),
        (
            "bindings",
            bindings_changes.end_binding(to, subject=UNITS[0], device=METERS[0], to_date=20261101, commitment=digest),
        ),
        ("bindings", bindings_changes.swap_devices(to, swap=swap, installer=INSTALLER, confirmed=1)),
    ]


INNER = inner_calls("0x" + "00" * 20)
REFUSALS = {
    "registry: only an enacted batch may do this",
    "roll: only an enacted batch may do this",
    "crews: only an enacted batch may do this",
    "bindings: only an enacted batch may do this",
}


@pytest.mark.parametrize(("contract", "call"), INNER, ids=lambda part: part if isinstance(part, str) else "")
def test_no_inner_function_runs_but_from_an_enacted_batch(site: Site, contract: str, call: Call) -> None:
    for account in (site.manager, site.committee, site.operator, site.relayer, site.stranger):
        with refused(f"{contract}: only an enacted batch may do this"):
            site.chain.send(account, Call(to=getattr(site, contract), data=call.data))


def test_every_inner_function_is_among_those_tested() -> None:
    modules = {
        "registry": registry_changes,
        "roll": roll_changes,
        "crews": crews_changes,
        "bindings": bindings_changes,
    }
    for contract, module in modules.items():
        written = {value.selector for value in vars(module).values() if isinstance(value, Function)}
        assert {call.data[:4] for at, call in INNER if at == contract} == written
    assert {f"{contract}: only an enacted batch may do this" for contract in modules} == REFUSALS


def test_a_gateways_next_key_ends_the_one_before_by_block(site: Site) -> None:
    receipt = site.enact(site.gateway_change(ORIGIN, key_of(70), key_class=2))
    found = events(receipt)
    assert [type(event) for event in found if isinstance(event, GatewayKeySet | GatewayKeyEnded)] == [
        GatewayKeyEnded,
        GatewayKeySet,
    ]
    old = registry.gateway_key(site.registry, origin_id=site.log.origin_id, key_id=key_id(site.log.key))
    assert registry.parse_gateway_key(site.chain.view(old)).to_block == receipt.block - 1
    new = registry.gateway_key(site.registry, origin_id=site.log.origin_id, key_id=key_id(key_of(70)))
    assert registry.parse_gateway_key(site.chain.view(new)) == registry.KeyRange(2, receipt.block, 0)
    with refused("registry: gateway key was used before"):
        site.enact(site.gateway_change(ORIGIN, site.log.key))
    with refused("registry: gateway key or class is wrong"):
        site.enact(site.gateway_change(ORIGIN, key_of(71), key_class=4))
    assert site.chain.view(registry.gateways_added(site.registry, building=BUILDING))[-1] == 3
    x, y = 5, 6
    with refused("registry: building number is above 65535"):
        site.enact(changes.set_gateway_key(site.registry, origin=ORIGIN, x=x, y=y, key_class=1, building=2**16))


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


def assigned(site: Site, device: bytes, origin_id: bytes, index: int) -> bool:
    call = registry.is_assigned(site.registry, device=device, origin_id=origin_id, index=index)
    return registry.parse_is_assigned(site.chain.view(call))


def test_a_devices_log_ranges_follow_each_other_without_overlap(site: Site) -> None:
    other = site.neighbour.origin_id

    def assign(first: int) -> Call:
        return changes.assign_devices(site.registry, origin_id=other, first_index=first, devices=[METERS[0]])

    with refused("registry: device still writes to a log"):
        site.enact(assign(0))
    with refused("registry: last index is outside the range"):
        site.enact(changes.end_assignment(site.registry, device=METERS[0], last_index=2**48 - 1))
    site.enact(changes.end_assignment(site.registry, device=METERS[0], last_index=99))
    with refused("registry: device writes to no log"):
        site.enact(changes.end_assignment(site.registry, device=METERS[0], last_index=120))
    with refused("registry: device writes to no log"):
        site.enact(changes.end_assignment(site.registry, device=name("unknown"), last_index=120))
    site.enact(assign(40))
    mine = site.log.origin_id
    assert [assigned(site, METERS[0], mine, index) for index in (0, 99, 100)] == [True, True, False]
    assert [assigned(site, METERS[0], other, index) for index in (39, 40, 10**6)] == [False, True, True]
    site.enact(changes.end_assignment(site.registry, device=METERS[0], last_index=50))
    with refused("registry: index ranges overlap"):
        site.enact(assign(50))
    with refused("registry: index is beyond any log"):
        site.enact(assign(2**48))
    site.enact(assign(51))
    count = registry.assignment_count(site.registry, device=METERS[0])
    assert registry.parse_assignment_count(site.chain.view(count)) == 3


def test_a_device_has_at_most_sixty_four_ranges(site: Site) -> None:
    device = name("restless")

    def moves(number: int) -> list[Call]:
        return [
            changes.assign_devices(site.registry, origin_id=name("o"), first_index=2 * number, devices=[device]),
            changes.end_assignment(site.registry, device=device, last_index=2 * number + 1),
        ]

    for start in range(0, 64, 16):
        site.enact(*[move for number in range(start, start + 16) for move in moves(number)])
    with refused("registry: device was assigned too often"):
        site.enact(changes.assign_devices(site.registry, origin_id=name("o"), first_index=999, devices=[device]))


def test_a_manager_hands_over_and_the_committee_replaces_one_who_does_not(site: Site) -> None:
    inner = changes.set_manager(site.registry, manager=site.stranger)
    number = announced(site.chain.send(site.manager, registry.succeed_manager(site.registry, new=site.stranger)))
    site.chain.wait(7 * DAY)
    site.enact_batch(number, inner)
    assert registry.parse_manager(site.chain.view(registry.manager(site.registry))) == site.stranger.lower()
    back = changes.set_manager(site.registry, manager=site.manager)
    number = announced(site.chain.send(site.committee, registry.succeed_manager(site.registry, new=site.manager)))
    site.chain.wait(29 * DAY)
    with refused("registry: delay is not over"):
        site.enact_batch(number, back)
    site.chain.wait(DAY)
    site.enact_batch(number, back)
    with refused("registry: only manager or committee may do this"):
        site.chain.send(site.relayer, registry.succeed_manager(site.registry, new=site.relayer))


def test_only_the_committee_names_its_successor(site: Site) -> None:
    call = registry.succeed_committee(site.registry, new=site.stranger)
    with refused("registry: only the committee may name its successor"):
        site.chain.send(site.manager, call)
    number = announced(site.chain.send(site.committee, call))
    site.chain.wait(7 * DAY)
    site.enact_batch(number, changes.set_committee(site.registry, committee=site.stranger))
    assert registry.parse_committee(site.chain.view(registry.committee(site.registry))) == site.stranger.lower()


def test_manager_and_committee_never_become_one(site: Site) -> None:
    for call in (
        changes.set_manager(site.registry, manager=site.committee),
        changes.set_committee(site.registry, committee=site.manager),
        changes.set_manager(site.registry, manager="0x" + "00" * 20),
    ):
        with refused("registry: manager and committee must be two parties"):
            site.enact(call)


def named(site: Site, contract: str) -> str:
    call = registry.contract_named(site.registry, name=contract.encode().ljust(32, b"\0"))
    return registry.parse_contract_named(site.chain.view(call))


def test_the_directory_names_the_sites_contracts_from_the_start(site: Site) -> None:
    for attribute in CONTRACTS:
        expected = "0x" + "00" * 20 if attribute == "registry" else getattr(site, attribute)
        assert named(site, attribute) == expected
    assert registry.parse_is_member(site.chain.view(registry.is_member(site.registry, contract=site.roll)))
    assert not registry.parse_is_member(site.chain.view(registry.is_member(site.registry, contract=site.stranger)))


def test_a_contracts_successor_takes_its_name_in_public(site: Site) -> None:
    fees = b"usage_fees".ljust(32, b"\0")
    receipt = site.enact(changes.name_contract(site.registry, name=fees, at=site.stranger))
    successor = site.stranger.lower()
    assert events(receipt)[1:] == [ContractNamed(fees, successor), SuccessorNamed(site.usage_fees, successor)]
    assert named(site, "usage_fees") == successor
    found = site.chain.view(registry.successor(site.registry, old=site.usage_fees))
    assert registry.parse_successor(found) == successor
    with refused("registry: contract has a name already"):
        site.enact(changes.name_contract(site.registry, name=name("again"), at=site.stranger))
    for wrong, at in ((bytes(32), site.relayer), (name("none"), "0x" + "00" * 20)):
        with refused("registry: name or contract is missing"):
            site.enact(changes.name_contract(site.registry, name=wrong, at=at))
