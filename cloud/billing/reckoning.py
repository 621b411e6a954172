"""One period's lines, computed from boundary entries, bindings and the terms in force on chain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.usage import MeterSpan, date_text, read_spans, registers_of
from cloud.chain.view import ChainView, TariffRecord, UnitRecord
from cloud.directory import Directory
from cloud.errors import BillingError
from contracts.bill import Line, LineKind, shares
from contracts.standing import standing_charge
from contracts.tariff import Basis, Counting, Key, Season, TariffError, Terms, next_month

__all__ = ["DraftLine", "Reckoning", "split_at_seasons", "tier_start"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftLine:
    """One line, and the numbers that it was made from."""

    line: Line
    derivation: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """Whose usage is counted: a unit's own or a pool's."""

    alias: bytes
    role: int  # 1 own, 2 pool
    residents: int = 0


def split_at_seasons(terms: Terms, opening: int, closing: int) -> list[tuple[int, int]]:
    """The parts of a period that lie in one season each: a line's days. Seasons change on the first of a month."""
    parts: list[tuple[int, int]] = []
    start, season = opening, None
    month = opening // 100
    while (first := max(opening, month * 100 + 1)) < closing:
        present = _season_of_month(terms, month % 100)
        if season is not None and present is not season:
            parts.append((start, first))
            start = first
        season = present
        month = next_month(month)
    return [*parts, (start, closing)]


def _season_of_month(terms: Terms, month: int) -> Season:
    return next(season for season in terms.seasons if month in season.months)


def tier_start(terms: Terms, opening: int, from_date: int, bound_since: int) -> int:
    """The boundary date from which the tiers of a line count; a meter bound later begins with its binding."""
    if terms.counting is Counting.NONE:
        return from_date
    first = opening if terms.counting is Counting.PERIOD else from_date // 10_000 * 10_000 + 101
    return min(from_date, max(first, bound_since))


