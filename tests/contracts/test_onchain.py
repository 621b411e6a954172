"""What the verifier asks the chain is what the compiled contracts answer."""

from typing import Any

import pytest
from eth_utils.crypto import keccak

from contracts import onchain
from contracts.vyper.compile import artifact

VIEWS = {
    "gateway_key": (onchain.GATEWAY_KEY, ["bytes32", "bytes32"], ["uint256", "uint256", "uint256"]),
    "assignment_count": (onchain.ASSIGNMENT_COUNT, ["bytes32"], ["uint256"]),
    "assignment": (onchain.ASSIGNMENT, ["bytes32", "uint256"], ["bytes32", "uint256", "uint256", "uint256"]),
    "contract_named": (onchain.CONTRACT_NAMED, ["bytes32"], ["address"]),
    "binding_count": (onchain.BINDING_COUNT, ["bytes32"], ["uint256"]),
    "binding": (
        onchain.BINDING,
        ["bytes32", "uint256"],
        ["bytes32", "bytes32", "uint256", "uint256", "uint256", "uint256", "bool"],
    ),
}


@pytest.mark.parametrize("name", VIEWS)
def test_each_view_has_the_verifiers_selector_and_words(name: str) -> None:
    selector, inputs, outputs = VIEWS[name]
    contract = "Bindings" if name.startswith("binding") else "Registry"
    view = _named(artifact(contract).abi, name)
    assert [argument["type"] for argument in view["inputs"]] == inputs
    assert _flat(view["outputs"]) == outputs
    assert keccak(text=f"{name}({','.join(inputs)})")[:4].hex() == selector


def test_the_anchor_event_has_the_verifiers_topic_and_words() -> None:
    event = _named(artifact("AnchorLog").abi, "Anchored")
    assert [(field["name"], field["type"], field["indexed"]) for field in event["inputs"]] == [
        ("size", "uint256", True),
        ("root", "bytes32", False),
    ]
    assert "0x" + keccak(text="Anchored(uint256,bytes32)").hex() == onchain.ANCHORED_TOPIC


def _named(abi: Any, name: str) -> Any:
    return next(part for part in abi if part.get("name") == name)


def _flat(outputs: Any) -> list[str]:
    """The types of the words that come back, those of a returned struct included."""
    types: list[str] = []
    for output in outputs:
        types += _flat(output["components"]) if output["type"] == "tuple" else [output["type"]]
    return types
