"""One bus's collector: asks the meters that are due, one question at a time, and records what they answer."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from contracts.clock import Clock
from contracts.entry import Kind
from devices.dlt645.connection import Connection, Timing
from devices.dlt645.meter import Job, Poller, freeze
from devices.dlt645.profile import Dlt645Profile
from devices.dlt645.request import Answered, NoAnswer, Noise, Outcome, Refused, Request, Unasked
from edge.bus.port import Port
from edge.bus.schedule import BusSchedule, MeterPlan
from edge.calendar_days import LocalDays
from edge.committer import Committer, Submission
from edge.recorder import DeviceRecorder
from edge.settings import SerialSettings
from edge.supervision import run_in_thread
from edge.voice import GAP_DEVICE_SILENT, Voice

_SLEEP_SECONDS_MAX = 1.0
_SILENCES_BEFORE_GAP = 2
_DRAIN_READS_MAX = 64
_NEAR_MIDNIGHT_MS = 600_000  # a freeze job refuses to read then: that says nothing about what the meter keeps
_BABBLE_SECONDS = 10.0
_log = logging.getLogger("edge.bus")


@dataclass(slots=True)
class BusCounts:
    """What the status page tells of one bus."""

    exchanges: int = 0
    timeouts: int = 0
    refused: int = 0
    noise_bytes: int = 0
    unasked: int = 0

    def fields(self) -> dict[str, int]:
        """As the status page names them."""
        return {
            "serial_exchanges": self.exchanges, "serial_timeouts": self.timeouts, "serial_refused": self.refused,
            "serial_noise_bytes": self.noise_bytes, "serial_unasked": self.unasked,
        }  # fmt: skip


class Meter:
    """One meter on the bus."""

    __slots__ = ("address", "poller", "profile", "recorder")

    def __init__(self, profile: Dlt645Profile, address: str, recorder: DeviceRecorder) -> None:
        self.profile = profile
        self.address = address
        self.recorder = recorder
        self.poller = Poller(profile, address)
        recorder.know(Kind.READING, recorder.cumulative)


class BusCollector:
    """Owns one serial port; everything runs in its own thread."""

    def __init__(
        self, settings: SerialSettings, meters: Sequence[Meter], intervals_s: Sequence[int], committer: Committer,
        clock: Clock, days: LocalDays, voice: Voice,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._meters = meters
        self._committer = committer
        self._clock = clock
        self._days = days
        self._voice = voice
        self._stop = threading.Event()
        self._schedule = BusSchedule(
            [
                MeterPlan(number=number, interval_ms=seconds * 1000, is_spare=meters[number].recorder.is_spare)
                for number, seconds in enumerate(intervals_s)
            ]
        )
        self.counts = BusCounts()

    async def run(self) -> None:
        """Collect until cancelled. Raises `CollectorError` when the port fails."""
        await run_in_thread(f"bus-{self._settings.name}", self._collect, self._stop)

    def _collect(self) -> None:
        port = Port(self._settings)
        try:
            lines = _Lines(port, self._settings, self.counts, self._stop)
            while not self._stop.is_set():
                plan = self._schedule.next_meter(self._clock.now_ms())
                if plan is None:
                    self._sleep()
                elif self._committer.wait_for_room(_SLEEP_SECONDS_MAX):
                    self._visit(lines, plan)
        finally:
            port.close()

    def _sleep(self) -> None:
        due_ms = self._schedule.next_due_ms()
        wait = _SLEEP_SECONDS_MAX if due_ms is None else self._clock.real_ms_until(due_ms) / 1000
        self._stop.wait(min(max(wait, 0.001), _SLEEP_SECONDS_MAX))

    def _visit(self, lines: "_Lines", plan: MeterPlan) -> None:
        """Poll one meter, then read the freezes that are still missing."""
        meter = self._meters[plan.number]
        job = meter.poller.poll()
        answered = lines.do(meter, job, patient=not plan.is_silent)
        now_ms = self._clock.now_ms()
        for problem in job.problems:
            meter.recorder.last_error = problem
        if not answered:
            meter.recorder.unanswered_ms = now_ms
            self._schedule.silent(plan, now_ms)
            return
        if plan.silences >= _SILENCES_BEFORE_GAP and plan.answered_ms:
            self._log_gap(meter, plan.answered_ms, now_ms)
        self._schedule.answered(plan, now_ms)
        if job.readings:
            self._committer.submit(Submission(meter.recorder.rows(job.readings, now_ms)))
        for day in self._days_missing(meter, now_ms):
            if self._stop.is_set() or not self._read_freeze(lines, meter, day):
                return

    def _days_missing(self, meter: Meter, now_ms: int) -> Iterator[date]:
        if meter.profile.daily_freeze is not None:
            yield from meter.recorder.boundaries_missing(self._days.day_of(now_ms))

    def _read_freeze(self, lines: "_Lines", meter: Meter, day: date) -> bool:
        """Read one midnight's freeze; whether the meter still answers."""
        job = freeze(meter.profile, meter.address, day, self._days.zone, self._clock.now_ms)
        answered = lines.do(meter, job, patient=True)
        now_ms = self._clock.now_ms()
        for reading in job.readings:
            meter.recorder.boundary(reading, now_ms)
        calm = self._days.day_of(now_ms + _NEAR_MIDNIGHT_MS)
        if answered and not job.readings and day < self._days.day_of(now_ms) == calm:
            # An older midnight that the meter says it has no freeze of: nothing better will come.
            for quantity in meter.profile.limits:
                meter.recorder.boundary_from_last(quantity, day, now_ms)
        for problem in job.problems:
            meter.recorder.last_error = problem
        return answered

    def _log_gap(self, meter: Meter, from_ms: int, now_ms: int) -> None:
        fields = {"reason": "no-answer", "device": meter.recorder.device.hex()}
        row = self._voice.gap(now_ms, GAP_DEVICE_SILENT, from_ms, now_ms, fields)
        self._committer.submit(Submission([row]))


