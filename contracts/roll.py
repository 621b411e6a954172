"""The roll of those who may vote on one resolution: a sum tree with one leaf per head (DESIGN section 7, roll_tree.vy).

A head is an owner: one buyer's several units are one head (Supreme Court interpretation, art. 9). The leaf of head i
is SHA-256(0x00 || tag || i || area || digest of its units); nodes are the bill tree's, with area << 64 | heads as sums.
In a matter of one building, heads without a unit there have an empty leaf, which counts for nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from contracts.abi import padded
from contracts.bill import BillTree, Node
from contracts.errors import ContractsError
from contracts.quorum import LANE_END, Weight

TAG = padded("minglou/roll/1")
BLOCK = 64  # leaves that are shown or counted at once
UNITS_MAX = 2**32


class RollError(ContractsError):
    """Units are no roll, or a leaf is not in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitShare:
    """What the roll needs to know of a unit."""

    index: int
    area_centi_m2: int
    head: int
    building: int


@dataclass(frozen=True, slots=True)
class RollLeaf:
    """One head's leaf."""

    area_centi_m2: int = 0
    units: tuple[int, ...] = ()  # indices, ascending

    @property
    def packed_units(self) -> bytes:
        """The units' indices, four bytes each."""
        return b"".join(index.to_bytes(4) for index in self.units)

    @property
    def units_digest(self) -> bytes:
        """SHA-256 of the packed units."""
        return sha256(self.packed_units).digest()

    @property
    def weight(self) -> Weight:
        """What the head counts for."""
        return Weight(self.area_centi_m2, int(self.area_centi_m2 > 0))

    def node(self, head: int) -> Node:
        """The leaf as a node of the tree."""
        if not 0 <= self.area_centi_m2 < LANE_END:
            raise RollError(f"head {head} has {self.area_centi_m2} x 0.01 m2, more than a roll can hold")
        words = TAG + head.to_bytes(32) + self.area_centi_m2.to_bytes(32) + self.units_digest
        return Node(sha256(b"\0" + words).digest(), self.weight.area_centi_m2 << 64 | self.weight.heads)

    def abi(self) -> tuple[int, bytes]:
        """What counting needs: area and digest of the units."""
        return (self.area_centi_m2, self.units_digest)

    def entry(self) -> int:
        """What showing needs: area and number of units in one word."""
        return self.area_centi_m2 << 32 | len(self.units)


class Roll:
    """The roll of one resolution."""

    def __init__(self, leaves: Sequence[RollLeaf]) -> None:
        self.leaves = tuple(leaves)
        self._tree = BillTree(leaf.node(head) for head, leaf in enumerate(self.leaves))

    @classmethod
    def of_units(cls, units: Iterable[UnitShare], *, head_count: int, building: int | None = None) -> "Roll":
        """The roll of the whole site, or of one building.

        Raises:
            RollError: a unit names a head that there is not, or two units have one index.
        """
        held: list[list[UnitShare]] = [[] for _ in range(head_count)]
        seen: set[int] = set()
        for unit in sorted(units, key=lambda each: each.index):
            if not 0 <= unit.head < head_count or unit.index in seen or not 0 <= unit.index < UNITS_MAX:
                raise RollError(
                    f"unit {unit.index} of head {unit.head}: the roll has {head_count} heads, each unit once"
                )
            seen.add(unit.index)
            if building is None or unit.building == building:
                held[unit.head].append(unit)
        return cls(
            [RollLeaf(sum(unit.area_centi_m2 for unit in mine), tuple(unit.index for unit in mine)) for mine in held]
        )

    @property
    def root(self) -> Node:
        """What is posted when a vote is convened."""
        return self._tree.root

    @property
    def weight(self) -> Weight:
        """All who may vote."""
        return Weight(self.root.sums >> 64, self.root.sums % 2**64)

    @property
    def head_count(self) -> int:
        """Leaves of the tree, empty ones too."""
        return len(self.leaves)

    def path(self, head: int) -> tuple[Node, ...]:
        """Siblings of a head's leaf, from below."""
        return self._tree.path(head)

    def block_path(self, first_head: int) -> tuple[Node, ...]:
        """Siblings of an aligned block's top, from below."""
        return self._tree.block_path(first_head)

    def block(self, first_head: int) -> tuple[RollLeaf, ...]:
        """The leaves of an aligned block."""
        if first_head % BLOCK or not 0 <= first_head < self.head_count:
            raise RollError(f"head {first_head} begins no block of {BLOCK} in a roll of {self.head_count}")
        return self.leaves[first_head : first_head + BLOCK]

    def blocks(self) -> range:
        """The first head of each block."""
        return range(0, self.head_count, BLOCK)
