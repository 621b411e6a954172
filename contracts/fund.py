"""The owners' fund by the book: the arithmetic of ReserveFund.vy, its execution payloads, and the ledger that its
events rebuild.

Money is fen, areas are 0.01 m2. A purse is numbered: 0 for the whole site, else a building's number + 1. A household's
account in a purse is what was deposited for it and its telescoping share, by area, of all that the purse was credited
and spent while the roll stood still (an epoch), so that accounts always add up to the purse.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field
from enum import IntEnum
from hashlib import sha256
from typing import Any

from contracts.abi import encode_arguments, padded
from contracts.calls import reserve_fund_events as events
from contracts.errors import ContractsError

BASIS = 10_000
BUDGET_TYPE = "(uint256,uint256,uint256,address,bool,uint256,bytes32)"
ORDER_TYPE = "(uint256,uint256,uint256,address,bytes32,bytes32,bytes32,uint256)"
TERMS_TYPE = "(uint256,uint256,uint256,uint256,uint256,uint256,uint256[2],uint256,int256,uint256,uint256[3],uint256[3])"
SITE_PURSE = 0


class FundError(ContractsError):
    """Events or amounts that no ReserveFund can have given."""


class Pot(IntEnum):
    """What a budget is paid from."""

    FUND = 0
    INCOME = 1


class Report(IntEnum):
    """What must be disclosed, each on its own calendar."""

    FUND = 0
    INCOME = 1
    RECONCILIATION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A site's rules, fixed at deployment; they come from its data pack."""

    public_delay: int  # seconds between a resolution's result and its execution
    share_bp: int  # ten-thousandths of net income that go to the fund
    cost_bp: int  # ten-thousandths of gross income that may be kept as cost
    review_above: int  # fen; payments from larger budgets need a price review
    emergency_cap: int  # fen that may stand unratified in one purse
    ratify_within: int  # seconds
    first_rates: tuple[int, int]  # fen per m2 first collected: for the site's purse, for a building's
    notice_below_bp: int  # ten-thousandths of the first amount below which owners must top up
    utc_offset_seconds: int
    since: int  # boundary date on which the first disclosure periods begin
    months: tuple[int, int, int]  # length of a disclosure's period: fund, income, reconciliation
    grace_days: tuple[int, int, int]  # from its end until it is overdue

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        return astuple(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What owners resolved: who may be paid how much from which purse, until when."""

    purse: int
    pot: Pot
    amount: int
    payee: str
    is_drawn: bool  # the payee is a contract that draws by itself
    until: int  # Unix seconds
    document: bytes  # digest of what was decided

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        return (self.purse, int(self.pot), self.amount, self.payee, self.is_drawn, self.until, self.document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A payment that one party proposes and the other approves."""

    budget: int  # the resolution's number; 0 for emergency spending
    purse: int
    amount: int
    payee: str
    invoice: bytes  # digests of documents
    evidence: bytes  # of the works; of the emergency
    review: bytes = bytes(32)  # price review, zero where none is needed
    until: int  # Unix seconds; cannot be approved later

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        documents = (self.invoice, self.evidence, self.review)
        return (self.budget, self.purse, self.amount, self.payee, *documents, self.until)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a unit stands among the households."""

    area: int
    before: int  # area of the units before it on the site
    building_purse: int  # 0 while it is not entered
    before_in_building: int


@dataclass(frozen=True, slots=True)
class Epoch:
    """What was shared by area while the roll stood still."""

    area: int
    credited: int
    spent: int


@dataclass(frozen=True, slots=True)
class Household:
    """A unit's account in one purse."""

    deposited: int
    credited: int
    spent: int

    @property
    def balance(self) -> int:
        """Fen; below zero where money was spent for the unit and it did not pay."""
        return self.deposited + self.credited - self.spent


# --- Execution payloads ---


def _payload(action: str, chain_id: int, fund: str, types: Sequence[str], values: Sequence[Any]) -> bytes:
    head = ("bytes32", "uint256", "address")
    return encode_arguments(action, (*head, *types), (padded(action), chain_id, fund, *values))


def budget_payload(*, chain_id: int, fund: str, budget: Budget) -> bytes:
    """The words that a resolution passes (matter 5 for the fund, 8 for income) to open a budget."""
    return _payload("fund.budget", chain_id, fund, (BUDGET_TYPE,), (budget.abi(),))


def raise_payload(*, chain_id: int, fund: str, purse: int, rate: int, due_at: int, document: bytes) -> bytes:
    """The words that a resolution on matter 6 passes to call in `rate` fen per m2."""
    return _payload("fund.raise", chain_id, fund, ("uint256",) * 3 + ("bytes32",), (purse, rate, due_at, document))


def move_payload(*, chain_id: int, fund: str, purse: int, amount: int, document: bytes) -> bytes:
    """The words that a resolution on matter 8 passes to move income into the fund."""
    return _payload("fund.move", chain_id, fund, ("uint256", "uint256", "bytes32"), (purse, amount, document))


def ratify_payload(*, chain_id: int, fund: str, purse: int, number: int, amount: int) -> bytes:
    """The words that a resolution on matter 5 passes to agree with emergency spending."""
    return _payload("fund.ratify", chain_id, fund, ("uint256",) * 3, (purse, number, amount))


def payload_digest(payload: bytes) -> bytes:
    """What the Assembly keeps with the resolution."""
    return sha256(payload).digest()


# --- The ledger ---


def fund_share_of_income(net: int, share_bp: int) -> int:
    """Fen of net income that go to the fund, rounded up."""
    return -(-net * share_bp // BASIS)


def span_share(pool: int, before: int, area: int, total: int) -> int:
    """Telescoping share of a unit; nothing for one that joined the roll after the epoch."""
    start, end = min(before, total), min(before + area, total)
    return pool * end // total - pool * start // total


@dataclass(slots=True)
class PurseBook:
    """One purse."""

    fund: int = 0
    income: int = 0
    epochs: list[Epoch] = field(default_factory=list)
    deposits: dict[int, int] = field(default_factory=dict)
    called_rate: int = 0  # fen per m2 called in since the first amount


@dataclass(slots=True)
class BudgetBook:
    """One budget."""

    budget: Budget
    spent: int = 0
    is_stopped: bool = False


class Ledger:
    """All purses of a site, as the contract keeps them."""

    def __init__(self, share_bp: int) -> None:
        self.share_bp = share_bp
        self.places: list[Place] = []
        self.areas: dict[int, int] = {}
        self.purses: dict[int, PurseBook] = {}
        self.budgets: dict[int, BudgetBook] = {}
        self.emergencies: dict[int, tuple[int, int]] = {}  # order's number: purse, amount

    @property
    def total(self) -> int:
        """All money of all purses."""
        return sum(book.fund + book.income for book in self.purses.values())

    def purse(self, number: int) -> PurseBook:
        """A purse, empty at first."""
        return self.purses.setdefault(number, PurseBook())

    def area(self, purse: int) -> int:
        """Area of a purse's units."""
        return self.areas.get(purse, 0)

    def household(self, purse: int, index: int) -> Household:
        """A unit's account in a purse."""
        place, book = self.places[index], self.purse(purse)
        area = place.area if purse in (SITE_PURSE, place.building_purse) else 0
        before = place.before if purse == SITE_PURSE else place.before_in_building
        return Household(
            deposited=book.deposits.get(index, 0),
            credited=sum(span_share(epoch.credited, before, area, epoch.area) for epoch in book.epochs),
            spent=sum(span_share(epoch.spent, before, area, epoch.area) for epoch in book.epochs),
        )

    def enter(self, area: int, building_purse: int) -> None:
        """The next unit of the roll."""
        self.places.append(Place(area, self.area(SITE_PURSE), building_purse, self.area(building_purse)))
        for purse in (SITE_PURSE, building_purse):
            self.areas[purse] = self.area(purse) + area

    def deposit(self, purse: int, indexes: Sequence[int], amounts: Sequence[int]) -> None:
        """Money paid in for units."""
        book = self.purse(purse)
        for index, amount in zip(indexes, amounts, strict=True):
            book.deposits[index] = book.deposits.get(index, 0) + amount
            book.fund += amount

    def credit(self, purse: int, amount: int) -> None:
        """Money paid in for all units of a purse, by area."""
        self._accrue(purse, amount, 0)
        self.purse(purse).fund += amount

    def record_income(self, purse: int, net: int) -> int:
        """What common parts earned; returns what of it went to the fund."""
        to_fund = fund_share_of_income(net, self.share_bp)
        self.credit(purse, to_fund)
        self.purse(purse).income += net - to_fund
        return to_fund

    def move_income(self, purse: int, amount: int) -> None:
        """Income into the fund."""
        self._take_income(purse, amount)
        self.credit(purse, amount)

    def spend(self, resolution: int, amount: int) -> None:
        """A payment from a budget."""
        book = self.budgets[resolution]
        if book.spent + amount > book.budget.amount:
            raise FundError(f"budget {resolution}: {amount} fen are more than it has left")
        book.spent += amount
        take = self._take_fund if book.budget.pot is Pot.FUND else self._take_income
        take(book.budget.purse, amount)

    def put_back(self, resolution: int, amount: int) -> None:
        """A payee returns a part."""
        book = self.budgets[resolution]
        book.spent -= amount
        if book.budget.pot is Pot.FUND:
            self.credit(book.budget.purse, amount)
        else:
            self.purse(book.budget.purse).income += amount

    def spend_in_emergency(self, number: int, purse: int, amount: int) -> None:
        """Both parties spent without a resolution."""
        self._take_fund(purse, amount)
        self.emergencies[number] = (purse, amount)

    def repay(self, number: int) -> None:
        """Emergency spending was paid back."""
        self.credit(*self.emergencies.pop(number))

    def _accrue(self, purse: int, credited: int, spent: int) -> None:
        area, epochs = self.area(purse), self.purse(purse).epochs
        if area == 0:
            raise FundError(f"purse {purse} has no units")
        if not epochs or epochs[-1].area != area:
            epochs.append(Epoch(area, 0, 0))
        last = epochs[-1]
        epochs[-1] = Epoch(area, last.credited + credited, last.spent + spent)

    def _take_fund(self, purse: int, amount: int) -> None:
        book = self.purse(purse)
        if amount > book.fund:
            raise FundError(f"purse {purse}: {amount} fen are more than its fund of {book.fund}")
        self._accrue(purse, 0, amount)
        book.fund -= amount

    def _take_income(self, purse: int, amount: int) -> None:
        book = self.purse(purse)
        if amount > book.income:
            raise FundError(f"purse {purse}: {amount} fen are more than its income of {book.income}")
        book.income -= amount

    def apply(self, event: events.Event) -> None:
        """Follow one event. Raises FundError if the contract cannot have said it."""
        match event:
            case events.Entered():
                if event.index != len(self.places):
                    raise FundError(f"unit {event.index} is entered after {len(self.places)} units; events are missing")
                self.enter(event.area_centi_m2, event.building_purse)
            case events.Deposited():
                self.deposit(event.purse, event.indexes, event.amounts)
            case events.Credited():
                self.credit(event.purse, event.amount)
            case events.IncomeRecorded():
                if self.record_income(event.purse, event.gross - event.cost) != event.to_fund:
                    raise FundError(f"purse {event.purse}: {event.to_fund} fen are not the fund's share of the income")
            case events.IncomeMoved():
                self.move_income(event.purse, event.amount)
            case events.BudgetOpened():
                self.budgets[event.resolution] = BudgetBook(_budget_of(event))
            case events.BudgetStopped():
                self.budgets[event.resolution].is_stopped = True
            case events.Spent() if event.budget == 0:
                self.spend_in_emergency(event.number, event.purse, event.amount)
            case events.Spent() | events.Drawn():
                self.spend(event.budget, event.amount)
            case events.PutBack():
                self.put_back(event.budget, event.amount)
            case events.EmergencyRatified():
                del self.emergencies[event.number]
            case events.EmergencyRepaid():
                self.repay(event.number)
            case events.Raised():
                self.purse(event.purse).called_rate += event.rate
            case _:  # proposals, notices and reports move nothing
                pass


def _budget_of(event: events.BudgetOpened) -> Budget:
    return Budget(
        purse=event.purse,
        pot=Pot(event.pot),
        amount=event.amount,
        payee=event.payee,
        is_drawn=event.is_drawn,
        until=event.until,
        document=event.document,
    )


def replayed(share_bp: int, told: Iterable[events.Event]) -> Ledger:
    """The ledger that a contract's events give, in the order of the chain."""
    ledger = Ledger(share_bp)
    for event in told:
        ledger.apply(event)
    return ledger
