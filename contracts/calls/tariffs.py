"""Tariffs: which prices are in force (Tariffs.vy)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from contracts.abi import Call, EventForm, Function, encode_arguments, event_table, parse_log
from contracts.key_table import KeyTable
from contracts.tariff import Tariff

VETOED = 2**64 - 1  # `approved_at` of a version that the committee refused

_ANNOUNCE = Function("announce", bytes.fromhex("7c1b3cc8"), ("bytes", "uint256", "uint256", "uint256"), ("uint256",))
_APPROVE = Function("approve", bytes.fromhex("5d35a3d9"), ("uint256", "uint256"), ())
_VETO = Function("veto", bytes.fromhex("1d28dec7"), ("uint256",), ())
_POST_VOLUMES = Function("post_volumes", bytes.fromhex("9d9603df"), ("uint256", "bytes"), ())
_TARIFF = Function("tariff", bytes.fromhex("16b51928"), ("uint256",), ("(bytes32,uint256,uint256,uint256,bool)",))
_UTC_OFFSET_SECONDS = Function("utc_offset_seconds", bytes.fromhex("8502f0b9"), (), ("int256",))
_TARIFF_DELAY = Function("tariff_delay", bytes.fromhex("c8278e5f"), (), ("uint256",))
_TARIFF_COUNT = Function("tariff_count", bytes.fromhex("6b751791"), (), ("uint256",))
_VOLUMES = Function("volumes", bytes.fromhex("3c235312"), ("bytes32", "uint256"), ("bytes32",))


@dataclass(frozen=True, slots=True)
class Version:
    """A version as the chain holds it; the terms stand in its announcement."""

    digest: bytes  # zeros: no such version
    valid_from: int
    valid_to: int  # the first day of the version that replaces it, if that is earlier
    approved_at: int  # Unix seconds; 0 until the committee agrees, VETOED after its veto
    needs_resolution: bool


@dataclass(frozen=True, slots=True)
class TariffAnnounced:
    """Prices were put before the public; their bytes stand here alone."""

    FORM: ClassVar[EventForm] = EventForm(
        "TariffAnnounced",
        bytes.fromhex("300cdf37f6766eabd17804faed77694c50cb9fa68f30a4043bbe0d28ba4b04ac"),
        ("uint256",),
        ("uint256", "uint256", "bool", "bytes"),
    )

    version: int
    valid_from: int
    valid_to: int
    needs_resolution: bool
    terms: bytes


@dataclass(frozen=True, slots=True)
class TariffApproved:
    """The committee agreed to a version."""

    FORM: ClassVar[EventForm] = EventForm(
        "TariffApproved",
        bytes.fromhex("ba6c38b559ff02c8e1a81e2cc0be3138e5c3a6938d6d7567f679b337c44f2633"),
        ("uint256",),
        ("uint256",),
    )

    version: int
    resolution: int


@dataclass(frozen=True, slots=True)
class TariffReplaces:
    """The announced version ends another one on its first day, once the committee agrees."""

    FORM: ClassVar[EventForm] = EventForm(
        "TariffReplaces",
        bytes.fromhex("0335f5454c3f8e5f5ed3c2866fe70db35e33cb9577c328e9dcd1f9d722ee5319"),
        ("uint256", "uint256"),
        (),
    )

    version: int
    replaced: int


@dataclass(frozen=True, slots=True)
class TariffVetoed:
    """The committee refused a version or took its agreement back."""

    FORM: ClassVar[EventForm] = EventForm(
        "TariffVetoed",
        bytes.fromhex("a0d690c48bef581cea657be22fb78480790bb45e6f03f5220f21b5eff2da65f1"),
        ("uint256",),
        (),
    )

    version: int


@dataclass(frozen=True, slots=True)
class VolumesPosted:
    """The operator posted the volumes that share a pool in one period."""

    FORM: ClassVar[EventForm] = EventForm(
        "VolumesPosted",
        bytes.fromhex("d55a23ff056da5694f79aae42ab165b4730f9bdc88ff52eaf5689bb5a18aecab"),
        ("bytes32", "uint256"),
        ("bytes",),
    )

    pool: bytes
    period: int
    table: bytes


Event = TariffAnnounced | TariffReplaces | TariffApproved | TariffVetoed | VolumesPosted

_EVENTS = event_table(TariffAnnounced, TariffReplaces, TariffApproved, TariffVetoed, VolumesPosted)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event


def deploy(bytecode: bytes, *, registry: str, utc_offset_seconds: int, tariff_delay: int) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    values = (registry, utc_offset_seconds, tariff_delay)
    return bytecode + encode_arguments("Tariffs", ("address", "int256", "uint256"), values)


def announce(to: str, *, tariff: Tariff, replaces: int = 0) -> Call:
    """Put prices before the public. Manager or the tariffs office; the committee approves.

    Args:
        replaces: the version that ends on this one's first day, 0 for none.
    """
    return _ANNOUNCE.call(to, tariff.terms.encode(), tariff.valid_from, tariff.valid_to, replaces)


def parse_announce(result: bytes) -> int:
    """The version that a simulated `announce` would give."""
    value: int = _ANNOUNCE.decode(result)[0]
    return value


def approve(to: str, *, version: int, resolution: int = 0) -> Call:
    """The committee agrees; the version's first day must still be the whole delay away.

    Args:
        resolution: number of the owners' resolution, for a fee by floor area.
    """
    return _APPROVE.call(to, version, resolution)


def resolution_payload(tariff: Tariff) -> bytes:
    """What the owners' resolution for a fee by floor area must carry: terms' digest and days, as ABI words."""
    return encode_arguments(
        "resolution",
        ("bytes32", "uint256", "uint256"),
        (tariff.terms.digest, tariff.valid_from, tariff.valid_to),
    )


def veto(to: str, *, version: int) -> Call:
    """The committee takes its agreement back, or refuses it for ever, before the tariff begins."""
    return _VETO.call(to, version)


def post_volumes(to: str, *, period: int, table: KeyTable) -> Call:
    """The operator posts, once, the units' volumes that share a pool in a period that is over."""
    return _POST_VOLUMES.call(to, period, table.encode())


