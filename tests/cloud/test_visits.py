"""Visits in the cloud: the postman takes what a gateway could judge, delivers it once, and finds what became of it."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from cloud.directory import DirectoryFile
from cloud.mail import Bell, MailRoom
from cloud.questions.lifts import LiftQuestions
from cloud.retention.requests import erase_places
from cloud.service import Cloud
from cloud.store import tables
from cloud.visits.files import PhotoRoom
from cloud.visits.quota import PhotoQuota
from cloud.visits.room import VisitRoom
from cloud.visits.routes import visit_router
from contracts import p256
from contracts.bundle import BUNDLE_BYTES_MAX, Bundle, bundle_to_json, parse_bundle
from contracts.mail import MAIL_BYTES_MAX
from contracts.pack import read_pack
from contracts.signed_visit import SignedVisit, signed_visit_to_json
from contracts.visit import VisitClass
from tests.bundles import ANNEX_A, bundle_of, filled
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import ORIGIN, SimulatedGateway
from tests.cloud.photographs import jpeg, photo_of, scene
from tests.visits import ALIASES, CHAIN_ID, CONTRACT, LIFT, MANAGER, MECHANIC, OTHER, signed, visit_of

NOW_S = 1_764_000_000
RECORDED = bundle_of(NOW_S - 7200, photos=(), salt=99).visit.digest()
BY_SIGNER = 24
FEW = 30  # more than a gateway is handed at once


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.ms = NOW_S * 1000

    def now_ms(self) -> int:
        return self.ms

    def real_ms_until(self, at_ms: int) -> int:
        return max(0, at_ms - self.ms)


class NoNews:
    """A chain that has nothing to say."""

    def final_block(self) -> None:
        return None

    def final_super_size(self) -> int:
        return 0

    def revoked_from_block(self, _origin: str) -> None:
        return None


class Desk:
    """One cloud's visits over HTTP, its mail, and a gateway that can answer."""

    def __init__(
        self, bench: Bench, mail: MailRoom, client: httpx.AsyncClient, clock: Clock, photos: PhotoRoom
    ) -> None:
        self.bench, self.mail, self.client, self.clock, self.photos = bench, mail, client, clock, photos
        self.gateway = SimulatedGateway()

    async def post(self, visit: SignedVisit | Bundle | bytes) -> tuple[int, dict[str, Any]]:
        content = visit if isinstance(visit, bytes) else json.dumps(_to_json(visit)).encode()
        answer = await self.client.post("/v1/visits", content=content)
        return answer.status_code, answer.json()

    async def send(self) -> None:
        """The gateway sends all that it has logged."""
        self.bench.keys.enrol(self.gateway)
        await self.bench.send(self.gateway)

    async def letters(self, *, after: int = 0, origin: str = ORIGIN) -> list[dict[str, Any]]:
        found = await self.mail.fetch(origin, after=after, wait_seconds=0)
        return [message for message in found if message["kind"] == "visit"]

    def judge(self, visit: SignedVisit, level: int) -> None:
        at_ms = visit.visit.ended_at_s * 1000 + 60_000
        self.gateway.log_visit(LIFT, level, visit.visit.digest(), at_ms=at_ms)


def _to_json(visit: SignedVisit | Bundle) -> dict[str, Any]:
    return bundle_to_json(visit) if isinstance(visit, Bundle) else signed_visit_to_json(visit)


def directory(*keys: p256.PrivateKey) -> str:
    words = {"zh": "电梯", "en": "Lift"}
    device = {"urn": LIFT, "kind": "lift", "name": "l1", "origin": ORIGIN, "floor": 1, "title": words}
    crew = [
        {"alias": ALIASES[key].hex(), "public": p256.public_bytes(key).hex(), "kind": "software", "firm": words}
        for key in keys
    ]
    site = {"name": "cuiyuan", "host": "x.example", "title": words, "timezone": "Asia/Shanghai", "site_id": "00" * 32}
    document = {
        "format": "minglou-directory/1", "site": site, "units": [], "devices": [device], "pools": [], "crew": crew,
    }  # fmt: skip
    return json.dumps(document)


