"""Tariffs: prices, and what a metered line should say by them (Tariffs.vy)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from contracts.abi import Call, EventForm, Function, encode_arguments, event_table, padded, parse_log, unpadded
from contracts.bill import LINE_TYPE, Line
from contracts.calls.anchor_log import HEAD_TYPE, Head
from contracts.entry import Entry
from contracts.tariff import Tariff, Tier

ENTRY_PROOF_TYPE = "((uint256,bytes32,uint256,bytes32,int256,bytes32,bytes32),uint256,bytes32[])"
SPANS_TYPE = f"(uint256,uint256,{ENTRY_PROOF_TYPE},{ENTRY_PROOF_TYPE})[]"
VETOED = 2**256 - 1  # `approved_at` of a tariff that the committee refused

_ANNOUNCE = Function(
    "announce",
    bytes.fromhex("42e8cab5"),
    ("bytes32", "uint256", "bool", "uint256", "uint256", "bytes32", "(uint256,uint256)[]"),
    ("uint256",),
)
_APPROVE = Function("approve", bytes.fromhex("b759f954"), ("uint256",), ())
_VETO = Function("veto", bytes.fromhex("1d28dec7"), ("uint256",), ())
_RIGHT_CHARGE = Function(
    "right_charge",
    bytes.fromhex("b4c622ba"),
    ("uint256", "uint256", LINE_TYPE, "bytes32", HEAD_TYPE, SPANS_TYPE, SPANS_TYPE),
    ("uint256",),
)
_TARIFF = Function(
    "tariff",
    bytes.fromhex("16b51928"),
    ("uint256",),
    ("(bytes32,uint256,bool,uint256,uint256,bytes32,uint256,(uint256,uint256)[])",),
)
_UTC_OFFSET_SECONDS = Function("utc_offset_seconds", bytes.fromhex("8502f0b9"), (), ("int256",))
_TARIFF_DELAY = Function("tariff_delay", bytes.fromhex("c8278e5f"), (), ("uint256",))
_TARIFF_COUNT = Function("tariff_count", bytes.fromhex("6b751791"), (), ("uint256",))


@dataclass(frozen=True, slots=True)
class EntryProof:
    """A log entry and its path to a head's root."""

    entry: Entry
    index: int
    path: tuple[bytes, ...]

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        entry = self.entry
        words = (
            int(entry.kind),
            entry.device,
            entry.observed_at_ms,
            padded(entry.quantity),
            entry.value,
            entry.detail_digest,
            entry.salt.ljust(32, b"\0"),
        )
        return (words, self.index, list(self.path))


@dataclass(frozen=True, slots=True)
class Span:
    """The boundary entries of one device over part of the time that a line counts."""

    from_date: int  # boundary date of the opening entry, YYYYMMDD
    to_date: int
    opening: EntryProof
    closing: EntryProof

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        return (self.from_date, self.to_date, self.opening.abi(), self.closing.abi())


@dataclass(frozen=True, slots=True)
class TariffRecord:
    """A tariff as the chain holds it."""

    tariff: Tariff
    approved_at: int  # Unix seconds; 0 until the committee agrees, VETOED after its veto


@dataclass(frozen=True, slots=True)
class TariffAnnounced:
    """A tariff was put before the public; tiers are (up to, price)."""

    FORM: ClassVar[EventForm] = EventForm(
        "TariffAnnounced",
        bytes.fromhex("aa4b7073cc75bc3551437445f68e3a48c59cc67fd2432561b97a3339f523c350"),
        ("uint256",),
        ("bytes32", "uint256", "bool", "uint256", "uint256", "bytes32", "(uint256,uint256)[]"),
    )

    version: int
    quantity: bytes
    category: int
    by_year: bool
    valid_from: int
    valid_to: int
    document: bytes
    tiers: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class TariffApproved:
    """The committee agreed to a tariff."""

    FORM: ClassVar[EventForm] = EventForm(
        "TariffApproved",
        bytes.fromhex("ead5a056f0d2dc5dde7fef8df022165221fe10bc19ca2360671cf5bd66817a68"),
        ("uint256",),
        (),
    )

    version: int


@dataclass(frozen=True, slots=True)
class TariffVetoed:
    """The committee refused a tariff or took its agreement back."""

    FORM: ClassVar[EventForm] = EventForm(
        "TariffVetoed",
        bytes.fromhex("a0d690c48bef581cea657be22fb78480790bb45e6f03f5220f21b5eff2da65f1"),
        ("uint256",),
        (),
    )

    version: int


Event = TariffAnnounced | TariffApproved | TariffVetoed

_EVENTS = event_table(TariffAnnounced, TariffApproved, TariffVetoed)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event


def deploy(bytecode: bytes, *, registry: str, anchor_log: str, utc_offset_seconds: int, tariff_delay: int) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    arguments = encode_arguments(
        "Tariffs",
        ("address", "address", "int256", "uint256"),
        (
            registry,
            anchor_log,
            utc_offset_seconds,
            tariff_delay,
        ),
    )
    return bytecode + arguments


def announce(to: str, *, tariff: Tariff) -> Call:
    """Put a tariff before the public. Manager or the tariffs office; the committee approves."""
    return _ANNOUNCE.call(to, *tariff.abi())


def parse_announce(result: bytes) -> int:
    """The version that a simulated `announce` would give."""
    value: int = _ANNOUNCE.decode(result)[0]
    return value


def approve(to: str, *, version: int) -> Call:
    """The committee agrees; the tariff's first day must still be the whole delay away."""
    return _APPROVE.call(to, version)


def veto(to: str, *, version: int) -> Call:
    """The committee takes its agreement back, or refuses it for ever, before the tariff begins."""
    return _VETO.call(to, version)


def right_charge(
    to: str,
    *,
    period: int,
    unit_index: int,
    line: Line,
    origin_id: bytes,
    head: Head,
    before: Sequence[Span],
    during: Sequence[Span],
) -> Call:
    """What a metered bill line should say, recomputed from boundary entries under one accepted head.

    Args:
        before: From the line's `since` to the opening, for tariffs by year; two spans where a meter was
            swapped.
        during: From the opening to the closing; two spans where a meter was swapped.
    """
    return _RIGHT_CHARGE.call(
        to,
        period,
        unit_index,
        line.abi(),
        origin_id,
        head.abi(),
        [item.abi() for item in before],
        [item.abi() for item in during],
    )


def parse_right_charge(result: bytes) -> int:
    """The result of `right_charge`."""
    value: int = _RIGHT_CHARGE.decode(result)[0]
    return value


def tariff(to: str, *, version: int) -> Call:
    """A tariff; `approved_at` is zero until the committee agrees and the largest number after its veto."""
    return _TARIFF.call(to, version)


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
    """Tariff count."""
    return _TARIFF_COUNT.call(to)


def parse_tariff_count(result: bytes) -> int:
    """The result of `tariff_count`."""
    value: int = _TARIFF_COUNT.decode(result)[0]
    return value


def parse_tariff(result: bytes) -> TariffRecord:
    """The result of `tariff`. Raises TariffError if there is no such version."""
    quantity, category, by_year, valid_from, valid_to, document, approved_at, tiers = _TARIFF.decode(result)[0]
    return TariffRecord(
        Tariff(
            quantity=unpadded(quantity),
            category=category,
            by_year=by_year,
            valid_from=valid_from,
            valid_to=valid_to,
            document=document,
            tiers=tuple(Tier(up_to=up_to, price=price) for up_to, price in tiers),
        ),
        approved_at,
    )
