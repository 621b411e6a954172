"""Whose devices and people a crew's phone is told of."""

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cloud.chain.records import BindingRecord
from cloud.chain.view import ChainView
from cloud.identity.people import Grant
from cloud.identity.roles import Role
from cloud.questions import StoreQuestions
from cloud.web.answers import Person, Title
from contracts.calls.bindings import ROLE_OWN
from contracts.entry import device_id
from contracts.label import label_digest
from contracts.person import key_id_of
from tests.cloud.house import METER_ORIGIN, UNITS, alias_of, directory, house, urn_of
from tests.visits import CHAIN_ID

Run = Callable[[Any], Any]
GRANT = Grant(number=1, account=bytes(16), role=Role.CREW, unit=None, firm="A", granted_at_ms=0, ended_at_ms=None)
CREW = Person(key="c", role=Role.CREW, title=Title(zh="", en=""), grant=GRANT)
PACK = "cn-tsg-t5002-2017-a"
SPARE = "urn:minglou:cuiyuan:b07:meter:s1-ijklmnop"


def two_firms() -> dict[str, Any]:
    """Each with a lift, a mechanic and, of the site itself, a manager."""
    document, firms = directory(), ("A", "B")
    document["firms"] = [{"number": at, "title": {"zh": one, "en": one}} for at, one in enumerate(firms, 1)]
    document["devices"] += [
        {"urn": f"urn:minglou:cuiyuan:b07:lift:{one}", "kind": "lift", "origin": METER_ORIGIN, "floor": None,
         "title": {"zh": one, "en": one}, "name": f"lift-{one}", "firm": at, "packs": [PACK],
         "labels": [{"place": "car", "digest": label_digest("4k7mq2xd90bz").hex()}]}
        for at, one in enumerate(firms, 1)
    ]  # fmt: skip
    people = (("A", 1, "mechanic"), ("B", 2, "mechanic"), ("site", 0, "manager"))
    document["crew"] = [
        {"alias": sha256(name.encode()).hexdigest(), "public": (sha256(name.encode()).digest() * 2).hex(),
         "firm": {"zh": name, "en": name}, "firm_number": firm, "duty": duty}
        for name, firm, duty in people
    ]  # fmt: skip
    return document


def key_of(name: str) -> str:
    return key_id_of(sha256(name.encode()).digest() * 2).hex()


def test_a_phone_is_told_of_its_own_firms_devices_and_people_and_of_the_sites_managers(
    run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            (tmp_path / "directory.json").write_text(json.dumps(two_firms()))
            ask = StoreQuestions(site.cloud)
            for firm, devices, people in (
                ("A", {"lift-A"}, {"A", "site"}), ("2", {"lift-B"}, {"B", "site"}), ("of old", set(), {"site"}),
                (None, set(), {"site"}),
            ):  # fmt: skip
                viewer = replace(CREW, grant=replace(GRANT, firm=firm))
                work = json.loads(await ask.crew_work(viewer))
                assert {one["name"] for one in work["devices"]} == devices, firm
                assert {one["key_id"] for one in work["people"]} == set(map(key_of, people)), firm
            manager = json.loads(await ask.crew_work(replace(CREW, role=Role.MANAGER, grant=None)))
            assert {one["name"] for one in manager["devices"]} == {"lift-A", "lift-B"}
            assert len(manager["people"]) == 3, "he signs beside any of them"

    run(scenario())


def with_spare(firm: int) -> dict[str, Any]:
    """The first flat's meter is looked after by a firm, and one in stock waits for its place; the second's has none."""
    document = two_firms()
    first, second = document["devices"][:2]
    for meter in (first, second):
        meter |= {"firm": firm, "packs": ["meter-swap"], "register_step": 10,
                  "labels": [{"place": "housing", "digest": label_digest("4k7mq2xd90bz").hex()}]}  # fmt: skip
    document["devices"].append(
        {**first, "urn": SPARE, "device": device_id(SPARE).hex(), "name": "spare", "packs": [],
         "labels": [{"place": "housing", "digest": label_digest("7h3k9q2m4x8r").hex()}]}
    )  # fmt: skip
    return document


def test_a_flats_meter_is_told_to_the_firm_that_swaps_it_and_only_while_another_waits_for_its_place(
    run: Run, tmp_path: Path
) -> None:
    old, flat = device_id(urn_of(UNITS[0])), alias_of(UNITS[0])
    second = device_id(urn_of(UNITS[1]))

    async def scenario() -> None:
        async with house(tmp_path) as site:
            (tmp_path / "directory.json").write_text(json.dumps(with_spare(1)))
            view = ChainView(CHAIN_ID)
            view.bindings = {
                device: [BindingRecord(subject=subject, role=ROLE_OWN, from_date=20261023)]
                for device, subject in ((old, flat), (second, alias_of(UNITS[1])))
            }
            deployment = SimpleNamespace(chain_id=CHAIN_ID, bindings="0x" + "B1" * 20)
            chain: Any = SimpleNamespace(view=view, deployment=deployment, maintenance=None)

            async def work(viewer: Person) -> dict[str, Any]:
                found: dict[str, Any] = json.loads(
                    await StoreQuestions(replace(site.cloud, chain=chain)).crew_work(viewer)
                )
                return found

            told = await work(replace(CREW, grant=replace(GRANT, firm="A")))
            assert told["contracts"]["bindings"] == "0x" + "b1" * 20
            swaps = {one["name"]: one["swap"] for one in told["devices"]}
            assert swaps == {
                "lift-A": None,
                UNITS[0]: {
                    "subject": flat.hex(), "from": "2026-10-23", "opening": 0, "quantity": "1-0:1.8.0", "step": 10,
                    "spares": [{
                        "device": device_id(SPARE).hex(), "name": "spare", "title": {"zh": "翠苑", "en": "Cuiyuan"},
                        "step": 10, "labels": [label_digest("7h3k9q2m4x8r").hex()],
                    }],
                },
            }  # fmt: skip
            others = await work(replace(CREW, grant=replace(GRANT, firm="B")))
            assert {one["name"] for one in others["devices"]} == {"lift-B"}
            manager = await work(replace(CREW, role=Role.MANAGER, grant=None))
            assert [one["swap"] is None for one in manager["devices"] if one["name"] in UNITS] == [False, True]
            view.bindings[device_id(SPARE)] = [BindingRecord(subject=flat, role=ROLE_OWN, from_date=20261201)]
            told = await work(replace(CREW, grant=replace(GRANT, firm="A")))
            assert {one["name"] for one in told["devices"]} == {"lift-A"}, "it hangs now: nothing waits any more"

    run(scenario())


def test_whoever_may_hang_up_meters_is_told_as_such_by_chain_or_file(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            document = two_firms()
            document["crew"][0]["duty"] = "installer"
            (tmp_path / "directory.json").write_text(json.dumps(document))
            told = json.loads(await StoreQuestions(site.cloud).crew_work(replace(CREW, grant=replace(GRANT, firm="A"))))
            assert {one["key_id"]: one["installs"] for one in told["people"]} == {
                key_of("A"): True,
                key_of("site"): False,
            }

    run(scenario())
