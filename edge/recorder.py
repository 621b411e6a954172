"""From a device's readings to entry rows: plausibility, details and boundary entries; the gateway's hot path.

Until the cloud's head was seen after a start, no boundary entry is made of a last reading: on a restored card the log's
last readings are old, and the true boundary may already be logged where this gateway cannot see it. Meters' own freezes
are the same however often they are read, so they need not wait.

A suspect value (a register that fell, or rose faster than the device can count) is logged under its plain quantity with
`"suspect"` in its detail and forgotten otherwise: the register's last believed value stays what later values are
compared with, and boundary entries are made of believed values alone. A meter that really starts again is another
meter: give it a new URN.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from hashlib import sha256

from contracts.detail import encode_detail
from contracts.entry import NO_DETAIL, SALT_BYTES, Kind, Series, device_id
from contracts.quantities import boundary_quantity
from devices.plausibility import Limits, suspicions
from devices.reading import NO_DETAIL as NOTHING_MORE
from devices.reading import Reading
from edge.committer import Committer, Submission
from edge.log_store import EntryRow
from edge.registers import Believed, Registers, RegisterState
from edge.template import EntryTemplate, encode_time

_SALTS_DRAWN = 32
_SPARE_HELD_MS = 3 * 86_400_000  # how long a new meter's first midnight waits for the visit that put it up


def _new_salt() -> bytes:
    return os.urandom(SALT_BYTES)


def _new_salts() -> Iterator[bytes]:
    """Salts without end, drawn some at a time: a draw is a system call, too dear for every message."""
    while True:
        drawn = os.urandom(_SALTS_DRAWN * SALT_BYTES)
        for start in range(0, len(drawn), SALT_BYTES):
            yield drawn[start : start + SALT_BYTES]


class _Quantity:
    """What stays the same over one device's entries of one quantity."""

    __slots__ = ("encode", "latest", "limits", "register")

    def __init__(self, series: Series, limits: Limits | None, register: RegisterState | None) -> None:
        self.encode = EntryTemplate(series).encode
        self.limits = limits
        self.register = register
        self.latest: tuple[int, int] | None = None  # the last value told, and when it was observed


