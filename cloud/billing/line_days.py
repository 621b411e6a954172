"""The boundary dates at which a meter's own lines begin and end, in whatever period.

Two estimated lines that meet in a midnight which nobody heard take one register value there, also where they are on
bills of different periods. Both find it from the same days: too few, and the later line opens elsewhere than the
earlier one closed; a day of what does not price the meter (a fee, another category's tariff), and an estimate moves
that should not.
"""

from collections.abc import Sequence, Set

from cloud.billing.seasons import split_at_seasons
from cloud.billing.usage import OWN_ROLE, Subject
from cloud.chain.tariff_days import TariffDays, priced_days
from cloud.chain.view import ChainView
from cloud.directory import Directory

__all__ = ["LineDays"]

_OPEN = 10**8  # after every boundary date

_Kind = tuple[str, int, int | None]
"""All meters that the same tariffs price: a quantity, a unit's category, and the version that the directory names."""


class LineDays:
    """Lines' days by meter and quantity, looked up as they are asked for: most meters are never estimated."""

    def __init__(self, view: ChainView, directory: Directory, period: int) -> None:
        """Args:
        period: the one that is reckoned, closed or not; the others are those that the chain has closed.
        """
        self._view, self._directory = view, directory
        self._periods = sorted({*view.periods, period})
        self._days: dict[tuple[_Kind, int], list[TariffDays]] = {}
        self._cuts: dict[_Kind, Set[int]] = {}

    def of(self, device: bytes, quantity: str) -> Set[int]:
        """Where lines of one quantity of one meter begin and end: its bindings' days, and within each of them the
        periods' edges, the days on which another tariff prices it, and those on which a tariff's season changes.
        """
        found: set[int] = set()
        for record in self._view.bindings.get(device, ()):
            first, last = record.from_date, record.to_date or _OPEN
            cuts = self._cuts_of(self._kind((record.subject, record.role), quantity))
            found |= {day for day in cuts if first < day < last} | {first, last}
        return found - {_OPEN}

    def priced(self, subject: Subject, quantity: str, period: int) -> Sequence[TariffDays]:
        """Which tariff prices each day of a quantity that a subject's meters count: the one that the directory names
        for the meter on the days on which it is in force, else the one that the chain has for the unit's category.
        """
        return self._priced(self._kind(subject, quantity), period)

    def _cuts_of(self, kind: _Kind) -> Set[int]:
        """Every period's edges, and the days within it that cut such meters' lines."""
        if kind not in self._cuts:
            found = {day for period in self._periods for day in divmod(period, 10**8)}
            for period in self._periods:
                for one in self._priced(kind, period):
                    parts = split_at_seasons(one.record.terms, one.first, one.last)
                    found.update(day for part in parts for day in part)
            self._cuts[kind] = found
        return self._cuts[kind]

    def _priced(self, kind: _Kind, period: int) -> list[TariffDays]:
        if (kind, period) not in self._days:
            quantity, category, named = kind
            days = self._view.tariff_for(quantity, category, period)
            if named is not None:
                own = [one for one in self._view.tariff_days(period) if one.record.version == named]
                days = priced_days([*days, *own], preferred=named)
            self._days[kind, period] = days
        return self._days[kind, period]

    def _kind(self, subject: Subject, quantity: str) -> _Kind:
        unit = self._view.units.get(subject[0]) if subject[1] == OWN_ROLE else None
        return quantity, unit.category if unit else 0, self._named(subject, quantity)

    def _named(self, subject: Subject, quantity: str) -> int | None:
        """The version that the directory names for the subject's meter of a quantity."""
        for device, _ in self._view.bound().get(subject, ()):
            named = self._directory.device_of(device)
            if named and named.tariff and named.quantity == quantity:
                return self._directory.tariffs.get(named.tariff)
        return None
