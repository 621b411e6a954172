"""Roll: who owns what by whose key, counted in public; a roll that is frozen gains no keys."""

from hashlib import sha256
from typing import Any

import pytest

from contracts.abi import Call
from contracts.calls import registry, registry_changes, roll, roll_changes
from contracts.calls.roll import Additions, PoolKeys
from contracts.calls.roll_changes import NewUnit
from contracts.calls.roll_events import BuildingCounted, HeadSet, PoolKeysSet, ResidentsSet, parse_event
from contracts.person import Purpose
from tests.contracts.vyper.chain import Receipt
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.site import (
    BUILDING,
    DAY,
    OWNER_KEYS,
    POOL,
    UNITS,
    Site,
    announced,
    coordinates,
    key_id,
    key_of,
    name,
)

changes = roll_changes


def events(receipt: Receipt, kind: type[Any]) -> list[Any]:
    parsed = (parse_event(log.topics, log.data) for log in receipt.logs)
    return [event for event in parsed if isinstance(event, kind)]


def unit(site: Site, alias: bytes) -> roll.Unit:
    return roll.parse_unit(site.chain.view(roll.unit(site.roll, alias=alias)))


def owner(site: Site, secret: int) -> roll.OwnerKey:
    call = roll.owner_key(site.roll, key_id=key_id(key_of(secret)))
    return roll.parse_owner_key(site.chain.view(call))


def person(site: Site, secret: int) -> roll.PersonKey:
    call = roll.person_key(site.roll, key_id=key_id(key_of(secret)))
    return roll.parse_person_key(site.chain.view(call))


def voter(site: Site, secret: int) -> roll.VoterKey:
    call = roll.voter_key(site.roll, key_id=key_id(key_of(secret)))
    return roll.parse_voter_key(site.chain.view(call))


def ballot(site: Site, secret: int) -> roll.BallotKey:
    call = roll.ballot_key(site.roll, key_id=key_id(key_of(secret)))
    return roll.parse_ballot_key(site.chain.view(call))


def unit_since(site: Site, index: int) -> int:
    return roll.parse_unit_since(site.chain.view(roll.unit_since(site.roll, index=index)))


def additions(site: Site, building: int = BUILDING) -> Additions:
    call = roll.building_additions(site.roll, building=building)
    return roll.parse_building_additions(site.chain.view(call))


def one_unit(site: Site, alias: bytes, **fields: Any) -> Call:
    head = roll.parse_head_count(site.chain.view(roll.head_count(site.roll)))
    return site.units_change([NewUnit(**({"alias": alias, "area_centi_m2": 5000, "head": head} | fields))])


def post_letter(site: Site, alias: bytes, code: bytes) -> None:
    call = roll.post_letters(site.roll, units=[alias], digests=[sha256(code).digest()])
    site.chain.send(site.committee, call)


def test_units_keep_index_area_place_and_running_sum(site: Site) -> None:
    assert unit(site, UNITS[2]) == roll.Unit(2, 7777, 8930 + 12050, 0, 2, BUILDING, 2, True)
    assert roll.parse_unit_at(site.chain.view(roll.unit_at(site.roll, index=2))) == UNITS[2]
    assert not unit(site, name("nobody")).exists
    cellar = {"category": 255, "area_centi_m2": 2**40 - 1, "building": 2**16 - 1, "floor": -2}
    site.enact(one_unit(site, name("cellar"), **cellar))
    assert unit(site, name("cellar")) == roll.Unit(3, 2**40 - 1, 28757, 255, 3, 2**16 - 1, -2, True)
    assert roll.parse_total_area(site.chain.view(roll.total_area(site.roll))) == 28757 + 2**40 - 1
    assert roll.parse_unit_count(site.chain.view(roll.unit_count(site.roll))) == 4


@pytest.mark.parametrize(
    ("alias", "fields", "reason"),
    [
        (UNITS[0], {}, "roll: unit is already on the roll"),
        (bytes(32), {}, "roll: unit is already on the roll"),
        (POOL, {}, "roll: unit is already a pool"),
        (name("large"), {"area_centi_m2": 2**40}, "roll: area or category is out of range"),
        (name("odd"), {"category": 256}, "roll: area or category is out of range"),
        (name("far"), {"building": 2**16}, "roll: building or floor is out of range"),
        (name("deep"), {"floor": -201}, "roll: building or floor is out of range"),
        (name("high"), {"floor": 2001}, "roll: building or floor is out of range"),
        (name("gap"), {"head": 4}, "roll: heads are numbered in turn"),
    ],
)
def test_a_unit_that_does_not_fit_joins_no_roll(site: Site, alias: bytes, fields: dict[str, Any], reason: str) -> None:
    with refused(reason):
        site.enact(one_unit(site, alias, **fields))


