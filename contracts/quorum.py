"""The owners' double count: what passes, in whole numbers (Civil Code art. 278, Assembly.vy).

Area in 0.01 m² and heads are counted apart, and every condition holds for both: two thirds of all take part; more than
half of those who take part are in favour, or three quarters in matters 6, 7 and 8. "以上" includes the number itself,
"过半数" does not (art. 1259). Those who abstain take part. Nothing here claims legal force.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from contracts.errors import ContractsError

LANE_BITS = 42
LANE_END = 2**LANE_BITS
MATTERS = range(1, 10)
RAISED_MATTERS = frozenset({6, 7, 8})  # raise the fund, alter or rebuild, change the use of common parts


class QuorumError(ContractsError):
    """A tally does not fit its roll, or there is no such matter."""


class Choice(IntEnum):
    """What a ballot says."""

    IN_FAVOUR = 1
    AGAINST = 2
    ABSTAIN = 3


class Means(IntEnum):
    """By what a head spoke; each is totalled apart."""

    PASSKEY = 0
    SOFTWARE = 1
    PROXY = 2
    PAPER = 3


@dataclass(frozen=True, slots=True)
class Weight:
    """Floor area and heads, which are counted apart."""

    area_centi_m2: int = 0
    heads: int = 0

    def __add__(self, other: "Weight") -> "Weight":
        return Weight(self.area_centi_m2 + other.area_centi_m2, self.heads + other.heads)

    def __sub__(self, other: "Weight") -> "Weight":
        return Weight(self.area_centi_m2 - other.area_centi_m2, self.heads - other.heads)

    def leads(self, other: "Weight") -> bool:
        """Whether it is more by area and by heads."""
        return self.area_centi_m2 > other.area_centi_m2 and self.heads > other.heads


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What was said, by choice."""

    in_favour: Weight = Weight()
    against: Weight = Weight()
    abstained: Weight = Weight()

    @property
    def participants(self) -> Weight:
        """Everybody who said something."""
        return self.in_favour + self.against + self.abstained

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            in_favour=self.in_favour + other.in_favour,
            against=self.against + other.against,
            abstained=self.abstained + other.abstained,
        )

    def counting(self, choice: Choice, weight: Weight) -> "Tally":
        """The tally with one more ballot."""
        weights = [weight if choice is each else Weight() for each in Choice]
        return self + Tally(in_favour=weights[0], against=weights[1], abstained=weights[2])

    def word(self) -> int:
        """Six lanes of 42 bits from the right: areas in favour, against, abstained, then heads (Assembly.vy)."""
        weights = (self.in_favour, self.against, self.abstained)
        lanes = [weight.area_centi_m2 for weight in weights] + [weight.heads for weight in weights]
        if not all(0 <= lane < LANE_END for lane in lanes):
            raise QuorumError(f"tally {lanes} does not fit into lanes of {LANE_BITS} bits")
        return sum(lane << (LANE_BITS * place) for place, lane in enumerate(lanes))

    @classmethod
    def from_word(cls, word: int) -> "Tally":
        """The tally that a word of Assembly carries."""
        lanes = [word >> (LANE_BITS * place) & (LANE_END - 1) for place in range(6)]
        return cls(
            in_favour=Weight(lanes[0], lanes[3]),
            against=Weight(lanes[1], lanes[4]),
            abstained=Weight(lanes[2], lanes[5]),
        )


def passes(matter: int, roll: Weight, tally: Tally) -> bool:
    """Whether the ballots carry a resolution.

    Args:
        matter: 1 to 9, in the order of art. 278; it alone picks the threshold.
        roll: all who may vote.

    Raises:
        QuorumError: no such matter, or more was said than the roll holds.
    """
    if matter not in MATTERS:
        raise QuorumError(f"matter {matter}: art. 278 has 1 to 9")
    part = tally.participants
    if part.area_centi_m2 > roll.area_centi_m2 or part.heads > roll.heads:
        raise QuorumError(f"{part} took part, the roll holds {roll}")
    return _carries(matter, roll.area_centi_m2, part.area_centi_m2, tally.in_favour.area_centi_m2) and _carries(
        matter, roll.heads, part.heads, tally.in_favour.heads
    )


def _carries(matter: int, total: int, part: int, in_favour: int) -> bool:
    if 3 * part < 2 * total:
        return False
    return 4 * in_favour >= 3 * part if matter in RAISED_MATTERS else 2 * in_favour > part


def following(roll: Weight, tally: Tally) -> Tally:
    """The tally where non-voters follow the majority: the side that leads by area and by heads, if one does.

    Only an assembly that adopted this rule counts so, and the result without it is shown beside it.
    """
    silent = roll - tally.participants
    if tally.in_favour.leads(tally.against):
        return tally + Tally(in_favour=silent)
    if tally.against.leads(tally.in_favour):
        return tally + Tally(against=silent)
    return tally


def total(tallies: Iterable[Tally]) -> Tally:
    """All tallies together."""
    return sum(tallies, Tally())
