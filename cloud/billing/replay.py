"""A posted period computed again from what is held now: every line that would be another one today, and why."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.bill_block import BILLS_AT_ONCE, SALT_BYTES
from cloud.billing.corrections import CORRECTION
from cloud.billing.derivation import sentence
from cloud.billing.derive import derive_lines
from cloud.billing.kept import bill_place, read_contents, read_held, read_noted
from cloud.billing.period_columns import PeriodColumns, reckon_period
from cloud.billing.volumes import read_volumes
from cloud.chain.deployment import Deployment
from cloud.chain.view import ChainView
from cloud.directory import Directory
from cloud.errors import BillingError
from contracts.bill import Bill, Line, LineKind
from contracts.bill_file import line_to_json

__all__ = ["Change", "replay_period"]

_OWN = (LineKind.OWN, LineKind.ESTIMATED, LineKind.INTERVAL)
_WHY = {
    "added": "the bill has no such line",
    "removed": "what is held gives no such line",
    "measured": "an entry that came later measures the estimate",
    "estimated": "an entry that the line rested on does not count any more; it would be an estimate",
    "meter": "another meter counted at the closing",
    "usage": "the meters counted otherwise than the bill says",
    "tariff": "another version of the tariff is in force for the line",
    "since": "its steps count from another day",
    "price": "same usage, another amount: steps used before, residents, or the key of a share",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line that is not what it would be now. One of `old` and `new` may be missing."""

    unit_index: int
    number: int | None  # of the old line
    old: Line | None
    new: Line | None
    why: Sequence[str]  # names of `_WHY`
    was_noted: bool = False  # the posted line was an estimate, and said so
    derivation: Mapping[str, Any] | None = None  # of the new line

    @property
    def difference_fen(self) -> int:
        """What would be charged more, or, below zero, less."""
        return _charged(self.new) - _charged(self.old)

    def says(self) -> str:
        """For the operator: old and new, and why."""
        old, new = (f"{_charged(line) / 100:.2f}" if line else "-" for line in (self.old, self.new))
        line = self.old or self.new
        assert line is not None
        reasons = "; ".join(_WHY[name] for name in self.why)
        how = f" {sentence(self.derivation, 'en')}" if self.derivation is not None else ""
        return f"{line.quantity or line.kind.name.lower()} from {line.from_date}: {old} -> {new} yuan: {reasons}.{how}"

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "unit_index": self.unit_index,
            "line": self.number,
            "old": line_to_json(self.old) if self.old else None,
            "new": line_to_json(self.new) if self.new else None,
            "why": list(self.why),
            "was_estimated": self.was_noted,
            "difference_fen": str(self.difference_fen),
            "derivation": self.derivation,
        }


def _charged(line: Line | None) -> int:
    """What a line asks for, in fen: below zero where it gives back."""
    if line is None:
        return 0
    return -line.amount if line.kind is LineKind.CREDIT else line.amount


async def replay_period(
    connection: AsyncConnection, *, view: ChainView, directory: Directory, deployment: Deployment, period: int
) -> AsyncIterator[Change]:
    """Every line of a posted period that would be another one by what is held now, in unit order.

    Raises:
        BillingError: the period's bills are not held.
    """
    held = await read_held(connection, period)
    if held is None or not held.is_whole:
        raise BillingError(f"the bills of period {period} are not held; post and upload them first")
    # What was posted to share pools by never changes: a replay goes by it.
    volumes = await read_volumes(connection, view, period)
    own = await reckon_period(connection, view=view, directory=directory, period=period, volumes=volumes)
    noted, place = await read_noted(connection, period), bill_place(deployment, period)
    for first in range(0, held.unit_count, BILLS_AT_ONCE):
        kept = [content for _, content in await read_contents(connection, period, first, BILLS_AT_ONCE)]
        ours = own.contents([content[:SALT_BYTES] for content in kept], first)
        for index, (content, right) in enumerate(zip(kept, ours, strict=True), first):
            if content != right:
                for change in changes_of(place.bill(index, content), place.bill(index, right), noted):
                    yield await _derived(connection, view, directory, own, period, change)


def changes_of(posted: Bill, right: Bill, noted: set[tuple[int, int]]) -> list[Change]:
    """What differs between a posted bill and the one that would be made now."""
    new = {_key(line): line for line in right.lines}
    found = []
    for number, line in enumerate(posted.lines):
        mine = new.pop(_key(line), None)
        # Credits of their own the operator gives freely; those that correct an estimate follow from entries.
        if mine != line and (line.kind is not LineKind.CREDIT or line.quantity == CORRECTION):
            was_noted = (posted.unit_index, number) in noted
            found.append(
                Change(
                    unit_index=posted.unit_index, number=number, old=line, new=mine, why=_reasons(line, mine),
                    was_noted=was_noted,
                )
            )  # fmt: skip
    found += [
        Change(unit_index=posted.unit_index, number=None, old=None, new=line, why=("added",)) for line in new.values()
    ]
    return found


def _key(line: Line) -> tuple[str, bytes, str, int]:
    """What makes a line the same line, whichever meter counted and whether it was estimated."""
    if line.kind in _OWN:
        return "own", b"", line.quantity, line.from_date
    return line.kind.name, line.subject, line.quantity, line.from_date


def _reasons(old: Line, new: Line | None) -> tuple[str, ...]:
    if new is None:
        return ("removed",)
    reasons = [
        name
        for name, differs in (
            ("measured", old.kind is LineKind.ESTIMATED and new.kind is not LineKind.ESTIMATED),
            ("estimated", old.kind is not LineKind.ESTIMATED and new.kind is LineKind.ESTIMATED),
            ("meter", old.subject != new.subject),
            ("usage", old.usage != new.usage),
            ("tariff", old.tariff != new.tariff),
            ("since", old.since != new.since),
        )
        if differs
    ]
    return tuple(reasons) or ("price",)


async def _derived(
    connection: AsyncConnection,
    view: ChainView,
    directory: Directory,
    own: PeriodColumns,
    period: int,
    change: Change,
) -> Change:
    """The change with the new line's derivation."""
    if change.new is None:
        return change
    index = change.unit_index
    lines = (*own.apart.get(index, ()), *own.corrections.get(index, ()))
    known = [one.derivation for one in lines if one.line == change.new]
    if not known:
        unit = view.roll[index]
        known = [
            one
            for one in await derive_lines(
                connection, view, directory, period=period, unit=unit, lines=[change.new], with_notes=False
            )
            if one["matches"]
        ]
    return Change(
        unit_index=index, number=change.number, old=change.old, new=change.new, why=change.why,
        was_noted=change.was_noted, derivation=known[0] if known else None,
    )  # fmt: skip
