"""Writes `act.json`, the acts that Python and the browser must write alike: `python -m tests.contracts.js.make_act`."""

import json
from pathlib import Path
from typing import Any

from contracts import p256
from contracts.abi import Call
from contracts.act_file import Abi, Act, act_of_call, format_act
from contracts.calls import usage_fees
from contracts.person import PersonSignature, key_id_of

PATH = Path(__file__).with_name("act.json")
ADDRESS = "0x5fc8d32690cc91d4c39d9d3abcbd16989f875707"
SIGNED = [
    {"name": "key_id", "type": "bytes32"},
    *({"name": name, "type": "uint256"} for name in ("nonce", "deadline", "r", "s")),
    *({"name": name, "type": "bytes"} for name in ("authenticator_data", "client_data")),
]
OPENING = [
    {"name": "key_id", "type": "bytes32"},
    {"name": "choice", "type": "uint256"},
    {"name": "salt", "type": "bytes32"},
]
ABI: Abi = [
    {
        "type": "function",
        "name": "set_mandate",
        "stateMutability": "nonpayable",
        "inputs": [
            {"name": "cap", "type": "uint256"},
            {"name": "signature", "type": "tuple", "components": SIGNED},
        ],
    },
    {
        "type": "function",
        "name": "reveal",
        "stateMutability": "nonpayable",
        "inputs": [
            {"name": "number", "type": "uint256"},
            {"name": "openings", "type": "tuple[]", "components": OPENING},
        ],
    },
]


def written() -> str:
    """The vectors, as the file holds them."""
    return json.dumps({"mandate": _mandate(), "ballots": _ballots()}, indent=1) + "\n"


def _mandate() -> dict[str, Any]:
    key = p256.key_from_secret(1000)
    signed = p256.sign(key, b"what was signed does not matter here", repeatable=True)
    signature = PersonSignature(
        key_id=key_id_of(p256.public_bytes(key)),
        nonce=1_796_083_200_000,
        deadline=1_796_169_600,
        r=int.from_bytes(signed[:32]),
        s=int.from_bytes(signed[32:]),
    )
    call: Call = usage_fees.set_mandate(ADDRESS, cap=2**200 + 1, signature=signature)
    act = act_of_call(call, chain_id=31337, contract="UsageFees", function="set_mandate", abi=ABI)
    given = {
        "address": ADDRESS[2:],
        "cap": str(2**200 + 1),
        "key_id": signature.key_id.hex(),
        "nonce": str(signature.nonce),
        "deadline": str(signature.deadline),
        "signature": signed.hex(),
    }
    return {"given": given, "file": format_act(act, ABI).decode()}


def _ballots() -> dict[str, str]:
    opening = {"key_id": bytes(32), "choice": 1, "salt": b"\7" * 32}
    acts = {
        name: Act(
            chain_id=1,
            contract="Ballots",
            address="0x" + "00" * 20,
            function="reveal",
            arguments={"number": 3, "openings": openings},
        )
        for name, openings in (("one", (opening,)), ("none", ()))
    }
    return {name: format_act(act, ABI).decode() for name, act in acts.items()}


if __name__ == "__main__":
    PATH.write_text(written(), encoding="utf-8")
