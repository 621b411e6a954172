"""Pools shared by volume: what each unit's own meter counted shares them, by a table whose root the chain holds."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest

from cloud.billing.bill_block import BillPlace
from cloud.billing.derivation import sentence
from cloud.billing.derive import derive_lines
from cloud.billing.draft import draft_from_json, draft_period, draft_to_json
from cloud.billing.period_columns import reckon_period
from cloud.billing.pool_keys import key_in_table
from cloud.billing.reckoning import Reckoning
from cloud.billing.run import BillRun, Prepared
from cloud.billing.usage import load_registers
from cloud.billing.volumes import decode_volumes, encode_volumes, keep_volumes, read_key, read_shares, read_volumes
from cloud.chain.deployment import Deployment
from cloud.directory import EMPTY
from cloud.errors import BillingError
from cloud.questions.line_evidence import key_proof
from cloud.store import Store, insert_rows, tables
from contracts.bill import LINE_BYTES, BillError, Line, LineKind, decode_line, share
from contracts.key_table import KeyTable, decode_table, key_before, key_proof_from_json, key_proof_to_json
from contracts.quantities import COLD_WATER
from contracts.tariff import Key
from tests.cloud.billing_site import (
    CLOSING,
    LATE,
    OPENING,
    PERIOD,
    YEAR,
    BillingSite,
    bind,
    plain,
    random_site,
    tariff,
)  # fmt: skip

Run = Callable[[Any], Any]

PUMP = sha256(b"booster pump").digest()
UNITS = 129  # two blocks of 64 and one unit alone
DEPLOYED = Deployment(
    chain_id=31337, from_block=0, site=bytes(32),
    **dict.fromkeys(
        ("registry", "roll", "crews", "bindings", "anchor_log", "tariffs", "charges", "usage_fees", "challenges",
         "token"), "0x" + "ab" * 20,
    ),
)  # fmt: skip
PLACE = BillPlace(chain_id=31337, contract=DEPLOYED.usage_fees, site=bytes(32), period=PERIOD)
ODD = {3: "silent at the end", 4: "late", 5: "no meter", 6: "swapped", 7: "two values", 8: "another log"}


def water_of(index: int) -> bytes:
    return sha256(b"water %d" % index).digest()


def watered_site(units: int = UNITS) -> tuple[BillingSite, list[int]]:
    """A random site with water meters and a booster pump that is shared by them; and what each unit's counted."""
    site, rng = random_site(11, units=units, odd=0.1), Random(11)
    view = site.view
    tariff(view, plain(0, key=Key.VOLUME))
    pump = view.tariffs[len(view.tariffs)]
    # Priced by its own register, so that no other pool or meter is of it.
    pumped = replace(pump.terms, quantity="1-0:9.8.0", registers=("1-0:9.8.0",))
    view.tariffs[len(view.tariffs)] = replace(pump, terms=pumped)
    view.pools.append(PUMP)
    bind(view, PUMP, PUMP, 2, YEAR)
    for day, value in ((YEAR, 0), (OPENING, 10_000), (CLOSING, 987_654)):
        site.entry(PUMP, "1-0:9.8.0", day, value)
    used = [meter(site, rng, index, ODD.get(index, "")) for index in range(units)]
    return site, used


