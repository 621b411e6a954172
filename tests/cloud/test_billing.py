"""A month from boundary entries to debits: drafted, padded, posted, flagged, challenged, corrected by the contract."""

import asyncio
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from cloud.web.figures import money
from contracts import p256
from contracts.bill import share
from contracts.bill_file import bill_from_json
from contracts.person import Purpose
from contracts.tariff import Terms
from tests.cloud.api_calls import answers_are_as_described
from tests.cloud.exported_month import exports_tell_the_month, personal_file_tells_the_flat
from tests.cloud.month import AREAS, COMMON, FLAT, REGISTERS, Month
from tests.cloud.served import ServedCloud, minglou, serving
from tests.cloud.test_serving import with_site
from tests.conftest import Endpoint
from tests.processes import wait_until

PADDED_UNIT, PADDING_WH = 1, 100_000


def fen(terms: Terms, used: int) -> int:
    return terms.seasons[0].charge(used=[used])


def own_fen(unit: int) -> int:
    opening, closing = REGISTERS[unit]
    return fen(FLAT, closing - opening)


def shared_fen(unit: int) -> int:
    opening, closing = REGISTERS[3]
    return share(fen(COMMON, closing - opening), sum(AREAS[:unit]), AREAS[unit], sum(AREAS))


def billing(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [minglou(), "billing", *map(str, words)], cwd=folder, capture_output=True, text=True, timeout=280, check=False
    )


