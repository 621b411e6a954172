"""`kill -9` of the gateway at seeded moments while visits arrive: each is judged exactly once, with its true level."""

import os
import random
import time
from pathlib import Path

import pytest

from contracts.entry import Kind
from tests.edge.cloud_stub import CloudStub
from tests.edge.site import ORIGIN, Site
from tests.edge.test_visits import HOUR_MS, add_lift, publish
from tests.processes import wait_until
from tests.visits import mailed, signed, visit_of

BASE = int(os.environ.get("MINGLOU_SEED_BASE", "0"))
SEEDS = int(os.environ.get("MINGLOU_SEEDS", "1"))  # each takes ten seconds: real processes, four starts
KILLS, VISITS_EACH = 3, 3


@pytest.mark.parametrize("seed", range(BASE, BASE + SEEDS))
def test_a_gateway_killed_between_mail_and_log_judges_every_visit_once(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    site = Site(directory=tmp_path / "gateway")
    add_lift(site)
    start_ms = (int(time.time()) - 30 * 3600) * 1000
    levels: dict[bytes, int] = {}
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running() as process:
            publish(site, start_ms, is_visited=True)
            publish(site, start_ms + 4 * HOUR_MS, is_visited=False, first=100)
            for _ in range(KILLS):
                for _ in range(VISITS_EACH):
                    salt, is_true = len(levels), rng.random() < 0.5
                    visit = signed(visit_of(start_ms // 1000 + (0 if is_true else 2 * 3600), salt=salt))
                    levels[visit.visit.digest()] = 3 if is_true else 0
                    cloud.mail.append(mailed(salt + 1, visit))
                time.sleep(rng.random() * 0.5)
                process.kill()
                site.restart(process)
            wait_until(
                lambda: len([one for one in list(cloud.log(ORIGIN).entries) if one.kind is Kind.VISIT]) >= len(levels),
                seconds=20, what="all verdicts",
            )  # fmt: skip
            wait_until(lambda: cloud.size(ORIGIN) >= site.status()["entries"], seconds=20, what="the whole log")
        entries = cloud.log(ORIGIN).entries
        judged = [(at, one) for at, one in enumerate(entries) if one.kind is Kind.VISIT]
        assert {one.detail_digest: one.value for _, one in judged} == levels
        assert len(judged) == len(levels), "one of them was judged twice"
        for at, one in judged:
            verdict = entries[at + 1]
            assert (verdict.quantity, verdict.value) == ("visit.verdict", one.value)
            assert cloud.log(ORIGIN).fields(at + 1)["visit"] == one.detail_digest.hex()
        assert cloud.refusals == [], cloud.refusals
