"""Assembly: counting ballots, results and outcomes (Assembly.vy)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from contracts.abi import Call, EventForm, Function, encode_arguments, event_table, parse_log
from contracts.bill import NODE_TYPE, Node
from contracts.quorum import Means, Tally, total
from contracts.roll import Roll, RollLeaf

_COUNT = Function(
    "count", bytes.fromhex("6a304bb1"), ("uint256", "uint256", "(uint256,bytes32)[]", NODE_TYPE + "[]"), ()
)
_CERTIFY = Function("certify", bytes.fromhex("0622999b"), ("uint256", "bytes32"), ())
_OUTCOME = Function("outcome", bytes.fromhex("5a11492a"), ("uint256",), ("(uint256,uint256,bytes32,uint256,uint256)",))
_RESULT = Function(
    "result",
    bytes.fromhex("3c594059"),
    ("uint256",),
    ("(uint256,uint256,uint256,uint256,uint256,uint256,bool,bool,bool,bytes32)",),
)


class State(IntEnum):
    """Where a resolution stands."""

    NONE = 0
    NOTICE = 1
    OPEN = 2
    COUNTING = 3
    PASSED = 4
    FAILED = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a resolution came to, so far."""

    state: State
    matter: int
    payload: bytes
    decided_at: int  # Unix seconds, 0 before
    building: int  # 0 the whole site, else number of the building + 1


@dataclass(frozen=True, slots=True)
class Result:
    """Totals by means, and both results."""

    tallies: tuple[Tally, Tally, Tally, Tally]  # in the order of `Means`
    blocks: int  # counted so far
    decided_at: int
    passed: bool  # by those who took part
    follows: bool  # the assembly adopted that non-voters follow the majority
    passed_following: bool  # the same with them
    certificate: bytes

    @property
    def tally(self) -> Tally:
        """All means together."""
        return total(self.tallies)

    def by(self, means: Means) -> Tally:
        """What was said by one means."""
        return self.tallies[means]


def deploy(bytecode: bytes, *, registry: str) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    return bytecode + encode_arguments("Assembly", ("address",), (registry,))


def count(to: str, *, number: int, first_head: int, leaves: Sequence[RollLeaf], path: Sequence[Node]) -> Call:
    """Count an aligned block of the roll after the close. Anyone may; the last block decides."""
    return _COUNT.call(to, number, first_head, [leaf.abi() for leaf in leaves], [node.abi() for node in path])


def count_roll(to: str, *, number: int, roll: Roll) -> list[Call]:
    """All calls that count a vote."""
    return [
        count(to, number=number, first_head=first, leaves=roll.block(first), path=roll.block_path(first))
        for first in roll.blocks()
    ]


def certify(to: str, *, number: int, certificate: bytes) -> Call:
    """The committee records the digest of the city system's result of a formal vote."""
    return _CERTIFY.call(to, number, certificate)


def outcome(to: str, *, number: int) -> Call:
    """Where a resolution stands."""
    return _OUTCOME.call(to, number)


def parse_outcome(result: bytes) -> Outcome:
    """The result of `outcome`."""
    state, matter, payload, decided_at, building = _OUTCOME.decode(result)[0]
    return Outcome(State(state), matter, payload, decided_at, building)


def result(to: str, *, number: int) -> Call:
    """Totals by means, and both results."""
    return _RESULT.call(to, number)


def parse_result(result: bytes) -> Result:
    """The result of `result`."""
    passkey, software, proxy, paper, *rest = _RESULT.decode(result)[0]
    tallies = (Tally.from_word(passkey), Tally.from_word(software), Tally.from_word(proxy), Tally.from_word(paper))
    return Result(tallies, *rest)


@dataclass(frozen=True, slots=True)
class Counted:
    """A block was counted; these are the tallies by means now, in the words of `contracts.quorum.Tally`."""

    FORM: ClassVar[EventForm] = EventForm(
        "Counted",
        bytes.fromhex("5998870504ae47bea5cea7add0af84f7652ee64b470e06e24d4c8902e5d1ac6b"),
        ("uint256",),
        ("uint256", "uint256[4]"),
    )

    number: int
    first_head: int
    tallies: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Decided:
    """The last block was counted."""

    FORM: ClassVar[EventForm] = EventForm(
        "Decided",
        bytes.fromhex("6578969cfc1a750844942ccf53fdc541e455814fefa19aa8423c35497e439d77"),
        ("uint256",),
        ("bool", "bool", "bool", "uint256"),
    )

    number: int
    passed: bool
    follows: bool
    passed_following: bool
    decided_at: int


@dataclass(frozen=True, slots=True)
class Certified:
    """The city system's result of a formal vote was recorded; from then on the vote counts as decided."""

    FORM: ClassVar[EventForm] = EventForm(
        "Certified",
        bytes.fromhex("a772671035e3a20e076fd853cb78a750aaa341546a7fa200b94f7a97a5771fae"),
        ("uint256",),
        ("bytes32", "uint256"),
    )

    number: int
    certificate: bytes
    decided_at: int


Event = Counted | Decided | Certified

_EVENTS = event_table(Counted, Decided, Certified)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event
