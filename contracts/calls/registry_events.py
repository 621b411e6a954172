"""What the Registry says; the events alone rebuild its state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from contracts.abi import EventForm, event_table, parse_log


@dataclass(frozen=True, slots=True)
class Announced:
    """A batch of inner calls was put before the public; `effective_at` is 0 until the second party signs."""

    FORM: ClassVar[EventForm] = EventForm(
        "Announced",
        bytes.fromhex("756c7a87673221b3f726e833746f051bd32d009990d7e251e7d664245f918c47"),
        ("uint256",),
        ("uint256", "uint256", "bytes[]"),
    )

    number: int
    parties: int
    effective_at: int
    calls: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Approved:
    """The second party signed a batch; it may be enacted from `effective_at` on."""

    FORM: ClassVar[EventForm] = EventForm(
        "Approved",
        bytes.fromhex("1527ad5e6cfbfe249bfd6f9571cbfee0ce4a12335089fa9c6efeab04fec1f7a3"),
        ("uint256",),
        ("uint256",),
    )

    number: int
    effective_at: int


@dataclass(frozen=True, slots=True)
class Vetoed:
    """Calls of a batch were stopped: bit i of the mask is call i."""

    FORM: ClassVar[EventForm] = EventForm(
        "Vetoed",
        bytes.fromhex("2e05f9432e9563cf5cf2ba69bd0baa2a2a21e566be675059ee34035cf25a7fd7"),
        ("uint256",),
        ("uint256",),
    )

    number: int
    mask: int


@dataclass(frozen=True, slots=True)
class Enacted:
    """A batch was carried out."""

    FORM: ClassVar[EventForm] = EventForm(
        "Enacted",
        bytes.fromhex("440b4df27ef0cbe1e8236588eee6d56dba92201e0ce4128f872e74dc253a74ee"),
        ("uint256",),
        (),
    )

    number: int


@dataclass(frozen=True, slots=True)
class ManagerSet:
    """The site has this manager."""

    FORM: ClassVar[EventForm] = EventForm(
        "ManagerSet",
        bytes.fromhex("60a0f5b9f9e81e98216071b85826681c796256fe3d1354ecb675580fba64fa69"),
        ("address",),
        (),
    )

    manager: str


@dataclass(frozen=True, slots=True)
class CommitteeSet:
    """The site has this committee."""

    FORM: ClassVar[EventForm] = EventForm(
        "CommitteeSet",
        bytes.fromhex("66fc13429d88ce88ca5934124e753e47ea4b02d41cc1d9d2010eb5504d1ec327"),
        ("address",),
        (),
    )

    committee: str


@dataclass(frozen=True, slots=True)
class RoleSet:
    """An account was given or lost an office."""

    FORM: ClassVar[EventForm] = EventForm(
        "RoleSet",
        bytes.fromhex("4de723edd2f6a791f2bd19eb7176f9f88e2ea289ae63cd2637f9e28a8f94f645"),
        ("bytes32", "address"),
        ("bool",),
    )

    role: bytes
    account: str
    held: bool


@dataclass(frozen=True, slots=True)
class RelyingPartySet:
    """Passkeys of this web origin count."""

    FORM: ClassVar[EventForm] = EventForm(
        "RelyingPartySet",
        bytes.fromhex("ff8c4cde61c7f22252a811256ea63de4e98c5abf154e2d89b6497010188032d4"),
        ("uint256",),
        ("bytes32", "string"),
    )

    number: int
    rp_id_hash: bytes
    origin: str


@dataclass(frozen=True, slots=True)
class GatewayKeySet:
    """A gateway has this key from this block on."""

    FORM: ClassVar[EventForm] = EventForm(
        "GatewayKeySet",
        bytes.fromhex("f05289e064a3dfe6b453a9dfbb9509715c9d50bea5478e9e1d8809570cda371b"),
        ("bytes32",),
        ("string", "uint256", "uint256", "uint256", "uint256"),
    )

    origin_id: bytes
    origin: str
    x: int
    y: int
    key_class: int
    from_block: int


@dataclass(frozen=True, slots=True)
class GatewayKeyEnded:
    """A gateway's key ended; `to_block` is the last block of its validity."""

    FORM: ClassVar[EventForm] = EventForm(
        "GatewayKeyEnded",
        bytes.fromhex("d055570687588a2af5da5c61136d387163ff3c80ba095cf8e6bb3af175f3b300"),
        ("bytes32",),
        ("bytes32", "uint256"),
    )

    origin_id: bytes
    key_id: bytes
    to_block: int


