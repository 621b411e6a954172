"""Charges: what a bill line should say, recomputed on chain (Charges.vy)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contracts.abi import Call, Function, encode_arguments, padded
from contracts.bill import LINE_TYPE, Line
from contracts.calls.anchor_log import HEAD_TYPE, Head
from contracts.entry import Entry
from contracts.key_table import KEY_PROOF_TYPE, NO_KEY, KeyProof
from contracts.tariff import Terms

ENTRY_PROOF_TYPE = "((uint256,bytes32,uint256,bytes32,int256,bytes32,bytes32),uint256,bytes32[])"
SPANS_TYPE = f"(uint256,uint256,uint256,uint256,{ENTRY_PROOF_TYPE},{ENTRY_PROOF_TYPE})[]"
GATEWAY_TYPE = f"(bytes32,{HEAD_TYPE})"
LINE_PROOF_TYPE = f"(bytes,{GATEWAY_TYPE}[],{SPANS_TYPE},{SPANS_TYPE},{KEY_PROOF_TYPE})"
BOUNDS_TYPE = "(uint256,uint256,uint256,uint256)"
ENTRIES_MAX = 12  # boundary entries that one answer can carry beside those before the line

_RIGHT_AMOUNT = Function(
    "right_amount", bytes.fromhex("13ff4ce2"), (BOUNDS_TYPE, LINE_TYPE, LINE_PROOF_TYPE), ("uint256",)
)
_IS_FOR_ARBITER = Function("is_for_arbiter", bytes.fromhex("96405c99"), (LINE_TYPE, "bytes"), ("bool",))
_RESTS_ON = Function("rests_on", bytes.fromhex("34226652"), (LINE_TYPE, "bytes32", "bytes32"), ("bool",))
_WRITES_TO = Function("writes_to", bytes.fromhex("7d068a35"), ("bytes32", "bytes32"), ("bool",))
_IS_SILENT = Function("is_silent", bytes.fromhex("9d2914bd"), (GATEWAY_TYPE,), ("bool",))
_HEARD_AT = Function("heard_at", bytes.fromhex("379c1d70"), (GATEWAY_TYPE, ENTRY_PROOF_TYPE), ("uint256",))
_MIDNIGHT = Function("midnight", bytes.fromhex("c0b4d4ec"), ("uint256",), ("uint256",))


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
    """Two boundary entries of one register of one device: a part of the time that a line counts."""

    from_date: int  # boundary date of the opening entry, YYYYMMDD
    to_date: int
    opening: EntryProof
    closing: EntryProof
    register: int = 0  # place in the terms' registers
    gateway: int = 0  # place in the proof's logs

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        return (self.from_date, self.to_date, self.register, self.gateway, self.opening.abi(), self.closing.abi())


@dataclass(frozen=True, slots=True, kw_only=True)
class LineProof:
    """All that a recomputation of one line takes."""

    terms: Terms
    logs: Sequence[tuple[bytes, Head]] = ()  # (origin id, accepted head), at most three
    before: Sequence[Span] = ()  # from the line's `since` to its first day, by the total register; at most three
    during: Sequence[Span] = ()  # over the line's days, register by register, meter by meter; at most six
    key: KeyProof = NO_KEY

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        return (
            self.terms.encode(),
            [(origin_id, head.abi()) for origin_id, head in self.logs],
            [span.abi() for span in self.before],
            [span.abi() for span in self.during],
            self.key.abi(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The bill that a line stands on, and the roll as it was when its period was closed."""

    period: int
    unit_index: int
    unit_count: int
    total_area: int

    def abi(self) -> tuple[int, int, int, int]:
        """The fields in the contract's order."""
        return (self.period, self.unit_index, self.unit_count, self.total_area)


def deploy(bytecode: bytes, *, registry: str) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    return bytecode + encode_arguments("Charges", ("address",), (registry,))


def right_amount(to: str, *, bounds: Bounds, line: Line, proof: LineProof) -> Call:
    """What a line should say, in fen."""
    return _RIGHT_AMOUNT.call(to, bounds.abi(), line.abi(), proof.abi())


def parse_right_amount(result: bytes) -> int:
    """The result of `right_amount`."""
    value: int = _RIGHT_AMOUNT.decode(result)[0]
    return value


def is_for_arbiter(to: str, *, line: Line, terms: Terms | None) -> Call:
    """Whether something in the line cannot be recomputed on chain, so that the arbiter may judge it."""
    return _IS_FOR_ARBITER.call(to, line.abi(), terms.encode() if terms else b"")


def parse_is_for_arbiter(result: bytes) -> bool:
    """The result of `is_for_arbiter`."""
    value: bool = _IS_FOR_ARBITER.decode(result)[0]
    return value


def is_silent(to: str, *, origin_id: bytes, head: Head) -> Call:
    """Whether the gateway's accepted head, which is this one, is older than 48 hours."""
    return _IS_SILENT.call(to, (origin_id, head.abi()))


def parse_is_silent(result: bytes) -> bool:
    """The result of `is_silent`."""
    value: bool = _IS_SILENT.decode(result)[0]
    return value
