"""The file with all that is kept about one flat: the flat's own, its people's time, nobody else's, and told of.

That its bills and evidence hold for the public verifier is part of the month in `test_billing`.
"""

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx

from cloud.chain.records import KeyRecord
from cloud.chain.view import ChainView
from cloud.evidence import EvidenceRoom
from cloud.exports.personal import PersonalFile
from cloud.exports.portion import Source
from cloud.identity.audit import Act
from cloud.identity.roles import Role
from cloud.identity.tokens import Scope
from cloud.ingest import Ingest, IngestLimits
from cloud.questions import StoreQuestions
from cloud.web.answers import BillState, BillSummary, Person, Title
from contracts.entry import Kind, decode_entry, device_id
from contracts.onchain import origin_id
from contracts.tree import leaf_hash
from tests.cloud.conftest import HeldKeys, sending
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.house import House, alias_of, house, urn_of
from tests.cloud.test_identity import HOUR_MS

Run = Callable[[Any], Any]
OWN, OTHER = "b07-0501", "b07-0502"
REGISTER = "1-0:1.8.0"


async def log_readings(site: House, gateway: SimulatedGateway) -> None:
    """Six readings of either flat, an hour apart from now on, by the gateway that the directory names."""
    for at in range(6):
        for flat, value in ((OWN, 5_550_001 + at), (OTHER, 9_990_001 + at)):
            at_ms, detail = site.clock.at_ms + at * HOUR_MS, {"source": f"poll of {flat}"}
            gateway.log(Kind.READING, urn_of(flat), REGISTER, value, detail=detail, at_ms=at_ms)
    await send(site, gateway)


async def send(site: House, gateway: SimulatedGateway) -> None:
    """All that a gateway has logged; what is held is compared."""
    keys = HeldKeys()
    keys.enrol(gateway)
    ingest = Ingest(store=site.cloud.store, keys=keys, clock=site.clock, limits=IngestLimits())
    async with sending(ingest):
        await ingest.submit(gateway.origin, gateway.token, gateway.batch())


async def members(asker: httpx.AsyncClient, **options: Any) -> dict[str, bytes]:
    answer = await asker.get("/v1/personal.zip", **options)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip"), answer.text
    with ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def readings(held: dict[str, bytes]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(held["readings.csv"].decode())))


def test_a_flats_owner_gets_all_of_it_and_nothing_of_another(run: Run, tmp_path: Path, store_url: str) -> None:
    gateway = SimulatedGateway()

    async def scene() -> None:
        async with house(tmp_path, store_url=store_url) as site:
            await log_readings(site, gateway)
            owner = await site.member(Role.OWNER, OWN)
            assert 'href="/v1/personal.zip"' in (await owner.get("/account")).text
            held = await members(owner)
            assert [int(row["value"]) for row in readings(held)] == [5_550_001 + at for at in range(6)]
            for row in readings(held):
                entry = gateway.entries[int(row["entry_index"])]
                assert row["leaf_sha256"] == leaf_hash(entry).hex(), "which stands in the gateway's tree"
                assert row["salt_hex"] == decode_entry(entry).salt.hex()
            everything = b"".join(held.values())
            strange = [OTHER, "9990001", device_id(urn_of(OTHER)).hex(), alias_of(OTHER).hex()]
            assert not [word for word in strange if word.encode() in everything]
            assert "您家" in held["README.txt"].decode() and "your flat" in held["README.txt"].decode()
            told = json.loads(held["person.json"])
            assert (told["flat"], told["role"], len(told["passkeys"]), len(told["sessions"])) == (OWN, "owner", 1, 1)
            looks = json.loads(held["looks.json"])["entries"]
            assert [one["what"] for one in looks if one["act"] == "exported"] == ["personal.zip"]
            await _polled(site, owner)
            told = json.loads((await members(owner))["looks.json"])
            assert {one["act"] for one in told["programs"]} == {"token_looked"} and len(told["programs"]) == 1
            assert not [one for one in told["entries"] if one["act"] == "token_looked"]

    run(scene())


