"""What households report: whose it is to read, what is no report, and for how long it is kept."""

import json
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from PIL import Image
from sqlalchemy import select

from cloud.identity.audit import Act
from cloud.identity.people import Grant
from cloud.identity.roles import Role
from cloud.maintenance.notes import WORDS_MS, forget_notes
from cloud.maintenance.view import MaintenanceView
from cloud.questions import StoreQuestions
from cloud.retention.command import run_erase
from cloud.store import tables
from cloud.store.sealing import SEALED
from cloud.visits.pictures import PictureRefused
from cloud.visits.redrawn import BYTES_MAX, REDRAWN_BYTES_MAX, redrawn
from cloud.web.answers import Person, Title
from contracts.detail import encode_detail
from contracts.entry import device_id
from contracts.repair import RepairError, Report, parse_report
from contracts.work_order import NO_DEVICE, Order, State
from tests.cloud.house import House, directory, house, urn_of
from tests.cloud.photographs import jpeg, scene
from tests.cloud.test_crew_work import two_firms

Run = Callable[[Any], Any]
NOBODY = Title(zh="", en="")
OWNER = Person(key="o", role=Role.OWNER, title=NOBODY, units=("b07-0501",))
NEIGHBOUR = Person(key="n", role=Role.OWNER, title=NOBODY, units=("b07-0502",))
OFFICERS = {role: Person(key=role.value, role=role, title=NOBODY) for role in (Role.MANAGER, Role.COMMITTEE)}
GRANT = Grant(number=1, account=bytes(16), role=Role.CREW, unit=None, firm=None, granted_at_ms=0, ended_at_ms=None)
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


def test_a_reports_photo_lies_sealed_and_is_seen_by_whom_it_concerns(run: Run, tmp_path: Path) -> None:
    octets = jpeg(scene(1, side=200))

    async def scenario() -> None:
        async with house(tmp_path) as site:
            ask = site_of(tmp_path, site)
            told = await ask.tell_repair(OWNER, "b07-0501", LIFT.hex(), "", "it stops between floors")
            name = bytes.fromhex(told.name)
            assert await ask.repair_photo(OWNER, name) is None
            assert (await ask.add_repair_photo(NEIGHBOUR, name, octets)).status == 404
            assert (await ask.add_repair_photo(OWNER, name, b"no photo")).status == 422
            assert (await ask.add_repair_photo(OWNER, name, octets)).status == 201
            assert (await ask.add_repair_photo(OWNER, name, octets)).status == 409, "none takes its place later"
            (file,) = (site.cloud.settings.photos_dir / "repairs").iterdir()
            assert file.read_bytes().startswith(SEALED) and file.stat().st_mode & 0o077 == 0
            seen = await ask.repair_photo(OWNER, name)
            assert seen is not None and seen.startswith(b"\xff\xd8")
            officer = replace(OFFICERS[Role.MANAGER], grant=replace(GRANT, role=Role.MANAGER))
            assert await ask.repair_photo(officer, name) == seen
            noted = [entry for entry in await site.cloud.identity.audit.newest() if entry.act is Act.PHOTO_SHOWN]
            assert [entry.role for entry in noted] == ["manager"], "a look that is not the household's is written down"
            found = await ask.work(officer)
            assert found is not None and [note.photo for note in found.notes] == [f"/repairs/{told.name}/photo"]
            others = [Person(key=one.value, role=one, title=NOBODY) for one in (Role.REGULATOR, Role.FIRM, Role.CREW)]
            others += [OFFICERS[Role.COMMITTEE], NEIGHBOUR, replace(OWNER, since_ms=site.clock.at_ms + 1)]
            assert [await ask.repair_photo(one, name) for one in others] == [None] * len(others)
            committee = await ask.work(OFFICERS[Role.COMMITTEE])
            assert committee is not None and [note.photo for note in committee.notes] == [""]
            file.write_bytes(file.read_bytes()[:-1] + b"x")
            assert await ask.repair_photo(OWNER, name) is None, "altered"

    run(scenario())


