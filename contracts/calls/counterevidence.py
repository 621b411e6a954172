"""Counterevidence: days on which a gateway was silent, and visits that contradict each other (Counterevidence.vy)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from contracts.abi import Call, EventForm, Function, encode_arguments, event_table, parse_log
from contracts.calls.anchor_log import HEAD_TYPE, Head
from contracts.calls.charges import ENTRY_PROOF_TYPE, EntryProof
from contracts.person import PERSON_SIGNATURE_TYPE, PersonSignature
from contracts.visit import RECORD_TYPE, Visit

LOGGED_TYPE = f"(uint256,{HEAD_TYPE},{ENTRY_PROOF_TYPE})"
SIGNED_VISIT_TYPE = f"({RECORD_TYPE},address,{PERSON_SIGNATURE_TYPE},{LOGGED_TYPE})"

_REPORT_SILENCE = Function("report_silence", bytes.fromhex("b6ad1f98"), ("bytes32", LOGGED_TYPE, LOGGED_TYPE), ())
_REPORT_LIFE = Function("report_life", bytes.fromhex("c0e220db"), ("bytes32", LOGGED_TYPE), ())
_REPORT_OVERLAP = Function(
    "report_overlap", bytes.fromhex("d119a323"), ("bytes32", SIGNED_VISIT_TYPE, SIGNED_VISIT_TYPE), ()
)
_IS_SILENT = Function("is_silent", bytes.fromhex("62e0c469"), ("bytes32", "uint256"), ("bool",))
_LIVED = Function("lived", bytes.fromhex("765e7848"), ("bytes32", "uint256", "uint256"), ("bool",))
_IS_VOID = Function("is_void", bytes.fromhex("73f0c385"), ("bytes32", "uint256"), ("bool",))


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """A gateway's entry under the head that was accepted last for its log."""

    assignment: int  # which of the device's assignments in the Registry holds the index
    head: Head
    proof: EntryProof

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        return (self.assignment, self.head.abi(), self.proof.abi())


@dataclass(frozen=True, slots=True)
class SignedVisit:
    """A record that a mechanic signed and a gateway logged."""

    visit: Visit
    contract: str  # for which it was signed, ServiceAgreements
    signature: PersonSignature  # the mechanic's
    logged: LoggedEntry

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        return (self.visit.abi(), self.contract, self.signature.abi(), self.logged.abi())


def deploy(bytecode: bytes, *, registry: str, utc_offset_seconds: int, verifier: str) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    arguments = (registry, utc_offset_seconds, verifier)
    return bytecode + encode_arguments("Counterevidence", ("address", "int256", "address"), arguments)


def report_silence(to: str, *, device: bytes, before: LoggedEntry, after: LoggedEntry) -> Call:
    """Two neighbouring entries with whole days between them: on these the gateway logged nothing. Anyone may."""
    return _REPORT_SILENCE.call(to, device, before.abi(), after.abi())


def report_life(to: str, *, device: bytes, logged: LoggedEntry) -> Call:
    """An entry: on its day the gateway was not silent. Anyone may."""
    return _REPORT_LIFE.call(to, device, logged.abi())


def report_overlap(to: str, *, mechanic: bytes, a: SignedVisit, b: SignedVisit) -> Call:
    """Two visits that one mechanic signed and cannot both have made. Anyone may."""
    return _REPORT_OVERLAP.call(to, mechanic, a.abi(), b.abi())


def is_silent(to: str, *, device: bytes, day: int) -> Call:
    """Whether the device's gateway was shown to have logged nothing on a day."""
    return _IS_SILENT.call(to, device, day)


def lived(to: str, *, device: bytes, first_day: int, last_day: int) -> Call:
    """Whether an entry of one of these days was shown."""
    return _LIVED.call(to, device, first_day, last_day)


def is_void(to: str, *, line: bytes, day: int) -> Call:
    """Whether a visit of this day is contradicted by another one of its mechanic.

    Args:
        line: Keccak-256 of device, plan and firm.
    """
    return _IS_VOID.call(to, line, day)


def parse_answer(result: bytes) -> bool:
    """The result of `is_silent`, `lived` or `is_void`."""
    value: bool = _IS_SILENT.decode(result)[0]
    return value


@dataclass(frozen=True, slots=True)
class SilenceShown:
    """The device's gateway logged nothing on these days."""

    FORM: ClassVar[EventForm] = EventForm(
        "SilenceShown",
        bytes.fromhex("63a1c6e606bb2b6f2612671052010a2cd9036cffff2dac4ba64d89b4ea3b38c6"),
        ("bytes32",),
        ("uint256", "uint256"),
    )

    device: bytes
    first_day: int
    last_day: int


@dataclass(frozen=True, slots=True)
class LifeShown:
    """The device's gateway logged something on this day, so that it was not silent."""

    FORM: ClassVar[EventForm] = EventForm(
        "LifeShown",
        bytes.fromhex("ed17719687523279c9aa42b5f55348a05cbfc3be854830bbebecfba274b0ddb3"),
        ("bytes32",),
        ("uint256",),
    )

    device: bytes
    day: int


@dataclass(frozen=True, slots=True)
class OverlapShown:
    """Two visits of one mechanic contradict each other; neither day counts."""

    FORM: ClassVar[EventForm] = EventForm(
        "OverlapShown",
        bytes.fromhex("70939c90cb48dbf8efc0e08e2c3d921e2853889ea1a1163a2d179d2b5c049d6d"),
        ("bytes32", "bytes32", "bytes32"),
        ("uint256", "uint256", "bytes32", "bytes32"),
    )

    mechanic: bytes
    line_a: bytes
    line_b: bytes
    day_a: int
    day_b: int
    digest_a: bytes
    digest_b: bytes


Event = SilenceShown | LifeShown | OverlapShown

_EVENTS = event_table(SilenceShown, LifeShown, OverlapShown)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event
