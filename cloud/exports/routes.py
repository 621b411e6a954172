"""HTTP for exports: `GET /v1/exports/readings.parquet`, `GET /v1/personal.zip`."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from cloud.chain.view import ChainView
from cloud.exports.export import export
from cloud.exports.formats import FORMATS
from cloud.exports.personal import PersonalFile
from cloud.exports.portion import Asked, Source
from cloud.exports.records import RECORDS
from cloud.exports.scope import Scope, scope_of, scope_of_role
from cloud.exports.zip_stream import zipped
from cloud.identity.audit import EVERY_UNIT, Act
from cloud.identity.roles import HOUSEHOLD, Role
from cloud.identity.tokens import ApiToken
from cloud.identity.tokens import Scope as TokenScope
from cloud.questions import StoreQuestions
from cloud.questions.ground import title
from cloud.service import Cloud
from cloud.web.answers import Person

__all__ = ["exports_router"]

AT_ONCE_MAX = 2
_RETRY_SECONDS = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

What = Literal["readings", "bills", "bill-lines", "payments", "visits", "anchors", "anomalies"]
Form = Literal["csv", "xlsx", "parquet"]


def exports_router(
    cloud: Cloud, questions: StoreQuestions, viewer_of: Callable[[Request], Awaitable[Person | None]]
) -> APIRouter:
    """The route under /v1/exports.

    Args:
        questions: what a household's pages are made of.
        viewer_of: who asks, by the pages' session.
    """
    router = APIRouter(tags=["exports"])
    places = asyncio.Semaphore(AT_ONCE_MAX)

    @router.get(
        "/v1/exports/{what}.{form}",
        summary="A table as CSV, XLSX or Parquet: what the asker may see, with the place where each row can be checked",
        response_class=StreamingResponse,
    )
    async def get_export(
        what: What,
        form: Form,
        request: Request,
        start: Annotated[datetime | None, Query(alias="from", description="UTC; rows from this instant on")] = None,
        end: Annotated[datetime | None, Query(alias="to", description="UTC; rows before this instant")] = None,
        boundaries: Annotated[
            bool, Query(description="of readings, only boundary entries: what bills rest on")
        ] = False,
        authorization: Annotated[str | None, Header()] = None,
    ) -> Response:
        token = await cloud.tokens.open(authorization, TokenScope.EXPORTS, cloud.settings.clock.now_ms())
        viewer = await viewer_of(request)
        directory = cloud.directory.read()
        scope = scope_of(viewer, directory) if token is None else scope_of_role(token.role, directory)
        record = RECORDS[what]
        if not record.is_for(scope):
            return _refused(
                403, "not_public", f"{what} are not yours to export: sign in, or send a token with exports:read"
            )
        if places.locked():
            return _busy()
        await _note(cloud, f"{what}.{form}", token, viewer, scope)
        asked = Asked(from_ms=_milliseconds(start), to_ms=_milliseconds(end), boundaries_only=boundaries)
        pieces = export(record, form, source=_source(cloud), scope=scope, asked=asked)
        headers = {
            "content-disposition": f'attachment; filename="minglou-{what}.{form}"',
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        }
        return _Download(pieces, places, media_type=FORMATS[form], headers=headers)

    @router.get(
        "/v1/personal.zip",
        summary="All that is kept about one flat, with its proofs: for its owner or tenant, or for whoever serves them",
        response_class=StreamingResponse,
    )
    async def get_personal(
        request: Request,
        unit: Annotated[
            str | None, Query(description="for programs: the flat, such as b07-0501", max_length=64)
        ] = None,
        authorization: Annotated[str | None, Header()] = None,
    ) -> Response:
        now_ms = cloud.settings.clock.now_ms()
        token = await cloud.tokens.open(authorization, TokenScope.EXPORTS, now_ms)
        viewer = await viewer_of(request) if token is None else _served(cloud, token, unit)
        if viewer is None or viewer.role not in HOUSEHOLD or len(viewer.units) != 1:
            says = (
                "sign in as the flat's owner or tenant, or name it as unit= with an operator's token for exports:read"
            )
            return _refused(403, "not_yours", says)
        if not viewer.can_act:
            return _refused(403, "needs_passkey", "a whole file leaves only by a passkey; sign in with yours")
        if places.locked():
            return _busy()
        source = _source(cloud)
        file = PersonalFile(cloud, questions, source, viewer)
        scope = Scope(units=[file.unit.alias])
        await _note(cloud, "personal.zip", token, viewer, scope)
        made_at = datetime.fromtimestamp(now_ms / 1000, UTC).timetuple()[:6]
        headers = {
            "content-disposition": f'attachment; filename="minglou-{viewer.units[0]}.zip"',
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        }
        pieces = zipped(file.members(), made_at=made_at)
        return _Download(pieces, places, media_type="application/zip", headers=headers)

    return router


def _served(cloud: Cloud, token: ApiToken, door: str | None) -> Person | None:
    """Whom an operator's program asks for: the flat's owner, who is told of it."""
    unit = cloud.directory.read().unit_named(door or "")
    if unit is None or token.role is not Role.OPERATOR:
        return None
    return Person(key=token.name, role=Role.OWNER, title=title(unit.title), units=(unit.name,))


class _Download(StreamingResponse):
    """A file on its way, with one place taken from its first byte until it ends, fails or the asker goes away.

    The place is taken and given back in one call of the server's: whatever becomes of an answer before that holds none.
    """

    def __init__(self, pieces: AsyncGenerator[bytes], places: asyncio.Semaphore, **options: Any) -> None:
        super().__init__(pieces, **options)
        self._pieces, self._places = pieces, places

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if self._places.locked():
            await _busy()(scope, receive, send)
            return
        async with self._places, aclosing(self._pieces):
            await super().__call__(scope, receive, send)


async def _note(cloud: Cloud, what: str, token: ApiToken | None, viewer: Person | None, scope: Scope) -> None:
    """Keep that a household's data leave as a file, and for whom; shown to the household."""
    grant = viewer.grant if viewer is not None and token is None else None
    unit = EVERY_UNIT if scope.units is None else next(iter(scope.units), None)
    if unit is None:
        return
    await cloud.identity.audit.write(
        Act.EXPORTED,
        at_ms=cloud.settings.clock.now_ms(),
        account=grant.account if grant else None,
        role=token.role.value if token is not None else viewer.role.value if viewer is not None else "",
        unit=unit,
        what=what if token is None else f"{token.name}: {what}",
    )


def _source(cloud: Cloud) -> Source:
    async def view() -> ChainView:
        return cloud.chain.view if cloud.chain else ChainView(0)

    return Source(
        store=cloud.store,
        directory=cloud.directory.read(),
        view=view,
        deployment=cloud.chain.deployment if cloud.chain else None,
    )


def _milliseconds(at: datetime | None) -> int | None:
    if at is None:
        return None
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(milliseconds=1)


def _refused(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": code, "message": message}, status_code=status)


def _busy() -> JSONResponse:
    message = f"{AT_ONCE_MAX} exports are under way; ask again in {_RETRY_SECONDS} s"
    body = {"error": "busy", "message": message}
    return JSONResponse(body, status_code=503, headers={"Retry-After": str(_RETRY_SECONDS)})
