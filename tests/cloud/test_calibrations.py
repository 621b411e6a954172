"""The days on which meters' calibration ends, by batch, and whose they are."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from cloud.directory import DirectoryFile
from cloud.identity.people import Grant
from cloud.identity.roles import Role
from cloud.questions import StoreQuestions
from cloud.service import Cloud
from cloud.web.answers import Person, Title
from tests.cloud.conftest import open_bench
from tests.cloud.test_clock import Run, site_file
from tests.cloud.test_visits import Clock


def test_calibrations_end_by_batch_and_flats_meters_are_the_managers_alone(tmp_path: Path, run: Run) -> None:
    site = site_file()
    place = {key: site["devices"][0][key] for key in ("origin", "floor", "building", "title")}

    def counts(name: str, until: str | None, *, kind: str = "meter", **more: Any) -> dict[str, Any]:
        urn, dated = f"urn:minglou:site:b07:meter:{name}", {"calibration_until": until} if until else {}
        return {**place, "urn": urn, "kind": kind, "name": name, **dated, **more}

    flat = {"counts_for": {"unit": "aa" * 32}}
    site["devices"] = [
        counts("0501", "2030-01-01", **flat), counts("0502", "2030-01-01", **flat),
        counts("0503", "2031-01-01", **flat), counts("0504", None, **flat),
        counts("stairs", "2030-01-01", firm=7), counts("pump", "1999-12-31", firm=8),
        counts("w1", "2030-01-01", kind="water", firm=7), counts("w2", None, kind="water", firm=7),
    ]  # fmt: skip
    site["firms"].append({"number": 8, "title": {"zh": "另一家", "en": "Another"}})
    (tmp_path / "directory.json").write_text(json.dumps(site))

    async def scenario() -> None:
        async with open_bench(tmp_path / "cloud.sqlite3") as bench:
            directory, settings = DirectoryFile(tmp_path / "directory.json"), SimpleNamespace(clock=Clock())
            cloud = SimpleNamespace(store=bench.store, directory=directory, chain=None, settings=settings)
            ask = StoreQuestions(cast(Cloud, cloud))
            common = [("1999-12-31", "meter", 1), ("2030-01-01", "meter", 1), ("2030-01-01", "water", 1)]
            all_of_them = [common[0], ("2030-01-01", "meter", 3), common[2], ("2031-01-01", "meter", 1)]
            for role, firm, expected in (
                (Role.MANAGER, None, all_of_them),
                (Role.COMMITTEE, None, common),
                (Role.REGULATOR, None, common),
                (Role.CREW, "7", common[1:]),
                (Role.FIRM, "Another", common[:1]),
                (Role.FIRM, "nobody", []),
            ):
                grant = Grant(
                    number=1, account=b"a" * 16, role=role, unit=None, firm=firm, granted_at_ms=0, ended_at_ms=None
                )
                found = await ask.work(Person(key="p", role=role, title=Title(zh="", en=""), grant=grant))
                assert found is not None
                ends = [(one.until.isoformat(), one.kind, len(one.titles)) for one in found.calibrations]
                assert ends == expected, (role, firm)
            owner = Person(key="o", role=Role.OWNER, title=Title(zh="", en=""), units=("0501",))
            assert await ask.work(owner) is None, "a flat's page tells until when its own meter is calibrated"

    run(scenario())
