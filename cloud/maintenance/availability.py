"""How much of each day a lift was in service, by what its own mode told the gateway. Silence stands beside, and is
never filled.

A mode stands until the lift says another one, and at most `HEARD_MS`: modules report every hour, so a longer silence
tells nothing. In service over in service and stopped is availability; while somebody works on the lift it is neither.
What is kept here (`device_days`) can be made again from the log at any time. A gateway's entries may come weeks late:
they only ever fill silence, so days with silence are looked at again for as long as gateways keep what they saw.
"""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from cloud.directory import DirectoryDevice, DirectoryFile
from cloud.store import Store, tables
from cloud.store.logs import log_ids_of
from cloud.store.upsert import put
from cloud.visits.letters import gateway_of
from contracts.clock import Clock
from contracts.due import date_of, day_number

__all__ = ["HEARD_MS", "INSPECTION", "IN_SERVICE", "MODE", "Availability", "DaySeconds", "Share", "day_of", "share_of"]

MODE = "lift.mode"
HEARD_MS = 3 * 3_600_000
# Codes of `lift.mode` (devices/profiles): normal 0, inspection 1, fire 2, fault 3, out_of_service 4,
# emergency_electric 5, with which mechanics move the car by hand.
IN_SERVICE = 0
INSPECTION = frozenset({1, 5})
_DAY_MS = 86_400_000
_PAUSE_MS = 15 * 60_000  # between two looks while nothing changes
_SOON_MS = 60_000  # while entries come in, or nothing is kept yet
_LATE_DAYS = 60  # for so long gateways keep what they saw
_KEPT_DAYS = 366
_AT_ONCE = 31  # days of one lift in one step


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySeconds:
    """One local day, which has 23 to 25 hours."""

    in_service_s: int
    stopped_s: int
    inspection_s: int
    silent_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Several days together."""

    days: int
    available_permille: int | None  # None where it was never heard in service or stopped
    silent_permille: int


def day_of(track: Sequence[tuple[int, int]], start_ms: int, end_ms: int) -> DaySeconds:
    """How a lift spent a day.

    Args:
        track: (instant in ms, mode) by the lift's own time, oldest first, from `HEARD_MS` before the day on.
    """
    spent = {"in_service": 0, "stopped": 0, "inspection": 0}
    for number, (at_ms, mode) in enumerate(track):
        until_ms = at_ms + HEARD_MS
        if number + 1 < len(track):
            until_ms = min(until_ms, track[number + 1][0])
        what = "in_service" if mode == IN_SERVICE else "inspection" if mode in INSPECTION else "stopped"
        spent[what] += max(0, min(until_ms, end_ms) - max(at_ms, start_ms))
    silent_ms = end_ms - start_ms - sum(spent.values())  # reckoned before rounding: parts of a second are no silence
    return DaySeconds(
        in_service_s=spent["in_service"] // 1000,
        stopped_s=spent["stopped"] // 1000,
        inspection_s=spent["inspection"] // 1000,
        silent_s=silent_ms // 1000,
    )


def share_of(days: Iterable[Any]) -> Share:
    """Availability over days, in parts of a thousand, rounded down: 1000 is never said of a lift that stood still.

    Args:
        days: `DaySeconds`, or rows with the same columns.
    """
    known = list(days)
    in_service = sum(day.in_service_s for day in known)
    stopped = sum(day.stopped_s for day in known)
    silent = sum(day.silent_s for day in known)
    whole = in_service + stopped + silent + sum(day.inspection_s for day in known)
    return Share(
        days=len(known),
        available_permille=in_service * 1000 // (in_service + stopped) if in_service + stopped else None,
        silent_permille=-(-silent * 1000 // whole) if whole else 0,
    )


def bounds_of(day: date, timezone: ZoneInfo) -> tuple[int, int]:
    """A local day's midnights in UTC ms."""
    begin, end = (datetime.combine(one, time(), timezone) for one in (day, day + timedelta(days=1)))
    return int(begin.timestamp() * 1000), int(end.timestamp() * 1000)


