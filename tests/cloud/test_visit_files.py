"""Photographs of visits: only those that were signed, only pictures, sealed, and shown to nobody unnoticed."""

import asyncio
import os
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from sqlalchemy import delete, insert, select

from cloud.directory import CrewMember, Words
from cloud.errors import SettingsError
from cloud.identity.audit import Act
from cloud.identity.roles import Role
from cloud.settings import load_settings
from cloud.store import tables
from cloud.visits.pictures import PictureRefused, read_picture
from cloud.visits.quota import PhotoQuota
from contracts import p256
from contracts.bundle import Bundle, format_bundle
from contracts.checklist import PHOTO_BYTES_MAX
from tests.bundles import bundle_of
from tests.cloud.authenticator import Phone
from tests.cloud.house import ORIGIN as PAGE
from tests.cloud.house import House, house, join
from tests.cloud.photographs import jpeg, photo_of, scene
from tests.visits import ALIASES, MECHANIC, OTHER

Run = Callable[[Any], Any]
LIFT = "urn:minglou:cuiyuan:b07:lift:1"
CONTRACT = "0x" + "c1" * 20
FIRM = Words(zh="甲公司", en="Firm A")


@asynccontextmanager
async def lift_house(folder: Path, more: str = "") -> AsyncIterator[House]:
    """A cloud that takes visits, with two crew members of one firm; `more` lines of its [maintenance]."""
    async with house(folder, more=f'[maintenance]\ncontract = "{CONTRACT}"\n{more}') as site:
        directory = site.cloud.directory.read()
        held = replace(directory, crew=(_member(MECHANIC), _member(OTHER)))
        site.cloud.visits._chain_id = 31337  # a cloud without a chain knows none
        site.cloud.directory.read = lambda: held  # type: ignore[method-assign]
        yield site


def _member(key: p256.PrivateKey) -> CrewMember:
    return CrewMember(alias=ALIASES[key], public=p256.public_bytes(key), firm=FIRM)


async def hand_in(
    site: House, *pictures: bytes, salt: int = 1, back_s: int = 7200, key: p256.PrivateKey = MECHANIC
) -> Bundle:
    """A visit whose list names these photographs."""
    started = site.clock.at_ms // 1000 - back_s
    photos = [photo_of(octets, started + 60) for octets in pictures]
    bundle = bundle_of(started, key, urn=LIFT, photos=photos, salt=salt, number=salt)
    answer = await site.browser().post("/v1/visits", content=format_bundle(bundle))
    assert answer.status_code == 200, answer.text
    return bundle


async def put(site: House, bundle: Bundle, octets: bytes, name: bytes | None = None) -> httpx.Response:
    named = name or sha256(octets).digest()
    return await site.browser().put(
        f"/v1/visits/{bundle.visit.digest().hex()}/files/{named.hex()}", content=octets,
        headers={"content-type": "image/jpeg"},
    )  # fmt: skip


async def missing(site: House, bundle: Bundle) -> list[str]:
    answer = await site.browser().get(f"/v1/visits/{bundle.visit.digest().hex()}")
    found: list[str] = answer.json()["files_missing"]
    return found


def test_photos_that_a_list_names_are_kept_sealed_and_asked_for_until_they_are_here(run: Run, tmp_path: Path) -> None:
    first, second, stranger = (jpeg(scene(seed)) for seed in (1, 2, 3))

    async def scenario() -> None:
        async with lift_house(tmp_path) as site:
            bundle = await hand_in(site, first, second)
            assert await missing(site, bundle) == [sha256(one).hexdigest() for one in (first, second)]
            for _ in range(2):
                answer = await put(site, bundle, first)
                assert (answer.status_code, answer.json()) == (200, {"sha256": sha256(first).hexdigest()})
            assert await missing(site, bundle) == [sha256(second).hexdigest()]
            for octets, name, status, code in (
                (stranger, None, 404, "unknown_file"),
                (stranger, sha256(second).digest(), 422, "wrong_hash"),
                (second + bytes(PHOTO_BYTES_MAX), sha256(second).digest(), 413, "too_large"),
            ):
                answer = await put(site, bundle, octets, name)
                assert (answer.status_code, answer.json()["error"]) == (status, code)
            unknown = await site.browser().put(f"/v1/visits/{'ab' * 32}/files/{'cd' * 32}", content=first)
            assert (unknown.status_code, unknown.json()["error"]) == (404, "unknown_visit")
            kept = [file.read_bytes() for file in site.cloud.settings.photos_dir.rglob("*") if file.is_file()]
            assert len(kept) == 1 and len(kept[0]) == len(first)
            assert kept[0][:64] != first[:64], "sealed under its device's key"
            photo = await site.cloud.photos.read(bundle.visit.digest(), sha256(first).digest())
            assert photo is not None and photo.octets == first

    run(scenario())


