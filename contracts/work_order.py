"""Repair requests by the book: names of orders, how an order stands, what anyone may trigger, and the book that the
events of WorkOrders.vy rebuild.

What is wrong and where, photographs and receipts stay off the chain; a report, a reason and evidence are digests of
salted detail (`contracts.detail`).
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, replace
from enum import IntEnum, StrEnum
from hashlib import sha256
from typing import Any

from contracts.abi import padded
from contracts.calls import work_orders_events as events
from contracts.entry import Entry, encode_entry
from contracts.errors import ContractsError
from contracts.quantities import LIFT_ENTRAPMENT, LIFT_MODE, LIFT_STOPPED
from contracts.tree import leaf_hash

TERMS_TYPE = "(" + ",".join(["uint256"] * 8) + ")"
FAULT_TYPE = "(bytes32,uint256,uint256)"
NO_DEVICE = bytes(32)
NOBODY = "0x" + "00" * 20


class WorkOrderError(ContractsError):
    """Events that no WorkOrders can have given."""


class State(IntEnum):
    """How far an order is."""

    NONE = 0
    REPORTED = 1
    ACCEPTED = 2
    DONE = 3
    CONFIRMED = 4
    LAPSED = 5  # nobody objected in time
    WITHDRAWN = 6


class Cause(IntEnum):
    """Why an order was escalated: bits."""

    NOT_ACCEPTED = 1
    PROMISE_MISSED = 2


class Trigger(StrEnum):
    """What anyone may do to an order because of the time."""

    ESCALATE = "escalate"
    RELEASE = "release"
    LAPSE = "lapse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A site's rules, fixed at deployment; they come from its data pack."""

    accept_within: int  # seconds from the report
    promise_max: int  # seconds ahead that a promise may be
    confirm_within: int  # seconds in which done work may be reopened; silence then confirms
    redo_within: int  # seconds promised for reopened work
    give_up_after: int  # seconds after a missed promise until somebody else may accept
    report_within: int  # seconds in which a machine's entry, or an arrival, may still be brought
    reopens_max: int
    price_max: int  # fen that the manager alone may draw from a budget for one order

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        return astuple(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Which values of a quantity say that something is wrong, and which that all is well; 0 to 255."""

    quantity: str
    faulty: tuple[int, ...]
    sound: tuple[int, ...]

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order, values as bits."""
        return (padded(self.quantity), _mask(self.faulty), _mask(self.sound))


LIFT_FAULT = Fault(quantity=LIFT_MODE, faulty=(3,), sound=(0,))
"""A lift's mode: 3 is fault, 0 normal; inspection, fire and out of service are neither."""

LIFT_ENTRAPMENT_FAULT = Fault(quantity=LIFT_ENTRAPMENT, faulty=(1,), sound=(0,))
LIFT_STOPPED_FAULT = Fault(quantity=LIFT_STOPPED, faulty=(1,), sound=(0,))
LIFT_FAULTS = (LIFT_FAULT, LIFT_ENTRAPMENT_FAULT, LIFT_STOPPED_FAULT)
"""What a lift reports by itself: a fault, a trapped passenger, and that it stands still for too long."""


def _mask(values: Iterable[int]) -> int:
    return sum(1 << value for value in set(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How an order stands, as the contract keeps it."""

    state: State
    escalated: int = 0  # bits of `Cause`
    reopened: int = 0  # times since it was accepted
    round: int = 0  # part of what is signed; rises whenever it is reopened or released
    reported_at: int  # Unix seconds, as all instants here
    promise_at: int = 0
    done_at: int = 0  # said so, or seen to be well again by the machine
    seen_at: int = 0  # of the machine's entry; 0 for an owner's report
    price: int = 0  # fen in escrow
    source: bytes  # unit; for the machine's report `source_of(...)`
    firm: int = 0  # 0 for the site's own people
    budget: int = 0  # that the escrow was drawn from; 0 for the payer's own money
    payee: str = NOBODY
    arrived_at: int = 0  # of the first who came in this round, of the accepting firm where there is one
    arrived_firm: int = 0  # theirs

    @property
    def is_closed(self) -> bool:
        """Nothing more can happen to it."""
        return self.state in (State.CONFIRMED, State.LAPSED, State.WITHDRAWN)

    @property
    def is_kept(self) -> bool:
        """Whether somebody of the accepting firm said in time that they had come."""
        return 0 < self.arrived_at <= self.promise_at and self.arrived_firm == self.firm

    def with_arrival(self, firm: int, at: int) -> "Order":
        """With one more who came."""
        is_accepting = bool(self.promise_at) and self.arrived_firm != firm
        is_first = not self.arrived_at or is_accepting or at < self.arrived_at
        return replace(self, arrived_at=at, arrived_firm=firm) if is_first else self


def owners_order(unit: bytes, device: bytes, report: bytes) -> bytes:
    """The name of an order that an owner reports.

    Args:
        device: SHA-256 of its URN; `NO_DEVICE` for what has none.
        report: digest of salted detail.
    """
    return sha256(unit + device + report).digest()


def machines_order(entry: Entry) -> bytes:
    """The name of an order that a gateway's entry reports."""
    return leaf_hash(encode_entry(entry))


def source_of(device: bytes, quantity: str) -> bytes:
    """What a machine's report is about; one order is open for it at a time."""
    return sha256(device + padded(quantity)).digest()


def triggers(order: Order, terms: Terms, now: int) -> tuple[Trigger, ...]:
    """What anyone may trigger in a block of this time."""
    found = []
    if order.state is State.REPORTED:
        if now > order.reported_at + terms.accept_within and not order.escalated & Cause.NOT_ACCEPTED:
            found.append(Trigger.ESCALATE)
    elif order.state is State.ACCEPTED:
        if now > order.promise_at and not order.is_kept and not order.escalated & Cause.PROMISE_MISSED:
            found.append(Trigger.ESCALATE)
        if now > order.promise_at + terms.give_up_after:
            found.append(Trigger.RELEASE)
    elif order.state is State.DONE and now > order.done_at + terms.confirm_within:
        found.append(Trigger.LAPSE)
    return tuple(found)


class OrderBook:
    """All orders of a site."""

    def __init__(self) -> None:
        self.orders: dict[bytes, Order] = {}

    @property
    def escrowed(self) -> int:
        """Fen that wait for work to be confirmed."""
        return sum(order.price for order in self.orders.values())

    def order(self, name: bytes) -> Order:
        """Raises WorkOrderError if nobody reported it."""
        try:
            return self.orders[name]
        except KeyError:
            raise WorkOrderError(f"order {name.hex()[:16]} was never reported; events are missing") from None

    def apply(self, event: events.Event, at: int) -> None:
        """Follow one event of a block of this time. Raises WorkOrderError if the contract cannot have said it."""
        match event:
            case events.ReportedByOwner():
                self._report(event.order, Order(state=State.REPORTED, reported_at=at, source=event.unit))
            case events.ReportedByMachine():
                source = sha256(event.device + event.quantity).digest()
                order = Order(state=State.REPORTED, reported_at=at, seen_at=event.seen_at, source=source)
                self._report(event.order, order)
            case events.Accepted():
                self._change(
                    event.order,
                    state=State.ACCEPTED,
                    escalated=self.order(event.order).escalated & Cause.NOT_ACCEPTED,
                    firm=event.firm,
                    promise_at=event.promise_at,
                    price=event.price,
                    payee=event.payee,
                    budget=event.budget,
                )
            case events.Arrived():
                self.orders[event.order] = self.order(event.order).with_arrival(event.firm, event.arrived_at)
            case events.WorkDone():
                self._change(event.order, state=State.DONE, done_at=at)
            case events.Closed():
                self._change(event.order, state=State(event.state), done_at=event.done_at, price=0)
            case events.Reopened():
                order = self.order(event.order)
                self._change(
                    event.order,
                    state=State.ACCEPTED,
                    reopened=order.reopened + 1,
                    round=order.round + 1,
                    promise_at=event.promise_at,
                    escalated=order.escalated & Cause.NOT_ACCEPTED,
                    arrived_at=0,
                    arrived_firm=0,
                )
            case events.Escalated():
                self._change(event.order, escalated=self.order(event.order).escalated | event.cause)
            case events.Released():
                order = self.order(event.order)
                self.orders[event.order] = Order(
                    state=State.REPORTED,
                    round=order.round + 1,
                    reported_at=at,
                    seen_at=order.seen_at,
                    source=order.source,
                )
            case _:  # what is known of faults, and where escrow went, is in the other events
                pass

    def _report(self, name: bytes, order: Order) -> None:
        if name in self.orders:
            raise WorkOrderError(f"order {name.hex()[:16]} is reported twice")
        self.orders[name] = order

    def _change(self, name: bytes, **changes: Any) -> None:
        self.orders[name] = replace(self.order(name), **changes)