def tariff(to: str, *, version: int) -> Call:
    """A version; zeros where there is none."""
    return _TARIFF.call(to, version)


def parse_tariff(result: bytes) -> Version:
    """The result of `tariff`."""
    return Version(*_TARIFF.decode(result)[0])


def volumes(to: str, *, pool: bytes, period: int) -> Call:
    """SHA-256 of the volumes' table that was posted for a pool and period; zeros before."""
    return _VOLUMES.call(to, pool, period)


def parse_volumes(result: bytes) -> bytes:
    """The result of `volumes`."""
    value: bytes = _VOLUMES.decode(result)[0]
    return value


def utc_offset_seconds(to: str) -> Call:
    """Local time minus UTC."""
    return _UTC_OFFSET_SECONDS.call(to)


def parse_utc_offset_seconds(result: bytes) -> int:
    """The result of `utc_offset_seconds`."""
    value: int = _UTC_OFFSET_SECONDS.decode(result)[0]
    return value


def tariff_delay(to: str) -> Call:
    """Seconds between a tariff's second signature and its first day."""
    return _TARIFF_DELAY.call(to)


def parse_tariff_delay(result: bytes) -> int:
    """The result of `tariff_delay`."""
    value: int = _TARIFF_DELAY.decode(result)[0]
    return value


def tariff_count(to: str) -> Call:
    """How many versions were announced."""
    return _TARIFF_COUNT.call(to)


def parse_tariff_count(result: bytes) -> int:
    """The result of `tariff_count`."""
    value: int = _TARIFF_COUNT.decode(result)[0]
    return value
