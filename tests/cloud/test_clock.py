"""Due, warning and overdue, by pack and by agreement; how much of a day a lift was in service; what is kept of it."""

import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import select

from cloud.devices import lift_to_json
from cloud.directory import DirectoryFile
from cloud.identity.people import Grant
from cloud.identity.roles import Role
from cloud.identity.tokens import Scope
from cloud.mail import Bell
from cloud.maintenance.availability import HEARD_MS, Availability, DaySeconds, bounds_of, day_of, share_of
from cloud.maintenance.clock import Due, Interval, Source, nearest, rows, standing_of
from cloud.maintenance.notes import forget_notes
from cloud.maintenance.packs import intervals_of, pack_named, pack_of
from cloud.maintenance.records import AgreementRecord, LabelRecord, LineRecord
from cloud.maintenance.view import MaintenanceView
from cloud.questions import StoreQuestions
from cloud.service import Cloud
from cloud.store import tables
from cloud.visits.room import VisitRoom
from cloud.web.answers import Person, Title
from cloud.web.device_answers import Word
from contracts import due, p256
from contracts.due import CLASSES, DoneDay, Terms, day_number
from contracts.entry import Kind, device_id
from contracts.label import Place, label_digest
from contracts.pack import read_pack
from contracts.signed_visit import signed_visit_to_json
from contracts.visit import VisitClass
from contracts.work_order import Order, State, source_of
from tests.cloud.conftest import open_bench
from tests.cloud.gateway import ORIGIN, SimulatedGateway
from tests.cloud.house import house
from tests.cloud.test_visits import Clock
from tests.visits import ALIASES, CHAIN_ID, CONTRACT, MANAGER, MECHANIC, OTHER, signed, visit_of

DEVICE = b"\x01" * 32
PACK = {
    VisitClass.HALF_MONTH: Interval(days=15, warn_days=12),
    VisitClass.QUARTER: Interval(days=90, warn_days=83),
    VisitClass.HALF_YEAR: Interval(days=180, warn_days=170),
    VisitClass.YEAR: Interval(days=365, warn_days=350),
}
DAY = 20_000
HOUR_MS = 3_600_000


def terms(**changes: Any) -> Terms:
    """An agreement that took over on day DAY, when everything had just been done."""
    usual: dict[str, Any] = {
        "device": DEVICE, "plan": b"\x02" * 32, "firm": 1, "starts_on": DAY, "ends_on": DAY + 700,
        "checklists": (b"\x03" * 32,) * 4, "interval_days": (15, 90, 180, 365), "done_on": (DAY,) * 4,
        "grace_days": 0, "fees": (1, 2, 3, 4), "factors": (0, 0, 1000, 1000, 1000), "penalty": 1, "deposit": 1,
        "two_people": True, "countersigned": True, "level": 2, "account": "0x" + "11" * 20, "payer": "0x" + "22" * 20,
    }  # fmt: skip
    return Terms(**(usual | changes))


@pytest.mark.parametrize(
    ("days_after", "state", "overdue"),
    [(0, Due.IN_TIME, 0), (11, Due.IN_TIME, 0), (12, Due.WARNING, 0), (15, Due.WARNING, 0), (16, Due.OVERDUE, 1),
     (20, Due.OVERDUE, 5)],
)  # fmt: skip
def test_a_half_month_warns_on_day_12_and_is_overdue_after_day_15(days_after: int, state: Due, overdue: int) -> None:
    done = [DoneDay(DAY, VisitClass.HALF_MONTH)]
    row = rows(DEVICE, PACK, done, since=DAY - 5, today=DAY + days_after)[0]
    assert (row.due, row.overdue_days, row.due_on, row.warn_on) == (state, overdue, DAY + 15, DAY + 12)
    assert (row.last_day, row.source) == (DAY, Source.PACK)


