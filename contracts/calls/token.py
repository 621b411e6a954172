"""Token: the ERC-20 of demonstration and tests, and the calls that any ERC-20 takes (Token.vy)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from contracts.abi import Call, EventForm, Function, encode_arguments, event_table, parse_log

_MINT = Function("mint", bytes.fromhex("40c10f19"), ("address", "uint256"), ())
_TRANSFER = Function("transfer", bytes.fromhex("a9059cbb"), ("address", "uint256"), ("bool",))
_TRANSFER_FROM = Function("transferFrom", bytes.fromhex("23b872dd"), ("address", "address", "uint256"), ("bool",))
_APPROVE = Function("approve", bytes.fromhex("095ea7b3"), ("address", "uint256"), ("bool",))
_NAME = Function("name", bytes.fromhex("06fdde03"), (), ("string",))
_SYMBOL = Function("symbol", bytes.fromhex("95d89b41"), (), ("string",))
_DECIMALS = Function("decimals", bytes.fromhex("313ce567"), (), ("uint8",))
_TOTAL_SUPPLY = Function("totalSupply", bytes.fromhex("18160ddd"), (), ("uint256",))
_BALANCE_OF = Function("balanceOf", bytes.fromhex("70a08231"), ("address",), ("uint256",))
_ALLOWANCE = Function("allowance", bytes.fromhex("dd62ed3e"), ("address", "address"), ("uint256",))


@dataclass(frozen=True, slots=True)
class Transfer:
    """Units moved."""

    FORM: ClassVar[EventForm] = EventForm(
        "Transfer",
        bytes.fromhex("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"),
        ("address", "address"),
        ("uint256",),
    )

    sender: str
    receiver: str
    value: int


@dataclass(frozen=True, slots=True)
class Approval:
    """An allowance was set."""

    FORM: ClassVar[EventForm] = EventForm(
        "Approval",
        bytes.fromhex("8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"),
        ("address", "address"),
        ("uint256",),
    )

    owner: str
    spender: str
    value: int


Event = Transfer | Approval

_EVENTS = event_table(Transfer, Approval)


def parse_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event that a log of this contract carries; None if none of these. Raises AbiError if malformed."""
    event: Event | None = parse_log(_EVENTS, topics, data)
    return event


def deploy(bytecode: bytes, *, name: str, symbol: str, minter: str) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    arguments = encode_arguments(
        "Token",
        ("string", "string", "address"),
        (
            name,
            symbol,
            minter,
        ),
    )
    return bytecode + arguments


def mint(to: str, *, recipient: str, amount: int) -> Call:
    """Create units. Only the minter."""
    return _MINT.call(to, recipient, amount)


def transfer(to: str, *, recipient: str, amount: int) -> Call:
    """Move the caller's units."""
    return _TRANSFER.call(to, recipient, amount)


def transfer_from(to: str, *, owner: str, recipient: str, amount: int) -> Call:
    """Move units within an allowance."""
    return _TRANSFER_FROM.call(to, owner, recipient, amount)


def approve(to: str, *, spender: str, amount: int) -> Call:
    """Let another move up to so many of the caller's units."""
    return _APPROVE.call(to, spender, amount)


def name(to: str) -> Call:
    """The token's name."""
    return _NAME.call(to)


def parse_name(result: bytes) -> str:
    """The result of `name`."""
    value: str = _NAME.decode(result)[0]
    return value


def symbol(to: str) -> Call:
    """The token's symbol."""
    return _SYMBOL.call(to)


def parse_symbol(result: bytes) -> str:
    """The result of `symbol`."""
    value: str = _SYMBOL.decode(result)[0]
    return value


def decimals(to: str) -> Call:
    """Decimal places of the unit that people speak of."""
    return _DECIMALS.call(to)


def parse_decimals(result: bytes) -> int:
    """The result of `decimals`."""
    value: int = _DECIMALS.decode(result)[0]
    return value


def total_supply(to: str) -> Call:
    """All units that exist."""
    return _TOTAL_SUPPLY.call(to)


def parse_total_supply(result: bytes) -> int:
    """The result of `total_supply`."""
    value: int = _TOTAL_SUPPLY.decode(result)[0]
    return value


def balance_of(to: str, *, account: str) -> Call:
    """What an account holds."""
    return _BALANCE_OF.call(to, account)


def parse_balance_of(result: bytes) -> int:
    """The result of `balance_of`."""
    value: int = _BALANCE_OF.decode(result)[0]
    return value


def allowance(to: str, *, owner: str, spender: str) -> Call:
    """What a spender may still move of an owner's units."""
    return _ALLOWANCE.call(to, owner, spender)


def parse_allowance(result: bytes) -> int:
    """The result of `allowance`."""
    value: int = _ALLOWANCE.decode(result)[0]
    return value
