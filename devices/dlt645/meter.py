"""Jobs at one meter: the questions to ask one after the other, and the readings that the answers give.

A job asks nothing by itself. Whoever owns the bus sends `job.request` until it is None and hands each outcome to it:

    while (request := job.request) is not None:
        ...  # Connection.start, receive and tick until an Answered, Refused or NoAnswer comes
        job.take(outcome)
    job.readings, job.problems
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from contracts.entry import Kind
from devices.dlt645.profile import DailyFreeze, Dlt645Profile, Register, Settlement
from devices.dlt645.request import Answered, NoAnswer, Outcome, ReadData
from devices.dlt645.value import decode_freeze_time
from devices.errors import MeterError
from devices.reading import Reading

POLL_DETAIL = {"source": "poll"}
"""Shared by all readings of a poll: details are never changed in place."""
CLOCK_MARGIN_MS = 600_000
"""How far a meter's clock is trusted to be off."""


class Job(ABC):
    """A sequence of questions to one meter. `readings` and `problems` are whole when `request` is None."""

    __slots__ = ("address", "problems", "readings", "request")

    def __init__(self, address: str) -> None:
        self.address = address
        self.request: ReadData | None = None
        self.readings: tuple[Reading, ...] = ()
        self.problems: tuple[str, ...] = ()

    def take(self, outcome: Outcome) -> None:
        """The outcome of `request`; sets the next one."""
        asked = self.request
        assert asked is not None and outcome.request is asked, "outcome of another question"
        self.request = None
        try:
            if isinstance(outcome, Answered):
                self._answered(outcome.data)
            else:
                self._unanswered(asked, outcome)
        except MeterError as error:
            self._problem(str(error))

    @abstractmethod
    def _answered(self, content: bytes) -> None:
        """Take the data of the answer; raises `MeterError` for what does not fit."""

    def _unanswered(self, asked: ReadData, outcome: Outcome) -> None:
        if isinstance(outcome, NoAnswer):
            heard = "only garbage came, is the bus shared or badly terminated?" if outcome.is_collision else "silence"
            self._problem(f"no answer to {asked.data_id} in {outcome.tries} tries ({heard})")
        elif not isinstance(outcome, Answered):
            self._problem(f"refused {asked.data_id}: {outcome.says}")

    def _problem(self, says: str) -> None:
        self.problems = (*self.problems, f"meter {self.address}: {says}")


class Poll(Job):
    """Reads the profile's registers, one question each. A register that fails does not stop the others."""

    __slots__ = ("_position", "_registers", "_requests")

    def __init__(self, address: str, registers: tuple[Register, ...], requests: tuple[ReadData, ...]) -> None:
        super().__init__(address)
        self._registers = registers
        self._requests = requests
        self._position = 0
        self.request = requests[0]

    def _answered(self, content: bytes) -> None:
        register = self._registers[self._position]
        self._next()
        self.readings += tuple(
            Reading(kind=Kind.READING, quantity=quantity, value=value, detail=POLL_DETAIL)
            for quantity, value in register.values(content)
        )

    def _unanswered(self, asked: ReadData, outcome: Outcome) -> None:
        if isinstance(outcome, NoAnswer):
            # A meter that is silent on one register is silent on all: do not hold the bus for its other ones.
            self._position = len(self._requests)
        else:
            self._next()
        super()._unanswered(asked, outcome)

    def _next(self) -> None:
        self._position += 1
        self.request = self._requests[self._position] if self._position < len(self._requests) else None


class Poller:
    """Makes the polls of one meter; the questions are made once."""

    __slots__ = ("_address", "_registers", "_requests")

    def __init__(self, profile: Dlt645Profile, address: str) -> None:
        self._address = address
        self._registers = profile.registers
        self._requests = tuple(ReadData(address=address, data_id=register.data_id) for register in profile.registers)

    def poll(self) -> Poll:
        return Poll(self._address, self._registers, self._requests)


def poll(profile: Dlt645Profile, address: str) -> Poll:
    """Read the registers that the profile polls. For a meter that is polled often, keep a `Poller`."""
    return Poller(profile, address).poll()


class FreezeJob(Job):
    """Reads what the meter froze at one local midnight: first the freeze's time, then its values.

    Gives readings only if the meter says that it froze at exactly that midnight. The two answers belong to different
    freezes only if the meter's midnight passed between them, so both must come on the gateway's one local day, and not
    in its last minutes, when a meter whose clock is ahead may freeze.
    """

    __slots__ = ("_boundary", "_freeze", "_is_time_confirmed", "_now_ms", "_today", "_zone")

    def __init__(
        self, address: str, freeze: DailyFreeze, boundary: date, zone: ZoneInfo, now_ms: Callable[[], int]
    ) -> None:
        super().__init__(address)
        self._freeze = freeze
        self._boundary = boundary
        self._zone = zone
        self._now_ms = now_ms
        self._is_time_confirmed = False
        self._today = local_date(now_ms(), zone)
        age_days = (self._today - boundary).days
        if 0 <= age_days < freeze.kept:
            self._ask(freeze.time_id)
        else:
            self._problem(f"keeps {freeze.kept} daily freezes; that of {boundary} is {age_days} days back")

    def _ask(self, data_id: str) -> None:
        count = (self._today - self._boundary).days + 1
        self.request = ReadData(address=self.address, data_id=nth_last(data_id, count))

    def _answered(self, content: bytes) -> None:
        if local_date(self._now_ms() + CLOCK_MARGIN_MS, self._zone) != self._today:
            self._problem(f"midnight came while the freeze of {self._boundary} was read; ask again")
        elif self._is_time_confirmed:
            self._give(content)
        else:
            frozen_at = decode_freeze_time(content)
            if frozen_at != datetime.combine(self._boundary, time()):
                raise MeterError(
                    f"froze at {frozen_at:%Y-%m-%d %H:%M}, not at the midnight that begins {self._boundary}"
                )
            self._is_time_confirmed = True
            self._ask(self._freeze.register.data_id)

    def _give(self, content: bytes) -> None:
        self.readings = boundary_readings(self._freeze.register, content, self._boundary, self._zone, "freeze")