async def _polled(site: House, owner: httpx.AsyncClient) -> None:
    """A program of the owner's looks at the flat."""
    page = (await owner.post("/account/tokens", data={"name": "panel", "days": "9"})).text
    token = re.findall(r'id="token-secret">(mlt_[\w-]{43})<', page)[0]
    headers = {"authorization": f"Bearer {token}"}
    assert (await site.browser(peer="192.0.2.7").get("/v1/own", headers=headers)).status_code == 200


def test_a_tenant_gets_their_own_time_alone(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        async with house(tmp_path) as site:
            await log_readings(site, SimulatedGateway())
            site.clock.at_ms += 3 * HOUR_MS
            held = await members(await site.member(Role.TENANT, OWN))
            assert [int(row["value"]) for row in readings(held)] == [5_550_004, 5_550_005, 5_550_006]
            assert not {"bills.csv", "payments.csv", "disputes.json"} & held.keys(), "they are the owner's"

    run(scene())


def test_the_proofs_in_a_tenants_file_are_one_look_and_not_one_each(run: Run, tmp_path: Path) -> None:
    gateway = SimulatedGateway()

    async def scene() -> None:
        async with house(tmp_path) as site:
            at_ms = site.clock.at_ms
            for day in (20261001, 20261101):
                gateway.log(Kind.READING, urn_of(OWN), f"{REGISTER}*{day}", day, at_ms=at_ms)
            before = gateway.log(Kind.READING, urn_of(OWN), f"{REGISTER}*20261101", 1, at_ms=at_ms - 1)
            await log_readings(site, gateway)
            view = ChainView(31337)
            view.keys[origin_id(gateway.origin)] = [
                KeyRecord(public=gateway.public, key_class="file", from_block=1, to_block=None)
            ]
            room = EvidenceRoom(store=site.cloud.store, view=view, deployment=None, super_origin="h/log")
            cloud = replace(site.cloud, evidence=room)
            tenant = Person(key="t", role=Role.TENANT, title=Title(zh="", en=""), units=(OWN,), since_ms=at_ms)
            source = Source(store=cloud.store, directory=cloud.directory.read(), view=_no_chain, deployment=None)
            file = PersonalFile(cloud, StoreQuestions(cloud), source, tenant)
            bill = BillSummary(
                unit=OWN, period="2026100120261101", opening=date(2026, 10, 1), closing=date(2026, 11, 1),
                total_fen=1, state=BillState.OPEN,
            )  # fmt: skip
            proofs = [member.name async for member in file._evidence([bill])]
            assert len(proofs) == 2 and not any(name.endswith(f"_{before}.json") for name in proofs)
            looks = await cloud.identity.audit.of_unit(alias_of(OWN), from_ms=0, count=100)
            assert not [one for one in looks if one.act is Act.LOOKED], "the whole file is told as one export"

    run(scene())


async def _no_chain() -> ChainView:
    return ChainView(0)


def test_it_leaves_by_passkey_or_an_operators_token_and_for_nobody_else(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        async with house(tmp_path) as site:
            manager, now_ms = await site.member(Role.MANAGER), site.clock.at_ms
            made = await site.browser().post("/join/codes", data={"code": await site.letter(Role.OWNER, OWN)})
            code = re.findall(r"<li><code>([0-9A-Z-]{19})</code>", made.text)[0]
            reader = site.browser()
            assert (await reader.post("/signin/code", data={"code": code})).status_code == 303
            for asker, error in ((site.browser(), "not_yours"), (manager, "not_yours"), (reader, "needs_passkey")):
                refused = await asker.get("/v1/personal.zip")
                assert (refused.status_code, refused.json()["error"]) == (403, error)
            token, _ = await site.cloud.tokens.make(None, "request desk", [Scope.EXPORTS], days=1, now_ms=now_ms)
            desk, headers = site.browser(), {"Authorization": f"Bearer {token}"}
            held = await members(desk, params={"unit": OWN}, headers=headers)
            assert "passkeys" not in json.loads(held["person.json"]), "an account is its holder's"
            assert (await desk.get("/v1/personal.zip?unit=b07-9999", headers=headers)).status_code == 403
            told = await site.cloud.identity.audit.of_unit(alias_of(OWN))
            assert "request desk: personal.zip" in [one.what for one in told]

    run(scene())
