"""What pages are told: the frozen answers of `cloud.web.questions`, in the units that pages show.

Instants are UTC milliseconds (`…_ms`), money is integer fen, energy integer Wh, and a period's edges are boundary dates
(the local midnight that begins that day). Titles carry both languages, because people and places are named by the
site and not by the translators.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from cloud.identity.people import Grant
from cloud.identity.roles import Role, Strength
from contracts.quantities import unit_of


class DisputeState(StrEnum):
    """Where a challenge of one bill line stands on chain."""

    SENT = "sent"  # signed and handed over; not yet in a block
    OPEN = "open"  # on chain; the operator must post the boundary entries
    ANSWERED = "answered"  # entries posted; the contract has recomputed, or is about to
    WON = "won"  # the line was reduced or reversed
    LOST = "lost"  # the recomputation gave what the bill says


class BillState(StrEnum):
    """Where one unit's bill for one period stands."""

    OPEN = "open"  # posted; the challenge window runs and nothing is debited yet
    DISPUTED = "disputed"
    DEBITED = "debited"
    CORRECTED = "corrected"  # debited after a challenge had changed it
    UNPAID = "unpaid"  # the prepaid balance did not suffice


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """A name that the site gave, in both languages."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who is signed in."""

    key: str  # stable and opaque; sessions refer to it
    role: Role
    title: Title
    units: tuple[str, ...] = ()  # door names such as b07-0501; owners and tenants only
    since_ms: int = 0  # a tenant sees what was after this, and nothing of who lived there before
    strength: Strength = Strength.PASSKEY
    grant: Grant | None = None  # None: pages without accounts

    @property
    def can_act(self) -> bool:
        """Whether this session may do things; a one-time code and a program's token only read."""
        return self.strength in (Strength.PASSKEY, Strength.LINK)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRef:
    """One entry of a gateway's log, and how far up it has come."""

    origin: str
    index: int
    observed_at_ms: int
    quantity: str
    value: int
    unit: str  # base unit: Wh, mL, count; "" for codes
    state: str  # recorded, logged, anchored, final


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterStand:
    """What a meter's register showed, and the entry that says so."""

    origin: str
    index: int
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Where a unit stands among a tariff's price steps."""

    number: int  # from 1
    left: int | None  # base units to the next one; None in the last
    by_year: bool  # whether they begin anew with the year, or with the next bill
    days_to_next: int | None  # at this month's pace; None where it is not reached before they begin anew


