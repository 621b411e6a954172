"""Calls to contracts and their results as bytes: selectors, arguments, events and reverts, through eth_abi alone.

Selectors and topics stand written out, for hashing them would need a keccak library at every start; a test holds each
against the compiled contract.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError

from contracts.errors import ContractsError

Struct = TypeVar("Struct")
REVERT_SELECTOR = bytes.fromhex("08c379a0")  # Error(string), Solidity ABI specification, "Revert"


class AbiError(ContractsError):
    """Arguments do not fit a contract's function, or bytes from a chain are not what the function or event gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a transaction or an eth_call needs; who sends it, and for how much gas, is the sender's business."""

    to: str  # contract address, 0x and 40 hex digits
    data: bytes
    value: int = 0  # wei


@dataclass(frozen=True, slots=True)
class Function:
    """One external function of a contract."""

    name: str
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def encode(self, *arguments: Any) -> bytes:
        """Selector and arguments.

        Raises:
            AbiError: an argument does not fit its type.
        """
        return self.selector + encode_arguments(self.name, self.inputs, arguments)

    def call(self, to: str, *arguments: Any) -> Call:
        """The call with these arguments to the contract at this address."""
        return Call(to=to, data=self.encode(*arguments))

    def decode(self, result: bytes) -> tuple[Any, ...]:
        """The function's results. Raises AbiError if the bytes are no such results."""
        return decode_values(self.name, self.outputs, result)


@dataclass(frozen=True, slots=True)
class EventForm:
    """How one event stands in a log: its topic, then the indexed fields, then the fields of the data."""

    name: str
    topic: bytes
    indexed: tuple[str, ...]
    data: tuple[str, ...]

    def decode(self, topics: Sequence[bytes], data: bytes) -> tuple[Any, ...]:
        """All fields in the order in which they are declared.

        Raises:
            AbiError: the log is not this event.
        """
        if len(topics) != 1 + len(self.indexed) or topics[0] != self.topic:
            raise AbiError(f"log with {len(topics)} topics is no {self.name}")
        indexed = decode_values(self.name, self.indexed, b"".join(topics[1:]))
        return indexed + decode_values(self.name, self.data, data)


def encode_arguments(name: str, types: Sequence[str], arguments: Sequence[Any]) -> bytes:
    """ABI encoding of arguments. Raises AbiError, naming the function, if one does not fit."""
    try:
        return encode(types, arguments)
    except (EncodingError, OverflowError, TypeError, ValueError) as error:
        raise AbiError(f"{name}: arguments do not fit ({', '.join(types)}): {error}") from error


def decode_values(name: str, types: Sequence[str], encoded: bytes) -> tuple[Any, ...]:
    """ABI decoding of values. Raises AbiError, naming what was expected, if the bytes are something else."""
    if not types:
        return ()
    try:
        return tuple(decode(types, encoded))
    except (DecodingError, OverflowError, TypeError, ValueError) as error:
        raise AbiError(
            f"{name}: {len(encoded)} bytes are not ({', '.join(types)}); is this the right contract?"
        ) from error


def parse_revert(data: bytes) -> str | None:
    """The reason `contract: reason` of a revert; None if it carries none."""
    if data[:4] != REVERT_SELECTOR:
        return None
    return str(decode_values("Error", ("string",), data[4:])[0])


def padded(text: str) -> bytes:
    """ASCII text as a bytes32, zero-padded on the right: roles, purposes and quantities.

    Raises:
        AbiError: longer than 32 bytes or not ASCII.
    """
    try:
        encoded = text.encode("ascii")
    except UnicodeEncodeError as error:
        raise AbiError(f"text {text!r} is not ASCII") from error
    if len(encoded) > 32:
        raise AbiError(f"text {text!r} has {len(encoded)} bytes; 32 fit into a word")
    return encoded.ljust(32, b"\0")


def unpadded(word: bytes) -> str:
    """The text of a bytes32. Raises AbiError if it is no ASCII."""
    try:
        return word.rstrip(b"\0").decode("ascii")
    except UnicodeDecodeError as error:
        raise AbiError(f"word {word.hex()} is no ASCII text") from error


EventTable = Mapping[bytes, type[Any]]
"""Event classes by topic; each has its `FORM` and takes the fields in declared order."""


def by_field(kind: type[Struct], values: Sequence[Any]) -> Struct:
    """A dataclass from a struct's values, in the order of its fields."""
    names = (field.name for field in fields(kind))  # type: ignore[arg-type]  # `kind` is a dataclass
    return kind(**dict(zip(names, values, strict=True)))


def event_table(*events: type[Any]) -> EventTable:
    """The table of a contract's events."""
    return {event.FORM.topic: event for event in events}


def parse_log(table: EventTable, topics: Sequence[bytes], data: bytes) -> Any:
    """The event of the table that a log carries; None if it carries another.

    Raises:
        AbiError: the topic is one of the table's, the rest is not.
    """
    event = table.get(bytes(topics[0])) if topics else None
    return None if event is None else event(*event.FORM.decode(topics, data))
