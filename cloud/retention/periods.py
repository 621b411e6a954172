"""How long each kind of data is kept before it is erased down to its hash: data, with what it rests on.

Months are counted from the end of the month in which an entry arrived. What gateways say of themselves (kind 5) and
beacons (kind 6) tell of no person and date everything else: they are kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cloud.errors import SettingsError
from cloud.months import month_of, months_later
from cloud.toml_table import Table

__all__ = ["KINDS", "KindOfData", "Periods", "periods_from_settings"]

_MONTHS_MAX = 1_200
_COPIES_WAIT_DAYS, _COPIES_WAIT_DAYS_MAX = 31, 366
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KindOfData:
    """Entries that are kept equally long."""

    name: str
    months: int  # kept, unless the settings say otherwise
    why: str


KINDS = (
    KindOfData(name="access", months=3, why="where people went: no longer than a dispute about a door needs (PIPL 19)"),
    KindOfData(name="readings", months=13, why="a tariff's year and a month to correct its bills (PIPL 19)"),
    KindOfData(name="status", months=48, why="lifts' records: at least four years (city rules on lifts)"),
    KindOfData(name="visits", months=48, why="maintenance records: at least four years (city rules on lifts)"),
    KindOfData(
        name="boundaries",
        months=48,
        why="what bills rest on: three years of limitation (Civil Code 188) and the tariff's year before",
    ),
)
"""In the order in which their time is over."""


@dataclass(frozen=True, slots=True)
class Periods:
    """Months by kind of data; 0 keeps for good. And days that what is due waits for copies that have not got it."""

    months: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({one.name: one.months for one in KINDS}))
    copies_wait_days: int = _COPIES_WAIT_DAYS

    def last_due(self, name: str, now_month: int) -> int:
        """The last month whose entries of this kind have been kept long enough; 0 where they are kept for good."""
        kept = self.months[name]
        return months_later(now_month, -kept - 1) if kept else 0

    def last_overdue(self, name: str, now_ms: int) -> int:
        """The last month whose entries wait for no copy any more."""
        return self.last_due(name, month_of(now_ms - self.copies_wait_days * _DAY_MS))


def periods_from_settings(table: Table | None) -> Periods:
    """What `[retention]` says, over the defaults: `readings_months = 13` and so on, `copies_wait_days = 31`.

    Raises:
        SettingsError: naming key and remedy.
    """
    if table is None:
        return Periods()
    months = {one.name: int(table.take(f"{one.name}_months", int, one.months)) for one in KINDS}
    for name, count in months.items():
        if not 0 <= count <= _MONTHS_MAX:
            raise SettingsError(f"[retention] {name}_months is {count}; write 1 to {_MONTHS_MAX}, or 0 for good")
    days = int(table.take("copies_wait_days", int, _COPIES_WAIT_DAYS))
    if not 0 <= days <= _COPIES_WAIT_DAYS_MAX:
        raise SettingsError(f"[retention] copies_wait_days is {days}; write 0 to {_COPIES_WAIT_DAYS_MAX}")
    return Periods(MappingProxyType(months), days)
