"""All lines of a period as columns: the ordinary meters many at once, the others one by one by the same rules.

A unit is ordinary where one meter counted for it from the day its tiers begin to the period's end, with exactly one
entry for each register and boundary; one without tariff registers, with readings that rise between them. A swapped or
silent meter, two values for one boundary, a unit with meters that nobody reads: those units go through `Reckoning`,
which knows the rules; both give the same lines (a test holds them against each other).
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.bill_columns import LineColumn, bill_contents, joined, of_units
from cloud.billing.corrections import corrections_by_unit, corrections_of
from cloud.billing.interval_columns import MeterColumns, devices_with_registers, time_of_use_columns
from cloud.billing.intervals import PriceTimes, has_registers_by_price
from cloud.billing.pricing_columns import Integers, charge_column, share_column
from cloud.billing.reckoning import DraftLine, Reckoning
from cloud.billing.register_columns import Mask, RegisterColumns, load_register_columns
from cloud.billing.seasons import split_at_seasons, tier_start
from cloud.billing.usage import Registers, bindings_of
from cloud.chain.tariff_days import TariffDays, unpriced_days
from cloud.chain.view import ChainView, TariffRecord
from cloud.directory import Directory
from cloud.errors import BillingError
from contracts.bill import Line, LineKind
from contracts.quantities import COLD_WATER
from contracts.standing import standing_charge
from contracts.tariff import Basis, Counting, Key

__all__ = ["PeriodColumns", "reckon_period"]

_OPEN = 10**8
_OWN, _SHARED, _STANDING, _CORRECTION = range(4)

Say = Callable[[str], None]
Order = tuple[int | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodColumns:
    """A period's lines, and what could not be computed."""

    unit_count: int
    columns: Sequence[LineColumn]  # in their order on each bill
    problems: Sequence[str]
    corrections: Mapping[int, Sequence[DraftLine]]  # of earlier periods' estimates, by unit
    other_corrections: Mapping[int, Sequence[DraftLine]]  # as they were before some entries came
    apart: Mapping[
        int, Sequence[DraftLine]
    ]  # own lines of units that were looked at one by one, with what they rest on
    volumes: Mapping[bytes, Sequence[int]] = field(default_factory=dict)  # by what pools are shared that go by volume

    def contents(self, salts: Sequence[bytes], first: int) -> list[bytes]:
        """The bills of some units in a row, from `first` on, one for each salt."""
        last = first + len(salts)
        some = [part for column in self.columns if (part := of_units(column, first, last)) is not None]
        return bill_contents(some, salts)


@dataclass(frozen=True, slots=True)
class _Meters:
    """Every time that a meter counts for a unit: one row each."""

    devices: list[bytes]
    unit: Integers
    from_date: Integers
    to_date: Integers  # after every date while open


async def reckon_period(
    connection: AsyncConnection,
    *,
    view: ChainView,
    directory: Directory,
    period: int,
    say: Say = lambda words: None,
    volumes: Mapping[bytes, Sequence[int]] | None = None,
) -> PeriodColumns:
    """Compute all lines of a period from boundary entries, bindings, tariffs and the roll.

    Args:
        volumes: the keys of pools that are shared by volume, by which they were posted; else what is counted now.
    """
    return await _Period(view, directory, period, say, volumes or {}).reckon(connection)


