"""The files for Prometheus and Grafana: parsed, and every figure that they name is one that a cloud gives."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from cloud.operations import readiness as checks
from cloud.operations.metrics import chain_families
from cloud.operations.waits import read_waits
from cloud.settings import CopySettings
from cloud.status import ChainStatus
from contracts import ed25519
from contracts.copy_note import CopyKeeper
from tests.cloud.conftest import open_bench
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.test_operations import figures_of, follower_of, monitor, open_site, with_chain
from tests.processes import REPOSITORY

Run = Callable[[Any], Any]
DEPLOY = REPOSITORY / "cloud" / "deploy"
RULES: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "minglou.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
OF_PROMETHEUS = {"up"}
CHAIN = ChainStatus(
    followed_block=1, head_block=1, final_block=1, anchored_size=0, anchored_final_size=0, is_sender=True,
    stopped={}, endpoints={"http://127.0.0.1:8545": "believed"},
)  # fmt: skip


def selectors(expression: str) -> Iterator[promql_parser.VectorSelector]:
    """Every series that an expression asks for."""
    pending = [promql_parser.parse(expression)]
    while pending:
        node = pending.pop()
        if isinstance(node, promql_parser.VectorSelector):
            yield node
        for name in ("expr", "lhs", "rhs", "args", "vector_selector", "param"):
            found = getattr(node, name, None)
            pending += found if isinstance(found, list) else [] if found is None else [found]


def test_every_figure_in_rules_and_dashboard_is_given_by_a_cloud(run: Run, tmp_path: Path) -> None:
    given = {sample.name for family in chain_families(CHAIN) for sample in family.samples}

    async def scenario() -> None:
        async with open_site(tmp_path) as (cloud, client):
            text = (await client.get("/metrics", headers=await monitor(cloud))).text
            given.update(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
            given.update(name.partition(",")[0] for name in figures_of(text))

    run(scenario())
    asked = {one.name for expression in [*QUERIES, *(rule["expr"] for rule in RULES)] for one in selectors(expression)}
    assert len(asked) > 20
    unknown = {name for name in asked if re.sub(r"_(bucket|count)$", "", name) not in given | OF_PROMETHEUS}
    assert unknown - given == set()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_parses_waits_and_leads_to_its_page(rule: dict[str, Any]) -> None:
    assert promql_parser.parse(rule["expr"])
    assert re.fullmatch(r"Minglou[A-Z][A-Za-z]+", rule["alert"])
    assert re.fullmatch(r"[0-9]+[mh]", rule["for"])
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"] and rule["annotations"]["runbook"] == f"docs/runbook/{rule['alert']}.md"
    assert rule["alert"] in (REPOSITORY / rule["annotations"]["runbook"]).read_text(encoding="utf-8")


def test_the_alert_on_what_is_needed_leaves_out_no_check_that_is(run: Run, tmp_path: Path) -> None:
    (alert,) = [rule for rule in RULES if rule["alert"] == "MinglouNotReady"]
    left_out = set(re.findall(r'check!="([a-z_]+)"', alert["expr"]))

    async def scenario() -> None:
        async with open_site(tmp_path) as (cloud, _):
            found = await checks.readiness(with_chain(cloud, follower_of(cloud)))
            assert {one.name for one in found if one.needed and not one.passed} == {"chain_begun"}
            assert left_out and not left_out & {one.name for one in found if one.needed}

    run(scenario())


def test_panels_do_not_overlap_and_ask_the_chosen_source() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_a_copy_that_never_acknowledged_is_behind_by_everything(run: Run, tmp_path: Path) -> None:
    public = ed25519.public_bytes(ed25519.key_from_seed(bytes(32)))
    copy = CopySettings(keeper=CopyKeeper(name="committee.example/copy", public=public), token_file=tmp_path / "t")
    gateway = SimulatedGateway()
    gateway.log_readings(9)

    async def scenario() -> None:
        async with open_bench(tmp_path / "cloud.sqlite3") as bench:
            bench.keys.enrol(gateway)
            await bench.send(gateway)
            waits = await read_waits(bench.store, now_ms=2**42, copies=[copy])
            assert waits.copies["committee.example/copy"].entries == 10
            assert waits.copies["committee.example/copy"].seconds > 86_400
            assert waits.silent_logs == 1

    run(scenario())
