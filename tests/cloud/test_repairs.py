"""What households report: whose it is to read, what is no report, and for how long it is kept."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cloud.identity.roles import Role
from cloud.maintenance.notes import WORDS_MS, forget_notes
from cloud.questions import StoreQuestions
from cloud.store import tables
from cloud.web.answers import Person, Title
from contracts.detail import encode_detail
from contracts.entry import device_id
from contracts.repair import RepairError, Report, parse_report
from contracts.work_order import NO_DEVICE
from tests.cloud.house import House, directory, house, urn_of

Run = Callable[[Any], Any]
NOBODY = Title(zh="", en="")
OWNER = Person(key="o", role=Role.OWNER, title=NOBODY, units=("b07-0501",))
NEIGHBOUR = Person(key="n", role=Role.OWNER, title=NOBODY, units=("b07-0502",))
OFFICERS = {role: Person(key=role.value, role=role, title=NOBODY) for role in (Role.MANAGER, Role.COMMITTEE)}
LIFT = device_id("urn:minglou:cuiyuan:b07:lift:1")


def site_of(folder: Path, site: House) -> StoreQuestions:
    document = directory()
    document["devices"][-1]["device"] = LIFT.hex()
    (folder / "directory.json").write_text(json.dumps(document))
    return StoreQuestions(site.cloud)


def test_a_report_is_its_own_flats_and_read_by_those_who_see_to_it(run: Run, tmp_path: Path, store_url: str) -> None:
    async def scenario() -> None:
        async with house(tmp_path, store_url=store_url) as site:
            ask = site_of(tmp_path, site)
            told = await ask.tell_repair(OWNER, "b07-0501", LIFT.hex(), "", "it stops between floors")
            own = await ask.tell_repair(OWNER, "b07-0501", device_id(urn_of("b07-0501")).hex(), "", "it hums")
            lamp = await ask.tell_repair(OWNER, "b07-0501", "", "third floor", "the lamp is dark")
            assert {one.code for one in (told, own, lamp)} == {"told"}
            assert [one.says for one in await ask.repairs(OWNER)].count("it hums") == 1
            assert await ask.repairs(NEIGHBOUR) == [] and await ask.repair_form(NEIGHBOUR, "b07-0501") is None
            assert await ask.repair(NEIGHBOUR, bytes.fromhex(told.name)) is None
            assert (await ask.tell_repair(NEIGHBOUR, "b07-0501", "", "", "x")).status == 404
            site.clock.at_ms += 1_000
            tenant = replace(OWNER, role=Role.TENANT, since_ms=site.clock.at_ms)
            assert await ask.repairs(tenant) == [], "nothing of who lived there before"
            assert await ask.repair(tenant, bytes.fromhex(told.name)) is None
            manager, committee = [await ask.work(OFFICERS[role]) for role in (Role.MANAGER, Role.COMMITTEE)]
            assert manager is not None and committee is not None
            assert {note.says for note in manager.notes} == {"it stops between floors", "it hums", "the lamp is dark"}
            assert all(note.flat is not None for note in manager.notes)
            assert [(note.says, note.flat) for note in committee.notes] == [("it stops between floors", None)]
            assert await ask.work(OWNER) is None and await ask.oversight(OWNER) is None

    run(scenario())


def test_what_is_no_report_is_refused_and_nobody_floods_the_office(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            ask = site_of(tmp_path, site)
            for device, place, says in (
                ("", "", ""), ("", "", "x" * 501), ("", "x" * 101, "x"), ("zz", "", "x"), ("00" * 31, "", "x"),
                ("ab" * 32, "", "x"), (device_id(urn_of("b07-0502")).hex(), "", "x"), ("", "", "a\u202eb"),
            ):  # fmt: skip
                assert (await ask.tell_repair(OWNER, "b07-0501", device, place, says)).status == 422, (device, says)
            for number in range(20):
                assert (await ask.tell_repair(OWNER, "b07-0501", "", "", f"lamp {number}")).status == 201
            assert (await ask.tell_repair(OWNER, "b07-0501", "", "", "one more")).status == 429
            assert (await ask.tell_repair(NEIGHBOUR, "b07-0502", "", "", "a lamp")).status == 201
            site.clock.at_ms += WORDS_MS + 1
            await forget_notes(site.cloud.store, site.clock.at_ms)
            async with site.cloud.store.read() as connection:
                assert (await connection.execute(select(tables.repair_words))).all() == []

    run(scenario())


def test_a_report_has_one_spelling_and_comes_back_from_it() -> None:
    report = Report(device=NO_DEVICE, place="三楼", says="灯坏了 👨‍👩‍👧", at_s=1_795_744_800)
    encoded = report.encode(salt=bytes(16))
    assert parse_report(encoded)[0] == report
    fields = {"kind": "report", "device": "", "place": "", "says": "x", "at": 1}
    assert parse_report(encode_detail(fields, salt=bytes(16)))[0].says == "x"
    wrong: list[dict[str, object]] = [
        {"says": " x"}, {"says": "a\nb"}, {"says": 1}, {"place": True}, {"at": True}, {"at": 0}, {"kind": "reopen"},
        {"device": "AB" * 32}, {"device": None}, {"more": 1},
    ]  # fmt: skip
    for change in wrong:
        kept = {name: value for name, value in {**fields, **change}.items() if value is not None}
        with pytest.raises(RepairError):
            parse_report(encode_detail(kept, salt=bytes(16)))