def test_a_higher_class_serves_the_lower_ones_and_not_the_other_way_round() -> None:
    done = [DoneDay(DAY, VisitClass.HALF_YEAR), DoneDay(DAY + 10, VisitClass.HALF_MONTH)]
    found = rows(DEVICE, PACK, done, since=DAY - 100, today=DAY + 12)
    assert [row.last_day for row in found] == [DAY + 10, DAY, DAY, None]
    assert [row.due_on for row in found] == [DAY + 25, DAY + 90, DAY + 180, DAY + 265]


def test_a_device_without_a_visit_counts_from_the_day_that_records_begin() -> None:
    row = rows(DEVICE, PACK, [], since=DAY, today=DAY + 16)[0]
    assert (row.last_day, row.overdue_days) == (None, 1)


def test_a_visit_of_tomorrow_serves_nothing_yet() -> None:
    row = rows(DEVICE, PACK, [DoneDay(DAY + 17, VisitClass.YEAR)], since=DAY, today=DAY + 16)[0]
    assert (row.last_day, row.overdue_days) == (None, 1)


def test_silent_days_move_the_last_day_in_time() -> None:
    silent = {DAY + 3, DAY + 4, DAY + 16}
    row = rows(DEVICE, PACK, [], since=DAY, today=DAY + 17, silent=silent)[0]
    assert (row.due_on, row.overdue_days) == (DAY + 18, 0), "15 days on which it was heard"
    assert rows(DEVICE, PACK, [], since=DAY, today=DAY + 20, silent=silent)[0].overdue_days == 2


def test_an_agreement_goes_before_the_pack_and_warns_as_long_ahead() -> None:
    found = rows(
        DEVICE, PACK, [], since=0, today=DAY + 25, terms=terms(interval_days=(20, 0, 180, 365), grace_days=3)
    )  # fmt: skip
    assert [row.visit_class for row in found] == [VisitClass.HALF_MONTH, VisitClass.HALF_YEAR, VisitClass.YEAR]
    first = found[0]
    assert (first.due_on, first.warn_on, first.overdue_days) == (DAY + 20, DAY + 17, 2), "grace ends on day 23"
    assert first.source is Source.AGREEMENT


def test_the_clock_counts_overdue_days_as_the_contract_does() -> None:
    chance = random.Random(5)
    for _ in range(300):
        agreed = terms(grace_days=chance.randrange(4), done_on=tuple(DAY - chance.randrange(40) for _ in CLASSES))
        done = [DoneDay(DAY + chance.randrange(90), chance.choice(CLASSES)) for _ in range(chance.randrange(5))]
        silent = {DAY + chance.randrange(90) for _ in range(chance.randrange(6))}
        today = DAY + chance.randrange(100)
        for row in rows(DEVICE, PACK, done, since=0, today=today, terms=agreed, silent=silent):
            last = due.last_done(agreed, done, row.visit_class, before=today + 1)
            known = [one for one in done if one.day <= last]
            assert row.overdue_days == due.overdue_days(
                agreed, known, row.visit_class, from_day=last + 1, through_day=today, silent=silent
            )
            if not silent:
                assert row.due_on == due.due_on(agreed, done, row.visit_class, today=today)


def test_the_worst_class_is_the_devices_word_and_the_first_day_the_next_visit() -> None:
    done = [DoneDay(DAY - 80, VisitClass.QUARTER), DoneDay(DAY - 5, VisitClass.HALF_MONTH)]
    found = rows(DEVICE, PACK, done, since=DAY - 400, today=DAY)
    assert standing_of(found) == (Due.OVERDUE, 220), "half-year since the first day"
    first = nearest(found)
    assert first is not None and first.visit_class is VisitClass.HALF_YEAR
    assert standing_of([]) == (Due.IN_TIME, 0) and nearest([]) is None
    together = rows(DEVICE, {one: Interval(days=15, warn_days=12) for one in CLASSES}, [], since=DAY, today=DAY)
    highest = nearest(together)
    assert highest is not None and highest.visit_class is VisitClass.YEAR, "it holds the others"


