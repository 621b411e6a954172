"""What ReserveFund says; the events alone rebuild its state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from contracts.abi import EventForm, event_table, parse_log


@dataclass(frozen=True, slots=True)
class Entered:
    """A unit of the roll got its place among the households."""

    FORM: ClassVar[EventForm] = EventForm(
        "Entered",
        bytes.fromhex("66757fc7c04202d3846f2bd6638b8584cb76e1635ee7923db0fe47d25517a72e"),
        ("uint256", "uint256"),
        ("uint256",),
    )

    index: int
    building_purse: int
    area_centi_m2: int


@dataclass(frozen=True, slots=True)
class Deposited:
    """Somebody paid in for units."""

    FORM: ClassVar[EventForm] = EventForm(
        "Deposited",
        bytes.fromhex("98e823fa07a97dabf37ea9756c00ba673b7212fc0fcdd00fc09adae67744d6ec"),
        ("uint256", "address"),
        ("uint256[]", "uint256[]"),
    )

    purse: int
    payer: str
    indexes: tuple[int, ...]
    amounts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Credited:
    """Somebody paid in for all units of a purse, by area."""

    FORM: ClassVar[EventForm] = EventForm(
        "Credited",
        bytes.fromhex("0a2f430a5ded17363c816653f1d8e41c314559fd367b8cf22afdeba67ffe711e"),
        ("uint256",),
        ("uint256", "bytes32", "address"),
    )

    purse: int
    amount: int
    document: bytes
    payer: str


@dataclass(frozen=True, slots=True)
class IncomeRecorded:
    """Common parts earned; `to_fund` of the net went to the fund, the rest to the purse's income."""

    FORM: ClassVar[EventForm] = EventForm(
        "IncomeRecorded",
        bytes.fromhex("61fdf4efd5bcdf8b41af6766b009268013e4dcd566b4d546b24754a2c0cca0f9"),
        ("uint256", "bytes32"),
        ("uint256", "uint256", "uint256", "bytes32", "address"),
    )

    purse: int
    source: bytes
    gross: int
    cost: int
    to_fund: int
    document: bytes
    payer: str


@dataclass(frozen=True, slots=True)
class IncomeMoved:
    """A resolution moved income into the fund."""

    FORM: ClassVar[EventForm] = EventForm(
        "IncomeMoved",
        bytes.fromhex("daf6a9fbf9ce63f81ceeb8816baab81c160a408f1d7f1a8d006a3ca367fdcb74"),
        ("uint256", "uint256"),
        ("uint256", "bytes32"),
    )

    resolution: int
    purse: int
    amount: int
    document: bytes


@dataclass(frozen=True, slots=True)
class BudgetOpened:
    """A resolution opened a budget."""

    FORM: ClassVar[EventForm] = EventForm(
        "BudgetOpened",
        bytes.fromhex("a49590805aec92867d1be45abe313c23c773a0e2c307977990c847fec6d6b719"),
        ("uint256", "uint256"),
        ("uint256", "uint256", "address", "bool", "uint256", "bytes32"),
    )

    resolution: int
    purse: int
    pot: int
    amount: int
    payee: str
    is_drawn: bool
    until: int
    document: bytes


@dataclass(frozen=True, slots=True)
class BudgetStopped:
    """The committee ended a budget."""

    FORM: ClassVar[EventForm] = EventForm(
        "BudgetStopped",
        bytes.fromhex("7aff2fa9876f5cbbf7e3a7c975dbff34dbc1aeed3ff4c40cfc2d1b7485180bcd"),
        ("uint256",),
        (),
    )

    resolution: int


@dataclass(frozen=True, slots=True)
class OrderProposed:
    """One party asks for a payment."""

    FORM: ClassVar[EventForm] = EventForm(
        "OrderProposed",
        bytes.fromhex("cc55abc7f24c97ee3c4bd6a954c3fd180eae3257c52290739c2d5f109fa4000b"),
        ("uint256", "uint256"),
        ("uint256", "uint256", "address", "bytes32", "bytes32", "bytes32", "uint256", "address"),
    )

    number: int
    budget: int
    purse: int
    amount: int
    payee: str
    invoice: bytes
    evidence: bytes
    review: bytes
    until: int
    by: str


@dataclass(frozen=True, slots=True)
class Spent:
    """Both parties paid; budget 0 is emergency spending."""

    FORM: ClassVar[EventForm] = EventForm(
        "Spent",
        bytes.fromhex("ef7c6f467a8139dd318d2f843c4d6f4d372ff266d2460d6930323f61769d6f6e"),
        ("uint256", "uint256"),
        ("uint256", "uint256", "address", "bytes32", "bytes32", "bytes32"),
    )

    number: int
    budget: int
    purse: int
    amount: int
    payee: str
    invoice: bytes
    evidence: bytes
    review: bytes