@asynccontextmanager
async def open_desk(
    folder: Path, store_url: str, *, contract: str | None = CONTRACT, by_signer_max: int = FEW + 1
) -> AsyncIterator[Desk]:
    (folder / "directory.json").write_text(directory(MECHANIC, MANAGER))
    clock, bell = Clock(), Bell()
    async with open_bench(store_url) as bench:
        room = VisitRoom(
            store=bench.store, directory=DirectoryFile(folder / "directory.json"), bell=bell, clock=clock,
            chain_id=CHAIN_ID, contract=contract, unjudged_max=FEW, by_signer_max=by_signer_max,
            chain_word=lambda digest: "recorded" if digest == RECORDED else "waiting",
        )  # fmt: skip
        mail = MailRoom(store=bench.store, news=NoNews(), clock=clock, bell=bell, block_seconds=60.0)
        app = FastAPI()
        photos = PhotoRoom(
            store=bench.store, folder=folder / "photos", clock=clock, quota=PhotoQuota(photos=500, octets=2**28)
        )
        app.include_router(visit_router(room, photos, None, None, None, None))  # type: ignore[arg-type]  # no officer looks here
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://cloud") as client:
            yield Desk(bench, mail, client, clock, photos)


Run = Callable[[Any], Any]


def test_a_visit_is_delivered_until_its_gateway_has_judged_it(tmp_path: Path, store_url: str, run: Run) -> None:
    visit = signed(visit_of(NOW_S - 7200, manager=MANAGER), MECHANIC, MANAGER)
    digest = visit.visit.digest().hex()

    async def scenario() -> None:
        async with open_desk(tmp_path, store_url) as desk:
            await desk.send()
            rest = {"chain": "waiting", "files_missing": [], "flags": []}
            waiting = {"digest": digest, "state": "waiting", "level": None, "entry": None, **rest}
            assert await desk.post(visit) == (200, waiting)
            assert await desk.post(visit) == (200, waiting), "handing it in again is harmless"
            (letter,) = await desk.letters()
            assert letter["body"] == signed_visit_to_json(visit)
            assert await desk.letters(after=letter["number"]) == []
            assert await desk.letters() == [letter], "until it is judged"
            desk.judge(visit, 3)
            await desk.send()
            entry = {"origin": ORIGIN, "index": "1"}
            judged = {"digest": digest, "state": "judged", "level": 3, "entry": entry, **rest}
            assert (await desk.client.get(f"/v1/visits/{digest}")).json() == judged
            assert await desk.post(visit) == (200, judged)
            await desk.post(signed(visit_of(NOW_S - 7200, salt=2)))  # the next letter clears away what is done
            assert [one["number"] for one in await desk.letters()] == [letter["number"] + 1]
            assert (await desk.client.get(f"/v1/visits/{digest}")).json() == judged

    run(scenario())