def test_one_buyers_units_are_one_head_and_so_are_the_developers(site: Site) -> None:
    developer = 3
    new = [NewUnit(alias=name(f"unsold {n}"), area_centi_m2=9000, head=developer, building=8) for n in range(4)]
    site.enact(site.units_change(new), one_unit(site, name("first buyer's second"), head=0))
    heads = roll.parse_head_count(site.chain.view(roll.head_count(site.roll)))
    assert heads == 4
    assert [unit(site, one.alias).head for one in new] == [developer] * 4
    assert unit(site, name("first buyer's second")).head == unit(site, UNITS[0]).head == 0
    # Sold to somebody new, and to somebody who has a unit here.
    receipt = site.enact(
        changes.set_head(site.roll, unit=new[0].alias, head=4), changes.set_head(site.roll, unit=new[1].alias, head=1)
    )
    assert events(receipt, HeadSet) == [HeadSet(new[0].alias, 4), HeadSet(new[1].alias, 1)]
    assert [unit(site, one.alias).head for one in new] == [4, 1, developer, developer]
    assert unit(site, new[0].alias).area_centi_m2 == 9000 and unit(site, new[0].alias).building == 8
    with refused("roll: heads are numbered in turn"):
        site.enact(changes.set_head(site.roll, unit=new[2].alias, head=6))
    with refused("roll: unit is not on the roll"):
        site.enact(changes.set_head(site.roll, unit=name("nobody"), head=0))


def test_a_sale_ends_every_key_of_the_unit_and_whatever_they_began(site: Site) -> None:
    seller, buyer, code = 1000, 4000, name("the buyer's letter")
    x, y = coordinates(key_of(90))
    signature = site.sign(0, Purpose.ROTATE_KEY, x, y, 2, 0, contract=site.roll)
    rotation = roll.rotate_owner_key(site.roll, x=x, y=y, kind=2, relying_party=0, signature=signature)
    rotated = announced(site.chain.send(site.relayer, rotation))
    second = site.owner_key_change(UNITS[0], key_of(91))
    added = site.approved(second)
    assert person(site, seller).unit == UNITS[0] and voter(site, seller).head == 0
    # The seller has another of his keys enacted in the very second of the sale.
    site.enact(site.owner_key_change(UNITS[0], key_of(92)), changes.set_head(site.roll, unit=UNITS[0], head=3))
    for secret in (seller, 92):
        assert person(site, secret).unit == bytes(32) and voter(site, secret).kind == 0
        assert not owner(site, secret).in_force
    inner = changes.replace_owner_key(
        site.roll, unit=UNITS[0], old_key_id=key_id(key_of(seller)), x=x, y=y, kind=2, relying_party=0
    )
    with refused("roll: key is not in force for the unit"):
        site.enact_batch(rotated, inner)
    with refused("roll: no activation letter was posted for the unit"):
        site.enact_batch(added, second)
    post_letter(site, UNITS[0], code)
    site.enact(site.owner_key_change(UNITS[0], key_of(buyer), code))
    assert person(site, buyer).unit == UNITS[0] and voter(site, buyer).head == 3


def test_a_unit_can_be_sold_often_but_not_for_ever(site: Site) -> None:
    sale = changes.set_head(site.roll, unit=UNITS[0], head=0)
    for _ in range(8):
        site.enact(*[sale] * 31)
    site.enact(*[sale] * 7)
    with refused("roll: unit was sold too often"):
        site.enact(sale)


