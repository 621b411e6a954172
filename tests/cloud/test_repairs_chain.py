"""A household's repair on a real chain: reported with the flat's key, done, sent back, and confirmed."""

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cloud.directory import DirectoryFile
from cloud.identity.roles import Role
from cloud.maintenance.repair_photos import RepairPhotos
from cloud.questions import StoreQuestions
from cloud.service import Cloud
from cloud.web.answers import Person, Title
from contracts import p256
from contracts.calls import work_orders
from contracts.detail import detail_digest, encode_detail
from contracts.entry import device_id
from contracts.person import Purpose
from contracts.repair import Report
from tests.cloud.maintenance_site import Upkeep, open_upkeep
from tests.cloud.test_machine_orders_chain import HOUR, accepted, finished, relay
from tests.conftest import Endpoint
from tests.visits import LIFT

Run = Callable[[Any], Any]
pytestmark = pytest.mark.usefixtures("agreed")
ALIAS, LETTER, DOOR = sha256(b"unit 0501").digest(), sha256(b"letter").digest(), "b07-0501"
OWNER_KEY = p256.key_from_secret(4242)
OWNER = Person(key="o", role=Role.OWNER, title=Title(zh="", en=""), units=(DOOR,))
TENANT = replace(OWNER, key="t", role=Role.TENANT)


async def with_flat(upkeep: Upkeep, folder: Path) -> StoreQuestions:
    """What pages ask, of a site with one flat whose owner has a key."""
    public = p256.public_bytes(OWNER_KEY)
    x, y = int.from_bytes(public[:32]), int.from_bytes(public[32:])
    await upkeep.site.change(("Roll", "add_units", [(ALIAS, 8_900, 0, 0, 7, 1)]))
    await upkeep.site.send("committee", "Roll", "post_letters", [ALIAS], [sha256(LETTER).digest()])
    await upkeep.site.change(("Roll", "add_owner_key", ALIAS, x, y, 2, 0, LETTER))
    await upkeep.tell_time()
    await upkeep.chain.follow()
    place = folder / "directory.json"
    document = json.loads(place.read_text())
    words = {"zh": "7幢 501室", "en": "Flat 501"}
    unit = {"index": 0, "name": DOOR, "building": "b07", "floor": 5, "alias": ALIAS.hex(), "area_centi_m2": 8_900}
    document["units"] = [{**unit, "title": words}]
    place.write_text(json.dumps(document))
    chain = SimpleNamespace(
        maintenance=upkeep.view, view=upkeep.chain.view, deployment=upkeep.site.deployment, upkeep=upkeep.chain.upkeep
    )
    settings = SimpleNamespace(clock=upkeep.clock)
    store = upkeep.chain.bench.store
    cloud = SimpleNamespace(
        store=store, directory=DirectoryFile(place), chain=chain, settings=settings,
        repair_photos=RepairPhotos(store=store, folder=folder / "photos"),
    )  # fmt: skip
    return StoreQuestions(cast(Cloud, cloud))


def reported(upkeep: Upkeep, detail: bytes) -> bytes:
    """The owner's signature over a report's words."""
    at, device, digest = upkeep.site.deployment.work_orders, device_id(LIFT), detail_digest(detail)
    signature = upkeep.sign_act(OWNER_KEY, at, Purpose.REPORT_WORK, device, digest)
    return upkeep.act(work_orders.report(at, device=device, report=digest, signature=signature), "WorkOrders", "report")


def confirmed(upkeep: Upkeep, order: bytes, round_: int) -> bytes:
    at = upkeep.site.deployment.work_orders
    signature = upkeep.sign_act(OWNER_KEY, at, Purpose.CONFIRM_WORK, order, round_)
    return upkeep.act(work_orders.confirm(at, order=order, signature=signature), "WorkOrders", "confirm")


def reopened(upkeep: Upkeep, order: bytes, reason: bytes, round_: int) -> bytes:
    at = upkeep.site.deployment.work_orders
    signature = upkeep.sign_act(OWNER_KEY, at, Purpose.REOPEN_WORK, order, reason, round_)
    return upkeep.act(work_orders.reopen(at, order=order, reason=reason, signature=signature), "WorkOrders", "reopen")


def test_a_tenants_words_become_an_order_that_its_owner_signs_sends_back_and_confirms(
    run: Run, tmp_path: Path, kept: str, anvil: Endpoint
) -> None:
    async def scenario() -> None:
        async with open_upkeep(tmp_path, kept, anvil.url) as upkeep:
            ask = await with_flat(upkeep, tmp_path)
            told = await ask.tell_repair(TENANT, DOOR, device_id(LIFT).hex(), "car", "门开两次")
            name = bytes.fromhex(told.name)

            async def state() -> str:
                await upkeep.settle(2)
                found = await ask.repair(OWNER, name)
                assert found is not None and found.by_tenant and found.says == "门开两次"
                return found.state

            assert (told.code, await state()) == ("told", "told")
            repair = await ask.repair(OWNER, name)
            assert repair is not None and repair.terms is not None
            detail = repair.detail.encode()
            assert (await ask.report_repair(TENANT, DOOR, detail, reported(upkeep, detail))).code == "no_key"
            other = Report(device=device_id(LIFT), place="", says="else", at_s=1).encode(salt=bytes(16))
            assert (await ask.report_repair(OWNER, DOOR, detail, reported(upkeep, other))).code == "other_act"
            sent = await ask.report_repair(OWNER, DOOR, detail, reported(upkeep, detail))
            assert (sent.code, sent.name) == ("sent", told.name)
            await upkeep.settle_until(lambda: name in upkeep.view.book.orders)
            assert await state() == "reported"
            await relay(upkeep, accepted(upkeep, name, await upkeep.tell_time() + 2 * HOUR))
            assert await state() == "accepted"
            await relay(upkeep, finished(upkeep, name))
            assert await state() == "done"
            reason = encode_detail({"kind": "reopen", "order": told.name, "says": "still"}, salt=bytes(16))
            act = reopened(upkeep, name, detail_digest(reason), 0)
            assert (await ask.answer_repair(OWNER, name, reason, act)).code == "sent"
            assert await state() == "accepted"
            await relay(upkeep, finished(upkeep, name, 1))
            assert await state() == "done"
            assert (await ask.answer_repair(OWNER, name, None, act)).code == "other_act", "a reason goes with its words"
            assert (await ask.answer_repair(OWNER, name, None, confirmed(upkeep, name, 1))).code == "sent"
            assert await state() == "confirmed"
            manager = Person(key="m", role=Role.MANAGER, title=Title(zh="", en=""))
            order = await ask.order(manager, name)
            assert order is not None and (order.where, order.words) == ("car", ("门开两次", "still"))

    run(scenario())
