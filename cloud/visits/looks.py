"""Officers' looks at visits' photographs: each is in the audit log before anything is shown."""

import json
from typing import Any

from sqlalchemy import select

from cloud.directory import Directory, DirectoryFile
from cloud.identity.audit import Act, AuditLog
from cloud.identity.people import Grant
from cloud.identity.roles import Role
from cloud.store import Store, tables
from cloud.visits.files import KeptPhoto, PhotoRoom
from cloud.web.answers import Person
from contracts.clock import Clock
from contracts.signed_visit import signed_visit_from_json

__all__ = ["PhotoLooks", "is_own_firm"]


class PhotoLooks:
    """Shows photographs to whom they concern: manager, committee and regulator all of them, a firm its own crews'."""

    def __init__(
        self, *, store: Store, photos: PhotoRoom, directory: DirectoryFile, audit: AuditLog, clock: Clock
    ) -> None:
        self._store, self._photos, self._directory, self._audit, self._clock = store, photos, directory, audit, clock

    async def open(self, viewer: Person, visit: bytes, name: bytes) -> KeptPhoto | None:
        """A photograph; None where there is none, or none for them. Raises `StoreError`."""
        if viewer.grant is None or not await self._may_look(viewer.grant, visit):
            return None
        photo = await self._photos.read(visit, name)
        if photo is not None:
            what = f"/visits/{visit.hex()[:16]}/files/{name.hex()[:16]}"
            await self._audit.write(
                Act.PHOTO_SHOWN,
                at_ms=self._clock.now_ms(),
                account=viewer.grant.account,
                role=viewer.grant.role.value,
                what=what,
            )
        return photo

    async def _may_look(self, grant: Grant, visit: bytes) -> bool:
        if grant.role is not Role.FIRM:
            return True
        async with self._store.read() as connection:
            return await is_own_firm(connection, self._directory.read(), grant, [visit])


async def is_own_firm(connection: Any, directory: Directory, grant: Grant, visits: list[bytes]) -> bool:
    """Whether somebody of one of these visits' crews works for the firm that a grant names."""
    if not grant.firm:
        return False
    column = tables.visits.c
    files = (await connection.execute(select(column.file).where(column.digest.in_(visits)))).scalars().all()
    members = [directory.crew_of(alias) for file in files for alias in _mechanics_of(file)]
    return any(grant.firm in (member.firm.zh, member.firm.en) for member in members if member is not None)


def _mechanics_of(file: str) -> tuple[bytes, ...]:
    return signed_visit_from_json(json.loads(file)).visit.mechanics