def test_a_bundle_reaches_its_gateway_whole_and_tells_what_became_of_it(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    bundle = bundle_of(NOW_S - 7200, photos=(), salt=99, manager=MANAGER)

    async def scenario() -> None:
        async with open_desk(tmp_path, store_url) as desk:
            await desk.send()
            status, told = await desk.post(bundle)
            assert (status, told["state"], told["files_missing"]) == (200, "waiting", [])
            assert (await desk.post(bundle))[1] == told
            (letter,) = await desk.letters()
            assert letter["body"] == bundle_to_json(bundle)
            assert parse_bundle(json.dumps(letter["body"]).encode()) == bundle
            desk.judge(bundle.signed, 3)
            await desk.send()
            told = (await desk.client.get(f"/v1/visits/{told['digest']}")).json()
            assert (told["state"], told["level"]) == ("judged", 3)

    run(scenario())


def test_a_visit_that_somebody_handed_in_bare_is_mailed_again_with_its_list_and_proof(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    bundle = bundle_of(NOW_S - 7200, photos=())

    async def scenario() -> None:
        async with open_desk(tmp_path, store_url) as desk:
            await desk.send()
            await desk.post(bundle.signed)
            (bare,) = await desk.letters()
            await desk.post(bundle)
            await desk.post(bundle.signed)
            (whole,) = await desk.letters()  # the bare one is taken back
            assert whole["number"] > bare["number"]
            assert whole["body"] == bundle_to_json(bundle)

    run(scenario())


@pytest.mark.parametrize("is_placed", [True, False], ids=["its place was looked up", "nobody looked yet"])
def test_a_visit_whose_entry_is_erased_goes_with_its_photographs(
    tmp_path: Path, kept: str, run: Run, *, is_placed: bool
) -> None:
    octets = jpeg(scene(1, side=96))
    bundle = bundle_of(NOW_S - 7200, photos=[photo_of(octets, NOW_S - 7100)])
    digest, name = bundle.visit.digest(), sha256(octets).hexdigest()

    async def scenario() -> None:
        async with open_desk(tmp_path, kept) as desk:
            store = desk.bench.store
            await desk.send()
            await desk.post(bundle)
            put = await desk.client.put(f"/v1/visits/{digest.hex()}/files/{name}", content=octets)
            assert put.status_code == 200
            await desk.letters()
            desk.judge(bundle.signed, 3)
            await desk.send()
            if is_placed:
                await desk.post(signed(visit_of(NOW_S - 7200, salt=2)))
                await desk.letters()
            assert await erase_places(store, ORIGIN, [1], says="asked for", now_ms=7) == 1
            assert (await desk.client.get(f"/v1/visits/{digest.hex()}")).status_code == 404
            async with store.read() as connection:
                assert (await connection.execute(select(tables.erased_visits))).all() == [(digest, 7)]
                for table in (tables.visit_files, tables.visit_signers):
                    assert digest not in (await connection.execute(select(table.c.digest))).scalars().all()
            assert list((tmp_path / "photos").rglob(name)), "until the next sweep"
            await desk.photos.sweep()
            assert not list((tmp_path / "photos").rglob(name))
            async with store.read() as connection:
                assert (await connection.execute(select(tables.erased_visits))).all() == []

    run(scenario())


def test_bundles_come_in_portions_that_a_gateway_can_read(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path, store_url, by_signer_max=BY_SIGNER) as desk:
            await desk.send()
            note = "油" * 200
            for salt in range(BY_SIGNER):
                bundle = bundle_of(NOW_S - 7200, photos=(), salt=salt)
                assert bundle.checklist is not None
                items = tuple(replace(tick, note=note) for tick in bundle.checklist.items)
                checklist = replace(bundle.checklist, items=items)
                visit = replace(bundle.visit, checklist=checklist.digest())
                whole = Bundle(signed=signed(visit), checklist=checklist, presence=bundle.presence)
                assert (await desk.post(whole))[0] == 200
            status, says = await desk.post(bundle_of(NOW_S - 7200, photos=(), salt=1000))
            assert (status, says["error"]) == (429, "too_many"), "nobody fills a gateway's mail alone"
            after = got = 0
            while some := await desk.mail.fetch(ORIGIN, after=after, wait_seconds=0):
                assert len(json.dumps({"messages": some}, ensure_ascii=False).encode()) < MAIL_BYTES_MAX
                got += sum(message["kind"] == "visit" for message in some)
                after = some[-1]["number"]
            assert got == BY_SIGNER

    run(scenario())


def test_a_list_that_its_pack_does_not_allow_is_refused(tmp_path: Path, store_url: str, run: Run) -> None:
    bundle = bundle_of(NOW_S - 7200, photos=())
    checklist = filled(read_pack(ANNEX_A), VisitClass.HALF_MONTH, photos=())
    short = replace(checklist, items=checklist.items[1:])
    visit = replace(bundle.visit, checklist=short.digest())
    other = replace(bundle.visit, plan=bytes(31) + b"\1", checklist=replace(short, plan=bytes(31) + b"\1").digest())

    async def scenario() -> None:
        async with open_desk(tmp_path, store_url) as desk:
            await desk.send()
            wrong = Bundle(signed=signed(visit), checklist=short, presence=bundle.presence)
            status, says = await desk.post(wrong)
            assert (status, says["error"]) == (422, "bad_list")
            unknown = Bundle(signed=signed(other), checklist=replace(short, plan=other.plan), presence=bundle.presence)
            assert (await desk.post(unknown))[0] == 200, "a pack that is not known here is judged elsewhere"
            body = bundle_to_json(bundle)
            body["checklist"]["items"][0]["note"] = "changed"
            status, says = await desk.post(json.dumps(body).encode())
            assert (status, says["error"]) == (400, "malformed")

    run(scenario())


def test_what_the_chain_has_of_a_visit_is_told(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path, store_url) as desk:
            told = (await desk.post(bundle_of(NOW_S - 7200, photos=(), salt=99)))[1]
            assert (told["digest"], told["chain"]) == (RECORDED.hex(), "recorded")

    run(scenario())


def test_a_new_epoch_gets_what_the_old_one_left_unjudged(tmp_path: Path, store_url: str, run: Run) -> None:
    done, left = signed(visit_of(NOW_S - 7200)), signed(visit_of(NOW_S - 7200, salt=2))

    async def scenario() -> None:
        async with open_desk(tmp_path, store_url) as desk:
            await desk.send()
            await desk.post(done)
            await desk.post(left)
            assert len(await desk.letters()) == 2
            desk.judge(done, 0)
            await desk.send()
            desk.gateway = SimulatedGateway(origin=ORIGIN.replace("/e0", "/e1"))
            await desk.send()
            again = await desk.letters(origin=desk.gateway.origin)
            assert [one["body"] for one in again] == [signed_visit_to_json(left)]

    run(scenario())


def test_letters_outlast_a_hundred_later_messages(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path, store_url) as desk:
            await desk.send()
            await desk.post(signed(visit_of(NOW_S - 7200)))
            (letter,) = await desk.letters()
            for number in range(150):
                await desk.mail.post(ORIGIN, "anchored", {"size": str(number)})
            assert (await desk.mail.fetch(ORIGIN, after=0, wait_seconds=0))[0] == letter

    run(scenario())


def _without_salt() -> bytes:
    file = signed_visit_to_json(signed(visit_of(NOW_S - 7200)))
    del file["visit"]["salt"]
    return json.dumps(file).encode()


def _forged() -> bytes:
    file = copy.deepcopy(signed_visit_to_json(signed(visit_of(NOW_S - 7200))))
    file["visit"]["started_at"] += 1
    return json.dumps(file).encode()


@pytest.mark.parametrize(
    ("visit", "status", "code"),
    [
        (b"{", 400, "malformed"),
        (_without_salt(), 400, "malformed"),
        (b" " * (BUNDLE_BYTES_MAX + 1), 413, "too_large"),
        (_forged(), 422, "bad_signature"),
        (signed(visit_of(NOW_S - 7200), contract="0x" + "d2" * 20), 422, "wrong_contract"),
        (signed(visit_of(NOW_S - 7200), chain_id=1), 422, "wrong_contract"),
        (signed(visit_of(NOW_S - 60)), 422, "bad_time"),
        (signed(visit_of(NOW_S - 61 * 86_400)), 422, "bad_time"),
        (signed(visit_of(NOW_S - 7200, urn="urn:minglou:other:lift:l9")), 404, "unknown_device"),
        (signed(visit_of(NOW_S - 7200), OTHER), 403, "unknown_crew"),
        (signed(visit_of(NOW_S - 7200, mechanics=(OTHER,)), OTHER), 403, "unknown_crew"),
    ],
)
def test_what_no_gateway_would_judge_is_refused_and_not_kept(
    tmp_path: Path, store_url: str, run: Run, visit: SignedVisit | bytes, status: int, code: str
) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path, store_url) as desk:
            await desk.send()
            answered, says = await desk.post(visit)
            assert (answered, says["error"]) == (status, code)
            assert says["message"]
            assert await desk.letters() == []

    run(scenario())


def test_a_cloud_without_a_maintenance_contract_says_so(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path, store_url, contract=None) as desk:
            answered, says = await desk.post(signed(visit_of(NOW_S - 7200)))
            assert (answered, says["error"]) == (503, "no_maintenance")

    run(scenario())


def test_a_flood_of_visits_is_dammed_and_unknown_ones_are_not_found(tmp_path: Path, store_url: str, run: Run) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path, store_url) as desk:
            for salt in range(FEW):
                assert (await desk.post(signed(visit_of(NOW_S - 7200, salt=salt))))[0] == 200
            answered, says = await desk.post(signed(visit_of(NOW_S - 7200, salt=FEW)))
            assert (answered, says["error"]) == (429, "too_many")
            assert (await desk.client.get(f"/v1/visits/{'ab' * 32}")).status_code == 404
            assert (await desk.client.get("/v1/visits/nonsense")).status_code == 400
            await desk.send()
            first = await desk.letters()
            assert 0 < len(first) < FEW
            assert len(await desk.letters(after=first[-1]["number"])) > 0

    run(scenario())