def test_the_first_pack_has_the_laws_intervals() -> None:
    pack = pack_named("cn-tsg-t5002-2017-a")
    assert pack is not None and pack_of(pack.digest()) is pack
    assert {one: interval.days for one, interval in intervals_of(pack).items()} == dict(
        zip(CLASSES, (15, 90, 180, 365), strict=True)
    )
    assert pack_named("of-another-version") is None and pack_of(bytes(32)) is None


def test_a_mode_stands_until_the_next_and_three_hours_at_most() -> None:
    start = 1_800_000_000_000
    track = [(start - HOUR_MS, 0), (start + 2 * HOUR_MS, 3), (start + 3 * HOUR_MS, 1), (start + 4 * HOUR_MS, 0)]
    spent = day_of(track, start, start + 24 * HOUR_MS)
    assert spent == DaySeconds(in_service_s=5 * 3600, stopped_s=3600, inspection_s=3600, silent_s=17 * 3600)
    assert HEARD_MS == 3 * HOUR_MS
    assert day_of([], start, start + HOUR_MS).silent_s == 3600


def test_parts_of_a_second_are_no_silence() -> None:
    start = 1_800_000_000_000
    track = [(start - HOUR_MS, 0), *((start + hour * HOUR_MS + 333, hour % 2) for hour in range(24))]
    assert day_of(track, start, start + 24 * HOUR_MS).silent_s == 0


def test_availability_is_service_over_service_and_standstill_and_never_rounded_up() -> None:
    day = DaySeconds(in_service_s=86_399, stopped_s=1, inspection_s=0, silent_s=0)
    assert share_of([day]).available_permille == 999
    half = DaySeconds(in_service_s=40_000, stopped_s=0, inspection_s=3_200, silent_s=43_200)
    share = share_of([half, half])
    assert (share.days, share.available_permille, share.silent_permille) == (2, 1000, 500)
    silent = DaySeconds(in_service_s=0, stopped_s=0, inspection_s=0, silent_s=86_400)
    assert share_of([silent]).available_permille is None
    assert share_of([half, replace(silent, silent_s=1)]).silent_permille == 501


def test_a_day_has_the_length_of_its_place() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start, end = bounds_of(date(2026, 10, 25), berlin)
    assert (end - start) // HOUR_MS == 25
    start, end = bounds_of(date(2026, 10, 25), ZoneInfo("Asia/Shanghai"))
    assert (end - start) // HOUR_MS == 24
    assert day_number(date(1970, 1, 2)) == 1


Run = Callable[[Any], Any]
CODE, LIFT_URN = "4k7mq2xd90bz", "urn:minglou:site:b01:lift:l1"
MIDNIGHT_MS = 1_764_000_000_000 + 24 * HOUR_MS  # in Shanghai, a day after the log begins


def site_file() -> dict[str, Any]:
    """A lift with a label and a pack, a flat's meter with a label, and a firm."""
    words = {"zh": "电梯", "en": "Lift"}
    firm = {"zh": "安行", "en": "Anxing"}
    place = {"origin": ORIGIN, "floor": 1, "building": "b07", "title": words, "firm": 7}
    return {
        "format": "minglou-directory/1",
        "site": {"name": "cuiyuan", "host": "x.example", "title": words, "timezone": "Asia/Shanghai"},
        "units": [], "pools": [],
        "buildings": [{"name": "b07", "title": {"zh": "7幢", "en": "Building 7"}, "cell": "30.29,120.11"}],
        "firms": [{"number": 7, "title": firm, "telephone": "0571 1"}],
        "devices": [
            {**place, "urn": LIFT_URN, "kind": "lift", "name": "l1", "packs": ["cn-tsg-t5002-2017-a"],
             "labels": [{"place": "car", "digest": label_digest(CODE).hex()}], "inspection_until": "2027-05-31"},
            {**place, "urn": "urn:minglou:site:b07:meter:0501-x", "kind": "meter", "name": "0501",
             "counts_for": {"unit": "aa" * 32}, "calibration_until": "2030-01-01",
             "labels": [{"place": "housing", "digest": label_digest("7777aaaa7777").hex()}]},
        ],
        "crew": [
            {"alias": ALIASES[key].hex(), "public": p256.public_bytes(key).hex(), "firm": firm}
            for key in (MECHANIC, OTHER, MANAGER)
        ],
    }  # fmt: skip


