"""The roll's tree: one leaf per head, sums that add up, blocks and paths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.bill import Node, parent
from contracts.quorum import Weight
from contracts.roll import BLOCK, Roll, RollError, RollLeaf, UnitShare


def units(count: int, heads: int, buildings: int = 2) -> list[UnitShare]:
    return [
        UnitShare(index=place, area_centi_m2=100 + place, head=place % heads, building=place % buildings)
        for place in range(count)
    ]


@given(st.integers(1, 200), st.integers(1, 150))
def test_every_unit_weighs_once_with_its_head(count: int, heads: int) -> None:
    roll = Roll.of_units(units(count, heads), head_count=heads)
    assert roll.weight == Weight(sum(100 + place for place in range(count)), min(count, heads))
    assert sorted(unit for leaf in roll.leaves for unit in leaf.units) == list(range(count))
    assert roll.head_count == heads


def test_one_buyers_several_units_are_one_head_with_all_their_area() -> None:
    roll = Roll.of_units(units(5, 2), head_count=2)
    assert roll.leaves[0] == RollLeaf(100 + 102 + 104, (0, 2, 4)) and roll.weight.heads == 2


def test_a_building_has_a_roll_of_its_own_with_empty_leaves_for_the_others() -> None:
    shares = units(6, 3, buildings=3)
    roll = Roll.of_units(shares, head_count=3, building=1)
    assert roll.leaves == (RollLeaf(), RollLeaf(101 + 104, (1, 4)), RollLeaf())
    assert roll.weight == Weight(205, 1)


@given(st.integers(1, 200), st.data())
def test_a_leaf_and_a_block_lead_to_the_root(heads: int, data: st.DataObject) -> None:
    roll = Roll.of_units(units(heads, heads), head_count=heads)
    head = data.draw(st.integers(0, heads - 1))
    assert climbed(roll.leaves[head].node(head), head, heads, roll.path(head)) == roll.root
    first = head // BLOCK * BLOCK
    top = Roll(roll.block(first)) if first == 0 and heads <= BLOCK else None
    if top is not None:
        assert top.root == roll.root and roll.block_path(0) == ()


def climbed(node: Node, place: int, size: int, path: tuple[Node, ...]) -> Node:
    """The walk of RFC 9162 section 2.1.3.2, with sums."""
    last = size - 1
    for sibling in path:
        if place & 1 or place == last:
            node = parent(sibling, node)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            node = parent(node, sibling)
        place, last = place >> 1, last >> 1
    assert last == 0
    return node


def test_blocks_cover_the_roll() -> None:
    roll = Roll.of_units(units(130, 130), head_count=130)
    assert list(roll.blocks()) == [0, 64, 128] and [len(roll.block(first)) for first in roll.blocks()] == [64, 64, 2]
    for wrong in (1, 192, -64):
        with pytest.raises(RollError, match="begins no block"):
            roll.block(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        [UnitShare(index=0, area_centi_m2=1, head=2, building=0)],
        [UnitShare(index=0, area_centi_m2=1, head=0, building=0)] * 2,
        [UnitShare(index=2**32, area_centi_m2=1, head=0, building=0)],
    ],
)
def test_units_that_are_no_roll_are_refused(wrong: list[UnitShare]) -> None:
    with pytest.raises(RollError, match="each unit once"):
        Roll.of_units(wrong, head_count=2)


def test_an_area_beyond_the_lanes_is_refused() -> None:
    with pytest.raises(RollError, match="more than a roll can hold"):
        Roll([RollLeaf(2**42, (0,))])
