"""Acts as files: what a builder makes comes back byte for byte, and hostile files end in a clear error."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from contracts import p256
from contracts.abi import Call
from contracts.act_file import ACT_BYTES_MAX, Act, ActError, act_of_call, format_act, parse_act
from contracts.calls import usage_fees
from contracts.errors import ContractsError
from contracts.person import Purpose, sign_software

WORD = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
ADDRESS = "0x00112233445566778899aabbccddeeff00112233"
SIGNATURE = [
    {"name": "key_id", "type": "bytes32"},
    {"name": "nonce", "type": "uint256"},
    {"name": "deadline", "type": "uint256"},
    {"name": "r", "type": "uint256"},
    {"name": "s", "type": "uint256"},
    {"name": "authenticator_data", "type": "bytes"},
    {"name": "client_data", "type": "bytes"},
]


def function(name: str, *inputs: dict[str, Any], mutability: str = "nonpayable") -> dict[str, Any]:
    return {"type": "function", "name": name, "stateMutability": mutability, "inputs": list(inputs)}


SIGNED = {"name": "signature", "type": "tuple", "components": SIGNATURE}
ABI = [
    function("set_mandate", {"name": "cap", "type": "uint256"}, SIGNED),
    function("withdraw", {"name": "amount", "type": "uint256"}, {"name": "to", "type": "address"}, SIGNED),
    function(
        "everything",
        {"name": "small", "type": "uint8"},
        {"name": "below", "type": "int256"},
        {"name": "yes", "type": "bool"},
        {"name": "word", "type": "bytes32"},
        {"name": "text", "type": "string"},
        {"name": "two", "type": "bytes32[2]"},
        {"name": "rows", "type": "tuple[]", "components": [{"name": "path", "type": "bytes32[]"}, SIGNED]},
    ),
    function("top_up", {"name": "amount", "type": "uint256"}),
    function("reverse", {"name": "number", "type": "uint256"}),
    function("peek", SIGNED, mutability="view"),
    function("buy", SIGNED, mutability="payable"),
    {"type": "event", "name": "set_mandate", "inputs": []},
]


def abi_of(contract: str) -> list[dict[str, Any]]:
    if contract not in ("UsageFees", "Challenges"):
        raise ContractsError(f"contract {contract}: unknown; there is UsageFees")
    return ABI


@cache
def mandate_call(cap: int = 5000) -> Call:
    signature = sign_software(
        p256.key_from_secret(7),
        chain_id=31337,
        contract=ADDRESS,
        purpose=Purpose.MANDATE,
        nonce=8,
        deadline=2**40,
        body_digest=Purpose.MANDATE.body_digest(3, cap),
    )
    return usage_fees.set_mandate(ADDRESS, cap=cap, signature=signature)


def mandate() -> Act:
    return act_of_call(mandate_call(), chain_id=31337, contract="UsageFees", function="set_mandate", abi=ABI)


def document() -> dict[str, Any]:
    return dict(json.loads(format_act(mandate(), ABI)))


def test_an_act_comes_back_as_the_call_that_it_was() -> None:
    call = mandate_call()
    act = act_of_call(call, chain_id=31337, contract="UsageFees", function="set_mandate", abi=ABI)
    encoded = format_act(act, ABI)
    again = parse_act(encoded, abi_of)
    assert again == act
    assert format_act(again, ABI) == encoded
    assert again.call(ABI, selector=keccak(text=again.signature(ABI))[:4]) == call
    text = encoded.decode()
    assert '"function": "set_mandate"' in text and '"cap": "5000"' in text and '"deadline": "1099511627776"' in text


def test_a_file_may_be_laid_out_otherwise() -> None:
    shuffled = dict(reversed(document().items()))
    assert parse_act(json.dumps(shuffled).encode(), abi_of) == mandate()


@given(
    st.integers(0, 255),
    st.integers(-(2**255), 2**255 - 1),
    st.booleans(),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40),
    st.lists(st.lists(st.binary(min_size=32, max_size=32), max_size=3), max_size=3),
)
def test_every_type_comes_back(small: int, below: int, yes: bool, text: str, paths: list[list[bytes]]) -> None:
    signature = {each["name"]: b"\1" * 32 if each["type"] == "bytes32" else 5 for each in SIGNATURE}
    signature |= {"authenticator_data": b"", "client_data": b"{}"}
    act = Act(
        chain_id=1,
        contract="UsageFees",
        address=ADDRESS,
        function="everything",
        arguments={
            "small": small,
            "below": below,
            "yes": yes,
            "word": bytes(32),
            "text": text,
            "two": (b"\2" * 32, b"\3" * 32),
            "rows": tuple({"path": tuple(path), "signature": signature} for path in paths),
        },
    )
    again = parse_act(format_act(act, ABI), abi_of)
    assert again == act
    call = again.call(ABI, selector=b"\0" * 4)
    assert act_of_call(call, chain_id=1, contract="UsageFees", function="everything", abi=ABI) == act


def changed(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda whole: whole.update(fields)


def argument(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda whole: whole["arguments"].update({name: value})


def signed(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda whole: whole["arguments"]["signature"].update({name: value})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (changed(format="minglou-act/2"), "format"),
        (changed(chain_id=31337), "chain_id is not a text"),
        (changed(chain_id="0x7a69"), "chain_id is not an integer"),
        (changed(chain_id="0"), "outside its range"),
        (changed(more="x"), "unknown more"),
        (changed(contract=ADDRESS), "contract is not an object"),
        (changed(contract={"name": "UsageFees", "address": ADDRESS.upper()}), "no address in lower case"),
        (changed(contract={"name": "../../etc/passwd", "address": ADDRESS}), "is no name"),
        (changed(contract={"name": "Treasury", "address": ADDRESS}), "contract Treasury: unknown"),
        (changed(function="set_mandate(uint256)"), "is no name"),
        (changed(function="steal"), "has no function 'steal'"),
        (changed(function="top_up"), "takes no signature"),
        (changed(function="peek"), "it is no act"),
        (changed(function="buy"), "it is no act"),
        (changed(arguments=[]), "arguments is not an object"),
        (argument("cap", 5000), "arguments.cap is no text"),
        (argument("cap", "05000"), "without leading zeros"),
        (argument("cap", "5e3"), "no integer"),
        (argument("cap", "-1"), "which is no uint256"),
        (argument("cap", str(2**256)), "which is no uint256"),
        (argument("cap", "٥"), "no integer"),
        (argument("tip", "1"), "unknown tip"),
        (argument("signature", None), "signature is not an object"),
        (signed("key_id", "0x" + WORD), "lower-case hex"),
        (signed("key_id", WORD.upper()), "lower-case hex"),
        (signed("key_id", WORD[2:]), "has 31 bytes, not 32"),
        (signed("client_data", "ab" * 9000), "at most 8192 bytes"),
        (signed("client_data", "a"), "lower-case hex"),
    ],
)
def test_a_misspelt_file_is_refused_and_says_where(change: Callable[[dict[str, Any]], None], reason: str) -> None:
    whole = document()
    change(whole)
    with pytest.raises(ActError, match=reason.replace("(", r"\(")) as refused:
        parse_act(json.dumps(whole).encode(), abi_of)
    assert str(refused.value).startswith("act")
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 60_000, "levels of brackets"),
        (b'{"a":' * 3_000, "levels of brackets"),
        (b" " * (ACT_BYTES_MAX + 1), "is the limit"),
        (b'{"format":"minglou-act/1","format":"minglou-act/1"}', "names a field twice"),
        (b"null", "not an object"),
        (b"NaN", "not an object"),
    ],
)
def test_what_is_no_act_at_all_is_refused_early(encoded: bytes, reason: str) -> None:
    with pytest.raises(ActError, match=reason):
        parse_act(encoded, abi_of)


def test_a_call_of_another_shape_makes_no_act() -> None:
    call = mandate_call()
    cut = Call(to=call.to, data=call.data[:-40])
    for wrong, name in ((cut, "set_mandate"), (call, "top_up"), (call, "steal"), (call, "peek")):
        with pytest.raises(ActError):
            act_of_call(wrong, chain_id=1, contract="UsageFees", function=name, abi=ABI)


def test_what_proves_itself_needs_no_signature() -> None:
    call = Call(to=ADDRESS, data=bytes(4) + (5).to_bytes(32))
    act = act_of_call(call, chain_id=1, contract="Challenges", function="reverse", abi=ABI)
    assert parse_act(format_act(act, ABI), abi_of).arguments == {"number": 5}


@given(st.data())
def test_a_damaged_file_is_refused_or_still_an_act(data: st.DataObject) -> None:
    damaged = bytearray(format_act(mandate(), ABI))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        act = parse_act(bytes(damaged), abi_of)
    except ActError:  # the only error that anybody's bytes may cause
        return
    assert parse_act(format_act(act, ABI), abi_of) == act
