"""Charges: lines recomputed only from entries that count, by terms in force, through every kind of price and key."""

from dataclasses import replace

import pytest

from contracts.abi import Call
from contracts.bill import LineKind, share
from contracts.calls import anchor_log, bindings_changes, charges, registry_changes, roll_changes, tariffs
from contracts.calls.anchor_log import Head
from contracts.calls.charges import Span
from contracts.calls.roll import PoolKeys
from contracts.key_table import KeyTable, floor_factor_key
from contracts.standing import standing_charge
from contracts.tariff import Basis, Component, Counting, Key, Season, Tariff, Terms, Window
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.lines import Month, in_force
from tests.contracts.vyper.month import POOL_USED, PRIOR, SINCE, USED
from tests.contracts.vyper.site import (
    AREAS,
    CLOSING,
    COMMON,
    ENERGY,
    METERS,
    OPENING,
    ORIGIN,
    PERIOD,
    POOL,
    RESIDENTIAL,
    SPARE_METER,
    UNITS,
    GatewayLog,
    Site,
    cost,
    name,
    reading,
    span,
)


def test_yearly_tiers_count_from_the_years_usage(site: Site) -> None:
    month = Month(site)
    for index in range(3):
        assert month.ask(unit_index=index) == cost(RESIDENTIAL, used=USED[index], prior=PRIOR[index])


def test_tiers_may_begin_with_the_line(site: Site) -> None:
    month = Month(site)
    assert month.ask(month.own_line(since=OPENING), before=[]) == cost(RESIDENTIAL, used=USED[0])


def test_a_pools_cost_is_shared_without_a_fen_lost(site: Site) -> None:
    month = Month(site)
    parts = [month.ask_pool(index, COMMON.terms, tariff=2) for index in range(3)]
    assert sum(parts) == cost(COMMON, used=POOL_USED)


def test_a_swapped_meter_is_counted_on_both_sides_of_the_swap(site: Site) -> None:
    swap = 20261115
    commitment = name("swap")
    site.enact(
        bindings_changes.end_binding(
            site.bindings, subject=UNITS[0], device=METERS[0], to_date=swap, commitment=commitment
        ),
        site.binding_change(UNITS[0], SPARE_METER, from_date=swap, commitment=commitment),
    )
    month = Month(site)
    log = site.log
    old_end, new_start = log.read(METERS[0], swap, 3_800_000), log.read(SPARE_METER, swap, 12)
    new_end = log.read(SPARE_METER, CLOSING, 100_012)
    site.accept(log)
    size = log.tree.size
    opening = month.indexes[METERS[0], OPENING]
    during = [span(log, size, opening, old_end), span(log, size, new_start, new_end)]
    used = (3_800_000 - log.entries[opening].value) + 100_000
    line = month.own_line(subject=SPARE_METER)
    before = [span(log, size, month.indexes[METERS[0], SINCE], opening)]
    assert month.ask(line, before=before, during=during) == cost(RESIDENTIAL, used=used, prior=PRIOR[0])
    with refused("charges: line is another meter's"):
        month.ask(month.own_line(), before=before, during=during)
    with refused("charges: spans do not join"):
        month.ask(line, before=before, during=[during[1], during[1]])
    with refused("charges: spans do not reach the boundary"):
        month.ask(month.own_line(), before=before, during=during[:1])
    with refused("charges: meter does not count for the unit or pool"):
        whole = span(log, size, opening, month.indexes[METERS[0], CLOSING])
        month.ask(month.own_line(), before=before, during=[whole])


def test_an_entry_must_be_logged_under_the_accepted_head(site: Site) -> None:
    month = Month(site)
    head = site.heads[ORIGIN]
    with refused("charges: head is not the accepted one"):
        month.ask(head=Head(head.size, name("root"), head.accepted_at))
    with refused("charges: head is not the accepted one"):
        month.ask(origin_id=site.neighbour.origin_id)
    good = month.span(METERS[0], OPENING, CLOSING)
    altered = replace(good.closing, entry=replace(good.closing.entry, value=1_000_001))
    with refused("charges: entry is not in the accepted log"):
        month.ask(during=[replace(good, closing=altered)])
    beyond = replace(good.closing, index=good.closing.index + head.size)
    with refused("charges: entry is not in the accepted log"):
        month.ask(during=[replace(good, closing=beyond)])
    with refused("charges: span names no log"):
        month.ask(during=[replace(good, gateway=1)])


