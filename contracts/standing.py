"""Charges that no meter counts: by floor area, by residents, by a stated number, once. What pricing.vy computes."""

from calendar import monthrange

from contracts.tariff import MONTH_PARTS, NANOFEN, USAGE_END, Basis, TariffError, Terms, next_month


def month_parts(from_date: int, to_date: int) -> int:
    """Months between two boundary dates, in parts of which every month has 377,580: a day is its part of its month."""
    parts, date = 0, from_date
    while date < to_date:
        days = monthrange(date // 10_000, date // 100 % 100)[1]
        after = next_month(date // 100) * 100 + 1
        last = to_date % 100 if to_date < after else days + 1
        parts += (last - date % 100) * (MONTH_PARTS // days)
        date = after
    return parts


def standing_charge(terms: Terms, *, count: int, from_date: int, to_date: int) -> int:
    """Fen for so many units of the terms' basis over the days of a line, rounded once, half up.

    Args:
        count: 0.01 m2, residents, or the number that the right states.
    """
    if terms.basis is Basis.METER:
        raise TariffError(f"tariff for {terms.quantity} is metered; it has no standing charge")
    if not 0 <= count < USAGE_END:
        raise TariffError(f"tariff for {terms.quantity}: {count} of them are out of range")
    price = terms.season(from_date, to_date).price(0)
    parts = MONTH_PARTS if terms.basis is Basis.ONCE else month_parts(from_date, to_date)
    divisor = MONTH_PARTS * NANOFEN
    return (2 * count * price * parts + divisor) // (2 * divisor)
