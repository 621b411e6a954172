"""Bills as the operator posted them: taken only if they rebuild the root on chain, compared line by line with the
cloud's own draft.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.draft import Draft, draft_period
from cloud.chain.deployment import Deployment
from cloud.chain.view import ChainView
from cloud.directory import Directory
from cloud.errors import BillingError
from cloud.store import Store, insert_rows, tables
from contracts.bill import BillProof, BillTree, Line, LineKind, verify_bill
from contracts.bill_file import bill_from_json, bill_to_json
from contracts.clock import Clock
from contracts.errors import ContractsError

__all__ = ["Acceptance", "Mismatch", "accept_bills", "compare_again", "read_bill", "read_block", "read_mismatches"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A posted line that is not what the signed readings and the announced prices give."""

    period: int
    unit_index: int
    line: int
    charged_fen: int
    right_fen: int | None  # None: the readings show no such line at all

    def row(self) -> tuple[int, int, int, str]:
        """As the store keeps it."""
        numbers = {"charged_fen": self.charged_fen, "right_fen": self.right_fen}
        return self.period, self.unit_index, self.line, json.dumps(numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What became of an upload."""

    accepted: int
    mismatches: Sequence[str]


async def accept_bills(
    store: Store,
    *,
    view: ChainView,
    directory: Directory,
    deployment: Deployment,
    clock: Clock,
    period: int,
    documents: Sequence[Any],
) -> Acceptance:
    """Keep the bills of a closed period.

    Raises:
        BillingError: the period is not closed on chain, or a bill does not lead to the root that stands there.
    """
    closed = view.periods.get(period)
    if closed is None:
        raise BillingError(f"period {period} is not closed on the followed chain; post its root first, then upload")
    proofs = [_proof(document) for document in documents]
    if [proof.bill.unit_index for proof in proofs] != list(range(closed.unit_count)):
        raise BillingError(
            f"the upload holds {len(proofs)} bills; the period has one for each of {closed.unit_count} units, in order"
        )
    for proof in proofs:
        _check(proof, closed.root, closed.sums, period, deployment)
    async with store.read() as connection:
        own = await draft_period(connection, view=view, directory=directory, deployment=deployment, period=period)
    mismatches = _compare(own, proofs, period)
    aliases = {unit.index: unit.alias for unit in view.roll}
    now_ms = clock.now_ms()
    async with store.write() as connection:
        await connection.execute(delete(tables.bills).where(tables.bills.c.period == period))
        await connection.execute(delete(tables.bill_mismatches).where(tables.bill_mismatches.c.period == period))
        await insert_rows(connection, tables.bills, [_row(proof, period, aliases, now_ms) for proof in proofs])
        await insert_rows(connection, tables.bill_mismatches, [one.row() for one in mismatches])
    names = {unit.index: unit.name for unit in own.units}
    return Acceptance(accepted=len(proofs), mismatches=[_said(names[one.unit_index], one) for one in mismatches])


async def compare_again(
    store: Store, *, view: ChainView, directory: Directory, deployment: Deployment, period: int
) -> None:
    """Compare the kept bills of a period with the readings anew, and keep what is found."""
    query = select(tables.bills.c.file).where(tables.bills.c.period == period).order_by(tables.bills.c.unit_index)
    async with store.read() as connection:
        proofs = [_proof(json.loads(file)) for file in (await connection.execute(query)).scalars()]
        own = await draft_period(connection, view=view, directory=directory, deployment=deployment, period=period)
    async with store.write() as connection:
        await connection.execute(delete(tables.bill_mismatches).where(tables.bill_mismatches.c.period == period))
        rows = [one.row() for one in _compare(own, proofs, period)]
        await insert_rows(connection, tables.bill_mismatches, rows)


def _proof(document: Any) -> BillProof:
    try:
        return bill_from_json(document)
    except ContractsError as error:
        raise BillingError(f"upload: {error}") from error


def _check(proof: BillProof, root: bytes, sums: int, period: int, deployment: Deployment) -> None:
    bill = proof.bill
    if (bill.chain_id, bill.contract, bill.site, bill.period) != (
        deployment.chain_id,
        deployment.usage_fees,
        deployment.site,
        period,
    ):
        raise BillingError(f"bill of unit {bill.unit_index} is of another chain, contract, site or period")
    if (proof.root.hash, proof.root.sums) != (root, sums):
        raise BillingError(
            f"bill of unit {bill.unit_index} leads to another root than the one on chain ({root.hex()}); upload "
            f"what was posted"
        )
    try:
        verify_bill(proof)
    except ContractsError as error:
        raise BillingError(str(error)) from error


def _row(proof: BillProof, period: int, aliases: dict[int, bytes], now_ms: int) -> tuple[Any, ...]:
    bill = proof.bill
    file = json.dumps(bill_to_json(proof), separators=(",", ":"))
    return period, bill.unit_index, aliases[bill.unit_index], bill.amounts.total, file, proof.root.hash, now_ms


def _compare(own: Draft, proofs: Sequence[BillProof], period: int) -> list[Mismatch]:
    """Every line that is not what the gateway's entries and the tariff give."""
    found: list[Mismatch] = []
    for unit, proof in zip(own.units, proofs, strict=True):
        ours = {_name(one.line): one.line for one in unit.lines}
        for number, line in enumerate(proof.bill.lines):
            mine = ours.pop(_name(line), None)
            if mine != line and line.kind is not LineKind.CREDIT:
                right = None if mine is None else mine.amount
                found.append(
                    Mismatch(
                        period=period, unit_index=unit.index, line=number, charged_fen=line.amount, right_fen=right
                    )
                )
    return found


def _said(name: str, mismatch: Mismatch) -> str:
    """For the operator who posted the bill: which line, and by how much."""
    charges = f"{name}: line {mismatch.line + 1} charges {mismatch.charged_fen / 100:.2f} yuan"
    if mismatch.right_fen is None:
        return f"{charges} for what the signed readings do not show"
    return f"{charges}; the signed readings and the announced prices give {mismatch.right_fen / 100:.2f} yuan"


async def read_mismatches(connection: AsyncConnection, count: int) -> list[Mismatch]:
    """The lines of the newest periods that differ from what the cloud computes."""
    column = tables.bill_mismatches.c
    order = (column.period.desc(), column.unit_index, column.line)
    query = select(tables.bill_mismatches).order_by(*order).limit(count)
    return [
        Mismatch(period=row.period, unit_index=row.unit_index, line=row.line, **json.loads(row.says))
        for row in await connection.execute(query)
    ]


def _name(line: Line) -> tuple[int, bytes, str, int]:
    return int(line.kind), line.subject, line.quantity, line.from_date


async def read_bill(connection: AsyncConnection, period: int, unit_index: int) -> BillProof | None:
    """One unit's posted bill."""
    column = tables.bills.c
    query = select(column.file).where(column.period == period, column.unit_index == unit_index)
    file = (await connection.execute(query)).scalar_one_or_none()
    return None if file is None else bill_from_json(json.loads(file))


async def read_block(
    connection: AsyncConnection, period: int, first: int, count: int
) -> tuple[list[BillProof], BillTree] | None:
    """The posted bills of one block of units and the period's tree; None while the upload is missing."""
    column = tables.bills.c
    query = select(column.file).where(column.period == period).order_by(column.unit_index)
    files = list((await connection.execute(query)).scalars())
    if not files:
        return None
    proofs = [bill_from_json(json.loads(file)) for file in files]
    return proofs[first : first + count], BillTree.of_bills([proof.bill for proof in proofs])