class DeviceRecorder:
    """Makes one device's entries. Its lock lets a collector and the midnight sweep share it."""

    def __init__(
        self, urn: str, limits: Mapping[str, Limits], registers: Registers, committer: Committer, *,
        freezes: bool = False, is_spare: bool = False,
    ) -> None:  # fmt: skip
        self.urn = urn
        self.device = device_id(urn)
        self.freezes = freezes  # the meter itself freezes its registers at midnight
        self.is_spare = is_spare  # it will take another meter's place: a visit says with which register it began
        self.lock = threading.Lock()
        self.last_seen_ms = 0
        self.unanswered_ms = 0  # when it was last asked in vain
        self.readings = 0
        self.suspect = 0
        self.boundaries = 0
        self.refused = 0
        self.last_error = ""
        self.may_use_last_reading: Callable[[], bool] = lambda: True
        self.cumulative = [quantity for quantity, limit in limits.items() if limit.cumulative and ":" in quantity]
        self._limits = limits
        self._registers = registers
        self._committer = committer
        self._salts = _new_salts()
        self._quantities: dict[tuple[int, str], _Quantity] = {}
        self._swept: dict[str, RegisterState] = {}

    @property
    def latest(self) -> dict[str, tuple[int, int]]:
        """The last value of each quantity, and when it was observed."""
        told = list(self._quantities.items())
        return {quantity: known.latest for (_, quantity), known in told if known.latest is not None}

    def limits_of(self, quantity: str) -> Limits | None:
        """What the profile says that a quantity can be."""
        return self._limits.get(quantity)

    def rows(self, readings: Sequence[Reading], at_ms: int) -> list[EntryRow]:
        """The rows of readings that carry no boundary, observed at one time. Submits boundary entries that fall due."""
        rows: list[EntryRow] = []
        quantities, time_word = self._quantities, encode_time(at_ms)
        detail, digest, detail_of, detail_at_ms = b"", NO_DETAIL, NOTHING_MORE, None
        with self.lock:
            for reading, salt in zip(readings, self._salts, strict=False):
                kind, quantity, value, meter_at_ms, _, more = reading
                known = quantities.get((kind, quantity)) or self._learn(reading)
                register, limits = known.register, known.limits
                says: tuple[str, ...] = ()
                if limits is not None:
                    says = suspicions(limits, value, at_ms, register.last if register else None)
                if says or more is not detail_of or meter_at_ms != detail_at_ms:
                    # One message's readings share their detail bytes, which are made once.
                    detail, digest = self._detail(reading, says)
                    detail_of, detail_at_ms = ({} if says else more), meter_at_ms
                rows.append((known.encode(time_word, value, digest, salt), detail))
                if says:
                    self.suspect += 1
                elif register is not None and self._registers.believe(register, value, at_ms):
                    self._midnight_passed(quantity, register, at_ms)
                known.latest = value, at_ms
            self.readings += len(rows)
            self.last_seen_ms = at_ms
        return rows

    def boundary(self, reading: Reading, at_ms: int) -> bool:
        """Log a register that the meter froze at a midnight; False when it is not believable there or logged already.

        A frozen value must lie between the last believed one before its midnight and the first one after.
        """
        day = reading.boundary
        assert day is not None, "only a reading that the meter froze makes a boundary entry"
        with self.lock:
            state = self._registers.state(self.device, reading.quantity)
            if state.last_boundary is not None and day <= state.last_boundary:
                return False
            if self._is_held(state, day, at_ms):
                return False
            if not self._fits(state, day, reading.value):
                self._submit_suspect(reading, at_ms)
                return False
            detail = {key: value for key, value in reading.detail.items() if key != "suspect"}
            self._submit_boundary(reading.quantity, state, day, reading.value, {"source": "freeze", **detail}, at_ms)
        return True

    def boundary_from_last(self, quantity: str, day: date, at_ms: int) -> bool:
        """Log the last believed reading before a midnight as its boundary entry, if there is one."""
        with self.lock:
            state = self._registers.state(self.device, quantity)
            candidate = state.candidates.get(day)
            if candidate is None or not self.may_use_last_reading() or self._is_held(state, day, at_ms):
                return False
            self._submit_candidate(quantity, state, day, candidate, at_ms)
        return True

    def swap_boundary(self, quantity: str, day: date, read: Believed, visit: bytes, at_ms: int) -> bool:
        """Log what a register showed when its meter was taken down, or first showed when it was put up, as the boundary
        entry of the midnight behind it; False where that midnight has its entry already.

        Args:
            read: the value, and when it was read.
            visit: digest of the visit that swapped the meters.
        """
        with self.lock:
            state = self._registers.state(self.device, quantity)
            if state.last_boundary is not None and day <= state.last_boundary:
                return False
            fields: dict[str, object] = {"source": "swap", "visit": visit.hex(), "read_at_ms": read[1]}
            self._submit_boundary(quantity, state, day, read[0], fields, at_ms)
        return True

    def sweep(self, now_ms: int, grace_ms: int) -> None:
        """Log the boundary entries of midnights that passed `grace_ms` ago without any later reading."""
        if not any(register.may_be_due(now_ms) for register in self._swept.values()):
            return  # nearly always: hundreds of devices are asked every second
        with self.lock:
            for quantity, state in list(self._swept.items()):
                self._registers.pass_midnights(state, now_ms)
                if not self.may_use_last_reading():
                    continue
                for day, candidate in sorted(state.candidates.items()):
                    is_late = now_ms >= self._registers.days.start_ms(day) + grace_ms
                    if is_late and not self._is_held(state, day, now_ms):
                        self._submit_candidate(quantity, state, day, candidate, now_ms)

    def boundaries_missing(self, today: date) -> list[date]:
        """The midnights whose boundary entries are not logged yet and may be frozen in the meter, oldest first."""
        with self.lock:
            missing: set[date] = set()
            for (kind, quantity), known in self._quantities.items():
                if kind == Kind.READING and known.register is not None and "*" not in quantity:
                    missing.update(self._missing(known.register, today))
            return sorted(missing)

    def _missing(self, state: RegisterState, today: date) -> set[date]:
        days = set(state.candidates)
        if state.last_boundary is None or state.last_boundary < today:
            days.add(today)
        now_ms = self._registers.days.start_ms(today)
        return {day for day in days if not self._is_held(state, day, now_ms)}

    def know(self, kind: Kind, quantities: Sequence[str]) -> None:
        """Prepare registers that the log already knows, so that the sweep sees them before their first reading."""
        for quantity in quantities:
            if (kind, quantity) not in self._quantities:
                self._learn(Reading(kind=kind, quantity=quantity, value=0))

    def _learn(self, reading: Reading) -> _Quantity:
        limits = self._limits.get(reading.quantity)
        cumulative = limits is not None and limits.cumulative and reading.kind is Kind.READING
        known = _Quantity(
            Series(reading.kind, self.device, reading.quantity),
            limits,
            self._registers.state(self.device, reading.quantity) if cumulative else None,
        )
        self._quantities[reading.kind, reading.quantity] = known
        if known.register is not None:
            self._swept = {**self._swept, reading.quantity: known.register}  # replaced whole: a sweep may be reading it
        return known

    def _detail(self, reading: Reading, says: Sequence[str]) -> tuple[bytes, bytes]:
        fields: dict[str, object] = dict(reading.detail)
        if reading.meter_at_ms is not None:
            fields["meter_at_ms"] = reading.meter_at_ms
        if says:
            fields["suspect"] = list(says)
        if not fields or fields == {"source": "mqtt"}:
            return b"", NO_DETAIL
        detail = encode_detail(fields, salt=_new_salt())
        return detail, sha256(detail).digest()

    def _midnight_passed(self, quantity: str, state: RegisterState, at_ms: int) -> None:
        if not self.freezes and self.may_use_last_reading():
            for day, candidate in sorted(state.candidates.items()):
                if not self._is_held(state, day, at_ms):
                    self._submit_candidate(quantity, state, day, candidate, at_ms)

    def _is_held(self, state: RegisterState, day: date, now_ms: int) -> bool:
        """Whether a midnight still waits: what a new meter counted on its first evening would be nobody's otherwise."""
        if not self.is_spare or state.last_boundary is not None:
            return False
        return now_ms < self._registers.days.start_ms(day) + _SPARE_HELD_MS

    def _fits(self, state: RegisterState, day: date, value: int) -> bool:
        before = state.candidates.get(day)
        if before is not None and value < before[0]:
            return False
        if state.last is None:
            return True
        last, at_ms = state.last
        return last <= value if at_ms < self._registers.days.start_ms(day) else value <= last

    def _submit_candidate(
        self, quantity: str, state: RegisterState, day: date, candidate: Believed, at_ms: int
    ) -> None:
        value, read_at_ms = candidate
        fields: dict[str, object] = {"source": "last_reading", "read_at_ms": read_at_ms}
        self._submit_boundary(quantity, state, day, value, fields, at_ms)

    def _submit_boundary(
        self, quantity: str, state: RegisterState, day: date, value: int, fields: Mapping[str, object], at_ms: int
    ) -> None:
        name = boundary_quantity(quantity, day)
        detail = encode_detail(fields, salt=_new_salt())
        series = Series(Kind.READING, self.device, name)
        entry = series.encode(at_ms, value, sha256(detail).digest(), _new_salt())
        self._registers.boundary_logged(state, day)
        self.boundaries += 1
        self._committer.submit(Submission([(entry, detail)], boundary=(self.device, name)))

    def _submit_suspect(self, reading: Reading, at_ms: int) -> None:
        detail, digest = self._detail(reading, ("freeze-out-of-order",))
        series = Series(Kind.READING, self.device, reading.quantity)
        entry = series.encode(at_ms, reading.value, digest, _new_salt())
        self.suspect += 1
        self._committer.submit(Submission([(entry, detail)]))
