"""Registry, Roll, Crews and Bindings: the events alone rebuild the state."""

from hashlib import sha256

from contracts.calls import (
    bindings,
    bindings_changes,
    crews,
    crews_changes,
    registry,
    registry_changes,
    roll,
    roll_changes,
)
from contracts.calls.roll import PoolKeys
from contracts.person import Purpose
from tests.contracts.vyper.register import check_against_views, folded
from tests.contracts.vyper.site import (
    DAY,
    INSTALLER,
    METERS,
    ORIGIN,
    OWNER_KEYS,
    POOL,
    SPARE_METER,
    UNITS,
    Site,
    announced,
    coordinates,
    key_id,
    key_of,
    name,
)


def test_the_events_alone_rebuild_what_every_view_answers(site: Site) -> None:
    check_against_views(site, folded(site))
    live_through_everything(site)
    register = folded(site)
    check_against_views(site, register)
    assert register.sold[UNITS[2]] == 1 and not register.is_in_force(key_id(OWNER_KEYS[2]))
    assert register.residents[UNITS[1]] == {20261001: 2, 20261101: 4}
    assert len(register.bindings[METERS[0]]) == 1 and register.bindings[METERS[0]][0].confirmed == 3
    assert register.successors == {site.usage_fees: site.stranger.lower()}


def live_through_everything(site: Site) -> None:
    """Each kind of event once at least."""
    chain, at = site.chain, site.registry
    site.attest(*METERS)
    signature = site.sign(0, Purpose.CONFIRM_BINDING, METERS[0], 0, name("binding"), contract=site.bindings)
    chain.send(site.stranger, bindings.confirm(site.bindings, device=METERS[0], number=0, signature=signature))
    fresh = roll_changes.NewUnit(alias=name("fresh"), area_centi_m2=4321, head=3, building=9, floor=-1)
    code = name("fresh code")
    call = roll.post_letters(site.roll, units=[fresh.alias], digests=[sha256(code).digest()])
    x, y = coordinates(key_of(90))
    rotation = site.sign(1, Purpose.ROTATE_KEY, x, y, 2, 0, contract=site.roll)
    rotate = roll.rotate_owner_key(site.roll, x=x, y=y, kind=2, relying_party=0, signature=rotation)
    rotated = announced(chain.send(site.relayer, rotate))
    vetoed = site.approved(site.owner_key_change(UNITS[0], key_of(666)))
    chain.send(site.committee, registry.veto(at, number=vetoed, mask=1))
    site.enact(
        site.units_change([fresh]),
        roll_changes.set_head(site.roll, unit=UNITS[2], head=4),
        roll_changes.set_residents(site.roll, unit=UNITS[1], from_date=20261001, count=2),
        roll_changes.set_residents(site.roll, unit=UNITS[1], from_date=20261101, count=4),
        roll_changes.set_pool_keys(site.roll, pool=POOL, keys=PoolKeys(name("tree"), 30, 2, 3, 20261001)),
        site.gateway_change(ORIGIN, key_of(70), key_class=2),
        registry_changes.end_assignment(at, device=METERS[1], last_index=9),
        registry_changes.name_contract(at, name=b"usage_fees".ljust(32, b"\0"), at=site.stranger),
        crews_changes.set_member(site.crews, alias=name("cashier"), firm=0, duties=16, licence_until=2**33),
        site.crew_key_change(name("cashier"), key_of(3000)),
        bindings_changes.end_binding(
            site.bindings, subject=UNITS[0], device=METERS[0], to_date=20261101, commitment=name("closing")
        ),
        site.binding_change(UNITS[0], SPARE_METER, from_date=20261101),
    )
    site.enact_batch(
        rotated,
        roll_changes.replace_owner_key(
            site.roll, unit=UNITS[1], old_key_id=key_id(OWNER_KEYS[1]), x=x, y=y, kind=2, relying_party=0
        ),
    )
    chain.send(site.committee, call)
    site.enact(site.owner_key_change(fresh.alias, key_of(91), code))
    chain.send(site.manager, crews.end_member(site.crews, alias=INSTALLER))
    chain.send(site.manager, crews.end_firm(site.crews, firm=1))
    chain.send(site.committee, registry.revoke_role(at, role=registry.OPERATOR, account=site.operator))
    chain.send(site.manager, registry.revoke_gateway_key(at, origin_id=site.neighbour.origin_id))
    chain.send(site.committee, registry.succeed_manager(at, new=site.stranger))
    chain.wait(7 * DAY)
