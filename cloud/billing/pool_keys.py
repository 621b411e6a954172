"""By what a pool is shared: the units' keys, and where the chain holds only a table's root, the table that it is of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.volumes import UnitShare, read_key
from cloud.chain.records import UnitRecord
from cloud.chain.view import ChainView
from cloud.errors import BillingError
from contracts.bill import BillError, Line, LineKind
from contracts.key_table import NO_KEY, KeyProof, KeyTable, decode_table, floor_factor_key
from contracts.tariff import Key, Terms

__all__ = ["PoolShares", "key_in_table", "pool_shares"]

_AREA, _FLOOR_FACTOR, _EQUAL = 1, 2, 4  # kinds of the roll's tables; of 3, volumes, each period has its own


@dataclass(frozen=True, kw_only=True)
class PoolShares:
    """The keys of all units of the roll, in order, and their table where there is one."""

    keys: Sequence[int]
    table: KeyTable | None = None

    @cached_property
    def _sums(self) -> Sequence[int]:
        return [0, *accumulate(self.keys)]

    @property
    def key_sum(self) -> int:
        return self._sums[-1]

    def of(self, unit_index: int) -> UnitShare:
        """One unit's place among them."""
        return UnitShare(key=self.keys[unit_index], before=self._sums[unit_index], key_sum=self.key_sum)


def pool_shares(view: ChainView, pool: bytes, key: Key, days: tuple[int, int], *, units: int) -> PoolShares:
    """The keys by which a pool is shared over a line's days (boundary dates).

    Args:
        units: how many the bills are of: who joined the roll after a period was closed has no part in it.

    Raises:
        BillingError: they cannot be told from the chain alone.
    """
    asked = (pool, key, days, units)
    if asked not in view.pool_shares:  # the view forgets them when the roll or a table changes
        view.pool_shares[asked] = _pool_shares(view, pool, key, days, units)
    held: PoolShares = view.pool_shares[asked]
    return held


def _pool_shares(view: ChainView, pool: bytes, key: Key, days: tuple[int, int], units: int) -> PoolShares:
    if key is Key.AREA:
        return PoolShares(keys=[unit.area_centi_m2 for unit in view.roll[:units]])
    if key is Key.EQUAL:
        return PoolShares(keys=[1] * units)
    if key is Key.VOLUME:
        raise BillingError("the pool is shared by volumes, which only the period's table holds")
    return _by_table(view, pool, days, units)


async def key_in_table(
    connection: AsyncConnection, view: ChainView, line: Line, terms: Terms, *, period: int, unit_index: int
) -> KeyProof:
    """Where a unit's key stands in the table that a shared line rests on; `NO_KEY` where it rests on none, or where the
    unit joined the roll later and has no part.

    Raises:
        BillingError: as `pool_shares` does, or the period's volumes have not been handed in.
    """
    if line.kind is not LineKind.SHARED:
        return NO_KEY
    if terms.key is Key.VOLUME:
        return await _key_by_volume(connection, view, line.subject, period, unit_index)
    units = view.unit_count_of(period)
    table = pool_shares(view, line.subject, terms.key, (line.from_date, line.to_date), units=units).table
    return table.proof(unit_index) if table is not None and unit_index < len(table.keys) else NO_KEY


async def _key_by_volume(
    connection: AsyncConnection, view: ChainView, pool: bytes, period: int, unit_index: int
) -> KeyProof:
    words = view.volumes.get((pool, period))
    if words is None:
        raise BillingError(f"no volumes of pool {pool.hex()[:12]}… were posted for {period}; post them")
    if unit_index >= decode_table(words).unit_count:
        return replace(NO_KEY, table=words)  # it joined the roll later
    held = await read_key(connection, view, period, pool, unit_index)
    if held is None:
        raise BillingError(f"the volumes of pool {pool.hex()[:12]}… for {period} were not handed in")
    return held


def _by_table(view: ChainView, pool: bytes, days: tuple[int, int], count: int) -> PoolShares:
    """A table that follows from the roll is made again; its root must be the one that the chain holds."""
    held, last = (view.pool_table(pool, day) for day in days)
    if held is None or last is None or last.valid_from not in (held.valid_from, days[1]):
        raise BillingError("no table of keys holds over the line's days; set one, or split the period")
    units = view.roll[: held.unit_count]
    keys = [_key(held.kind, unit) for unit in units]
    try:
        table = KeyTable(pool=pool, keys=keys)
    except BillError as error:
        raise BillingError(f"the pool's table cannot be made again: {error}") from error
    if table.root.hash != held.root:
        raise BillingError(
            "the pool is shared by a table of keys that does not follow from the roll; enter its lines by hand"
        )
    return PoolShares(keys=[*keys, *[0] * (count - len(keys))], table=table)


def _key(kind: int, unit: UnitRecord) -> int:
    if kind == _FLOOR_FACTOR:
        return floor_factor_key(unit.area_centi_m2, unit.floor)
    return 1 if kind == _EQUAL else unit.area_centi_m2
