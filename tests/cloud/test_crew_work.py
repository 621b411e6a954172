"""Whose devices and people a crew's phone is told of."""

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from cloud.identity.people import Grant
from cloud.identity.roles import Role
from cloud.questions import StoreQuestions
from cloud.web.answers import Person, Title
from contracts.label import label_digest
from contracts.person import key_id_of
from tests.cloud.house import METER_ORIGIN, directory, house

Run = Callable[[Any], Any]
GRANT = Grant(number=1, account=bytes(16), role=Role.CREW, unit=None, firm="A", granted_at_ms=0, ended_at_ms=None)
CREW = Person(key="c", role=Role.CREW, title=Title(zh="", en=""), grant=GRANT)
PACK = "cn-tsg-t5002-2017-a"


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
