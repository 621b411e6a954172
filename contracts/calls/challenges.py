"""Challenges: a bill's lines disputed, answered, judged and reversed (Challenges.vy)."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.abi import Call, Function, encode_arguments
from contracts.bill import BILL_TYPE, LINE_TYPE, NODE_TYPE, Bill, Line, Node
from contracts.calls.anchor_log import Head
from contracts.calls.charges import ENTRY_PROOF_TYPE, GATEWAY_TYPE, LINE_PROOF_TYPE, EntryProof, LineProof
from contracts.person import PERSON_SIGNATURE_TYPE, PersonSignature
from contracts.tariff import Terms

PATH_TYPE = NODE_TYPE + "[]"
PLACE_SUM, PLACE_BILL = 24, 25  # beside the places of a bill's lines

_OPEN_CHALLENGE = Function(
    "open_challenge",
    bytes.fromhex("d80602ca"),
    ("uint256", "uint256", BILL_TYPE, PATH_TYPE, LINE_TYPE + "[]", "uint256", PERSON_SIGNATURE_TYPE),
    (),
)
_ANSWER = Function(
    "answer", bytes.fromhex("569918f1"), ("uint256", "uint256", "uint256", LINE_TYPE, LINE_PROOF_TYPE), ()
)
_JUDGE = Function(
    "judge", bytes.fromhex("ea99fae5"), ("uint256", "uint256", "uint256", LINE_TYPE, "bytes", "uint256", "bytes32"), ()
)
_REVERSE = Function("reverse", bytes.fromhex("621c7fcd"), ("uint256", "uint256", "uint256"), ())
_DEMAND = Function("demand", bytes.fromhex("6e03c894"), ("uint256", "uint256", PERSON_SIGNATURE_TYPE), ())
_SHOW = Function("show", bytes.fromhex("68ca24c5"), ("uint256", "uint256", BILL_TYPE, PATH_TYPE, LINE_TYPE + "[]"), ())
_CORRECT_SUM = Function(
    "correct_sum", bytes.fromhex("a0852c77"), ("uint256", "uint256", BILL_TYPE, PATH_TYPE, LINE_TYPE + "[]"), ()
)
_CORRECT_NOTE = Function(
    "correct_note",
    bytes.fromhex("0fd8b6cb"),
    ("uint256", "uint256", BILL_TYPE, PATH_TYPE, LINE_TYPE + "[]", "uint256"),
    (),
)
_CORRECT_DOUBLE = Function(
    "correct_double",
    bytes.fromhex("e311d407"),
    ("uint256", "uint256", BILL_TYPE, PATH_TYPE, LINE_TYPE + "[]", "uint256", "uint256"),
    (),
)
_FLAG_SILENCE = Function(
    "flag_silence",
    bytes.fromhex("6bafa2eb"),
    ("uint256", "uint256", BILL_TYPE, PATH_TYPE, LINE_TYPE + "[]", "uint256", "bytes32", GATEWAY_TYPE),
    (),
)
_HEAR = Function("hear", bytes.fromhex("d3cba1cd"), (GATEWAY_TYPE, ENTRY_PROOF_TYPE), ())
_CLEAR_SILENCE = Function("clear_silence", bytes.fromhex("d03e8cac"), ("uint256", "uint256", "bytes32"), ())
_SILENT_METER = Function("silent_meter", bytes.fromhex("aae77f5a"), ("uint256", "uint256"), ("bytes32",))
_HEARD = Function("heard", bytes.fromhex("d88a230b"), ("bytes32",), ("uint256",))
_CHALLENGE = Function(
    "challenge",
    bytes.fromhex("1fc6e296"),
    ("uint256", "uint256", "uint256"),
    ("(uint256,uint256,uint256,uint256,uint256,bytes32)",),
)
_CONTRACTS = Function("contracts", bytes.fromhex("6c0f79b6"), (), ("address", "address"))


@dataclass(frozen=True, slots=True)
class Challenge:
    """State of one line's challenge."""

    state: int  # 0 none, 1 open, 2 answered, 3 reversed
    amount: int  # as billed
    charge: int  # as it stands
    deadline: int  # last second for an answer
    total: int  # of the bill
    line_digest: bytes


def deploy(bytecode: bytes, *, registry: str, verifier: str) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    return bytecode + encode_arguments("Challenges", ("address",) * 2, (registry, verifier))


def open_challenge(
    to: str,
    *,
    period: int,
    unit_index: int,
    bill: Bill,
    path: Sequence[Node],
    lines: Sequence[Line],
    number: int,
    signature: PersonSignature,
) -> Call:
    """The unit's key challenges one line of its bill; the deposit comes from its balance. Anyone may relay it.

    Args:
        lines: All lines of the bill, whose digest the leaf carries.
        number: Place of the challenged line, from 0.
    """
    return _OPEN_CHALLENGE.call(
        to,
        period,
        unit_index,
        bill.abi(),
        [item.abi() for item in path],
        [item.abi() for item in lines],
        number,
        signature.abi(),
    )


def answer(to: str, *, period: int, unit_index: int, number: int, line: Line, proof: LineProof) -> Call:
    """Answer a challenge with what the line rests on. Anyone may.

    The contract recomputes the line and corrects it at once. Later answers count only where they lower the
    charge.
    """
    return _ANSWER.call(to, period, unit_index, number, line.abi(), proof.abi())


