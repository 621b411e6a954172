"""The bill as a file, `minglou-bill/1`: enough for a browser to recompute line to root and compare with the chain.

Integers that may pass 2^53 are decimal strings, bytes lower-case hex without 0x, the contract's address with 0x.
"""

import re
from typing import Any

from contracts.bill import Amounts, Bill, BillError, BillProof, Line, Node, line_kind
from contracts.tariff import TERMS_BYTES_MAX

FORMAT = "minglou-bill/1"

_NUMBER = re.compile(r"0|[1-9][0-9]{0,77}", re.ASCII)
_ADDRESS = re.compile(r"0x[0-9a-f]{40}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BILL_NAMES = (
    *("format", "chain_id", "contract", "site", "period", "unit_index", "unit_count"),
    *("amounts", "lines", "terms", "salt", "path", "root"),
)
_LINE_NAMES = ("kind", "subject", "quantity", "tariff", "since", "from", "to", "usage", "amount")
_TERMS_MAX = 24
_TERMS_HEX = re.compile(rf"([0-9a-f]{{2}}){{1,{TERMS_BYTES_MAX}}}", re.ASCII)
_AMOUNT_NAMES = ("total", "own", "shared", "other")


def bill_to_json(proof: BillProof) -> dict[str, Any]:
    """The file's JSON object."""
    bill = proof.bill
    return {
        "format": FORMAT,
        "chain_id": str(bill.chain_id),
        "contract": bill.contract.lower(),
        "site": bill.site.hex(),
        "period": str(bill.period),
        "unit_index": str(bill.unit_index),
        "unit_count": str(proof.unit_count),
        "amounts": _amounts_to_json(bill.amounts),
        "lines": [line_to_json(line) for line in bill.lines],
        "terms": [{"version": str(version), "encoded": encoded.hex()} for version, encoded in proof.terms],
        "salt": bill.salt.hex(),
        "path": [_node_to_json(node) for node in proof.path],
        "root": _node_to_json(proof.root),
    }


def bill_from_json(document: Any) -> BillProof:
    """A bill file, parsed but not verified: `verify_bill` is the next step.

    Raises:
        BillError: not this format, a field missing or not canonical, or amounts that are not the lines' sums.
    """
    fields = _object(
        document,
        "bill",
        _BILL_NAMES,
    )
    if fields["format"] != FORMAT:
        raise BillError(f"format is {fields['format']!r}, not {FORMAT}; use the program that wrote it")
    contract = fields["contract"]
    if not isinstance(contract, str) or not _ADDRESS.fullmatch(contract):
        raise BillError(f"contract {contract!r} is no lower-case address")
    bill = Bill(
        chain_id=_number(fields["chain_id"], "chain_id"),
        contract=contract,
        site=_bytes32(fields["site"], "site"),
        period=_number(fields["period"], "period"),
        unit_index=_number(fields["unit_index"], "unit_index"),
        lines=tuple(line_from_json(line) for line in _array(fields["lines"], "lines", 24)),
        salt=_bytes32(fields["salt"], "salt"),
    )
    if _amounts_from_json(fields["amounts"]) != bill.amounts:
        raise BillError(f"amounts of unit {bill.unit_index} are not the sums of its lines")
    return BillProof(
        bill=bill,
        path=tuple(_node_from_json(node) for node in _array(fields["path"], "path", 32)),
        unit_count=_number(fields["unit_count"], "unit_count"),
        root=_node_from_json(fields["root"]),
        terms=tuple(_terms_from_json(terms) for terms in _array(fields["terms"], "terms", _TERMS_MAX)),
    )


def line_to_json(line: Line) -> dict[str, Any]:
    """One line as files have it."""
    return {
        "kind": int(line.kind),
        "subject": line.subject.hex(),
        "quantity": line.quantity,
        "tariff": str(line.tariff),
        "since": str(line.since),
        "from": str(line.from_date),
        "to": str(line.to_date),
        "usage": str(line.usage),
        "amount": str(line.amount),
    }


def line_from_json(document: Any) -> Line:
    """One line of a file. Raises BillError if it is not canonical."""
    fields = _object(document, "line", _LINE_NAMES)
    if not isinstance(fields["quantity"], str):
        raise BillError("line's quantity is no text")
    return Line(
        kind=line_kind(fields["kind"]),
        subject=_bytes32(fields["subject"], "subject"),
        quantity=fields["quantity"],
        tariff=_number(fields["tariff"], "tariff"),
        since=_number(fields["since"], "since"),
        from_date=_number(fields["from"], "from"),
        to_date=_number(fields["to"], "to"),
        usage=_number(fields["usage"], "usage"),
        amount=_number(fields["amount"], "amount"),
    )


def _terms_from_json(document: Any) -> tuple[int, bytes]:
    fields = _object(document, "terms", ("version", "encoded"))
    encoded = fields["encoded"]
    if not isinstance(encoded, str) or not _TERMS_HEX.fullmatch(encoded):
        raise BillError("terms are no lower-case hex")
    return _number(fields["version"], "version"), bytes.fromhex(encoded)


def _amounts_to_json(amounts: Amounts) -> dict[str, str]:
    return {name: str(getattr(amounts, name)) for name in _AMOUNT_NAMES}


def _amounts_from_json(document: Any) -> Amounts:
    fields = _object(document, "amounts", _AMOUNT_NAMES)
    return Amounts(**{name: _number(fields[name], name) for name in _AMOUNT_NAMES})


def _node_to_json(node: Node) -> dict[str, Any]:
    return {"hash": node.hash.hex(), "sums": _amounts_to_json(Amounts.from_word(node.sums))}


def _node_from_json(document: Any) -> Node:
    fields = _object(document, "node", ("hash", "sums"))
    return Node(_bytes32(fields["hash"], "hash"), _amounts_from_json(fields["sums"]).word())


def _object(document: Any, what: str, names: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(document, dict) or set(document) != set(names):
        raise BillError(f"{what} must have exactly the fields {', '.join(names)}")
    return document


def _array(document: Any, what: str, length_max: int) -> list[Any]:
    if not isinstance(document, list) or len(document) > length_max:
        raise BillError(f"{what} must be a list of at most {length_max}")
    return document


def _number(text: Any, what: str) -> int:
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise BillError(f"{what} {text!r} is no decimal string")
    return int(text)


def _bytes32(text: Any, what: str) -> bytes:
    if not isinstance(text, str) or not _HASH.fullmatch(text):
        raise BillError(f"{what} {text!r} is no lower-case hex of 32 bytes")
    return bytes.fromhex(text)
