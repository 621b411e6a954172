"""What Crews says; the events alone rebuild its state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from contracts.abi import EventForm, event_table, parse_log
from contracts.calls.once_events import SignatureUsed
from contracts.calls.relying_party_events import RelyingPartySet


@dataclass(frozen=True, slots=True)
class FirmSet:
    """A firm serves the site under this licence, or its licence was ended."""

    FORM: ClassVar[EventForm] = EventForm(
        "FirmSet",
        bytes.fromhex("37743ee764808d837742db4befb0d52e0c8b128a5aa12e8a11ac0979eead6250"),
        ("uint256",),
        ("bytes32", "uint256"),
    )

    firm: int
    name_digest: bytes
    licence_until: int


@dataclass(frozen=True, slots=True)
class MemberSet:
    """A person has these duties under this licence; none when they were ended."""

    FORM: ClassVar[EventForm] = EventForm(
        "MemberSet",
        bytes.fromhex("f486f1e38eb4ba66c895805ad92e999abd2a09cfb0e4685700dbd9f9648851dd"),
        ("bytes32", "uint256"),
        ("uint256", "uint256"),
    )

    alias: bytes
    firm: int
    duties: int
    licence_until: int


@dataclass(frozen=True, slots=True)
class CrewKeySet:
    """A person serves with this key."""

    FORM: ClassVar[EventForm] = EventForm(
        "CrewKeySet",
        bytes.fromhex("cec1c5b5d4de3cbf09cf0ac28e71cbced3db62d7e743c41b7659ee6e5205fcd9"),
        ("bytes32", "bytes32"),
        ("uint256", "uint256", "uint256", "uint256"),
    )

    alias: bytes
    key_id: bytes
    x: int
    y: int
    kind: int
    relying_party: int


@dataclass(frozen=True, slots=True)
class CrewKeyEnded:
    """A person's key ended."""

    FORM: ClassVar[EventForm] = EventForm(
        "CrewKeyEnded",
        bytes.fromhex("0a35f067bfb6a5fc693972ee5ed24220292c0cc7645e0c9154c2a87964d75bab"),
        ("bytes32", "bytes32"),
        (),
    )

    alias: bytes
    key_id: bytes


@dataclass(frozen=True, slots=True)
class CrewCounted:
    """How many firms, people and keys ever joined."""

    FORM: ClassVar[EventForm] = EventForm(
        "CrewCounted",
        bytes.fromhex("63b624013cf0275caa5312eddfabb75b946fe5790ed57804ca2315c50548c3e0"),
        (),
        ("uint256", "uint256", "uint256"),
    )

    firms: int
    members: int
    keys: int


Event = FirmSet | MemberSet | CrewKeySet | CrewKeyEnded | CrewCounted | RelyingPartySet | SignatureUsed

_EVENTS = event_table(
    FirmSet,
    MemberSet,
    CrewKeySet,
    CrewKeyEnded,
    CrewCounted,
    RelyingPartySet,
    SignatureUsed,
)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event
