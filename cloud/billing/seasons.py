"""The days of lines: a line lies in one season of its tariff, and its tiers count from some day on."""

from contracts.tariff import Counting, Season, Terms, next_month

__all__ = ["split_at_seasons", "tier_start"]


def split_at_seasons(terms: Terms, opening: int, closing: int) -> list[tuple[int, int]]:
    """The parts of a period that lie in one season each: a line's days. Seasons change on the first of a month."""
    parts: list[tuple[int, int]] = []
    start, season = opening, None
    month = opening // 100
    while (first := max(opening, month * 100 + 1)) < closing:
        present = _season_of_month(terms, month % 100)
        if season is not None and present is not season:
            parts.append((start, first))
            start = first
        season = present
        month = next_month(month)
    return [*parts, (start, closing)]


def _season_of_month(terms: Terms, month: int) -> Season:
    return next(season for season in terms.seasons if month in season.months)


def tier_start(terms: Terms, opening: int, from_date: int, bound_since: int) -> int:
    """The boundary date from which the tiers of a line count; a meter bound later begins with its binding."""
    if terms.counting is Counting.NONE:
        return from_date
    first = opening if terms.counting is Counting.PERIOD else from_date // 10_000 * 10_000 + 101
    return min(from_date, max(first, bound_since))
