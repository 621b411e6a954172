"""Bills: lines to leaf to root, shares that lose no fen, and the file that an owner gets."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.bill import (
    Amounts,
    Bill,
    BillError,
    BillProof,
    BillTree,
    Line,
    LineKind,
    Node,
    binding_commitment,
    decode_line,
    share,
    shares,
    verify_bill,
)
from contracts.bill_file import bill_from_json, bill_to_json

CONTRACT = "0x" + "ab" * 20
SITE = hashlib.sha256(b"cuiyuan").digest()


def line(kind: LineKind = LineKind.OWN, amount: int = 6800) -> Line:
    return Line(
        kind=kind,
        subject=SITE,
        quantity="1-0:1.8.0",
        tariff=1,
        since=20260101,
        from_date=20261023,
        to_date=20261122,
        usage=123_456,
        amount=amount,
    )


def bill(unit_index: int = 0, *lines: Line) -> Bill:
    return Bill(
        chain_id=31337,
        contract=CONTRACT,
        site=SITE,
        period=20261023_20261122,
        unit_index=unit_index,
        lines=lines or (line(), line(LineKind.SHARED, 232)),
        salt=bytes(range(16)).ljust(32, b"\0"),
    )


def proof(count: int, unit_index: int) -> BillProof:
    bills = [bill(index, line(amount=index + 1)) for index in range(count)]
    tree = BillTree.of_bills(bills)
    return BillProof(
        bill=bills[unit_index], path=tree.path(unit_index), unit_count=count, root=tree.root, terms=((1, b"terms"),)
    )


def test_a_leaf_is_the_bytes_that_the_design_names() -> None:
    """Recomputed here from the text of DESIGN section 7, without the functions under test."""
    words = b"".join(
        (
            (1).to_bytes(32) + SITE + b"1-0:1.8.0".ljust(32, b"\0"),
            b"".join(number.to_bytes(32) for number in (1, 20260101, 20261023_20261122, 123_456, 6800)),
        )
    )
    one = bill(3, line())
    amounts = 6800 << 192 | 6800 << 128
    leaf = hashlib.sha256(
        b"\0"
        + b"minglou/bill/1".ljust(32, b"\0")
        + (31337).to_bytes(32)
        + bytes.fromhex("ab" * 20).rjust(32, b"\0")
        + SITE
        + (20261023_20261122).to_bytes(32)
        + (3).to_bytes(32)
        + amounts.to_bytes(32)
        + hashlib.sha256(words).digest()
        + one.salt
    ).digest()
    assert one.leaf() == Node(leaf, amounts)
    assert decode_line(words) == line()
    assert BillTree([one.leaf()]).root == one.leaf()


@given(st.integers(1, 200), st.data())
def test_every_bill_leads_to_the_root_and_no_altered_one_does(count: int, data: st.DataObject) -> None:
    good = proof(count, data.draw(st.integers(0, count - 1)))
    verify_bill(good)
    with pytest.raises(BillError):
        verify_bill(replace(good, bill=replace(good.bill, lines=(line(amount=999_999),))))
    with pytest.raises(BillError, match="path has"):
        verify_bill(replace(good, path=(*good.path, good.root)))
    with pytest.raises(BillError, match="beyond"):
        verify_bill(replace(good, bill=replace(good.bill, unit_index=count)))


@given(st.integers(1, 300))
def test_blocks_of_sixty_four_lead_to_the_same_root(count: int) -> None:
    leaves = [bill(index, line(amount=index)).leaf() for index in range(count)]
    tree = BillTree(leaves)
    blocks = [BillTree(leaves[start : start + 64]).root for start in range(0, count, 64)]
    assert BillTree(blocks).root == tree.root
    above = BillTree.of_blocks(blocks, count, 6)
    assert (above.root, above.unit_count) == (tree.root, count)
    for start in range(0, count, 64):
        assert tree.block_path(start) == BillTree(blocks).path(start // 64) == above.block_path(start)
    with pytest.raises(BillError, match="aligned"):
        tree.block_path(1)
    with pytest.raises(BillError, match="beyond"):
        tree.path(count)


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**7), min_size=1, max_size=50).filter(any))
def test_shares_add_up_and_each_can_be_checked_alone(pool: int, keys: list[int]) -> None:
    parts = shares(pool, keys)
    assert sum(parts) == pool
    for index, part in enumerate(parts):
        assert part == share(pool, sum(keys[:index]), keys[index], sum(keys))
        assert abs(part - pool * keys[index] / sum(keys)) <= 1 + pool / 2**50


def test_amounts_that_do_not_add_up_or_fit_are_refused() -> None:
    with pytest.raises(BillError, match="total"):
        Amounts(total=5, own=1, shared=1, other=1)
    with pytest.raises(BillError, match="64 bits"):
        Amounts(total=2**64, own=2**64, shared=0, other=0)
    with pytest.raises(BillError, match="credits"):
        line(amount=-1)
    with pytest.raises(BillError, match="zero"):
        shares(5, [0, 0])
    with pytest.raises(BillError, match="no bills"):
        BillTree([])
    with pytest.raises(BillError, match="in order"):
        BillTree.of_bills([bill(1), bill(0)])
    with pytest.raises(BillError, match="challenged"):
        bill(0, *[line()] * 25)


def test_a_credit_is_named_on_the_bill_and_outside_its_sums() -> None:
    one = bill(0, line(amount=500), line(LineKind.ESTIMATED, 20), line(LineKind.STANDING, 3), line(LineKind.CREDIT, 77))
    assert one.amounts == Amounts(total=523, own=520, shared=0, other=3)
    assert one.lines_digest != bill(0, *one.lines[:3]).lines_digest


def test_the_file_comes_back_as_it_was_and_verifies() -> None:
    written = json.loads(json.dumps(bill_to_json(proof(24, 7))))
    read = bill_from_json(written)
    assert read == proof(24, 7)
    verify_bill(read)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "minglou-bill/2"),
        ("chain_id", 31337),
        ("contract", CONTRACT.upper()),
        ("site", "AB" * 32),
        ("period", "07"),
        ("amounts", {"total": "1", "own": "1", "shared": "0", "other": "0"}),
        ("lines", "none"),
        ("path", [{"hash": "00" * 32}]),
        ("salt", "00"),
        ("terms", [{"version": "1", "encoded": "0"}]),
        ("extra", "1"),
    ],
)
def test_a_file_that_is_not_canonical_is_refused(field: str, value: object) -> None:
    document = bill_to_json(proof(24, 7)) | {field: value}
    with pytest.raises(BillError):
        bill_from_json(document)


@pytest.mark.parametrize(
    ("field", "value"), [("kind", 7), ("kind", True), ("quantity", 5), ("amount", "-1"), ("to", "123456789")]
)
def test_a_line_that_is_not_canonical_is_refused(field: str, value: object) -> None:
    document = bill_to_json(proof(24, 7))
    document["lines"][0][field] = value
    with pytest.raises(BillError):
        bill_from_json(document)


def test_a_binding_commitment_covers_every_field() -> None:
    fields = {
        "device": SITE,
        "subject": SITE,
        "role": 1,
        "from_date": 20261023,
        "to_date": 0,
        "opening_register": 26,
        "closing_register": 0,
        "photo_digest": bytes(32),
        "salt": bytes(32),
    }
    commitment = binding_commitment(**fields)  # type: ignore[arg-type]  # one mapping for all fields
    for field, value in fields.items():
        other = fields | {field: hashlib.sha256(b"x").digest() if isinstance(value, bytes) else value + 1}  # type: ignore[operator]
        assert binding_commitment(**other) != commitment  # type: ignore[arg-type]
