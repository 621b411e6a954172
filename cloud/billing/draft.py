"""A period's draft: every unit's lines, computed from boundary entries, bindings and tariffs as they stand on chain."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.usage import MeterSpan, date_text, read_spans, registers_of
from cloud.chain.deployment import Deployment
from cloud.chain.view import ChainView, TariffRecord, UnitRecord
from cloud.directory import Directory
from cloud.errors import BillingError
from contracts.bill import Bill, Line, LineKind, shares
from contracts.tariff import Tariff, Tier

__all__ = [
    "Draft",
    "DraftLine",
    "DraftUnit",
    "bills_of",
    "draft_from_json",
    "draft_period",
    "draft_to_json",
    "parse_period",
    "tariff_of",
]

FORMAT = "minglou-draft/1"
_SALT_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftLine:
    """One line, and the numbers that it was made from."""

    line: Line
    derivation: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftUnit:
    """One unit's lines. An empty one is a bill of zero."""

    index: int
    unit: bytes
    name: str
    salt: bytes
    lines: Sequence[DraftLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What the operator may look at, correct and post."""

    chain_id: int
    contract: str
    site: bytes
    period: int
    units: Sequence[DraftUnit]
    problems: Sequence[str] = field(default_factory=tuple)


def parse_period(text: str) -> int:
    """The period of `2026-10-23..2026-11-22` or `20261023..20261122`. Raises `BillingError`."""
    opening, dots, closing = text.replace("-", "").partition("..")
    try:
        days = [date(int(day[:4]), int(day[4:6]), int(day[6:])) for day in (opening, closing)]
    except ValueError as error:
        raise BillingError(f"period {text!r} is not OPENING..CLOSING with dates such as 20261023..20261122") from error
    if not dots or days[0] >= days[1]:
        raise BillingError(f"period {text!r} does not end after it begins")
    return int(opening) * 10**8 + int(closing)


def tariff_of(record: TariffRecord) -> Tariff:
    """An announced tariff's arithmetic."""
    told = record.announced
    return Tariff(
        quantity=told.quantity.rstrip(b"\0").decode("ascii"),
        category=told.category,
        by_year=told.by_year,
        valid_from=told.valid_from,
        valid_to=told.valid_to,
        document=told.document,
        tiers=tuple(Tier(up_to=up_to, price=price) for up_to, price in told.tiers),
    )


async def draft_period(
    connection: AsyncConnection,
    *,
    view: ChainView,
    directory: Directory,
    deployment: Deployment,
    period: int,
    new_salt: Callable[[int], bytes] = secrets.token_bytes,
) -> Draft:
    """Compute all bills of a period. What cannot be computed is a problem in words, and its line is missing."""
    run = _Run(connection, view, directory, period)
    own = {unit.alias: await run.own_lines(unit) for unit in view.roll}
    shared = [await run.shared_lines(pool) for pool in view.pools]
    units = [
        DraftUnit(
            index=unit.index,
            unit=unit.alias,
            name=named.name if (named := directory.unit_of(unit.alias)) else unit.alias.hex()[:12],
            salt=new_salt(_SALT_BYTES).ljust(32, b"\0"),
            lines=[*own[unit.alias], *(lines[unit.index] for lines in shared if lines)],
        )
        for unit in view.roll
    ]
    return Draft(
        chain_id=deployment.chain_id,
        contract=deployment.usage_fees,
        site=deployment.site,
        period=period,
        units=units,
        problems=run.problems,
    )


class _Run:
    """One period's computation."""

    def __init__(self, connection: AsyncConnection, view: ChainView, directory: Directory, period: int) -> None:
        self._connection, self._view, self._directory = connection, view, directory
        self._period = period
        self._opening, self._closing = divmod(period, 10**8)
        self.problems: list[str] = []

    async def own_lines(self, unit: UnitRecord) -> list[DraftLine]:
        lines: list[DraftLine] = []
        for register in await self._registers(unit.alias, 1):
            named = self._directory.unit_of(unit.alias)
            name = named.name if named else f"unit {unit.index}"
            found = self._tariff(unit.alias, 1, register, unit.category)
            if found is None:
                continue  # a meter without a tariff is read and shown, not charged
            try:
                line, derivation = await self._metered(unit.alias, 1, register, found)
            except BillingError as error:
                self.problems.append(f"{name}: {error}")
                continue
            lines.append(DraftLine(line=line, derivation=derivation))
        return lines

    async def shared_lines(self, pool: bytes) -> list[DraftLine]:
        """One line for every unit of the roll, or none at all."""
        named = self._directory.pool_of(pool)
        name = named.name if named else f"pool {pool.hex()[:12]}…"
        for register in await self._registers(pool, 2):
            found = self._tariff(pool, 2, register, None)
            if found is None:
                self.problems.append(f"{name}: no tariff for {register} is valid over the period")
                continue
            try:
                whole, derivation = await self._metered(pool, 2, register, found)
            except BillingError as error:
                self.problems.append(f"{name}: {error}")
                continue
            return self._shared(pool, whole, derivation)
        return []

    def _shared(self, pool: bytes, whole: Line, derivation: Mapping[str, Any]) -> list[DraftLine]:
        areas = [unit.area_centi_m2 for unit in self._view.roll]
        parts = shares(whole.amount, areas)
        lines: list[DraftLine] = []
        before = 0
        for area, amount in zip(areas, parts, strict=True):
            line = Line(
                kind=LineKind.SHARED,
                subject=pool,
                quantity=whole.quantity,
                tariff=whole.tariff,
                since=whole.since,
                usage=whole.usage,
                amount=amount,
            )
            share = {
                "pool_amount": str(whole.amount),
                "key": str(area),
                "key_before": str(before),
                "key_sum": str(sum(areas)),
            }
            lines.append(DraftLine(line=line, derivation={**derivation, "share": share}))
            before += area
        return lines

    async def _metered(
        self, subject: bytes, role: int, register: str, record: TariffRecord
    ) -> tuple[Line, dict[str, Any]]:
        tariff = tariff_of(record)
        spans = await self._spans(subject, role, register, self._opening, self._closing)
        used = sum(span.usage for span in spans)
        since, prior = 0, 0
        if tariff.by_year:
            year = self._opening // 10_000 * 10_000 + 101
            since = min(self._opening, max(year, self._bound_since(subject, role, spans)))
            if since < self._opening:
                before = await self._spans(subject, role, register, since, self._opening)
                prior = sum(span.usage for span in before)
        line = Line(
            kind=LineKind.OWN if role == 1 else LineKind.SHARED,
            subject=spans[-1].device if role == 1 else subject,
            quantity=register,
            tariff=record.version,
            since=since,
            usage=used,
            amount=tariff.charge(used=used, prior=prior),
        )
        return line, {"used": str(used), "prior": str(prior), "spans": [_span_json(span) for span in spans]}

    async def _spans(
        self, subject: bytes, role: int, register: str, from_date: int, to_date: int
    ) -> Sequence[MeterSpan]:
        return await read_spans(
            self._connection,
            self._view,
            subject=subject,
            role=role,
            register=register,
            from_date=from_date,
            to_date=to_date,
        )

    async def _registers(self, subject: bytes, role: int) -> list[str]:
        found: set[str] = set()
        for device in self._devices(subject, role):
            found.update(await registers_of(self._connection, device))
        return sorted(found)

    def _devices(self, subject: bytes, role: int) -> list[bytes]:
        return [
            device
            for device, records in self._view.bindings.items()
            if any(record.subject == subject and record.role == role for record in records)
        ]

    def _tariff(self, subject: bytes, role: int, register: str, category: int | None) -> TariffRecord | None:
        """The tariff that the directory names for the meter, else the one that the chain has for the unit's
        category.
        """
        for device in self._devices(subject, role):
            named = self._directory.device_of(device)
            version = (
                self._directory.tariffs.get(named.tariff)
                if named and named.tariff and named.quantity == register
                else None
            )
            if version is not None and version in self._view.tariffs:
                return self._view.tariffs[version]
        return self._view.tariff_for(register, category or 0, self._period)

    def _bound_since(self, subject: bytes, role: int, spans: Sequence[MeterSpan]) -> int:
        return min(
            record.from_date
            for device in self._devices(subject, role)
            for record in self._view.bindings[device]
            if record.subject == subject and record.role == role and any(span.device == device for span in spans)
        )


def _span_json(span: MeterSpan) -> dict[str, Any]:
    return {
        "device": span.device.hex(),
        "from": date_text(span.from_date),
        "to": date_text(span.to_date),
        "opening": {"origin": span.opening.origin, "index": str(span.opening.index), "value": str(span.opening.value)},
        "closing": {"origin": span.closing.origin, "index": str(span.closing.index), "value": str(span.closing.value)},
        "confirmed": span.confirmed,
    }


def bills_of(draft: Draft) -> list[Bill]:
    """The draft's bills, in the order of the roll. Raises contracts' BillError where one cannot be."""
    return [
        Bill(
            chain_id=draft.chain_id,
            contract=draft.contract,
            site=draft.site,
            period=draft.period,
            unit_index=unit.index,
            lines=tuple(one.line for one in unit.lines),
            salt=unit.salt,
        )
        for unit in draft.units
    ]


def draft_to_json(draft: Draft) -> dict[str, Any]:
    """The draft as a file that a person can read and correct."""
    opening, closing = divmod(draft.period, 10**8)
    return {
        "format": FORMAT,
        "chain_id": str(draft.chain_id),
        "contract": draft.contract,
        "site": draft.site.hex(),
        "period": str(draft.period),
        "opening": date_text(opening),
        "closing": date_text(closing),
        "units": [
            {
                "index": unit.index,
                "unit": unit.unit.hex(),
                "name": unit.name,
                "salt": unit.salt.hex(),
                "lines": [{**_line_json(one.line), "derivation": one.derivation} for one in unit.lines],
            }
            for unit in draft.units
        ],
        "problems": list(draft.problems),
    }


def draft_from_json(document: Mapping[str, Any]) -> Draft:
    """The draft in a file. Raises `BillingError` naming what is missing."""
    try:
        if document["format"] != FORMAT:
            raise BillingError(f"draft's format is {document['format']!r}, not {FORMAT}")
        return Draft(
            chain_id=int(document["chain_id"]),
            contract=str(document["contract"]),
            site=bytes.fromhex(document["site"]),
            period=int(document["period"]),
            units=[
                DraftUnit(
                    index=int(unit["index"]),
                    unit=bytes.fromhex(unit["unit"]),
                    name=str(unit["name"]),
                    salt=bytes.fromhex(unit["salt"]),
                    lines=[_line(line) for line in unit["lines"]],
                )
                for unit in document["units"]
            ],
            problems=tuple(document.get("problems", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BillingError(f"draft is damaged: {error!r}; draft the period again") from error


def _line_json(line: Line) -> dict[str, Any]:
    """As in `minglou-bill/1`."""
    return {
        "kind": int(line.kind),
        "subject": line.subject.hex(),
        "quantity": line.quantity,
        "tariff": str(line.tariff),
        "since": str(line.since),
        "usage": str(line.usage),
        "amount": str(line.amount),
    }


def _line(document: Mapping[str, Any]) -> DraftLine:
    line = Line(
        kind=LineKind(document["kind"]),
        subject=bytes.fromhex(document["subject"]),
        quantity=str(document["quantity"]),
        tariff=int(document["tariff"]),
        since=int(document["since"]),
        usage=int(document["usage"]),
        amount=int(document["amount"]),
    )
    return DraftLine(line=line, derivation=document.get("derivation", {}))
