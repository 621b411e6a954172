"""A device's visits, as its public page tells them: what was signed, and what the gateway found of it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from cloud.directory import CrewMember
from cloud.integrity.flags import FlagView, flags_of
from cloud.maintenance.packs import pack_of
from cloud.questions.ground import Ground, title
from cloud.store import tables
from cloud.visits.bundles import photos_named
from cloud.visits.files import photos_here
from cloud.visits.letters import find_judgement
from cloud.visits.verdicts import verdict_of
from cloud.web.device_answers import DeviceVisit, VisitChain, VisitFlag
from contracts.person import KeyKind
from contracts.signed_visit import SignedVisit, signed_visit_from_json
from contracts.visit import CLASS_NAMES, NOBODY, VisitClass

__all__ = ["VisitQuestions"]

_SHOWN = 5
_NOT_OBSERVABLE = "not-observable"
# As the work goes: whole visit first, then from the machine room to the pit.
_ORDER = (
    "inspection-mode", "machine-room-door", "governor-contact", "emergency-electric", "braking", "emergency-stops",
    "stop-switch", "inspection-runs", "car-top-stop", "light", "alarm", "door-reopening", "car-door", "door-cycles",
    "levelling", "landing-doors", "fire-switch", "pit-stop", "tension-weight", "final-limits", "back-in-service",
)  # fmt: skip


class VisitQuestions(Ground):
    """Visits, for everybody: no person is named."""

    async def visits_of(self, connection: Any, device: bytes) -> tuple[DeviceVisit, ...]:
        """The last visits, newest first."""
        column = tables.visits.c
        query = select(tables.visits).where(column.device == device).order_by(column.started_at_s.desc()).limit(_SHOWN)
        found = (await connection.execute(query)).all()
        flags = await flags_of(connection, [row.digest for row in found])
        here = await photos_here(connection, [row.digest for row in found])
        return tuple(
            [await self._visit(connection, row, flags.get(row.digest, ()), here.get(row.digest, 0)) for row in found]
        )

    async def _visit(self, connection: Any, row: Any, flags: Sequence[FlagView], photos: int) -> DeviceVisit:
        signed = signed_visit_from_json(json.loads(row.file))
        entry = await find_judgement(connection, row)
        verdict = (await verdict_of(connection, entry)).get("verdict", {}) if entry else {}
        items = _items(verdict)
        member = self._first_signer(signed)
        pack = pack_of(signed.visit.plan)
        visit_class = VisitClass(row.visit_class)
        return DeviceVisit(
            digest=row.digest.hex(),
            started_at_ms=row.started_at_s * 1000,
            ended_at_ms=row.ended_at_s * 1000,
            visit_class=CLASS_NAMES[visit_class],
            firm=title(member.firm) if member else None,
            people=len(signed.visit.mechanics),
            countersigned=signed.visit.manager != NOBODY and len(signed.signatures) > len(signed.visit.mechanics),
            has_software_key=any(one.kind is KeyKind.SOFTWARE for one in signed.signatures),
            level=entry.value if entry else None,
            presence=str(verdict.get("presence", "")),
            was_silent=bool(items) and all(finding == _NOT_OBSERVABLE for _, finding in items),
            items=items,
            listed=_listed(verdict),
            list_length=len(pack.items_of(visit_class)) if pack and row.checklist is not None else None,
            ticked=_ticked(row.checklist),
            photos=len(photos_named(row)),
            photos_here=photos,
            reference=await self.reference(connection, entry) if entry else None,
            chain=self._chain(row.digest),
            flags=tuple(
                VisitFlag(
                    name=one.name, kind=one.kind, state=one.state.value, says=title(one.reason),
                    explanation=one.answer.says if one.answer else None,
                    explained_by=one.answer.firm if one.answer else None,
                )
                for one in flags
            ),
        )  # fmt: skip

    def _first_signer(self, signed: SignedVisit) -> CrewMember | None:
        return self.directory.crew_of(signed.visit.mechanics[0])

    def _chain(self, digest: bytes) -> VisitChain | None:
        """What the followed chain says of a visit."""
        held = self.maintenance.recorded(digest) if self.maintenance else None
        if held is None:
            return None
        return VisitChain(
            transaction=held.transaction, paid_transaction=held.paid_transaction, paid_fen=held.paid_fen
        )  # fmt: skip


def _items(verdict: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What the machine shows of the visit as a whole, in the order of the work."""
    items = verdict.get("items")
    if not isinstance(items, dict):
        return ()
    in_order = sorted(items.items(), key=lambda found: _ORDER.index(found[0]) if found[0] in _ORDER else len(_ORDER))
    return tuple((str(item), str(finding)) for item, finding in in_order)


def _listed(verdict: Mapping[str, Any]) -> Mapping[str, int]:
    """How many items of the crew's list were confirmed, not seen or contradicted."""
    found = verdict.get("list")
    return Counter(map(str, found.values())) if isinstance(found, dict) else {}


def _ticked(checklist: str | None) -> Mapping[str, int]:
    """How many items the crew called what; the list is checked when it is taken (`cloud.visits.room`)."""
    items = json.loads(checklist)["items"] if checklist is not None else ()
    return Counter(str(one["result"]) for one in items)
