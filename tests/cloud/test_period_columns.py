"""Columns and the rules for one unit give the same bills, whatever a site's meters did."""

from collections.abc import Callable
from typing import Any

import pytest

from cloud.billing.draft import draft_period
from cloud.billing.period_columns import reckon_period
from cloud.directory import EMPTY
from cloud.store import Store
from contracts.bill import LINE_BYTES, LineKind, decode_line
from tests.cloud.billing_site import PERIOD, random_site

Run = Callable[[Any], Any]

DEPLOYMENT: Any = type("Deployed", (), {"chain_id": 31337, "usage_fees": "0x" + "ab" * 20, "site": bytes(32)})()


@pytest.mark.parametrize("seed", range(6))
def test_columns_give_every_bill_as_it_is_reckoned_alone(run: Run, store: Store, seed: int) -> None:
    site = random_site(seed)

    async def scenario() -> None:
        await site.write(store)
        async with store.read() as connection:
            alone = await draft_period(
                connection, view=site.view, directory=EMPTY, deployment=DEPLOYMENT, period=PERIOD
            )
            together = await reckon_period(connection, view=site.view, directory=EMPTY, period=PERIOD)
        contents = together.contents([bytes(16)] * len(site.view.roll), 0)
        for unit, content in zip(alone.units, contents, strict=True):
            lines = [decode_line(content[at : at + LINE_BYTES]) for at in range(16, len(content), LINE_BYTES)]
            assert lines == [one.line for one in unit.lines], unit.index
        assert sorted(together.problems) == sorted(alone.problems)
        assert 0 < together.apart < len(site.view.roll)
        pieces = [
            piece for first in range(0, 40, 7) for piece in together.contents([bytes(16)] * min(7, 40 - first), first)
        ]
        assert pieces == contents, "bills cut into portions are the same bills"
        shared = {}
        for unit in alone.units:
            for one in unit.lines:
                if one.line.kind is LineKind.SHARED:
                    whole = int(one.derivation["share"]["pool_amount"])
                    shared.setdefault((one.line.subject, one.line.from_date, whole), []).append(one.line.amount)
        assert shared and all(sum(parts) == whole for (_, _, whole), parts in shared.items())
        await store.close()

    run(scenario())
