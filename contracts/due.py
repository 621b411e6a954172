"""When maintenance is due, what a visit earns and what overdue days cost (ServiceAgreements.vy), in exact integers.

Days are counted since 1970 in the site's local time. A class is due on the day `interval` after its last visit; a day
is overdue if it begins later than interval and grace after the last visit of that class or a higher one; days on which
the device's gateway was silent are left out. The contract, this module and `js/due.js` give the same numbers.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from contracts.errors import ContractsError
from contracts.visit import VisitClass

CLASSES = (VisitClass.HALF_MONTH, VisitClass.QUARTER, VisitClass.HALF_YEAR, VisitClass.YEAR)
LEVELS = 5
DAY_S = 86_400
CLAIM_DAYS_MAX = 64
AFTERMATH_DAYS = 90  # after an agreement's end, until it can be closed
PROVISIONAL_S = 30 * DAY_S
TERMS_TYPES = (
    "bytes32", "bytes32", "uint256", "uint256", "uint256", "bytes32[4]", "uint256[4]", "uint256[4]", "uint256",
    "uint256[4]", "uint256[5]", "uint256", "uint256", "bool", "bool", "uint256", "address", "address",
)  # fmt: skip
TERMS_TYPE = f"({','.join(TERMS_TYPES)})"

_INTERVAL_MAX_DAYS = 731
_GRACE_MAX_DAYS = 30
_TERM_MAX_DAYS = 3660
_FACTOR_MAX_PERMILLE = 2000
_EPOCH = date(1970, 1, 1).toordinal()


class DueError(ContractsError):
    """Terms of an agreement that the contract would refuse, or a class that is never due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What manager and firm agree to for one device. Lists go by class, from half-month to year."""

    device: bytes
    plan: bytes  # SHA-256 of the data pack
    firm: int  # its number in Crews
    starts_on: int  # day number
    ends_on: int  # day number of the last day
    checklists: tuple[bytes, ...]  # SHA-256 of each class's cumulative list
    interval_days: tuple[int, ...]  # 0: this class is not due
    done_on: tuple[int, ...]  # day number of the last visit of each class before the agreement
    grace_days: int
    fees: tuple[int, ...]  # fen
    factors: tuple[int, ...]  # permille of the fee, by corroboration level 0 to 4
    penalty: int  # fen for an overdue day of one class
    deposit: int  # fen
    two_people: bool
    countersigned: bool
    level: int  # that a visit needs to count and to pay
    account: str  # the firm's
    payer: str  # gets back what is left of the budget

    def __post_init__(self) -> None:
        if any(len(word) != 32 or not any(word) for word in (self.device, self.plan)) or self.firm <= 0:
            raise DueError("terms: device and plan are 32 bytes and not zero, a firm's number is above zero")
        lists = (self.checklists, self.interval_days, self.done_on, self.fees)
        if any(len(each) != len(CLASSES) for each in lists) or len(self.factors) != LEVELS:
            raise DueError(f"terms: one value for each of {len(CLASSES)} classes, and {LEVELS} factors")
        if not 0 < self.starts_on <= self.ends_on <= min(self.starts_on + _TERM_MAX_DAYS, 2**16 - 1):
            raise DueError(f"terms: from day {self.starts_on} to {self.ends_on} is empty or over ten years")
        _check_numbers(self)

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        return (
            self.device, self.plan, self.firm, self.starts_on, self.ends_on, self.checklists, self.interval_days,
            self.done_on, self.grace_days, self.fees, self.factors, self.penalty, self.deposit, self.two_people,
            self.countersigned, self.level, self.account, self.payer,
        )  # fmt: skip

    def is_done(self, *, level: int, two_people: bool, countersigned: bool) -> bool:
        """Whether a visit has the signatures and the level that these terms ask for."""
        has_people = (two_people or not self.two_people) and (countersigned or not self.countersigned)
        return has_people and level >= self.level

    def allowed_days(self, visit_class: VisitClass) -> int | None:
        """Interval and grace of a class; None if it is never due. Raises `DueError` for a repair."""
        interval = self.interval_of(visit_class)
        return interval + self.grace_days if interval else None

    def interval_of(self, visit_class: VisitClass) -> int:
        """Days between visits of a class, 0 if it is never due. Raises `DueError` for a repair."""
        if visit_class not in CLASSES:
            raise DueError(f"class {visit_class} is never due; there are {CLASSES[0]} to {CLASSES[-1]}")
        return self.interval_days[visit_class - 1]


@dataclass(frozen=True, slots=True, order=True)
class DoneDay:
    """A day whose best visit counts by the terms (`Terms.is_done`), and that visit's class."""

    day: int
    visit_class: VisitClass


