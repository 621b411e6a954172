"""ReserveFund: purses, households, budgets, payments and what must be disclosed (ReserveFund.vy)."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.abi import Call, Function, by_field, encode_arguments, padded
from contracts.fund import (
    BUDGET_TYPE,
    ORDER_TYPE,
    TERMS_TYPE,
    Budget,
    Epoch,
    Household,
    Order,
    Place,
    Pot,
    Report,
    Terms,
)

_ENTER = Function("enter", bytes.fromhex("a59f3e0c"), ("uint256",), ())
_DEPOSIT = Function("deposit", bytes.fromhex("036c7955"), ("uint256", "uint256[]", "uint256[]"), ())
_CREDIT = Function("credit", bytes.fromhex("2ee206a6"), ("uint256", "uint256", "bytes32"), ())
_RECORD_INCOME = Function(
    "record_income", bytes.fromhex("6db1cf00"), ("uint256", "bytes32", "uint256", "uint256", "bytes32"), ()
)
_CREDIT_SURPLUS = Function("credit_surplus", bytes.fromhex("a377f797"), (), ())
_OPEN_BUDGET = Function("open_budget", bytes.fromhex("aa670d87"), ("uint256", BUDGET_TYPE), ())
_STOP_BUDGET = Function("stop_budget", bytes.fromhex("2f957094"), ("uint256",), ())
_MOVE_INCOME = Function("move_income", bytes.fromhex("b91f2d5f"), ("uint256", "uint256", "uint256", "bytes32"), ())
_RAISE_FUND = Function(
    "raise_fund", bytes.fromhex("dbe01817"), ("uint256", "uint256", "uint256", "uint256", "bytes32"), ()
)
_RATIFY = Function("ratify", bytes.fromhex("d1366034"), ("uint256", "uint256"), ())
_PROPOSE = Function("propose", bytes.fromhex("e2ded4a5"), (ORDER_TYPE,), ("uint256",))
_APPROVE = Function("approve", bytes.fromhex("3c64f254"), ("uint256", ORDER_TYPE), ())
_DRAW = Function("draw", bytes.fromhex("d2b8035a"), ("uint256", "uint256"), ())
_PUT_BACK = Function("put_back", bytes.fromhex("51f8a644"), ("uint256", "uint256"), ())
_REPAY = Function("repay", bytes.fromhex("371fd8e6"), ("uint256",), ())
_DISCLOSE = Function("disclose", bytes.fromhex("c20b5464"), ("uint256", "bytes32"), ())
_FLAG_OVERDUE = Function("flag_overdue", bytes.fromhex("e7b47901"), ("uint256",), ())
_NOTIFY_TOP_UP = Function("notify_top_up", bytes.fromhex("ca1d2fdb"), ("uint256",), ())
_TERMS = Function("terms", bytes.fromhex("d5025625"), (), (TERMS_TYPE,))
_PARTS = Function("parts", bytes.fromhex("b47e9c79"), (), ("address", "address", "address"))
_PURSE = Function("purse", bytes.fromhex("62b25164"), ("uint256",), ("uint256", "uint256", "uint256"))
_PLACE = Function("place", bytes.fromhex("b52b50e4"), ("uint256",), ("uint256", "uint256", "uint256", "uint256"))
_EPOCH = Function("epoch", bytes.fromhex("f9bdd651"), ("uint256", "uint256"), ("uint256", "uint256", "uint256"))
_HOUSEHOLD = Function(
    "household", bytes.fromhex("2097b11a"), ("uint256", "uint256", "uint256"), ("(uint256,uint256,uint256)",)
)
_BUDGET = Function("budget", bytes.fromhex("ab52bde9"), ("uint256",), (BUDGET_TYPE, "uint256", "bool"))
_EMERGENCY = Function("emergency", bytes.fromhex("e5c30120"), ("uint256",), ("uint256", "uint256", "uint256"))
_UNRATIFIED = Function("unratified", bytes.fromhex("8598d123"), ("uint256",), ("uint256[]", "uint256", "bool"))
_DUE = Function("due", bytes.fromhex("6ff50b3f"), ("uint256",), ("uint256", "uint256", "uint256", "bool"))
_ENTERED = Function("entered", bytes.fromhex("a77f05e9"), (), ("uint256",))
_AREAS = Function("areas", bytes.fromhex("9b2c6125"), ("uint256",), ("uint256",))
_EPOCH_COUNT = Function("epoch_count", bytes.fromhex("7c6e426a"), ("uint256",), ("uint256",))
_ACCOUNTED = Function("accounted", bytes.fromhex("19f8dcf1"), (), ("uint256",))
_EXECUTED = Function("executed", bytes.fromhex("a9fcfb33"), ("bytes32",), ("bool",))
_ORDER_COUNT = Function("order_count", bytes.fromhex("2a1f1199"), (), ("uint256",))
_CALLED_RATES = Function("called_rates", bytes.fromhex("0ff4a7e7"), ("uint256",), ("uint256",))
_NOTICED_AT = Function("noticed_at", bytes.fromhex("73f8cea2"), ("uint256",), ("uint256",))


@dataclass(frozen=True, slots=True)
class Parts:
    """Contracts that it works with."""

    roll: str
    assembly: str
    token: str


@dataclass(frozen=True, slots=True)
class Purse:
    """What a purse holds, in fen."""

    fund: int
    income: int
    first_amount: int  # what its units owed to it at first


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """A budget without its document, and how it stands."""

    budget: Budget
    spent: int
    is_stopped: bool


@dataclass(frozen=True, slots=True)
class Emergency:
    """Emergency spending that is not ratified; zeros otherwise."""

    amount: int
    purse: int
    deadline: int  # Unix seconds


@dataclass(frozen=True, slots=True)
class Unratified:
    """Emergency spending of a purse that is not ratified."""

    numbers: tuple[int, ...]
    total: int
    is_late: bool  # one is past its deadline: no more until owners ratify it or it is paid back


@dataclass(frozen=True, slots=True)
class Due:
    """The next report of a kind."""

    opening: int  # boundary dates of its period
    closing: int
    due_at: int  # last second in time
    is_flagged: bool


def deploy(bytecode: bytes, *, registry: str, terms: Terms) -> bytes:
    """Creation data: the compiled bytecode with its constructor's arguments."""
    return bytecode + encode_arguments("ReserveFund", ("address", TERMS_TYPE), (registry, terms.abi()))