def test_the_firm_of_an_order_sees_its_photo_and_no_other_firm_does(run: Run, tmp_path: Path) -> None:
    """Once the report is an order; before, it is the property office's alone."""
    lift = device_id("urn:minglou:cuiyuan:b07:lift:A")

    async def scenario() -> None:
        async with house(tmp_path) as site:
            (tmp_path / "directory.json").write_text(json.dumps(two_firms()))
            view = MaintenanceView()
            chain = cast(Any, SimpleNamespace(maintenance=view, view=None))
            ask = StoreQuestions(replace(site.cloud, chain=chain))
            told = await ask.tell_repair(OWNER, "b07-0501", lift.hex(), "", "it stops between floors")
            name = bytes.fromhex(told.name)
            assert (await ask.add_repair_photo(OWNER, name, jpeg(scene(1, side=64)))).status == 201
            own, other = [
                Person(key=firm, role=Role.FIRM, title=NOBODY, grant=replace(GRANT, role=Role.FIRM, firm=firm))
                for firm in ("A", "B")
            ]
            assert await ask.repair_photo(own, name) is None
            view.book.orders[name] = Order(
                state=State.ACCEPTED, reported_at=site.clock.at_ms // 1000, source=bytes(32), firm=1
            )
            view.reports[name] = (lift, "0x" + "ab" * 32)
            assert await ask.repair_photo(own, name) is not None
            assert await ask.repair_photo(other, name) is None
            order = await ask.order(own, name)
            assert order is not None and order.photo == f"/repairs/{told.name}/photo"
            committee = await ask.order(OFFICERS[Role.COMMITTEE], name)
            assert committee is not None and committee.photo == ""

    run(scenario())


@pytest.mark.parametrize("way", ["kept long enough", "the household is erased"])
def test_a_reports_photo_goes_with_its_words(run: Run, tmp_path: Path, way: str) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            ask, store = site_of(tmp_path, site), site.cloud.store
            own, others = [
                bytes.fromhex((await ask.tell_repair(one, one.units[0], "", "", "a lamp")).name)
                for one in (OWNER, NEIGHBOUR)
            ]
            for one, name in ((OWNER, own), (NEIGHBOUR, others)):
                assert (await ask.add_repair_photo(one, name, jpeg(scene(1, side=64)))).status == 201
            await site.cloud.repair_photos.sweep()
            assert site.cloud.repair_photos.has(own) and site.cloud.repair_photos.has(others)
            if way == "kept long enough":
                await forget_notes(store, site.clock.at_ms + WORDS_MS + 1)
            else:
                assert (
                    await run_erase(
                        site.cloud.settings, entry=None, unit="b07-0501", reason="asked", say=lambda _line: None
                    )
                    == 0
                )
            if way == "kept long enough":
                await site.cloud.repair_photos.sweep()
            assert not site.cloud.repair_photos.has(own)
            assert site.cloud.repair_photos.has(others) is (way != "kept long enough")

    run(scenario())


def png(width: int, height: int) -> bytes:
    kept = BytesIO()
    Image.new("L", (width, height)).save(kept, "PNG")
    return kept.getvalue()


def gif() -> bytes:
    kept = BytesIO()
    Image.new("L", (64, 64)).save(kept, "GIF")
    return kept.getvalue()


@pytest.mark.parametrize(
    ("octets", "says"),
    [(b"", "no photo"), (gif(), "no photo"), (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no photo"),
     (jpeg(scene(1, side=200))[:900], "no photo"), (png(8, 8), "8 x 8"), (png(4000, 4000), "4000 x 4000"),
     (bytes(BYTES_MAX + 1), "12 MB")],
    ids=["nothing", "gif", "svg", "cut", "small", "large", "heavy"],
)  # fmt: skip
def test_what_is_no_photo_is_not_drawn(octets: bytes, says: str) -> None:
    with pytest.raises(PictureRefused, match=says):
        redrawn(octets)


def test_a_photo_is_drawn_upright_and_bounded() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    kept = BytesIO()
    Image.effect_noise((2400, 1800), 120).convert("RGB").save(kept, "JPEG", exif=exif, quality=95)
    small = redrawn(kept.getvalue())
    assert len(small) <= REDRAWN_BYTES_MAX
    with Image.open(BytesIO(small)) as picture:
        assert picture.format == "JPEG" and picture.size[0] < picture.size[1] <= 1600 and not picture.getexif()


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