def test_a_photo_is_shown_to_officers_and_its_own_firm_and_each_look_is_in_the_audit_log(
    run: Run, tmp_path: Path
) -> None:
    octets = jpeg(scene(1))

    async def scenario() -> None:
        async with lift_house(tmp_path) as site:
            bundle = await hand_in(site, octets)
            await put(site, bundle, octets)
            address = f"/visits/{bundle.visit.digest().hex()}/files/{sha256(octets).hexdigest()}"
            officer = await site.member(Role.MANAGER)
            firms = [await of_firm(site, name) for name in (FIRM.en, "Firm B")]
            answers = [await one.get(address) for one in (officer, *firms)]
            assert [one.status_code for one in answers] == [200, 200, 404]
            assert answers[0].content == octets and answers[0].headers["cache-control"] == "no-store"
            assert answers[0].headers["content-type"] == "image/jpeg"
            assert (await site.browser().get(address)).status_code == 401
            assert (await (await site.member(Role.CREW)).get(address)).status_code == 404
            noted = [entry for entry in await site.cloud.identity.audit.newest() if entry.act is Act.PHOTO_SHOWN]
            assert sorted(entry.role for entry in noted) == ["firm", "manager"]

    run(scenario())


DAY_MS = 86_400_000


def test_photos_beyond_a_signers_day_wait_and_the_visits_enter_all_the_same(run: Run, tmp_path: Path) -> None:
    pictures = [jpeg(scene(seed, side=96)) for seed in range(5)]

    async def scenario() -> None:
        async with lift_house(tmp_path, "photos_per_day = 2\n") as site:
            first = await hand_in(site, *pictures[:3])
            assert [(await put(site, first, one)).status_code for one in pictures[:3]] == [200, 200, 429]
            refusal = (await put(site, first, pictures[2])).json()
            assert refusal["error"] == "too_many_photos"
            assert "send this photo again in 1440 min" in refusal["message"]
            assert "[maintenance] photos_per_day" in refusal["message"]
            assert (await put(site, first, pictures[0])).status_code == 200, "what is here is no more of it"
            later = await hand_in(site, pictures[3], salt=2)
            assert (await put(site, later, pictures[3])).status_code == 429
            assert await missing(site, later) == [sha256(pictures[3]).hexdigest()]
            others = await hand_in(site, pictures[4], salt=3, key=OTHER)
            assert (await put(site, others, pictures[4])).status_code == 200, "nobody else waits for it"
            site.clock.at_ms += DAY_MS
            assert [(await put(site, one, octets)).status_code for one, octets in
                    ((first, pictures[2]), (later, pictures[3]))] == [200, 200]  # fmt: skip

    run(scenario())


def test_a_signers_bytes_of_a_day_are_bounded_also_where_photos_come_at_once(run: Run, tmp_path: Path) -> None:
    pictures = [jpeg(scene(seed, side=96)) for seed in range(6)]
    room = sum(map(len, pictures[:2])) + 10

    async def scenario() -> None:
        async with lift_house(tmp_path) as site:
            site.cloud.photos._quota = PhotoQuota(photos=100, octets=room)
            bundle = await hand_in(site, *pictures)
            answers = await asyncio.gather(*(put(site, bundle, one) for one in pictures))
            assert sorted({one.status_code for one in answers}) == [200, 429]
            kept = [one.stat().st_size for one in site.cloud.settings.photos_dir.rglob("*") if one.is_file()]
            assert 0 < sum(kept) <= room

    run(scenario())


@pytest.mark.parametrize("line", ["photos_per_day = 0", "photo_mib_per_day = 0", "photo_mib_per_day = 100_001"])
def test_a_quota_that_takes_nothing_or_everything_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "cloud.toml"
    path.write_text(
        '[cloud]\nlisten = "127.0.0.1:1"\ndata_dir = "data"\n[super_log]\norigin = "cuiyuan.example/log"\n'
        f'[maintenance]\ncontract = "{CONTRACT}"\n{line}\n'
    )
    with pytest.raises(SettingsError, match=f"{line.partition(' ')[0]} is .* 1 to 100000"):
        load_settings(path)


async def of_firm(site: House, firm: str) -> httpx.AsyncClient:
    browser = site.browser()
    assert (await join(browser, Phone(PAGE), await site.letter(Role.FIRM, firm=firm))).status_code == 200
    return browser


def test_a_photo_that_was_altered_or_lost_on_disk_is_said_to_be_and_can_be_sent_again(run: Run, tmp_path: Path) -> None:
    octets = jpeg(scene(1))

    async def scenario() -> None:
        async with lift_house(tmp_path) as site:
            bundle = await hand_in(site, octets)
            await put(site, bundle, octets)
            (file,) = [one for one in site.cloud.settings.photos_dir.rglob("*") if one.is_file()]
            name = (bundle.visit.digest(), sha256(octets).digest())
            file.write_bytes(bytes(len(octets)))
            with pytest.raises(Exception, match="altered"):
                await site.cloud.photos.read(*name)
            file.unlink()
            with pytest.raises(Exception, match="is gone"):
                await site.cloud.photos.read(*name)
            assert (await put(site, bundle, octets)).status_code == 200
            assert await site.cloud.photos.read(*name) is not None
            await site.cloud.photos.sweep()
            assert await site.cloud.photos.read(*name) is not None, "what a visit names stays"
            await _an_older_database_is_put_back(site, bundle, file)

    run(scenario())


