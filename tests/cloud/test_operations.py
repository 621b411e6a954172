"""Probes and monitors: what they are told, what they are not told, and who may ask."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import delete, insert
from sqlalchemy.exc import OperationalError

from cloud.app import build_app
from cloud.chain.client import Block
from cloud.chain.deployment import CONTRACTS, Deployment
from cloud.chain.follower import Follower
from cloud.errors import ChainError
from cloud.identity.tokens import Scope
from cloud.lease import Lease
from cloud.operations import readiness as checks
from cloud.service import Cloud, open_cloud
from cloud.settings import load_settings
from cloud.status import ChainStatus
from cloud.store import tables
from tests.provisioning.parties import deployment_text

Run = Callable[[Any], Any]
DEPLOYMENT = cast(Deployment, SimpleNamespace(from_block=1, addresses={}))


@asynccontextmanager
async def open_site(folder: Path, more: str = "") -> AsyncIterator[tuple[Cloud, httpx.AsyncClient]]:
    """A cloud, without a chain where `more` names none, and somebody from elsewhere who asks it."""
    (folder / "cloud.toml").write_text(
        '[cloud]\nlisten = "127.0.0.1:1"\npublic_url = "https://cuiyuan.example"\ndata_dir = "data"\n'
        f'[super_log]\norigin = "cuiyuan.example/log"\n{more}'
    )
    async with open_cloud(load_settings(folder / "cloud.toml")) as cloud:
        transport = httpx.ASGITransport(app=build_app(cloud), client=("203.0.113.7", 4711))
        async with httpx.AsyncClient(transport=transport, base_url="https://cuiyuan.example") as client:
            yield cloud, client


async def monitor(cloud: Cloud) -> dict[str, str]:
    """What a monitor elsewhere sends."""
    now_ms = cloud.settings.clock.now_ms()
    secret, _ = await cloud.tokens.make(None, "prometheus", [Scope.METRICS], days=1, now_ms=now_ms)
    return {"Authorization": f"Bearer {secret}"}


def figures_of(text: str) -> dict[str, float]:
    """Each sample by its name and labels, as Prometheus itself would read it."""
    return {
        ",".join([sample.name, *(f"{key}={value}" for key, value in sorted(sample.labels.items()))]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_cloud_that_can_serve_says_so_with_named_checks(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_site(tmp_path) as (_, client):
            assert (await client.get("/healthz")).text == "ok\n"
            answer = await client.get("/readyz")
            assert (answer.status_code, answer.json()["ready"]) == (200, True)
            assert [check["name"] for check in answer.json()["checks"]] == ["store", "disk"]

    run(scenario())


NOWHERE = "http://127.0.0.1:9"
DOWN = ChainStatus(
    followed_block=0, head_block=0, final_block=0, anchored_size=0, anchored_final_size=0, is_sender=False,
    stopped={}, endpoints={},
)  # fmt: skip


class Node:
    """As much of a chain as the follower asks on an empty one."""

    def __init__(self, *, blocks: int, chain_id: int = 1) -> None:
        self._blocks, self._chain_id = blocks, chain_id

    async def chain_id(self) -> int:
        return self._chain_id

    async def latest(self) -> Block:
        return self._block(self._blocks)

    async def block(self, number: int) -> Block:
        return self._block(number)

    async def logs(self, _block: Block, _addresses: Sequence[str]) -> tuple[()]:
        return ()

    def _block(self, number: int) -> Block:
        hash_, parent = (f"0x{at:064x}" for at in (number, number - 1))
        return Block(number=number, hash=hash_, parent_hash=parent, timestamp=number, base_fee_wei=None, bloom=b"")


def follower_of(cloud: Cloud, node: Node | None = None, *, depth: int = 2) -> Follower:
    return Follower(
        store=cloud.store, client=cast(Any, node), deployment=DEPLOYMENT, clock=cloud.settings.clock, listeners=[],
        finality_depth=depth, chain_id=1,
    )  # fmt: skip


def with_chain(cloud: Cloud, follower: Follower) -> Cloud:
    return replace(cloud, chain=cast(Any, SimpleNamespace(follower=follower, status=lambda: DOWN)))


async def note_cursor(cloud: Cloud, *, followed: int, final: int | None) -> None:
    """What another replica has followed."""
    places = {"followed": followed, "final": final or 0}
    numbers = {f"{which}_number": number for which, number in places.items()}
    hashes = {f"{which}_hash": f"0x{number:064x}" for which, number in places.items()}
    async with cloud.store.write() as connection:
        await connection.execute(delete(tables.chain_cursor))
        await connection.execute(insert(tables.chain_cursor).values(one=1, **numbers, **hashes))


def test_traffic_waits_until_the_chain_was_followed_to_its_newest_blocks_once(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_site(tmp_path) as (cloud, _):
            follower = follower_of(cloud)
            followed = with_chain(cloud, follower)
            await follower.load()
            assert not checks.is_ready(await checks.readiness(followed))
            await note_cursor(cloud, followed=64, final=None)  # of a million, and what was enrolled later is not known
            await follower.load()
            begun, behind = (await checks.readiness(followed))[-2:]
            assert (begun.name, begun.passed, begun.needed) == ("chain_begun", False, True)
            assert "gateways that were enrolled later are not known" in begun.says
            await note_cursor(cloud, followed=1_000_000, final=999_998)
            await follower.load()
            found = await checks.readiness(followed)
            begun, behind = found[-2:]
            assert checks.is_ready(found) and begun.passed
            assert not behind.passed and not behind.needed, "a node that is down is told, and not needed"

    run(scenario())


def test_a_chain_without_a_final_block_is_followed_once_its_head_is_near(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_site(tmp_path) as (cloud, _):
            follower = follower_of(cloud, Node(blocks=150), depth=200)
            await follower.load()
            followed = with_chain(cloud, follower)
            assert await follower.step()
            assert not checks.is_ready(await checks.readiness(followed)), "64 blocks of 150"
            assert await follower.step()
            assert checks.is_ready(await checks.readiness(followed))

    run(scenario())


def test_a_follower_takes_nothing_from_a_node_of_another_chain(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_site(tmp_path) as (cloud, _):
            follower = follower_of(cloud, Node(blocks=3, chain_id=5))
            await follower.load()
            with pytest.raises(ChainError, match="serves chain 5, the settings name 1"):
                await follower.step()
            assert follower.followed[0] == 0

    run(scenario())


def test_a_replica_whose_node_is_away_reads_along_with_the_one_that_follows(run: Run, tmp_path: Path) -> None:
    contracts = {name: f"0x{number:040x}" for number, name in enumerate(CONTRACTS, 1)}
    (tmp_path / "deployment.json").write_text(deployment_text(contracts, from_block=1))

    async def scenario() -> None:
        chain = f'[chain]\nrpc = ["{NOWHERE}"]\nchain_id = 31337\ndeployment_file = "deployment.json"\n'
        async with open_site(tmp_path, chain + "finality_depth = 2\n") as (cloud, _):
            assert cloud.chain is not None
            other = Lease(cloud.store, holder="the replica that follows")
            assert await other.hold()
            (worker,) = [one for one in cloud.chain.workers() if one.name == "follower"]
            await worker.prepare()
            await note_cursor(cloud, followed=70, final=68)
            assert await worker.step()
            assert cloud.chain.follower.followed[0] == 70
            assert checks.is_ready(await checks.readiness(cloud))
            await other.release()

    run(scenario())


def test_a_full_disk_is_told_before_entries_are_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "FREE_BYTES_MIN", 2**62)

    async def scenario() -> None:
        async with open_site(tmp_path) as (_, client):
            answer = await client.get("/readyz")
            failing = [check for check in answer.json()["checks"] if not check["passed"]]
            assert answer.status_code == 503
            assert [check["name"] for check in failing] == ["disk"]
            assert "free at least" in failing[0]["says"]

    run(scenario())


def test_a_database_that_is_gone_is_named_without_its_address(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_site(tmp_path) as (cloud, client):
            headers = await monitor(cloud)
            assert (await client.get("/metrics", headers=headers)).status_code == 200
            await cloud.store.close()
            for path in (tmp_path / "data").glob("cloud.sqlite3*"):
                path.unlink()
            (tmp_path / "data" / "cloud.sqlite3").mkdir()
            before = set(threading.enumerate())
            answer = await client.get("/readyz")
            told = await client.get("/metrics", headers=headers)
            for thread in set(threading.enumerate()) - before:
                # aiosqlite does not wait for the end of one that could not open its file; it needs this loop for it.
                if "_connection_worker_thread" in thread.name:
                    await asyncio.to_thread(thread.join, 60)
            assert answer.status_code == 503
            said = answer.json()["checks"][0]
            assert said["name"] == "store" and "[store] url" in said["says"]
            assert OperationalError.__name__ in said["says"] and str(tmp_path) not in said["says"]
            figures = figures_of(told.text)
            assert (
                figures["minglou_check_passed,check=store,site=cuiyuan.example"] == 0
                and "minglou_entries,site=cuiyuan.example" not in figures
            )

    run(scenario())


def test_prometheus_reads_what_is_stored_refused_and_answered(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_site(tmp_path) as (cloud, client):
            origin = "cuiyuan.example/cuiyuan/b07/e0"
            refused = await client.post(
                f"/v1/logs/{origin}/entries",
                content=b"x",
                headers={"content-type": "application/vnd.minglou.batch", "authorization": "Bearer " + "0" * 64},
            )
            assert refused.status_code == 403
            await client.get("/no/such/page/of/anybody")
            answer = await client.get("/metrics", headers=await monitor(cloud))
            assert answer.headers["content-type"].startswith("text/plain")
            figures = figures_of(answer.text)
            assert figures["minglou_entries,site=cuiyuan.example"] == 0
            assert figures["minglou_check_passed,check=store,site=cuiyuan.example"] == 1
            assert figures["minglou_batches_refused_total,reason=unknown_gateway,site=cuiyuan.example"] == 1
            assert (
                figures[
                    "minglou_http_answer_seconds_count,method=POST,route=/v1/logs/{origin:path}/entries,site=cuiyuan.example,status=4xx"
                ]
                == 1
            )
            assert origin not in answer.text and "anybody" not in answer.text, "paths that strangers chose"

    run(scenario())


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer guess"}, {"Host": "localhost"}])
def test_figures_are_not_for_strangers(run: Run, tmp_path: Path, headers: dict[str, str]) -> None:
    async def scenario() -> None:
        async with open_site(tmp_path) as (_, client):
            answer = await client.get("/metrics", headers=headers)
            assert answer.status_code == 403
            assert "metrics:read" in answer.json()["message"]

    run(scenario())


def test_asking_for_figures_beside_ingest_disturbs_nobody(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_site(tmp_path) as (cloud, client):
            headers = await monitor(cloud)
            answers = await asyncio.gather(*(client.get("/metrics", headers=headers) for _ in range(20)))
            assert {answer.status_code for answer in answers} == {200}

    run(scenario())
