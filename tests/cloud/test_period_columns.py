"""Columns and the rules for one unit give the same bills, whatever a site's meters did."""

from collections.abc import Callable
from typing import Any

import pytest

from cloud.billing.period_columns import reckon_period
from cloud.billing.reckoning import Reckoning
from cloud.billing.usage import load_registers
from cloud.chain.view import ChainView
from cloud.directory import EMPTY
from cloud.store import Store
from contracts.bill import LINE_BYTES, decode_line
from contracts.tariff import Counting
from tests.cloud.billing_site import DATES, PERIOD, SEASON, by_time, plain, random_site, tariff

Run = Callable[[Any], Any]


@pytest.mark.parametrize("seed", range(6))
def test_columns_give_every_bill_as_it_is_reckoned_alone(run: Run, store: Store, seed: int) -> None:
    site = random_site(seed)
    if seed % 2:
        change_prices(site.view)

    async def scenario() -> None:
        await site.write(store)
        async with store.read() as connection:
            registers = await load_registers(connection, site.view, dates=DATES, since=Reckoning.history_since(PERIOD))
            together = await reckon_period(connection, view=site.view, directory=EMPTY, period=PERIOD)
        contents = together.contents([bytes(16)] * len(site.view.roll), 0)
        alone = Reckoning(registers, site.view, EMPTY, PERIOD)
        own, pools = alone.own_lines(site.view.roll), [alone.shared_lines(pool) for pool in site.view.pools]
        for unit, content in zip(site.view.roll, contents, strict=True):
            lines = [decode_line(content[at : at + LINE_BYTES]) for at in range(16, len(content), LINE_BYTES)]
            right = [
                *own[unit.index],
                *(one for pool in pools for one in pool[unit.index]),
                *alone.standing_lines(unit),
            ]
            assert lines == [one.line for one in right], unit.index
        assert sorted(together.problems) == sorted(alone.problems)
        assert 0 < len(together.apart) < len(site.view.roll)
        pieces = [
            piece for first in range(0, 40, 7) for piece in together.contents([bytes(16)] * min(7, 40 - first), first)
        ]
        assert pieces == contents, "bills cut into portions are the same bills"
        shared: dict[tuple[bytes, int, int], list[int]] = {}
        for one in (one for pool in pools for lines in pool for one in lines):
            whole = int(one.derivation["share"]["pool_amount"])
            shared.setdefault((one.line.subject, one.line.from_date, whole), []).append(one.line.amount)
        assert shared and all(sum(parts) == whole for (_, _, whole), parts in shared.items())
        await store.close()

    run(scenario())


def change_prices(view: ChainView) -> None:
    """Within the period: the second category gets another tariff, the third one none, the pools' is another too."""
    for category, replaced, terms in ((0, 1, by_time(counting=Counting.YEAR, category=0)), (1, 2, plain(1))):
        tariff(view, terms)
        new = view.tariffs[len(view.tariffs)]
        new.announced.valid_from, new.replaces = SEASON + 14, replaced
        assert new.terms.category == category