class _Lines:
    """Puts jobs on the wire. Silent meters get one try, so that they cost the others one timeout."""

    def __init__(self, port: Port, settings: SerialSettings, counts: BusCounts, stop: threading.Event) -> None:
        self._port = port
        self._settings = settings
        self._counts = counts
        self._stop = stop
        self._connections: dict[tuple[Timing, bool], Connection] = {}

    def do(self, meter: Meter, job: Job, *, patient: bool) -> bool:
        """Ask a job's questions one after the other; whether the meter answered any of them."""
        connection = self._connection(meter.profile.timing, patient)
        heard = job.request is None
        while (request := job.request) is not None:
            outcome = self._ask(connection, request)
            heard = heard or not isinstance(outcome, NoAnswer)
            job.take(outcome)
        return heard

    def _connection(self, timing: Timing, patient: bool) -> Connection:
        connection = self._connections.get((timing, patient))
        if connection is None:
            timeout = self._settings.reply_timeout_seconds or timing.reply_timeout_seconds
            retries = timing.retries if patient else 0
            own = replace(timing, baud=self._settings.baud, reply_timeout_seconds=timeout, retries=retries)
            connection = self._connections[timing, patient] = Connection(own)
        return connection

    def _ask(self, connection: Connection, request: Request) -> Outcome:
        self._drain(connection)
        counts, port, now = self._counts, self._port, time.monotonic
        counts.exchanges += 1
        started = now()
        port.write(connection.start(request, started))
        while True:
            if now() - started > _BABBLE_SECONDS:
                # Something talks without a pause, so that no silence ever ends the answer.
                self._connections = {key: kept for key, kept in self._connections.items() if kept is not connection}
                counts.timeouts += 1
                return NoAnswer(request=request, tries=1, is_collision=True)
            deadline = connection.deadline
            assert deadline is not None, "a question is out"
            chunk = port.read(deadline)
            step = connection.receive(chunk, now()) if chunk else connection.tick(now())
            if step.send:
                port.write(step.send)
            for event in step.events:
                if isinstance(event, Answered):
                    return event
                if isinstance(event, Refused):
                    counts.refused += 1
                    return event
                if isinstance(event, NoAnswer):
                    counts.timeouts += 1
                    return event
                if isinstance(event, Noise):
                    counts.noise_bytes += event.count
                elif isinstance(event, Unasked):
                    counts.unasked += 1

    def _drain(self, connection: Connection) -> None:
        """What waits in the port before a question is late or noise, never its answer."""
        for _ in range(_DRAIN_READS_MAX):
            chunk = self._port.read(0.0)
            if not chunk:
                return
            for event in connection.receive(chunk, time.monotonic()).events:
                if isinstance(event, Noise):
                    self._counts.noise_bytes += event.count
                elif isinstance(event, Unasked):
                    self._counts.unasked += 1
