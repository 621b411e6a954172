"""A signed act as a file, `minglou-act/1`: one call of a contract, in words, that anyone may bring to the chain.

A ballot, a dispute, the stop of a mandate, a withdrawal, a visit or a change of keys carries its signer's signature, so
it counts whoever brings it, and nobody has to bring it for you. The file names chain, contract, function and each
argument as the contract's ABI does; integers are decimal strings, bytes lower-case hex, addresses with 0x. It is laid
out for people; read, it must hold exactly the named fields, each in its one spelling.

Only functions that take a signature can stand in such a file (and a few that prove themselves otherwise): none of them
spends anything of whoever submits it but gas.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.abi import AbiError, Call, decode_values, encode_arguments
from contracts.errors import ContractsError
from contracts.fields import Fields, parse_json

FORMAT = "minglou-act/1"
ACT_BYTES_MAX = 131_072
LIST_LENGTH_MAX = 1_024
TEXT_LENGTH_MAX = 1_024
OCTETS_LENGTH_MAX = 8_192

# They carry no signature because they prove what they say: by entries of an accepted log, by a bill's own lines, by the
# opening of a commitment that was signed before, by the words of a passed resolution, or by the clock alone.
PROVING = {
    "AnchorLog": {"report_two_roots", "report_two_leaves"},  # two signatures of one gateway's key
    "Ballots": {"reveal"},
    "Challenges": {
        "answer",
        "correct_double",
        "correct_note",
        "correct_sum",
        "flag_silence",
        "hear",
        "clear_silence",
        "reverse",
        "show",
    },
    "Counterevidence": {"report_silence", "report_life", "report_overlap"},
    "ReserveFund": {"open_budget", "move_income", "raise_fund", "ratify", "flag_overdue", "notify_top_up"},
    "ServiceAgreements": {"claim_overdue", "count_claim"},
    "WorkOrders": {"report_by_machine", "judge_by_machine", "lapse", "release", "escalate"},
}

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_ADDRESS = re.compile(r"0x[0-9a-f]{40}", re.ASCII)
_HEX = re.compile(r"(?:[0-9a-f]{2})*", re.ASCII)
_DECIMAL = re.compile(r"0|-?[1-9][0-9]{0,77}", re.ASCII)
_ARRAY = re.compile(r"(.*)\[(\d*)\]")

Abi = Sequence[Mapping[str, Any]]
"""A contract's ABI as its compiler writes it."""


class ActError(ContractsError):
    """A file is no act that this program reads, or a call is none that such a file may hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One call of a contract by the names of its ABI. Arguments are nested: tuples as mappings, lists as tuples."""

    chain_id: int
    contract: str  # the contract's name, as UsageFees
    address: str  # lower case, with 0x
    function: str
    arguments: Mapping[str, Any]

    def signature(self, abi: Abi) -> str:
        """The function's canonical signature, from whose hash the selector is."""
        inputs = _function_of(abi, self.contract, self.function)["inputs"]
        return f"{self.function}({','.join(_type_of(each) for each in inputs)})"

    def call(self, abi: Abi, *, selector: bytes) -> Call:
        """The call for a transaction. Raises ActError if a value does not fit its type after all."""
        inputs = _function_of(abi, self.contract, self.function)["inputs"]
        types = [_type_of(each) for each in inputs]
        values = [_to_abi(each, self.arguments[each["name"]]) for each in inputs]
        try:
            return Call(to=self.address, data=selector + encode_arguments(self.function, types, values))
        except AbiError as error:
            raise ActError(f"act: {error}") from error


def act_of_call(call: Call, *, chain_id: int, contract: str, function: str, abi: Abi) -> Act:
    """What a call says, for a file. The selector is not looked at: the caller names the function.

    Raises:
        ActError: no such function, one that such a file may not hold, or other arguments.
    """
    item = _act_function_of(abi, contract, function)
    types = [_type_of(each) for each in item["inputs"]]
    try:
        values = decode_values(function, types, call.data[4:])
    except AbiError as error:
        raise ActError(f"act: {error}") from error
    arguments = {each["name"]: _from_abi(each, value) for each, value in zip(item["inputs"], values, strict=True)}
    return Act(chain_id=chain_id, contract=contract, address=call.to.lower(), function=function, arguments=arguments)


