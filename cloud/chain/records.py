"""What the followed contracts hold, one record a fact; `cloud.chain.view` folds events into them."""

from dataclasses import dataclass, field

from contracts.calls import tariffs
from contracts.calls.bindings import Confirmed
from contracts.evidence import KeyClass
from contracts.tariff import Terms

__all__ = [
    "AnchorRecord",
    "AssignmentRecord",
    "BindingRecord",
    "ChallengeRecord",
    "HeadRecord",
    "KeyRecord",
    "OwnerKeyRecord",
    "PeriodRecord",
    "TariffRecord",
    "UnitRecord",
]


@dataclass(slots=True, kw_only=True)
class KeyRecord:
    """One key that a gateway has or had."""

    public: bytes
    key_class: KeyClass
    from_block: int
    to_block: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorRecord:
    """One anchored head of the super-log."""

    size: int
    root: bytes
    block_number: int
    block_hash: str
    block_time_s: int
    transaction_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRecord:
    """A gateway's accepted head: (0, 0, 0) where none was accepted yet."""

    size: int = 0
    root: bytes = bytes(32)
    accepted_at_s: int = 0


@dataclass(slots=True, kw_only=True)
class AssignmentRecord:
    """A range of a log's indexes that a device has."""

    origin_id: bytes
    first_index: int
    last_index: int | None
    block: int


@dataclass(slots=True, kw_only=True)
class BindingRecord:
    """What a device counts for, between boundary dates (YYYYMMDD, 0 open)."""

    subject: bytes
    role: int  # 1 own, 2 pool
    from_date: int
    to_date: int = 0
    state: Confirmed = Confirmed.NO

    @property
    def confirmed(self) -> bool:
        """Whether the owner or the committee stands behind it."""
        return self.state in (Confirmed.OWNER, Confirmed.COMMITTEE)


@dataclass(slots=True, kw_only=True)
class UnitRecord:
    """One unit of the roll; its index is its place in every bill tree."""

    alias: bytes
    index: int
    area_centi_m2: int
    category: int
    building: int = 0
    floor: int = 0
    head: int = 0  # the buyer's number


@dataclass(slots=True, kw_only=True)
class OwnerKeyRecord:
    """One owner's key."""

    unit: bytes
    public: bytes
    kind: int  # 1 webauthn, 2 software
    is_in_force: bool = True


@dataclass(slots=True, kw_only=True)
class TariffRecord:
    """One announced tariff; see contracts.tariff for its arithmetic."""

    version: int
    announced: tariffs.TariffAnnounced
    terms: Terms
    approved: bool = False
    vetoed: bool = False
    replaces: int = 0  # the version that ends where this one begins, if it is approved


@dataclass(slots=True, kw_only=True)
class PeriodRecord:
    """One closed period."""

    period: int
    root: bytes
    sums: int
    unit_count: int
    window_end_s: int
    closed_at_s: int
    block_number: int
    transaction_hash: str
    total_area: int = 0  # 0.01 m2 of the roll when the period was closed
    corrections: int = 0  # how often its bills were superseded as a whole
    debits: dict[int, list[int]] = field(
        default_factory=dict
    )  # first index of a block of 64 -> block times of its debits
    paid: dict[int, int] = field(default_factory=dict)  # unit index -> fen taken or paid


@dataclass(slots=True, kw_only=True)
class ChallengeRecord:
    """One challenge of a bill line; line 24 is the bill's sum, 25 the demand to see it."""

    period: int
    unit_index: int
    line: int
    amount: int
    deadline_s: int
    opened_at_s: int
    transaction_hash: str
    state: str = "open"  # open, answered, reversed
    charge: int | None = None
    settled_at_s: int | None = None
