"""What UsageFees says; the events alone rebuild its state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from contracts.abi import EventForm, event_table, parse_log


@dataclass(frozen=True, slots=True)
class BondChanged:
    """The bond is now so many fen."""

    FORM: ClassVar[EventForm] = EventForm(
        "BondChanged",
        bytes.fromhex("59c894be36dfafc83c3adf68196a253fa869e7e12c79fa2670283d7edc5fa25b"),
        (),
        ("uint256",),
    )

    bond: int


@dataclass(frozen=True, slots=True)
class PeriodClosed:
    """A period's bill tree was posted."""

    FORM: ClassVar[EventForm] = EventForm(
        "PeriodClosed",
        bytes.fromhex("421ec0e90d2b3f85c2f5d22e62a32828dc265e2a0f4d748f54fee5cb2c6b1d05"),
        ("uint256",),
        ("bytes32", "uint256", "uint256", "uint256"),
    )

    period: int
    root: bytes
    sums: int
    unit_count: int
    window_end: int


@dataclass(frozen=True, slots=True)
class ToppedUp:
    """Somebody added to a unit's balance."""

    FORM: ClassVar[EventForm] = EventForm(
        "ToppedUp",
        bytes.fromhex("e60b74b7ab1dc483cc05eb2b5e79cc6fe86ea3394519daea24b3b38d0c99d27e"),
        ("uint256",),
        ("uint256", "address"),
    )

    unit_index: int
    amount: int
    payer: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The owner took from the unit's balance."""

    FORM: ClassVar[EventForm] = EventForm(
        "Withdrawn",
        bytes.fromhex("c3cb7a935155ffcae3ad8958e1304cf3710ae50e32a8d4b88f1a35eb76dba164"),
        ("uint256",),
        ("uint256", "address", "bytes32"),
    )

    unit_index: int
    amount: int
    to: str
    key_id: bytes


@dataclass(frozen=True, slots=True)
class MandateSet:
    """The owner allows debits of bills up to the cap; 0 stops them."""

    FORM: ClassVar[EventForm] = EventForm(
        "MandateSet",
        bytes.fromhex("279311e6d157a7a4bea0e0684804b6898b25d33fd16d69a077b85e10a73bb930"),
        ("uint256",),
        ("uint256", "bytes32"),
    )

    unit_index: int
    cap: int
    key_id: bytes


@dataclass(frozen=True, slots=True)
class Debited:
    """A block's bills were debited: `paid_bits` is the block's bitmap after it, `amounts` what each account gave."""

    FORM: ClassVar[EventForm] = EventForm(
        "Debited",
        bytes.fromhex("eb82cd93db761a06989e27ab01f8289f1c1595d345b2ac4b2a15846323ea3fff"),
        ("uint256",),
        ("uint256", "uint256", "uint256[]"),
    )

    period: int
    first_index: int
    paid_bits: int
    amounts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Paid:
    """Somebody paid a bill."""

    FORM: ClassVar[EventForm] = EventForm(
        "Paid",
        bytes.fromhex("d420edca868ae6ec38b8a855174ad76eaa128fac8590a3eb0fa75a3f91503061"),
        ("uint256", "uint256"),
        ("uint256", "address"),
    )

    period: int
    unit_index: int
    amount: int
    payer: str


@dataclass(frozen=True, slots=True)
class ChallengeOpened:
    """A unit challenged a line of its bill."""

    FORM: ClassVar[EventForm] = EventForm(
        "ChallengeOpened",
        bytes.fromhex("ef26cb2792dbb996f4e43f27497993480e8d30075d723335ff8f3798eacbbfa9"),
        ("uint256", "uint256"),
        ("uint256", "uint256", "uint256", "bytes32"),
    )

    period: int
    unit_index: int
    line: int
    amount: int
    deadline: int
    key_id: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """A challenge was answered; the line now stands at this charge."""

    FORM: ClassVar[EventForm] = EventForm(
        "Answered",
        bytes.fromhex("d841929ac4f01cf42c64b31e647b36a3892eed67dab8b1ce9df322c9308cb10f"),
        ("uint256", "uint256"),
        ("uint256", "uint256", "address"),
    )

    period: int
    unit_index: int
    line: int
    charge: int
    by: str


@dataclass(frozen=True, slots=True)
class Reversed:
    """Nobody answered in time; the line is reversed."""

    FORM: ClassVar[EventForm] = EventForm(
        "Reversed",
        bytes.fromhex("0d88216298b0b9eb2bc236a0b830513bdbe6817d567164b319371641d6dcf222"),
        ("uint256", "uint256"),
        ("uint256",),
    )

    period: int
    unit_index: int
    line: int


@dataclass(frozen=True, slots=True)
class Credited:
    """A unit's balance grew: 1 deposit back, 2 compensation, 3 overpaid."""

    FORM: ClassVar[EventForm] = EventForm(
        "Credited",
        bytes.fromhex("3806c51c015e3f5bafa6a64bacc9ec78aa02f9a208d9d22e52635e923ba00f6e"),
        ("uint256",),
        ("uint256", "uint256"),
    )

    unit_index: int
    amount: int
    reason: int


@dataclass(frozen=True, slots=True)
class Collected:
    """The operator took what was paid."""

    FORM: ClassVar[EventForm] = EventForm(
        "Collected",
        bytes.fromhex("754581136a3c2ab51aca2d58c0aaf816bbac838f0a9a700f866665de57bc9091"),
        (),
        ("uint256", "address"),
    )

    amount: int
    to: str


Event = (
    BondChanged
    | PeriodClosed
    | ToppedUp
    | Withdrawn
    | MandateSet
    | Debited
    | Paid
    | ChallengeOpened
    | Answered
    | Reversed
    | Credited
    | Collected
)

_EVENTS = event_table(
    BondChanged,
    PeriodClosed,
    ToppedUp,
    Withdrawn,
    MandateSet,
    Debited,
    Paid,
    ChallengeOpened,
    Answered,
    Reversed,
    Credited,
    Collected,
)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event
