"""Months as numbers YYYYMM, in UTC: by them entries are stored, and counted as kept long enough."""

from datetime import UTC, datetime

__all__ = ["month_end_ms", "month_of", "months_between", "months_later"]


def month_of(received_at_ms: int) -> int:
    """YYYYMM, in UTC, of an arrival."""
    at = datetime.fromtimestamp(received_at_ms / 1000, UTC)
    return at.year * 100 + at.month


def months_later(month: int, count: int) -> int:
    """The month `count` months after another; before it, where `count` is negative."""
    number = month // 100 * 12 + month % 100 - 1 + count
    return number // 12 * 100 + number % 12 + 1


def months_between(first: int, last: int) -> list[int]:
    """Every month from `first` to `last`."""
    found = [first]
    while found[-1] < last:
        found.append(months_later(found[-1], 1))
    return found


def month_end_ms(month: int) -> int:
    """The first millisecond behind a month."""
    following = months_later(month, 1)
    return int(datetime(following // 100, following % 100, 1, tzinfo=UTC).timestamp()) * 1000