class Reckoning:
    """The computation of one period. What cannot be computed is a problem in words, and its line is missing."""

    def __init__(self, connection: AsyncConnection, view: ChainView, directory: Directory, period: int) -> None:
        self._connection, self._view, self._directory = connection, view, directory
        self._period = period
        self._opening, self._closing = divmod(period, 10**8)
        self.problems: list[str] = []

    async def own_lines(self, unit: UnitRecord) -> list[DraftLine]:
        """A unit's metered lines, one for each register that a tariff prices and each season of the period."""
        lines: list[DraftLine] = []
        subject = _Subject(alias=unit.alias, role=1, residents=self._view.residents(unit.alias, self._opening))
        for record in await self._tariffs(subject, unit.category):
            try:
                lines += await self._metered(subject, record)
            except (BillingError, TariffError) as error:
                self.problems.append(f"{self._name_of(unit)}: {error}")
        return lines

    def standing_lines(self, unit: UnitRecord) -> list[DraftLine]:
        """A unit's charges by floor area and by residents: every tariff of that kind that holds over the period."""
        lines: list[DraftLine] = []
        for record in self._view.tariffs_over(self._period):
            terms = record.terms
            if terms.basis not in (Basis.AREA, Basis.HEADS) or terms.category != unit.category:
                continue
            for first, last in split_at_seasons(terms, self._opening, self._closing):
                residents = self._view.residents(unit.alias, first)
                count = unit.area_centi_m2 if terms.basis is Basis.AREA else residents
                amount = standing_charge(terms, count=count, from_date=first, to_date=last)
                line = self._line(LineKind.STANDING, terms.document, record, (first, last), first, count, amount)
                lines.append(DraftLine(line=line, derivation={"count": str(count)}))
        return lines

    async def shared_lines(self, pool: bytes) -> list[list[DraftLine]]:
        """For each unit of the roll its lines of a pool; or none at all, with a problem that says why."""
        named = self._directory.pool_of(pool)
        name = named.name if named else f"pool {pool.hex()[:12]}…"
        subject = _Subject(alias=pool, role=2)
        records = await self._tariffs(subject, None)
        if not records:
            self.problems.append(f"{name}: no tariff for its registers is valid over the period")
            return []
        shared: list[list[DraftLine]] = [[] for _ in self._view.roll]
        for record in records:
            try:
                for whole in await self._metered(subject, record):
                    for index, line in enumerate(self._shared(record.terms, whole)):
                        shared[index].append(line)
            except (BillingError, TariffError) as error:
                self.problems.append(f"{name}: {error}")
        return shared

    def _shared(self, terms: Terms, whole: DraftLine) -> list[DraftLine]:
        keys = self._keys(terms.key)
        lines: list[DraftLine] = []
        before = 0
        for key, amount in zip(keys, shares(whole.line.amount, keys), strict=True):
            share = {
                "pool_amount": str(whole.line.amount),
                "key": str(key),
                "key_before": str(before),
                "key_sum": str(sum(keys)),
            }
            line = replace(whole.line, amount=amount)
            lines.append(DraftLine(line=line, derivation={**whole.derivation, "share": share}))
            before += key
        return lines

    def _keys(self, key: Key) -> list[int]:
        if key is Key.AREA:
            return [unit.area_centi_m2 for unit in self._view.roll]
        if key is Key.EQUAL:
            return [1] * len(self._view.roll)
        raise BillingError(
            "the pool is shared by a table of keys, of which the chain holds only the root; enter its lines by hand"
        )

    async def _metered(self, subject: _Subject, record: TariffRecord) -> list[DraftLine]:
        terms = record.terms
        return [
            await self._metered_part(subject, record, first, last)
            for first, last in split_at_seasons(terms, self._opening, self._closing)
        ]

    async def _metered_part(self, subject: _Subject, record: TariffRecord, first: int, last: int) -> DraftLine:
        terms = record.terms
        by_register = [await self._spans(subject, register, first, last) for register in terms.registers]
        used = [sum(span.usage for span in spans) for spans in by_register]
        since = tier_start(terms, self._opening, first, self._bound_since(subject, by_register[0]))
        prior = 0
        if since < first:
            prior = sum(span.usage for span in await self._spans(subject, terms.quantity, since, first))
        amount = terms.season(first, last).charge(used=used, prior=prior, residents=subject.residents)
        kind, device = (
            (LineKind.OWN, by_register[0][-1].device) if subject.role == 1 else (LineKind.SHARED, subject.alias)
        )
        line = self._line(kind, device, record, (first, last), since, sum(used), amount)
        derivation = {
            "used": str(sum(used)),
            "prior": str(prior),
            "spans": [_span_json(span) for spans in by_register for span in spans],
        }
        return DraftLine(line=line, derivation=derivation)

    def _line(
        self,
        kind: LineKind,
        subject: bytes,
        record: TariffRecord,
        days: tuple[int, int],
        since: int,
        usage: int,
        amount: int,
    ) -> Line:
        return Line(
            kind=kind,
            subject=subject,
            quantity=record.terms.quantity,
            tariff=record.version,
            since=since,
            from_date=days[0],
            to_date=days[1],
            usage=usage,
            amount=amount,
        )

    async def _spans(self, subject: _Subject, register: str, from_date: int, to_date: int) -> Sequence[MeterSpan]:
        return await read_spans(
            self._connection,
            self._view,
            subject=subject.alias,
            role=subject.role,
            register=register,
            from_date=from_date,
            to_date=to_date,
        )

    async def _tariffs(self, subject: _Subject, category: int | None) -> list[TariffRecord]:
        """The tariffs that price what the subject's meters count; a meter without one is read and not charged."""
        held: set[str] = set()
        for device in self._devices(subject):
            held.update(await registers_of(self._connection, device))
        found: dict[int, TariffRecord] = {}
        for register in sorted(held):
            record = self._tariff(subject, register, category)
            if record is not None and set(record.terms.registers) <= held:
                found.setdefault(record.version, record)
        return list(found.values())

    def _tariff(self, subject: _Subject, register: str, category: int | None) -> TariffRecord | None:
        """The tariff that the directory names for the meter, else the one that the chain has for the unit's
        category.
        """
        for device in self._devices(subject):
            named = self._directory.device_of(device)
            version = (
                self._directory.tariffs.get(named.tariff)
                if named and named.tariff and named.quantity == register
                else None
            )
            if version is not None and version in self._view.tariffs:
                return self._view.tariffs[version]
        return self._view.tariff_for(register, category or 0, self._period)

    def _devices(self, subject: _Subject) -> list[bytes]:
        return [
            device
            for device, records in self._view.bindings.items()
            if any(record.subject == subject.alias and record.role == subject.role for record in records)
        ]

    def _bound_since(self, subject: _Subject, spans: Sequence[MeterSpan]) -> int:
        return min(
            record.from_date
            for device in self._devices(subject)
            for record in self._view.bindings[device]
            if record.subject == subject.alias
            and record.role == subject.role
            and any(span.device == device for span in spans)
        )

    def _name_of(self, unit: UnitRecord) -> str:
        named = self._directory.unit_of(unit.alias)
        return named.name if named else f"unit {unit.index}"


def _span_json(span: MeterSpan) -> dict[str, Any]:
    return {
        "device": span.device.hex(),
        "from": date_text(span.from_date),
        "to": date_text(span.to_date),
        "opening": {"origin": span.opening.origin, "index": str(span.opening.index), "value": str(span.opening.value)},
        "closing": {"origin": span.closing.origin, "index": str(span.closing.index), "value": str(span.closing.value)},
        "confirmed": span.confirmed,
    }