def meter(site: BillingSite, rng: Random, index: int, oddity: str) -> int:
    unit, device = site.view.roll[index].alias, water_of(index)
    if oddity == "no meter":
        return 0
    start, used = rng.randrange(10**7), rng.randrange(1, 20) * 10**6
    if oddity == "late":
        bind(site.view, device, unit, 1, 20261115)
        site.entry(device, COLD_WATER, 20261115, start)
    elif oddity == "swapped":
        bind(site.view, device, unit, 1, YEAR, 20261115)
        site.entry(device, COLD_WATER, OPENING, start)
        site.entry(device, COLD_WATER, 20261115, start + used // 2)
        other = sha256(device).digest()
        bind(site.view, other, unit, 1, 20261115)
        site.entry(other, COLD_WATER, 20261115, 7)
        site.entry(other, COLD_WATER, CLOSING, 7 + used - used // 2)
        return used
    else:
        bind(site.view, device, unit, 1, YEAR)
        site.entry(device, COLD_WATER, OPENING, start)
    if oddity == "silent at the end":
        site.entry(device, COLD_WATER, LATE, start - 62_000)  # 30 days before: 2,066 a day, and 61 days to tell
        return 61 * 62_000 // 30
    site.entry(device, COLD_WATER, CLOSING, start + used)
    if oddity == "two values":
        site.entry(device, COLD_WATER, CLOSING, start + used - 5)
        return used - 5
    if oddity == "another log":
        site.entry(device, COLD_WATER, CLOSING, 1, log=2)  # which the Registry never gave it
    return used


def pump_lines(contents: list[bytes]) -> list[Line]:
    lines = [
        [decode_line(content[at : at + LINE_BYTES]) for at in range(16, len(content), LINE_BYTES)]
        for content in contents
    ]
    return [next(line for line in some if line.subject == PUMP) for some in lines]


def test_each_unit_pays_by_what_its_own_meter_counted_and_columns_say_as_one_by_one(run: Run, store: Store) -> None:
    site, used = watered_site()

    async def scenario() -> None:
        await site.write(store)
        async with store.read() as connection:
            together = await reckon_period(connection, view=site.view, directory=EMPTY, period=PERIOD)
            dates = Reckoning.dates(site.view, PERIOD, site.view.bound())
            registers = await load_registers(connection, site.view, dates=dates, since=Reckoning.history_since(PERIOD))
        keys = list(together.volumes[PUMP])
        assert set(together.volumes) == {PUMP}
        assert [index for index, (key, right) in enumerate(zip(keys, used, strict=True)) if key != right] == []
        alone = Reckoning(registers, site.view, EMPTY, PERIOD)
        lines = pump_lines(together.contents([bytes(16)] * UNITS, 0))
        assert lines == [some[0].line for some in alone.shared_lines(PUMP)]
        whole = (987_654 - 10_000) * 55_800_000
        assert sum(line.amount for line in lines) == (whole + 5 * 10**8) // 10**9
        says = sentence(alone.shared_lines(PUMP)[9][0].derivation, "zh")
        assert "自家表计" in says and "立方米" in says
        await store.close()

    run(scenario())


async def posted(store: Store, site: BillingSite, folder: Path) -> tuple[KeyTable, list[Line]]:
    """A prepared run, its table on the followed chain and in the store."""
    async with store.read() as connection:
        prepared = await BillRun.open(folder, PLACE, UNITS).prepare(connection, view=site.view, directory=EMPTY)
    (table,) = prepared.volumes
    site.view.volumes[PUMP, PERIOD] = table.encode()
    await keep_volumes(store, site.view, PERIOD, decode_volumes(encode_volumes(table)))
    return table, pump_lines(list(prepared.contents))


def test_every_owner_is_shown_the_own_key_in_the_posted_table_and_can_reckon_the_share(
    run: Run, store: Store, tmp_path: Path
) -> None:
    site, used = watered_site()

    async def scenario() -> None:
        await site.write(store)
        table, lines = await posted(store, site, tmp_path / "run")
        whole = sum(line.amount for line in lines)
        terms = site.view.tariffs[lines[0].tariff].terms
        async with store.read() as connection:
            for index in (0, 5, 63, 64, 100, 127, 128):
                line = lines[index]
                proof = await read_key(connection, site.view, PERIOD, PUMP, index)
                assert proof == table.proof(index, posted=True)
                assert proof == key_proof_from_json(key_proof_to_json(proof))
                held = decode_table(proof.table)
                before = key_before(proof, index, held)
                assert (proof.key, before) == (used[index], sum(used[:index]))
                assert share(whole, before, proof.key, held.root.sums) == line.amount
                assert proof == await key_in_table(connection, site.view, line, terms, period=PERIOD, unit_index=index)
            found = (await read_shares(connection, site.view, PERIOD, 70))[PUMP]
            assert (found.key, found.before, found.key_sum) == (used[70], sum(used[:70]), sum(used))
            assert await read_volumes(connection, site.view, PERIOD) == {PUMP: used}
            kept = {row.content for row in await connection.execute(tables.volume_keys.select())}
            nodes = [int.from_bytes(row.sums) for row in await connection.execute(tables.volume_nodes.select())]
        blocks = [sum(used[first : first + 64]) for first in (0, 64)]
        assert sorted(nodes) == sorted([*blocks, sum(blocks), sum(used)]), "no sum of a few households is in the clear"
        assert len(kept) == UNITS
        await store.close()

    run(scenario())


def test_page_and_derivation_go_by_the_posted_table_whatever_is_read_later(
    run: Run, store: Store, tmp_path: Path
) -> None:
    site, used = watered_site()
    view = site.view

    async def scenario() -> None:
        await site.write(store)
        table, lines = await posted(store, site, tmp_path / "run")
        later = BillingSite(view, next_index={1: 10**5, 2: 10**5})
        later.entry(water_of(9), COLD_WATER, CLOSING, 1)  # the lower of two values stands: this unit counted nothing
        async with store.write() as connection:
            await insert_rows(connection, tables.boundaries, later.rows)
        line, record = lines[9], view.tariffs[lines[9].tariff]
        bill = PLACE.bill(9, bytes(16) + line.encode())
        async with store.read() as connection:
            shown = await key_proof(connection, view, bill, line, record)
            (told,) = await derive_lines(
                connection, view, EMPTY, period=PERIOD, unit=view.roll[9], lines=[line], with_notes=False
            )
            again = await reckon_period(
                connection, view=view, directory=EMPTY, period=PERIOD,
                volumes=await read_volumes(connection, view, PERIOD),
            )  # fmt: skip
        assert json.loads(shown) == key_proof_to_json(table.proof(9, posted=True)), "as contracts/js/line.js takes it"
        share = told["share"]
        assert told["matches"] and share["by"] == "volume" and share["register"] == COLD_WATER
        assert (share["key"], share["key_before"], share["key_sum"]) == (
            str(used[9]), str(sum(used[:9])), str(sum(used)),
        )  # fmt: skip
        assert pump_lines(again.contents([bytes(16)] * UNITS, 0)) == lines, "a replay finds no share changed"
        await store.close()

    run(scenario())


def test_a_changed_table_is_not_taken_and_a_changed_key_does_not_lead_to_the_root(
    run: Run, store: Store, tmp_path: Path
) -> None:
    site, _ = watered_site()

    async def scenario() -> None:
        await site.write(store)
        table, _ = await posted(store, site, tmp_path / "run")
        other = KeyTable(pool=PUMP, keys=[*table.keys[:-1], table.keys[-1] + 1], salts=table.salts)
        with pytest.raises(BillingError, match="do not make the table that was posted"):
            await keep_volumes(store, site.view, PERIOD, other)
        with pytest.raises(BillingError, match="on the followed chain yet"):
            await keep_volumes(store, site.view, PERIOD + 1, table)
        proof = table.proof(9, posted=True)
        with pytest.raises(BillError, match="is not in the table"):
            key_before(replace(proof, key=proof.key + 1), 9, decode_table(proof.table))
        site.view.volumes[PUMP, PERIOD] = other.encode()  # a reorganisation put another table there
        async with store.read() as connection:
            assert await read_key(connection, site.view, PERIOD, PUMP, 9) is None
        await keep_volumes(store, site.view, PERIOD, other)
        async with store.read() as connection:
            assert await read_volumes(connection, site.view, PERIOD) == {PUMP: list(other.keys)}
        await store.close()

    run(scenario())


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[:-1], lambda b: b + bytes(24), lambda b: b[1:], lambda b: b"", lambda b: b.replace(b"/1", b"/2", 1)],
)
def test_damaged_bytes_are_refused(damage: Callable[[bytes], bytes]) -> None:
    table = KeyTable(pool=PUMP, keys=[1, 0, 5], salts=[bytes([at] * 16).ljust(32, b"\0") for at in range(3)])
    assert decode_volumes(encode_volumes(table)).encode() == table.encode()
    with pytest.raises(BillError, match="table"):
        decode_volumes(damage(encode_volumes(table)))


