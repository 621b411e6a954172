"""UsageFees: periods, balances, payment and challenges (UsageFees.vy)."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.abi import Call, Function, encode_arguments
from contracts.bill import BILL_TYPE, LINE_TYPE, NODE_TYPE, Bill, Line, Node
from contracts.calls.anchor_log import HEAD_TYPE, Head
from contracts.calls.tariffs import SPANS_TYPE, Span
from contracts.person import PERSON_SIGNATURE_TYPE, PersonSignature

PATH_TYPE = NODE_TYPE + "[]"

_POST_BOND = Function("post_bond", bytes.fromhex("f9882fba"), ("uint256",), ())
_WITHDRAW_BOND = Function("withdraw_bond", bytes.fromhex("7b8e6e6a"), ("uint256", "address"), ())
_CLOSE_PERIOD = Function("close_period", bytes.fromhex("a1f1d339"), ("uint256", "bytes32", "uint256", "uint256"), ())
_TOP_UP = Function("top_up", bytes.fromhex("bed10b72"), ("uint256", "uint256"), ())
_WITHDRAW = Function("withdraw", bytes.fromhex("b8542b95"), ("uint256", "address", PERSON_SIGNATURE_TYPE), ())
_SET_MANDATE = Function("set_mandate", bytes.fromhex("6c7f55e7"), ("uint256", PERSON_SIGNATURE_TYPE), ())
_DEBIT = Function("debit", bytes.fromhex("ff156f0e"), ("uint256", "uint256", BILL_TYPE + "[]", PATH_TYPE), ())
_PAY = Function("pay", bytes.fromhex("02c2f41b"), ("uint256", "uint256", BILL_TYPE, PATH_TYPE), ())
_COLLECT = Function("collect", bytes.fromhex("8d3c100a"), ("uint256", "address"), ())
_OPEN_CHALLENGE = Function(
    "open_challenge",
    bytes.fromhex("1ac9fe99"),
    ("uint256", "uint256", BILL_TYPE, PATH_TYPE, LINE_TYPE + "[]", "uint256", PERSON_SIGNATURE_TYPE),
    (),
)
_ANSWER = Function(
    "answer",
    bytes.fromhex("2af13339"),
    ("uint256", "uint256", "uint256", LINE_TYPE, "bytes32", HEAD_TYPE, SPANS_TYPE, SPANS_TYPE),
    (),
)
_CORRECT_SUM = Function(
    "correct_sum",
    bytes.fromhex("34965097"),
    ("uint256", "uint256", BILL_TYPE, PATH_TYPE, LINE_TYPE + "[]"),
    (),
)
_REVERSE = Function("reverse", bytes.fromhex("621c7fcd"), ("uint256", "uint256", "uint256"), ())
_PERIOD = Function("period", bytes.fromhex("d4b08aee"), ("uint256",), ("(bytes32,uint256,uint256,uint256,uint256)",))
_ACCOUNT = Function("account", bytes.fromhex("2dd7c658"), ("uint256",), ("uint256", "uint256", "uint256"))
_CHALLENGE = Function(
    "challenge",
    bytes.fromhex("1fc6e296"),
    ("uint256", "uint256", "uint256"),
    ("(uint256,uint256,uint256,uint256,bytes32)",),
)
_STATUS = Function("status", bytes.fromhex("b3dd803a"), ("uint256", "uint256"), ("bool", "bool", "uint256"))
_FUNDS = Function("funds", bytes.fromhex("c89f2ce4"), (), ("uint256", "uint256", "uint256", "uint256"))
_TERMS = Function("terms", bytes.fromhex("d5025625"), (), ("uint256", "uint256", "uint256", "uint256"))
_TARIFFS = Function("tariffs", bytes.fromhex("79073d58"), (), ("address",))
_COLLECTED = Function("collected", bytes.fromhex("84bcefd4"), (), ("uint256",))


@dataclass(frozen=True, slots=True)
class Period:
    """A closed period; zeros while it is not closed."""

    root: bytes
    sums: int  # the word of `contracts.bill.Amounts`
    unit_count: int
    closed_at: int  # Unix seconds
    window_end: int  # last second in which a line may be challenged


@dataclass(frozen=True, slots=True)
class Account:
    """A unit's prepaid account."""

    balance: int  # fen
    cap: int  # largest bill that may be debited, 0: none
    nonce: int  # last one used