def enter(to: str, *, count: int) -> Call:
    """Give the next units of the roll, in its order, their places among the households. Anyone may; once a unit."""
    return _ENTER.call(to, count)


def deposit(to: str, *, purse: int, indexes: Sequence[int], amounts: Sequence[int]) -> Call:
    """Pay in for units, into the site's purse or that of their building. Anyone may."""
    return _DEPOSIT.call(to, purse, indexes, amounts)


def credit(to: str, *, purse: int, amount: int, document: bytes) -> Call:
    """Pay in for all units of a purse, by area: interest, a refund, a grant. Anyone may."""
    return _CREDIT.call(to, purse, amount, document)


def record_income(to: str, *, purse: int, source: str, gross: int, cost: int, document: bytes) -> Call:
    """Pay in what common parts earned, net of its cost. Anyone may; only the manager keeps a cost, under the cap."""
    return _RECORD_INCOME.call(to, purse, padded(source), gross, cost, document)


def credit_surplus(to: str) -> Call:
    """Tokens that were sent here without a call go to the site's fund. Anyone may trigger it."""
    return _CREDIT_SURPLUS.call(to)


def open_budget(to: str, *, resolution: int, budget: Budget) -> Call:
    """Carry out a resolution that gives a budget. Anyone may, after the public delay."""
    return _OPEN_BUDGET.call(to, resolution, budget.abi())


def stop_budget(to: str, *, resolution: int) -> Call:
    """The committee ends a budget at once; what is not spent stays in the purse."""
    return _STOP_BUDGET.call(to, resolution)


