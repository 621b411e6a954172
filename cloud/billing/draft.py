"""A period's draft: every unit's lines, computed from boundary entries, bindings and tariffs as they stand on chain."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.bill_block import SALT_BYTES
from cloud.billing.period_columns import reckon_period
from cloud.billing.reckoning import DraftLine, Reckoning
from cloud.billing.usage import date_text
from cloud.chain.deployment import Deployment
from cloud.chain.view import ChainView
from cloud.directory import Directory
from cloud.errors import BillingError
from contracts.bill import LINES_MAX, BillError
from contracts.bill_file import line_from_json, line_to_json
from contracts.key_table import KeyTable

__all__ = [
    "Draft",
    "DraftLine",
    "DraftUnit",
    "contents_of",
    "draft_from_json",
    "draft_period",
    "draft_to_json",
    "parse_period",
]

FORMAT = "minglou-draft/1"


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
    terms: Mapping[int, bytes] = field(default_factory=dict)  # announced bytes by version, of the tariffs named
    volumes: Sequence[KeyTable] = ()  # of pools that are shared by volume


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
    together = await reckon_period(connection, view=view, directory=directory, period=period)
    run = await Reckoning.read(connection, view, directory, period, volumes=together.volumes)
    ordinary = [unit for unit in view.roll_of(period) if unit.index not in together.apart]
    own = {**together.apart, **dict(zip((unit.index for unit in ordinary), run.own_lines(ordinary), strict=True))}
    shared = [run.shared_lines(pool) for pool in view.pools]
    units = [
        DraftUnit(
            index=unit.index,
            unit=unit.alias,
            name=named.name if (named := directory.unit_of(unit.alias)) else unit.alias.hex()[:12],
            salt=new_salt(SALT_BYTES).ljust(32, b"\0"),
            lines=[
                *own[unit.index],
                *(line for lines in shared if lines for line in lines[unit.index]),
                *run.standing_lines(unit),
                *together.corrections.get(unit.index, ()),
            ],
        )
        for unit in view.roll_of(period)
    ]
    return Draft(
        chain_id=deployment.chain_id,
        contract=deployment.usage_fees,
        site=deployment.site,
        period=period,
        units=units,
        problems=together.problems,
        terms={version: record.announced.terms for version, record in view.tariffs.items()},
        volumes=[
            KeyTable(pool=pool, keys=keys, salts=[new_salt(SALT_BYTES).ljust(32, b"\0") for _ in keys])
            for pool, keys in together.volumes.items()
        ],
    )


def contents_of(draft: Draft) -> list[bytes]:
    """The draft's bills as bytes, in the order of the roll. Raises contracts' BillError where one cannot be."""
    contents = []
    for place, unit in enumerate(draft.units):
        if unit.index != place:
            raise BillError(f"unit {unit.index} stands at place {place} of the draft; one bill a unit, in order")
        if len(unit.lines) > LINES_MAX:
            raise BillError(f"bill of unit {unit.index} has {len(unit.lines)} lines; {LINES_MAX} can be challenged")
        contents.append(unit.salt[:SALT_BYTES] + b"".join(one.line.encode() for one in unit.lines))
    return contents


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
                "lines": [{**line_to_json(one.line), "derivation": one.derivation} for one in unit.lines],
            }
            for unit in draft.units
        ],
        "terms": {str(version): encoded.hex() for version, encoded in draft.terms.items()},
        "volumes": [
            {
                "pool": table.pool.hex(),
                "keys": [str(key) for key in table.keys],
                "salts": [salt.hex() for salt in table.salts],
            }
            for table in draft.volumes
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
            volumes=[
                KeyTable(
                    pool=bytes.fromhex(one["pool"]),
                    keys=[int(key) for key in one["keys"]],
                    salts=[bytes.fromhex(salt) for salt in one["salts"]],
                )
                for one in document.get("volumes", ())
            ],
            terms={int(version): bytes.fromhex(encoded) for version, encoded in document["terms"].items()},
        )
    except (KeyError, TypeError, ValueError, BillError) as error:
        raise BillingError(f"draft is damaged: {error!r}; draft the period again") from error


def _line(document: Mapping[str, Any]) -> DraftLine:
    """As in `minglou-bill/1`, with what it was made from. Raises contracts' BillError."""
    fields = {name: value for name, value in document.items() if name != "derivation"}
    return DraftLine(line=line_from_json(fields), derivation=document.get("derivation", {}))
