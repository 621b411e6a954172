"""HTTP for a household's own programs: `GET /v1/own`, by a token that an owner or tenant made on their page."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response

from cloud.questions import StoreQuestions
from cloud.questions.own import OwnFlat, OwnMeter
from cloud.web.answers import BillSummary, MonthSoFar, Person, ReadingRef, Title

__all__ = ["own_router"]

_NO_STORE = {"cache-control": "no-store"}


def own_router(questions: StoreQuestions) -> APIRouter:
    """The routes under /v1/own."""
    router = APIRouter(tags=["households"])

    async def household(request: Request, route: str) -> Person | None:
        """Whose token it is; the look is kept."""
        viewer = await questions.person_of_token(request.state.token)
        if viewer is not None:
            await questions.note_own_look(viewer, request.state.token, route)
        return viewer

    @router.get("/v1/own", summary="The flat of the token's household: what its meters show, the month, the bills")
    async def get_own(request: Request) -> Response:
        viewer = await household(request, "/v1/own")
        found = await questions.own_flat(viewer) if viewer else None
        if found is None:
            return _refused("unknown_flat", "the flat is not in the directory any more; ask the property office")
        return JSONResponse(_flat(found), headers=_NO_STORE)

    @router.get("/v1/own/bills/{period}", summary="The minglou-bill/1 file of the household's own flat")
    async def get_own_bill(request: Request, period: Annotated[int, Path(ge=0, lt=10**16)]) -> Response:
        viewer = await household(request, "/v1/own/bills")
        found = await questions.bill_file(viewer, viewer.units[0], str(period)) if viewer else None
        if found is None:
            return _refused("unknown_bill", f"no bill of yours for period {period} is held; /v1/own lists them")
        return Response(found, media_type="application/json", headers=_NO_STORE)

    return router


def _refused(code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": code, "message": message}, status_code=404)


def _flat(flat: OwnFlat) -> dict[str, Any]:
    return {
        "flat": flat.door,
        "title": _title(flat.title),
        "meters": [_meter(meter) for meter in flat.meters],
        "month": None if flat.month is None else _month(flat.month),
        "balance_fen": None if flat.balance_fen is None else str(flat.balance_fen),
        "bills": [_bill(bill) for bill in flat.bills],
    }


def _title(title: Title) -> dict[str, str]:
    return {"zh": title.zh, "en": title.en}


def _meter(meter: OwnMeter) -> dict[str, Any]:
    return {
        "name": meter.name,
        "kind": meter.kind,
        "title": _title(meter.title),
        "registers": [_register(register) for register in meter.registers],
    }


def _register(register: ReadingRef) -> dict[str, Any]:
    return {
        "quantity": register.quantity,
        "value": str(register.value),
        "unit": register.unit,
        "observed_at_ms": register.observed_at_ms,
        "origin": register.origin,
        "index": str(register.index),
        "state": register.state,
    }


def _month(month: MonthSoFar) -> dict[str, Any]:
    return {
        "opening": month.opening.isoformat(),
        "until_ms": month.until_ms,
        "usage_wh": str(month.usage),
        "amount_fen": str(month.amount_fen),
    }


def _bill(bill: BillSummary) -> dict[str, Any]:
    return {
        "period": bill.period,
        "opening": bill.opening.isoformat(),
        "closing": bill.closing.isoformat(),
        "total_fen": str(bill.total_fen),
        "state": bill.state.value,
    }
