"""`kill -9` of the gateway at seeded moments while visits arrive: each is judged exactly once, with its true level.

They bring their lists and a display's codes, each of them twice: whatever is killed when, a code serves one visit.
"""

import os
import random
import time
from pathlib import Path

import pytest

from contracts.bundle import bundle_to_json
from contracts.entry import Kind, device_id
from contracts.rotating import SLOT_S, Moment, token
from edge.presence import DisplaySecrets
from tests.bundles import bundle_of
from tests.edge.cloud_stub import CloudStub
from tests.edge.site import ORIGIN, Site
from tests.edge.test_visits import HOUR_MS, add_lift, publish
from tests.processes import wait_until
from tests.visits import LIFT

BASE = int(os.environ.get("MINGLOU_SEED_BASE", "0"))
SEEDS = int(os.environ.get("MINGLOU_SEEDS", "1"))  # each takes ten seconds: real processes, four starts
KILLS, VISITS_EACH = 3, 3
DISPLAY, SECRET = "urn:minglou:site:b01:display:d1", bytes(range(32))


def add_display(site: Site) -> None:
    """A paired display beside the lift."""
    site.tables.append(
        f'[[device]]\nurn="{DISPLAY}"\nprofile="display-json"\nmqtt="endpoint"\ntopic="t/d1"\nusername="d1"\n'
        f'of=["{LIFT}"]\n'
    )
    DisplaySecrets(site.data_dir).keep(device_id(DISPLAY), SECRET)


def shown(at_s: int) -> Moment:
    return Moment(at_s // SLOT_S, token(SECRET, device_id(LIFT), at_s // SLOT_S))


@pytest.mark.parametrize("seed", range(BASE, BASE + SEEDS))
def test_a_gateway_killed_between_mail_and_log_judges_every_visit_once(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    site = Site(directory=tmp_path / "gateway")
    add_display(site)
    add_lift(site)
    start_ms = (int(time.time()) - 30 * 3600) * 1000
    levels: dict[bytes, int] = {}
    shown_before: set[int] = set()
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running() as process:
            publish(site, start_ms, is_visited=True)
            publish(site, start_ms + 4 * HOUR_MS, is_visited=False, first=100)
            for _ in range(KILLS):
                for _ in range(VISITS_EACH):
                    salt, is_true = len(levels), rng.random() < 0.5
                    start_s = start_ms // 1000 + (0 if is_true else 2 * 3600)
                    moment = shown(start_s + 60 * (salt // 2))
                    codes = [(0, moment)] if is_true else []
                    bundle = bundle_of(start_s, codes=codes, salt=salt)
                    # Where a display is paired, the highest level takes a code that served no other visit.
                    levels[bundle.visit.digest()] = 0 if not is_true else 2 if moment.slot in shown_before else 3
                    shown_before |= {moment.slot} if is_true else set()
                    cloud.mail.append({"number": salt + 1, "kind": "visit", "body": bundle_to_json(bundle)})
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
        proofs = [cloud.log(ORIGIN).fields(at + 1)["facts"]["presence"] for at, one in judged if one.value]
        spent = [mark for proof in proofs for mark in proof.get("spent", ())]
        assert len(spent) == len(set(spent)), "a code served two visits"
        assert sum(proof.get("used", 0) for proof in proofs) == len(proofs) - len(spent)
        assert all(("confirmed" in proof["signers"]) == ("spent" in proof) for proof in proofs)
        assert cloud.refusals == [], cloud.refusals