def test_a_first_owner_key_needs_its_activation_letter(site: Site) -> None:
    fresh, code = name("fresh unit"), name("fresh code")
    site.enact(one_unit(site, fresh))
    with refused("roll: unit is not on the roll"):
        site.enact(site.owner_key_change(name("nobody"), key_of(80)))
    with refused("roll: no activation letter was posted for the unit"):
        site.enact(site.owner_key_change(fresh, key_of(80), code))
    letters = roll.post_letters(site.roll, units=[fresh], digests=[sha256(code).digest()])
    with refused("roll: only the committee or its registrar posts letters"):
        site.chain.send(site.manager, letters)
    with refused("roll: one digest for each unit"):
        site.chain.send(site.committee, roll.post_letters(site.roll, units=[fresh], digests=[]))
    site.enact(registry_changes.set_role(site.registry, role=registry.REGISTRAR, account=site.deployer))
    site.chain.send(site.deployer, letters)
    with refused("roll: activation code does not match the letter"):
        site.enact(site.owner_key_change(fresh, key_of(80), name("guessed")))
    site.enact(site.owner_key_change(fresh, key_of(80), code))
    site.enact(site.owner_key_change(fresh, key_of(81)))
    assert owner(site, 81).unit == fresh and owner(site, 81).until == 0
    with refused("roll: owner key was used before"):
        site.enact(site.owner_key_change(fresh, key_of(80)))
    with refused("relying: key is neither webauthn nor software"):
        site.enact(site.owner_key_change(fresh, key_of(82), kind=3))


def test_a_passkey_needs_a_registered_web_origin(site: Site) -> None:
    def passkey(party: int, kind: int = 1) -> Call:
        x, y = coordinates(key_of(83))
        return changes.add_owner_key(
            site.roll, unit=UNITS[0], x=x, y=y, kind=kind, relying_party=party, letter_code=bytes(32)
        )

    def party(number: int, rp_id_hash: bytes) -> Call:
        return changes.set_relying_party(site.roll, number=number, rp_id_hash=rp_id_hash, origin="http://x")

    with refused("relying: relying party is not set"):
        site.enact(passkey(9))
    with refused("relying: number is above 255"):
        site.enact(party(256, name("rp")))
    with refused("relying: relying party has no identifier"):
        site.enact(party(1, bytes(32)))
    with refused("relying: number is taken"):
        site.enact(party(0, name("rp")))
    with refused("relying: number is above 255"):
        site.enact(passkey(256, kind=2))
    site.enact(passkey(0))
    assert person(site, 83).origin == "http://localhost:8600"
    found = roll.parse_relying_party(site.chain.view(roll.relying_party(site.roll, number=0)))
    assert found.rp_id_hash == sha256(b"localhost").digest()


def test_an_owner_rotates_with_the_key_replaced_after_the_delay_and_keeps_the_place_on_the_roll(site: Site) -> None:
    x, y = coordinates(key_of(90))
    since = voter(site, 1000).since
    signature = site.sign(0, Purpose.ROTATE_KEY, x, y, 2, 0, contract=site.roll)
    call = roll.rotate_owner_key(site.roll, x=x, y=y, kind=2, relying_party=0, signature=signature)
    number = announced(site.chain.send(site.relayer, call))
    inner = changes.replace_owner_key(
        site.roll, unit=UNITS[0], old_key_id=key_id(OWNER_KEYS[0]), x=x, y=y, kind=2, relying_party=0
    )
    with refused("registry: delay is not over"):
        site.enact_batch(number, inner)
    site.chain.wait(7 * DAY)
    site.enact_batch(number, inner)
    assert person(site, 1000).unit == bytes(32) and owner(site, 1000).until > since
    assert (person(site, 90).unit, person(site, 90).x) == (UNITS[0], x)
    assert voter(site, 90) == roll.VoterKey(
        0, 0, since, x, y, 2, sha256(b"localhost").digest(), "http://localhost:8600"
    )


def test_a_forged_late_or_foreign_rotation_is_refused(site: Site) -> None:
    x, y = coordinates(key_of(90))
    body = (x, y, 2, 0)
    cases = [
        (site.sign(0, Purpose.ROTATE_KEY, *body), "roll: owner's signature does not match"),
        (
            site.sign(0, Purpose.ROTATE_KEY, *body, contract=site.roll, deadline=1),
            "roll: signature's deadline has passed",
        ),
        (site.sign(0, Purpose.ROTATE_KEY, *body, contract=site.roll, key=key_of(90)), "roll: key is not in force"),
    ]
    for signature, reason in cases:
        call = roll.rotate_owner_key(site.roll, x=x, y=y, kind=2, relying_party=0, signature=signature)
        with refused(reason):
            site.chain.send(site.stranger, call)


