"""One random whole compound as its bills see it: roll, meters and swaps, tariffs, pools, standing charges, one period.

Everything follows from a seed. The lines are those that billing makes: split where seasons change, steps counted from
the period, the year or the meter's first day, shares by every kind of key. `compound_site` puts it on a chain.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random

from cloud.billing.seasons import split_at_seasons, tier_start
from contracts.bill import Line, LineKind, shares
from contracts.key_table import KeyTable
from contracts.standing import standing_charge
from contracts.tariff import Basis, Key, Terms
from tests.contracts.compounds import expect, keys_of, slow_charge, slow_standing
from tests.contracts.prices import random_standing, random_terms
from tests.contracts.vyper.site import ENERGY, name

BOUND_FIRST = date(2026, 9, 1)
VALID_FROM = 20261010  # of every tariff: the first day that its delay allows, and before every period
ROLES = {"own": 1, "pool": 2}


@dataclass(frozen=True, slots=True)
class Meter:
    """One meter's time with a unit or pool."""

    device: bytes
    gateway: int
    from_date: int
    to_date: int  # 0 while it counts


@dataclass(frozen=True, slots=True)
class Part:
    """What one meter counts of a line: two boundary dates."""

    device: bytes
    gateway: int
    from_date: int
    to_date: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A unit or a pool with its meters, what they showed at each boundary, and the tariff that prices it."""

    alias: bytes
    role: int
    meters: tuple[Meter, ...]
    tariff: int
    terms: Terms
    shown: dict[tuple[bytes, str, int], int]

    def parts(self, from_date: int, to_date: int) -> list[Part]:
        """The meters that count from one boundary date to another, in order."""
        return [
            Part(meter.device, meter.gateway, first, last)
            for meter in self.meters
            if (first := max(meter.from_date, from_date)) < (last := min(meter.to_date or to_date, to_date))
        ]

    def used(self, register: str, from_date: int, to_date: int) -> int:
        return sum(
            self.shown[part.device, register, part.to_date] - self.shown[part.device, register, part.from_date]
            for part in self.parts(from_date, to_date)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool and what its units' parts go by."""

    subject: Subject
    keys: tuple[int, ...]
    table: KeyTable | None  # where the keys are neither areas nor equal


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One unit of the roll."""

    subject: Subject
    area_centi_m2: int
    category: int
    residents: tuple[tuple[int, int], ...]  # (from boundary date, persons)

    def residents_on(self, day: int) -> int:
        return [persons for since, persons in self.residents if since <= day][-1]


@dataclass(frozen=True, slots=True)
class Charge:
    """A line, and where what it rests on is found."""

    line: Line
    terms: Terms
    subject: Subject | None = None  # of metered lines
    pool: Pool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compound:
    """A period's whole ground."""

    opening: int
    closing: int
    units: tuple[Unit, ...]
    pools: tuple[Pool, ...]
    tariffs: tuple[Terms, ...]  # version 1 is the first
    counts: dict[int, int]  # of tariffs by a stated number: what the right states, by version

    @property
    def period(self) -> int:
        return self.opening * 10**8 + self.closing

    @property
    def subjects(self) -> Iterator[Subject]:
        yield from (unit.subject for unit in self.units)
        yield from (pool.subject for pool in self.pools)

    def bills(self) -> list[list[Charge]]:
        """Every unit's lines, each held against the second reckoning in fractions, and every pool shared out whole."""
        bills = [[*self._own(unit), *self._standing(unit)] for unit in self.units]
        for pool in self.pools:
            for charges in self._shared(pool):
                for bill, charge in zip(bills, charges, strict=True):
                    bill.append(charge)
        return bills

    def _own(self, unit: Unit) -> Iterator[Charge]:
        for line in self._metered(unit.subject, unit):
            yield Charge(line, unit.subject.terms, unit.subject)

    def _shared(self, pool: Pool) -> Iterator[list[Charge]]:
        for whole in self._metered(pool.subject, None):
            parts = shares(whole.amount, pool.keys)
            assert sum(parts) == whole.amount
            yield [Charge(replace(whole, amount=part), pool.subject.terms, pool.subject, pool) for part in parts]

    def _metered(self, subject: Subject, unit: Unit | None) -> Iterator[Line]:
        terms = subject.terms
        for first, last in split_at_seasons(terms, self.opening, self.closing):
            since = tier_start(terms, self.opening, first, subject.meters[0].from_date)
            used = [subject.used(register, first, last) for register in terms.registers]
            prior = subject.used(terms.quantity, since, first)
            residents = unit.residents_on(first) if unit else 0
            season = terms.season(first, last)
            amount = season.charge(used=used, prior=prior, residents=residents)
            expect(slow_charge(season, used, prior, residents), amount, "metered line")
            yield Line(
                kind=LineKind.OWN if unit else LineKind.SHARED,
                subject=subject.parts(first, last)[-1].device if unit else subject.alias,
                quantity=terms.quantity,
                tariff=subject.tariff,
                since=since,
                from_date=first,
                to_date=last,
                usage=sum(used),
                amount=amount,
            )

    def _standing(self, unit: Unit) -> Iterator[Charge]:
        for version, fee in enumerate(self.tariffs, start=1):
            if fee.basis is Basis.METER or fee.category != unit.category:
                continue
            count = self._count(unit, version, fee)
            amount = standing_charge(fee, count=count, from_date=self.opening, to_date=self.closing)
            expect(slow_standing(fee, count, self.opening, self.closing), amount, "standing charge")
            line = Line(
                kind=LineKind.STANDING,
                subject=fee.document,
                quantity=fee.quantity,
                tariff=version,
                since=self.opening,
                from_date=self.opening,
                to_date=self.closing,
                usage=count,
                amount=amount,
            )
            yield Charge(line, fee)

    def _count(self, unit: Unit, version: int, fee: Terms) -> int:
        if fee.basis is Basis.AREA:
            return unit.area_centi_m2
        return unit.residents_on(self.opening) if fee.basis is Basis.HEADS else self.counts[version]


