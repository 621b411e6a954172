"""UsageFees: periods, balances, payment and the bond (UsageFees.vy); disputes are in `challenges`."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.abi import Call, Function, encode_arguments
from contracts.bill import BILL_TYPE, NODE_TYPE, Bill, Node
from contracts.person import PERSON_SIGNATURE_TYPE, PersonSignature

PATH_TYPE = NODE_TYPE + "[]"

_POST_BOND = Function("post_bond", bytes.fromhex("f9882fba"), ("uint256",), ())
_WITHDRAW_BOND = Function("withdraw_bond", bytes.fromhex("7b8e6e6a"), ("uint256", "address"), ())
_CLOSE_PERIOD = Function("close_period", bytes.fromhex("a1f1d339"), ("uint256", "bytes32", "uint256", "uint256"), ())
_SUPERSEDE = Function("supersede", bytes.fromhex("bb0292ff"), ("uint256", "bytes32", "uint256", "bytes32"), ())
_TOP_UP = Function("top_up", bytes.fromhex("bed10b72"), ("uint256", "uint256"), ())
_WITHDRAW = Function("withdraw", bytes.fromhex("b8542b95"), ("uint256", "address", PERSON_SIGNATURE_TYPE), ())
_SET_MANDATE = Function("set_mandate", bytes.fromhex("6c7f55e7"), ("uint256", PERSON_SIGNATURE_TYPE), ())
_MOVE = Function("move", bytes.fromhex("b8c3e161"), ("uint256", "uint256", PERSON_SIGNATURE_TYPE), ())
_LEAVE = Function("leave", bytes.fromhex("dbdf6bd1"), ("uint256", "bytes32", "address", PERSON_SIGNATURE_TYPE), ())
_CLOSE_ACCOUNT = Function("close_account", bytes.fromhex("791002fa"), ("uint256", "uint256"), ())
_DEBIT = Function("debit", bytes.fromhex("ff156f0e"), ("uint256", "uint256", BILL_TYPE + "[]", PATH_TYPE), ())
_PAY = Function("pay", bytes.fromhex("02c2f41b"), ("uint256", "uint256", BILL_TYPE, PATH_TYPE), ())
_PRESENT_RECEIPT = Function(
    "present_receipt",
    bytes.fromhex("1b74dbdd"),
    ("uint256", "uint256", BILL_TYPE, PATH_TYPE, "uint256", "bytes32", PERSON_SIGNATURE_TYPE),
    (),
)
_CREDIT = Function("credit", bytes.fromhex("2ee206a6"), ("uint256", "uint256", "bytes32"), ())
_COLLECT = Function("collect", bytes.fromhex("8d3c100a"), ("uint256", "address"), ())
_HOLD = Function("hold", bytes.fromhex("f98d972b"), ("uint256", "uint256"), ())
_SETTLE = Function(
    "settle", bytes.fromhex("85613cc5"), ("uint256", "uint256", "uint256", "uint256", "uint256", "bool"), ()
)
_CREDIT_MISSING = Function("credit_missing", bytes.fromhex("bc8a41a2"), ("uint256", "uint256"), ())
_SET_SILENT = Function("set_silent", bytes.fromhex("1fcf24d3"), ("uint256", "uint256", "bool"), ())
_CLAIM = Function("claim", bytes.fromhex("379607f5"), ("uint256",), ())
_PERIOD = Function(
    "period", bytes.fromhex("d4b08aee"), ("uint256",), ("(bytes32,uint256,uint256,uint256,uint256,uint256,uint256)",)
)
_ACCOUNT = Function("account", bytes.fromhex("2dd7c658"), ("uint256",), ("uint256", "uint256", "uint256"))
_STATUS = Function("status", bytes.fromhex("b3dd803a"), ("uint256", "uint256"), ("bool", "bool", "uint256"))
_NOTE = Function("note", bytes.fromhex("423b7971"), ("bytes32",), ("uint256", "uint256"))
_MOVING_OUT = Function("moving_out", bytes.fromhex("71ec6e07"), ("uint256",), ("(uint256,bytes32,address)",))
_FUNDS = Function("funds", bytes.fromhex("c89f2ce4"), (), ("uint256", "uint256", "uint256", "uint256"))
_TARIFFS = Function("tariffs", bytes.fromhex("79073d58"), (), ("address",))
_TERMS = Function("terms", bytes.fromhex("d5025625"), (), ("uint256", "uint256", "uint256", "uint256"))
_OWED = Function("owed", bytes.fromhex("b1276604"), ("uint256",), ("uint256",))
_COLLECTED = Function("collected", bytes.fromhex("84bcefd4"), (), ("uint256",))


@dataclass(frozen=True, slots=True)
class Period:
    """A closed period; zeros while it is not closed."""

    root: bytes
    sums: int  # the word of `contracts.bill.Amounts`
    unit_count: int
    closed_at: int  # Unix seconds
    window_end: int  # last second in which a line may be challenged
    total_area: int = 0  # 0.01 m2 of the roll at closing
    corrections: int = 0  # how often the period was superseded


@dataclass(frozen=True, slots=True)
class Account:
    """A unit's prepaid account."""

    balance: int  # fen
    cap: int  # largest bill that may be debited, 0: none
    nonce: int  # last one used


