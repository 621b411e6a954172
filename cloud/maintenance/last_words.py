"""What machines said last: the newest status of some quantities, kept up with each log as it grows.

The newest is what was logged last, by the device's assignments and the log's own order: by its time one entry of a
gateway whose clock ran ahead would stay the last word until that time comes.
"""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.maintenance.ground import Ground
from cloud.store import tables
from cloud.store.logs import log_ids_of
from contracts.due import DAY_S
from contracts.entry import Kind

__all__ = ["LastWords"]

Asked = tuple[bytes, str]
"""A device and a quantity."""
_FIRST_LOOK_MS = 30 * DAY_S * 1000  # what is older moves no order any more
_AT_ONCE = 5_000


class LastWords:
    """The newest entries of what is asked for. A log is read once by its devices, and then only where it has grown."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._said: dict[Asked, Any] = {}
        self._places: dict[Asked, tuple[int, int]] = {}  # by which of two words the later one is known
        self._read: dict[int, int] = {}  # how far a log was read
        self._asked: frozenset[Asked] = frozenset()

    async def of(self, asked: Collection[Asked]) -> Mapping[Asked, Any]:
        """Rows of log_id, entry_index, device, observed_at_ms, quantity, value, leaf_hash and origin."""
        if frozenset(asked) != self._asked:
            self._asked, self._said, self._places, self._read = frozenset(asked), {}, {}, {}
        if not asked:
            return {}
        devices = {device for device, _quantity in asked}
        origins = {origin for device in devices for origin in self._ground.chain.origins_of(device)}
        column = tables.logs.c
        async with self._ground.store.read() as connection:
            held = select(column.log_id, column.size).where(column.log_id.in_(await log_ids_of(connection, origins)))
            for log in (await connection.execute(held)).all():
                if log.log_id not in self._read:
                    await self._read_devices(connection, log.log_id, devices)
                    self._read[log.log_id] = log.size
                elif self._read[log.log_id] < log.size:
                    await self._read_on(connection, log.log_id, log.size)
        return self._said

    async def _read_devices(self, connection: AsyncConnection, log_id: int, devices: Collection[bytes]) -> None:
        column = tables.entries.c
        now_ms = max(self._ground.clock.now_ms(), self._ground.view.head_time_s * 1000)
        for device in devices:
            of_device = (column.device == device) & (column.observed_at_ms > now_ms - _FIRST_LOOK_MS)
            for row in await connection.execute(self._query(log_id).where(of_device).order_by(column.entry_index)):
                self._take(row)

    async def _read_on(self, connection: AsyncConnection, log_id: int, size: int) -> None:
        column, first = tables.entries.c, self._read[log_id]
        end = min(first + _AT_ONCE, size)
        new = column.entry_index.between(first, end - 1)
        for row in await connection.execute(self._query(log_id).where(new).order_by(column.entry_index)):
            self._take(row)
        self._read[log_id] = end

    def _query(self, log_id: int) -> Select[Any]:
        column = tables.entries.c
        return (
            select(column.log_id, column.entry_index, column.device, column.observed_at_ms, column.quantity)
            .add_columns(column.value, column.leaf_hash, tables.logs.c.origin)
            .join(tables.logs, tables.logs.c.log_id == column.log_id)
            .where(
                column.log_id == log_id,
                column.kind == int(Kind.STATUS),
                column.quantity.in_({quantity for _device, quantity in self._asked}),
            )
        )

    def _take(self, row: Any) -> None:
        asked = (row.device, row.quantity)
        number = self._ground.assignment_number(row.device, row.origin, row.entry_index)
        place = (-1 if number is None else number, int(row.entry_index))
        if asked in self._asked and place > self._places.get(asked, (-1, -1)):
            self._said[asked], self._places[asked] = row, place