@dataclass(frozen=True, slots=True)
class Challenge:
    """State of one line's challenge."""

    state: int  # 0 none, 1 open, 2 answered, 3 reversed
    amount: int  # as billed
    charge: int  # as it stands
    deadline: int  # last second for an answer
    line_digest: bytes


@dataclass(frozen=True, slots=True)
class BillStatus:
    """State of one unit's bill."""

    is_paid: bool
    is_challenged: bool
    reduction: int  # fen taken off the bill's total


@dataclass(frozen=True, slots=True)
class Funds:
    """What the contract holds beside balances and collected fees."""

    bond: int
    deposits: int
    open_challenges: int
    last_window_end: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What was fixed at deployment."""

    challenge_window: int  # seconds
    answer_window: int  # seconds
    bond_floor: int  # fen
    deposit: int  # fen


def deploy(
    bytecode: bytes,
    *,
    registry: str,
    tariffs: str,
    token: str,
    challenge_window: int,
    answer_window: int,
    bond_floor: int,
    deposit: int,
    verifier: str,
) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    arguments = encode_arguments(
        "UsageFees",
        ("address", "address", "address", "uint256", "uint256", "uint256", "uint256", "address"),
        (
            registry,
            tariffs,
            token,
            challenge_window,
            answer_window,
            bond_floor,
            deposit,
            verifier,
        ),
    )
    return bytecode + arguments


def post_bond(to: str, *, amount: int) -> Call:
    """Add to the bond that answers for wrong bills. Anyone may."""
    return _POST_BOND.call(to, amount)


def withdraw_bond(to: str, *, amount: int, recipient: str) -> Call:
    """The operator takes bond back while nobody can challenge and nothing is under challenge."""
    return _WITHDRAW_BOND.call(to, amount, recipient)


def close_period(to: str, *, period: int, root: bytes, sums: int, unit_count: int) -> Call:
    """The operator posts the root of the period's bill tree, one leaf for each unit of the roll.

    Args:
        period: Opening date * 10^8 + closing date.
        sums: Sums of all bills: total, own use, shared, other.
    """
    return _CLOSE_PERIOD.call(to, period, root, sums, unit_count)


def top_up(to: str, *, unit_index: int, amount: int) -> Call:
    """Add to a unit's prepaid balance. Anyone may."""
    return _TOP_UP.call(to, unit_index, amount)


def withdraw(to: str, *, amount: int, recipient: str, signature: PersonSignature) -> Call:
    """The owner takes from the unit's balance. Anyone may relay it."""
    return _WITHDRAW.call(to, amount, recipient, signature.abi())


def set_mandate(to: str, *, cap: int, signature: PersonSignature) -> Call:
    """The owner allows debits of bills up to the cap; zero stops them. Anyone may relay it."""
    return _SET_MANDATE.call(to, cap, signature.abi())


def debit(to: str, *, period: int, first_index: int, bills: Sequence[Bill], path: Sequence[Node]) -> Call:
    """Take the bills of an aligned block of units from their balances, after the window.

    Anyone may trigger it. Bills that are paid, challenged, above the mandate or above the balance are left for
    later.

    Args:
        bills: All bills of the block, so that one path proves them.
        path: Siblings of the block's top, from below.
    """
    return _DEBIT.call(to, period, first_index, [item.abi() for item in bills], [item.abi() for item in path])


def pay(to: str, *, period: int, unit_index: int, bill: Bill, path: Sequence[Node]) -> Call:
    """Pay a bill as it stands. Anyone may, at any time."""
    return _PAY.call(to, period, unit_index, bill.abi(), [item.abi() for item in path])