def judge(
    to: str,
    *,
    period: int,
    unit_index: int,
    number: int,
    line: Line,
    terms: Terms | None,
    charge: int,
    reason: bytes,
) -> Call:
    """The arbiter's word on a line that the contract cannot recompute.

    Args:
        reason: SHA-256 of the published reasons.
    """
    encoded = terms.encode() if terms else b""
    return _JUDGE.call(to, period, unit_index, number, line.abi(), encoded, charge, reason)


def demand(to: str, *, period: int, unit_index: int, signature: PersonSignature) -> Call:
    """The unit's key demands to see its bill; if nobody shows it in time, nothing is owed."""
    return _DEMAND.call(to, period, unit_index, signature.abi())


def show(to: str, *, period: int, unit_index: int, bill: Bill, path: Sequence[Node], lines: Sequence[Line]) -> Call:
    """Meet a demand with the bill and its lines. Anyone may."""
    return _SHOW.call(to, period, unit_index, bill.abi(), [item.abi() for item in path], [item.abi() for item in lines])


def correct_note(
    to: str, *, period: int, unit_index: int, bill: Bill, path: Sequence[Node], lines: Sequence[Line], number: int
) -> Call:
    """A credit note that the bill names and nobody gave is given by the bond. Anyone may show it."""
    nodes = [item.abi() for item in path]
    return _CORRECT_NOTE.call(to, period, unit_index, bill.abi(), nodes, [item.abi() for item in lines], number)


def correct_sum(
    to: str, *, period: int, unit_index: int, bill: Bill, path: Sequence[Node], lines: Sequence[Line]
) -> Call:
    """A bill that asks for more than its lines add up to falls to their sum at once. Anyone may show it."""
    return _CORRECT_SUM.call(
        to, period, unit_index, bill.abi(), [item.abi() for item in path], [item.abi() for item in lines]
    )


def correct_double(
    to: str,
    *,
    period: int,
    unit_index: int,
    bill: Bill,
    path: Sequence[Node],
    lines: Sequence[Line],
    first: int,
    second: int,
) -> Call:
    """Of two lines of a bill that charge for the same thing and day the later one falls at once. Anyone may show it."""
    nodes = [item.abi() for item in path]
    return _CORRECT_DOUBLE.call(
        to, period, unit_index, bill.abi(), nodes, [item.abi() for item in lines], first, second
    )


def reverse(to: str, *, period: int, unit_index: int, number: int) -> Call:
    """A challenge that nobody answered in time reverses the line. Anyone may trigger it."""
    return _REVERSE.call(to, period, unit_index, number)


def flag_silence(
    to: str,
    *,
    period: int,
    unit_index: int,
    bill: Bill,
    path: Sequence[Node],
    lines: Sequence[Line],
    number: int,
    device: bytes,
    origin_id: bytes,
    head: Head,
) -> Call:
    """A line rests on a gateway that is silent for 48 hours: its bill waits until that catches up. Anyone may show it.

    Args:
        number: Place of the line, from 0.
        device: The line's meter, or one of its pool's.
        origin_id: The log that the meter writes to.
        head: That log's accepted head.
    """
    nodes, words = [item.abi() for item in path], [item.abi() for item in lines]
    return _FLAG_SILENCE.call(to, period, unit_index, bill.abi(), nodes, words, number, device, (origin_id, head.abi()))


def hear(to: str, *, origin_id: bytes, head: Head, proof: EntryProof) -> Call:
    """Show until when a gateway's accepted log reaches, by any of its entries. Anyone may; once serves all bills."""
    return _HEAR.call(to, (origin_id, head.abi()), proof.abi())


def clear_silence(to: str, *, period: int, unit_index: int, origin_id: bytes) -> Call:
    """The gateway caught up, or the meter writes to another one that did. Anyone may show it."""
    return _CLEAR_SILENCE.call(to, period, unit_index, origin_id)


def silent_meter(to: str, *, period: int, unit_index: int) -> Call:
    """The meter whose silent gateway a bill waits for; zero while it waits for none."""
    return _SILENT_METER.call(to, period, unit_index)


def parse_silent_meter(result: bytes) -> bytes:
    """The result of `silent_meter`."""
    value: bytes = _SILENT_METER.decode(result)[0]
    return value


def heard(to: str, *, origin_id: bytes) -> Call:
    """Until when a gateway's log was shown to reach, in Unix seconds."""
    return _HEARD.call(to, origin_id)


def parse_heard(result: bytes) -> int:
    """The result of `heard`."""
    value: int = _HEARD.decode(result)[0]
    return value


def challenge(to: str, *, period: int, unit_index: int, number: int) -> Call:
    """State of a line's challenge; place 24 is the sum, 25 the bill."""
    return _CHALLENGE.call(to, period, unit_index, number)


def parse_challenge(result: bytes) -> Challenge:
    """The result of `challenge`."""
    return Challenge(*_CHALLENGE.decode(result)[0])


def contracts(to: str) -> Call:
    """Where the money is, and where lines are recomputed."""
    return _CONTRACTS.call(to)


def parse_contracts(result: bytes) -> tuple[str, str]:
    """The result of `contracts`: two addresses."""
    usage_fees, charges = _CONTRACTS.decode(result)
    return usage_fees, charges
