"""One entry of a gateway's log: its figure, its story, its proof."""

import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from cloud.web import figures
from cloud.web.answers import Reading
from cloud.web.bills import refusal
from cloud.web.chart import day_chart
from cloud.web.page import Pages, Visit
from contracts.errors import ContractsError
from contracts.quantities import parse_boundary_quantity

INDEX_END = 2**48


def _n(sentence: str) -> str:
    """Mark a sentence for the catalogs; it is translated when shown."""
    return sentence


_QUANTITIES = {
    "1-0:1.8.0": _n("Electricity used since the meter was new"),
    "8-0:1.0.0": _n("Cold water used since the meter was new"),
    "lift.mode": _n("What the lift is doing"),
    "lift.trips": _n("Trips since the lift was new"),
    "lift.door-cycles": _n("Times that the doors opened"),
    "visit": _n("How far the lift agrees with a signed visit, from 0 to 4"),
    "visit.verdict": _n("What the lift itself shows of a signed visit, from 0 to 4"),
    "lift.floor": _n("Floor"),
    "lift.door": _n("Door"),
    "access.granted": _n("A door was opened"),
    "access.denied": _n("A door stayed shut"),
}
_SOURCES = {
    "freeze": _n("the meter's own midnight record"),
    "poll": _n("asking the meter"),
    "advertisement": _n("the meter's radio message"),
    "swap": _n("the last or first reading of a meter that was replaced"),
}


def routes(pages: Pages) -> APIRouter:
    """The router of these pages. Origins hold slashes, so the index comes last."""
    router = APIRouter(include_in_schema=False)

    @router.get("/readings/{origin:path}/{index}/evidence.json")
    async def evidence(request: Request, origin: str, index: int) -> Response:
        visit = await pages.visit(request)
        known = 0 <= index < INDEX_END
        found = await pages.questions.evidence_file(visit.viewer, origin, index) if known else None
        if found is None:
            return refusal(pages, visit)
        headers = {"cache-control": "no-store" if visit.viewer else "no-cache"}
        return Response(found, media_type="application/json", headers=headers)

    @router.get("/readings/{origin:path}/{index}")
    async def reading(request: Request, origin: str, index: int) -> Response:
        visit = await pages.visit(request)
        known = 0 <= index < INDEX_END
        found = await pages.questions.reading(visit.viewer, origin, index) if known else None
        if found is None:
            return refusal(pages, visit)
        points = await pages.questions.day_series(visit.viewer, origin, index)
        values = {**_words(visit, found), "chart": day_chart(points), "reading": found}
        return pages.render(visit, "reading.html", values=values)

    return router


def _words(visit: Visit, reading: Reading) -> dict[str, Any]:
    value, unit = figures.quantity_value(reading.ref.value, reading.ref.unit, visit.language)
    try:
        boundary = parse_boundary_quantity(reading.ref.quantity)
    except ContractsError:
        boundary = None
    base = boundary.obis if boundary else reading.ref.quantity
    detail = dict(reading.detail or {})
    source = detail.get("source")
    return {
        "value": value,
        "value_unit": unit,
        "boundary": boundary.day if boundary else None,
        "quantity_words": visit.say(_QUANTITIES[base]) if base in _QUANTITIES else base,
        "source_words": visit.say(_SOURCES[source]) if isinstance(source, str) and source in _SOURCES else None,
        "suspect": bool(detail.get("suspect")),
        "detail": [(name, _shown(content)) for name, content in sorted(detail.items())],
    }


def _shown(content: object) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