def random_compound(seed: int) -> Compound:
    """A whole compound from its seed."""
    return _Draw(Random(seed)).compound()


class _Draw:
    """One run of a seed's numbers."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._tariffs: list[Terms] = []
        self._opening, self._closing = self._period()

    def compound(self) -> Compound:
        rng = self._rng
        own = {category: self._announce(self._terms(category=category)) for category in (0, 1)}
        units = tuple(self._unit(index, own) for index in range(rng.randint(1, 7)))
        pools = tuple(self._pool(number, units) for number in range(rng.randint(0, 3)))
        fees = [self._announce(self._fee(number)) for number in range(rng.randint(0, 3))]
        return Compound(
            opening=self._opening,
            closing=self._closing,
            units=units,
            pools=pools,
            tariffs=tuple(self._tariffs),
            counts={version: rng.randrange(1, 100) for version in fees},
        )

    def _period(self) -> tuple[int, int]:
        """Within one year, as the contract wants it; a quarter begin with the year or end with it."""
        rng = self._rng
        first = rng.choice((date(2027, 1, 1), *(date(2026, 10, 15) + timedelta(rng.randrange(400)) for _ in range(7))))
        new_year = date(first.year + 1, 1, 1)
        length = timedelta(rng.choice((1, 7, 30, 31, 61, rng.randint(2, 150))))
        last = new_year if rng.random() < 0.15 else min(first + length, new_year)
        return _number(first), _number(last)

    def _announce(self, terms: Terms) -> int:
        self._tariffs.append(terms)
        return len(self._tariffs)

    def _terms(self, *, category: int, key: Key = Key.AREA) -> Terms:
        return replace(random_terms(self._rng, quantity=ENERGY), category=category, key=key)

    def _fee(self, number: int) -> Terms:
        return replace(random_standing(self._rng), category=self._rng.randint(0, 1), document=name(f"right {number}"))

    def _unit(self, index: int, own: dict[int, int]) -> Unit:
        rng = self._rng
        category = rng.choice((0, 0, 1))
        moved = _number(BOUND_FIRST + timedelta(rng.randrange(1, 400)))
        return Unit(
            subject=self._subject(f"unit {index}", "own", own[category]),
            area_centi_m2=rng.randint(1_000, 30_000),
            category=category,
            residents=((_number(BOUND_FIRST), rng.randint(0, 8)), (moved, rng.randint(0, 8))),
        )

    def _pool(self, number: int, units: Sequence[Unit]) -> Pool:
        rng = self._rng
        key = rng.choice(tuple(Key))
        version = self._announce(self._terms(category=0, key=key))
        subject = self._subject(f"pool {number}", "pool", version)
        keys = tuple(keys_of(rng, key, [unit.area_centi_m2 for unit in units]))
        table = None
        if key in (Key.TABLE, Key.VOLUME):
            salts = [name(f"salt {number} {at}") for at in range(len(keys))] if key is Key.VOLUME else ()
            table = KeyTable(pool=subject.alias, keys=keys, salts=salts)
        return Pool(subject=subject, keys=keys, table=table)

    def _subject(self, called: str, role: str, version: int) -> Subject:
        terms = self._tariffs[version - 1]
        meters = self._meters(called, len(terms.registers))
        subject = Subject(alias=name(called), role=ROLES[role], meters=meters, tariff=version, terms=terms, shown={})
        for meter in meters:
            self._show(subject, meter)
        return subject

    def _meters(self, called: str, registers: int) -> tuple[Meter, ...]:
        """One meter, or several around swaps before or inside the period, on either gateway."""
        rng = self._rng
        start = BOUND_FIRST + timedelta(rng.randrange(30))
        days, opening = ((_date(day) - start).days for day in (self._closing, self._opening))
        swaps = rng.choice((0, 1, 1, 2) if registers < 3 else (0, 1) if registers == 3 else (0,))
        first = opening if rng.random() < 0.7 and days - opening > swaps else 0
        swapped = sorted(rng.sample(range(first + 1, days), swaps))
        edges = [_number(start), *(_number(start + timedelta(day)) for day in swapped), 0]
        return tuple(
            Meter(name(f"{called}, meter {at}"), rng.randrange(2), edges[at], edges[at + 1])
            for at in range(len(edges) - 1)
        )

    def _show(self, subject: Subject, meter: Meter) -> None:
        """Registers at every boundary that a line could need; the total counts what all others do."""
        rng, terms = self._rng, subject.terms
        ends = {meter.from_date, meter.to_date or self._closing}
        inside = {
            self._opening,
            self._closing,
            20270101,
            *_edges(split_at_seasons(terms, self._opening, self._closing)),
        }
        days = sorted(ends | {day for day in inside if min(ends) <= day <= max(ends)})
        values = [rng.randrange(10_000_000) for _ in terms.registers]
        for day in days:
            for register, value in zip(terms.registers, values, strict=True):
                subject.shown[meter.device, register, day] = value
            subject.shown[meter.device, terms.quantity, day] = sum(values)
            values = [value + rng.choice((0, rng.randrange(900_000))) for value in values]


def _edges(spans: Iterable[tuple[int, int]]) -> set[int]:
    return {day for span in spans for day in span}


def _number(day: date) -> int:
    return int(f"{day:%Y%m%d}")


def _date(number: int) -> date:
    return date(number // 10_000, number // 100 % 100, number % 100)
