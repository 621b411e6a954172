"""A device's visits, as its public page tells them: what was signed, and what the gateway found of it."""

import json
from typing import Any

from sqlalchemy import select

from cloud.directory import CrewMember
from cloud.questions.ground import Ground, title
from cloud.store import tables
from cloud.store.months import entries_at
from cloud.visits.letters import find_judgement
from cloud.web.answers import DeviceVisit
from contracts.entry import Kind
from contracts.person import KeyKind
from contracts.quantities import VISIT_VERDICT
from contracts.signed_visit import SignedVisit, signed_visit_from_json
from contracts.visit import CLASS_NAMES, VisitClass

__all__ = ["VisitQuestions"]

_SHOWN = 5
_NOT_OBSERVABLE = "not-observable"
_ORDER = ("inspection-mode", "door-cycles", "stop-switch", "back-in-service")  # as the work goes


class VisitQuestions(Ground):
    """Visits, for everybody: no person is named."""

    async def visits_of(self, connection: Any, device: bytes) -> tuple[DeviceVisit, ...]:
        """The last visits, newest first."""
        column = tables.visits.c
        query = select(tables.visits).where(column.device == device).order_by(column.started_at_s.desc()).limit(_SHOWN)
        return tuple([await self._visit(connection, row) for row in (await connection.execute(query)).all()])

    async def _visit(self, connection: Any, row: Any) -> DeviceVisit:
        signed = signed_visit_from_json(json.loads(row.file))
        entry = await find_judgement(connection, row)
        items = await _findings(connection, entry) if entry else ()
        member = self._first_signer(signed)
        return DeviceVisit(
            started_at_ms=row.started_at_s * 1000,
            ended_at_ms=row.ended_at_s * 1000,
            visit_class=CLASS_NAMES[VisitClass(row.visit_class)],
            firm=title(member.firm) if member else None,
            people=len(signed.signatures),
            has_software_key=any(one.kind is KeyKind.SOFTWARE for one in signed.signatures),
            level=entry.value if entry else None,
            was_silent=bool(items) and all(finding == _NOT_OBSERVABLE for _, finding in items),
            items=items,
            reference=await self.reference(connection, entry) if entry else None,
        )

    def _first_signer(self, signed: SignedVisit) -> CrewMember | None:
        return self.directory.crew_of(signed.visit.mechanics[0])


async def _findings(connection: Any, entry: Any) -> tuple[tuple[str, str], ...]:
    """What the verdict says of each item; it stands right behind the visit's entry."""
    here = await entries_at(connection, entry.log_id, entry.entry_index + 1)
    row = (await connection.execute(select(tables.entries).where(here))).one_or_none()
    if row is None or row.kind != Kind.STATUS or row.quantity != VISIT_VERDICT or row.detail is None:
        return ()
    detail = json.loads(row.detail)
    verdict = detail.get("verdict")
    items = verdict.get("items") if isinstance(verdict, dict) else None
    if not isinstance(items, dict) or detail.get("visit") != entry.detail_digest.hex():
        return ()
    in_order = sorted(items.items(), key=lambda found: _ORDER.index(found[0]) if found[0] in _ORDER else len(_ORDER))
    return tuple((str(item), str(finding)) for item, finding in in_order)
