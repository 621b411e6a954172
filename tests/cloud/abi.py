"""The compiled contracts' ABI, read at run time: calls to bytes, answers and events to values, with names from the ABI
itself.

A struct is a tuple in its declared order going in, and coming out. Source: Solidity ABI specification, which Vyper
follows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_hash.auto import keccak

from cloud.errors import ChainError
from contracts.vyper.compile import artifact

__all__ = ["ChainEvent", "ContractAbi", "contract_abi"]


@dataclass(frozen=True, slots=True)
class ChainEvent:
    """One event: its name and its fields as attributes, as the contract's source names them."""

    name: str
    fields: SimpleNamespace


class ContractAbi:
    """One contract's functions and events."""

    def __init__(self, contract: str, abi: Sequence[dict[str, Any]], bytecode: bytes) -> None:
        self.contract = contract
        self.bytecode = bytecode
        self._functions = {item["name"]: item for item in abi if item["type"] == "function"}
        self._constructor: dict[str, Any] = next(
            (item for item in abi if item["type"] == "constructor"), {"inputs": []}
        )
        self._events = {keccak(_signature(item).encode()): item for item in abi if item["type"] == "event"}

    def call(self, function: str, *arguments: Any) -> bytes:
        """Calldata of a call. Raises `ChainError` where the arguments do not fit the function."""
        item = self._function(function)
        try:
            return keccak(_signature(item).encode())[:4] + encode(_types(item["inputs"]), arguments)
        except (EncodingError, ValueError, TypeError, OverflowError) as error:
            raise ChainError(f"{self.contract}.{function}: arguments do not fit its ABI: {error}") from error

    def answer(self, function: str, data: bytes) -> Any:
        """A view's result: one value, or a tuple of several. Raises `ChainError` where the bytes are none."""
        types = _types(self._function(function)["outputs"])
        try:
            values = decode(types, data)
        except (DecodingError, ValueError) as error:
            raise ChainError(
                f"{self.contract}.{function}: the answer is not one ({error}); is the contract at this address?"
            ) from error
        return values[0] if len(values) == 1 else values

    def creation(self, *arguments: Any) -> bytes:
        """Data of the transaction that deploys the contract."""
        return self.bytecode + encode(_types(self._constructor["inputs"]), arguments)

    def event(self, topics: Sequence[bytes], data: bytes) -> ChainEvent | None:
        """The event of a log entry; None for one that this ABI does not know. Raises `ChainError` where its bytes are
        none.
        """
        item = self._events.get(topics[0]) if topics else None
        if item is None:
            return None
        indexed = [field for field in item["inputs"] if field["indexed"]]
        plain = [field for field in item["inputs"] if not field["indexed"]]
        try:
            values = [decode([field["type"]], topic)[0] for field, topic in zip(indexed, topics[1:], strict=True)]
            others = decode(_types(plain), data)
        except (DecodingError, ValueError) as error:
            raise ChainError(f"event {item['name']} of {self.contract} does not fit its ABI: {error}") from error
        named = dict(zip((field["name"] for field in indexed + plain), (*values, *others), strict=True))
        return ChainEvent(name=str(item["name"]), fields=SimpleNamespace(**named))

    def _function(self, name: str) -> dict[str, Any]:
        if name not in self._functions:
            raise ChainError(f"{self.contract} has no function {name}; compile the contracts again")
        return self._functions[name]


@cache
def contract_abi(contract: str) -> ContractAbi:
    """The ABI of `Registry`, `AnchorLog`, `Tariffs`, `UsageFees` or `Token` as compiled."""
    compiled = artifact(contract)
    return ContractAbi(contract, compiled.abi, compiled.bytecode)


def _types(fields: Sequence[dict[str, Any]]) -> list[str]:
    return [_type(field) for field in fields]


def _type(field: dict[str, Any]) -> str:
    written: str = field["type"]
    if not written.startswith("tuple"):
        return written
    return "(" + ",".join(_types(field["components"])) + ")" + written[len("tuple") :]


def _signature(item: dict[str, Any]) -> str:
    return f"{item['name']}({','.join(_types(item['inputs']))})"
