"""What becomes of readings: bytes as contracts lays them out, suspects set apart, one boundary entry a midnight."""

from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import p256
from contracts.detail import decode_detail
from contracts.entry import Kind, Series, decode_entry, device_id
from contracts.quantities import boundary_quantity
from devices.plausibility import Limits
from devices.reading import Reading
from edge.calendar_days import LocalDays
from edge.clock_watch import ClockWatch
from edge.committer import Committer
from edge.errors import EdgeError
from edge.log_store import LogStore
from edge.recorder import DeviceRecorder
from edge.registers import Registers
from edge.signer import CheckpointRule, Signer
from edge.template import EntryTemplate, encode_time

REGISTER = "1-0:1.8.0"
URN = "urn:minglou:site:b01:meter:m1"
SHANGHAI = ZoneInfo("Asia/Shanghai")
DAYS = LocalDays(SHANGHAI)
HOUR = 3_600_000
DAY = date(2026, 11, 20)
MIDNIGHT = DAYS.start_ms(DAY)
LIMITS = {REGISTER: Limits(cumulative=True, minimum=0, rise_per_hour_max=20_000)}


class Log:
    """A real committer over a real file."""

    def __init__(self, path: Path) -> None:
        self.registers = Registers(DAYS)
        self.path = path
        signer = Signer(p256.generate_key(), CheckpointRule(entries=10**6, seconds=10**6))
        store = LogStore.open(path, "test.example/s/g/e0")
        self.committer = Committer(store, signer, entries=500, seconds=0.01)
        self.committer.start()

    def recorder(self, *, freezes: bool = False) -> DeviceRecorder:
        recorder = DeviceRecorder(URN, LIMITS, self.registers, self.committer, freezes=freezes)
        recorder.know(Kind.READING, [REGISTER])
        return recorder

    def rows(self) -> list[tuple[str, int, dict[str, object]]]:
        """Quantity, value and detail of everything written so far."""
        self.committer.call(lambda: None).result(5)
        self.committer.call(lambda: None).result(5)
        reader = self.committer.store.reader()
        rows = reader.rows(0, reader.size())
        reader.close()
        entries = [(decode_entry(row[0]), row[1]) for row in rows]
        return [(one.quantity, one.value, decode_detail(detail) if detail else {}) for one, detail in entries]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path / "e0.sqlite3")
    yield log
    log.committer.stop()
    log.committer.store.close()


def reading(value: int, boundary: date | None = None) -> Reading:
    return Reading(kind=Kind.READING, quantity=REGISTER, value=value, boundary=boundary)


@given(
    st.sampled_from([Kind.READING, Kind.STATUS]), st.integers(0, 2**53 - 1), st.integers(-(2**63) + 1, 2**63 - 1),
    st.binary(min_size=32, max_size=32), st.binary(min_size=16, max_size=16),
)  # fmt: skip
@settings(deadline=None)
def test_a_template_makes_the_very_bytes_of_contracts(kind, at_ms, value, digest, salt) -> None:
    series = Series(kind, sha256(b"d").digest(), REGISTER if kind is Kind.READING else "lift.mode")
    own = EntryTemplate(series).encode(encode_time(at_ms), value, digest, salt)
    assert own == series.encode(at_ms, value, digest, salt)


@pytest.mark.parametrize("value", [2**63, -(2**63), -(2**63) - 1])
def test_a_value_that_an_entry_cannot_hold_is_refused(value: int) -> None:
    template = EntryTemplate(Series(Kind.READING, bytes(32), REGISTER))
    with pytest.raises(EdgeError):
        template.encode(encode_time(0), value, bytes(32), bytes(16))


def test_a_time_outside_the_entrys_range_is_refused() -> None:
    with pytest.raises(EdgeError, match="clock"):
        encode_time(2**53)


def test_the_first_reading_after_midnight_makes_the_boundary_entry_of_the_last_one_before(log: Log) -> None:
    recorder = log.recorder()
    recorder.rows([reading(1000)], MIDNIGHT - 2 * HOUR)
    recorder.rows([reading(1100)], MIDNIGHT - HOUR)
    recorder.rows([reading(1200)], MIDNIGHT + HOUR)
    recorder.rows([reading(1300)], MIDNIGHT + 2 * HOUR)
    recorder.sweep(MIDNIGHT + 3 * HOUR, 0)
    assert log.rows() == [
        (
            boundary_quantity(REGISTER, DAY), 1100,
            {"source": "last_reading", "read_at_ms": MIDNIGHT - HOUR, "salt": log.rows()[0][2]["salt"]},
        )
    ]  # fmt: skip


