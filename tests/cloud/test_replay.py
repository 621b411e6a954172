"""A replayed period names each line that would differ now, old and new, and why."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cloud.billing.bill_block import BillBlock, encode_block, leaves_of, lines_of
from cloud.billing.corrections import CORRECTION
from cloud.billing.derive import derive_lines
from cloud.billing.period_columns import reckon_period
from cloud.billing.posted import compare_bills, take_block
from cloud.billing.replay import Change, changes_of, replay_period
from cloud.chain.records import PeriodRecord, UnitRecord
from cloud.directory import EMPTY
from cloud.store import Store, insert_rows, tables
from contracts.bill import LINE_BYTES, Bill, BillTree, Line, LineKind, decode_line
from contracts.clock import SystemClock
from tests.cloud.billing_site import CLOSING, PERIOD, RATES, TOTAL, BillingSite, random_site
from tests.cloud.test_bill_blocks import PLACE, Deployed

Run = Callable[[Any], Any]

DEPLOYED: Any = Deployed()
PADDED = 3


async def post(
    store: Store, site: BillingSite, *, padded: int | None = None, doubled: int | None = None
) -> list[bytes]:
    """Close and hand in the period, one own line padded by ten yuan, or one charged twice."""
    async with store.read() as connection:
        period = await reckon_period(connection, view=site.view, directory=EMPTY, period=PERIOD)
    contents = period.contents([bytes(16)] * len(site.view.roll), 0)
    if padded is not None:
        line = decode_line(contents[padded][16 : 16 + LINE_BYTES])
        cheat = replace(line, amount=line.amount + 1_000).encode()
        contents[padded] = contents[padded][:16] + cheat + contents[padded][16 + LINE_BYTES :]
    if doubled is not None:
        contents[doubled] = contents[doubled][: 16 + LINE_BYTES] + contents[doubled][16:]
    tree = BillTree(leaves_of(contents, replace(PLACE, period=PERIOD)))
    site.view.periods[PERIOD] = PeriodRecord(
        period=PERIOD, root=tree.root.hash, sums=tree.root.sums, unit_count=tree.unit_count, window_end_s=1,
        closed_at_s=0, block_number=1, transaction_hash="0x",
    )  # fmt: skip
    body = encode_block(BillBlock(first=0, contents=contents, path=()))
    await take_block(store, view=site.view, deployment=DEPLOYED, clock=SystemClock(), period=PERIOD, body=body)
    return contents


async def replayed(store: Store, site: BillingSite) -> list[Change]:
    async with store.read() as connection:
        return [
            change
            async for change in replay_period(
                connection, view=site.view, directory=EMPTY, deployment=DEPLOYED, period=PERIOD
            )
        ]


def test_a_replay_shows_the_padded_line_and_what_a_later_entry_measures(run: Run, store: Store) -> None:
    site = random_site(11, odd=0.0)
    late = [row for row in site.rows if row[2] in late_meters(site) and row[4] == CLOSING]
    site.rows = [row for row in site.rows if row not in late]

    async def scenario() -> None:
        await site.write(store)
        await post(store, site, padded=PADDED)
        found = await compare_bills(store, view=site.view, directory=EMPTY, deployment=DEPLOYED, period=PERIOD)
        assert [(one.unit_index, one.line) for one in found] == [(PADDED, 0)]
        (padded,) = await replayed(store, site)
        assert padded.old is not None and padded.new is not None
        assert (padded.unit_index, padded.difference_fen, padded.why) == (PADDED, -1_000, ("price",))
        assert "yuan: same usage, another amount" in padded.says() and padded.derivation is not None
        async with store.write() as connection:
            await insert_rows(connection, tables.boundaries, late)
        changes = await replayed(store, site)
        estimated = [change for change in changes if change.was_noted]
        assert {change.unit_index for change in changes} == {PADDED, 0, 1}
        assert estimated and all(change.why[0] == "measured" for change in estimated)
        for change in estimated:
            assert change.old is not None and change.new is not None and change.derivation is not None
            assert (change.old.kind, change.new.kind) == (LineKind.ESTIMATED, LineKind.OWN)
            assert change.derivation["amount"] == str(change.new.amount)
        again = await compare_bills(store, view=site.view, directory=EMPTY, deployment=DEPLOYED, period=PERIOD)
        assert again == found, "an estimate that was right when it was made is nobody's fault"
        await store.close()

    run(scenario())


def late_meters(site: BillingSite) -> set[bytes]:
    """The meters of units 0 and 1."""
    units = {unit.alias for unit in site.view.roll[:2]}
    return {device for device, records in site.view.bindings.items() if records[0].subject in units}


def test_an_untouched_period_replays_without_a_difference(run: Run, store: Store) -> None:
    site = random_site(12)

    async def scenario() -> None:
        await site.write(store)
        await post(store, site)
        assert await replayed(store, site) == []
        assert {TOTAL, *RATES} >= {row[3] for row in site.rows}
        await store.close()

    run(scenario())


def test_a_unit_that_joins_the_roll_later_changes_no_closed_period(run: Run, store: Store) -> None:
    site = random_site(12)

    async def scenario() -> None:
        await site.write(store)
        contents = await post(store, site)
        joined(site)
        assert await replayed(store, site) == []
        assert not await compare_bills(store, view=site.view, directory=EMPTY, deployment=DEPLOYED, period=PERIOD)
        async with store.read() as connection:
            for unit in site.view.roll[:-1:9]:
                found = await derive_lines(
                    connection, site.view, EMPTY, period=PERIOD, unit=unit, lines=lines_of(contents[unit.index])
                )
                assert all(one["matches"] for one in found), unit.index
        await store.close()

    run(scenario())


def joined(site: BillingSite) -> None:
    """One unit more, after the period was closed."""
    added = UnitRecord(alias=b"j" * 32, index=len(site.view.roll), area_centi_m2=12_345, category=0)
    site.view.roll.append(added)
    site.view.units[added.alias] = added
    site.view.pool_shares.clear()


def credit(amount: int, *, subject: bytes = b"n" * 32, quantity: str = CORRECTION) -> Line:
    opening, closing = divmod(PERIOD, 10**8)
    return Line(
        kind=LineKind.CREDIT, subject=subject, quantity=quantity, tariff=0, since=opening, from_date=opening,
        to_date=closing, usage=0, amount=amount,
    )  # fmt: skip


def test_what_a_correction_gives_back_is_a_difference_below_zero() -> None:
    place = replace(PLACE, period=PERIOD)

    def bill(*lines: Line) -> Bill:
        return place.bill(0, bytes(16) + b"".join(line.encode() for line in lines))

    (added,) = changes_of(bill(), bill(credit(700)), set())
    assert (added.difference_fen, added.why) == (-700, ("added",)) and "- -> -7.00 yuan" in added.says()
    better = changes_of(bill(credit(700)), bill(credit(500, subject=b"o" * 32)), set())
    assert sorted(change.difference_fen for change in better) == [-500, 700]
    of_their_own = credit(300, quantity="goodwill")
    assert changes_of(bill(of_their_own), bill(), set()) == [], "what the operator gives freely is nobody's fault"


def test_a_line_that_is_charged_twice_is_found_once(run: Run, store: Store) -> None:
    site = random_site(13, odd=0.0)

    async def scenario() -> None:
        await site.write(store)
        await post(store, site, doubled=PADDED)
        (found,) = await compare_bills(store, view=site.view, directory=EMPTY, deployment=DEPLOYED, period=PERIOD)
        assert (found.unit_index, found.line, found.right_fen) == (PADDED, 1, None)
        await store.close()

    run(scenario())
