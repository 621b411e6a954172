"""What is to be done, as crews, firms and those who look after the site see it: a list, and a calendar file."""

from datetime import date

import pytest
from icalendar import Calendar

from cloud.web.answers import Person
from tests.cloud.web.conftest import SignIn
from tests.cloud.web.device_world import LIFT_CODE, STOPPED, TRAPPED
from tests.cloud.web.reader import Reader
from tests.cloud.web.test_pages import text_of
from tests.cloud.web.world import COMMITTEE, CREW, MANAGER, NEIGHBOUR, OWNER, World

EN = {"accept-language": "en"}


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


def test_an_order_is_shown_to_those_who_see_its_work_alone(sign_in: SignIn, stranger: Reader) -> None:
    assert stranger.get(f"/orders/{STOPPED.name}").status_code == 401
    for person, status in ((MANAGER, 200), (COMMITTEE, 200), (OWNER, 404)):
        assert sign_in(person).get(f"/orders/{STOPPED.name}").status_code == status
    for name in ("00" * 32, "nonsense", STOPPED.name.upper()):
        assert sign_in(MANAGER).get(f"/orders/{name}").status_code == 404
    page = text_of(sign_in(MANAGER).get(f"/orders/{STOPPED.name}", headers=EN).text)
    assert "Nobody has accepted yet" in page and "Nobody accepted it in the time" in page