def collect(to: str, *, amount: int, recipient: str) -> Call:
    """The operator takes what was paid."""
    return _COLLECT.call(to, amount, recipient)


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


def answer(
    to: str,
    *,
    period: int,
    unit_index: int,
    number: int,
    line: Line,
    origin_id: bytes,
    head: Head,
    before: Sequence[Span],
    during: Sequence[Span],
) -> Call:
    """Answer a challenge with boundary entries under one accepted head. Anyone may.

    The contract recomputes the line and corrects it at once. Later answers count only where they lower the
    charge.

    Args:
        before: From the line's `since` to the opening, for tariffs by year; two spans where a meter was
            swapped.
        during: From the opening to the closing; two spans where a meter was swapped.
    """
    return _ANSWER.call(
        to,
        period,
        unit_index,
        number,
        line.abi(),
        origin_id,
        head.abi(),
        [item.abi() for item in before],
        [item.abi() for item in during],
    )


def correct_sum(
    to: str, *, period: int, unit_index: int, bill: Bill, path: Sequence[Node], lines: Sequence[Line]
) -> Call:
    """A bill that asks for more than its lines add up to falls to their sum at once. Anyone may show it."""
    return _CORRECT_SUM.call(
        to, period, unit_index, bill.abi(), [item.abi() for item in path], [item.abi() for item in lines]
    )


def reverse(to: str, *, period: int, unit_index: int, number: int) -> Call:
    """A challenge that nobody answered in time reverses the line. Anyone may trigger it."""
    return _REVERSE.call(to, period, unit_index, number)


def period(to: str, *, period: int) -> Call:
    """A closed period; zeros while it is not."""
    return _PERIOD.call(to, period)


def parse_period(result: bytes) -> Period:
    """The result of `period`."""
    return Period(*_PERIOD.decode(result)[0])


def account(to: str, *, unit_index: int) -> Call:
    """A unit's balance, the cap of its mandate, and the last nonce it used."""
    return _ACCOUNT.call(to, unit_index)


def parse_account(result: bytes) -> Account:
    """The result of `account`."""
    return Account(*_ACCOUNT.decode(result))


def challenge(to: str, *, period: int, unit_index: int, number: int) -> Call:
    """State of a line's challenge: 0 none, 1 open, 2 answered, 3 reversed."""
    return _CHALLENGE.call(to, period, unit_index, number)


def parse_challenge(result: bytes) -> Challenge:
    """The result of `challenge`."""
    return Challenge(*_CHALLENGE.decode(result)[0])


def status(to: str, *, period: int, unit_index: int) -> Call:
    """Whether a bill is paid, whether it is under challenge, and by how much it was reduced."""
    return _STATUS.call(to, period, unit_index)


def parse_status(result: bytes) -> BillStatus:
    """The result of `status`."""
    return BillStatus(*_STATUS.decode(result))


def funds(to: str) -> Call:
    """Bond, deposits of open challenges, their number, and the end of the last challenge window."""
    return _FUNDS.call(to)


def parse_funds(result: bytes) -> Funds:
    """The result of `funds`."""
    return Funds(*_FUNDS.decode(result))


def terms(to: str) -> Call:
    """Challenge window and answer window (seconds), bond floor and deposit (fen)."""
    return _TERMS.call(to)


def parse_terms(result: bytes) -> Terms:
    """The result of `terms`."""
    return Terms(*_TERMS.decode(result))


def tariffs(to: str) -> Call:
    """Where tariffs are announced and challenged lines recomputed."""
    return _TARIFFS.call(to)


def parse_tariffs(result: bytes) -> str:
    """The result of `tariffs`: an address."""
    value: str = _TARIFFS.decode(result)[0]
    return value


def collected(to: str) -> Call:
    """Collected."""
    return _COLLECTED.call(to)


def parse_collected(result: bytes) -> int:
    """The result of `collected`."""
    value: int = _COLLECTED.decode(result)[0]
    return value
