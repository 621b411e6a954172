"""What is to be done, as crews, firms and those who look after the site see it: a list, and a calendar file."""

from datetime import date, timedelta

import pytest
from icalendar import Calendar, Event

from cloud.web.answers import Person, Title
from cloud.web.device_answers import CalibrationDue
from tests.cloud.web.conftest import SignIn
from tests.cloud.web.device_world import LIFT_CODE, REACHED, STOPPED, TODAY, TRAPPED
from tests.cloud.web.reader import Reader
from tests.cloud.web.test_pages import text_of
from tests.cloud.web.world import COMMITTEE, CREW, MANAGER, NEIGHBOUR, OWNER, World

EN = {"accept-language": "en"}


def batch(until: date, *, kind: str = "meter", count: int = 1) -> CalibrationDue:
    """So many meters whose calibration ends on one day."""
    titles = tuple(Title(zh=f"{501 + at}室电表", en=f"Meter of {501 + at}") for at in range(count))
    return CalibrationDue(until=until, today=TODAY, kind=kind, titles=titles)


def endings(reader: Reader, headers: dict[str, str] | None = None) -> list[Event]:
    """The calendar's days on which a calibration ends, without the visits."""
    events = Calendar.from_ical(reader.get("/work.ics", headers=headers).content).walk("VEVENT")
    return [one for one in events if str(one["uid"]).startswith("calibration.")]


@pytest.mark.parametrize(
    ("person", "status"), [(CREW, 200), (MANAGER, 200), (COMMITTEE, 200), (OWNER, 404), (NEIGHBOUR, 404)]
)
def test_the_list_is_for_those_who_do_it_or_look_after_it(sign_in: SignIn, person: Person, status: int) -> None:
    client = sign_in(person)
    assert client.get("/work").status_code == status
    assert client.get("/work.ics").status_code == status


def test_a_stranger_sees_neither(stranger: Reader) -> None:
    assert stranger.get("/work").status_code == 401
    assert stranger.get("/work.ics").status_code == 401


def test_what_is_late_comes_first_and_every_device_says_its_first_due(sign_in: SignIn) -> None:
    page = text_of(sign_in(CREW).get("/work", headers=EN).text)
    assert "1 device is late" in page
    assert page.index("Lift 1") < page.index("Lift 2") < page.index("Front gate")
    assert "Half-month service 25 Nov 2 days late" in page
    assert "29 Nov in 2 days" in page
    assert "Anxing Service" in page and "Open the app" in page
    assert "Open the app" not in text_of(sign_in(MANAGER).get("/work", headers=EN).text)


def test_the_way_to_it_is_in_the_navigation_of_those_alone(sign_in: SignIn, stranger: Reader) -> None:
    for person in (CREW, MANAGER, COMMITTEE):
        assert '<a href="/work"' in sign_in(person).get("/lifts").text
    for page in (sign_in(OWNER).get("/lifts").text, stranger.get("/lifts").text):
        assert '<a href="/work"' not in page


def test_the_calendar_holds_each_class_of_each_device_on_its_last_day_in_time(sign_in: SignIn) -> None:
    client = sign_in(CREW)
    answer = client.get("/work.ics", headers=EN)
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    events = Calendar.from_ical(answer.content).walk("VEVENT")
    assert len(events) == 3 * 4
    days = {str(event["uid"]).partition("@")[0]: event.decoded("dtstart") for event in events}
    assert days["half-month.lift.b07-l1"] == date(2026, 11, 27), "what is late stands on today"
    assert days["half-month.lift.b07-l2"] == date(2026, 11, 29)
    late = next(event for event in events if str(event["uid"]).startswith("half-month.lift.b07-l1"))
    assert (str(late["summary"]), str(late["description"])) == (
        "Lift 1 · Half-month service", "Overdue since 2026-11-25",
    )  # fmt: skip
    again = Calendar.from_ical(client.get("/work.ics").content).walk("VEVENT")
    assert [str(one["uid"]) for one in again] == [str(one["uid"]) for one in events], "a calendar knows them again"
    assert "半月保养" in str(again[0]["summary"])


def test_what_people_reported_stands_below_as_words(world: World, sign_in: SignIn) -> None:
    world.reported.append((LIFT_CODE, "门 <b>stuck</b>"))
    page = sign_in(MANAGER).get("/work", headers=EN).text
    assert "门 &lt;b&gt;stuck&lt;/b&gt;" in page and "Shown for 90 days" in page


def test_trapped_people_come_first_with_the_clock_of_their_rescue(sign_in: SignIn) -> None:
    client = sign_in(CREW)
    page = text_of(client.get("/work", headers=EN).text)
    assert page.index("People trapped") < page.index("Stands still")
    assert "Somebody is coming 26 minutes of 30" in page
    page = text_of(client.get(f"/orders/{TRAPPED.name}", headers=EN).text)
    assert "People trapped" in page and "26 minutes of 30" in page and "by the machine's own word" in page
    assert "Promised until" in page and "There no arrival on record" in page
    assert "被困" in client.get(f"/orders/{TRAPPED.name}").text or "困人" in client.get(f"/orders/{TRAPPED.name}").text


