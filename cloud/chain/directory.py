"""The contracts of a site by name: their ABIs, and where the Registry's directory says that they are.

Only the Registry's address has to be known beforehand, from trust.json; everything else is asked of the chain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloud.chain.client import ChainClient
from cloud.errors import ChainError
from contracts.abi import Function, padded
from contracts.act_file import Abi
from contracts.vyper.compile import CONTRACTS, artifact

__all__ = ["Directory", "abi_of", "read_directory", "selector_of", "snake", "view_function"]

_NOBODY = "0x" + "00" * 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """The site's Registry and what stands in its directory; addresses in lower case."""

    registry: str
    contracts: Mapping[str, str]  # address by the contract's name, as UsageFees

    async def is_member(self, client: ChainClient, address: str) -> bool:
        """Whether this address stands, or ever stood, in the directory under some name."""
        function = view_function(abi_of("Registry"), "is_member")
        return bool(function.decode(await client.call(self.registry, function.encode(address)))[0])


def abi_of(contract: str) -> Abi:
    """The ABI of one of our contracts. Raises `ContractsError` where there is no such contract."""
    return artifact(contract).abi


def selector_of(signature: str) -> bytes:
    """The first four bytes of the signature's Keccak-256."""
    from eth_utils.crypto import keccak

    return bytes(keccak(text=signature)[:4])


def view_function(abi: Abi, name: str) -> Function:
    """The view of this name, ready to be asked. Raises `ChainError` where the contract has none."""
    item = next((item for item in abi if item.get("type") == "function" and item.get("name") == name), None)
    if item is None:
        raise ChainError(f"the contract has no view {name}; was it compiled from another release?")
    inputs, outputs = _types(item["inputs"]), _types(item["outputs"])
    return Function(name, selector_of(f"{name}({','.join(inputs)})"), inputs, outputs)


async def read_directory(client: ChainClient, registry: str) -> Directory:
    """What the Registry at this address has in its directory. Raises `ChainError`."""
    named = view_function(abi_of("Registry"), "contract_named")
    found = {"Registry": registry.lower()}
    for contract in CONTRACTS:
        answer = await client.call(registry, named.encode(padded(snake(contract))))
        address = str(named.decode(answer)[0]).lower()
        if address != _NOBODY:
            found[contract] = address
    return Directory(registry=registry.lower(), contracts=found)


def snake(contract: str) -> str:
    """A contract's name in the directory: usage_fees for UsageFees."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in contract).lstrip("_")


def _types(parameters: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(_type(parameter) for parameter in parameters)


def _type(parameter: Mapping[str, Any]) -> str:
    kind = str(parameter["type"])
    if kind.startswith("tuple"):
        return f"({','.join(_types(parameter['components']))}){kind[5:]}"
    return kind
