"""Sub-meters against their main meter, day by day and bus by bus: what was lost between them, and when that was odd.

A day counts from its boundary to the next. A day on which a meter lacks a boundary entry has no balance and says which
meters lack one; nothing is estimated or clamped, for the difference is what somebody must look at.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.usage import Registers, load_registers
from cloud.chain.view import ChainView
from cloud.directory import DirectoryBus

__all__ = ["BusDay", "Deviation", "bus_days", "deviations", "read_balance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BusDay:
    """One day of one bus, in base units of its register."""

    day: date
    main: int | None  # None where a main meter lacks an entry
    subs: int | None
    missing: int  # meters without an entry at one of the day's ends
    low_permille: int
    high_permille: int

    @property
    def difference(self) -> int | None:
        """What the main meters counted and no sub-meter did; below zero where sub-meters counted more."""
        return None if self.main is None or self.subs is None else self.main - self.subs

    @property
    def loss_permille(self) -> int | None:
        """The difference in parts of a thousand of the main meters' count, rounded down."""
        return None if self.difference is None or not self.main else self.difference * 1000 // self.main

    @property
    def is_in_band(self) -> bool | None:
        """Whether the loss is one that cables and meters explain; None where there is no balance."""
        if self.difference is None or self.main is None:
            return None
        low, high = self.low_permille * self.main, self.high_permille * self.main
        return low <= 1000 * self.difference <= high

    def says(self) -> str:
        """For people who look after the meters."""
        if self.difference is None:
            return f"no balance, {self.missing} meters lack a boundary entry"
        loss = "" if self.loss_permille is None else f", {self.loss_permille} permille"
        band = "" if self.is_in_band else f", outside {self.low_permille} to {self.high_permille}"
        return f"{self.main} - {self.subs} = {self.difference}{loss}{band}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """Days in a row on which a bus lost too much, or too little."""

    first: date
    last: date
    main: int
    difference: int

    def says(self) -> str:
        """For people who look after the meters, in base units."""
        days = f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        if self.difference >= 0:
            return f"look at {days}: {self.difference} of the main meters' {self.main} passed no sub-meter"
        return f"look at {days}: sub-meters counted {-self.difference} more than the main meters' {self.main}"


async def read_balance(
    connection: AsyncConnection, view: ChainView, bus: DirectoryBus, *, first: date, last: date
) -> list[BusDay]:
    """The days of a bus from `first` up to, not including, `last`."""
    days = [_number(first + timedelta(days=at)) for at in range((last - first).days + 1)]
    registers = await load_registers(connection, view, dates=days, devices={*bus.main, *bus.subs})
    return list(bus_days(registers, bus, first=first, last=last))


def bus_days(registers: Registers, bus: DirectoryBus, *, first: date, last: date) -> Iterator[BusDay]:
    """The same of what was read."""
    for at in range((last - first).days):
        day = first + timedelta(days=at)
        main, sub = (_counted(registers, some, bus.register, day) for some in (bus.main, bus.subs))
        yield BusDay(
            day=day,
            main=sum(one for one in main if one is not None) if None not in main else None,
            subs=sum(one for one in sub if one is not None) if None not in sub else None,
            missing=main.count(None) + sub.count(None),
            low_permille=bus.low_permille,
            high_permille=bus.high_permille,
        )


def deviations(days: Sequence[BusDay]) -> list[Deviation]:
    """Stretches of days outside the band, in order. A day without a balance ends a stretch."""
    found = []
    for is_in_band, some in groupby(days, key=lambda day: day.is_in_band):
        stretch = list(some)
        if is_in_band is False:
            found.append(
                Deviation(
                    first=stretch[0].day,
                    last=stretch[-1].day,
                    main=sum(day.main or 0 for day in stretch),
                    difference=sum(day.difference or 0 for day in stretch),
                )
            )
    return found


def _counted(registers: Registers, devices: Sequence[bytes], register: str, day: date) -> list[int | None]:
    opening, closing = _number(day), _number(day + timedelta(days=1))
    counted: list[int | None] = []
    for device in devices:
        opened, closed = registers.at(device, register, opening), registers.at(device, register, closing)
        if not opened or not closed:
            counted.append(None)
        else:
            counted.append(min(one.value for one in closed) - max(one.value for one in opened))
    return counted


def _number(day: date) -> int:
    return int(day.strftime("%Y%m%d"))