async def _an_older_database_is_put_back(site: House, bundle: Bundle, file: Path) -> None:
    """It does not know the visit; the folder is newer than it, and the phone hands the visit in again."""
    digest, store = bundle.visit.digest(), site.cloud.store

    def is_there() -> bool:
        return file.parent.exists()

    async def lose() -> None:
        async with store.write() as connection:
            for table in (tables.visits, tables.visit_files, tables.visit_signers):
                await connection.execute(delete(table))

    def age(days: int) -> None:
        os.utime(file.parent, (site.clock.at_ms // 1000 - days * 86_400,) * 2)

    await lose()
    age(69)
    await site.cloud.photos.sweep()
    assert is_there()
    answer = await site.browser().post("/v1/visits", content=format_bundle(bundle))
    assert answer.json()["files_missing"] == [file.name]
    async with store.write() as connection:
        await connection.execute(insert(tables.erased_visits).values(digest=digest, erased_at_ms=1))
    await site.cloud.photos.sweep()
    assert is_there(), "erased once, and handed in anew"
    await lose()
    async with store.write() as connection:
        await connection.execute(insert(tables.erased_visits).values(digest=digest, erased_at_ms=1))
    await site.cloud.photos.sweep()
    assert not is_there(), "erased"
    async with store.read() as connection:
        assert (await connection.execute(select(tables.erased_visits))).all() == []
    file.parent.mkdir()
    age(71)
    await site.cloud.photos.sweep()
    assert not is_there(), "nobody can hand it in any more"


def _png(width: int, height: int) -> bytes:
    """A tiny file that says it is large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def _moving() -> bytes:
    kept = BytesIO()
    frames = [scene(seed, side=64) for seed in (1, 2)]
    frames[0].save(kept, "WEBP", save_all=True, append_images=frames[1:])
    return kept.getvalue()


def _placed() -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (30.0, 16.0, 12.0)})
    exif[0x8825] = exif.get_ifd(0x8825)
    return jpeg(scene(1), exif=exif)


def _many_passes() -> bytes:
    octets = jpeg(scene(1), progressive=True)
    scan = octets.rindex(b"\xff\xda")
    return octets[:scan] + octets[scan:-2] * 30 + b"\xff\xd9"


def _broken_exif() -> bytes:
    """A head of EXIF that ends in the middle of its first number."""
    kept = BytesIO()
    scene(1, side=64).save(kept, "WEBP", exif=b"II*\0\x08")
    return kept.getvalue()


@pytest.mark.parametrize(
    ("octets", "media_type", "says"),
    [
        (b"", "image/jpeg", "no JPEG picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/jpeg", "no JPEG picture"),
        (jpeg(scene(1))[:2000], "image/jpeg", "damaged"),
        (_png(100_000, 100_000), "image/jpeg", "no JPEG picture"),
        (_png(64, 64), "image/png", "none of image/jpeg, image/webp"),
        (jpeg(Image.new("L", (4000, 2000))), "image/jpeg", "8000000 pixels|4000 x 2000"),
        (jpeg(Image.new("L", (5000, 20))), "image/jpeg", "5000 x 20"),
        (jpeg(Image.new("L", (8, 8))), "image/jpeg", "8 x 8"),
        (_moving(), "image/webp", "moves"),
        (_placed(), "image/jpeg", "where it was taken"),
        (_many_passes(), "image/jpeg", "passes"),
        (_broken_exif(), "image/webp", "damaged"),
    ],
    ids=["nothing", "svg", "cut", "bomb", "png", "large", "long", "small", "moving", "placed", "passes", "exif"],
)
def test_what_is_no_small_still_picture_without_a_place_is_refused(octets: bytes, media_type: str, says: str) -> None:
    with pytest.raises(PictureRefused, match=says):
        read_picture(octets, media_type)


def test_a_refused_picture_is_told_and_not_kept(run: Run, tmp_path: Path) -> None:
    octets = _placed()

    async def scenario() -> None:
        async with lift_house(tmp_path) as site:
            bundle = await hand_in(site, octets)
            answer = await put(site, bundle, octets)
            assert (answer.status_code, answer.json()["error"]) == (422, "bad_picture")
            assert "sign again" in answer.json()["message"]
            assert await missing(site, bundle) == [sha256(octets).hexdigest()]
            assert not site.cloud.settings.photos_dir.exists()

    run(scenario())