@dataclass(frozen=True, slots=True)
class Drawn:
    """A contract drew from its budget."""

    FORM: ClassVar[EventForm] = EventForm(
        "Drawn",
        bytes.fromhex("f7736569faeed844709ca4a22ad56604f54d41203ae8181a6a4b71717b10153d"),
        ("uint256",),
        ("uint256",),
    )

    budget: int
    amount: int


@dataclass(frozen=True, slots=True)
class PutBack:
    """A payee returned a part."""

    FORM: ClassVar[EventForm] = EventForm(
        "PutBack",
        bytes.fromhex("1b62f52547506eb3c3643546f28f01f661544a67477d053153b6faeb17bea05d"),
        ("uint256",),
        ("uint256",),
    )

    budget: int
    amount: int


@dataclass(frozen=True, slots=True)
class EmergencyRatified:
    """Owners agreed with emergency spending."""

    FORM: ClassVar[EventForm] = EventForm(
        "EmergencyRatified",
        bytes.fromhex("e30e937a7541baa7adf418c8f233f1355d3e762d3d3df15be8aebadaf60ff062"),
        ("uint256", "uint256"),
        (),
    )

    number: int
    resolution: int


@dataclass(frozen=True, slots=True)
class EmergencyRepaid:
    """Emergency spending was paid back."""

    FORM: ClassVar[EventForm] = EventForm(
        "EmergencyRepaid",
        bytes.fromhex("4389c828eb4ac0483987decfe4aae8af4afd395394f088996aa2168c828ad20e"),
        ("uint256",),
        ("address",),
    )

    number: int
    payer: str


@dataclass(frozen=True, slots=True)
class Raised:
    """A resolution calls in `rate` fen per m2."""

    FORM: ClassVar[EventForm] = EventForm(
        "Raised",
        bytes.fromhex("83fcb4e2d02064a0ef79e882d25173c36ffacce25b4c8262a32d32ad3b6d399e"),
        ("uint256", "uint256"),
        ("uint256", "uint256", "bytes32"),
    )

    resolution: int
    purse: int
    rate: int
    due_at: int
    document: bytes


@dataclass(frozen=True, slots=True)
class TopUpDue:
    """A fund fell so low that owners must top up."""

    FORM: ClassVar[EventForm] = EventForm(
        "TopUpDue",
        bytes.fromhex("8061f32ca7bf0cc9f27066e51a6cc34f121cfd08b828a67cd38a6f7ad2c031aa"),
        ("uint256",),
        ("uint256", "uint256"),
    )

    purse: int
    fund: int
    first_amount: int


@dataclass(frozen=True, slots=True)
class Disclosed:
    """A report on a period was published, with what books and token said at that moment."""

    FORM: ClassVar[EventForm] = EventForm(
        "Disclosed",
        bytes.fromhex("b87d8e070b39236c6751acd9150193972768cfbb63aca66743d103ae440e1d7a"),
        ("uint256",),
        ("uint256", "uint256", "bytes32", "uint256", "uint256", "address"),
    )

    kind: int
    opening: int
    closing: int
    document: bytes
    accounted: int
    held: int
    by: str


@dataclass(frozen=True, slots=True)
class DisclosureOverdue:
    """A report is overdue."""

    FORM: ClassVar[EventForm] = EventForm(
        "DisclosureOverdue",
        bytes.fromhex("83cb6ebd3736a6ba4a4441d5320b07f954f965cbd66735463808724af4c87c0e"),
        ("uint256",),
        ("uint256", "uint256"),
    )

    kind: int
    opening: int
    closing: int


Event = (
    Entered
    | Deposited
    | Credited
    | IncomeRecorded
    | IncomeMoved
    | BudgetOpened
    | BudgetStopped
    | OrderProposed
    | Spent
    | Drawn
    | PutBack
    | EmergencyRatified
    | EmergencyRepaid
    | Raised
    | TopUpDue
    | Disclosed
    | DisclosureOverdue
)

_EVENTS = event_table(
    Entered,
    Deposited,
    Credited,
    IncomeRecorded,
    IncomeMoved,
    BudgetOpened,
    BudgetStopped,
    OrderProposed,
    Spent,
    Drawn,
    PutBack,
    EmergencyRatified,
    EmergencyRepaid,
    Raised,
    TopUpDue,
    Disclosed,
    DisclosureOverdue,
)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event
