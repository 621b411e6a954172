"""A simulated DL/T 645-2007 meter: registers, tariffs, voltage, daily freezes and monthly settlements."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from devices.dlt645.frame import MORE, REFUSED, REPLY, Frame
from devices.dlt645.request import READ, READ_ADDRESS, READ_FOLLOWING
from devices.dlt645.value import BcdFormat, encode_freeze_time
from devices.simulated.calendar import local_date
from devices.simulated.chance import between
from devices.simulated.supply import Register

ENERGY = BcdFormat(bytes_count=4, factor=10)
VOLTS = BcdFormat(bytes_count=2, factor=100)
AMPERES = BcdFormat(bytes_count=3, factor=1, is_signed=True)
NO_SUCH_DATA = 0x02
SEGMENT_BYTES_MAX = 190
SETTLEMENT_DAY = 1
FREEZES_KEPT = 62
SETTLEMENTS_KEPT = 12
TARIFFS = 5
BACKWARDS_WH = 5_000


class Meter:
    """Answers questions at an instant. A reply holds at most `segment_bytes` of data; the rest follows on request."""

    def __init__(
        self,
        *,
        address: str,
        consumption: Register,
        zone: ZoneInfo,
        seed: int,
        phases: int = 1,
        segment_bytes: int = SEGMENT_BYTES_MAX,
    ) -> None:
        self.address = address
        self.consumption = consumption
        self._zone = zone
        self._seed = seed
        self._phases = phases
        self._segment_bytes = segment_bytes
        self._following: tuple[bytes, list[bytes]] = (b"", [])
        self._wire_address = bytes.fromhex(address)[::-1]
        self.is_backwards = False

    def answer(self, frame: Frame, now_ms: int) -> Frame | None:
        """The reply to a question that reached this meter, or None to stay silent."""
        if frame.control == READ and len(frame.data) == 4:
            content = self._read(frame.data, now_ms)
            return self._refusal(READ) if content is None else self._first_segment(frame.data, content)
        if frame.control == READ_FOLLOWING and len(frame.data) == 5:
            return self._next_segment(frame.data[:4], frame.data[4])
        if frame.control == READ_ADDRESS and not frame.data:
            return Frame(self.address, READ_ADDRESS | REPLY, self._wire_address)
        return None

    def _first_segment(self, data_id: bytes, content: bytes) -> Frame:
        size = self._segment_bytes
        segments = [content[start : start + size] for start in range(size, len(content), size)]
        self._following = (data_id, segments)
        return Frame(self.address, READ | REPLY | (MORE if segments else 0), data_id + content[:size])

    def _next_segment(self, data_id: bytes, number: int) -> Frame:
        asked, segments = self._following
        if asked != data_id or not 1 <= number <= len(segments):
            return self._refusal(READ_FOLLOWING)
        more = MORE if number < len(segments) else 0
        return Frame(self.address, READ_FOLLOWING | REPLY | more, data_id + segments[number - 1] + bytes((number,)))

    def _refusal(self, control: int) -> Frame:
        return Frame(self.address, control | REPLY | REFUSED, bytes((NO_SUCH_DATA,)))

    def _read(self, data_id: bytes, now_ms: int) -> bytes | None:
        """The content of a data identifier (DI0 first), or None if this meter has no such data."""
        if data_id == b"\x00\x00\x01\x00":
            return ENERGY.encode(self._shown(self.consumption.at(now_ms)))
        last, family = data_id[0], data_id[:0:-1].hex().upper()
        today = local_date(now_ms, self._zone)
        if family == "050600" and 1 <= last <= FREEZES_KEPT:
            return encode_freeze_time(datetime.combine(today - timedelta(days=last - 1), datetime.min.time()))
        if family == "050601" and 1 <= last <= FREEZES_KEPT:
            return self._frozen(today - timedelta(days=last - 1))
        if family == "000100" and 1 <= last <= SETTLEMENTS_KEPT:
            return ENERGY.encode(self.consumption.at_midnight(months_back(today, last - 1)))
        reader = self._registers().get(f"{family}{last:02X}")
        return None if reader is None else reader(now_ms)

    def _registers(self) -> dict[str, Callable[[int], bytes]]:
        return {
            "0001FF00": lambda now_ms: self._energies(self.consumption.at(now_ms), self.consumption.valley_at(now_ms)),
            "02010100": lambda now_ms: VOLTS.encode(self._millivolts(now_ms, 0)),
            "0201FF00": lambda now_ms: b"".join(VOLTS.encode(self._millivolts(now_ms, p)) for p in range(self._phases)),
            "02020100": lambda now_ms: AMPERES.encode(self._milliamperes(now_ms)),
            "0202FF00": lambda now_ms: AMPERES.encode(self._milliamperes(now_ms)) * self._phases,
            "04000101": lambda now_ms: self._date_and_weekday(now_ms),
            "04000102": lambda now_ms: self._time_of_day(now_ms),
            "04000401": lambda now_ms: self._wire_address,
            "04000B01": lambda now_ms: bytes((0, SETTLEMENT_DAY)),
        }

    def _energies(self, total: int, valley: int) -> bytes:
        """Total and four tariffs: sharp, peak, flat, valley. The total is what the tariffs show together."""
        peak = self._shown(total - valley)
        parts = (peak - peak % ENERGY.factor + valley - valley % ENERGY.factor, 0, peak, 0, valley)
        return b"".join(map(ENERGY.encode, parts))

    def _frozen(self, day: date) -> bytes:
        total = self.consumption.at_midnight(day)
        valley = self.consumption.valley_at_midnight(day)
        # A freeze holds the total register itself, which the tariffs' cut digits may miss by one step.
        return ENERGY.encode(self._shown(total)) + self._energies(total, valley)[ENERGY.bytes_count :]

    def _shown(self, energy_wh: int) -> int:
        return max(0, energy_wh - BACKWARDS_WH) if self.is_backwards else energy_wh

    def _millivolts(self, now_ms: int, phase: int) -> int:
        return between(218_000, 236_000, self._seed, self.address, phase, now_ms // 60_000)

    def _milliamperes(self, now_ms: int) -> int:
        last_minute_wh = self.consumption.at(now_ms) - self.consumption.at(now_ms - 60_000)
        return last_minute_wh * 60 * 1000 // (220 * self._phases)

    def _date_and_weekday(self, now_ms: int) -> bytes:
        now = datetime.fromtimestamp(now_ms // 1000, self._zone)
        return bytes.fromhex(f"{now:%y%m%d}{now.isoweekday() % 7:02d}")[::-1]

    def _time_of_day(self, now_ms: int) -> bytes:
        return bytes.fromhex(f"{datetime.fromtimestamp(now_ms // 1000, self._zone):%H%M%S}")[::-1]


def months_back(day: date, months: int) -> date:
    """The settlement day `months` before the last one that `day` has reached."""
    index = day.year * 12 + day.month - 1 - months
    return date(index // 12, index % 12 + 1, SETTLEMENT_DAY)
