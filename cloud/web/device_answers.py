"""What pages of lifts and other devices are told, and what crews' lists are; as in `cloud.web.answers`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from cloud.web.answers import ReadingRef, Title

__all__ = [
    "Availability",
    "DeviceCare",
    "DeviceVisit",
    "DueWork",
    "Entrapment",
    "FaultNote",
    "FirmStanding",
    "Lift",
    "LiftState",
    "LiftSummary",
    "Oversight",
    "PublicDevice",
    "Scanned",
    "TrappedPeople",
    "VisitChain",
    "VisitFlag",
    "Word",
    "Work",
    "WorkOrder",
    "WorkRow",
]


class LiftState(StrEnum):
    """What a lift does now, by its own word."""

    IN_SERVICE = "in_service"
    STOPPED = "stopped"
    INSPECTION = "inspection"  # somebody works on it, by its own mode switch
    UNKNOWN = "unknown"  # never seen, or silent for too long to say


class Word(StrEnum):
    """The one word of a device's public page. What stands still says so first; then what is late."""

    IN_SERVICE = "in_service"
    STOPPED = "stopped"
    INSPECTION = "inspection"
    OVERDUE = "overdue"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftSummary:
    """A lift in a list."""

    name: str  # as in its public address: b07-l1
    title: Title
    state: LiftState
    last_seen_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DueWork:
    """One class of maintenance of a device."""

    visit_class: str  # half-month, quarter, half-year, year
    last: date | None  # when this class or a higher one was last done; None: no visit is on record
    due: date  # the last day in time
    warn: date
    overdue_days: int
    state: str  # in_time, warning, overdue
    source: str  # agreement, pack


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitFlag:
    """What an integrity check asks about a visit; no person is named."""

    name: str  # as in its page's address
    kind: str  # travel, twice, dwell, photo, phone, list, code
    state: str  # open, explained, upheld, dismissed
    says: Title
    explanation: str | None  # by the firm of the visit that is asked about
    explained_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitChain:
    """What the chain holds of a visit."""

    transaction: str  # 0x…, that recorded it
    paid_transaction: str | None  # that released its fee
    paid_fen: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceVisit:
    """A signed visit, beside what the gateway found of it."""

    digest: str  # 64 hex
    started_at_ms: int  # by the crew's word
    ended_at_ms: int
    visit_class: str  # repair, half-month, quarter, half-year, year
    firm: Title | None
    people: int  # mechanics who signed
    countersigned: bool  # by the site's own manager
    has_software_key: bool
    level: int | None  # 0 to 4; None until the gateway has judged
    presence: str  # confirmed, not-seen, contradicted, not-observable; "" until it has
    was_silent: bool  # the machine said nothing then, so nothing can be told
    items: tuple[tuple[str, str], ...]  # what the machine can show, and whether it did
    listed: Mapping[str, int]  # items of its list by finding; empty for a visit without one
    list_length: int | None  # items that its class has; None where the pack is not known here
    ticked: Mapping[str, int]  # items by what the crew wrote: ok, adjusted, replaced, fault, absent
    reference: ReadingRef | None  # the gateway's entry
    chain: VisitChain | None
    flags: tuple[VisitFlag, ...] = ()
    photos: int = 0  # that its list names
    photos_here: int = 0  # of these, sent so far


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """How much of some whole days a lift was in service; silence stands beside."""

    days: int  # asked for: 30, 365
    known_days: int
    available_permille: int | None
    silent_permille: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrapment:
    """Somebody was trapped, by the machine's own word."""

    at_ms: int
    freed_at_ms: int | None
    arrived_after_s: int | None
    arrival_shown: bool  # by the display's code at the lift; else by the crew's word alone
    arrival_transaction: str | None = None  # 0x…, that recorded it


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCare:
    """How a device is looked after: what everybody may know of it."""

    word: Word
    overdue_days: int
    due: tuple[DueWork, ...]
    firm: Title | None  # who maintains it
    telephone: str | None
    inspection_until: date | None  # by the property manager's word, as the next one
    calibration_until: date | None
    today: date
    availability: tuple[Availability, ...] = ()
    entrapments: tuple[Entrapment, ...] = ()
    orders_open: int = 0

    @property
    def next_due(self) -> DueWork | None:
        """What must be done first; of what falls on one day the highest class, which holds the others."""
        if not self.due:
            return None
        first = min(one.due for one in self.due)
        return [one for one in self.due if one.due == first][-1]

    @property
    def inspection_days_left(self) -> int | None:
        return None if self.inspection_until is None else (self.inspection_until - self.today).days

    @property
    def calibration_days_left(self) -> int | None:
        return None if self.calibration_until is None else (self.calibration_until - self.today).days


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """A lift's public page."""

    summary: LiftSummary
    place: Title
    care: DeviceCare
    records_since_ms: int | None  # the first entry that any log holds about it
    last_inspection_from_ms: int | None  # last time its mode switch stood on inspection
    last_inspection_to_ms: int | None
    visits: tuple[DeviceVisit, ...]  # the last signed ones, newest first
    trips_total: int | None
    trips_30_days: int | None
    last_status: ReadingRef | None
    last_inspection: ReadingRef | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicDevice:
    """Any other device's public page. Of a flat's meter nothing is told but until when its calibration holds."""

    name: str | None  # None for a flat's
    kind: str  # meter, access, water, gateway
    title: Title  # of a flat's the site's
    place: Title | None
    care: DeviceCare
    visits: tuple[DeviceVisit, ...]
    records_since_ms: int | None
    last_seen_at_ms: int | None
    is_household: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What a code on a device leads to."""

    place: str  # car, machine-room, display, housing
    is_revoked: bool
    lift: Lift | None = None
    device: PublicDevice | None = None  # where it is no lift


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultNote:
    """What somebody at a device wrote, for those who look after it."""

    at_ms: int
    device: Title
    name: str
    place: str
    says: str
    flat: Title | None = None  # whose household wrote it: for the manager alone
    photo: str = ""  # the address of its photograph; "" where there is none for the reader


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOrder:
    """A repair that somebody or the machine itself asked for, as the chain holds it."""

    name: str  # 64 hex
    device: Title
    device_name: str
    device_kind: str
    place: Title
    cause: str  # entrapment, stopped, fault; person: an owner reported it
    state: str  # reported, accepted, done, confirmed, lapsed, withdrawn
    seen_at_ms: int  # by the machine, or reported
    firm: Title | None  # that will come, or came
    promise_at_ms: int | None
    done_at_ms: int | None
    is_unheard: bool  # nobody accepted in time
    is_missed: bool  # the promise was not kept
    reopened: int
    transaction: str  # 0x…, that reported it
    rescue_s: int | None  # within which somebody must be there: where people are trapped
    arrived_after_s: int | None
    arrival_shown: bool  # by its gateway; else by the crew's word alone
    arrival_transaction: str | None = None  # 0x…, that recorded it
    where: str = ""  # as a household says; "" where the machine or nobody did
    words: tuple[str, ...] = ()  # its report, then each reason why it was not done
    photo: str = ""  # the address of the report's photograph; "" where there is none for the reader

    @property
    def is_open(self) -> bool:
        return self.state in ("reported", "accepted", "done")

    def waited_s(self, now_ms: int) -> int:
        """From the machine's word until somebody was there, or until now."""
        return self.arrived_after_s if self.arrived_after_s is not None else (now_ms - self.seen_at_ms) // 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkRow:
    """One device in a crew's list."""

    name: str
    title: Title
    place: Title
    kind: str
    firm: Title | None
    due: tuple[DueWork, ...]
    state: str  # in_time, warning, overdue: the worst of them

    @property
    def first(self) -> DueWork:
        """What must be done first."""
        first = min(one.due for one in self.due)
        return [one for one in self.due if one.due == first][-1]

    @property
    def overdue_days(self) -> int:
        return max((one.overdue_days for one in self.due), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmStanding:
    """How a firm keeps its days."""

    firm: Title | None  # None: nobody is named for these devices
    devices: int
    late: int
    soon: int
    days_most: int  # that one of them is late


@dataclass(frozen=True, slots=True, kw_only=True)
class TrappedPeople:
    """People trapped in a lift, beside how soon somebody must be with them."""

    name: str
    title: Title
    firm: Title | None  # that maintains it now
    limit_s: int
    entrapment: Entrapment

    def waited_s(self, now_ms: int) -> int:
        """Until somebody was there; else until they were out, or until now."""
        if self.entrapment.arrived_after_s is not None:
            return self.entrapment.arrived_after_s
        return ((self.entrapment.freed_at_ms or now_ms) - self.entrapment.at_ms) // 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Oversight:
    """How the firms keep their days, for those who look after that."""

    today: date
    firms: tuple[FirmStanding, ...]
    late: tuple[WorkRow, ...]  # the latest first
    trapped: tuple[TrappedPeople, ...]  # the newest first
    orders: tuple[WorkOrder, ...]  # open ones that nobody took in time, or whose promise was missed


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationDue:
    """Meters whose calibration ends on one day, by the property manager's word."""

    until: date
    today: date
    kind: str  # meter, water
    titles: tuple[Title, ...]

    @property
    def days_left(self) -> int:
        return (self.until - self.today).days


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a firm's crew, or who looks after the site, sees of the work to be done."""

    firm: Title | None  # whose; None: everybody's
    is_known: bool  # False: the firm of this access is not in the site's directory
    today: date
    rows: tuple[WorkRow, ...]  # what is late first, then by day
    orders: tuple[WorkOrder, ...]  # open ones, trapped people first
    notes: tuple[FaultNote, ...]
    calibrations: tuple[CalibrationDue, ...] = ()  # what ends first first
