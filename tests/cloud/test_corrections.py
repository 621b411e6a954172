"""An estimated line is corrected on the next bill by what the entries say: once, to the fen, up or down."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cloud.billing.bill_block import BillBlock, encode_block, leaves_of, lines_of
from cloud.billing.derivation import sentence
from cloud.billing.derive import derive_lines
from cloud.billing.kept import bill_place
from cloud.billing.period_columns import PeriodColumns, reckon_period
from cloud.billing.posted import Mismatch, compare_bills, take_block
from cloud.billing.posting import credits_of
from cloud.billing.replay import Change, replay_period
from cloud.chain.records import ChallengeRecord, PeriodRecord, UnitRecord
from cloud.chain.view import ChainView
from cloud.directory import EMPTY
from cloud.store import Store, insert_rows, tables
from contracts.bill import BillTree, Line, LineKind
from contracts.clock import SystemClock
from tests.cloud.billing_site import TOTAL, BillingSite, bind, plain, tariff
from tests.cloud.test_bill_blocks import Deployed

Run = Callable[[Any], Any]

DEPLOYED: Any = Deployed()
METER, UNIT = b"m" * 32, b"u" * 32
OCTOBER, NOVEMBER, DECEMBER = 2026100120261101, 2026110120261201, 2026120120270101
# A flat that used 1 kWh a day in September; October's closing is not heard before its bill is made.
BEFORE = {20260901: 0, 20261001: 30_000}
ESTIMATED_WH = 31 * 1_000


def one_flat() -> BillingSite:
    site = BillingSite(ChainView(31337))
    unit = UnitRecord(alias=UNIT, index=0, area_centi_m2=100, category=0)
    site.view.roll.append(unit)
    site.view.units[UNIT] = unit
    tariff(site.view, plain(0))
    bind(site.view, METER, UNIT, 1, 20260101)
    return site


def fen(wh: int) -> int:
    return plain(0).seasons[0].charge(used=[wh])


async def reckoned(store: Store, site: BillingSite, period: int) -> PeriodColumns:
    async with store.read() as connection:
        return await reckon_period(connection, view=site.view, directory=EMPTY, period=period)


async def post(store: Store, site: BillingSite, period: int) -> bytes:
    (content,) = (await reckoned(store, site, period)).contents([bytes(16)], 0)
    await hand_in(store, site, period, content)
    assert not await compared(store, site, period)
    return content


async def compared(store: Store, site: BillingSite, period: int) -> list[Mismatch]:
    return await compare_bills(store, view=site.view, directory=EMPTY, deployment=DEPLOYED, period=period)


async def hand_in(store: Store, site: BillingSite, period: int, content: bytes) -> None:
    """Close a period with this one bill and hand it in, not compared yet."""
    contents = [content]
    tree = BillTree(leaves_of(contents, bill_place(DEPLOYED, period)))
    site.view.periods[period] = PeriodRecord(
        period=period, root=tree.root.hash, sums=tree.root.sums, unit_count=1, window_end_s=1, closed_at_s=0,
        block_number=1, transaction_hash="0x",
    )  # fmt: skip
    body = encode_block(BillBlock(first=0, contents=contents, path=()))
    await take_block(store, view=site.view, deployment=DEPLOYED, clock=SystemClock(), period=period, body=body)


async def replayed(store: Store, site: BillingSite, period: int) -> list[Change]:
    async with store.read() as connection:
        changes = replay_period(connection, view=site.view, directory=EMPTY, deployment=DEPLOYED, period=period)
        return [change async for change in changes]


async def hear(store: Store, site: BillingSite, entries: dict[int, int]) -> None:
    before = len(site.rows)
    for day, value in entries.items():
        site.entry(METER, TOTAL, day, value)
    async with store.write() as connection:
        await insert_rows(connection, tables.boundaries, site.rows[before:])


def one_bill(*lines: Line) -> bytes:
    return bytes(16) + b"".join(line.encode() for line in lines)


def site_before_october_was_read() -> BillingSite:
    site = one_flat()
    for day, value in BEFORE.items():
        site.entry(METER, TOTAL, day, value)
    return site


@pytest.mark.parametrize("used", [45_000, 12_345])
def test_what_a_later_reading_says_is_charged_or_given_back_once(run: Run, store: Store, used: int) -> None:
    site = site_before_october_was_read()

    async def scenario() -> None:
        await site.write(store)
        (estimate,) = lines_of(await post(store, site, OCTOBER))
        assert (estimate.kind, estimate.amount) == (LineKind.ESTIMATED, fen(ESTIMATED_WH))
        await hear(store, site, {20261101: 30_000 + used, 20261201: 30_000 + used + 9_000})
        content = await post(store, site, NOVEMBER)
        own, correction = lines_of(content)
        difference = fen(used) - fen(ESTIMATED_WH)
        assert (own.kind, own.amount) == (LineKind.OWN, fen(9_000))
        assert correction.kind is (LineKind.STANDING if difference > 0 else LineKind.CREDIT)
        assert correction.amount == abs(difference)
        assert list(credits_of([content])) == ([(0, correction)] if difference < 0 else [])
        async with store.read() as connection:
            derived = await derive_lines(
                connection, site.view, EMPTY, period=NOVEMBER, unit=site.view.roll[0], lines=[own, correction]
            )
        assert derived[1]["corrects"]["right"] == str(fen(used)) and derived[1]["matches"]
        assert f"{fen(used) / 100:.2f}" in sentence(derived[1], "zh")
        await hear(store, site, {20270101: 30_000 + used + 20_000})
        (december,) = lines_of(await post(store, site, DECEMBER))
        assert december.kind is LineKind.OWN, "nothing is corrected twice"
        await store.close()

    run(scenario())


def test_a_reading_after_the_lines_end_corrects_by_its_days_as_the_contract_does(run: Run, store: Store) -> None:
    site = site_before_october_was_read()

    async def scenario() -> None:
        await site.write(store)
        await post(store, site, OCTOBER)
        await hear(store, site, {20261121: 30_000 + 61_000, 20261201: 30_000 + 70_000})
        own, correction = lines_of((await reckoned(store, site, NOVEMBER)).contents([bytes(16)], 0)[0])
        october = 61_000 * 31 // 51
        assert correction.amount == abs(fen(october) - fen(ESTIMATED_WH))
        assert own.kind is LineKind.ESTIMATED, "its opening was never read"
        assert own.usage == 70_000 - october, "both months together are what was counted"
        await store.close()

    run(scenario())


@pytest.mark.parametrize(("state", "charge"), [("open", None), ("answered", 1_000)])
def test_a_challenge_counts_before_the_correction(run: Run, store: Store, state: str, charge: int | None) -> None:
    site = site_before_october_was_read()

    async def scenario() -> None:
        await site.write(store)
        (estimate,) = lines_of(await post(store, site, OCTOBER))
        site.view.challenges[OCTOBER, 0, 0] = ChallengeRecord(
            period=OCTOBER, unit_index=0, line=0, amount=estimate.amount, deadline_s=1, opened_at_s=0,
            transaction_hash="0x", state=state, charge=charge,
        )  # fmt: skip
        await hear(store, site, {20261101: 75_000, 20261201: 84_000})
        found = (await reckoned(store, site, NOVEMBER)).corrections
        if charge is None:
            assert not found, "an open challenge is waited for"
        else:
            assert [one.line.amount for one in found[0]] == [fen(45_000) - charge]
        await store.close()

    run(scenario())


def test_an_estimate_that_was_posted_otherwise_than_computed_is_corrected_all_the_same(run: Run, store: Store) -> None:
    site = site_before_october_was_read()

    async def scenario() -> None:
        await site.write(store)
        (estimate,) = lines_of((await reckoned(store, site, OCTOBER)).contents([bytes(16)], 0)[0])
        padded = replace(estimate, amount=estimate.amount + 1_000)
        await hand_in(store, site, OCTOBER, one_bill(padded))
        (found,) = await compared(store, site, OCTOBER)
        assert (found.charged_fen, found.right_fen) == (padded.amount, estimate.amount)
        assert await compared(store, site, OCTOBER) == [found], "a second look does not take it for granted"
        async with store.read() as connection:
            (derived,) = await derive_lines(
                connection, site.view, EMPTY, period=OCTOBER, unit=site.view.roll[0], lines=[padded]
            )
        assert not derived["matches"], "what is noted of it explains nothing"
        await hear(store, site, {20261101: 75_000, 20261201: 84_000})
        _, correction = lines_of(await post(store, site, NOVEMBER))
        assert (correction.kind, correction.amount) == (LineKind.CREDIT, padded.amount - fen(45_000))
        await hear(store, site, {20270101: 95_000})
        assert len(lines_of(await post(store, site, DECEMBER))) == 1, "nothing is corrected twice"
        await store.close()

    run(scenario())


def test_an_estimate_that_entries_measure_before_it_is_compared_is_still_known_as_one(run: Run, store: Store) -> None:
    site = site_before_october_was_read()

    async def scenario() -> None:
        await site.write(store)
        (content,) = (await reckoned(store, site, OCTOBER)).contents([bytes(16)], 0)
        await hand_in(store, site, OCTOBER, content)
        await hear(store, site, {20261101: 75_000, 20261201: 84_000})
        assert len(await compared(store, site, OCTOBER)) == 1
        _, correction = lines_of(await post(store, site, NOVEMBER))
        assert correction.amount == fen(45_000) - fen(ESTIMATED_WH)
        await store.close()

    run(scenario())


def test_a_correction_posted_before_a_better_entry_came_is_neither_billed_twice_nor_called_wrong(
    run: Run, store: Store
) -> None:
    site = site_before_october_was_read()

    async def scenario() -> None:
        await site.write(store)
        await post(store, site, OCTOBER)
        await hear(store, site, {20261121: 30_000 + 61_000, 20261201: 30_000 + 70_000})
        (content,) = (await reckoned(store, site, NOVEMBER)).contents([bytes(16)], 0)
        _, correction = lines_of(content)
        await hand_in(store, site, NOVEMBER, content)
        await hear(store, site, {20261101: 75_000, 20270101: 120_000})  # before anybody compared
        wrong = await compared(store, site, NOVEMBER)
        assert 1 not in {one.line for one in wrong}, "it was right by what was held when it was posted"
        async with store.read() as connection:
            (derived,) = await derive_lines(
                connection, site.view, EMPTY, period=NOVEMBER, unit=site.view.roll[0], lines=[correction],
                with_notes=False,
            )  # fmt: skip
        assert derived["matches"] and derived["corrects"]["measured_on"] == "2026-11-21"
        december = await reckoned(store, site, DECEMBER)
        assert not any(one.derivation["corrects"]["period"] == str(OCTOBER) for one in december.corrections.get(0, ()))
        assert not december.problems
        await store.close()

    run(scenario())


def test_a_correction_that_nobody_can_explain_holds_back_others_and_is_said_until_somebody_settles_it(
    run: Run, store: Store
) -> None:
    site = site_before_october_was_read()

    async def scenario() -> None:
        await site.write(store)
        await post(store, site, OCTOBER)
        await hear(store, site, {20261101: 75_000, 20261201: 84_000})
        own, correction = lines_of((await reckoned(store, site, NOVEMBER)).contents([bytes(16)], 0)[0])
        strange = replace(correction, subject=b"?" * 32)
        await hand_in(store, site, NOVEMBER, one_bill(own, strange))
        (found,) = await compared(store, site, NOVEMBER)
        assert (found.line, found.right_fen) == (1, None)
        await hear(store, site, {20270101: 95_000})
        december = await reckoned(store, site, DECEMBER)
        assert not december.corrections, "never billed twice"
        (problem,) = december.problems
        assert "line 2 of 2026110120261201 corrects nobody can tell what" in problem, "and never lost in silence"
        await store.close()

    run(scenario())


def test_a_posted_estimate_that_no_entry_can_measure_is_a_problem_in_words(run: Run, store: Store) -> None:
    site = site_before_october_was_read()

    async def scenario() -> None:
        await site.write(store)
        (estimate,) = lines_of((await reckoned(store, site, OCTOBER)).contents([bytes(16)], 0)[0])
        await hand_in(store, site, OCTOBER, one_bill(replace(estimate, tariff=77, since=20261399)))
        await compared(store, site, OCTOBER)
        await hear(store, site, {20261101: 75_000, 20261201: 84_000})
        november = await reckoned(store, site, NOVEMBER)
        assert "is an estimate that no entry can measure" in november.problems[0]
        await store.close()

    run(scenario())


def test_a_period_with_corrections_replays_without_a_difference_and_a_planted_one_shows(run: Run, store: Store) -> None:
    site = site_before_october_was_read()

    async def scenario() -> None:
        await site.write(store)
        await post(store, site, OCTOBER)
        await hear(store, site, {20261101: 75_000, 20261201: 84_000})
        own, correction = lines_of(await post(store, site, NOVEMBER))
        assert await replayed(store, site, NOVEMBER) == []
        padded = replace(correction, amount=correction.amount + 700)
        await hand_in(store, site, NOVEMBER, one_bill(own, padded))
        (change,) = await replayed(store, site, NOVEMBER)
        assert (change.number, change.new, change.difference_fen) == (1, correction, -700)
        assert change.derivation is not None and change.derivation["corrects"]["period"] == str(OCTOBER)
        assert "was charged" in change.says()
        await store.close()

    run(scenario())