@dataclass(frozen=True, slots=True)
class Leaving:
    """The final reading that an account waits for; zeros where nobody moves out."""

    date: int
    reading: bytes
    to: str


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
    challenge_window: int,
    answer_window: int,
    bond_floor: int,
    deposit: int,
    verifier: str,
) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    values = (registry, challenge_window, answer_window, bond_floor, deposit, verifier)
    return bytecode + encode_arguments("UsageFees", ("address", *("uint256",) * 4, "address"), values)


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


def move(to: str, *, to_index: int, amount: int, signature: PersonSignature) -> Call:
    """The owner moves from the unit's balance to another unit's. Anyone may relay it."""
    return _MOVE.call(to, to_index, amount, signature.abi())


def leave(to: str, *, date: int, reading: bytes, recipient: str, signature: PersonSignature) -> Call:
    """The owner moves out with a final reading. Anyone may relay it.

    Args:
        date: Boundary date of the final reading; 0 takes the announcement back.
        reading: Leaf hash of the final boundary entry.
    """
    return _LEAVE.call(to, date, reading, recipient, signature.abi())


def close_account(to: str, *, unit_index: int, period: int) -> Call:
    """Pay out the balance of who moved out, once the bill that reaches the final reading is paid."""
    return _CLOSE_ACCOUNT.call(to, unit_index, period)


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


def present_receipt(
    to: str,
    *,
    period: int,
    unit_index: int,
    bill: Bill,
    path: Sequence[Node],
    amount: int,
    receipt: bytes,
    signature: PersonSignature,
) -> Call:
    """A cashier's signed receipt for a bill that was paid off chain; anyone, first of all the owner, presents it.

    Args:
        receipt: SHA-256 of the receipt.
        signature: The cashier's, over period, unit index, amount and receipt.
    """
    nodes = [item.abi() for item in path]
    return _PRESENT_RECEIPT.call(to, period, unit_index, bill.abi(), nodes, amount, receipt, signature.abi())


def credit(to: str, *, unit_index: int, amount: int, note: bytes) -> Call:
    """The operator gives a credit note: from what is collected to the unit's balance, at once."""
    return _CREDIT.call(to, unit_index, amount, note)


def supersede(to: str, *, period: int, root: bytes, sums: int, document: bytes) -> Call:
    """The operator corrects a whole period in public, with a new window, while no bill of it is paid or challenged."""
    return _SUPERSEDE.call(to, period, root, sums, document)


def collect(to: str, *, amount: int, recipient: str) -> Call:
    """The operator takes what was paid."""
    return _COLLECT.call(to, amount, recipient)


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


def note(to: str, *, digest: bytes) -> Call:
    """Unit index + 1 and amount of a credit note; zeros where none was given."""
    return _NOTE.call(to, digest)


def parse_note(result: bytes) -> tuple[int, int]:
    """The result of `note`."""
    owner, amount = _NOTE.decode(result)
    return owner, amount


def moving_out(to: str, *, unit_index: int) -> Call:
    """The final reading that a unit's account waits for."""
    return _MOVING_OUT.call(to, unit_index)


def parse_moving_out(result: bytes) -> Leaving:
    """The result of `moving_out`."""
    return Leaving(*_MOVING_OUT.decode(result)[0])


def claim(to: str, *, unit_index: int) -> Call:
    """Pay from the bond what it could not pay when the unit won it. Anyone may trigger it."""
    return _CLAIM.call(to, unit_index)


def owed(to: str, *, unit_index: int) -> Call:
    """What the bond could not pay the unit yet."""
    return _OWED.call(to, unit_index)


def parse_owed(result: bytes) -> int:
    """The result of `owed`, in fen."""
    value: int = _OWED.decode(result)[0]
    return value


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
