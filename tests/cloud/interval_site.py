"""A made-up site whose meters have one register and a tariff by time of use: readings between boundaries say when.

Some meters have tariff registers all the same, some are swapped, silent at a boundary or for days, show what cannot be,
or are read by a gateway whose clock was ahead for a while.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from cloud.chain.records import UnitRecord
from cloud.chain.view import ChainView
from cloud.months import month_of
from cloud.store import Store, tables
from cloud.store.months import add_partition
from contracts.tariff import Counting
from tests.cloud.billing_site import (
    CLOSING,
    LATE,
    OPENING,
    RATES,
    SEASON,
    SWAP,
    TOTAL,
    YEAR,
    BillingSite,
    bind,
    by_time,
    tariff,
)

ZONE = ZoneInfo("Asia/Shanghai")
MINUTE, HOUR = 60_000, 3_600_000
DATES = (YEAR, SWAP, LATE, OPENING, SEASON, 20261115, CLOSING)
ODDITIES = (
    "swapped", "registers then none", "none then registers", "registers too", "registers once", "late", "missing",
    "no opening", "falls", "doubled", "foreign", "silent", "days unread", "a jump", "clock ahead", "unread",
    "read elsewhere", "twice at once", "off the hour",
)  # fmt: skip


def midnight_ms(day: int, zone: ZoneInfo = ZONE) -> int:
    return int(datetime(day // 10_000, day // 100 % 100, day % 100, tzinfo=zone).timestamp()) * 1000


@dataclass
class IntervalSite(BillingSite):
    """Boundary entries and readings; `write` puts both into a store."""

    readings: list[tuple[Any, ...]] = field(default_factory=list)

    def reading(self, device: bytes, at_ms: int, value: int, *, log: int = 1, quantity: str = TOTAL) -> None:
        index = self.next_index[log]
        self.next_index[log] = index + 1
        self.readings.append((log, index, device, quantity, at_ms, value))

    async def write(self, store: Store) -> None:
        await super().write(store)
        await self.write_readings(store, self.readings)

    async def write_readings(self, store: Store, readings: Sequence[tuple[Any, ...]]) -> None:
        months = sorted({month_of(at_ms) for *_, at_ms, _ in readings})
        async with store.write() as connection:
            if store.is_postgres:
                for month in months:
                    await add_partition(connection, month)
            rows = [
                {
                    "log_id": log, "entry_index": index, "kind": 1, "device": device, "observed_at_ms": at_ms,
                    "quantity": quantity, "value": value, "detail_digest": bytes(32), "salt": bytes(32),
                    "leaf_hash": sha256(f"{log}/{index}".encode()).digest(), "received_month": month_of(at_ms),
                }
                for log, index, device, quantity, at_ms, value in readings
            ]  # fmt: skip
            for start in range(0, len(rows), 1000):
                await connection.execute(tables.entries.insert(), rows[start : start + 1000])


def random_interval_site(seed: int, ordinary: int = 12) -> IntervalSite:
    """A site from its seed: a unit with each oddity, and some ordinary ones."""
    rng = Random(seed)
    site = IntervalSite(ChainView(31337))
    view = site.view
    tariff(view, by_time(counting=rng.choice((Counting.YEAR, Counting.PERIOD)), category=0))
    for index, oddity in enumerate([*ODDITIES, *[""] * ordinary]):
        unit = UnitRecord(alias=sha256(f"{seed} {index}".encode()).digest(), index=index, area_centi_m2=100, category=0)
        view.roll.append(unit)
        view.units[unit.alias] = unit
        view.households[unit.alias] = [(YEAR, rng.randrange(1, 8))]
        _Meter(site, rng, unit, oddity).count()
    return site


@dataclass
class _Meter:
    """A unit's meter, or two of them one after the other."""

    site: IntervalSite
    rng: Random
    unit: UnitRecord
    oddity: str

    def count(self) -> None:
        swap = 20261115 if self.oddity in ("swapped", "registers then none", "none then registers") else 0
        log = self.rng.randrange(2)
        first = LATE if self.oddity == "late" else YEAR
        devices = [sha256(self.unit.alias + bytes([at])).digest() for at in range(2 if swap else 1)]
        bind(self.site.view, devices[0], self.unit.alias, 1, first, swap, log=log)
        spans = [(devices[0], first, swap or CLOSING)]
        if swap:
            bind(self.site.view, devices[1], self.unit.alias, 1, swap, log=log)
            spans.append((devices[1], swap, CLOSING))
        for number, (device, begins, ends) in enumerate(spans):
            has_rates = self.oddity == "registers too" or self.oddity == (
                "none then registers" if number else "registers then none"
            )
            self._one(device, begins, ends, log + 1, has_rates=has_rates)

    def _one(self, device: bytes, begins: int, ends: int, log: int, *, has_rates: bool) -> None:
        rng, site, oddity = self.rng, self.site, self.oddity
        days = [day for day in DATES if begins <= day <= ends]
        values = [rng.randrange(10**6)]
        for _ in days[1:]:
            values.append(values[-1] + rng.randrange(2_000, 400_000))
        parts = [value // 3 for value in values]
        for day, value, part in zip(days, values, parts, strict=True):
            self._boundary(device, day, value, log)
            if has_rates or (oddity == "registers once" and day == LATE):
                for register, shown in zip(RATES, (part, part, value - 2 * part), strict=True):
                    site.entry(device, register, day, shown, log=log)
        if oddity != "unread":
            self._read(device, days, values, log)

    def _boundary(self, device: bytes, day: int, value: int, log: int) -> None:
        oddity, rng = self.oddity, self.rng
        gone = {"missing": day == CLOSING, "no opening": day == OPENING, "silent": day >= OPENING}
        if gone.get(oddity, False):
            return
        shown = 0 if oddity == "falls" and day == CLOSING else value
        self.site.entry(device, TOTAL, day, shown, log=3 - log if oddity == "foreign" and day == CLOSING else log)
        if oddity == "doubled" and day == CLOSING:
            self.site.entry(device, TOTAL, day, value + rng.randrange(-50, 50), log=log)

    def _read(self, device: bytes, days: Sequence[int], values: Sequence[int], log: int) -> None:
        """Every three hours or so, some seconds late, between the boundary values."""
        rng, oddity = self.rng, self.oddity
        starts = [midnight_ms(day) for day in days]
        at = max(midnight_ms(OPENING), starts[0]) + rng.randrange(2) * HOUR
        while at < midnight_ms(CLOSING) and at < starts[-1]:
            place = bisect_right(starts, at) - 1
            gone_s = (at - starts[place]) // 1000
            span_s = (starts[place + 1] - starts[place]) // 1000
            value = values[place] + (values[place + 1] - values[place]) * gone_s // span_s
            day = (at - midnight_ms(OPENING)) // (24 * HOUR)
            told_at = at + rng.randrange(200_000)
            if oddity == "off the hour":
                told_at += 17 * MINUTE
            if oddity == "clock ahead" and 20 <= day < 22:
                told_at += 26 * HOUR
            if oddity == "a jump" and rng.random() < 0.1:
                value += rng.choice((-1, 1)) * rng.randrange(50_000)
            if not (oddity == "days unread" and 10 <= day < 13):
                elsewhere = oddity == "read elsewhere" and rng.random() < 0.3
                self.site.reading(device, told_at, value, log=3 - log if elsewhere else log)
                if oddity == "twice at once" and rng.random() < 0.2:
                    self.site.reading(device, told_at, value + rng.randrange(2), log=log)
            at += rng.choice((1, 2, 3)) * HOUR