@dataclass(frozen=True, slots=True, kw_only=True)
class SameDays:
    """What the month's whole days used, and what to hold it against."""

    days: int
    usage: int
    last_year: int | None  # of the same days; None where no readings say so
    median: int | None  # of the building's households, rounded; None where too few used anything
    households: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthSoFar:
    """What one unit used of one thing since the last bill, up to the last midnight, as a bill would charge it."""

    quantity: str
    title: Title
    unit: str  # base unit: Wh, mL, L
    opening: date
    closing: date
    until_ms: int
    usage: int
    amount_fen: int | None  # None where no tariff prices it, or only the bill can
    is_estimated: bool
    steps: Steps | None  # None where it has one price
    same: SameDays | None  # None before the first day is over
    stood: MeterStand  # at that midnight


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One flat or shop as its owner sees it."""

    door: str  # b07-0501
    title: Title
    area_centi_m2: int
    balance_fen: int | None  # prepaid on chain; None when not read yet
    months: tuple[MonthSoFar, ...]  # electricity first
    registered_key: str | None  # the owner's public key x || y in hex, as the Registry holds it


@dataclass(frozen=True, slots=True, kw_only=True)
class TierPart:
    """What one step of a tariff took of a usage."""

    number: int  # from 1
    from_wh: int  # of the year's (or month's) running total
    to_wh: int | None
    used_wh: int
    price_nanofen_per_wh: int
    amount_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One unit's part of a pool: floor(P*C[i]/K) - floor(P*C[i-1]/K)."""

    pool: Title
    pool_usage_wh: int
    pool_amount_fen: int  # P
    key: int  # this unit's key, for example floor area in 0.01 m2
    key_before: int  # C[i-1]: the keys of all units before it, in unit order
    key_sum: int  # K
    key_is_area: bool
    all_shares_fen: int  # the sum over all units; equals P
    opening: ReadingRef | None
    closing: ReadingRef | None
    key_unit: str = ""  # mL, Wh: what the keys count where they are units' own volumes, as posted for the period


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceDay:
    """One day of a main meter and of all that hangs on it, in base units."""

    day: date
    main: int | None  # None where a meter lacks the reading at one of the day's ends
    subs: int | None
    missing: int  # how many do
    in_band: bool | None

    @property
    def difference(self) -> int | None:
        """What the main meter counted and no sub-meter did."""
        return None if self.main is None or self.subs is None else self.main - self.subs


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceStretch:
    """Days in a row on which too much was lost, or too little."""

    first: date
    last: date
    main: int
    difference: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BusBalance:
    """Sub-meters against their main meter over some days."""

    name: str
    unit: str  # Wh, mL
    meters: int  # sub-meters behind it
    low_permille: int
    high_permille: int
    days: tuple[BalanceDay, ...]
    stretches: tuple[BalanceStretch, ...]

    @property
    def main(self) -> int:
        """Together, on the days that have a balance."""
        return sum(day.main or 0 for day in self.days if day.difference is not None)

    @property
    def subs(self) -> int:
        return sum(day.subs or 0 for day in self.days if day.difference is not None)

    @property
    def without(self) -> int:
        """Days that have none."""
        return sum(1 for day in self.days if day.difference is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Every main meter that somebody may look at; the last day is not in it any more."""

    first: date
    last: date
    buses: tuple[BusBalance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """One line's challenge, its clock and its outcome."""

    state: DisputeState
    opened_at_ms: int
    answer_due_at_ms: int
    settled_at_ms: int | None
    old_fen: int
    new_fen: int | None
    refund_fen: int
    deposit_fen: int
    deposit_returned: bool
    transaction: str | None  # 0x…


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """One charge, with everything that its derivation sentence needs."""

    number: int  # from 0, as in the bill tree
    kind: str  # own, shared, other (1, 2, 3 of the bill tree)
    title: Title
    quantity: str
    amount_fen: int
    usage_wh: int
    signed_usage_wh: int | None  # what the gateway's boundary entries say was used; None while one of them is missing
    meter_confirmed: bool  # the owner's key confirmed the meter's binding
    dispute: Dispute | None = None
    # What only the line's own page tells:
    opening: ReadingRef | None = None  # the boundary entries that the gateway signed
    closing: ReadingRef | None = None
    tiers: tuple[TierPart, ...] = ()
    used_before_wh: int = 0  # since `counts_from`, before this period
    tier_period: str = "year"  # year or month
    counts_from: date | None = None  # from which a year's steps count: 1 January, or the day the meter was bound
    share: Share | None = None
    readings: tuple[ReadingRef, ...] = ()  # all that the line rests on; empty where the two ends are all
    # Opening and closing of each meter where one took another's place within the line; empty where none did.
    meters: tuple[tuple[ReadingRef, ReadingRef], ...] = ()
    sentence: Title | None = None  # the derivation in words; None where the entries do not give the line
    days: tuple["DayPoint", ...] = ()  # daily use of the meter up to the line's end
    timed_readings: int = 0  # between boundaries, which say at which price the usage was
    zone: str = ""  # by whose clocks prices change, where they do
    key_proof: str = ""  # JSON: where the unit's key stands in a table that shares the pool

    @property
    def unit(self) -> str:
        """The base unit of what the line counts: Wh, mL, L; "" for what no meter counts."""
        return unit_of(self.quantity) or ""

    @property
    def evidence(self) -> tuple[ReadingRef, ...]:
        """The entries that whoever checks the line needs, in the order of their days."""
        ends = (self.share.opening, self.share.closing) if self.share else (self.opening, self.closing)
        return self.readings or tuple(reading for reading in ends if reading is not None)

    @property
    def contradicts_readings(self) -> bool:
        """Whether the bill charges another usage than the gateway signed."""
        return self.kind == "own" and self.signed_usage_wh not in (None, self.usage_wh)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineReadings:
    """Some of the readings between boundaries that share a line out by price."""

    files: tuple[bytes, ...]  # `minglou-evidence/1`
    following: int | None  # where to go on; None after the last


@dataclass(frozen=True, slots=True, kw_only=True)
class BillSummary:
    """One bill in a list."""

    unit: str
    period: str  # 2026102320261122
    opening: date
    closing: date
    total_fen: int
    state: BillState


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """One unit's bill for one period."""

    summary: BillSummary
    unit_title: Title
    posted_at_ms: int
    window_ends_at_ms: int
    lines: tuple[BillLine, ...]
    transaction: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BillOnPaper:
    """A bill with all that its lines' own pages tell, and the files by which it is checked without us."""

    bill: Bill
    file: bytes  # `minglou-bill/1`
    readings: bytes  # `minglou-bill-papers/1`
    trust: bytes  # `minglou-trust/1`


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One entry with its story, for the reading page."""

    ref: ReadingRef
    kind: int
    device: str  # 64 hex
    device_kind: str  # meter, lift, access, water, gateway
    device_title: Title
    urn: str | None
    detail: Mapping[str, object] | None
    logged_at_ms: int | None
    anchored_at_ms: int | None


class DayKind(StrEnum):
    """How one knows what a day used."""

    READ = "read"  # the register was read at both of its midnights
    SPREAD = "spread"  # a midnight was not read: an even part of what was used between the readings around
    DOUBTFUL = "doubtful"  # the same, because a reading there fits neither the one before nor the one after
    RESET = "reset"  # the register stands lower afterwards: nothing says what was used
    MISSING = "missing"  # before the first reading or after the last one


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPoint:
    """One local day's use of one register."""

    day: date
    usage: int | None  # base unit; None where nothing tells it
    how: DayKind = DayKind.READ
    is_new_meter: bool = False  # another meter counts from this day on


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeTerms:
    """What the page needs to build and sign the body of a challenge (contracts/person)."""

    chain_id: int
    contract: str  # Challenges, which the signature is for, 0x…
    fees: str  # UsageFees, which the bill names, 0x…
    key_id: bytes  # 32
    key_public: bytes  # 64
    nonce: int
    deadline_s: int  # unix seconds; the signature is worth nothing later
    period: int
    unit_index: int
    line: int
    line_amount_fen: int
    deposit_fen: int
    window_ends_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeRequest:
    """A challenge as the owner's key signed it in the page; anyone may relay it."""

    unit: str
    period: str
    line: int
    nonce: int
    deadline_s: int
    digest: bytes  # 32: the person digest that the page computed
    signature: bytes  # 64: r || s, low s
    public: bytes  # 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayAnswer:
    """Whether the cloud took an action to the chain. `code` is stable, `remedy` says what to do."""

    accepted: bool
    code: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySummary:
    """A gateway as manager and committee see it."""

    origin: str
    last_seen_at_ms: int | None
    entries: int
    anchored: int
    frozen: bool
    key_class: str  # file, token, attested


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodSummary:
    """A closed period of the whole site: sums, never a household's."""

    period: str
    opening: date
    closing: date
    units: int
    total_fen: int
    root: str  # 64 hex
    transaction: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteDispute:
    """A challenge in the site's list; the unit's title only for the manager, who must answer it."""

    period: str
    line: int
    state: DisputeState
    answer_due_at_ms: int
    unit_title: Title | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongLine:
    """A posted bill line that is not what the signed readings and the announced prices give."""

    unit_title: Title | None  # for the manager alone
    period: str
    line: int
    charged_fen: int
    right_fen: int | None  # None: the readings show no such line


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessSummary:
    """One witness of the super-log."""

    name: str
    size: int  # the largest head that it has cosigned
    has_cosigned: bool  # the newest one
    says: str  # why not, in English; empty while all is well


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The site's page for manager and committee."""

    title: Title
    gateways: tuple[GatewaySummary, ...]
    periods: tuple[PeriodSummary, ...]
    bills: tuple[BillSummary, ...]  # manager only; () for everybody else
    disputes: tuple[SiteDispute, ...]
    anchored_size: int | None
    anchored_at_ms: int | None
    notices: tuple[str, ...] = ()
    witnesses: tuple[WitnessSummary, ...] = ()
    witness_quorum: int = 0
    witnesses_waiting: str = ""  # why anchoring waits for them, in English; empty while it does not
    wrong_lines: tuple[WrongLine, ...] = ()
