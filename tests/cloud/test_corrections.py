"""An estimated line is corrected on the next bill by what the entries say: once, to the fen, up or down."""

from collections.abc import Callable
from typing import Any

import pytest

from cloud.billing.bill_block import BillBlock, encode_block, leaves_of
from cloud.billing.derivation import sentence
from cloud.billing.derive import derive_lines
from cloud.billing.kept import bill_place
from cloud.billing.period_columns import PeriodColumns, reckon_period
from cloud.billing.posted import compare_bills, take_block
from cloud.billing.posting import credits_of
from cloud.chain.records import ChallengeRecord, PeriodRecord, UnitRecord
from cloud.chain.view import ChainView
from cloud.directory import EMPTY
from cloud.store import Store, insert_rows, tables
from contracts.bill import LINE_BYTES, BillTree, LineKind, decode_line
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
    found = await reckoned(store, site, period)
    contents = found.contents([bytes(16)], 0)
    tree = BillTree(leaves_of(contents, bill_place(DEPLOYED, period)))
    site.view.periods[period] = PeriodRecord(
        period=period, root=tree.root.hash, sums=tree.root.sums, unit_count=1, window_end_s=1, closed_at_s=0,
        block_number=1, transaction_hash="0x",
    )  # fmt: skip
    body = encode_block(BillBlock(first=0, contents=contents, path=()))
    await take_block(store, view=site.view, deployment=DEPLOYED, clock=SystemClock(), period=period, body=body)
    wrong = await compare_bills(store, view=site.view, directory=EMPTY, deployment=DEPLOYED, period=period)
    assert not wrong
    return contents[0]


async def hear(store: Store, site: BillingSite, entries: dict[int, int]) -> None:
    before = len(site.rows)
    for day, value in entries.items():
        site.entry(METER, TOTAL, day, value)
    async with store.write() as connection:
        await insert_rows(connection, tables.boundaries, site.rows[before:])


def lines_of(content: bytes) -> list[Any]:
    return [decode_line(content[at : at + LINE_BYTES]) for at in range(16, len(content), LINE_BYTES)]


@pytest.mark.parametrize("used", [45_000, 12_345])
def test_what_a_later_reading_says_is_charged_or_given_back_once(run: Run, store: Store, used: int) -> None:
    site = one_flat()
    for day, value in BEFORE.items():
        site.entry(METER, TOTAL, day, value)

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
    site = one_flat()
    for day, value in BEFORE.items():
        site.entry(METER, TOTAL, day, value)

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
    site = one_flat()
    for day, value in BEFORE.items():
        site.entry(METER, TOTAL, day, value)

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
