"""The building's local days as ranges of UTC milliseconds."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

EPOCH_DAY = date(2025, 1, 1)
"""The building was finished on this day: all registers begin here."""


@lru_cache(maxsize=4096)
def day_start_ms(day: date, zone: ZoneInfo) -> int:
    """The first millisecond of a local date."""
    return int(datetime.combine(day, time(), zone).astimezone(UTC).timestamp()) * 1000


def local_date(at_ms: int, zone: ZoneInfo) -> date:
    """The local date of an instant."""
    return datetime.fromtimestamp(at_ms // 1000, zone).date()


def next_day(day: date) -> date:
    return day + timedelta(days=1)