def test_a_midnight_without_a_later_reading_gets_its_boundary_entry_from_the_sweep(log: Log) -> None:
    recorder = log.recorder()
    recorder.rows([reading(1000)], MIDNIGHT - HOUR)
    recorder.sweep(MIDNIGHT + HOUR // 4, HOUR // 2)
    assert log.rows() == []
    recorder.sweep(MIDNIGHT + HOUR, HOUR // 2)
    recorder.sweep(MIDNIGHT + 2 * HOUR, HOUR // 2)
    assert [(quantity, value) for quantity, value, _ in log.rows()] == [(boundary_quantity(REGISTER, DAY), 1000)]


def test_a_freeze_wins_over_the_last_reading_and_comes_once(log: Log) -> None:
    recorder = log.recorder(freezes=True)
    recorder.rows([reading(1000)], MIDNIGHT - HOUR)
    recorder.rows([reading(1200)], MIDNIGHT + HOUR)
    assert recorder.boundaries_missing(DAY) == [DAY]
    assert recorder.boundary(reading(1090, DAY), MIDNIGHT + HOUR)
    assert not recorder.boundary(reading(1090, DAY), MIDNIGHT + 2 * HOUR)
    recorder.sweep(MIDNIGHT + 30 * HOUR, 0)
    assert recorder.boundaries_missing(DAY) == []
    rows = log.rows()
    assert (rows[0][0], rows[0][1], rows[0][2]["source"]) == (boundary_quantity(REGISTER, DAY), 1090, "freeze")
    assert [row[0] for row in rows].count(boundary_quantity(REGISTER, DAY)) == 1


@pytest.mark.parametrize("frozen", [990, 1210])
def test_a_freeze_that_does_not_lie_between_its_neighbours_is_suspect_and_no_boundary(log: Log, frozen: int) -> None:
    recorder = log.recorder(freezes=True)
    recorder.rows([reading(1000)], MIDNIGHT - HOUR)
    recorder.rows([reading(1200)], MIDNIGHT + HOUR)
    assert not recorder.boundary(reading(frozen, DAY), MIDNIGHT + HOUR)
    assert log.rows()[0][:2] == (REGISTER, frozen)
    assert log.rows()[0][2]["suspect"] == ["freeze-out-of-order"]
    assert recorder.boundary_from_last(REGISTER, DAY, MIDNIGHT + 2 * HOUR)
    assert log.rows()[1][:2] == (boundary_quantity(REGISTER, DAY), 1000)


def test_a_freeze_below_the_last_reading_is_no_boundary_though_nothing_after_midnight_is_believed(log: Log) -> None:
    recorder = log.recorder(freezes=True)
    recorder.rows([reading(1000)], MIDNIGHT - HOUR)
    recorder.rows([reading(900)], MIDNIGHT + HOUR)
    assert not recorder.boundary(reading(900, DAY), MIDNIGHT + HOUR)
    assert recorder.boundary(reading(1050, DAY), MIDNIGHT + 2 * HOUR)
    assert log.rows()[-1][:2] == (boundary_quantity(REGISTER, DAY), 1050)


@pytest.mark.parametrize(("value", "says"), [(900, "register-fell"), (90_000_000, "too-fast")])
def test_a_suspect_reading_is_logged_as_such_and_never_billed(log: Log, value: int, says: str) -> None:
    recorder = log.recorder()
    recorder.rows([reading(1000)], MIDNIGHT - 2 * HOUR)
    ((_, detail),) = recorder.rows([reading(value)], MIDNIGHT - HOUR)
    assert decode_detail(detail)["suspect"] == [says]
    recorder.rows([reading(1100)], MIDNIGHT + HOUR)
    assert [row[1] for row in log.rows()] == [1000]
    assert recorder.suspect == 1


def test_no_last_reading_becomes_a_boundary_before_the_clouds_head_was_seen(log: Log) -> None:
    recorder = log.recorder()
    recorder.may_use_last_reading = lambda: False
    recorder.rows([reading(1000)], MIDNIGHT - HOUR)
    recorder.rows([reading(1200)], MIDNIGHT + HOUR)
    recorder.sweep(MIDNIGHT + 2 * HOUR, 0)
    assert log.rows() == []
    recorder.may_use_last_reading = lambda: True
    recorder.sweep(MIDNIGHT + 2 * HOUR, 0)
    assert [row[1] for row in log.rows()] == [1000]


def test_a_boundary_stays_single_when_the_registers_memory_is_lost(log: Log) -> None:
    log.recorder().rows([reading(1000)], MIDNIGHT - HOUR)
    log.recorder().sweep(MIDNIGHT + HOUR, 0)
    log.registers.state(device_id(URN), REGISTER).last_boundary = None
    recorder = log.recorder(freezes=True)
    recorder.boundary(reading(1000, DAY), MIDNIGHT + HOUR)
    assert len(log.rows()) == 1


def test_the_registers_memory_is_the_same_after_a_snapshot_and_after_a_fold(log: Log) -> None:
    recorder = log.recorder(freezes=True)
    rows = [row for hour in range(30) for row in recorder.rows([reading(1000 + hour)], MIDNIGHT - HOUR * (20 - hour))]
    restored, folded = Registers(DAYS), Registers(DAYS)
    assert restored.restore(log.registers.snapshot(7)) == 7
    folded.fold(rows)
    own = log.registers.state(recorder.device, REGISTER)
    for other in (restored, folded):
        state = other.state(recorder.device, REGISTER)
        assert (state.last, state.day_end_ms, state.candidates) == (own.last, own.day_end_ms, own.candidates)
    assert Registers(DAYS).restore(b"not json") == 0


def test_days_of_23_and_25_hours_begin_where_the_zone_says() -> None:
    berlin = LocalDays(ZoneInfo("Europe/Berlin"))
    spring, autumn = date(2026, 3, 29), date(2026, 10, 25)
    assert berlin.end_ms(berlin.start_ms(spring)) - berlin.start_ms(spring) == 23 * HOUR
    assert berlin.end_ms(berlin.start_ms(autumn)) - berlin.start_ms(autumn) == 25 * HOUR
    assert berlin.boundaries(berlin.start_ms(spring) - 1, berlin.start_ms(autumn))[-1] == autumn


def test_a_step_of_the_clock_is_seen_and_its_drift_is_not() -> None:
    wall, monotonic = [10_000_000], [0.0]
    watch = ClockWatch(lambda: wall[0], lambda: monotonic[0])
    wall[0], monotonic[0] = wall[0] + 60_100, 60.0
    assert watch.step_ms() == 0
    wall[0], monotonic[0] = wall[0] - 3_600_000 + 1_000, 61.0
    assert watch.step_ms() == -3_600_000
    assert watch.is_unset