def move_income(to: str, *, resolution: int, purse: int, amount: int, document: bytes) -> Call:
    """Carry out a resolution that moves a purse's income into its fund. Anyone may, after the public delay."""
    return _MOVE_INCOME.call(to, resolution, purse, amount, document)


def raise_fund(to: str, *, resolution: int, purse: int, rate: int, due_at: int, document: bytes) -> Call:
    """Carry out a resolution that calls in `rate` fen per m2 from every unit: a claim, no debit."""
    return _RAISE_FUND.call(to, resolution, purse, rate, due_at, document)


def ratify(to: str, *, resolution: int, number: int) -> Call:
    """Carry out a resolution that agrees with emergency spending. Anyone may, after the public delay."""
    return _RATIFY.call(to, resolution, number)


def propose(to: str, *, order: Order) -> Call:
    """Manager or committee asks for a payment from a budget, or in an emergency; the other one approves."""
    return _PROPOSE.call(to, order.abi())


def approve(to: str, *, number: int, order: Order) -> Call:
    """The other party agrees, and the payee is paid at once."""
    return _APPROVE.call(to, number, order.abi())


def draw(to: str, *, resolution: int, amount: int) -> Call:
    """The contract that a budget names as its payee takes a part."""
    return _DRAW.call(to, resolution, amount)


def put_back(to: str, *, resolution: int, amount: int) -> Call:
    """The payee of a budget returns a part that it did not need, at any time."""
    return _PUT_BACK.call(to, resolution, amount)


def repay(to: str, *, number: int) -> Call:
    """Pay emergency spending back in full, so that it needs no resolution. Anyone may."""
    return _REPAY.call(to, number)


def disclose(to: str, *, kind: Report, document: bytes) -> Call:
    """Manager or committee publishes the report on the next period of its kind, once that is over."""
    return _DISCLOSE.call(to, int(kind), document)


def flag_overdue(to: str, *, kind: Report) -> Call:
    """Put on record that a report is overdue. Anyone may; once for each period."""
    return _FLAG_OVERDUE.call(to, int(kind))


def notify_top_up(to: str, *, purse: int) -> Call:
    """Put on record that a fund is so low that owners must top up. Anyone may; at most every 30 days."""
    return _NOTIFY_TOP_UP.call(to, purse)


def terms(to: str) -> Call:
    """What was fixed at deployment."""
    return _TERMS.call(to)


def parse_terms(result: bytes) -> Terms:
    """The result of `terms`."""
    return by_field(Terms, _TERMS.decode(result)[0])


def parts(to: str) -> Call:
    """Roll, Assembly and token that it works with."""
    return _PARTS.call(to)


def parse_parts(result: bytes) -> Parts:
    """The result of `parts`."""
    return Parts(*_PARTS.decode(result))


def purse(to: str, *, purse: int) -> Call:
    """A purse's fund and income, and the first amount that its units owed to it."""
    return _PURSE.call(to, purse)


def parse_purse(result: bytes) -> Purse:
    """The result of `purse`."""
    return Purse(*_PURSE.decode(result))


def place(to: str, *, index: int) -> Call:
    """Where a unit stands among the households."""
    return _PLACE.call(to, index)


def parse_place(result: bytes) -> Place:
    """The result of `place`."""
    return Place(*_PLACE.decode(result))


def epoch(to: str, *, purse: int, number: int) -> Call:
    """While the roll stood still: area, and what was credited and spent by area."""
    return _EPOCH.call(to, purse, number)


def parse_epoch(result: bytes) -> Epoch:
    """The result of `epoch`."""
    return Epoch(*_EPOCH.decode(result))


def household(to: str, *, purse: int, index: int, first_epoch: int = 0) -> Call:
    """A unit's account in a purse, with its shares of 64 epochs from `first_epoch`."""
    return _HOUSEHOLD.call(to, purse, index, first_epoch)


