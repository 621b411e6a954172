"""What the Roll says; the events alone rebuild its state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from contracts.abi import EventForm, event_table, parse_log
from contracts.calls.once_events import SignatureUsed
from contracts.calls.relying_party_events import RelyingPartySet


@dataclass(frozen=True, slots=True)
class UnitAdded:
    """A unit joined the roll."""

    FORM: ClassVar[EventForm] = EventForm(
        "UnitAdded",
        bytes.fromhex("ce85ccfb2b47fb7d773576313a4426f29d31ac6a83fbce0839a2d90966633ede"),
        ("bytes32",),
        ("uint256", "uint256", "uint256", "uint256", "uint256", "int256"),
    )

    unit: bytes
    index: int
    area_centi_m2: int
    category: int
    head: int
    building: int
    floor: int


@dataclass(frozen=True, slots=True)
class HeadSet:
    """A unit has another buyer; its keys and its letter ended with the one before."""

    FORM: ClassVar[EventForm] = EventForm(
        "HeadSet",
        bytes.fromhex("e34368e3fa3e9eadf035ae8df00c608294e08906010824c95e874f6fa0924043"),
        ("bytes32",),
        ("uint256",),
    )

    unit: bytes
    head: int


@dataclass(frozen=True, slots=True)
class LetterPosted:
    """The hash of a unit's activation letter."""

    FORM: ClassVar[EventForm] = EventForm(
        "LetterPosted",
        bytes.fromhex("826b3cc69f9141277cccb22e27992e5278a8e22a824b5ce42246c107c198a148"),
        ("bytes32",),
        ("bytes32",),
    )

    unit: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class OwnerKeySet:
    """A unit has this owner key; `since` is when its holder joined the roll."""

    FORM: ClassVar[EventForm] = EventForm(
        "OwnerKeySet",
        bytes.fromhex("4028dafd9bdfbc9811551653d2b381c26bdc9855b6f0a46d20804a30786630f6"),
        ("bytes32", "bytes32"),
        ("uint256", "uint256", "uint256", "uint256", "uint256"),
    )

    unit: bytes
    key_id: bytes
    x: int
    y: int
    kind: int
    relying_party: int
    since: int


@dataclass(frozen=True, slots=True)
class OwnerKeyEnded:
    """An owner key ended."""

    FORM: ClassVar[EventForm] = EventForm(
        "OwnerKeyEnded",
        bytes.fromhex("ec6988539f440362790ac4e87109f944e9281c5a4fce5c3cb1c7236dec9ca5f5"),
        ("bytes32", "bytes32"),
        (),
    )

    unit: bytes
    key_id: bytes


@dataclass(frozen=True, slots=True)
class ResidentsSet:
    """So many people live in a unit from this boundary date on."""

    FORM: ClassVar[EventForm] = EventForm(
        "ResidentsSet",
        bytes.fromhex("74f2b3f8de8c448ff7e06803af79523febadc74f29239411c1e92ee332ab416c"),
        ("bytes32",),
        ("uint256", "uint256"),
    )

    unit: bytes
    from_date: int
    count: int


@dataclass(frozen=True, slots=True)
class PoolAdded:
    """Usage is shared under this name."""

    FORM: ClassVar[EventForm] = EventForm(
        "PoolAdded",
        bytes.fromhex("57655df89888a03999952d2aa23ec3d436fd7ab3d041a0714a94bb3bc7636fe2"),
        ("bytes32",),
        (),
    )

    pool: bytes


@dataclass(frozen=True, slots=True)
class PoolKeysSet:
    """A pool is shared by this table of keys from a boundary date on."""

    FORM: ClassVar[EventForm] = EventForm(
        "PoolKeysSet",
        bytes.fromhex("5e479161ad8c45b470b0aa8de41be404de49a7bcee97a036e11ec280d5ec673b"),
        ("bytes32",),
        ("uint256", "bytes32", "uint256", "uint256", "uint256", "uint256"),
    )

    pool: bytes
    number: int
    root: bytes
    total: int
    kind: int
    unit_count: int
    valid_from: int


@dataclass(frozen=True, slots=True)
class BuildingCounted:
    """How many units and keys ever joined the roll for a building."""

    FORM: ClassVar[EventForm] = EventForm(
        "BuildingCounted",
        bytes.fromhex("5152da6d777f8272896de9588b036582fa579b42e3288fcb14cfde26228e4364"),
        ("uint256",),
        ("uint256", "uint256"),
    )

    building: int
    units: int
    keys: int


Event = (
    UnitAdded
    | HeadSet
    | LetterPosted
    | OwnerKeySet
    | OwnerKeyEnded
    | ResidentsSet
    | PoolAdded
    | PoolKeysSet
    | BuildingCounted
    | RelyingPartySet
    | SignatureUsed
)

_EVENTS = event_table(
    UnitAdded,
    HeadSet,
    LetterPosted,
    OwnerKeySet,
    OwnerKeyEnded,
    ResidentsSet,
    PoolAdded,
    PoolKeysSet,
    BuildingCounted,
    RelyingPartySet,
    SignatureUsed,
)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event
