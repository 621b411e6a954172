"""The whole cloud in its own process: gateways talk to it over sockets, and it survives being killed."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.entry import device_id
from contracts.trust import parse_trust
from contracts.verifier import verify_evidence
from tests.cloud.chain_site import ChainSite
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.served import ServedCloud, serving
from tests.conftest import Endpoint
from tests.processes import wait_until

BATCH = 4
METER = "urn:minglou:cuiyuan:b07:meter:0101-abc"


def with_site(url: str, scenario: Callable[[ChainSite], Any]) -> Any:
    """Run one coroutine with a freshly deployed site."""

    async def whole() -> Any:
        site = await ChainSite.deploy(url)
        try:
            return await scenario(site)
        finally:
            await site.close()

    return asyncio.run(whole())


def status(cloud: ServedCloud) -> dict[str, Any]:
    found: dict[str, Any] = cloud.get("/v1/status").json()
    return found


@pytest.mark.timeout(600)
def test_a_gateway_enrols_sends_is_anchored_told_so_and_proven(tmp_path: Path, anvil: Endpoint) -> None:
    gateway = SimulatedGateway()
    gateway.log_readings(20)

    async def scenario(site: ChainSite) -> None:
        await site.enrol(gateway, device_id(METER), device_id(gateway.urn))
        with serving(tmp_path, site) as cloud:
            wait_until(lambda: cloud.post(gateway, 0, 5).status_code == 200, seconds=20, what="the first batch")
            assert cloud.post(gateway, 5).json() == {"size": 21}
            assert cloud.get(f"/v1/logs/{gateway.origin}", token=gateway.token.hex()).json()["size"] == 21
            for _ in range(40):
                await site.mine()
                await asyncio.sleep(0.1)
                if status(cloud)["anchored_final_size"] == 2:
                    break
            answer = cloud.get(
                f"/v1/gateways/{gateway.origin}/mail", token=gateway.token.hex(), after=0, wait=10
            ).json()
            kinds = {message["kind"]: message["body"] for message in answer["messages"]}
            assert kinds["anchored"] == {"size": "21"} and kinds["block"]["chain_id"] == "31337"
            trust = parse_trust((tmp_path / "trust.json").read_bytes())
            for index in (0, 7, 20):
                file = cloud.get(f"/v1/evidence/{gateway.origin}/{index}", cloud.program_token).content
                report = verify_evidence(file, trust)
                assert not [check for check in report.checks if check.outcome == "failed"], report.checks
                assert json.loads(file)["anchor"] is not None
            assert cloud.get(f"/v1/evidence/{gateway.origin}/7", token=None).status_code == 403, "a household's reading"
            assert cloud.get(f"/v1/evidence/{gateway.origin}/0", token=None).status_code == 200
            assert cloud.get("/log/checkpoint").text.startswith("demo.minglou.example/log\n2\n")
            assert cloud.program.stop() == 0, cloud.program.said()

    with_site(anvil.url, scenario)


@pytest.mark.timeout(600)
def test_what_was_answered_survives_kill_9_in_mid_ingest(tmp_path: Path, anvil: Endpoint) -> None:
    gateway = SimulatedGateway()
    gateway.log_readings(2_000)

    async def scenario(site: ChainSite) -> None:
        await site.enrol(gateway)
        with serving(tmp_path, site) as cloud:
            wait_until(lambda: cloud.post(gateway, 0, 1).status_code == 200, seconds=20, what="the first batch")
            answered = 1
            for _ in range(2):
                pump = asyncio.create_task(asyncio.to_thread(pump_until_killed, cloud, gateway, answered))
                await asyncio.sleep(1.5)
                cloud.program.kill()
                answered = await pump
                cloud.program.restart()
                wait_until(lambda: answers(cloud), seconds=60, what="the restarted cloud")
                size = cloud.get(f"/v1/logs/{gateway.origin}", token=gateway.token.hex()).json()["size"]
                # The batch that was under way may be held although its answer was lost; it is held whole or not at all.
                assert size in (answered, answered + BATCH), f"answered {answered}, held {size}"
                answered = size
            assert cloud.post(gateway, answered - BATCH, answered).json() == {"size": answered}, (
                "sent again, not doubled"
            )
            for _ in range(60):
                await site.mine()
                await asyncio.sleep(0.1)
                found = status(cloud)
                if found["anchored_size"] == found["super_size"]:
                    break
            assert found["entries"] == answered
            assert found["anchored_size"] == found["super_size"] == 1 + (answered - 1) // BATCH

    with_site(anvil.url, scenario)


def pump_until_killed(cloud: ServedCloud, gateway: SimulatedGateway, held: int) -> int:
    """Post batch after batch until the cloud dies under it; the last size that was answered."""
    while held + BATCH <= gateway.size:
        try:
            held = cloud.post(gateway, held, held + BATCH).json()["size"]
        except httpx.TransportError:
            break
    return held


def answers(cloud: ServedCloud) -> bool:
    try:
        return cloud.get("/v1/status").status_code == 200
    except httpx.TransportError:
        return False


def test_bad_requests_are_refused_over_http_with_codes_and_remedies(tmp_path: Path, anvil: Endpoint) -> None:
    gateway = SimulatedGateway()
    gateway.log_readings(3)
    stranger = SimulatedGateway(origin="demo.minglou.example/cuiyuan/b09/e0")

    async def scenario(site: ChainSite) -> None:
        await site.enrol(gateway)
        with serving(tmp_path, site) as cloud:
            wait_until(lambda: cloud.post(gateway, 0, 2).status_code == 200, seconds=20, what="the first batch")
            cases = [
                (cloud.post(gateway, body=bytes(4 * 1024 * 1024 + 1)), 413, "too_large"),
                (cloud.post(gateway, body=b"x"), 400, "malformed"),
                (cloud.post(stranger), 403, "unknown_gateway"),
                (cloud.post(gateway, 3), 409, "gap"),
                (cloud.get(f"/v1/logs/{gateway.origin}", token="00" * 32), 401, "bad_token"),
                (cloud.get(f"/v1/logs/{stranger.origin}", token="00" * 32), 404, "unknown_log"),
                (cloud.get(f"/v1/logs/{gateway.origin}/entries", token=None), 401, "bad_token"),
                (cloud.get(f"/v1/gateways/{stranger.origin}/mail", token="00" * 32), 403, "not_enrolled"),
            ]
            for answer, code, word in cases:
                assert (answer.status_code, answer.json()["error"]) == (code, word)
                assert len(answer.json()["message"]) > 20
            assert cloud.post(gateway, 2).json() == {"size": 4}
            assert cloud.get("/openapi.json").json()["paths"]["/v1/logs/{origin}/entries"]["post"]["responses"]["409"]

    with_site(anvil.url, scenario)