def format_act(act: Act, abi: Abi) -> bytes:
    """The file of an act: always the same bytes for the same act."""
    item = _act_function_of(abi, act.contract, act.function)
    document = {
        "format": FORMAT,
        "chain_id": str(act.chain_id),
        "contract": {"name": act.contract, "address": act.address},
        "function": act.function,
        "arguments": {each["name"]: _to_json(each, act.arguments[each["name"]]) for each in item["inputs"]},
    }
    encoded = json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"
    if len(encoded) > ACT_BYTES_MAX:
        raise ActError(f"act: the file would have {len(encoded)} bytes, {ACT_BYTES_MAX} is the limit; split the act")
    return encoded


def parse_act(encoded: bytes, abi_of: Callable[[str], Abi]) -> Act:
    """The act in a file from anybody.

    Args:
        encoded: the file's bytes.
        abi_of: the ABI of the contract of that name; raises ContractsError where there is none.

    Raises:
        ActError: too large, not JSON, another format, a field missing, unknown, doubled or misspelt, a value outside
            its type, or a function that carries no signature.
    """
    _refuse_deep(encoded)
    value = parse_json(encoded, length_max=ACT_BYTES_MAX, what="act", refuse=ActError)
    fields = Fields(value, place="", keys=("format", "chain_id", "contract", "function", "arguments"), refuse=_refuse)
    fields.choice("format", (FORMAT,))
    place = fields.within("contract", "name", "address")
    contract, address, function = place.text("name"), place.text("address"), fields.text("function")
    for what, name in (("contract.name", contract), ("function", function)):
        if not _NAME.fullmatch(name):
            raise ActError(f"act: {what} {name[:40]!r} is no name")
    if not _ADDRESS.fullmatch(address):
        raise ActError(f"act: contract.address {address[:50]!r} is no address in lower case behind 0x")
    try:
        abi = abi_of(contract)
    except ActError:
        raise
    except ContractsError as error:
        raise ActError(f"act: contract.name: {error}") from error
    inputs = _act_function_of(abi, contract, function)["inputs"]
    return Act(
        chain_id=fields.decimal("chain_id", start=1, end=2**64),
        contract=contract,
        address=address,
        function=function,
        arguments=_object_from_json(inputs, fields.raw("arguments"), "arguments"),
    )


def _refuse(reason: str) -> ActError:
    return ActError(f"act: {reason}")


def _refuse_deep(encoded: bytes) -> None:
    """Refuse what no act has before any parser nests with it."""
    depth = deepest = 0
    for octet in encoded[: ACT_BYTES_MAX + 1]:
        depth += (octet in b"[{") - (octet in b"]}")
        deepest = max(deepest, depth)
    if deepest > 16:
        raise ActError("act: more than 16 levels of brackets; this is no act")


def _function_of(abi: Abi, contract: str, function: str) -> Mapping[str, Any]:
    found = [item for item in abi if item.get("type") == "function" and item.get("name") == function]
    if len(found) != 1:
        raise ActError(f"act: {contract} has no function {function!r}; was the file made for another release?")
    return found[0]


def _act_function_of(abi: Abi, contract: str, function: str) -> Mapping[str, Any]:
    item = _function_of(abi, contract, function)
    if item["stateMutability"] != "nonpayable":
        raise ActError(f"act: {contract}.{function} changes nothing or takes money; it is no act")
    if not _is_signed(item["inputs"]) and function not in PROVING.get(contract, set()):
        raise ActError(f"act: {contract}.{function} takes no signature: what it does is its sender's own doing")
    return item