def freeze(
    profile: Dlt645Profile, address: str, boundary: date, zone: ZoneInfo, now_ms: Callable[[], int]
) -> FreezeJob:
    """Read the daily freeze of the local midnight that begins `boundary`; up to `kept` days late.

    Raises:
        MeterError: the profile says that this family keeps no daily freezes.
    """
    if profile.daily_freeze is None:
        raise MeterError(f"profile {profile.name}: keeps no daily freeze; use the last reading before midnight")
    return FreezeJob(address, profile.daily_freeze, boundary, zone, now_ms)


def boundary_readings(
    register: Register, content: bytes, boundary: date, zone: ZoneInfo, source: str
) -> tuple[Reading, ...]:
    """The readings of a frozen register, dated at the first instant of `boundary`."""
    frozen_at_ms = local_midnight_ms(boundary, zone)
    return tuple(
        Reading(
            kind=Kind.READING,
            quantity=quantity,
            value=value,
            meter_at_ms=frozen_at_ms,
            boundary=boundary,
            detail={"source": source, "meter_at_ms": frozen_at_ms},
        )
        for quantity, value in register.values(content)
    )


def local_midnight_ms(day: date, zone: ZoneInfo) -> int:
    """The UTC milliseconds at which a local date begins."""
    return int(datetime.combine(day, time(), zone).astimezone(UTC).timestamp()) * 1000


class SettlementJob(Job):
    """Reads what the meter settled in a month: first the day and hour it is set to settle, then the registers.

    Gives readings only if the meter settles at 00:00 of the boundary's day of the month, so that the settlement is that
    midnight's. The gateway's day is held as in `FreezeJob`.
    """

    __slots__ = ("_boundary", "_count", "_is_day_confirmed", "_now_ms", "_position", "_settlement", "_today", "_zone")

    def __init__(
        self, address: str, settlement: Settlement, boundary: date, zone: ZoneInfo, now_ms: Callable[[], int]
    ) -> None:
        super().__init__(address)
        self._settlement = settlement
        self._boundary = boundary
        self._zone = zone
        self._now_ms = now_ms
        self._position = 0
        self._is_day_confirmed = False
        self._today = local_date(now_ms(), zone)
        months = (self._today.year - boundary.year) * 12 + self._today.month - boundary.month
        self._count = months + (self._today.day >= boundary.day)
        if 1 <= self._count <= settlement.kept:
            self.request = ReadData(address=address, data_id=settlement.day_id)
        else:
            self._problem(f"keeps {settlement.kept} settlements; that of {boundary} is not among them")

    def _answered(self, content: bytes) -> None:
        if local_date(self._now_ms() + CLOCK_MARGIN_MS, self._zone) != self._today:
            self.readings = ()
            self._problem(f"midnight came while the settlement of {self._boundary} was read; ask again")
            return
        if self._is_day_confirmed:
            register = self._settlement.registers[self._position]
            self.readings += boundary_readings(register, content, self._boundary, self._zone, "settlement")
            self._position += 1
        elif content != bytes.fromhex(f"00{self._boundary.day:02d}"):
            raise MeterError(f"settles at DDhh {content[::-1].hex()}, not at 00 h of day {self._boundary.day}")
        self._is_day_confirmed = True
        if self._position < len(self._settlement.registers):
            register = self._settlement.registers[self._position]
            self.request = ReadData(address=self.address, data_id=nth_last(register.data_id, self._count))


def settlement(
    profile: Dlt645Profile, address: str, boundary: date, zone: ZoneInfo, now_ms: Callable[[], int]
) -> SettlementJob:
    """Read the monthly settlement of the local midnight that begins `boundary`, up to a year late.

    Raises:
        MeterError: the profile says that this family keeps no settlements.
    """
    if profile.settlement is None:
        raise MeterError(f"profile {profile.name}: keeps no settlements; use its daily freeze")
    return SettlementJob(address, profile.settlement, boundary, zone, now_ms)


def nth_last(data_id: str, count: int) -> str:
    """The identifier of the count-th last freeze or settlement: the count is its DI0."""
    return f"{data_id[:6]}{count:02X}"


def local_date(at_ms: int, zone: ZoneInfo) -> date:
    """The local date of an instant."""
    return datetime.fromtimestamp(at_ms / 1000, zone).date()
