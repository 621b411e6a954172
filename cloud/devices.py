"""HTTP for programs: what everybody may know of a device, as `minglou-device/1`."""

from datetime import date
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from cloud.questions import StoreQuestions
from cloud.web.answers import Title
from cloud.web.device_answers import DeviceCare, DeviceVisit, Lift, PublicDevice

__all__ = ["FORMAT", "device_router", "lift_to_json"]

FORMAT = "minglou-device/1"


def device_router(questions: StoreQuestions) -> APIRouter:
    """The routes under /v1/devices."""
    router = APIRouter(tags=["devices"])

    @router.get("/v1/devices/{name}/public", summary="What everybody may know of a lift or another common device")
    async def get_device(name: str) -> Response:
        lift = await questions.lift(name)
        if lift is not None:
            return JSONResponse(lift_to_json(lift))
        device = await questions.device(name)
        if device is None:
            says = (
                "no lift or common device of that name; GET /lifts lists the lifts, and a flat's meter has no name here"
            )
            return JSONResponse({"error": "unknown_device", "message": says}, status_code=404)
        return JSONResponse(_device_to_json(device))

    return router


def lift_to_json(lift: Lift) -> dict[str, Any]:
    """A lift's public page."""
    summary = lift.summary
    return _to_json(
        summary.name, "lift", summary.title, lift.care, lift.visits, lift.records_since_ms, summary.last_seen_at_ms
    )


def _device_to_json(device: PublicDevice) -> dict[str, Any]:
    assert device.name is not None, "a household's has none, and is not found by it"
    return _to_json(
        device.name, device.kind, device.title, device.care, device.visits, device.records_since_ms,
        device.last_seen_at_ms,
    )  # fmt: skip


def _to_json(
    name: str,
    kind: str,
    title: Title,
    care: DeviceCare,
    visits: tuple[DeviceVisit, ...],
    since_ms: int | None,
    last_seen_ms: int | None,
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": name,
        "kind": kind,
        "title": _title(title),
        "word": care.word.value,
        "overdue_days": care.overdue_days,
        "since_ms": since_ms,
        "last_seen_at_ms": last_seen_ms,
        "firm": _title(care.firm),
        "last_visit": _visit(visits[0]) if visits else None,
        "due": [
            {
                "class": one.visit_class,
                "last": _day(one.last),
                "due": _day(one.due),
                "overdue_days": one.overdue_days,
                "state": one.state,
                "source": one.source,
            }
            for one in care.due
        ],
        "inspection_until": _day(care.inspection_until),
        "calibration_until": _day(care.calibration_until),
        "availability": [
            {
                "days": one.days,
                "known_days": one.known_days,
                "available_permille": one.available_permille,
                "silent_permille": one.silent_permille,
            }
            for one in care.availability
        ],
        "entrapments": [
            {
                "at_ms": one.at_ms,
                "freed_at_ms": one.freed_at_ms,
                "arrived_after_s": one.arrived_after_s,
                "arrival": None if one.arrived_after_s is None else "shown" if one.arrival_shown else "said",
                "arrival_transaction": one.arrival_transaction,
            }
            for one in care.entrapments
        ],
        "orders_open": care.orders_open,
    }


def _visit(visit: DeviceVisit) -> dict[str, Any]:
    reference = visit.reference
    return {
        "digest": visit.digest,
        "started_at_ms": visit.started_at_ms,
        "ended_at_ms": visit.ended_at_ms,
        "class": visit.visit_class,
        "firm": _title(visit.firm),
        "people": visit.people,
        "countersigned": visit.countersigned,
        "level": visit.level,
        "presence": visit.presence or None,
        "listed": dict(visit.listed),
        "ticked": dict(visit.ticked),
        "flags": [{"kind": one.kind, "state": one.state, "says": _title(one.says)} for one in visit.flags],
        "entry": None if reference is None else {"origin": reference.origin, "index": str(reference.index)},
        "transaction": visit.chain.transaction if visit.chain else None,
        "paid_transaction": visit.chain.paid_transaction if visit.chain else None,
    }


def _title(title: Title | None) -> dict[str, str] | None:
    return None if title is None else {"zh": title.zh, "en": title.en}


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