def _is_signed(inputs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether r and s stand side by side somewhere among the arguments."""
    if {"r", "s"} <= {each["name"] for each in inputs}:
        return True
    return any(_is_signed(each.get("components", ())) for each in inputs)


def _type_of(parameter: Mapping[str, Any]) -> str:
    kind = str(parameter["type"])
    if kind.startswith("tuple"):
        return f"({','.join(_type_of(each) for each in parameter['components'])}){kind[5:]}"
    return kind


def _element(parameter: Mapping[str, Any]) -> tuple[Mapping[str, Any], int | None] | None:
    """What a list holds and how many of it, None for any number; None for what is no list."""
    found = _ARRAY.fullmatch(str(parameter["type"]))
    if found is None:
        return None
    return {**parameter, "type": found[1]}, int(found[2]) if found[2] else None


# ---- Values: as the ABI has them, as an act has them, as JSON has them -----------------------------------------------


def _to_abi(parameter: Mapping[str, Any], value: Any) -> Any:
    element = _element(parameter)
    if element is not None:
        return [_to_abi(element[0], each) for each in value]
    if parameter["type"] == "tuple":
        return tuple(_to_abi(each, value[each["name"]]) for each in parameter["components"])
    return value


def _from_abi(parameter: Mapping[str, Any], value: Any) -> Any:
    element = _element(parameter)
    if element is not None:
        return tuple(_from_abi(element[0], each) for each in value)
    if parameter["type"] == "tuple":
        parts = zip(parameter["components"], value, strict=True)
        return {each["name"]: _from_abi(each, part) for each, part in parts}
    return value.lower() if parameter["type"] == "address" else value


def _to_json(parameter: Mapping[str, Any], value: Any) -> Any:
    element = _element(parameter)
    if element is not None:
        return [_to_json(element[0], each) for each in value]
    if parameter["type"] == "tuple":
        return {each["name"]: _to_json(each, value[each["name"]]) for each in parameter["components"]}
    if isinstance(value, bytes):
        return value.hex()
    return value if isinstance(value, bool | str) else str(value)


def _object_from_json(parameters: Sequence[Mapping[str, Any]], value: Any, place: str) -> dict[str, Any]:
    names = [str(each["name"]) for each in parameters]
    fields = Fields(value, place=place, keys=names, refuse=_refuse)
    return {each["name"]: _from_json(each, fields.raw(each["name"]), f"{place}.{each['name']}") for each in parameters}


def _from_json(parameter: Mapping[str, Any], value: Any, place: str) -> Any:
    element = _element(parameter)
    if element is not None:
        inner, length = element
        if not isinstance(value, list) or len(value) > LIST_LENGTH_MAX or (length is not None and len(value) != length):
            raise _refuse(f"{place} is no list of {length or f'at most {LIST_LENGTH_MAX}'}")
        return tuple(_from_json(inner, each, f"{place}[{index}]") for index, each in enumerate(value))
    kind = str(parameter["type"])
    if kind == "tuple":
        return _object_from_json(parameter["components"], value, place)
    if kind == "bool":
        if not isinstance(value, bool):
            raise _refuse(f"{place} is not true or false")
        return value
    if not isinstance(value, str):
        raise _refuse(f"{place} is no text; integers are decimal strings, bytes lower-case hex")
    return _word_from_json(kind, value, place)


def _word_from_json(kind: str, value: str, place: str) -> Any:
    if kind == "address":
        if not _ADDRESS.fullmatch(value):
            raise _refuse(f"{place} is no address in lower case behind 0x")
        return value
    if kind == "string":
        if len(value) > TEXT_LENGTH_MAX:
            raise _refuse(f"{place} has {len(value)} characters; {TEXT_LENGTH_MAX} is the limit")
        return value
    if kind.startswith("bytes"):
        length = int(kind[5:]) if kind[5:] else None
        if len(value) > 2 * OCTETS_LENGTH_MAX or not _HEX.fullmatch(value):
            raise _refuse(f"{place} is not at most {OCTETS_LENGTH_MAX} bytes in lower-case hex without 0x")
        if length is not None and len(value) != 2 * length:
            raise _refuse(f"{place} has {len(value) // 2} bytes, not {length}")
        return bytes.fromhex(value)
    return _integer_from_json(kind, value, place)


def _integer_from_json(kind: str, value: str, place: str) -> int:
    if not _DECIMAL.fullmatch(value):
        raise _refuse(f"{place} is no integer as a decimal string without leading zeros")
    bits = int(kind.removeprefix("u").removeprefix("int"))
    start, end = (0, 2**bits) if kind.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    number = int(value)
    if not start <= number < end:
        raise _refuse(f"{place} is {number}, which is no {kind}")
    return number
