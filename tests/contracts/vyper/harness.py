"""The modules' internal functions, callable through a harness contract."""

from functools import cache
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak

from contracts.abi import Function, encode_arguments
from contracts.vyper.compile import compile_source
from tests.contracts.vyper.chain import Chain
from tests.contracts.vyper.site import PRECOMPILE
from tests.contracts.vyper.test_face import abi_type


def creation_code(name: str) -> bytes:
    return bytes.fromhex(str(compiled(name)["bytecode"])[2:])


@cache
def compiled(name: str) -> dict[str, Any]:
    """One of the contracts that only tests have; compiled once a run."""
    return compile_source(name, folder=Path(__file__).parent)


class Harness:
    """A contract that only tests have, with a verifier, on a chain: `harness.ask("days", 20261201)`."""

    def __init__(self, chain: Chain, verifier: str = PRECOMPILE, *, contract: str = "Harness") -> None:
        output = compiled(contract)
        self._chain = chain
        self.creation = bytes.fromhex(str(output["bytecode"])[2:])
        self._address = chain.deploy(chain.accounts[0], self.creation + encode_arguments("", ("address",), (verifier,)))
        self._functions: dict[str, Function] = {}
        for item in output["abi"]:
            if item["type"] == "function":
                inputs = tuple(abi_type(parameter) for parameter in item["inputs"])
                outputs = tuple(abi_type(parameter) for parameter in item["outputs"])
                selector = keccak(text=f"{item['name']}({','.join(inputs)})")[:4]
                self._functions[item["name"]] = Function(item["name"], selector, inputs, outputs)

    @property
    def address(self) -> str:
        return self._address

    def ask(self, name: str, *arguments: Any) -> Any:
        function = self._functions[name]
        result = function.decode(self._chain.view(function.call(self._address, *arguments)))
        return result if len(result) > 1 else result[0]
