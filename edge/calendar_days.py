"""The site's local days as UTC milliseconds: where one ends, and which boundary a midnight is."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


class LocalDays:
    """Midnights of one time zone. A day may have 23 or 25 hours; its boundary is its first instant."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._start_ms = lru_cache(maxsize=256)(self._compute_start_ms)

    def day_of(self, at_ms: int) -> date:
        """The local date of an instant."""
        return datetime.fromtimestamp(at_ms / 1000, self.zone).date()

    def start_ms(self, day: date) -> int:
        """The first instant of a local date, in UTC milliseconds."""
        return self._start_ms(day)

    def end_ms(self, at_ms: int) -> int:
        """The midnight that ends the local day of an instant."""
        return self._start_ms(self.day_of(at_ms) + timedelta(days=1))

    def boundaries(self, after_ms: int, until_ms: int) -> list[date]:
        """The dates whose midnight lies in (after_ms, until_ms], oldest first; the last 62 where there are more."""
        day, last = self.day_of(after_ms) + timedelta(days=1), self.day_of(until_ms)
        day = max(day, last - timedelta(days=61))
        return [day + timedelta(days=number) for number in range((last - day).days + 1)]

    def _compute_start_ms(self, day: date) -> int:
        """Where a clock change skips midnight, the first instant that the day has."""
        start = datetime(day.year, day.month, day.day, tzinfo=self.zone).astimezone(UTC)
        start_ms = int(start.timestamp()) * 1000
        while self.day_of(start_ms) < day:
            start_ms += 15 * 60_000
        return start_ms