def test_visits_that_nobody_judged_in_time_keep_later_ones_from_nothing(
    tmp_path: Path, store_url: str, run: Run
) -> None:
    async def scenario() -> None:
        async with open_desk(tmp_path, store_url) as desk:
            for salt in range(FEW):
                assert (await desk.post(signed(visit_of(NOW_S - 7200, salt=salt))))[0] == 200
            desk.clock.ms += 61 * 86_400_000
            assert (await desk.post(signed(visit_of(desk.clock.ms // 1000 - 7200, salt=FEW))))[0] == 200

    run(scenario())


def test_a_neighbours_entry_judges_no_visit_here(tmp_path: Path, store_url: str, run: Run) -> None:
    """Neither this gateway's for another lift, nor another gateway's for this one."""
    visit = signed(visit_of(NOW_S - 7200))

    async def scenario() -> None:
        async with open_desk(tmp_path, store_url) as desk:
            await desk.post(visit)
            desk.gateway.log_visit("urn:minglou:site:b02:lift:l1", 3, visit.visit.digest(), at_ms=NOW_S * 1000)
            await desk.send()
            own, desk.gateway = desk.gateway, SimulatedGateway(origin=ORIGIN.replace("/b07/", "/b08/"), seed=2)
            desk.judge(visit, 3)
            await desk.send()
            desk.gateway = own
            assert (await desk.post(visit))[1]["state"] == "waiting"
            assert len(await desk.letters()) == 1

    run(scenario())


def test_the_lifts_page_tells_what_was_signed_beside_what_was_seen(tmp_path: Path, store_url: str, run: Run) -> None:
    made, paper, waiting = (signed(visit_of(NOW_S - hours * 3600, salt=hours)) for hours in (9, 6, 3))

    async def scenario() -> None:
        async with open_desk(tmp_path, store_url) as desk:
            for one in (made, paper, waiting):
                await desk.post(one)
            desk.judge(made, 3)
            desk.judge(paper, 0)
            await desk.send()
            cloud = SimpleNamespace(
                store=desk.bench.store, directory=DirectoryFile(tmp_path / "directory.json"), chain=None,
                settings=SimpleNamespace(clock=desk.clock),
            )  # fmt: skip
            lift = await LiftQuestions(cast(Cloud, cloud)).lift("l1")
            assert lift is not None
            assert [visit.level for visit in lift.visits] == [None, 0, 3], "newest first"
            assert lift.visits[2].items == (("inspection-mode", "confirmed"), ("door-cycles", "confirmed"))
            assert lift.visits[0].items == ()
            assert lift.visits[1].reference is not None and lift.visits[1].reference.index == 3
            for visit in lift.visits:
                assert visit.firm is not None and visit.firm.en == "Lift"
                assert (visit.people, visit.has_software_key, visit.was_silent) == (1, True, False)

    run(scenario())


def test_the_api_describes_visits() -> None:
    app = FastAPI()
    app.include_router(visit_router(None, None, None, None, None, None))  # type: ignore[arg-type]  # only described, not called
    paths = app.openapi()["paths"]
    assert set(paths["/v1/visits"]["post"]["responses"]) >= {"200", "400", "403", "404", "413", "422", "429", "503"}
    assert set(paths["/v1/visits/{digest}"]["get"]["responses"]) >= {"200", "400", "404"}
    assert asyncio.iscoroutinefunction(VisitRoom.take)
