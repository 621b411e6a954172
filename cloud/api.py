"""HTTP for programs: status, evidence, entries."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import select

from cloud.identity.audit import EVERY_UNIT, Act
from cloud.identity.tokens import ApiToken, Scope
from cloud.questions import StoreQuestions
from cloud.service import Cloud
from cloud.status import read_status
from cloud.store import log_id_of, tables
from cloud.store.erasing import ERASED_KIND
from cloud.store.months import entries_at
from cloud.store.readings import open_entries
from contracts.entry import Kind
from contracts.tree import SIZE_END

__all__ = ["api_router", "is_public_kind"]

_ENTRIES_AT_ONCE = 1_000


def is_public_kind(kind: int, device_kind: str | None) -> bool:
    """Whether everybody may see an entry: a lift's status and visits, what a gateway says of itself, beacons."""
    return device_kind == "lift" or kind in (Kind.VISIT, Kind.GATEWAY, Kind.BEACON)


def _refused(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": code, "message": message}, status_code=status)


def api_router(cloud: Cloud, questions: StoreQuestions) -> APIRouter:
    """The routes under /v1 that are not the gateways'.

    Args:
        questions: what a household's programs ask, as its pages do.
    """
    router = APIRouter(tags=["programs"])

    @router.get("/v1/status", summary="What is stored, followed, sent and noticed")
    async def get_status() -> dict[str, Any]:
        status = await read_status(
            cloud.store,
            chain=cloud.chain_status(),
            refused=dict(cloud.ingest.refused),
            cosigners=cloud.settings.cosigners,
        )
        return status.to_json()

    @router.get("/v1/evidence/{origin:path}/{index}", summary="The minglou-evidence/1 file of one entry")
    async def get_evidence(
        origin: str,
        index: Annotated[int, Path(ge=0, lt=SIZE_END)],
        authorization: Annotated[str | None, Header()] = None,
    ) -> Response:
        kind, device = await _entry_kind(cloud, origin, index)
        named = cloud.directory.read().device_of(device)
        if kind is None:
            return _refused(404, "unknown_entry", f"no entry {index} of {origin} is held")
        if kind == ERASED_KIND:
            left = await cloud.evidence.erased(origin, index)
            assert left is not None, "what was erased stays so"
            return JSONResponse(left.to_json(), status_code=410)
        if not is_public_kind(kind, named.kind if named else None):
            now_ms = cloud.settings.clock.now_ms()
            token = await cloud.tokens.open(authorization, Scope.EVIDENCE, now_ms)
            if token is None:
                return await own_evidence(origin, index, authorization)
            await note_look(cloud, token, named.unit if named else None, f"evidence {origin}/{index}")
        file = await cloud.evidence.evidence(origin, index, urn=named.urn if named else None)
        if file is None:  # in this moment
            return _refused(410, "erased", f"entry {index} of {origin} was erased; ask again for what is left of it")
        return Response(file, media_type="application/json")

    async def own_evidence(origin: str, index: int, authorization: str | None) -> Response:
        """A household's entry for a program of that household."""
        token = await cloud.tokens.open(authorization, Scope.OWN, cloud.settings.clock.now_ms())
        viewer = await questions.person_of_token(token) if token is not None else None
        file = await questions.evidence_file(viewer, origin, index)
        if token is None or viewer is None or file is None:
            says = f"a household's entry: sign in as its owner, or send a token with {Scope.EVIDENCE}"
            return _refused(403, "not_public", says)
        await questions.note_own_look(viewer, token, "/v1/evidence")
        return Response(file, media_type="application/json")

    @router.get("/v1/logs/{origin:path}/entries", summary="Entries of a log, for programs with a token")
    async def get_entries(
        request: Request,
        origin: str,
        start: Annotated[int, Query(ge=0, lt=SIZE_END, alias="from")] = 0,
        count: Annotated[int, Query(ge=1, le=_ENTRIES_AT_ONCE)] = 100,
    ) -> Response:
        await note_look(cloud, request.state.token, EVERY_UNIT, f"entries {origin} from {start}")
        return JSONResponse({"entries": await _entries(cloud, origin, start, count)})

    return router


async def note_look(cloud: Cloud, token: ApiToken, unit: bytes | None, what: str) -> None:
    """A program looks at a household's data: kept, and shown to the household, before it is answered."""
    now_ms = cloud.settings.clock.now_ms()
    await cloud.identity.audit.write(
        Act.LOOKED, at_ms=now_ms, role=token.role.value, unit=unit, what=f"{token.name}: {what}"
    )


async def _entry_kind(cloud: Cloud, origin: str, index: int) -> tuple[int | None, bytes]:
    column = tables.entries.c
    async with cloud.store.read() as connection:
        log_id = await log_id_of(connection, origin)
        query = select(column.kind, column.device).where(await entries_at(connection, log_id, index))
        row = (await connection.execute(query)).one_or_none()
    return (None, b"") if row is None else (row.kind, row.device)


async def _entries(cloud: Cloud, origin: str, start: int, count: int) -> list[dict[str, Any]]:
    column = tables.entries.c
    shown = (
        column.entry_index, column.kind, column.device, column.quantity, column.value, column.observed_at_ms,
        column.leaf_hash, column.sealed_by,
    )  # fmt: skip
    async with cloud.store.read() as connection:
        log_id = await log_id_of(connection, origin)
        query = select(*shown).where(await entries_at(connection, log_id, start, start + count))
        rows = (await connection.execute(query.order_by(column.entry_index))).all()
        return [
            {
                "index": str(row.entry_index),
                "kind": row.kind,  # 0, and zeros, where it was erased
                "device": (row.device or bytes(32)).hex(),
                "quantity": row.quantity,
                "value": str(row.value),
                "observed_at_ms": row.observed_at_ms,
            }
            for row in open_entries(connection, rows)
        ]