def told(gateway: SimulatedGateway) -> None:
    """Three days of a lift's hourly words: an hour out of service, four of silence, and somebody trapped."""
    for hour in range(-2, 72):
        at_ms = MIDNIGHT_MS + hour * HOUR_MS
        if not 30 <= hour < 36:
            gateway.log(Kind.STATUS, LIFT_URN, "lift.mode", 4 if hour == 50 else 0, at_ms=at_ms)
    for minute, trapped in ((0, 1), (25, 0)):
        at_ms = MIDNIGHT_MS + 60 * HOUR_MS + minute * 60_000
        gateway.log(Kind.STATUS, LIFT_URN, "lift.entrapment", trapped, at_ms=at_ms)


def test_a_lifts_days_visits_and_faults_come_from_what_its_gateway_signed(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    (tmp_path / "directory.json").write_text(json.dumps(site_file()))
    directory, clock = DirectoryFile(tmp_path / "directory.json"), Clock()
    clock.ms = MIDNIGHT_MS + 72 * HOUR_MS + 60_000
    half_month = visit_of((MIDNIGHT_MS + 26 * HOUR_MS) // 1000, mechanics=(MECHANIC, OTHER), manager=MANAGER)
    plan = read_pack("cn-tsg-t5002-2017-a").digest()
    visit = signed(replace(half_month, plan=plan), MECHANIC, OTHER, MANAGER)
    alone = signed(replace(visit_of((MIDNIGHT_MS + 28 * HOUR_MS) // 1000), visit_class=VisitClass.YEAR))

    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            told(gateway)
            gateway.log_visit(LIFT_URN, 3, visit.visit.digest(), at_ms=MIDNIGHT_MS + 27 * HOUR_MS)
            gateway.log_visit(LIFT_URN, 3, alone.visit.digest(), at_ms=MIDNIGHT_MS + 29 * HOUR_MS)
            bench.keys.enrol(gateway)
            await bench.send(gateway)
            room = VisitRoom(
                store=bench.store, directory=directory, bell=Bell(), clock=clock, chain_id=CHAIN_ID, contract=CONTRACT
            )  # fmt: skip
            for one in (visit, alone):
                await room.take(json.dumps(signed_visit_to_json(one)).encode())
            availability = Availability(bench.store, directory, clock, lambda _device: ())
            assert await availability.step() is False
            cloud = cast(
                Cloud,
                SimpleNamespace(
                    store=bench.store, directory=directory, chain=None, settings=SimpleNamespace(clock=clock)
                ),
            )
            await check_pages(StoreQuestions(cloud), clock)

    run(scenario())


def test_a_lifts_days_are_kept_soon_after_they_are_over_and_silence_when_it_is_filled(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    (tmp_path / "directory.json").write_text(json.dumps(site_file()))
    directory, clock = DirectoryFile(tmp_path / "directory.json"), Clock()
    clock.ms = MIDNIGHT_MS + 72 * HOUR_MS + 60_000

    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            availability = Availability(bench.store, directory, clock, lambda _device: ())

            async def silences() -> list[int]:
                """Hours of silence of each day that is kept, looked at a minute later than before."""
                clock.ms += 61_000
                assert await availability.step() is False
                column = tables.device_days.c
                async with bench.store.read() as connection:
                    found = await connection.execute(select(column.silent_s).order_by(column.day))
                    return [seconds // 3600 for seconds in found.scalars()]

            assert await silences() == []
            gateway = SimulatedGateway()
            told(gateway)
            bench.keys.enrol(gateway)
            await bench.send(gateway)
            assert await silences() == [0, 4, 0], "a cloud that has just begun does not wait for a quarter of an hour"
            for hour in range(30, 36):
                gateway.log(Kind.STATUS, LIFT_URN, "lift.mode", 0, at_ms=MIDNIGHT_MS + hour * HOUR_MS)
            await bench.send(gateway)
            assert await silences() == [0, 0, 0], "what changes is looked at again soon"
            clock.ms += 24 * HOUR_MS
            assert await silences() == [0, 0, 0, 22], "a day is looked at when it is over"

    run(scenario())


async def check_pages(ask: StoreQuestions, clock: Clock) -> None:
    """What the pages of that lift are told."""
    found = await ask.scanned(CODE)
    assert found is not None and found.lift is not None and not found.is_revoked and found.place == "car"
    care = found.lift.care
    assert care.word is Word.IN_SERVICE and care.firm is not None and care.firm.en == "Anxing"
    month = care.availability[0]
    assert (month.known_days, month.silent_permille) == (3, 56), "4 of 72 hours, after 3 in which its word stands"
    assert month.available_permille == 67_000 // 68
    assert care.next_due is not None and care.next_due.last is not None
    assert (care.next_due.due - care.next_due.last).days == 15 and care.next_due.source == "pack"
    assert care.due[3].last is None, "one mechanic with a list of his own has done no year's service"
    (trapped,) = care.entrapments
    assert trapped.freed_at_ms == trapped.at_ms + 25 * 60_000 and trapped.arrived_after_s is None
    assert found.lift.visits[0].level == 3 and found.lift.visits[0].chain is None
    assert lift_to_json(found.lift)["last_visit"]["level"] == 3
    assert await ask.scanned("0" * 12) is None
    meter = await ask.scanned("7777aaaa7777")
    assert meter is not None and meter.device is not None and meter.device.is_household
    assert meter.device.name is None and meter.device.visits == () and await ask.device("0501") is None
    assert await ask.report_fault("7777aaaa7777", "x") is False, "a flat's meter takes no public reports"
    assert await ask.report_fault(CODE, "门关不上")
    assert [await ask.may_report(b"here") for _ in range(6)] == [True] * 5 + [False] and await ask.may_report(b"there")
    await check_work(ask, clock)


MAKERS = read_pack("maker-example")  # another list than the site file names


async def check_work(ask: StoreQuestions, clock: Clock) -> None:
    """Who sees the work on it, and for how long what strangers wrote."""
    manager = Person(key="m", role=Role.MANAGER, title=Title(zh="", en=""))
    work = await ask.work(manager)
    assert work is not None and [row.name for row in work.rows] == ["l1"]
    assert [note.says for note in work.notes] == ["门关不上"]
    grant = Grant(
        number=1, account=b"a" * 16, role=Role.CREW, unit=None, firm="Anxing", granted_at_ms=0, ended_at_ms=None
    )
    theirs = await ask.work(replace(manager, role=Role.CREW, grant=grant))
    assert theirs is not None and theirs.firm is not None and len(theirs.rows) == 1
    others = await ask.work(replace(manager, role=Role.CREW, grant=replace(grant, firm="Another")))
    assert others is not None and not others.is_known and others.rows == () and others.notes == ()
    assert await ask.work(replace(manager, role=Role.OWNER)) is None
    clock.ms += 91 * 86_400_000
    late = await ask.work(manager)
    assert late is not None and late.notes == () and late.rows[0].state == "overdue"
    assert (await ask.overdue_days())["l1"] == 91 - 13
    await forget_notes(ask.store, clock.ms)
    async with ask.store.read() as connection:
        assert (await connection.execute(select(tables.fault_notes))).all() == []


def agreed_view(today: int) -> MaintenanceView:
    """The chain's word: an agreement with another firm, a withdrawn label, and a trapped passenger's order."""
    view, lift = MaintenanceView(), device_id(LIFT_URN)
    agreement = AgreementRecord(
        name=b"n" * 32, line=b"l" * 32, ends_on=DAY + 9_000, is_agreed=True,
        terms=terms(
            device=lift, plan=MAKERS.digest(), firm=8, starts_on=today - 30, ends_on=today + 90,
            done_on=(today - 30,) * 4,
        ),
    )  # fmt: skip
    view.agreements[agreement.name] = agreement
    day = view.lines.setdefault(agreement.line, LineRecord()).day(today - 10)
    day.levels[VisitClass.QUARTER, True, True] = 3
    view.labels[label_digest(CODE)] = LabelRecord(device=lift, place=int(Place.MACHINE_ROOM), revoked_at_s=1)
    name, seen_at = b"o" * 32, MIDNIGHT_MS // 1000 + 60 * 3600
    order = Order(
        state=State.ACCEPTED, reported_at=seen_at + 60, seen_at=seen_at, source=source_of(lift, "lift.entrapment"),
        firm=7, promise_at=seen_at + 1800,
    )  # fmt: skip
    view.book.orders[name], view.reports[name] = order, (lift, "0x" + "ab" * 32)
    return view


def test_what_stands_on_chain_goes_before_the_site_file(tmp_path: Path, run: Run) -> None:
    site = site_file()
    site["firms"].append({"number": 8, "title": {"zh": "另一家", "en": "Another"}})
    (tmp_path / "directory.json").write_text(json.dumps(site))
    clock = Clock()
    clock.ms = MIDNIGHT_MS + 61 * HOUR_MS
    today = day_number(datetime.fromtimestamp(clock.ms / 1000, ZoneInfo("Asia/Shanghai")).date())
    chain = SimpleNamespace(maintenance=agreed_view(today), view=None)

    async def scenario() -> None:
        async with open_bench(tmp_path / "cloud.sqlite3") as bench:
            settings = SimpleNamespace(clock=clock)
            cloud = SimpleNamespace(
                store=bench.store, directory=DirectoryFile(tmp_path / "directory.json"), chain=chain, settings=settings
            )
            ask = StoreQuestions(cast(Cloud, cloud))
            found = await ask.scanned(CODE)
            assert found is not None and found.is_revoked and found.place == "machine-room" and found.lift is not None
            care = found.lift.care
            assert care.firm is not None and care.firm.en == "Another" and care.orders_open == 1
            assert care.next_due is not None and care.next_due.source == "agreement"
            (device,) = cloud.directory.read().of_kind("lift")
            assert ask.packs_of(device) == ["maker-example", *device.packs], "its own list goes before the site's"
            assert day_number(care.next_due.due) == today + 5 and day_number(care.due[2].due) == today + 150
            assert await ask.report_fault(CODE, "x") is False, "a withdrawn label takes no reports"
            manager = Person(key="m", role=Role.MANAGER, title=Title(zh="", en=""))
            work = await ask.work(manager)
            assert work is not None
            (order,) = work.orders
            assert (order.cause, order.rescue_s, order.state) == ("entrapment", 1_800, "accepted")
            assert order.arrived_after_s is None and order.waited_s(clock.ms) == 3_600
            assert await ask.order(manager, b"o" * 32) == order
            grant = Grant(
                number=1, account=b"a" * 16, role=Role.FIRM, unit=None, firm="8", granted_at_ms=0, ended_at_ms=None
            )
            other = replace(manager, role=Role.FIRM, grant=grant)
            assert await ask.order(other, b"o" * 32) == order, "the agreement's firm serves it now"
            before = replace(other, grant=replace(grant, firm="Anxing"))
            assert await ask.order(before, b"o" * 32) is None
            assert await ask.order(manager, b"x" * 32) is None

    run(scenario())


def test_the_pages_are_served_by_the_application_to_whom_they_are_for(tmp_path: Path, run: Run) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            (tmp_path / "directory.json").write_text(json.dumps(site_file()))
            public = site.browser()
            page = await public.get(f"/d/{CODE}")
            assert page.status_code == 200 and "Lift" in page.text and "no record" in page.text
            assert "Inspection valid until" in page.text and "31 May 2027" in page.text
            told = await public.post(f"/d/{CODE}/fault", data={"says": "stuck"})
            assert told.status_code == 303 and told.headers["location"] == f"/d/{CODE}?told"
            for _ in range(4):
                await public.post(f"/d/{CODE}/fault", data={"says": "stuck"})
            assert (await public.post(f"/d/{CODE}/fault", data={"says": "stuck"})).status_code == 429
            body = (await public.get("/v1/devices/l1/public")).json()
            assert (body["word"], body["last_visit"], body["inspection_until"]) == ("unknown", None, "2027-05-31")
            assert (await public.get("/v1/devices/0501/public")).json()["error"] == "unknown_device"
            manager = await site.member(Role.MANAGER)
            work = await manager.get("/work")
            assert work.status_code == 200 and work.text.count("stuck") == 5
            calendar = await manager.get("/work.ics")
            assert calendar.status_code == 200 and calendar.text.count("BEGIN:VEVENT") == 5
            (ends,) = (one for one in calendar.text.split("BEGIN:VEVENT") if "Calibration ends" in one)
            assert "SUMMARY:Calibration ends: Lift\r\n" in ends and "DESCRIPTION" not in ends, "it is one meter's"
            assert "UID:calibration.meter.20300101@" in ends and "DTSTART;VALUE=DATE:20300101" in ends
            made = await manager.post("/tokens", data={"name": "calendar", "days": "9", Scope.WORK.value: "1"})
            token = {"authorization": f"Bearer {secret_of(made)}"}
            again = await public.get("/work.ics", headers=token)
            assert again.status_code == 200 and again.text.count("BEGIN:VEVENT") == 5
            refused = await public.get("/work.ics")
            assert refused.status_code == 401 and refused.headers["www-authenticate"].startswith("Basic ")
            page = await public.get("/work.ics", headers={"accept": "text/html"})
            assert page.status_code == 401 and "www-authenticate" not in page.headers, "people sign in"

    run(scenario())


def secret_of(page: httpx.Response) -> str:
    """The token that a page shows once."""
    return page.text.partition('id="token-secret">')[2].partition("<")[0]


def test_a_crews_calendar_subscribes_with_a_token_of_its_own_as_its_password(tmp_path: Path, run: Run) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            (tmp_path / "directory.json").write_text(json.dumps(site_file()))
            program, members = site.browser(), [await site.member(Role.CREW, firm=firm) for firm in ("7", "7", "9")]
            asked = {"name": "my telephone", "days": "300"}
            made = [await one.post("/tokens", data={**asked, Scope.WORK.value: "1"}) for one in members]
            counts = []
            for page in made:
                answer = await program.get("/work.ics", auth=("anybody", secret_of(page)))
                assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/calendar")
                counts.append(answer.text.count("BEGIN:VEVENT"))
            assert counts == [4, 4, 0], "another firm's device is no work of theirs"
            assert (await members[0].get("/tokens")).text.count('name="token"') == 1, "nobody sees a colleague's"
            assert (await members[0].post("/tokens", data={**asked, Scope.EXPORTS.value: "1"})).status_code == 403
            for secret in ("mlt_" + "x" * 43, "", "\u00e9"):
                assert (await program.get("/work.ics", auth=("anybody", secret))).status_code == 401
            token = secret_of(made[0])
            assert (await program.get("/v1/crew/work", auth=("anybody", token))).status_code == 401
            key = re.search(r'name="token" value="([\w-]+)"', (await members[0].get("/tokens")).text)
            assert key is not None
            assert (await members[0].post("/tokens/revoke", data={"token": key[1]})).status_code == 303
            assert (await program.get("/work.ics", auth=("anybody", token))).status_code == 401

    run(scenario())
