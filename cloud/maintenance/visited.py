"""On which days a device was really visited, by its gateway's word: what due days are counted from where no agreement
on chain counts them.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from cloud.directory import DirectoryDevice
from cloud.maintenance.packs import pack_of
from cloud.store import tables
from cloud.visits.letters import find_judgements
from contracts.due import DoneDay, day_number
from contracts.signed_visit import signed_visit_from_json
from contracts.visit import NOBODY, VisitClass

__all__ = ["LOOKED_BACK_S", "level_asked", "read_done"]

LOOKED_BACK_S = 400 * 86_400  # beyond the longest class
_AT_ONCE = 500
_VISIT = tables.visits.c
# Without the list and the presence proof, which are ten times as large as the rest together.
_COLUMNS = (
    _VISIT.digest, _VISIT.device, _VISIT.gateway, _VISIT.file, _VISIT.visit_class, _VISIT.started_at_s,
    _VISIT.ended_at_s, _VISIT.entry_log_id, _VISIT.entry_index,
)  # fmt: skip


def level_asked(kind: str) -> int:
    """The corroboration level from which a visit counts: a lift shows work, most other devices presence alone."""
    return 2 if kind == "lift" else 1


async def read_done(
    connection: Any, devices: Sequence[DirectoryDevice], timezone: ZoneInfo, *, now_s: int
) -> Mapping[bytes, tuple[DoneDay, ...]]:
    """The days that count, by device, with a few queries for all of them."""
    named = {one.device: one for one in devices}
    found: dict[bytes, list[DoneDay]] = defaultdict(list)
    names = list(named)
    for first in range(0, len(names), _AT_ONCE):
        query = select(*_COLUMNS).where(
            _VISIT.device.in_(names[first : first + _AT_ONCE]), _VISIT.started_at_s > now_s - LOOKED_BACK_S
        )
        rows = (await connection.execute(query)).all()
        judged = await find_judgements(connection, rows)
        for row in rows:
            entry, device = judged.get(row.digest), named[row.device]
            if entry is not None and entry.value >= level_asked(device.kind) and _follows(row, device):
                day = day_number(datetime.fromtimestamp(row.ended_at_s, timezone).date())
                found[row.device].append(DoneDay(day, VisitClass(row.visit_class)))
    return {device: tuple(days) for device, days in found.items()}


def _follows(row: Any, device: DirectoryDevice) -> bool:
    """Whether a visit follows one of the device's packs, with as many people as that asks for."""
    visit = signed_visit_from_json(json.loads(row.file)).visit
    pack = pack_of(visit.plan)
    if pack is None or pack.name not in device.packs:
        return False
    return len(visit.mechanics) >= pack.people and (visit.manager != NOBODY or not pack.countersigned)