def parse_household(result: bytes) -> Household:
    """The result of `household`."""
    return Household(*_HOUSEHOLD.decode(result)[0])


def budget(to: str, *, resolution: int) -> Call:
    """A budget without its document, what was spent of it, and whether the committee stopped it."""
    return _BUDGET.call(to, resolution)


def parse_budget(result: bytes) -> BudgetStatus:
    """The result of `budget`."""
    found, spent, is_stopped = _BUDGET.decode(result)
    purse, pot, amount, payee, is_drawn, until, document = found
    budget = Budget(
        purse=purse, pot=Pot(pot), amount=amount, payee=payee, is_drawn=is_drawn, until=until, document=document
    )
    return BudgetStatus(budget, spent, is_stopped)


def emergency(to: str, *, number: int) -> Call:
    """Amount, purse and deadline of emergency spending that is not ratified; zeros otherwise."""
    return _EMERGENCY.call(to, number)


def parse_emergency(result: bytes) -> Emergency:
    """The result of `emergency`."""
    return Emergency(*_EMERGENCY.decode(result))


def unratified(to: str, *, purse: int) -> Call:
    """Emergency spending of a purse that is not ratified: numbers, sum, and whether one is past its deadline."""
    return _UNRATIFIED.call(to, purse)


def parse_unratified(result: bytes) -> Unratified:
    """The result of `unratified`."""
    return Unratified(*_UNRATIFIED.decode(result))


def due(to: str, *, kind: Report) -> Call:
    """The next report of a kind."""
    return _DUE.call(to, int(kind))


def parse_due(result: bytes) -> Due:
    """The result of `due`."""
    return Due(*_DUE.decode(result))


def entered(to: str) -> Call:
    """How many units of the roll have a place."""
    return _ENTERED.call(to)


def parse_entered(result: bytes) -> int:
    """The result of `entered`."""
    value: int = _ENTERED.decode(result)[0]
    return value


def areas(to: str, *, purse: int) -> Call:
    """Area of a purse's units, 0.01 m2."""
    return _AREAS.call(to, purse)


def parse_areas(result: bytes) -> int:
    """The result of `areas`."""
    value: int = _AREAS.decode(result)[0]
    return value


def epoch_count(to: str, *, purse: int) -> Call:
    """How many epochs a purse has."""
    return _EPOCH_COUNT.call(to, purse)


def parse_epoch_count(result: bytes) -> int:
    """The result of `epoch_count`."""
    value: int = _EPOCH_COUNT.decode(result)[0]
    return value


def accounted(to: str) -> Call:
    """Sum of all purses."""
    return _ACCOUNTED.call(to)


def parse_accounted(result: bytes) -> int:
    """The result of `accounted`."""
    value: int = _ACCOUNTED.decode(result)[0]
    return value


def executed(to: str, *, payload_digest: bytes) -> Call:
    """Whether a decision was carried out."""
    return _EXECUTED.call(to, payload_digest)


def parse_executed(result: bytes) -> bool:
    """The result of `executed`."""
    value: bool = _EXECUTED.decode(result)[0]
    return value


def order_count(to: str) -> Call:
    """How many payments were proposed."""
    return _ORDER_COUNT.call(to)


def parse_order_count(result: bytes) -> int:
    """The result of `order_count`."""
    value: int = _ORDER_COUNT.decode(result)[0]
    return value


def called_rates(to: str, *, purse: int) -> Call:
    """Fen per m2 called in since the first amount."""
    return _CALLED_RATES.call(to, purse)


def parse_called_rates(result: bytes) -> int:
    """The result of `called_rates`."""
    value: int = _CALLED_RATES.decode(result)[0]
    return value


def noticed_at(to: str, *, purse: int) -> Call:
    """When owners were last told to top up; 0 for never."""
    return _NOTICED_AT.call(to, purse)


def parse_noticed_at(result: bytes) -> int:
    """The result of `noticed_at`."""
    value: int = _NOTICED_AT.decode(result)[0]
    return value
