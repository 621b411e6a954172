"""What WorkOrders says; the events alone rebuild its state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from contracts.abi import EventForm, event_table, parse_log


@dataclass(frozen=True, slots=True)
class FaultKnown:
    """Values of a quantity that are a machine's report, and its confirmation: bits."""

    FORM: ClassVar[EventForm] = EventForm(
        "FaultKnown",
        bytes.fromhex("035d343df83551c4ea3ac2ed9eb37e271df69639e17bdde1be2d5ae6c4d19b50"),
        ("bytes32",),
        ("uint256", "uint256"),
    )

    quantity: bytes
    faulty: int
    sound: int


@dataclass(frozen=True, slots=True)
class ReportedByOwner:
    """An owner reports what is broken."""

    FORM: ClassVar[EventForm] = EventForm(
        "ReportedByOwner",
        bytes.fromhex("b8ac04afc25d2bce77318d625366161000060954125b415a09ce34cb688f66bf"),
        ("bytes32", "bytes32", "bytes32"),
        ("bytes32", "bytes32"),
    )

    order: bytes
    unit: bytes
    device: bytes
    report: bytes
    key_id: bytes


@dataclass(frozen=True, slots=True)
class ReportedByMachine:
    """A gateway's entry reports a fault."""

    FORM: ClassVar[EventForm] = EventForm(
        "ReportedByMachine",
        bytes.fromhex("6477cbb04e2ac97af9e1aa3f52dcca5a836ee4e8b8568f03aab50bc01d98aaf5"),
        ("bytes32", "bytes32"),
        ("bytes32", "int256", "uint256", "bytes32"),
    )

    order: bytes
    device: bytes
    quantity: bytes
    value: int
    seen_at: int
    detail: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """A firm will come; `crew` signed where it accepted by itself."""

    FORM: ClassVar[EventForm] = EventForm(
        "Accepted",
        bytes.fromhex("1e747a06b479cf5426c73940c48028fe8b5e940c28993dd5b28d6e2c18c885ce"),
        ("bytes32", "uint256"),
        ("uint256", "uint256", "address", "uint256", "address", "bytes32"),
    )

    order: bytes
    firm: int
    promise_at: int
    price: int
    payee: str
    budget: int
    payer: str
    crew: bytes


@dataclass(frozen=True, slots=True)
class Arrived:
    """Somebody says that they have come; `arrival` is the digest of where and how."""

    FORM: ClassVar[EventForm] = EventForm(
        "Arrived",
        bytes.fromhex("3c23ef6552710d37b00b80915a106792f05cf33a3f4e255185de4ee3effa87a8"),
        ("bytes32", "bytes32"),
        ("uint256", "uint256", "bytes32"),
    )

    order: bytes
    crew: bytes
    firm: int
    arrived_at: int
    arrival: bytes


@dataclass(frozen=True, slots=True)
class WorkDone:
    """Somebody of the firm says that it is done."""

    FORM: ClassVar[EventForm] = EventForm(
        "WorkDone",
        bytes.fromhex("5a9a763db5e619942371526a9951580ecbe8c0666241684f7cfe60b67c9c9184"),
        ("bytes32", "bytes32"),
        ("bytes32",),
    )

    order: bytes
    crew: bytes
    evidence: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The order's last state; `by` is a key, a machine's leaf or zero."""

    FORM: ClassVar[EventForm] = EventForm(
        "Closed",
        bytes.fromhex("3810855121a551724c39ffbde8a9f85956822c99c651f7f452c72d170896bd26"),
        ("bytes32",),
        ("uint256", "uint256", "bytes32"),
    )

    order: bytes
    state: int
    done_at: int
    by: bytes


@dataclass(frozen=True, slots=True)
class Reopened:
    """It is not done."""

    FORM: ClassVar[EventForm] = EventForm(
        "Reopened",
        bytes.fromhex("ebfaaabb046896fb42ac4f7f1ca132071a6f8484f935730c85e91c1905d2b013"),
        ("bytes32",),
        ("bytes32", "uint256", "bytes32"),
    )

    order: bytes
    reason: bytes
    promise_at: int
    by: bytes


@dataclass(frozen=True, slots=True)
class Escalated:
    """Not accepted in time (1), or promise missed (2)."""

    FORM: ClassVar[EventForm] = EventForm(
        "Escalated",
        bytes.fromhex("fb071f0c93661a7e229ac75b944115b44b2ee5e49feba3d160a4c8b035c41023"),
        ("bytes32",),
        ("uint256",),
    )

    order: bytes
    cause: int


@dataclass(frozen=True, slots=True)
class Released:
    """Back to the start."""

    FORM: ClassVar[EventForm] = EventForm(
        "Released",
        bytes.fromhex("34b273afe3a59624f54ddb6221093941dad73846d3b274ffef15cf43ec03e605"),
        ("bytes32",),
        ("bytes32",),
    )

    order: bytes
    document: bytes


@dataclass(frozen=True, slots=True)
class PaidOut:
    """Escrow went to the payee."""

    FORM: ClassVar[EventForm] = EventForm(
        "PaidOut",
        bytes.fromhex("f4292e0ae547c949263a88899ebcdac1a5493bef4f206b7592b5a7de68f4c0de"),
        ("bytes32", "address"),
        ("uint256",),
    )

    order: bytes
    payee: str
    amount: int


@dataclass(frozen=True, slots=True)
class Refunded:
    """Escrow went back to the budget, or (0) to who had paid it."""

    FORM: ClassVar[EventForm] = EventForm(
        "Refunded",
        bytes.fromhex("0609e749042bf714da0cf43eb5f443edb12a62618a6ea1f00df08b56943b8276"),
        ("bytes32", "uint256"),
        ("uint256",),
    )

    order: bytes
    budget: int
    amount: int


Event = (
    FaultKnown
    | ReportedByOwner
    | ReportedByMachine
    | Accepted
    | Arrived
    | WorkDone
    | Closed
    | Reopened
    | Escalated
    | Released
    | PaidOut
    | Refunded
)

_EVENTS = event_table(
    FaultKnown,
    ReportedByOwner,
    ReportedByMachine,
    Accepted,
    Arrived,
    WorkDone,
    Closed,
    Reopened,
    Escalated,
    Released,
    PaidOut,
    Refunded,
)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event