def day_number(day: date) -> int:
    """Days since 1970."""
    return day.toordinal() - _EPOCH


def date_of(day: int) -> date:
    """The calendar day with this number."""
    return date.fromordinal(day + _EPOCH)


def local_day(at_s: int, *, utc_offset_s: int) -> int:
    """The day number at a Unix time, where local time is UTC plus the offset."""
    return (at_s + utc_offset_s) // DAY_S


def visit_day(*, level: int, ended_at_s: int, observed_at_ms: int, utc_offset_s: int) -> int:
    """The day that a visit counts for: the one it ended in, or if nobody saw it (level 0) the one it was logged in."""
    return local_day(ended_at_s if level else observed_at_ms // 1000, utc_offset_s=utc_offset_s)


def last_done(terms: Terms, done: Iterable[DoneDay], visit_class: VisitClass, *, before: int) -> int:
    """The last day before `before` on which this class or a higher one was done."""
    days = [each.day for each in done if each.day < before and each.visit_class >= visit_class]
    return max([terms.done_on[visit_class - 1], *days])


def due_on(terms: Terms, done: Iterable[DoneDay], visit_class: VisitClass, *, today: int) -> int | None:
    """The last day on which the next visit of this class is in time without grace; None if the class is never due."""
    interval = terms.interval_of(visit_class)
    return last_done(terms, done, visit_class, before=today + 1) + interval if interval else None


def overdue_days(
    terms: Terms,
    done: Iterable[DoneDay],
    visit_class: VisitClass,
    *,
    from_day: int,
    through_day: int,
    silent: Collection[int] = (),
) -> int:
    """How many of the days from `from_day` to `through_day` are overdue for a class.

    Args:
        silent: days on which the device's gateway was shown to have been silent; they are neither counted nor overdue.
    """
    allowed = terms.allowed_days(visit_class)
    if allowed is None:
        return 0
    known = list(done)

    def is_overdue(day: int) -> bool:
        last = last_done(terms, known, visit_class, before=day)
        return day - last - sum(last < each < day for each in silent) > allowed

    return sum(is_overdue(day) for day in range(from_day, through_day + 1) if day not in silent)


def fee(terms: Terms, visit_class: VisitClass, level: int) -> int:
    """Fen that a visit is worth: its class's fee by the factor of its corroboration level.

    Args:
        level: 4 only where the gateway's key is in a token or attested. A day pays for its best visit alone.
    """
    if visit_class is VisitClass.REPAIR:
        return 0  # work orders pay for repairs
    return terms.fees[visit_class - 1] * terms.factors[level] // 1000


def penalty(terms: Terms, days: int) -> int:
    """Fen that so many overdue days of one class cost."""
    return days * terms.penalty


def _check_numbers(terms: Terms) -> None:
    in_range = (
        0 <= terms.grace_days <= _GRACE_MAX_DAYS
        and 0 <= terms.level < LEVELS
        and 0 <= terms.penalty < 2**32
        and 0 <= terms.deposit < 2**64
        and all(0 <= amount < 2**31 for amount in terms.fees)
        and all(0 <= days <= _INTERVAL_MAX_DAYS for days in terms.interval_days)
        and all(0 <= day <= terms.starts_on for day in terms.done_on)
    )
    if not in_range:
        raise DueError("terms: a number is out of range; see `Terms` and docs/formats.md for each")
    rising = list(terms.fees) == sorted(terms.fees) and list(terms.factors) == sorted(terms.factors)
    if not rising or terms.factors[0] < 0 or terms.factors[-1] > _FACTOR_MAX_PERMILLE:
        raise DueError("terms: fees must not fall from class to class, nor factors from level to level or pass 2000")
