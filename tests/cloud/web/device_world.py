"""The world's devices: two lifts that crews look after, a door's controller, a flat's meter, and what is written."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from cloud.identity.roles import Role
from cloud.web.answers import Person, ReadingRef, Title
from cloud.web.device_answers import (
    Availability,
    CalibrationDue,
    DeviceCare,
    DeviceVisit,
    DueWork,
    Entrapment,
    FaultNote,
    Lift,
    LiftState,
    LiftSummary,
    PublicDevice,
    Scanned,
    VisitChain,
    VisitFlag,
    Word,
    Work,
    WorkOrder,
    WorkRow,
)

VISIT_ITEMS = ("inspection-mode", "door-cycles", "stop-switch", "back-in-service")
LIFT_1, LIFT_2 = Title(zh="1号电梯", en="Lift 1"), Title(zh="2号电梯", en="Lift 2")
PLACE = Title(zh="7幢东侧", en="Building 7, east")
FIRM = Title(zh="安行维保", en="Anxing Service")
GATE, METER = Title(zh="大门门禁", en="Front gate"), Title(zh="翠苑", en="Cuiyuan")
TODAY = date(2026, 11, 27)
LIFT_CODE, REVOKED_CODE, GATE_CODE, METER_CODE = "4k7mq2xd90bz", "4k7mq2xd90b0", "7777aaaa7777", "8888bbbb8888"
LIFT_INDEX = 4
_DAY_MS = 86_400_000
_CLASSES = (("half-month", 15, 3), ("quarter", 90, 7), ("half-year", 180, 10), ("year", 365, 15))


def due_work(last: date, today: date = TODAY) -> tuple[DueWork, ...]:
    """All four classes, done together on one day."""
    found = []
    for visit_class, days, ahead in _CLASSES:
        due = last + timedelta(days=days)
        late = max(0, (today - due).days)
        warn = due - timedelta(days=ahead)
        state = "overdue" if late else "warning" if today >= warn else "in_time"
        found.append(
            DueWork(
                visit_class=visit_class, last=last, due=due, warn=warn, overdue_days=late, state=state, source="pack"
            )
        )  # fmt: skip
    return tuple(found)


WELL = DeviceCare(
    word=Word.IN_SERVICE,
    overdue_days=0,
    due=due_work(TODAY - timedelta(days=9)),
    firm=FIRM,
    telephone="0571 8888 0000",
    inspection_until=date(2027, 5, 31),
    calibration_until=None,
    today=TODAY,
    availability=(
        Availability(days=30, known_days=30, available_permille=998, silent_permille=3),
        Availability(days=365, known_days=120, available_permille=991, silent_permille=0),
    ),
)
LATE = replace(
    WELL,
    word=Word.OVERDUE,
    overdue_days=2,
    due=due_work(TODAY - timedelta(days=17)),
    inspection_until=date(2026, 12, 20),
    entrapments=(
        Entrapment(
            at_ms=1_795_000_000_000,
            freed_at_ms=1_795_001_500_000,
            arrived_after_s=840,
            arrival_shown=True,
            arrival_transaction="0x" + "5a" * 32,
        ),
        Entrapment(at_ms=1_790_000_000_000, freed_at_ms=None, arrived_after_s=None, arrival_shown=False),
    ),
)
CHAIN = VisitChain(transaction="0x" + "ab" * 32, paid_transaction="0x" + "cd" * 32, paid_fen=20_000)
FLAG = VisitFlag(
    name="ab" * 16,
    kind="twice", state="open", explanation=None,
    says=Title(
        zh="同一名维保人员在另一台设备的记录与本次重叠 12 分钟。",
        en="One mechanic's visit to another device overlaps this one by 12 min.",
    ),
)  # fmt: skip


TRAPPED = WorkOrder(
    name="a1" * 32, device=LIFT_1, device_name="b07-l1", device_kind="lift", place=PLACE, cause="entrapment",
    state="accepted", seen_at_ms=1_795_744_800_000 - 26 * 60_000, firm=FIRM, promise_at_ms=1_795_744_800_000,
    done_at_ms=None, is_unheard=False, is_missed=False, reopened=0, transaction="0x" + "ef" * 32, rescue_s=1_800,
    arrived_after_s=None, arrival_shown=False,
)  # fmt: skip
REACHED = replace(TRAPPED, name="c3" * 32, arrived_after_s=840, arrival_transaction="0x" + "5a" * 32)
STOPPED = replace(
    TRAPPED, name="b2" * 32, device=LIFT_2, device_name="b07-l2", cause="stopped", state="reported", firm=None,
    promise_at_ms=None, is_unheard=True, rescue_s=None,
)  # fmt: skip


class DeviceWorld:
    """What pages ask of devices."""

    if TYPE_CHECKING:
        now_ms: int
        has_records: bool
        visits: tuple[DeviceVisit, ...]
        care: DeviceCare | None
        reported: list[tuple[str, str]]
        calibrations: tuple[CalibrationDue, ...]

        def ref(self, index: int) -> ReadingRef: ...

    async def lifts(self, viewer: Person | None = None) -> list[LiftSummary]:
        seen = self.now_ms - 42_000 if self.has_records else None
        first = LiftState.IN_SERVICE if self.has_records else LiftState.UNKNOWN
        return [
            LiftSummary(name="b07-l1", title=LIFT_1, state=first, last_seen_at_ms=seen),
            LiftSummary(name="b07-l2", title=LIFT_2, state=LiftState.STOPPED, last_seen_at_ms=self.now_ms - 90_000),
        ]

    async def overdue_days(self) -> Mapping[str, int]:
        return {"b07-l1": self.care.overdue_days} if self.care and self.care.overdue_days else {}

    async def lift(self, name: str) -> Lift | None:
        summary = next((lift for lift in await self.lifts() if lift.name == name), None)
        if summary is None:
            return None
        known, is_first = self.has_records, name == "b07-l1"
        care = (self.care or WELL) if is_first else replace(WELL, word=Word.STOPPED)
        if not known:
            care = replace(care, word=Word.UNKNOWN, availability=(), due=())
        return Lift(
            summary=summary, place=PLACE, care=care,
            records_since_ms=self.now_ms - 30 * _DAY_MS if known else None,
            last_inspection_from_ms=self.now_ms - 9 * _DAY_MS if known else None,
            last_inspection_to_ms=self.now_ms - 9 * _DAY_MS + 2_520_000 if known else None,
            visits=self.visits if is_first else (),
            trips_total=184_210 if known else None, trips_30_days=7_315 if known else None,
            last_status=self.ref(LIFT_INDEX) if known else None, last_inspection=None,
        )  # fmt: skip

    def signed_visit(self, level: int | None, *findings: str) -> DeviceVisit:
        """A visit of the first lift; findings in the order of `VISIT_ITEMS`."""
        started_at_ms = self.now_ms - 9 * _DAY_MS
        return DeviceVisit(
            digest="5e" * 32, started_at_ms=started_at_ms, ended_at_ms=started_at_ms + 2_100_000,
            visit_class="half-month", firm=FIRM, people=1, countersigned=False, has_software_key=True, level=level,
            presence="confirmed" if level else "not-seen" if findings else "",
            was_silent=bool(findings) and set(findings) == {"not-observable"},
            items=tuple(zip(VISIT_ITEMS, findings, strict=False)), listed={}, ticked={}, list_length=None,
            reference=self.ref(LIFT_INDEX) if findings else None, chain=None,
        )  # fmt: skip

    async def device(self, name: str) -> PublicDevice | None:
        if name != "gate":
            return None
        care = replace(WELL, availability=(), inspection_until=None, telephone=None)
        return PublicDevice(
            name="gate", kind="access", title=GATE, place=PLACE, care=care, visits=(),
            records_since_ms=self.now_ms - 30 * _DAY_MS, last_seen_at_ms=self.now_ms - 60_000, is_household=False,
        )  # fmt: skip

    async def scanned(self, code: str) -> Scanned | None:
        if code in (LIFT_CODE, REVOKED_CODE):
            lift = await self.lift("b07-l1")
            return Scanned(place="car", is_revoked=code == REVOKED_CODE, lift=lift)
        if code == GATE_CODE:
            return Scanned(place="housing", is_revoked=False, device=await self.device("gate"))
        if code == METER_CODE:
            care = replace(WELL, word=Word.UNKNOWN, due=(), firm=None, telephone=None, availability=(),
                           inspection_until=None, calibration_until=date(2030, 1, 1))  # fmt: skip
            meter = PublicDevice(
                name=None, kind="meter", title=METER, place=None, care=care, visits=(), records_since_ms=None,
                last_seen_at_ms=None, is_household=True,
            )  # fmt: skip
            return Scanned(place="housing", is_revoked=False, device=meter)
        return None

    async def may_report(self, who: bytes) -> bool:
        return len(self.reported) < 5

    async def report_fault(self, code: str, says: str) -> bool:
        if code != LIFT_CODE:
            return False
        self.reported.append((code, says))
        return True

    async def work(self, viewer: Person) -> Work | None:
        if viewer.role not in (Role.CREW, Role.FIRM, Role.MANAGER, Role.COMMITTEE, Role.REGULATOR):
            return None
        rows = [
            WorkRow(name=name, title=title, place=PLACE, kind=kind, firm=FIRM, due=care.due, state=state)
            for name, title, kind, care, state in (
                ("b07-l1", LIFT_1, "lift", LATE, "overdue"),
                ("b07-l2", LIFT_2, "lift", replace(WELL, due=due_work(TODAY - timedelta(days=13))), "warning"),
                ("gate", GATE, "access", WELL, "in_time"),
            )
        ]
        notes = [
            FaultNote(at_ms=self.now_ms - 60_000, device=LIFT_1, name="b07-l1", place="car", says=says)
            for _code, says in self.reported
        ]
        is_firms = viewer.role in (Role.CREW, Role.FIRM)
        return Work(
            firm=FIRM if is_firms else None, is_known=True, today=TODAY, rows=tuple(rows), notes=tuple(notes),
            orders=(TRAPPED, STOPPED), calibrations=self.calibrations,
        )  # fmt: skip

    async def order(self, viewer: Person, name: bytes) -> WorkOrder | None:
        may_see = await self.work(viewer) is not None
        return next((one for one in (TRAPPED, REACHED, STOPPED) if may_see and one.name == name.hex()), None)
