"""Bills as bytes: blocks are taken in order and once if they lead to the root, and read back as they were posted."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from cloud.billing import posted
from cloud.billing.bill_block import (
    BILLS_AT_ONCE,
    BillBlock,
    BillPlace,
    decode_block,
    encode_block,
    leaves_of,
    verified_block,
)
from cloud.billing.kept import read_bill, read_block, read_held
from cloud.billing.posted import take_block
from cloud.chain.records import PeriodRecord, UnitRecord
from cloud.errors import BillingError
from cloud.store import Store
from contracts.bill import BillError, BillTree, Line, LineKind, verify_bill
from contracts.clock import SystemClock

Run = Callable[[Any], Any]

PERIOD = 2026110120261201
PLACE = BillPlace(chain_id=31337, contract="0x" + "ab" * 20, site=bytes(range(32)), period=PERIOD)
LEVEL = 12


@dataclass
class Deployed:
    chain_id: int = PLACE.chain_id
    usage_fees: str = PLACE.contract
    site: bytes = PLACE.site


@dataclass
class View:
    """A roll and one closed period, as the followed chain gives them."""

    roll: list[UnitRecord]
    periods: dict[int, PeriodRecord]
    tariffs: dict[int, Any] = field(default_factory=dict)


def line(rng: Random, amount: int) -> Line:
    return Line(
        kind=rng.choice(list(LineKind)),
        subject=rng.randbytes(32),
        quantity="1-0:1.8.0",
        tariff=1,
        since=20261101,
        from_date=20261101,
        to_date=20261201,
        usage=rng.randrange(10**6),
        amount=amount,
    )


def contents(rng: Random, count: int) -> list[bytes]:
    return [
        rng.randbytes(16) + b"".join(line(rng, rng.randrange(10**5)).encode() for _ in range(rng.randrange(4)))
        for _ in range(count)
    ]


def view_of(tree: BillTree) -> Any:
    roll = [
        UnitRecord(alias=index.to_bytes(32), index=index, area_centi_m2=1, category=0)
        for index in range(tree.unit_count)
    ]
    closed = PeriodRecord(
        period=PERIOD, root=tree.root.hash, sums=tree.root.sums, unit_count=tree.unit_count, window_end_s=1,
        closed_at_s=0, block_number=1, transaction_hash="0x",
    )  # fmt: skip
    return View(roll=roll, periods={PERIOD: closed})


def block(some: list[bytes], tree: BillTree, first: int) -> bytes:
    return encode_block(
        BillBlock(first=first, contents=some[first : first + BILLS_AT_ONCE], path=tree.block_path(first, level=LEVEL))
    )


async def take(store: Store, view: Any, body: bytes) -> int:
    deployed: Any = Deployed()
    taken = await take_block(store, view=view, deployment=deployed, clock=SystemClock(), period=PERIOD, body=body)
    return taken.held


async def closing(store: Store, scenario: Coroutine[Any, Any, None]) -> None:
    try:
        await scenario
    finally:
        await store.close()


@pytest.mark.parametrize("count", [1, 2, 63, 65, BILLS_AT_ONCE, BILLS_AT_ONCE + 70])
def test_bills_handed_in_by_blocks_lead_to_the_posted_root_again(run: Run, store: Store, count: int) -> None:
    some = contents(Random(count), count)
    tree = BillTree(leaves_of(some, PLACE))
    view, deployed = view_of(tree), Deployed()

    async def scenario() -> None:
        for first in range(0, count, BILLS_AT_ONCE):
            assert await take(store, view, block(some, tree, first)) == min(count, first + BILLS_AT_ONCE)
        async with store.read() as connection:
            for index in {0, count // 2, count - 1}:
                proof = await read_bill(connection, view, deployed, PERIOD, index)  # type: ignore[arg-type]
                assert proof is not None and proof.bill == PLACE.bill(index, some[index])
                assert (proof.root, proof.path) == (tree.root, tree.path(index))
                verify_bill(proof)
            for first in {0, (count - 1) // 64 * 64}:
                found = await read_block(connection, deployed, PERIOD, first)  # type: ignore[arg-type]
                assert found is not None and found[1] == tree.block_path(first)
                assert [bill.unit_index for bill in found[0]] == list(range(first, min(count, first + 64)))

    run(closing(store, scenario()))


def test_bills_that_are_held_cost_nobody_the_work_of_verifying_them_again(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = contents(Random(9), 65)
    tree = BillTree(leaves_of(some, PLACE))
    view, verified = view_of(tree), list[int]()

    def counted(*arguments: Any, **named: Any) -> BillTree:
        verified.append(1)
        return verified_block(*arguments, **named)

    monkeypatch.setattr(posted, "verified_block", counted)

    async def scenario() -> None:
        for _ in range(4):
            assert await take(store, view, block(some, tree, 0)) == 65
        assert len(verified) == 1
        other = contents(Random(10), 65)
        with pytest.raises(BillingError, match="another root"):
            await take(store, view_of(BillTree(leaves_of(other, PLACE))), block(some, tree, 0))
        assert len(verified) == 2, "bills under another root are none that are held"

    run(closing(store, scenario()))


def test_a_block_waits_for_the_one_before_it_that_another_request_hands_in(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = contents(Random(11), BILLS_AT_ONCE + 3)
    tree = BillTree(leaves_of(some, PLACE))
    view = view_of(tree)
    monkeypatch.setattr(posted, "_TURN_SECONDS", 100.0)

    async def scenario() -> None:
        later = asyncio.create_task(take(store, view, block(some, tree, BILLS_AT_ONCE)))
        await asyncio.sleep(0)  # it comes first
        assert await take(store, view, block(some, tree, 0)) == BILLS_AT_ONCE
        assert await later == BILLS_AT_ONCE + 3

    run(closing(store, scenario()))


def test_an_upload_goes_on_where_it_stands_and_an_altered_block_is_refused(run: Run, store: Store) -> None:
    some = contents(Random(7), BILLS_AT_ONCE + 3)
    tree = BillTree(leaves_of(some, PLACE))
    view, deployed = view_of(tree), Deployed()

    async def scenario() -> None:
        with pytest.raises(BillingError, match="come too early: 0 are held"):
            await take(store, view, block(some, tree, BILLS_AT_ONCE))
        altered = bytearray(block(some, tree, 0))
        altered[-1] ^= 1
        with pytest.raises(BillingError, match="another root than the one on chain"):
            await take(store, view, bytes(altered))
        assert await take(store, view, block(some, tree, 0)) == BILLS_AT_ONCE
        assert await take(store, view, block(some, tree, 0)) == BILLS_AT_ONCE, "sending it twice is harmless"
        async with store.read() as connection:
            assert await read_bill(connection, view, deployed, PERIOD, 0) is None, "half of a period is shown to nobody"  # type: ignore[arg-type]
        assert await take(store, view, block(some, tree, BILLS_AT_ONCE)) == BILLS_AT_ONCE + 3
        corrected = contents(Random(8), BILLS_AT_ONCE + 3)
        superseded = BillTree(leaves_of(corrected, PLACE))
        later = view_of(superseded)
        assert await take(store, later, block(corrected, superseded, 0)) == BILLS_AT_ONCE, "a corrected period"
        async with store.read() as connection:
            held = await read_held(connection, PERIOD)
        assert held is not None and held.root == superseded.root and not held.is_whole

    run(closing(store, scenario()))


@pytest.mark.parametrize("cut", [0, 3, 40, -1])
def test_a_cut_block_is_refused(cut: int) -> None:
    some = contents(Random(1), 5)
    body = block(some, BillTree(leaves_of(some, PLACE)), 0)
    assert list(decode_block(body).contents) == some
    with pytest.raises(BillError):
        decode_block(body[:cut])


def test_a_line_that_is_not_canonical_is_refused() -> None:
    rng = Random(3)
    good = rng.randbytes(16) + line(rng, 7).encode()
    for at, octet in ((16 + 31, 9), (16 + 0, 1), (16 + 95, 200), (16 + 6 * 32, 1), (16 + 5 * 32 + 24, 255)):
        wrong = bytearray(good)
        wrong[at] = octet
        with pytest.raises(BillError):
            decode_block(encode_block(BillBlock(first=0, contents=[bytes(wrong)], path=())))


def test_an_upload_that_is_wrong_in_more_than_one_word_is_refused_by_name(run: Run, store: Store) -> None:
    rng = Random(5)
    wrong = bytearray(rng.randbytes(16) + line(rng, 7).encode())
    wrong[16 + 64] = 200  # the quantity is not ASCII,
    wrong[16 + 4 * 32 + 24] = 1  # and the tariff's day is none
    whole = bytes(wrong)

    async def scenario() -> None:
        tree = BillTree(leaves_of([rng.randbytes(16)], PLACE))
        body = encode_block(BillBlock(first=0, contents=[whole], path=()))
        with pytest.raises(BillingError, match="quantity is not canonical"):
            await take(store, view_of(tree), body)

    run(closing(store, scenario()))


def test_amounts_beyond_64_bits_together_are_refused() -> None:
    rng = Random(4)
    huge = [rng.randbytes(16) + Line(**{**FIELDS, "amount": 2**63}).encode() * 2]  # type: ignore[arg-type]
    with pytest.raises(BillError, match="64 bits"):
        leaves_of(huge, PLACE)


FIELDS = {
    "kind": LineKind.OWN, "subject": bytes(32), "quantity": "1-0:1.8.0", "tariff": 1, "since": 20261101,
    "from_date": 20261101, "to_date": 20261201, "usage": 1,
}  # fmt: skip