def test_a_line_may_rest_on_two_gateways(site: Site) -> None:
    """The meter was moved to the neighbour's gateway at the opening: its entries lie in two logs."""
    month = Month(site)
    site.enact(
        registry_changes.end_assignment(site.registry, device=METERS[0], last_index=month.indexes[METERS[0], OPENING]),
        registry_changes.assign_devices(
            site.registry, origin_id=site.neighbour.origin_id, first_index=0, devices=[METERS[0]]
        ),
    )
    other, total = site.neighbour, 1_000_000 + PRIOR[0]
    other.read(METERS[0], OPENING, total)
    other.read(METERS[0], CLOSING, total + USED[0])
    site.accept(other)
    during = [replace(span(other, 2, 0, 1), gateway=1)]
    assert month.ask(during=during, logs=[other]) == cost(RESIDENTIAL, used=USED[0], prior=PRIOR[0])


def test_a_neighbours_meter_and_a_neighbours_gateway_prove_nothing(site: Site) -> None:
    month = Month(site)
    with refused("charges: meter does not count for the unit or pool"):
        month.ask(during=[month.span(METERS[1], OPENING, CLOSING)])
    with refused("charges: meter does not count for the unit or pool"):
        month.ask(month.own_line(subject=METERS[1]), during=[month.span(METERS[1], OPENING, CLOSING)])
    # A genuine entry about this meter in the log of the neighbour's gateway.
    other = site.neighbour
    for date, value in ((SINCE, 0), (OPENING, 0), (CLOSING, 1)):
        other.read(METERS[0], date, value)
    site.accept(other)
    with refused("charges: device does not write to this log"):
        month.ask(
            before=[span(other, 3, 0, 1)],
            during=[span(other, 3, 1, 2)],
            head=site.heads[other.origin],
            origin_id=other.origin_id,
        )


def test_a_register_that_falls_is_no_answer(site: Site) -> None:
    month = Month(site)
    month.indexes[METERS[0], CLOSING] = site.log.read(METERS[0], CLOSING, 5)
    site.accept(site.log)
    with refused("charges: register falls"):
        month.ask()


def test_a_line_needs_its_terms_in_force(site: Site) -> None:
    site.chain.send(
        site.manager,
        tariffs.announce(site.tariffs, tariff=Tariff(terms=RESIDENTIAL.terms, valid_from=20261020)),
    )
    vetoed = in_force(site, RESIDENTIAL.terms, 20261101)
    site.chain.send(site.committee, tariffs.veto(site.tariffs, version=vetoed))
    late = in_force(site, RESIDENTIAL.terms, 20261102)
    month = Month(site)
    for number in (0, 3, vetoed, late, 99):
        with refused("charges: tariff is not in force for the line"):
            month.ask(month.own_line(tariff=number))
    with refused("charges: tariff is not in force for the line"):
        month.ask(terms=COMMON.terms)
    with refused("charges: tariff is for another quantity"):
        month.ask(month.own_line(quantity="1-0:2.8.0"))
    for since in (20251231, CLOSING):
        with refused("charges: tiers count from another day"):
            month.ask(month.own_line(since=since))
    for from_date, to_date in ((20261031, CLOSING), (OPENING, 20261202), (CLOSING, CLOSING)):
        with refused("charges: line is not within its period"):
            month.ask(month.own_line(from_date=from_date, to_date=to_date))


def test_a_tariff_of_another_category_is_refused(site: Site) -> None:
    shops = Terms.tiered(quantity=ENERGY, tiers=((None, 1),), category=1)
    version = in_force(site, shops)
    month = Month(site)
    with refused("charges: tariff is for another category of units"):
        month.ask(month.own_line(tariff=version, since=OPENING), before=[], terms=shops)


def test_after_a_fork_the_gateways_entries_answer_nothing(site: Site) -> None:
    month = Month(site)
    forked = GatewayLog(ORIGIN, site.log.key)
    forked.append(reading(METERS[0], ENERGY, 1))
    forked.fill(site.log.tree.size)
    call: Call = anchor_log.report_two_roots(site.anchor_log, origin=ORIGIN, a=site.log.signed(), b=forked.signed())
    site.chain.send(site.stranger, call)
    with refused("charges: the gateway's log forked; open challenges go to the owner"):
        month.ask()


TIMED = Terms(
    quantity=ENERGY,
    counting=Counting.YEAR,
    registers=("1-0:1.8.1", "1-0:1.8.2"),
    seasons=(
        Season(
            bounds=(2_760_000,),
            persons=4,
            extra=100_000,
            windows=(Window(0, 480, 1320), Window(1, 1320, 480)),
            components=(
                Component(name="energy", price=53_800_000, tiers=1),
                Component(name="energy, second tier", price=58_800_000, tiers=2),
                Component(name="peak", price=3_000_000, registers=1),
                Component(name="fund", price=1),
            ),
        ),
    ),
)