@dataclass(frozen=True, slots=True)
class UnitAdded:
    """A unit joined the roll."""

    FORM: ClassVar[EventForm] = EventForm(
        "UnitAdded",
        bytes.fromhex("07b0d6e87bb8b7dce42df50ba70f9224f6514cb77a044af1ae539e19977a95ca"),
        ("bytes32",),
        ("uint256", "uint256", "uint256"),
    )

    unit: bytes
    index: int
    area_centi_m2: int
    category: int


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
    """A unit has this owner key."""

    FORM: ClassVar[EventForm] = EventForm(
        "OwnerKeySet",
        bytes.fromhex("737de5fa0cf4c508c1c4c3943644b5aa4e445d807206e2b1fba6906de7a43e83"),
        ("bytes32", "bytes32"),
        ("uint256", "uint256", "uint256", "uint256"),
    )

    unit: bytes
    key_id: bytes
    x: int
    y: int
    kind: int
    relying_party: int


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
class DeviceAssigned:
    """A device writes to this log from this index on."""

    FORM: ClassVar[EventForm] = EventForm(
        "DeviceAssigned",
        bytes.fromhex("759e4b02cf34343cf1ba2db42c6c91883b41595a6243436f5189a2e768c041e5"),
        ("bytes32", "bytes32"),
        ("uint256", "uint256"),
    )

    device: bytes
    origin_id: bytes
    number: int
    first_index: int


@dataclass(frozen=True, slots=True)
class AssignmentEnded:
    """A device's last index in its log."""

    FORM: ClassVar[EventForm] = EventForm(
        "AssignmentEnded",
        bytes.fromhex("1675e54189d0b75237adef97a002766726252883b0346b126d1eb679b0905e6e"),
        ("bytes32",),
        ("uint256", "uint256"),
    )

    device: bytes
    number: int
    last_index: int


@dataclass(frozen=True, slots=True)
class DeviceBound:
    """A device counts for a unit or pool from this date on."""

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
    """A device counts no longer from this date on."""

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
class BindingConfirmed:
    """The owner confirmed a meter's binding."""

    FORM: ClassVar[EventForm] = EventForm(
        "BindingConfirmed",
        bytes.fromhex("305318e6be1404274ce19d005f10c5f711c8c081cfd904c72f10cf2f673bf041"),
        ("bytes32",),
        ("uint256", "bytes32"),
    )

    device: bytes
    number: int
    key_id: bytes


@dataclass(frozen=True, slots=True)
class SuccessorNamed:
    """A contract has this successor."""

    FORM: ClassVar[EventForm] = EventForm(
        "SuccessorNamed",
        bytes.fromhex("8b2dd8d29de3ade1de74555e853c8de92afb03e1c2f7d4ff0d92af31b1b46a28"),
        ("address",),
        ("address",),
    )

    old: str
    successor: str


Event = (
    Announced
    | Approved
    | Vetoed
    | Enacted
    | ManagerSet
    | CommitteeSet
    | RoleSet
    | RelyingPartySet
    | GatewayKeySet
    | GatewayKeyEnded
    | UnitAdded
    | PoolAdded
    | LetterPosted
    | OwnerKeySet
    | OwnerKeyEnded
    | DeviceAssigned
    | AssignmentEnded
    | DeviceBound
    | BindingEnded
    | BindingConfirmed
    | SuccessorNamed
)

_EVENTS = event_table(
    Announced,
    Approved,
    Vetoed,
    Enacted,
    ManagerSet,
    CommitteeSet,
    RoleSet,
    RelyingPartySet,
    GatewayKeySet,
    GatewayKeyEnded,
    UnitAdded,
    PoolAdded,
    LetterPosted,
    OwnerKeySet,
    OwnerKeyEnded,
    DeviceAssigned,
    AssignmentEnded,
    DeviceBound,
    BindingEnded,
    BindingConfirmed,
    SuccessorNamed,
)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event
