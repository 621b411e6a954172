"""Whatever is heard late or never: all bills together charge what the meters counted."""

from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from random import Random
from typing import Any

from cloud.billing.bill_block import BillBlock, encode_block, leaves_of, lines_of
from cloud.billing.kept import bill_place
from cloud.billing.posted import compare_bills, take_block
from cloud.chain.records import PeriodRecord, UnitRecord
from cloud.chain.view import ChainView
from cloud.directory import EMPTY
from cloud.store import Store, insert_rows, tables
from contracts.bill import BillTree, LineKind
from contracts.clock import SystemClock
from contracts.tariff import Basis, Terms
from tests.cloud.billing_site import TOTAL, BillingSite, bind, fee, plain
from tests.cloud.test_bill_blocks import Deployed
from tests.cloud.test_corrections import reckoned
from tests.cloud.test_tariff_days import announce

Run = Callable[[Any], Any]

DEPLOYED: Any = Deployed()
FLATS = 30
MONTHS = (20261001, 20261101, 20261201, 20270101, 20270201, 20270301)
FIRST = date(2026, 9, 1)
FEN_PER_WH = 10**9  # so that no amount is rounded


def number(day: date) -> int:
    return int(f"{day:%Y%m%d}")


def heard(rng: Random) -> list[int]:
    """The midnights that a flat's gateway was there for: the first and the last ones always."""
    days = [FIRST + timedelta(days=at) for at in range((date(2027, 3, 1) - FIRST).days + 1)]
    quiet = rng.choice((0.1, 0.5, 0.8))
    sure = {*range(20260901, 20261002), MONTHS[0], *MONTHS[-2:]}
    return [number(day) for day in days if number(day) in sure or rng.random() > quiet]


def site_of(rng: Random) -> tuple[BillingSite, dict[bytes, dict[int, int]]]:
    """Flats with one price, agreed anew within months, and what their meters show at the midnights that are heard some
    day. Another category's price and a fee begin on days of their own.
    """
    site = BillingSite(ChainView(31337))
    version = 0
    for day in (20260801, 20261112, 20261220, 20270108):
        version = announce(site.view, Terms.tiered(quantity=TOTAL, tiers=[(None, FEN_PER_WH)]), day, replaces=version)
    announce(site.view, plain(1), 20261117)
    announce(site.view, fee(Basis.HEADS, 10**12), 20261205)
    shown: dict[bytes, dict[int, int]] = {}
    for index in range(FLATS):
        alias, device = bytes([1, index]) * 16, bytes([2, index]) * 16
        unit = UnitRecord(alias=alias, index=index, area_centi_m2=100, category=0)
        site.view.roll.append(unit)
        site.view.units[alias] = unit
        bind(site.view, device, alias, 1, 20260901)
        value, shown[device] = 0, {}
        for day in heard(rng):
            value += rng.randrange(20_000)
            shown[device][day] = value
    return site, shown


async def arrive(store: Store, site: BillingSite, shown: dict[bytes, dict[int, int]], until: dict[bytes, int]) -> None:
    """What each gateway has sent up to some day is held: in order, and nothing twice."""
    before = len(site.rows)
    for device, values in shown.items():
        for day in [day for day in values if day <= until[device]]:
            site.entry(device, TOTAL, day, values.pop(day))
    async with store.write() as connection:
        await insert_rows(connection, tables.boundaries, site.rows[before:])


async def posted(store: Store, site: BillingSite, period: int) -> list[int]:
    """Fen that each flat is charged with by a period's bills, corrections among them."""
    found = await reckoned(store, site, period)
    assert not found.problems
    contents = found.contents([bytes(16)] * FLATS, 0)
    tree = BillTree(leaves_of(contents, bill_place(DEPLOYED, period)))
    site.view.periods[period] = PeriodRecord(
        period=period, root=tree.root.hash, sums=tree.root.sums, unit_count=FLATS, window_end_s=1, closed_at_s=0,
        block_number=1, transaction_hash="0x",
    )  # fmt: skip
    body = encode_block(BillBlock(first=0, contents=contents, path=()))
    await take_block(store, view=site.view, deployment=DEPLOYED, clock=SystemClock(), period=period, body=body)
    assert not await compare_bills(store, view=site.view, directory=EMPTY, deployment=DEPLOYED, period=period)
    return [
        sum(-line.amount if line.kind is LineKind.CREDIT else line.amount for line in lines_of(content))
        for content in contents
    ]


def test_all_bills_together_charge_what_was_counted(run: Run, store: Store) -> None:
    rng = Random(7)
    site, shown = site_of(rng)
    counted = [values[MONTHS[-1]] - values[MONTHS[0]] for values in shown.values()]

    async def scenario() -> list[int]:
        await site.write(store)
        until, charged = dict.fromkeys(shown, number(FIRST)), [0] * FLATS
        for opening, closing in pairwise(MONTHS):
            is_last = closing == MONTHS[-1]
            for device, so_far in until.items():
                late = 0 if is_last else rng.choice((-25, -3, 0, 3))
                until[device] = max(so_far, number(date.fromisoformat(str(closing)) + timedelta(days=late)))
            await arrive(store, site, shown, until)
            for index, fen in enumerate(await posted(store, site, opening * 10**8 + closing)):
                charged[index] += fen
        await store.close()
        return charged

    charged = run(scenario())
    wrong = {index: charged[index] - counted[index] for index in range(FLATS) if charged[index] != counted[index]}
    assert not wrong
