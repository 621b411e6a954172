"""The site as manager and committee see it: gateways, periods, disputes, notices; sums, never a household's
readings.
"""

from dataclasses import asdict
from typing import Any

from sqlalchemy import func, select

from cloud.billing.posted import Mismatch, read_mismatches
from cloud.identity.audit import EVERY_UNIT
from cloud.identity.roles import OFFICERS, Role
from cloud.questions.bills import BillQuestions, dispute_state
from cloud.questions.ground import day_of, title
from cloud.standing import read_standing
from cloud.status import latest_oddities
from cloud.store import tables
from cloud.web.answers import (
    BillSummary,
    GatewaySummary,
    PeriodSummary,
    Person,
    Site,
    SiteDispute,
    WitnessSummary,
    WrongLine,
)
from contracts.bill import Amounts

__all__ = ["SiteQuestions"]

_NOTICES = 12
_DESK = (Role.MANAGER, Role.OPERATOR)  # who corrects bills and answers disputes


class SiteQuestions(BillQuestions):
    """The site's overview."""

    async def site(self, viewer: Person) -> Site | None:
        if viewer.role not in OFFICERS - {Role.FIRM}:
            return None
        if viewer.role in _DESK:
            await self.note_look(viewer, EVERY_UNIT, "/site")
        view = self.view
        anchors = view.anchors if view else []
        standing = await read_standing(self.store, self.cloud.settings.cosigners)
        async with self.store.read() as connection:
            gateways = await self._gateways(connection)
            mismatches = await read_mismatches(connection, _NOTICES)
        return Site(
            title=title(self.directory.title),
            gateways=tuple(gateways),
            periods=tuple(self._periods()),
            bills=tuple(await self._all_bills()) if viewer.role in _DESK else (),
            disputes=tuple(self._disputes(viewer)),
            anchored_size=anchors[-1].size if anchors else None,
            anchored_at_ms=anchors[-1].block_time_s * 1000 if anchors else None,
            notices=(*await self.store.latest_notices(_NOTICES), *await latest_oddities(self.store, _NOTICES)),
            witnesses=tuple(WitnessSummary(**asdict(one)) for one in standing.each),
            witness_quorum=standing.quorum,
            witnesses_waiting=standing.waiting,
            wrong_lines=tuple(self._wrong_line(viewer, one) for one in mismatches),
        )

    def _wrong_line(self, viewer: Person, mismatch: Mismatch) -> WrongLine:
        """Whose line it is, only the manager is told, who must correct it."""
        roll = self.view.roll if self.view else []
        known = viewer.role in _DESK and mismatch.unit_index < len(roll)
        unit = self.directory.unit_of(roll[mismatch.unit_index].alias) if known else None
        return WrongLine(
            unit_title=title(unit.title) if unit else None,
            period=str(mismatch.period),
            line=mismatch.line,
            charged_fen=mismatch.charged_fen,
            right_fen=mismatch.right_fen,
        )

    async def _gateways(self, connection: Any) -> list[GatewaySummary]:
        super_size = self.view.anchors[-1].size if self.view and self.view.anchors else 0
        column = tables.checkpoints.c
        anchored = {
            row.log_id: row.size
            for row in await connection.execute(
                select(column.log_id, func.max(column.size).label("size"))
                .where(column.super_index < super_size)
                .group_by(column.log_id)
                .execution_options(every_shard="one row of each log")
            )
        }
        summaries = []
        every = select(tables.logs).order_by(tables.logs.c.origin).execution_options(every_shard="one row of each log")
        for row in list(await connection.execute(every)):
            key = self.view.gateway_key(row.origin) if self.view else None
            summaries.append(
                GatewaySummary(
                    origin=row.origin,
                    last_seen_at_ms=row.last_seen_at_ms,
                    entries=row.size,
                    anchored=anchored.get(row.log_id, 0),
                    frozen=row.frozen is not None,
                    key_class=key.key_class if key else "file",
                )
            )
        return summaries

    def _periods(self) -> list[PeriodSummary]:
        periods = self.view.periods.values() if self.view else ()
        return [
            PeriodSummary(
                period=str(closed.period),
                opening=day_of(closed.period // 10**8),
                closing=day_of(closed.period % 10**8),
                units=closed.unit_count,
                total_fen=Amounts.from_word(closed.sums).total,
                root=closed.root.hex(),
                transaction=closed.transaction_hash,
            )
            for closed in sorted(periods, key=lambda one: -one.period)
        ]

    async def _all_bills(self) -> list[BillSummary]:
        found: list[BillSummary] = []
        for unit in self.directory.units:
            found += await self.bills_of_unit(unit)
        return found

    def _disputes(self, viewer: Person) -> list[SiteDispute]:
        challenges = self.view.challenges.values() if self.view else ()
        roll = self.view.roll if self.view else []
        found = []
        for challenge in challenges:
            unit = self.directory.unit_of(roll[challenge.unit_index].alias) if viewer.role in _DESK else None
            found.append(
                SiteDispute(
                    period=str(challenge.period),
                    line=challenge.line,
                    state=dispute_state(challenge),
                    answer_due_at_ms=challenge.deadline_s * 1000,
                    unit_title=title(unit.title) if unit else None,
                )
            )
        return found