def rebuild_store(folder: Path) -> subprocess.CompletedProcess[str]:
    """The whole store anew, from segments and the chain, beside the present one."""
    command = [minglou(), "cloud", "rebuild", "--config", "cloud.toml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def sign_in(cloud: ServedCloud, token: bytes) -> httpx.Client:
    import base64

    client = httpx.Client(base_url=f"http://localhost:{cloud.port}", trust_env=False, timeout=280)
    answer = client.post(
        "/signin",
        json={"token": base64.urlsafe_b64encode(token).rstrip(b"=").decode()},
        headers={"Origin": f"http://localhost:{cloud.port}"},
    )
    assert answer.status_code == 200, answer.text
    return client


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_padded_bill_is_flagged_challenged_and_corrected_and_the_rest_is_debited(
    tmp_path: Path, anvil: Endpoint
) -> None:
    tokens = {"owner:1": hashlib.sha256(b"o1").digest(), "owner:0": hashlib.sha256(b"o0").digest()}

    async def scenario(site: Any) -> None:
        month = await Month.prepare(site)
        month.log_boundaries()
        await month.end()
        with serving(tmp_path, site, directory=month.directory(tokens)) as cloud:
            wait_until(lambda: cloud.post(month.gateway).status_code == 200, seconds=40, what="the month's entries")
            drafted = await asyncio.to_thread(
                billing,
                tmp_path,
                "draft",
                "--config",
                "cloud.toml",
                "--period",
                f"{month.opening}..{month.closing}",
                "--out",
                "draft.json",
            )
            assert drafted.returncode == 0, drafted.stderr
            draft = json.loads((tmp_path / "draft.json").read_text())
            assert draft["problems"] == []
            for unit in range(3):
                own, shared = draft["units"][unit]["lines"]
                assert (int(own["amount"]), int(shared["amount"])) == (own_fen(unit), shared_fen(unit))
            line = draft["units"][PADDED_UNIT]["lines"][0]
            line["usage"] = str(int(line["usage"]) + PADDING_WH)
            line["amount"] = str(fen(FLAT, int(line["usage"])))
            (tmp_path / "draft.json").write_text(json.dumps(draft))
            posted = await asyncio.to_thread(billing, tmp_path, "post", "--config", "operator.toml", "draft.json")
            assert posted.returncode == 0, posted.stdout + posted.stderr
            assert "the cloud computes otherwise: b07-0102: line 1 charges" in posted.stdout
            again = await asyncio.to_thread(billing, tmp_path, "post", "--config", "operator.toml", "draft.json")
            assert again.returncode == 0, "posting twice is harmless"
            await dispute(cloud, month, tokens)
        again = await asyncio.to_thread(rebuild_store, tmp_path)
        assert again.returncode == 0 and "tables are the same\n" in again.stdout, again.stdout + again.stderr
        assert "1 posted periods compared again" in again.stdout

    with_site(anvil.url, scenario)


async def balance_is_shown(browser: httpx.Client, account: tuple[int, int, int]) -> None:
    """The page folds the balance from events and asks no node; it must be the contract's."""
    shown = money(account[0])
    wait_until(lambda: shown in browser.get("/home").text, seconds=30, what=f"a balance of {shown} at home")


async def dispute(cloud: ServedCloud, month: Month, tokens: dict[str, bytes]) -> None:
    period = month.period
    owner, neighbour = sign_in(cloud, tokens["owner:1"]), sign_in(cloud, tokens["owner:0"])
    assert neighbour.get(f"/bills/b07-0102/{period}/bill.json").status_code == 404, "a neighbour's bill"
    for path in (
        "/home",
        f"/bills/b07-0102/{period}",
        f"/bills/b07-0102/{period}/lines/0",
        f"/bills/b07-0102/{period}/lines/1",
    ):
        assert owner.get(path).status_code == 200, path
    proof = bill_from_json(owner.get(f"/bills/b07-0102/{period}/bill.json").json())
    body = (period, PADDED_UNIT, 0, proof.bill.lines_digest)
    signature = month.sign(PADDED_UNIT, Purpose.CHALLENGE, 2, body)
    act = {
        "period": str(period),
        "unit_index": PADDED_UNIT,
        "line": 0,
        "nonce": "2",
        "deadline": str(2**40),
        "public": p256.public_bytes(month.owners[PADDED_UNIT]).hex(),
        "signature": (signature.r.to_bytes(32) + signature.s.to_bytes(32)).hex(),
    }
    forged = {**act, "signature": (signature.r.to_bytes(32) + (signature.s ^ 2).to_bytes(32)).hex()}
    assert owner.post("/v1/relay/challenge", json=forged).json()["code"] == "bad_signature"
    stranger = {**act, "public": p256.public_bytes(month.owners[0]).hex()}
    assert owner.post("/v1/relay/challenge", json=stranger).json()["code"] == "unknown_key"
    assert owner.post("/v1/relay/challenge", json=act).json() == {"accepted": True, "code": "queued", "message": ""}
    assert owner.post("/v1/relay/challenge", json=act).json()["code"] == "known", "the same act twice is one challenge"

    view = month.site.view

    async def settled() -> tuple[int, int]:
        state, _amount, charge, *_ = await view("Challenges", "challenge", period, PADDED_UNIT, 0)
        return state, charge

    for _ in range(120):
        if (await settled())[0] == 2:
            break
        await month.site.mine()
        await asyncio.sleep(0.15)
    assert await settled() == (2, own_fen(PADDED_UNIT)), cloud.program.said()
    await month.site.pass_seconds(601)

    async def debited() -> bool:
        return all([(await view("UsageFees", "status", period, unit))[0] for unit in range(3)])

    for _ in range(120):
        if await debited():
            break
        await month.site.mine()
        await asyncio.sleep(0.15)
    for unit in range(3):
        paid, challenged, _reduction = await view("UsageFees", "status", period, unit)
        balance, _cap, _nonce = await view("UsageFees", "account", unit)
        compensation = 100 if unit == PADDED_UNIT else 0
        assert (paid, challenged) == (True, False)
        assert balance == 100_000 - own_fen(unit) - shared_fen(unit) + compensation
    assert owner.get(f"/bills/b07-0102/{period}").status_code == 200
    for _ in range(4):
        await month.site.mine()  # what was debited is final
    await balance_is_shown(owner, await view("UsageFees", "account", PADDED_UNIT))
    await balance_is_shown(neighbour, await view("UsageFees", "account", 0))
    token = cloud.program_token
    payments = "/v1/exports/payments.csv"
    wait_until(lambda: "Debited" in cloud.get(payments, token).text, seconds=20, what="the final debits")
    exports_tell_the_month(cloud, month, owner, PADDED_UNIT)
    personal_file_tells_the_flat(cloud, month, owner, neighbour, PADDED_UNIT)
    answers_are_as_described(cloud, month)
    owner.close()
    neighbour.close()