def test_a_run_that_goes_on_has_the_same_table_and_a_posted_one_has_none(
    run: Run, store: Store, tmp_path: Path
) -> None:
    site, _ = watered_site()
    folder = tmp_path / "run"

    async def scenario() -> None:
        await site.write(store)

        async def tables_of(bills: BillRun) -> list[bytes]:
            async with store.read() as connection:
                prepared = await bills.prepare(connection, view=site.view, directory=EMPTY)
            return [table.encode() for table in prepared.volumes]

        first, again = BillRun.open(folder, PLACE, UNITS), BillRun.open(folder, PLACE, UNITS)
        assert await tables_of(first) == await tables_of(BillRun.open(folder, PLACE, UNITS)) != []
        again.finish()
        assert os.listdir(folder) == ["run.json"]
        await store.close()

    run(scenario())


def test_tables_of_a_run_that_was_cut_off_while_it_was_made_again_are_not_taken_for_its_own(
    run: Run, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The readings change, the run is killed before it says so, and they change back: a reorganised chain does that."""
    site, _ = watered_site()
    folder = tmp_path / "run"

    async def scenario() -> None:
        await site.write(store)

        async def prepared() -> Prepared:
            bills = BillRun.open(folder, PLACE, UNITS)
            async with store.read() as connection:
                return await bills.prepare(connection, view=site.view, directory=EMPTY)

        before = await prepared()
        (folder / "units-000000000.bills").unlink()
        bound, flat = dict(site.view.bindings), site.view.roll[0].alias
        site.view.bindings = {device: records for device, records in bound.items() if records[0].subject != flat}
        with monkeypatch.context() as patched:
            patched.setattr(BillRun, "_keep", killed_when_it_says_so(BillRun._keep))
            with pytest.raises(KeyboardInterrupt):
                await prepared()
        site.view.bindings = bound
        after = await prepared()
        assert [one.encode() for one in after.volumes] == [one.encode() for one in before.volumes]
        assert after.tree.root == before.tree.root
        await store.close()

    run(scenario())


def killed_when_it_says_so(keep: Callable[..., None]) -> Callable[..., None]:
    def kept(self: BillRun, state: Any) -> None:
        if state.ground:
            raise KeyboardInterrupt
        keep(self, state)

    return kept


def test_a_draft_carries_its_tables(run: Run, store: Store) -> None:
    site, used = watered_site()

    async def scenario() -> None:
        await site.write(store)
        async with store.read() as connection:
            draft = await draft_period(connection, view=site.view, directory=EMPTY, deployment=DEPLOYED, period=PERIOD)
        (table,) = draft_from_json(draft_to_json(draft)).volumes
        assert list(table.keys) == used and len(set(table.salts)) == UNITS
        lines = [next(one.line for one in unit.lines if one.line.subject == PUMP) for unit in draft.units]
        whole = sum(line.amount for line in lines)
        assert [line.amount for line in lines] == [
            share(whole, sum(used[:at]), used[at], sum(used)) for at in range(UNITS)
        ]
        await store.close()

    run(scenario())


def test_a_pool_that_is_silent_is_not_estimated_and_the_reason_is_said(run: Run, store: Store) -> None:
    site, _ = watered_site(units=10)
    site.rows = [row for row in site.rows if (row[2], row[4]) != (PUMP, CLOSING)]

    async def scenario() -> None:
        await site.write(store)
        async with store.read() as connection:
            together = await reckon_period(connection, view=site.view, directory=EMPTY, period=PERIOD)
        (problem,) = [one for one in together.problems if PUMP.hex()[:12] in one]
        assert "has no boundary entry" in problem and "not estimated: the contract reckons" in problem
        assert not together.volumes, "a table that nothing rests on is not posted"
        lines = [
            decode_line(one[at : at + LINE_BYTES])
            for one in together.contents([bytes(16)] * 10, 0)
            for at in range(16, len(one), LINE_BYTES)
        ]
        assert not [line for line in lines if line.subject == PUMP and line.kind is LineKind.SHARED]
        await store.close()

    run(scenario())


def test_a_meter_of_which_nothing_can_be_told_holds_the_whole_pool_back(run: Run, store: Store) -> None:
    site, _ = watered_site(units=10)
    site.rows = [row for row in site.rows if row[2] != water_of(9) or row[4] == OPENING]

    async def scenario() -> None:
        await site.write(store)
        async with store.read() as connection:
            together = await reckon_period(connection, view=site.view, directory=EMPTY, period=PERIOD)
        assert [one for one in together.problems if PUMP.hex()[:12] in one and "unit 9" in one], together.problems
        assert not together.volumes
        await store.close()

    run(scenario())
