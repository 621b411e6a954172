"""What Bindings says; the events alone rebuild its state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from contracts.abi import EventForm, event_table, parse_log
from contracts.calls.once_events import SignatureUsed


@dataclass(frozen=True, slots=True)
class DeviceBound:
    """A device counts for this unit or pool from this boundary date on."""

    FORM: ClassVar[EventForm] = EventForm(
        "DeviceBound",
        bytes.fromhex("4f0e1ae342b7f1c95a252438a5c80cbc8fa7755bb25f5c43a52c5e9ba047ba5c"),
        ("bytes32", "bytes32"),
        ("uint256", "uint256", "uint256", "bytes32"),
    )

    device: bytes
    subject: bytes
    number: int
    role: int
    from_date: int
    commitment: bytes


@dataclass(frozen=True, slots=True)
class BindingEnded:
    """A device counts no longer from this date on; the installer's signature falls with the commitment."""

    FORM: ClassVar[EventForm] = EventForm(
        "BindingEnded",
        bytes.fromhex("2a3cde4c73fa5fd5c6ea7b8cf40b5cbbb9f23ef734607a28e7f29dbc9bdc694e"),
        ("bytes32",),
        ("uint256", "uint256", "bytes32"),
    )

    device: bytes
    number: int
    to_date: int
    commitment: bytes


@dataclass(frozen=True, slots=True)
class BindingAttested:
    """An installer signed the binding's commitment."""

    FORM: ClassVar[EventForm] = EventForm(
        "BindingAttested",
        bytes.fromhex("b5aea11d9cf6577f1db48a6244250a679f38291cc412b5192d6fb428a296f66e"),
        ("bytes32",),
        ("uint256", "bytes32"),
    )

    device: bytes
    number: int
    installer: bytes


@dataclass(frozen=True, slots=True)
class BindingConfirmed:
    """Who confirmed a binding: 1 the owner, 2 the committee, 3 contested; `nonce` is that of the owner's last
    signature.
    """

    FORM: ClassVar[EventForm] = EventForm(
        "BindingConfirmed",
        bytes.fromhex("3d2cfd09c649781ba7a19c4a7b0b69d54531e5ed67822aa8ff6fb083a4b47938"),
        ("bytes32",),
        ("uint256", "uint256", "uint256"),
    )

    device: bytes
    number: int
    confirmed: int
    nonce: int


Event = DeviceBound | BindingEnded | BindingAttested | BindingConfirmed | SignatureUsed

_EVENTS = event_table(
    DeviceBound,
    BindingEnded,
    BindingAttested,
    BindingConfirmed,
    SignatureUsed,
)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event