def timed_spans(site: Site, month: Month, peak: int, valley: int) -> list[Span]:
    log, spans = site.log, []
    for place, (quantity, used) in enumerate((("1-0:1.8.1", peak), ("1-0:1.8.2", valley))):
        first = log.read(METERS[0], OPENING, 70, quantity)
        last = log.read(METERS[0], CLOSING, 70 + used, quantity)
        spans.append((place, first, last))
    site.accept(log)
    return [replace(span(log, log.tree.size, first, last), register=place) for place, first, last in spans]


def test_tiers_meet_time_of_use_and_rise_with_the_household(site: Site) -> None:
    version = in_force(site, TIMED)
    site.enact(roll_changes.set_residents(site.roll, unit=UNITS[0], from_date=20260101, count=6))
    month = Month(site)
    during = timed_spans(site, month, 201_003, 148_997)
    before = [month.span(METERS[0], SINCE, OPENING)]
    line = month.own_line(tariff=version)
    expected = TIMED.seasons[0].charge(used=[201_003, 148_997], prior=PRIOR[0], residents=6)
    assert month.ask(line, before=before, during=during, terms=TIMED) == expected
    assert expected != TIMED.seasons[0].charge(used=[201_003, 148_997], prior=PRIOR[0], residents=4)
    with refused("charges: spans do not reach the boundary"):
        month.ask(line, before=before, during=during[:1], terms=TIMED)


def test_a_line_lies_in_one_season(site: Site) -> None:
    flat = Component(name="energy", price=50_000_000)
    seasonal = Terms(
        quantity=ENERGY,
        seasons=(
            Season(months=(11, 12, 1, 2, 3), components=(replace(flat, price=40_000_000),)),
            Season(months=(4, 5, 6, 7, 8, 9, 10), components=(flat,)),
        ),
    )
    version = in_force(site, seasonal)
    month = Month(site)
    line = month.own_line(tariff=version, since=OPENING)
    assert month.ask(line, before=[], terms=seasonal) == seasonal.seasons[0].charge(used=[USED[0]])
    split = Terms(
        quantity=ENERGY,
        seasons=(
            Season(months=(11,), components=(flat,)),
            Season(months=(12, *range(1, 11)), components=(flat,)),
        ),
    )
    with pytest.raises(Exception, match="two seasons"):
        split.season(OPENING, 20261202)


def test_a_pool_is_shared_equally_by_a_table_or_by_the_periods_volumes(site: Site) -> None:
    kinds = {key: replace(COMMON.terms, key=key) for key in (Key.EQUAL, Key.TABLE, Key.VOLUME)}
    versions = {key: in_force(site, terms) for key, terms in kinds.items()}
    factors = KeyTable(pool=POOL, keys=[floor_factor_key(area, 1 + 6 * at) for at, area in enumerate(AREAS)])
    water = KeyTable(pool=POOL, keys=(12_345, 0, 999), salts=[name(f"salt {at}") for at in range(3)])
    keys = PoolKeys(root=factors.root.hash, total=factors.root.sums, kind=2, unit_count=3, valid_from=20260901)
    site.enact(roll_changes.set_pool_keys(site.roll, pool=POOL, keys=keys))
    month = Month(site)
    site.chain.send(site.operator, tariffs.post_volumes(site.tariffs, period=PERIOD, table=water))
    whole = cost(COMMON, used=POOL_USED)

    def parts(key: Key, table: KeyTable | None = None, *, posted: bool = False) -> list[int]:
        proofs = [table.proof(index, posted=posted) for index in range(3)] if table else []
        return [
            month.ask_pool(index, kinds[key], tariff=versions[key], **({"key": proofs[index]} if proofs else {}))
            for index in range(3)
        ]

    assert parts(Key.EQUAL) == [share(whole, index, 1, 3) for index in range(3)]
    for key, table, posted in ((Key.TABLE, factors, False), (Key.VOLUME, water, True)):
        shared = parts(key, table, posted=posted)
        assert sum(shared) == whole
        assert shared == [share(whole, sum(table.keys[:at]), table.keys[at], sum(table.keys)) for at in range(3)]
    terms, version = kinds[Key.VOLUME], versions[Key.VOLUME]
    with refused("charges: volumes are not those of the period"):
        month.ask_pool(0, terms, tariff=version, key=factors.proof(0, posted=True))
    with refused("charges: key is not in the table"):
        month.ask_pool(0, terms, tariff=version, key=replace(water.proof(0, posted=True), key=1))
    with refused("charges: path has the wrong length"):
        month.ask_pool(0, terms, tariff=version, key=replace(water.proof(0, posted=True), path=()))