def test_an_owner_ends_a_lost_key_at_once_and_two_parties_after_the_delay(site: Site) -> None:
    signature = site.sign(0, Purpose.REVOKE_KEY, key_id(OWNER_KEYS[0]), contract=site.roll)
    revoke = roll.revoke_owner_key(site.roll, signature=signature)
    site.chain.send(site.stranger, revoke)
    with refused("roll: key is not in force"):
        site.chain.send(site.stranger, revoke)
    remove = changes.remove_owner_key(site.roll, unit=UNITS[1], key_id=key_id(OWNER_KEYS[1]))
    site.enact(remove)
    for call in (remove, changes.remove_owner_key(site.roll, unit=UNITS[1], key_id=key_id(OWNER_KEYS[2]))):
        with refused("roll: key is not in force for the unit"):
            site.enact(call)


def test_a_frozen_roll_gains_no_keys(site: Site) -> None:
    """What a vote does with `since`: keys that joined after the freeze are told apart, whoever agreed to them."""
    frozen_at = site.chain.now()
    site.chain.wait(1)
    # Manager and committee together let two hundred ghosts in, in forty batches' calls, letters and all.
    ghosts = [name(f"ghost {index}") for index in range(10)]
    site.enact(
        *[
            site.units_change(
                NewUnit(alias=alias, area_centi_m2=9000, head=3 + start + at, building=66)
                for at, alias in enumerate(ghosts[start : start + 5])
            )
            for start in (0, 5)
        ]
    )
    for alias in ghosts:
        post_letter(site, alias, alias)
    receipt = site.enact(
        *[site.owner_key_change(alias, key_of(5000 + n), alias) for n, alias in enumerate(ghosts)],
        site.owner_key_change(UNITS[0], key_of(5100)),  # and one beside an owner who looks away
    )
    joined = [voter(site, 5000 + n) for n in range(10)] + [voter(site, 5100)]
    assert all(key.since > frozen_at for key in joined)
    assert all(voter(site, 1000 + n).since <= frozen_at for n in range(3))
    # Everybody sees them: an event and a count for the building that is none.
    assert additions(site, 66) == Additions(10, 10)
    assert events(receipt, BuildingCounted)[-1] == BuildingCounted(BUILDING, 3, 4)


def test_additions_are_counted_for_each_building(site: Site) -> None:
    assert additions(site) == Additions(3, 3) and additions(site, 1) == Additions(0, 0)
    signature = site.sign(0, Purpose.REVOKE_KEY, key_id(OWNER_KEYS[0]), contract=site.roll)
    site.chain.send(site.stranger, roll.revoke_owner_key(site.roll, signature=signature))
    site.enact(one_unit(site, name("annex"), building=1), site.owner_key_change(UNITS[0], key_of(95)))
    assert additions(site) == Additions(3, 4) and additions(site, 1) == Additions(1, 0)


def residents(site: Site, date: int, alias: bytes = UNITS[0]) -> int:
    return roll.parse_residents(site.chain.view(roll.residents(site.roll, alias=alias, date=date)))


