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
        bytes.fromhex("d5f0935fcf1f2f70fa1d0b43461ccf8e28fa57c3bc76e26480eba06341aaba56"),
        ("uint256",),
        ("uint256", "uint256", "(address,bytes)[]"),
    )

    number: int
    parties: int
    effective_at: int
    calls: tuple[tuple[str, bytes], ...]


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
class GatewayKeySet:
    """A gateway has this key from this block on; `added` counts the keys of the building's gateways."""

    FORM: ClassVar[EventForm] = EventForm(
        "GatewayKeySet",
        bytes.fromhex("2ea5146e467e00e36dceb409ca731579ec062b7719f9466cc12a45986343b8f6"),
        ("bytes32",),
        ("string", "uint256", "uint256", "uint256", "uint256", "uint256", "uint256"),
    )

    origin_id: bytes
    origin: str
    x: int
    y: int
    key_class: int
    from_block: int
    building: int
    added: int


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
class ContractNamed:
    """The site's contract of this name."""

    FORM: ClassVar[EventForm] = EventForm(
        "ContractNamed",
        bytes.fromhex("033efa5ad9a967de1928a39fc350ba6c6d6a0c9367302689ea2ba4332026fc41"),
        ("bytes32",),
        ("address",),
    )

    name: bytes
    at: str


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
    | GatewayKeySet
    | GatewayKeyEnded
    | DeviceAssigned
    | AssignmentEnded
    | ContractNamed
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
    GatewayKeySet,
    GatewayKeyEnded,
    DeviceAssigned,
    AssignmentEnded,
    ContractNamed,
    SuccessorNamed,
)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event
