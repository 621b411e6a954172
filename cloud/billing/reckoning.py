"""One period's lines, computed from boundary entries, bindings and the terms in force on chain."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.derivation import describe, metered_steps
from cloud.billing.estimation import counted_by, estimate_to_json
from cloud.billing.intervals import (
    intervals_to_json,
    load_interval_readings,
    timed_devices,
)
from cloud.billing.line_days import LineDays
from cloud.billing.metering import MeteredPart, Metering
from cloud.billing.pool_keys import PoolShares, pool_shares
from cloud.billing.pricing_columns import charge_column, share_column
from cloud.billing.seasons import split_at_seasons
from cloud.billing.usage import (
    OWN_ROLE,
    Bindings,
    MeterSpan,
    Registers,
    Subject,
    date_text,
    dates_of_changes,
    load_registers,
)
from cloud.billing.volumes import UnitShare
from cloud.chain.tariff_days import TariffDays, unpriced_days
from cloud.chain.view import ChainView, UnitRecord
from cloud.directory import Directory
from cloud.errors import BillingError
from contracts.bill import Line, LineKind, share
from contracts.quantities import COLD_WATER
from contracts.standing import standing_charge
from contracts.tariff import Basis, Key, TariffError

__all__ = ["DraftLine", "Reckoning"]

NOTHING_POSTED: Mapping[bytes, UnitShare] = MappingProxyType({})
Found = TypeVar("Found")
_HISTORY_DAYS = 92


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftLine:
    """One line, and the numbers that it was made from."""

    line: Line
    derivation: Mapping[str, Any]


class Reckoning:
    """The computation of one period, from what was read. What cannot be computed is a problem in words, and its line
    is missing.
    """

    def __init__(
        self,
        registers: Registers,
        view: ChainView,
        directory: Directory,
        period: int,
        *,
        bindings: Bindings | None = None,
        volumes: Mapping[bytes, Sequence[int]] | None = None,
    ) -> None:
        """Args:
        volumes: keys of pools that are shared by volume, where they are known: posted, or computed in columns.
        """
        self._registers, self._view, self._directory = registers, view, directory
        self._bindings = view.bound() if bindings is None else bindings
        self._period, self._unit_count = period, view.unit_count_of(period)
        self._opening, self._closing = divmod(period, 10**8)
        self._days = view.tariff_days(period)
        self._line_days = LineDays(view, directory, period)
        self._metering = Metering(
            registers, self._bindings, view, opening=self._opening, line_days=self._line_days, zone=directory.timezone
        )
        self.problems: list[str] = []
        self.volumes: dict[bytes, Sequence[int] | BillingError] = dict(volumes or {})

    @classmethod
    async def read(
        cls,
        connection: AsyncConnection,
        view: ChainView,
        directory: Directory,
        period: int,
        *,
        bindings: Bindings | None = None,
        registers: Registers | None = None,
        volumes: Mapping[bytes, Sequence[int]] | None = None,
    ) -> "Reckoning":
        """The computation of a period with what is held of all meters, or of those that these bindings name.

        Args:
            registers: what `read_registers` found of these bindings' meters, where it was asked before.
        """
        found = view.bound() if bindings is None else bindings
        if registers is None:
            registers = await cls.read_registers(connection, view, period, found)
        opening, closing = divmod(period, 10**8)
        await load_interval_readings(
            connection, view, registers, bindings=found, records=[one.record for one in view.tariff_days(period)],
            zone=directory.timezone, days=(opening, closing),
        )  # fmt: skip
        return cls(registers, view, directory, period, bindings=found, volumes=volumes)

    @classmethod
    async def read_registers(
        cls,
        connection: AsyncConnection,
        view: ChainView,
        period: int,
        bindings: Bindings,
        *,
        also: Collection[int] = (),
    ) -> Registers:
        """Every boundary entry that the period's lines may rest on, and those of other dates that are asked for."""
        return await load_registers(
            connection,
            view,
            dates=cls.dates(view, period, bindings) | set(also),
            devices={device for some in bindings.values() for device, _ in some},
            since=cls.history_since(period),
        )

    @staticmethod
    def dates(view: ChainView, period: int, bindings: Bindings) -> set[int]:
        """Every boundary date that the period's lines may ask for, of the meters that these bindings name."""
        opening, closing = divmod(period, 10**8)
        dates = {opening, closing, opening // 10_000 * 10_000 + 101, closing // 10_000 * 10_000 + 101}
        for one in view.tariff_days(period):
            dates.update(day for part in split_at_seasons(one.record.terms, one.first, one.last) for day in part)
        return dates | dates_of_changes(bindings)

    @staticmethod
    def history_since(period: int) -> int:
        """From when on entries matter for estimates: a month of reference before the line, or the year's beginning."""
        opening = period // 10**8
        reference = date(opening // 10_000, opening // 100 % 100, opening % 100) - timedelta(days=_HISTORY_DAYS)
        return min(opening // 10_000 * 10_000 + 101, int(reference.strftime("%Y%m%d")))

    def own_lines(self, units: Sequence[UnitRecord]) -> list[list[DraftLine]]:
        """Each unit's metered lines, one for each register that a tariff prices and each season of the period."""
        parts: list[MeteredPart] = []
        counts: list[int] = []
        for unit in units:
            before = len(parts)
            subject, name = (unit.alias, OWN_ROLE), self._name_of(unit)
            self.problems += [f"{name}: {words}" for words in self._never_heard(subject)]
            for one in self._tariffs(subject, name):
                try:
                    parts += self._metered(subject, one)
                except (BillingError, TariffError) as error:
                    self.problems.append(f"{name}: {error}")
            counts.append(len(parts) - before)
        lines = iter(self._priced(parts))
        return [[next(lines) for _ in range(count)] for count in counts]

    def standing_lines(self, unit: UnitRecord) -> list[DraftLine]:
        """A unit's charges by floor area and by residents: every tariff of that kind that holds over the period."""
        lines: list[DraftLine] = []
        for one in self._days:
            record, terms = one.record, one.record.terms
            if terms.basis not in (Basis.AREA, Basis.HEADS) or terms.category != unit.category:
                continue
            for first, last in split_at_seasons(terms, one.first, one.last):
                residents = self._view.residents(unit.alias, first)
                count = unit.area_centi_m2 if terms.basis is Basis.AREA else residents
                amount = standing_charge(terms, count=count, from_date=first, to_date=last)
                line = Line(
                    kind=LineKind.STANDING,
                    subject=terms.document,
                    quantity=terms.quantity,
                    tariff=record.version,
                    since=first,
                    from_date=first,
                    to_date=last,
                    usage=count,
                    amount=amount,
                )
                parts = {"tariff": str(record.version), "count": str(count), "basis": terms.basis.name.lower()}
                lines.append(DraftLine(line=line, derivation=describe(line, **parts)))
        return lines

    def shared_lines(self, pool: bytes) -> list[list[DraftLine]]:
        """For each unit of the roll its lines of a pool; or none at all, with a problem that says why."""
        shared: list[list[DraftLine]] = [[] for _ in range(self._unit_count)]
        for whole, keys in self.pool_lines(pool):
            amounts = share_column(whole.line.amount, np.array(keys, np.int64)).tolist()
            by, key_sum, before = self._shared_by(whole), sum(keys), 0
            for index, (key, amount) in enumerate(zip(keys, amounts, strict=True)):
                shared[index].append(_share_of(whole, amount, key, before=before, key_sum=key_sum, by=by))
                before += key
        return shared

    def shared_lines_of(
        self, pool: bytes, unit_index: int, posted: Mapping[bytes, UnitShare] = NOTHING_POSTED
    ) -> list[DraftLine]:
        """One unit's lines of a pool; its share can be told alone.

        Args:
            posted: the unit's place in the tables of volumes that were posted for the period.
        """

        def place(whole: DraftLine, key: Key) -> UnitShare:
            if key is not Key.VOLUME:
                return self._keys_of(whole, key).of(unit_index)
            if pool not in posted:
                raise BillingError("the period's volumes were not posted and handed in")
            return posted[pool]

        lines = []
        for whole, found in self._pool_lines(pool, place):
            amount = share(whole.line.amount, found.before, found.key, found.key_sum)
            by = self._shared_by(whole)
            lines.append(_share_of(whole, amount, found.key, before=found.before, key_sum=found.key_sum, by=by))
        return lines

    def _shared_by(self, whole: DraftLine) -> dict[str, str]:
        """Which keys share a pool, and of which register they are where they are units' own volumes."""
        key = self._view.tariffs[whole.line.tariff].terms.key
        by = {"by": key.name.lower()}
        return by if key is not Key.VOLUME else {**by, "register": self.volume_register(whole.line.subject)}

    def pool_lines(self, pool: bytes) -> list[tuple[DraftLine, Sequence[int]]]:
        """What a pool costs as a whole, and by which keys it is shared; or nothing, with a problem that says why."""

        def keys(whole: DraftLine, key: Key) -> Sequence[int]:
            if key is not Key.VOLUME:
                return self._keys_of(whole, key).keys
            if pool not in self.volumes:
                register = self.volume_register(pool)
                self.volumes[pool] = [self.volume_of(unit, register) for unit in self._view.roll[: self._unit_count]]
            counted = self.volumes[pool]
            if isinstance(counted, BillingError):
                raise counted
            if not any(counted):
                raise BillingError(f"no unit's meter of {self.volume_register(pool)} counted anything to share by")
            return counted

        return self._pool_lines(pool, keys)

    def _pool_lines(self, pool: bytes, keys: Callable[[DraftLine, Key], Found]) -> list[tuple[DraftLine, Found]]:
        """A pool's lines as a whole, each with what `keys` finds for it."""
        named = self._directory.pool_of(pool)
        name = named.name if named else f"pool {pool.hex()[:12]}…"
        days = self._tariffs((pool, 2), name)
        if not days:
            self.problems.append(f"{name}: no tariff for its registers is valid over the period")
            return []
        found: list[tuple[DraftLine, Found]] = []
        for one in days:
            try:
                whole_lines = self._priced(self._metered((pool, 2), one))
                found += [(whole, keys(whole, one.record.terms.key)) for whole in whole_lines]
            except (BillingError, TariffError) as error:
                self.problems.append(f"{name}: {error}")
        return found

    def _keys_of(self, whole: DraftLine, key: Key) -> PoolShares:
        line = whole.line
        return pool_shares(self._view, line.subject, key, (line.from_date, line.to_date), units=self._unit_count)

    def volume_register(self, pool: bytes) -> str:
        """The register of the units' own meters whose counts share a pool by volume."""
        named = self._directory.pool_of(pool)
        return named.volume_register if named else COLD_WATER

    def volume_of(self, unit: UnitRecord, register: str) -> int:
        """What a unit's own meters of a register counted within the period, estimated by the rules of its own lines
        where an entry is missing; 0 where it has none.

        Raises:
            BillingError: there is a meter, and nothing tells what it counted.
        """
        try:
            return counted_by(
                self._registers,
                self._bindings,
                (unit.alias, OWN_ROLE),
                register=register,
                days=(self._opening, self._closing),
                line_days=self._line_days,
            )
        except BillingError as error:
            raise BillingError(f"{self._name_of(unit)}: {error}") from error

    def _metered(self, subject: Subject, one: TariffDays) -> list[MeteredPart]:
        return [
            self._metering.part(subject, one.record, first, last)
            for first, last in split_at_seasons(one.record.terms, one.first, one.last)
        ]

    def _priced(self, parts: Sequence[MeteredPart]) -> list[DraftLine]:
        """The parts' lines, in their order; all parts of one tariff and season are priced as one column."""
        columns: dict[tuple[int, int, int], list[int]] = {}
        for at, part in enumerate(parts):
            columns.setdefault((part.record.version, part.from_date, part.to_date), []).append(at)
        amounts = [0] * len(parts)
        for (_, first, last), rows in columns.items():
            some = [parts[at] for at in rows]
            charges = charge_column(
                some[0].record.terms.season(first, last),
                used=np.array([part.used for part in some], np.int64),
                prior=np.array([part.prior for part in some], np.int64),
                residents=np.array([part.residents for part in some], np.int64),
            )
            for at, amount in zip(rows, charges.tolist(), strict=True):
                amounts[at] = amount
        return [self._line(part, amount) for part, amount in zip(parts, amounts, strict=True)]

    def _line(self, part: MeteredPart, amount: int) -> DraftLine:
        alias, role = part.subject
        line = Line(
            kind=_kind_of(part),
            subject=part.device if role == OWN_ROLE else alias,
            quantity=part.record.terms.quantity,
            tariff=part.record.version,
            since=part.since,
            from_date=part.from_date,
            to_date=part.to_date,
            usage=sum(part.used),
            amount=amount,
        )
        terms, season = part.record.terms, part.record.terms.season(part.from_date, part.to_date)
        derivation = describe(
            line,
            tariff=str(part.record.version),
            since=date_text(part.since),
            used=str(line.usage),
            prior=str(part.prior),
            residents=str(part.residents),
            registers=[
                {"register": register, "usage": str(used)}
                for register, used in zip(terms.registers, part.used, strict=True)
            ],
            steps=metered_steps(season, used=part.used, prior=part.prior, residents=part.residents),
            spans=[_span_json(span) for span in part.spans],
        )
        if part.before:
            derivation["before"] = [_span_json(span) for span in part.before]
        if part.intervals:
            derivation["intervals"] = [intervals_to_json(one) for one in part.intervals]
        if part.estimates:
            derivation["estimates"] = [estimate_to_json(one) for one in part.estimates]
        return DraftLine(line=line, derivation=derivation)

    def _never_heard(self, subject: Subject) -> list[str]:
        """Words for each meter that counts within the period and of which no boundary entry of any day is held."""
        return [
            f"meter {device.hex()[:12]}… is bound and was never heard; look at its gateway, and at the log that the "
            f"Registry gives it"
            for device, record in self._bindings.get(subject, ())
            if record.from_date < self._closing
            and not 0 < record.to_date <= self._opening
            and not self._registers.names(device)
        ]

    def _tariffs(self, subject: Subject, name: str) -> list[TariffDays]:
        """The tariffs that price what the subject's meters count, and on which days; a meter without one is read and
        not charged. What a tariff leaves out that prices other days, or cannot price, is a problem in words.
        """
        held: set[str] = set()
        for device, _ in self._bindings.get(subject, ()):
            held.update(self._registers.names(device))
        found: dict[tuple[int, int], TariffDays] = {}
        for register in sorted(held):
            days = self._line_days.priced(subject, register, self._period)
            for first, last in unpriced_days(days, self._period) if days else ():
                self.problems.append(
                    f"{name}: no tariff for {register} is valid from {date_text(first)} to {date_text(last)}"
                )
            for one in sorted(days, key=lambda one: (one.record.version, one.first)):
                terms = one.record.terms
                lacking = set(terms.registers) - held
                if lacking and not timed_devices(self._registers, self._bindings, subject, terms):
                    self.problems.append(
                        f"{name}: tariff {one.record.version} needs {', '.join(sorted(lacking))}, and no meter has it"
                    )
                    continue
                found.setdefault((one.record.version, one.first), one)
        return list(found.values())

    def _name_of(self, unit: UnitRecord) -> str:
        named = self._directory.unit_of(unit.alias)
        return named.name if named else f"unit {unit.index}"


def _kind_of(part: MeteredPart) -> LineKind:
    if part.subject[1] != OWN_ROLE:
        return LineKind.SHARED
    if part.estimates:
        return LineKind.ESTIMATED
    return LineKind.INTERVAL if part.intervals else LineKind.OWN


def _share_of(
    whole: DraftLine, amount: int, key: int, *, before: int, key_sum: int, by: Mapping[str, str]
) -> DraftLine:
    """One unit's line of a pool, and how its share came about."""
    share = {
        "pool_amount": str(whole.line.amount),
        "key": str(key),
        "key_before": str(before),
        "key_sum": str(key_sum),
        **by,
    }
    line = replace(whole.line, amount=amount)
    return DraftLine(line=line, derivation={**whole.derivation, "amount": str(amount), "share": share})


def _span_json(span: MeterSpan) -> dict[str, Any]:
    return {
        "device": span.device.hex(),
        "from": date_text(span.from_date),
        "to": date_text(span.to_date),
        "usage": str(span.usage),
        "opening": {"origin": span.opening.origin, "index": str(span.opening.index), "value": str(span.opening.value)},
        "closing": {"origin": span.closing.origin, "index": str(span.closing.index), "value": str(span.closing.value)},
        "confirmed": span.confirmed,
    }
