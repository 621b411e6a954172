"""What the contracts hold of maintenance, one record a fact; `cloud.maintenance.view` folds events into them."""

from dataclasses import dataclass, field

from contracts.calls.service_agreements import SeenVisit
from contracts.crew_signature import CrewKey
from contracts.due import CLASSES, DoneDay, Terms, fee
from contracts.visit import VisitClass

__all__ = [
    "AgreementRecord",
    "AnnouncedBatch",
    "ArrivalRecord",
    "ClaimRecord",
    "DayRecord",
    "FirmRecord",
    "LabelRecord",
    "LineRecord",
    "MemberRecord",
    "Recorded",
    "RecordedVisit",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedBatch:
    """What a person's signature announced in the Registry."""

    effective_at_s: int
    calls: tuple[tuple[str, bytes], ...]  # address and data


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalRecord:
    """Somebody who came, as WorkOrders took their word."""

    order: bytes
    round: int  # of the order
    crew: bytes  # alias
    digest: bytes  # of the arrival
    at_s: int
    block_number: int
    transaction_hash: str


@dataclass(slots=True, kw_only=True)
class FirmRecord:
    """A firm that serves the site, or did."""

    name_digest: bytes  # SHA-256 of its registered name and credit code
    licence_until_s: int


@dataclass(slots=True, kw_only=True)
class MemberRecord:
    """A person with duties, and the key in force."""

    firm: int = 0  # 0: the site's own
    duties: int = 0
    licence_until_s: int = 0
    key_id: bytes | None = None
    key: CrewKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedVisit:
    """A visit that ServiceAgreements took."""

    digest: bytes
    line: bytes
    day: int
    seen: SeenVisit
    block_number: int
    block_time_s: int
    transaction_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a recorded visit's page links to."""

    transaction: str
    paid_transaction: str | None
    paid_fen: int | None


@dataclass(slots=True, kw_only=True)
class DayRecord:
    """One day of a line of visits, as its slot holds it."""

    levels: dict[tuple[VisitClass, bool, bool], int] = field(default_factory=dict)
    """The best level seen, by class, whether two mechanics signed, and whether the site's manager did."""
    is_void: bool = False  # contradicted by another visit of its mechanic
    paid: int = 0  # fen
    paid_transaction: str = ""  # that paid it last
    changed_in_block: int = 0

    def take(self, seen: SeenVisit) -> None:
        """Another visit of the day."""
        place = (seen.visit_class, seen.two_people, seen.countersigned)
        self.levels[place] = max(seen.level, self.levels.get(place, 0))

    def done(self, terms: Terms) -> VisitClass | None:
        """The highest class of the day that counts by these terms; None if none does."""
        return max((visit_class for visit_class, _level in self._counting(terms)), default=None)

    def earns(self, terms: Terms) -> int:
        """The most fen that one of the day's visits earns."""
        return max((fee(terms, visit_class, level) for visit_class, level in self._counting(terms)), default=0)

    def _counting(self, terms: Terms) -> list[tuple[VisitClass, int]]:
        if self.is_void:
            return []
        return [
            (visit_class, level)
            for (visit_class, two_people, countersigned), level in self.levels.items()
            if terms.is_done(level=level, two_people=two_people, countersigned=countersigned)
        ]


@dataclass(slots=True, kw_only=True)
class LineRecord:
    """The visits of one device on one plan by one firm."""

    days: dict[int, DayRecord] = field(default_factory=dict)
    changes: int = 0  # visits and contradictions ever: names a situation
    changed_in_block: int = 0  # the newest of them

    def day(self, number: int) -> DayRecord:
        """A day's record, made where there is none."""
        return self.days.setdefault(number, DayRecord())

    def done(self, terms: Terms) -> list[DoneDay]:
        """The days that count by these terms, as `contracts.due` takes them."""
        found = ((number, day.done(terms)) for number, day in self.days.items())
        return [DoneDay(number, visit_class) for number, visit_class in found if visit_class is not None]


@dataclass(slots=True, kw_only=True)
class ClaimRecord:
    """A claim for overdue days of one class."""

    number: int
    visit_class: VisitClass
    from_day: int
    through_day: int
    days: int  # when it was last counted
    claimed_at_s: int
    is_settled: bool = False


@dataclass(slots=True, kw_only=True)
class AgreementRecord:
    """What manager and firm agreed to about one device; money in fen."""

    name: bytes
    line: bytes
    terms: Terms
    ends_on: int  # the last day; earlier than the terms' where both parties named one
    is_agreed: bool = False
    is_closed: bool = False
    budget: int = 0
    deposit: int = 0  # that is not claimed
    claimed: int = 0
    payments: int = 0  # how often fees were paid
    claimed_through: list[int] = field(default_factory=lambda: [0] * len(CLASSES))
    claims: dict[int, ClaimRecord] = field(default_factory=dict)

    def open_claims(self) -> list[ClaimRecord]:
        """Those that may still change, by number."""
        return [claim for claim in self.claims.values() if not claim.is_settled]


@dataclass(slots=True, kw_only=True)
class LabelRecord:
    """A printed or shown code."""

    device: bytes
    place: int
    revoked_at_s: int | None = None

    @property
    def is_revoked(self) -> bool:
        """Whether it counts no more."""
        return self.revoked_at_s is not None