def test_who_came_is_told_with_whose_word_it_is_and_where_it_stands_on_the_ledger(sign_in: SignIn) -> None:
    page = text_of(sign_in(CREW).get(f"/orders/{REACHED.name}", headers=EN).text)
    word = "as the crew says Recorded on the ledger 0x5a5a5a5a…"
    assert f"there after 14 minutes of 30 {word}" in page and f"There after 14 minutes, {word}" in page
    assert "维保人员自述" in sign_in(CREW).get(f"/orders/{REACHED.name}").text


def test_an_order_is_shown_to_those_who_see_its_work_alone(sign_in: SignIn, stranger: Reader) -> None:
    assert stranger.get(f"/orders/{STOPPED.name}").status_code == 401
    for person, status in ((MANAGER, 200), (COMMITTEE, 200), (OWNER, 404)):
        assert sign_in(person).get(f"/orders/{STOPPED.name}").status_code == status
    for name in ("00" * 32, "nonsense", STOPPED.name.upper()):
        assert sign_in(MANAGER).get(f"/orders/{name}").status_code == 404
    page = text_of(sign_in(MANAGER).get(f"/orders/{STOPPED.name}", headers=EN).text)
    assert "Nobody has accepted yet" in page and "Nobody accepted it in the time" in page


@pytest.mark.parametrize(
    ("left", "en", "zh"),
    [
        (-9_000, "ran out", "已过期"),
        (-1, "ran out", "已过期"),
        (0, "0 days left", "还剩0天"),
        (1, "1 day left", "还剩1天"),
        (60, "60 days left", "还剩60天"),
        (61, "by the property office", "由物业填报"),
    ],
)
def test_the_list_says_how_long_a_calibration_still_holds(
    world: World, sign_in: SignIn, left: int, en: str, zh: str
) -> None:
    world.calibrations = (batch(TODAY + timedelta(days=left)),)
    client = sign_in(MANAGER)
    for headers, title, says in ((EN, "Calibration of meters", en), ({}, "表计检定", zh)):
        _, found, section = text_of(client.get("/work", headers=headers).text).partition(f" {title} ")
        assert found and says in section
        for other in {"ran out", "days left", "by the property office", "已过期", "还剩", "由物业填报"}:
            assert other in says or other not in section


def test_meters_whose_calibration_ends_on_one_day_are_one_line_that_names_three(world: World, sign_in: SignIn) -> None:
    world.calibrations = (batch(date(2027, 3, 1), count=4), batch(date(2027, 3, 1), kind="water"))
    client = sign_in(MANAGER)
    page = text_of(client.get("/work", headers=EN).text)
    assert "Electricity meter · 4 meters Meter of 501, Meter of 502, Meter of 503 …" in page
    assert "Water meter · 1 meter Meter of 501" in page and "Meter of 504" not in page
    assert page.count("1 Mar 2027") == 2
    page = text_of(client.get("/work").text)
    assert "4 只表" in page and "501室电表" in page and "504室电表" not in page


def test_a_site_without_dates_of_calibration_has_no_list_of_them(sign_in: SignIn) -> None:
    client = sign_in(MANAGER)
    assert "Calibration of meters" not in client.get("/work", headers=EN).text
    assert endings(client) == []


def test_the_calendar_holds_a_batchs_last_day_and_what_ran_out_on_today(world: World, sign_in: SignIn) -> None:
    days = (date(1999, 12, 31), TODAY - timedelta(days=1), TODAY, date(2027, 3, 1), date.max)
    world.calibrations = (batch(days[0], count=2), *map(batch, days[1:4]), batch(days[4], count=4))
    client = sign_in(CREW)
    events = endings(client, EN)
    assert [event.decoded("dtstart") for event in events] == [TODAY, TODAY, TODAY, date(2027, 3, 1), date.max]
    assert [str(event["uid"]).partition("@")[0] for event in events] == [
        f"calibration.meter.{day:%Y%m%d}" for day in days
    ]
    assert [str(event.get("description", "")) for event in events] == [
        "Overdue since 1999-12-31\n2 meters in all", "Overdue since 2026-11-26", "", "", "4 meters in all",
    ]  # fmt: skip
    assert str(events[-1]["summary"]) == "Calibration ends: Meter of 501, Meter of 502, Meter of 503"
    assert {str(event["transp"]) for event in events} == {"TRANSPARENT"}, "nobody is busy on that day"
    again = endings(client)
    assert [str(one["uid"]) for one in again] == [str(one["uid"]) for one in events]
    assert (str(again[0]["summary"]), str(again[0]["description"])) == (
        "检定到期：501室电表, 502室电表", "自1999-12-31起超期\n共 2 只表",
    )  # fmt: skip
