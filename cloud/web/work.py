"""What is to be done, for crews, their firms and whoever looks after the site: a list, and the same as a calendar."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from icalendar import Calendar, Event
from starlette.responses import PlainTextResponse, Response

from cloud.identity.roles import Strength
from cloud.identity.tokens import Scope, of_password
from cloud.web.answers import Person
from cloud.web.bills import refusal
from cloud.web.device_answers import CalibrationDue, DueWork, Work, WorkRow
from cloud.web.page import Pages, Visit

_NAMED = 3  # meters of a batch
_CALENDAR = "text/calendar; charset=utf-8"


def routes(pages: Pages) -> APIRouter:
    """The router of these pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/work")
    async def work(request: Request) -> Response:
        visit = await pages.visit(request)
        found = await pages.questions.work(visit.viewer) if visit.viewer else None
        if found is None:
            return refusal(pages, visit)
        return pages.render(visit, "work.html", values={"work": found})

    @router.get("/work.ics")
    async def calendar(request: Request) -> Response:
        visit = await pages.visit(request)
        viewer = visit.viewer or await _of_token(pages, request)
        found = await pages.questions.work(viewer) if viewer else None
        if found is None:
            return refusal(pages, visit) if viewer or _is_read_by_people(request) else _asks_for_token()
        host = urlsplit(pages.settings.public_url).netloc
        headers = {"cache-control": "no-store", "content-disposition": 'attachment; filename="minglou-work.ics"'}
        return Response(_calendar(visit, found, host), media_type=_CALENDAR, headers=headers)

    @router.get("/orders/{name}")
    async def order(request: Request, name: str) -> Response:
        visit = await pages.visit(request)
        named = octets_of(name)
        found = await pages.questions.order(visit.viewer, named) if visit.viewer and named else None
        if found is None:
            return refusal(pages, visit)
        return pages.render(visit, "order.html", values={"order": found})

    return router


def octets_of(name: str) -> bytes | None:
    """The 32 bytes that an order's name spells."""
    try:
        raw = bytes.fromhex(name)
    except ValueError:
        return None
    return raw if len(raw) == 32 and raw.hex() == name else None


async def _of_token(pages: Pages, request: Request) -> Person | None:
    """Whose calendar asks, by a token with work:read, which sees what its maker sees. Calendar programs send it as
    their password, for a secret belongs in no address.
    """
    if pages.desk is None:
        return None
    given, tokens = of_password(request.headers.get("authorization")), pages.desk.tokens
    token = await tokens.open(given, Scope.WORK, pages.clock.now_ms())
    grant = await tokens.holder(token) if token else None
    if token is None or grant is None:
        return None
    title = pages.desk.role_title(token.role)
    return Person(key=token.digest.hex(), role=token.role, title=title, strength=Strength.TOKEN, grant=grant)


def _is_read_by_people(request: Request) -> bool:
    """Whether a browser shows the answer: it is led to the sign-in, and not asked for a password."""
    return "text/html" in request.headers.get("accept", "")


def _asks_for_token() -> Response:
    """What makes a calendar program ask for its password."""
    says = "give a token with work:read as the password; the page /tokens makes one\n"
    return PlainTextResponse(says, 401, {"www-authenticate": 'Basic realm="Minglou", charset="UTF-8"'})


def _calendar(visit: Visit, work: Work, host: str) -> bytes:
    """Each class of each device as a day: the last one in time. What is late stands on today."""
    calendar = Calendar()
    calendar.add("prodid", "-//Minglou//visits due//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", visit.say("Work to be done"))
    stamp = datetime.fromtimestamp(visit.now_ms // 1000, UTC)
    for row in work.rows:
        for due in row.due:
            calendar.add_component(_event(visit, row, due, work, host, stamp))
    for one in work.calibrations:
        calendar.add_component(_calibration(visit, one, host, stamp))
    found: bytes = calendar.to_ical()
    return found


def _event(visit: Visit, row: WorkRow, due: DueWork, work: Work, host: str, stamp: datetime) -> Event:
    speak = visit.language
    day = max(due.due, work.today) if due.overdue_days else due.due
    event = Event()
    event.add("uid", f"{due.visit_class}.{row.kind}.{row.name}@{host}")  # the next visit moves the day, not the event
    event.add("dtstamp", stamp)
    event.add("dtstart", day)
    event.add("dtend", day + timedelta(days=1))
    event.add("summary", f"{speak.title(row.title)} · {visit.say(_CLASS_WORDS[due.visit_class])}")
    event.add("location", speak.title(row.place))
    event.add("transp", "TRANSPARENT")
    if due.overdue_days:
        event.add("description", visit.say("Overdue since %(day)s") % {"day": due.due.isoformat()})
    return event


def _calibration(visit: Visit, one: CalibrationDue, host: str, stamp: datetime) -> Event:
    """The last day on which a batch of meters is calibrated, or today once that is over.

    Without an end it lasts one day (RFC 5545, 3.6.1); the last day that a date can name has no next one.
    """
    event = Event()
    event.add("uid", f"calibration.{one.kind}.{one.until:%Y%m%d}@{host}")
    event.add("dtstamp", stamp)
    event.add("dtstart", max(one.until, one.today))
    some = ", ".join(visit.language.title(title) for title in one.titles[:_NAMED])
    event.add("summary", visit.say("Calibration ends: %(devices)s") % {"devices": some})
    says = [visit.say("%(num)s meters in all") % {"num": len(one.titles)}] if len(one.titles) > 1 else []
    if one.days_left < 0:
        says.insert(0, visit.say("Overdue since %(day)s") % {"day": one.until.isoformat()})
    if says:
        event.add("description", "\n".join(says))
    event.add("transp", "TRANSPARENT")
    return event


def _n(sentence: str) -> str:
    """Mark a sentence for the catalogs; it is translated when shown."""
    return sentence


_CLASS_WORDS = {
    "half-month": _n("Half-month service"),
    "quarter": _n("Quarter service"),
    "half-year": _n("Half-year service"),
    "year": _n("Year service"),
}
