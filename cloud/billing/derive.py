"""The derivations of one posted bill, made when somebody asks: from its notes, else from the entries that are held."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.corrections import CORRECTION, corrections_of
from cloud.billing.derivation import describe
from cloud.billing.kept import read_notes
from cloud.billing.reckoning import DraftLine, Reckoning
from cloud.billing.usage import OWN_ROLE, Bindings, Registers, bindings_of
from cloud.billing.volumes import read_shares
from cloud.chain.view import ChainView, UnitRecord
from cloud.directory import Directory
from contracts.bill import Line, LineKind

__all__ = ["derive_lines", "read_line_registers"]

_OWN = (LineKind.OWN, LineKind.ESTIMATED, LineKind.INTERVAL)


async def read_line_registers(
    connection: AsyncConnection, view: ChainView, *, period: int, unit: UnitRecord, line: Line
) -> Registers:
    """The boundary entries that a metered line and its derivation rest on, read at once."""
    days = {day for day in (line.since, line.from_date, line.to_date) if day}
    return await Reckoning.read_registers(connection, view, period, _bindings(view, unit, [line]), also=days)


def _bindings(view: ChainView, unit: UnitRecord, lines: Sequence[Line]) -> Bindings:
    """Of the meters that lines rest on."""
    own = [(unit.alias, OWN_ROLE)] if any(line.kind in _OWN for line in lines) else []
    return bindings_of(view, [*own, *((pool, 2) for pool in _pools(lines))])


def _pools(lines: Sequence[Line]) -> list[bytes]:
    return list(dict.fromkeys(line.subject for line in lines if line.kind is LineKind.SHARED))


async def derive_lines(
    connection: AsyncConnection,
    view: ChainView,
    directory: Directory,
    *,
    period: int,
    unit: UnitRecord,
    lines: Sequence[Line],
    numbers: Sequence[int] | None = None,
    with_notes: bool = True,
    registers: Registers | None = None,
) -> list[dict[str, Any]]:
    """Each line's derivation, in the lines' order. One that the entries do not give says only what it charges, and has
    `matches` false.

    Args:
        numbers: which of the lines; all of them where it is None.
        with_notes: whether lines may rest on what was noted when they were posted.
        registers: what `read_line_registers` found for the only line that is asked for.
    """
    notes = await read_notes(connection, period, unit.index, unit.alias) if with_notes else {}
    asked = {number: lines[number] for number in (range(len(lines)) if numbers is None else numbers)}
    bare = [line for number, line in asked.items() if number not in notes]
    drafts = await _computed(connection, view, directory, period, unit, bare, registers) if bare else []
    computed = {one.line: one.derivation for one in drafts}
    derivations = []
    for number, line in asked.items():
        found = json.loads(notes[number]) if number in notes else computed.get(line)
        derivations.append({"matches": found is not None, **(found or describe(line))})
    return derivations


async def _computed(
    connection: AsyncConnection,
    view: ChainView,
    directory: Directory,
    period: int,
    unit: UnitRecord,
    lines: Sequence[Line],
    registers: Registers | None,
) -> list[DraftLine]:
    """The lines that stand in the place of these: of a kind that nobody asks for none is computed."""
    bindings, pools = _bindings(view, unit, lines), _pools(lines)
    run = await Reckoning.read(connection, view, directory, period, bindings=bindings, registers=registers)
    own = run.own_lines([unit])[0] if any(line.kind in _OWN for line in lines) else ()
    posted = await read_shares(connection, view, period, unit.index) if pools else {}
    shared = [line for pool in pools for line in run.shared_lines_of(pool, unit.index, posted)]
    corrected: Sequence[DraftLine] = ()
    if any(line.quantity == CORRECTION for line in lines):
        found = await corrections_of(connection, view, directory, period, unit_index=unit.index)
        corrected = [one for _, one in (*found.lines, *found.others)]
    return [*own, *shared, *run.standing_lines(unit), *corrected]