class Availability:
    """Keeps the days of every lift of a site, up to yesterday.

    Args:
        origins_of: the logs that the Registry gives a device to; none where no chain is followed.
    """

    def __init__(
        self, store: Store, directory: DirectoryFile, clock: Clock, origins_of: Callable[[bytes], Iterable[str]]
    ) -> None:
        self._store, self._directory, self._clock, self._origins_of = store, directory, clock, origins_of
        self._looked: tuple[int, int, int] | None = None  # local day and ms of the last look, and the pause after it

    async def step(self) -> bool:
        """Reckon days that are over and those with silence again; whether there are more to reckon at once.

        Called often, it looks when a day has ended, soon again as long as that changed something or nothing is kept,
        and now and then when all is quiet.
        """
        directory, now_ms = self._directory.read(), self._clock.now_ms()
        today = day_number(_local(now_ms, directory.timezone))
        if self._is_fresh(today, now_ms):
            return False
        more = changed = is_kept = False
        for lift in directory.of_kind("lift"):
            held = await self._held(lift)
            new = await self._new_days(lift, held, today, directory.timezone)
            silent = [day for day, known in sorted(held.items()) if known.silent_s and day >= today - _LATE_DAYS]
            for day in [*new[:_AT_ONCE], *silent]:
                changed |= await self._reckon(lift, day, directory.timezone, held.get(day))
            more |= len(new) > _AT_ONCE
            is_kept |= bool(held or new)
        if not more:
            self._looked = (today, now_ms, _SOON_MS if changed or not is_kept else _PAUSE_MS)
        return more

    def _is_fresh(self, today: int, now_ms: int) -> bool:
        """Whether the last look is young enough; a clock that was set back makes none young."""
        if self._looked is None:
            return False
        day, at_ms, pause_ms = self._looked
        return today == day and 0 <= now_ms - at_ms < pause_ms

    async def _held(self, lift: DirectoryDevice) -> dict[int, DaySeconds]:
        """The days that are kept."""
        query = select(tables.device_days).where(tables.device_days.c.device == lift.device)
        async with self._store.read() as connection:
            return {
                row.day: DaySeconds(
                    in_service_s=row.in_service_s,
                    stopped_s=row.stopped_s,
                    inspection_s=row.inspection_s,
                    silent_s=row.silent_s,
                )
                for row in await connection.execute(query)
            }

    async def _new_days(
        self, lift: DirectoryDevice, held: Collection[int], today: int, timezone: ZoneInfo
    ) -> Sequence[int]:
        """Days that are over and not kept yet. The one on which records begin is no whole day."""
        async with self._store.read() as connection:
            first = await self._first_day(connection, lift, timezone)
        if first is None:
            return ()
        return [day for day in range(max(first + 1, today - _KEPT_DAYS), today) if day not in held]

    async def _first_day(self, connection: Any, lift: DirectoryDevice, timezone: ZoneInfo) -> int | None:
        column = tables.entries.c
        query = select(func.min(column.observed_at_ms)).where(
            column.log_id.in_(await self._logs(connection, lift)), column.device == lift.device
        )
        at_ms = (await connection.execute(query)).scalar_one_or_none()
        return None if at_ms is None else day_number(_local(at_ms, timezone))

    async def _reckon(self, lift: DirectoryDevice, day: int, timezone: ZoneInfo, known: DaySeconds | None) -> bool:
        """Keep what a day came to; whether that is new."""
        start_ms, end_ms = bounds_of(date_of(day), timezone)
        async with self._store.read() as connection:
            track = await self._track(connection, lift, start_ms - HEARD_MS, end_ms)
        found = day_of(track, start_ms, end_ms)
        if found == known:
            return False
        async with self._store.write() as connection:
            await put(connection, tables.device_days, {"device": lift.device, "day": day, **asdict(found)})
        return True

    async def _track(self, connection: Any, lift: DirectoryDevice, start_ms: int, end_ms: int) -> list[tuple[int, int]]:
        """Its modes by its own time; a module that was offline tells them up to a day later."""
        column = tables.entries.c
        query = select(column.observed_at_ms, column.value, column.detail).where(
            column.log_id.in_(await self._logs(connection, lift)),
            column.device == lift.device,
            column.quantity == MODE,
            column.observed_at_ms.between(start_ms, end_ms + _DAY_MS),
        )
        told = ((own_time_ms(row), row.value) for row in await connection.execute(query))
        return sorted(one for one in told if start_ms <= one[0] < end_ms)

    async def _logs(self, connection: Any, lift: DirectoryDevice) -> list[int]:
        return await log_ids_of(connection, self._origins_of(lift.device), gateway=gateway_of(lift.origin))


def own_time_ms(row: Any) -> int:
    """When the module says it was; when the gateway heard it, where the module has no clock."""
    told = json.loads(row.detail).get("meter_at_ms") if row.detail else None
    return told if isinstance(told, int) else int(row.observed_at_ms)


def _local(at_ms: int, timezone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at_ms / 1000, timezone).date()