def test_residents_are_known_for_every_date(site: Site) -> None:
    def move(date: int, count: int, alias: bytes = UNITS[0]) -> Call:
        return changes.set_residents(site.roll, unit=alias, from_date=date, count=count)

    assert residents(site, 20261201) == 0
    receipt = site.enact(move(20261001, 3), move(20261115, 5))
    assert events(receipt, ResidentsSet)[1] == ResidentsSet(UNITS[0], 20261115, 5)
    days = (20260930, 20261001, 20261114, 20261115, 20991231)
    assert [residents(site, day) for day in days] == [0, 3, 3, 5, 5]
    with refused("roll: residents of a later date are set"):
        site.enact(move(20261115, 4))
    with refused("roll: date or number of residents is out of range"):
        site.enact(move(20261201, 2**16))
    with refused("roll: unit is not on the roll"):
        site.enact(move(20261201, 1, name("nobody")))
    for start in range(0, 62, 31):
        site.enact(*[move(20270101 + 100 * (n // 28) + n % 28, n) for n in range(start, start + 31)])
    with refused("roll: residents changed too often"):
        site.enact(move(20271201, 1))
    assert residents(site, 20261001) == 3


def keys_at(site: Site, date: int) -> PoolKeys:
    return roll.parse_pool_keys_at(site.chain.view(roll.pool_keys_at(site.roll, pool=POOL, date=date)))


def test_a_pool_is_shared_by_a_table_of_keys_from_a_date_on(site: Site) -> None:
    def table(valid_from: int, pool: bytes = POOL, **fields: Any) -> Call:
        given = {"root": name("tree"), "total": 300, "kind": 2, "unit_count": 3, "valid_from": valid_from} | fields
        return changes.set_pool_keys(site.roll, pool=pool, keys=PoolKeys(**given))

    none = PoolKeys(bytes(32), 0, 0, 0, 0)
    assert keys_at(site, 20261201) == none
    receipt = site.enact(table(20261001), table(20270101, root=name("other"), kind=4, total=2**128 - 1))
    first = PoolKeys(name("tree"), 300, 2, 3, 20261001)
    second = PoolKeys(name("other"), 2**128 - 1, 4, 3, 20270101)
    assert events(receipt, PoolKeysSet)[1] == PoolKeysSet(POOL, 1, second.root, second.total, 4, 3, 20270101)
    assert [keys_at(site, day) for day in (20260930, 20261001, 20270101)] == [none, first, second]
    assert roll.parse_pool_keys(site.chain.view(roll.pool_keys(site.roll, pool=POOL, number=0))) == first
    count = roll.pool_keys_count(site.roll, pool=POOL)
    assert roll.parse_pool_keys_count(site.chain.view(count)) == 2
    for wrong in ({"root": bytes(32)}, {"kind": 0}, {"kind": 5}, {"total": 0}, {"unit_count": 0}, {"unit_count": 4}):
        with refused("roll: table of keys is incomplete"):
            site.enact(table(20270201, **wrong))
    with refused("roll: table of keys is incomplete"):
        site.enact(table(20270201, total=2**128))
    with refused("roll: table of keys has no first day"):
        site.enact(table(19700101))
    with refused("roll: keys of a later date are set"):
        site.enact(table(20270101))
    with refused("roll: no such pool"):
        site.enact(table(20270201, pool=name("nobody")))
    for start in range(0, 62, 31):
        site.enact(*[table(20270102 + 100 * (n // 20) + n % 20) for n in range(start, start + 31)])
    with refused("roll: keys of the pool changed too often"):
        site.enact(table(20280101))


def test_a_pool_is_no_unit_and_joins_once(site: Site) -> None:
    for taken in (UNITS[0], POOL, bytes(32)):
        with refused("roll: pool is already known"):
            site.enact(changes.add_pool(site.roll, pool=taken))
    assert roll.parse_is_pool(site.chain.view(roll.is_pool(site.roll, pool=POOL)))
    assert not roll.parse_is_pool(site.chain.view(roll.is_pool(site.roll, pool=UNITS[0])))


def test_the_keys_of_a_head_are_numbered_and_a_rotated_one_keeps_its_number(site: Site) -> None:
    site.enact(*(site.owner_key_change(UNITS[0], key_of(secret)) for secret in (91, 92)))
    assert [ballot(site, secret).number for secret in (1000, 91, 92, 1001)] == [0, 1, 2, 0]
    x, y = coordinates(key_of(93))
    signature = site.sign(0, Purpose.ROTATE_KEY, x, y, 2, 0, contract=site.roll, key=key_of(91))
    call = roll.rotate_owner_key(site.roll, x=x, y=y, kind=2, relying_party=0, signature=signature)
    number = announced(site.chain.send(site.relayer, call))
    site.chain.wait(7 * DAY)
    inner = changes.replace_owner_key(
        site.roll, unit=UNITS[0], old_key_id=key_id(key_of(91)), x=x, y=y, kind=2, relying_party=0
    )
    site.enact_batch(number, inner)
    old = voter(site, 93)
    assert ballot(site, 93) == roll.BallotKey(x, y, 2, 0, old.since, 1, old.head)
    assert ballot(site, 91) == roll.BallotKey(0, 0, 0, 0, 0, 0, 0)
    site.enact(site.owner_key_change(UNITS[0], key_of(94)))
    assert ballot(site, 94).number == 3


def test_since_when_a_unit_has_its_buyer_is_known(site: Site) -> None:
    joined = unit_since(site, 0)
    assert 0 < joined == unit_since(site, 1) and unit_since(site, 9) == 0
    site.enact(changes.set_head(site.roll, unit=UNITS[0], head=2))
    assert unit_since(site, 0) == site.chain.now() > joined == unit_since(site, 1)