def test_a_table_of_keys_must_hold_over_the_lines_days(site: Site) -> None:
    terms = replace(COMMON.terms, key=Key.TABLE)
    version = in_force(site, terms)
    table = KeyTable(pool=POOL, keys=(1, 2, 3))
    reason = "charges: no table of keys holds over the line's days"
    keys = PoolKeys(root=table.root.hash, total=6, kind=2, unit_count=3, valid_from=20261115)
    site.enact(roll_changes.set_pool_keys(site.roll, pool=POOL, keys=keys))
    month = Month(site)
    with refused(reason):
        month.ask_pool(0, terms, tariff=version, key=table.proof(0))


def test_an_estimate_is_measured_later_in_proportion_to_its_days(site: Site) -> None:
    month = Month(site)
    after = site.log.read(METERS[0], 20261211, 1_000_000 + PRIOR[0] + 400_000)
    site.accept(site.log)
    size = site.log.tree.size
    long = span(site.log, size, month.indexes[METERS[0], OPENING], after)
    before = [span(site.log, size, month.indexes[METERS[0], SINCE], month.indexes[METERS[0], OPENING])]
    line = month.own_line(kind=LineKind.ESTIMATED)
    expected = cost(RESIDENTIAL, used=400_000 * 30 // 40, prior=PRIOR[0])
    assert month.ask(line, before=before, during=[long]) == expected
    with refused("charges: spans do not reach the boundary"):
        month.ask(before=before, during=[long])


def test_standing_charges_by_residents_follow_their_right(site: Site) -> None:
    waste = Terms(
        quantity="fee.waste",
        basis=Basis.HEADS,
        document=name("council's decision"),
        seasons=(Season(components=(Component(name="waste", price=300 * 10**9),)),),
    )
    version = in_force(site, waste)
    places = Terms(
        quantity="fee.parking", basis=Basis.COUNT, seasons=(Season(components=(Component(name="place", price=1),)),)
    )
    parking = in_force(site, places)
    site.enact(roll_changes.set_residents(site.roll, unit=UNITS[0], from_date=20260101, count=3))
    month = Month(site)
    line = month.own_line(
        kind=LineKind.STANDING, subject=waste.document, quantity="fee.waste", tariff=version, since=OPENING
    )
    assert month.ask(line, before=[], during=[], terms=waste) == 900
    half = replace(line, to_date=20261116)
    assert month.ask(half, before=[], during=[], terms=waste) == 450
    assert standing_charge(waste, count=3, from_date=OPENING, to_date=20261116) == 450
    with refused("charges: the right is another one"):
        month.ask(replace(line, subject=name("other")), before=[], during=[], terms=waste)
    counted = replace(line, quantity="fee.parking", tariff=parking)
    for judged, terms in ((counted, places), (replace(line, kind=LineKind.INTERVAL), waste)):
        with refused("charges: the arbiter judges such a line"):
            month.ask(judged, before=[], during=[], terms=terms)

    def for_arbiter(line: object, terms: Terms | None) -> bool:
        asked = charges.is_for_arbiter(site.charges, line=line, terms=terms)  # type: ignore[arg-type]  # lines of all kinds
        return charges.parse_is_for_arbiter(site.chain.view(asked))

    assert for_arbiter(counted, places) and for_arbiter(replace(line, tariff=0), None)
    assert for_arbiter(replace(line, kind=LineKind.INTERVAL), None)
    assert not for_arbiter(line, waste) and not for_arbiter(month.own_line(), RESIDENTIAL.terms)
    assert not for_arbiter(month.pool_line(), COMMON.terms)


def test_a_unit_that_joined_after_the_table_has_no_part(site: Site) -> None:
    terms = replace(COMMON.terms, key=Key.TABLE)
    version = in_force(site, terms)
    table = KeyTable(pool=POOL, keys=(1, 2))
    keys = PoolKeys(root=table.root.hash, total=3, kind=2, unit_count=2, valid_from=20260901)
    site.enact(roll_changes.set_pool_keys(site.roll, pool=POOL, keys=keys))
    month = Month(site)
    assert month.ask_pool(2, terms, tariff=version) == 0
    assert sum(month.ask_pool(at, terms, tariff=version, key=table.proof(at)) for at in range(2)) == cost(
        COMMON, used=POOL_USED
    )