class _Period:
    """One period's computation."""

    def __init__(
        self, view: ChainView, directory: Directory, period: int, say: Say, volumes: Mapping[bytes, Sequence[int]]
    ) -> None:
        self._posted_volumes = volumes
        self._view, self._directory, self._period, self._say = view, directory, period, say
        self._roll = tuple(view.roll_of(period))  # units may join while this is computed
        self._opening, self._closing = divmod(period, 10**8)
        self._days = view.tariff_days(period)
        self._tariffs = self._priced_days()
        self._meters = self._bound_meters()
        self._categories = np.array([unit.category for unit in self._roll], np.int64)
        self._apart = np.zeros(len(self._roll), np.bool_)
        self._times = PriceTimes(Registers(), directory.timezone)
        self._own: dict[Order, LineColumn] = {}
        by_volume = any(one.record.terms.key is Key.VOLUME for one in self._days)
        self._shared_by_volume: set[bytes] = set()
        self._by_volume = [pool for pool in view.pools if pool not in volumes] if by_volume else []

    async def reckon(self, connection: AsyncConnection) -> PeriodColumns:
        held = await load_register_columns(
            connection, self._view, devices=self._meters.devices, asked=self._asked(), say=self._say
        )
        self._say("pricing")
        self._set_unread_apart(held)
        counted = {register: self._counted(register, held) for register in self._volume_registers()}
        tariffs = [
            (one.record, rows, split_at_seasons(one.record.terms, one.first, one.last))
            for one in self._tariffs
            if (rows := self._units_priced_by(one.record, held)).any()
        ]
        prepared = []
        for record, rows, parts in tariffs:
            by_price = await self._timed(connection, record, rows, held, parts)
            if by_price.any():
                self._say(f"readings of {np.count_nonzero(by_price)} meters without tariff registers")
            for part in parts:
                prepared.append((record, part, LineKind.OWN, self._measured(record, rows & ~by_price, part, held)))
                if by_price.any():
                    measured = await self._measured_by_price(connection, record, by_price, part, held)
                    prepared.append((record, part, LineKind.INTERVAL, measured))
        for record, part, kind, measured in prepared:
            self._price(record, part, kind, measured)
        run = await self._reckoning(connection)
        self._tell_volumes(run, counted)
        own, apart = self._one_by_one(run)
        shared = self._shared(run)
        self._say("standing charges")
        standing = self._standing()
        corrections = await corrections_of(connection, self._view, self._directory, self._period)
        corrected = _correcting_columns(corrections.lines)
        groups = [*own.items(), *shared.items(), *standing.items(), *corrected.items()]
        columns = [column for _, column in sorted(groups, key=_by_order)]
        return PeriodColumns(
            unit_count=len(self._roll),
            columns=columns,
            problems=[*run.problems, *corrections.problems],
            corrections=corrections_by_unit(corrections.lines),
            other_corrections=corrections_by_unit(corrections.others),
            apart=apart,
            volumes={
                pool: keys
                for pool, keys in run.volumes.items()
                if pool in self._shared_by_volume and not isinstance(keys, BillingError)
            },
        )

    def _priced_days(self) -> list[TariffDays]:
        """Each day of what a meter counts by the one version that prices it, for every category."""
        kinds = {(one.record.terms.quantity, one.record.terms.category) for one in self._days if _is_metered(one)}
        return [days for kind in sorted(kinds) for days in self._view.tariff_for(*kind, self._period)]

    # -- who counts for whom ----------------------------------------------------------------------------------------

    def _bound_meters(self) -> _Meters:
        """Bindings that matter for the period or for its tiers' year before it."""
        year = self._opening // 10_000 * 10_000 + 101
        devices, rows = [], []
        for device, records in self._view.bindings.items():
            for record in records:
                unit = self._view.units.get(record.subject) if record.role == 1 else None
                if unit is None or unit.index >= len(self._roll):
                    continue  # joined the roll after the period was closed
                if record.from_date < self._closing and not 0 < record.to_date <= year:
                    devices.append(device)
                    rows.append((unit.index, record.from_date, record.to_date or _OPEN))
        columns = np.array(rows, np.int64).reshape(-1, 3).T
        return _Meters(devices, *columns)

    def _asked(self) -> list[tuple[str, int]]:
        """Registers and boundary dates that ordinary meters are priced by."""
        asked: set[tuple[str, int]] = set()
        for register in self._volume_registers():
            asked |= {(register, self._opening), (register, self._closing)}
        for one in self._tariffs:
            terms = one.record.terms
            for first, last in split_at_seasons(terms, one.first, one.last):
                asked |= {(register, day) for register in terms.registers for day in (first, last)}
                asked.add((terms.quantity, first))
                if terms.counting is not Counting.NONE:
                    since = tier_start(terms, self._opening, first, 0)
                    asked |= {(terms.quantity, since), (terms.quantity, first)}
        return sorted(asked)

    def _set_unread_apart(self, held: RegisterColumns) -> None:
        """A meter of which nothing is held at either end may be silent, or count what no tariff prices."""
        meters = self._meters
        heard = np.zeros(held.count, np.bool_)
        for register, day in held.held:
            heard |= held.is_held(register, (day,))
        self._apart[meters.unit[~heard]] = True
        named = {one.device for one in self._directory.devices if one.tariff in self._directory.tariffs}
        if named:  # a tariff by name holds for one meter alone
            is_named = np.fromiter((device in named for device in meters.devices), np.bool_, len(meters.devices))
            self._apart[meters.unit[is_named & self._is_named_otherwise()]] = True

    def _is_named_otherwise(self) -> Mask:
        """Meters whose tariff by name is not the one that their unit's category has anyway."""
        other = np.zeros(len(self._meters.devices), np.bool_)
        for at, device in enumerate(self._meters.devices):
            named = self._directory.device_of(device)
            if named is None or named.tariff is None or named.quantity is None:
                continue
            version = self._directory.tariffs.get(named.tariff)
            usual = self._view.tariff_for(named.quantity, int(self._categories[self._meters.unit[at]]), self._period)
            other[at] = version is not None and (not usual or any(one.record.version != version for one in usual))
        return other

    def _units_priced_by(self, record: TariffRecord, held: RegisterColumns) -> Mask:
        """Meters that a tariff prices; units for which that cannot be told by columns are set apart."""
        terms, meters = record.terms, self._meters
        days = {day for register, day in held.held if register == terms.quantity}
        counts = held.is_held(terms.quantity, days) & (self._categories[meters.unit] == terms.category)
        several = np.bincount(meters.unit[counts], minlength=len(self._categories)) > 1
        covers = (meters.from_date <= self._opening) & (meters.to_date >= self._closing)
        kind = (terms.quantity, terms.category)
        has_gaps = bool(unpriced_days(self._view.tariff_for(*kind, self._period), self._period))
        self._apart[meters.unit[counts & (several[meters.unit] | ~covers | has_gaps)]] = True
        found: Mask = counts
        return found

    # -- ordinary meters --------------------------------------------------------------------------------------------

    async def _timed(
        self,
        connection: AsyncConnection,
        record: TariffRecord,
        rows: Mask,
        held: RegisterColumns,
        parts: Sequence[tuple[int, int]],
    ) -> Mask:
        """Meters that a tariff by time of use prices by their readings, for they have none of its registers."""
        found = np.zeros(held.count, np.bool_)
        if not has_registers_by_price(record.terms):
            return found
        wanted = set(record.terms.registers) - {record.terms.quantity}
        found |= rows
        for register, day in held.held:
            if register in wanted:
                found &= ~held.is_held(register, (day,))
        devices = [self._meters.devices[at] for at in np.flatnonzero(found).tolist()]
        elsewhere = await devices_with_registers(connection, wanted, devices) if devices else set()
        if elsewhere:  # of another day than this period's: their entries are missing
            has_some = np.fromiter((one in elsewhere for one in self._meters.devices), np.bool_, held.count)
            found &= ~has_some
        if found.any():  # the others' total is not asked for at the end: their registers are what counts
            asked = [(record.terms.quantity, last) for _, last in parts]
            more = await load_register_columns(connection, self._view, devices=self._meters.devices, asked=asked)
            held.values.update(more.values)
            held.held.update(more.held)
        return found

    def _measured(
        self, record: TariffRecord, rows: Mask, part: tuple[int, int], held: RegisterColumns
    ) -> tuple[Integers, Integers, Integers, int]:
        """Meters' places, usage by register, usage before, and since when: of those that are ordinary."""
        return self._differences(record, rows, part, held, record.terms.registers)

    async def _measured_by_price(
        self,
        connection: AsyncConnection,
        record: TariffRecord,
        rows: Mask,
        part: tuple[int, int],
        held: RegisterColumns,
    ) -> tuple[Integers, Integers, Integers, int]:
        """The same of meters without the tariff's registers: the total by boundary entries, the rest by readings."""
        terms = record.terms
        place, _, prior, since = self._differences(record, rows, part, held, (terms.quantity,))
        meters = MeterColumns(
            devices=[self._meters.devices[at] for at in place.tolist()],
            opening=held.values[terms.quantity, part[0]][place],
            closing=held.values[terms.quantity, part[1]][place],
        )
        used, is_plain = await time_of_use_columns(
            connection,
            self._view,
            meters,
            quantity=terms.quantity,
            calendar=self._times.calendar(terms, *part),
            registers=len(terms.registers),
        )
        self._apart[self._meters.unit[place[~is_plain]]] = True
        return place[is_plain], used[is_plain], prior[is_plain], since

    def _differences(
        self, record: TariffRecord, rows: Mask, part: tuple[int, int], held: RegisterColumns, registers: Sequence[str]
    ) -> tuple[Integers, Integers, Integers, int]:
        terms, (first, last) = record.terms, part
        since = tier_start(terms, self._opening, first, 0)
        counts = terms.counting is not Counting.NONE and since < first
        plain, usages = rows.copy(), []
        pairs = [(register, first, last) for register in registers]
        for register, start, end in [*pairs, *([(terms.quantity, since, first)] if counts else [])]:
            (opened, is_opened), (closed, is_closed) = held.at(register, start), held.at(register, end)
            usages.append(closed - opened)
            plain &= is_opened & is_closed & (closed >= opened)
        if counts:
            plain &= self._meters.from_date <= since
        elif terms.counting is Counting.YEAR:
            plain &= self._meters.from_date <= first
        self._apart[self._meters.unit[rows & ~plain]] = True
        place = np.flatnonzero(plain)
        used = np.stack([usage[place] for usage in usages[: len(registers)]], axis=1)
        prior = usages[-1][place] if counts else np.zeros(len(place), np.int64)
        return place, used, prior, since

    def _price(
        self,
        record: TariffRecord,
        part: tuple[int, int],
        kind: LineKind,
        measured: tuple[Integers, Integers, Integers, int],
    ) -> None:
        place, used, prior, since = measured
        terms, (first, last) = record.terms, part
        unit = self._meters.unit[place]
        kept = np.flatnonzero(~self._apart[unit])
        kept = kept[np.argsort(unit[kept], kind="stable")]
        if not len(kept):
            return
        place, used, prior, unit = place[kept], used[kept], prior[kept], unit[kept]
        season = terms.season(first, last)
        residents = np.zeros(len(unit), np.int64)
        if season.extra:
            residents += [self._view.residents(self._roll[at].alias, first) for at in unit.tolist()]
        order = (_OWN, terms.quantity, record.version, first, int(kind), since)
        self._own[order] = LineColumn(
            kind=kind,
            quantity=terms.quantity,
            tariff=record.version,
            since=since,
            span=first * 10**8 + last,
            rows=unit,
            subjects=b"".join(self._meters.devices[at] for at in place.tolist()),
            usage=used.sum(axis=1),
            amount=charge_column(season, used=used, prior=prior, residents=residents),
        )

    # -- volumes that share pools -------------------------------------------------------------------------------------

    def _volume_registers(self) -> set[str]:
        """Registers of units' own meters that pools may be shared by."""
        named = (self._directory.pool_of(pool) for pool in self._by_volume)
        return {one.volume_register if one else COLD_WATER for one in named}

    def _counted(self, register: str, held: RegisterColumns) -> tuple[Integers, Mask]:
        """What each unit's ordinary meters of a register counted; and the units that must be looked at alone."""
        meters, ends = self._meters, (self._opening, self._closing)
        within = (meters.from_date < self._closing) & (meters.to_date > self._opening)
        covers = (meters.from_date <= self._opening) & (meters.to_date >= self._closing)
        (opened, is_opened), (closed, is_closed) = (held.at(register, day) for day in ends)
        heard = np.zeros(held.count, np.bool_)
        for one, day in held.held:
            heard |= held.is_held(one, (day,))
        counts = within & held.is_held(register, ends)
        plain = counts & covers & is_opened & is_closed & (closed >= opened)
        keys = np.zeros(len(self._apart), np.int64)
        np.add.at(keys, meters.unit[plain], (closed - opened)[plain])
        alone = np.zeros(len(self._apart), np.bool_)
        alone[meters.unit[(counts & ~plain) | (within & ~heard)]] = True
        self._apart |= alone
        return keys, alone

    def _tell_volumes(self, run: Reckoning, counted: Mapping[str, tuple[Integers, Mask]]) -> None:
        """The keys of all units, for every pool that may be shared by them."""
        for pool in self._by_volume:
            keys, alone = counted[register := run.volume_register(pool)]
            whole = keys.tolist()
            try:
                for at in np.flatnonzero(alone).tolist():
                    whole[at] = run.volume_of(self._roll[at], register)
                run.volumes[pool] = whole
            except BillingError as error:
                run.volumes[pool] = error

    # -- the others ---------------------------------------------------------------------------------------------------

    async def _reckoning(self, connection: AsyncConnection) -> Reckoning:
        """The rules for whatever is not ordinary, with what is held of those meters and the pools' alone."""
        view = self._view
        units = np.flatnonzero(self._apart).tolist()
        subjects = [*((self._roll[at].alias, 1) for at in units), *((pool, 2) for pool in view.pools)]
        bindings = bindings_of(view, subjects)
        self._say(f"{len(units)} units one by one, {len(view.pools)} pools")
        posted = self._posted_volumes
        return await Reckoning.read(connection, view, self._directory, self._period, bindings=bindings, volumes=posted)

    def _one_by_one(self, run: Reckoning) -> tuple[dict[Order, LineColumn], dict[int, Sequence[DraftLine]]]:
        """The lines of units set apart, joined with the columns that they belong to."""
        units = [self._roll[at] for at in np.flatnonzero(self._apart).tolist()]
        found: dict[Order, list[tuple[int, Line]]] = defaultdict(list)
        apart: dict[int, Sequence[DraftLine]] = dict(
            zip((unit.index for unit in units), run.own_lines(units), strict=True)
        )
        for unit in units:
            for one in apart[unit.index]:
                line = one.line
                order: Order = (
                    _OWN,
                    line.quantity,
                    line.tariff,
                    line.from_date,
                    int(line.kind),
                    line.since,
                    line.to_date,
                )
                short = order[:-1] if order[:-1] in self._own and self._own[order[:-1]].span == line.span else order
                found[short].append((unit.index, line))
        columns = dict(self._own)
        for order, some in found.items():
            columns[order] = joined(columns.get(order), some)
        return columns, apart

    def _shared(self, run: Reckoning) -> dict[Order, LineColumn]:
        columns: dict[Order, LineColumn] = {}
        for at, pool in enumerate(self._view.pools):
            self._say(f"sharing pool {at + 1} of {len(self._view.pools)}")
            for number, (whole, keys) in enumerate(run.pool_lines(pool)):
                line, units = whole.line, len(self._roll)
                if self._view.tariffs[line.tariff].terms.key is Key.VOLUME:
                    self._shared_by_volume.add(pool)
                columns[_SHARED, at, number] = LineColumn(
                    kind=line.kind,
                    quantity=line.quantity,
                    tariff=line.tariff,
                    since=line.since,
                    span=line.span,
                    rows=np.arange(units),
                    subjects=line.subject,
                    usage=np.full(units, line.usage, np.int64),
                    amount=share_column(line.amount, np.array(keys, np.int64)),
                )
        return columns

    def _standing(self) -> dict[Order, LineColumn]:
        columns: dict[Order, LineColumn] = {}
        for one in self._days:
            record, terms = one.record, one.record.terms
            rows = np.flatnonzero(self._categories == terms.category)
            if terms.basis not in (Basis.AREA, Basis.HEADS) or not len(rows):
                continue
            for first, last in split_at_seasons(terms, one.first, one.last):
                counts = self._counts(terms.basis, rows, first)
                several, place = np.unique(counts, return_inverse=True)
                fen = [standing_charge(terms, count=each, from_date=first, to_date=last) for each in several.tolist()]
                columns[_STANDING, record.version, first] = LineColumn(
                    kind=LineKind.STANDING,
                    quantity=terms.quantity,
                    tariff=record.version,
                    since=first,
                    span=first * 10**8 + last,
                    rows=rows,
                    subjects=terms.document,
                    usage=counts,
                    amount=np.array(fen, np.int64)[place],
                )
        return columns

    def _counts(self, basis: Basis, rows: Integers, day: int) -> Integers:
        units = [self._roll[at] for at in rows.tolist()]
        if basis is Basis.AREA:
            return np.array([unit.area_centi_m2 for unit in units], np.int64)
        return np.array([self._view.residents(unit.alias, day) for unit in units], np.int64)


def _correcting_columns(corrections: Sequence[tuple[int, DraftLine]]) -> dict[Order, LineColumn]:
    """Corrections as columns, the nth of each unit in the nth column of its kind."""
    found: dict[Order, list[tuple[int, Line]]] = defaultdict(list)
    for unit_index, lines in corrections_by_unit(corrections).items():
        for number, one in enumerate(lines):
            found[_CORRECTION, number, int(one.line.kind)].append((unit_index, one.line))
    return {order: joined(None, some) for order, some in found.items()}


def _is_metered(one: TariffDays) -> bool:
    return one.record.terms.basis is Basis.METER


def _by_order(item: tuple[Order, LineColumn]) -> Order:
    return item[0]
