"""The demo's month: the last thirty local days, and the clock that compresses them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from contracts.clock import DemoClock

__all__ = ["Month", "last_month", "month_clock", "period_number"]

DAYS = 30
LEAD_MS = 2 * 3_600_000  # the gateway runs this long before the first boundary, so that it has seen every meter


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """One billing period: it opens and closes with the local midnights that begin these days."""

    opening: date
    closing: date
    opening_ms: int  # UTC milliseconds of the opening midnight
    closing_ms: int

    @property
    def days(self) -> int:
        """Local days in the period."""
        return (self.closing - self.opening).days


def last_month(now_ms: int, zone: ZoneInfo) -> Month:
    """The period of the thirty local days before today."""
    closing = datetime.fromtimestamp(now_ms / 1000, zone).date()
    opening = closing - timedelta(days=DAYS)
    if opening.year != closing.year and closing != date(closing.year, 1, 1):
        opening = date(closing.year, 1, 1)  # a billing period never crosses 1 January: year tiers begin there
    return Month(
        opening=opening, closing=closing, opening_ms=_midnight_ms(opening, zone), closing_ms=_midnight_ms(closing, zone)
    )


def month_clock(month: Month, *, real_start_ms: int, real_seconds: float) -> DemoClock:
    """A clock that lives through the month, and the hours of today, within `real_seconds`, and ends now."""
    return DemoClock(
        real_start_ms=real_start_ms,
        real_end_ms=real_start_ms + round(real_seconds * 1000),
        demo_start_ms=month.opening_ms - LEAD_MS,
    )


def period_number(month: Month) -> int:
    """The period as contracts number it: opening date * 10^8 + closing date."""
    return int(f"{month.opening:%Y%m%d}") * 10**8 + int(f"{month.closing:%Y%m%d}")


def _midnight_ms(day: date, zone: ZoneInfo) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)
