"""What ServiceAgreements says; the events alone rebuild its state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from contracts.abi import EventForm, event_table, parse_log
from contracts.due import TERMS_TYPE


@dataclass(frozen=True, slots=True)
class Proposed:
    """The manager offered terms."""

    FORM: ClassVar[EventForm] = EventForm(
        "Proposed",
        bytes.fromhex("c5264deaf3704f642601ab51061a63c5c8bae339daaeee042dd044d3218b9869"),
        ("bytes32", "bytes32", "bytes32"),
        ("bytes32", TERMS_TYPE),
    )

    agreement: bytes
    device: bytes
    line: bytes  # Keccak-256 of device, plan and firm
    terms_digest: bytes
    terms: tuple[Any, ...]  # in the order of `contracts.due.Terms`


@dataclass(frozen=True, slots=True)
class Retracted:
    """The manager took an offer back."""

    FORM: ClassVar[EventForm] = EventForm(
        "Retracted",
        bytes.fromhex("26abab7f8db9fef5ae2763c1d9d8c1c8b3189534ef4710e84f511c46084ebe32"),
        ("bytes32",),
        (),
    )

    agreement: bytes


@dataclass(frozen=True, slots=True)
class Agreed:
    """The firm agreed and put down its deposit."""

    FORM: ClassVar[EventForm] = EventForm(
        "Agreed",
        bytes.fromhex("ac016eb230ac09985c0f350c8f3c1179cd87cea1906cf1ae695ebd05c1ea601f"),
        ("bytes32",),
        ("uint256",),
    )

    agreement: bytes
    deposit: int  # fen


@dataclass(frozen=True, slots=True)
class EndAsked:
    """One party named an earlier last day."""

    FORM: ClassVar[EventForm] = EventForm(
        "EndAsked",
        bytes.fromhex("3895215ccbdbe37e58baee1212631a93ee70eabaf443f8338a7e06b0a6fed08e"),
        ("bytes32",),
        ("uint256", "address"),
    )

    agreement: bytes
    day: int  # day number
    by: str


@dataclass(frozen=True, slots=True)
class EndSet:
    """Both parties named this last day."""

    FORM: ClassVar[EventForm] = EventForm(
        "EndSet",
        bytes.fromhex("022ac795af88e74e1ee58fc997d2425fa444251f694a844fbae1438b58a30ecf"),
        ("bytes32",),
        ("uint256",),
    )

    agreement: bytes
    day: int  # day number


@dataclass(frozen=True, slots=True)
class BudgetAdded:
    """Somebody added to what visits are paid from."""

    FORM: ClassVar[EventForm] = EventForm(
        "BudgetAdded",
        bytes.fromhex("b8380be0f55f1996fd74bf13a51fc7f7a70e4f0a4d09490676e32cab510d6a20"),
        ("bytes32",),
        ("uint256", "address"),
    )

    agreement: bytes
    amount: int  # fen
    giver: str


@dataclass(frozen=True, slots=True)
class DepositAdded:
    """Somebody added to what overdue days are paid from."""

    FORM: ClassVar[EventForm] = EventForm(
        "DepositAdded",
        bytes.fromhex("b45aa0c29d902c080b822e7bc57b25476047605df2f0e944dd5cf329a77cef3a"),
        ("bytes32",),
        ("uint256", "address"),
    )

    agreement: bytes
    amount: int  # fen
    giver: str


@dataclass(frozen=True, slots=True)
class VisitRecorded:
    """A visit was proven, and is the best of its day."""

    FORM: ClassVar[EventForm] = EventForm(
        "VisitRecorded",
        bytes.fromhex("7c70f31d305a62aecad0503e551f3b3f38b5191bbb9d006e3e2eee091678327f"),
        ("bytes32", "bytes32"),
        ("uint256",),
    )

    line: bytes  # Keccak-256 of device, plan and firm
    digest: bytes  # of the record
    lanes: int  # day and rank, see `service_agreements.recorded_visit`


@dataclass(frozen=True, slots=True)
class FeesPaid:
    """The firm got what the visits of these days earned and was not paid yet."""

    FORM: ClassVar[EventForm] = EventForm(
        "FeesPaid",
        bytes.fromhex("268ba166e0644112160bdab1e90063d2203ff99a43e804d05788625eb2598f33"),
        ("bytes32",),
        ("uint256[]", "uint256", "uint256"),
    )

    agreement: bytes
    days: tuple[int, ...]
    amount: int  # fen
    returned: int  # fen, from the deposit to the budget, for visits contradicted after they were paid


@dataclass(frozen=True, slots=True)
class DaysLookedAt:
    """Somebody looked at days of a class; overdue ones are claimed, provisional for 30 days."""

    FORM: ClassVar[EventForm] = EventForm(
        "DaysLookedAt",
        bytes.fromhex("662b2a89d7ce3ac82680dbe1df645a56a6d8706bab6d41b844fd8148b35c15ef"),
        ("bytes32",),
        ("uint256", "uint256", "uint256", "uint256", "uint256", "address"),
    )

    agreement: bytes
    visit_class: int
    from_day: int
    through_day: int
    overdue: int
    number: int  # of the claim, if any day is overdue
    by: str


@dataclass(frozen=True, slots=True)
class ClaimCounted:
    """A claim was counted again; if settled, so many days were paid for."""

    FORM: ClassVar[EventForm] = EventForm(
        "ClaimCounted",
        bytes.fromhex("f7019ce3d6172593be15a50ef79944b0d338a774d406ff7b9ca937bf79c611cb"),
        ("bytes32",),
        ("uint256", "uint256", "bool"),
    )

    agreement: bytes
    number: int  # of the claim, if any day is overdue
    days: int
    settled: bool


@dataclass(frozen=True, slots=True)
class Closed:
    """Deposit and budget went back."""

    FORM: ClassVar[EventForm] = EventForm(
        "Closed",
        bytes.fromhex("ae5dc4312c3d3381e38e7d66fc4d59f0a2678332c229c3e61ef1ad527aa34af1"),
        ("bytes32",),
        ("uint256", "uint256"),
    )

    agreement: bytes
    deposit: int  # fen
    budget: int  # fen


Event = (
    Proposed
    | Retracted
    | Agreed
    | EndAsked
    | EndSet
    | BudgetAdded
    | DepositAdded
    | VisitRecorded
    | FeesPaid
    | DaysLookedAt
    | ClaimCounted
    | Closed
)

_EVENTS = event_table(
    Proposed,
    Retracted,
    Agreed,
    EndAsked,
    EndSet,
    BudgetAdded,
    DepositAdded,
    VisitRecorded,
    FeesPaid,
    DaysLookedAt,
    ClaimCounted,
    Closed,
)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event
