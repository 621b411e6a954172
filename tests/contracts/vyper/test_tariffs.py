"""Tariffs: two parties and an announced delay, the owners' resolution for a property fee, and whole terms only."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from eth_utils.crypto import keccak

from contracts.abi import Call, encode_arguments, padded
from contracts.calls import registry_changes, tariffs
from contracts.key_table import KeyTable
from contracts.tariff import ALL_MONTHS, TERMS_TYPE, Basis, Component, Counting, Season, Tariff, Terms, Window
from contracts.vyper.compile import artifact
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.harness import creation_code
from tests.contracts.vyper.site import CLOSING_AT, DAY, ENERGY, OFFSET, PERIOD, POOL, RESIDENTIAL, Site, name


def later(terms: Terms = RESIDENTIAL.terms, **changes: Any) -> Tariff:
    return replace(Tariff(terms=terms, valid_from=20270301), **changes)


def announce(site: Site, tariff: Tariff, by: str | None = None, *, replaces: int = 0) -> int:
    site.chain.send(by or site.manager, tariffs.announce(site.tariffs, tariff=tariff, replaces=replaces))
    return tariffs.parse_tariff_count(site.chain.view(tariffs.tariff_count(site.tariffs)))


def version_of(site: Site, version: int) -> tariffs.Version:
    return tariffs.parse_tariff(site.chain.view(tariffs.tariff(site.tariffs, version=version)))


def test_a_tariff_takes_two_parties_and_its_event_carries_the_terms(site: Site) -> None:
    receipt = site.chain.send(site.manager, tariffs.announce(site.tariffs, tariff=later(valid_to=20280301)))
    told = tariffs.parse_event(receipt.logs[0].topics, receipt.logs[0].data)
    assert told == tariffs.TariffAnnounced(3, 20270301, 20280301, False, RESIDENTIAL.terms.encode())
    with refused("tariffs: only the committee may do this"):
        site.chain.send(site.manager, tariffs.approve(site.tariffs, version=3))
    site.chain.send(site.committee, tariffs.approve(site.tariffs, version=3))
    digest = RESIDENTIAL.terms.digest
    assert version_of(site, 3) == tariffs.Version(digest, 20270301, 20280301, site.chain.now(), False)
    with refused("tariffs: tariff is already decided"):
        site.chain.send(site.committee, tariffs.approve(site.tariffs, version=3))
    for call in (tariffs.approve(site.tariffs, version=4), tariffs.veto(site.tariffs, version=4)):
        with refused("tariffs: no such tariff"):
            site.chain.send(site.committee, call)


def test_only_the_manager_or_the_tariffs_office_announces(site: Site) -> None:
    reason = "tariffs: only the manager or the tariffs office announces tariffs"
    for account in (site.relayer, site.operator, site.committee):
        with refused(reason):
            announce(site, later(), by=account)
    site.enact(registry_changes.set_role(site.registry, role=padded("tariffs"), account=site.stranger))
    announce(site, later(), by=site.stranger)


def test_a_tariff_never_reaches_into_the_past(site: Site) -> None:
    midnight = CLOSING_AT + 31 * DAY  # 1 January 2027, local
    version, late = (announce(site, later(valid_from=20270101)) for _ in range(2))
    site.chain.wait_until(midnight - 30 * DAY - 2)
    site.chain.send(site.committee, tariffs.approve(site.tariffs, version=version))
    site.chain.wait_until(midnight - 30 * DAY + 1)
    with refused("tariffs: tariff begins before its delay is over"):
        site.chain.send(site.committee, tariffs.approve(site.tariffs, version=late))


def test_the_committee_vetoes_until_the_first_day(site: Site) -> None:
    version = announce(site, later())
    site.chain.send(site.committee, tariffs.approve(site.tariffs, version=version))
    with refused("tariffs: only the committee may do this"):
        site.chain.send(site.manager, tariffs.veto(site.tariffs, version=version))
    site.chain.send(site.committee, tariffs.veto(site.tariffs, version=version))
    assert version_of(site, version).approved_at == tariffs.VETOED
    site.chain.wait_until(CLOSING_AT)
    with refused("tariffs: tariff has begun"):
        site.chain.send(site.committee, tariffs.veto(site.tariffs, version=1))


def test_a_replaced_tariff_ends_where_the_next_one_begins(site: Site) -> None:
    """Without an end the operator would bill by whichever of two versions is the dearer, and be right."""
    cheaper = later(replace(RESIDENTIAL.terms, document=name("price cut")))
    version = announce(site, cheaper, replaces=1)
    assert version_of(site, 1).valid_to == 0
    site.chain.send(site.committee, tariffs.approve(site.tariffs, version=version))
    assert version_of(site, 1).valid_to == 20270301 and version_of(site, version).valid_to == 0
    other = announce(site, later(cheaper.terms, valid_from=20270201), replaces=1)
    with refused("tariffs: another version replaces it already"):
        site.chain.send(site.committee, tariffs.approve(site.tariffs, version=other))
    # What the committee takes back before its first day replaces nothing.
    site.chain.send(site.committee, tariffs.veto(site.tariffs, version=version))
    assert version_of(site, 1).valid_to == 0
    site.chain.send(site.committee, tariffs.approve(site.tariffs, version=other))
    assert version_of(site, 1).valid_to == 20270201
    for nothing in (99, version):
        with refused("tariffs: there is nothing to replace"):
            announce(site, cheaper, replaces=nothing)


def test_a_version_that_ends_of_itself_ends_no_later_for_being_replaced(site: Site) -> None:
    short = announce(site, later(valid_to=20270401))
    site.chain.send(site.committee, tariffs.approve(site.tariffs, version=short))
    for first, end in ((20270501, 20270401), (20270315, 20270315)):
        snapshot = site.chain.snapshot()
        version = announce(site, later(valid_from=first), replaces=short)
        site.chain.send(site.committee, tariffs.approve(site.tariffs, version=version))
        assert version_of(site, short).valid_to == end
        site.chain.revert_to(snapshot)


def raw(site: Site, words: tuple[Any, ...], valid_to: int = 0) -> Call:
    """Terms that the Python type refuses, sent past it."""
    crooked: Any = type("Crooked", (), {"encode": lambda _self: encode_arguments("", (TERMS_TYPE,), (words,))})()
    return tariffs.announce(site.tariffs, tariff=Tariff(terms=crooked, valid_from=20270301, valid_to=valid_to))


ALL = sum(1 << month for month in ALL_MONTHS)
PRICE = (padded("energy"), 1, 1, 5)


def season(
    months: int = ALL,
    bounds: tuple[int, ...] = (),
    extra: int = 0,
    windows: tuple[int, ...] = (),
    price: tuple[Any, ...] = PRICE,
) -> tuple[Any, ...]:
    return (months, bounds, 0, extra, windows, [price])


def words(*seasons: tuple[Any, ...], basis: int = 1, counting: int = 1, key: int = 0, registers: int = 1) -> Any:
    names = [padded(f"1-0:1.8.{place}") for place in range(registers)]
    return (padded(ENERGY), 0, basis, counting, key, bytes(32), names, list(seasons))


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        (words(season(), basis=0), "pricing: no such basis"),
        (words(season(), basis=6), "pricing: no such basis"),
        (words(season(), counting=3), "pricing: no such counting or key"),
        (words(season(), key=4), "pricing: no such counting or key"),
        (words(season(), registers=0), "pricing: metered terms name registers, others none"),
        (words(season(), basis=2), "pricing: metered terms name registers, others none"),
        (words(season(), season(months=2)), "pricing: a month is in two seasons"),
        (words(season(months=ALL - 2)), "pricing: a month is in no season"),
        (words(), "pricing: a month is in no season"),
        (words(season(bounds=(5,)), basis=2, registers=0), "pricing: only metered terms have tiers"),
        (words(season(bounds=(5,)), counting=0), "pricing: tiers count over nothing"),
        (words(season(bounds=(10, 10))), "pricing: tiers do not rise"),
        (words(season(bounds=(2**64,))), "pricing: tiers do not rise"),
        (words(season(extra=2**64)), "pricing: extra bound is out of range"),
        (words(season(price=(padded("energy"), 1, 1, 2**56))), "pricing: price is out of range"),
        (words(season(), registers=2), "pricing: windows do not cover the day once"),
        (words(season(windows=(Window(2, 0, 0).word(),)), registers=2), "pricing: window is for no register"),
        (words(season(windows=(Window(0, 0, 600).word(),)), registers=2), "pricing: windows do not cover the day once"),
        (
            words(season(windows=(Window(0, 1440, 1440).word(),)), registers=2),
            "pricing: windows do not cover the day once",
        ),
        (
            words(season(windows=(Window(0, 0, 1500).word(),)), registers=2),
            "pricing: windows do not cover the day once",
        ),
        (
            words(season(windows=(Window(0, 0, 0).word(),) * 2), registers=2),
            "pricing: windows do not cover the day once",
        ),
    ],
)
def test_terms_that_are_not_whole_are_refused(site: Site, terms: Any, reason: str) -> None:
    with refused(reason):
        site.chain.send(site.manager, raw(site, terms))


def test_windows_may_wrap_midnight(site: Site) -> None:
    windows = (Window(0, 480, 1320), Window(1, 1320, 480))
    parts = (Component(name="peak", price=56_800_000, registers=1), Component(name="valley", price=28_800_000))
    terms = Terms(
        quantity=ENERGY, registers=("1-0:1.8.1", "1-0:1.8.2"), seasons=(Season(components=parts, windows=windows),)
    )
    announce(site, later(terms))


def test_a_tariff_that_ends_before_it_begins_is_refused(site: Site) -> None:
    with refused("tariffs: tariff ends before it begins"):
        announce(site, later(valid_to=20270301))


PROPERTY_FEE = Tariff(
    terms=Terms(
        quantity="fee.area",
        basis=Basis.AREA,
        document=name("service contract"),
        seasons=(Season(components=(Component(name="property", price=2_500_000_000),)),),
    ),
    valid_from=20261101,
)


def outcome(to: str, *, state: int, payload: bytes, building: int = 0) -> Call:
    types = ("uint256", "uint256", "bytes32", "uint256")
    selector = keccak(text=f"set_outcome({','.join(types)})")[:4]
    return Call(to=to, data=selector + encode_arguments("", types, (7, state, payload, building)))


def test_a_property_fee_needs_the_owners_resolution_for_exactly_these_terms(site: Site) -> None:
    reason = "tariffs: a fee by floor area needs the owners' resolution"
    # A site whose directory names no assembly.
    version = announce(site, PROPERTY_FEE)
    with refused(reason):
        site.chain.send(site.committee, tariffs.approve(site.tariffs, version=version, resolution=7))
    code = creation_code("FeesStandIn")
    assembly = site.chain.deploy(site.manager, code + encode_arguments("", ("address", "bool"), (site.registry, True)))
    creation = tariffs.deploy(
        artifact("Tariffs").bytecode, registry=assembly, utc_offset_seconds=OFFSET, tariff_delay=30 * DAY
    )
    resolved = site.chain.deploy(site.manager, creation)
    site.chain.send(site.manager, tariffs.announce(resolved, tariff=PROPERTY_FEE))
    approve = tariffs.approve(resolved, version=1, resolution=7)
    payload = sha256(tariffs.resolution_payload(PROPERTY_FEE)).digest()
    dearer = sha256(tariffs.resolution_payload(replace(PROPERTY_FEE, valid_from=20261201))).digest()
    for state, passed, building in ((0, payload, 0), (5, payload, 0), (4, dearer, 0), (4, payload, 1)):
        site.chain.send(site.stranger, outcome(assembly, state=state, payload=passed, building=building))
        with refused(reason):
            site.chain.send(site.committee, approve)
    site.chain.send(site.stranger, outcome(assembly, state=4, payload=payload))
    with refused("tariffs: only the committee may do this"):
        site.chain.send(site.manager, approve)
    site.chain.send(site.committee, approve)


def test_volumes_of_a_period_are_posted_once_by_the_operator_after_it(site: Site) -> None:
    table = KeyTable(pool=POOL, keys=(5, 0, 7), salts=[name(f"salt {index}") for index in range(3)])
    call = tariffs.post_volumes(site.tariffs, period=PERIOD, table=table)
    with refused("tariffs: only the operator may do this"):
        site.chain.send(site.manager, call)
    with refused("tariffs: period is not over"):
        site.chain.send(site.operator, call)
    site.chain.wait_until(CLOSING_AT)
    for crooked, reason in (
        (table.encode()[:96], "tariffs: table has four words"),
        (table.encode()[:64] + bytes(64), "tariffs: keys add up to nothing or too much"),
        (table.encode()[:64] + (2**64).to_bytes(32) + bytes(32), "tariffs: keys add up to nothing or too much"),
    ):
        encoded: Any = type("Crooked", (), {"encode": lambda _self, crooked=crooked: crooked})()
        with refused(reason):
            site.chain.send(site.operator, tariffs.post_volumes(site.tariffs, period=PERIOD, table=encoded))
    site.chain.send(site.operator, call)
    asked = tariffs.volumes(site.tariffs, pool=POOL, period=PERIOD)
    assert tariffs.parse_volumes(site.chain.view(asked)) == sha256(table.encode()).digest()
    with refused("tariffs: volumes were posted"):
        site.chain.send(site.operator, call)


def test_counting_by_year_needs_no_bounds(site: Site) -> None:
    flat = Terms(quantity=ENERGY, counting=Counting.YEAR, seasons=RESIDENTIAL.terms.seasons[:1])
    assert announce(site, later(flat)) == 3
