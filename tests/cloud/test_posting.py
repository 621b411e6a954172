"""A period is posted through whatever the chain's node does meanwhile."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from cloud.billing import posting
from cloud.billing.bill_block import BillPlace, leaves_of
from cloud.billing.posting import Posting
from cloud.billing.routes import billing_router
from cloud.billing.volumes import encode_volumes, read_key
from cloud.chain.client import ChainClient
from cloud.chain.deployment import write_deployment
from cloud.chain.follower import Follower
from cloud.chain.view import ChainView
from cloud.settings import ChainSettings, OperatorSettings
from cloud.store import Store
from contracts.abi import padded
from contracts.bill import Bill, BillProof, BillTree, Line, LineKind
from contracts.bill_file import bill_to_json
from contracts.calls import usage_fees
from contracts.clock import SystemClock
from contracts.key_table import KeyProof, KeyTable, key_proof_to_json
from contracts.tariff import Key, Terms
from contracts.trust import Trust, WitnessPolicy
from minglou.client import Client, NotProven, VerifiedBill
from tests.cloud.chain_site import ChainSite, secret_of
from tests.conftest import Endpoint as Server

Run = Callable[[Any], Any]

Exchange = Callable[[bytes, int], Awaitable[bytes]]
OPERATOR_BOND = 200_000
# By number: once before anything is known, twice in a row while the transaction is made, and around its sending.
SILENT = (0, 2, 3, 6, 8, 9)


def silent_at_times(url: str) -> tuple[ChainClient, list[bytes]]:
    """A client of one node that answers some questions with nothing at all."""
    client, asked = ChainClient([url]), list[bytes]()
    (endpoint,) = client.endpoints
    through: Exchange = endpoint.exchange

    async def exchange(question: bytes, limit: int) -> bytes:
        asked.append(question)
        if len(asked) - 1 in SILENT:
            raise TimeoutError  # as after ten seconds of silence
        return await through(question, limit)

    vars(endpoint)["exchange"] = exchange
    return client, asked


def operator_of(url: str, folder: Path) -> OperatorSettings:
    key = folder / "operator.key"
    key.write_text(secret_of("operator"))
    key.chmod(0o600)
    chain = ChainSettings(
        rpc=(url,), chain_id=31337, deployment_file=Path("none"), finality_depth=1, poll_seconds=0.2, stuck_seconds=30,
        fee_cap_wei=10**12, priority_fee_wei=10**9, quorum=None, legacy_transactions=False, resends_lost=False,
    )  # fmt: skip
    return OperatorSettings(cloud_url="http://127.0.0.1:9", chain=chain, operator_key_file=key, clock=SystemClock())


async def site_with_operator(url: str) -> tuple[ChainSite, int]:
    """A site whose operator may close a period, and a period of one day that is over."""
    site = await ChainSite.deploy(url)
    operator, fees = site.keys["operator"].address, site.deployment.usage_fees
    await site.change(
        ("Registry", "set_role", padded("operator"), operator),
        ("Roll", "add_units", [(bytes(31) + b"\1", 100, 0, 0, 7, 1)]),
    )
    await site.send("cashier", "Token", "mint", operator, OPERATOR_BOND)
    await site.send("operator", "Token", "approve", fees, OPERATOR_BOND)
    await site.send("operator", "UsageFees", "post_bond", OPERATOR_BOND)
    first = datetime.fromtimestamp((await site.client.latest()).timestamp, UTC).date() + timedelta(days=2)
    await site.pass_seconds(5 * 86_400)
    return site, int(f"{first:%Y%m%d}{first + timedelta(days=1):%Y%m%d}")


def test_a_node_that_is_silent_for_a_while_is_waited_for_and_the_period_closes_once(
    run: Run, anvil: Server, tmp_path: Path
) -> None:
    async def scenario() -> None:
        site, period = await site_with_operator(anvil.url)
        place = BillPlace(chain_id=31337, contract=site.deployment.usage_fees, site=site.deployment.site, period=period)
        tree = BillTree(leaves_of([bytes(16)], place))
        before = await site.client.nonce(site.keys["operator"].address)
        client, asked = silent_at_times(anvil.url)
        said: list[str] = []
        async with Posting(operator_of(anvil.url, tmp_path), place, client=client, say=said.append) as posting:
            await posting.close(tree.root, unit_count=1)
        assert len(asked) > max(SILENT), "the node was silent at every one of these questions"
        assert len(said) >= 3 and "waiting for the chain" in said[0], said
        held = usage_fees.parse_period(
            await site.client.call(place.contract, usage_fees.period(place.contract, period=period).data)
        )
        assert held.root == tree.root.hash
        assert await site.client.nonce(site.keys["operator"].address) == before + 1, "sent twice is taken once"
        await site.close()

    run(scenario())


def test_a_node_that_never_answers_is_given_up_with_what_to_do(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "_CHAIN_PATIENCE_SECONDS", 0.3)
    place = BillPlace(chain_id=31337, contract="0x" + "ab" * 20, site=bytes(32), period=2026100120261101)

    async def scenario() -> None:
        url = "http://127.0.0.1:9"  # discard: nobody listens
        async with Posting(operator_of(url, tmp_path), place) as one:
            with pytest.raises(posting.BillingError, match="run the same command again"):
                await one.close(BillTree(leaves_of([bytes(16)], place)).root, unit_count=1)

    run(scenario())


def test_a_cloud_that_is_away_when_bills_are_to_be_handed_in_is_waited_for(run: Run, tmp_path: Path) -> None:
    place = BillPlace(chain_id=31337, contract="0x" + "ab" * 20, site=bytes(32), period=2026100120261101)
    contents = [bytes(16)] * 3
    tree = BillTree(leaves_of(contents, place))
    unknown, taken = httpx.Response(404, json={}), httpx.Response(200, json={"held": 3, "unit_count": 3})
    answers = [httpx.ConnectError("away"), httpx.Response(503, json={}), unknown, httpx.ReadError("cut off"), taken]

    async def answer(_: httpx.Request) -> httpx.Response:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    async def scenario() -> list[int]:
        held: list[int] = []
        async with Posting(operator_of("http://127.0.0.1:1", tmp_path), place) as posting:
            await vars(posting)["_http"].aclose()
            vars(posting)["_http"] = httpx.AsyncClient(base_url="http://c", transport=httpx.MockTransport(answer))
            await posting.upload(contents, tree, held.append)
        return held

    assert run(scenario()) == [3] and not answers


def a_client_verifies(url: str, site: ChainSite, period: int, held: KeyProof) -> None:
    """`Client.share` believes the table on chain alone, and refuses a share that is not its part."""
    terms = Terms.tiered(quantity="1-0:9.8.0", tiers=[(None, 55_800_000)], key=Key.VOLUME)
    first, last = divmod(period, 10**8)
    answered = {"keys": [{"pool": held.table[:32].hex(), **key_proof_to_json(held)}]}
    trust = Trust(
        chain_id=31337, registry=bytes.fromhex(site.deployment.registry[2:]),
        usage_fees=bytes.fromhex(site.deployment.usage_fees[2:]), anchor_log=bytes(20),
        super_log_origin="a.example/log", super_log_public=bytes(32),
        witness_policy=WitnessPolicy(quorum=0, witnesses=()),
    )  # fmt: skip

    def bill_of(amount: int) -> VerifiedBill:
        line = Line(
            kind=LineKind.SHARED, subject=held.table[:32], quantity="1-0:9.8.0", tariff=1, since=first, from_date=first,
            to_date=last, usage=1000, amount=amount,
        )  # fmt: skip
        bill = Bill(
            chain_id=31337, contract=site.deployment.usage_fees, site=bytes(32), period=period, unit_index=0,
            lines=(line,), salt=bytes(32),
        )  # fmt: skip
        proof = BillProof(bill=bill, path=(), unit_count=1, root=bill.leaf(), terms=((1, terms.encode()),))
        return VerifiedBill(
            period=period, unit_index=0, amounts=bill.amounts, lines=bill.lines, checks=(),
            file=json.dumps(bill_to_json(proof)).encode(),
        )  # fmt: skip

    whole = terms.season(first, last).charge(used=[1000], prior=0)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answered))
    with Client("http://cloud.example", trust=trust, rpc=url, transport=transport) as client:
        share = client.share(bill_of(whole), 0)
        assert (share.key, share.key_before, share.key_sum, share.pool_amount) == (5_000_000, 0, 5_000_000, whole)
        with pytest.raises(NotProven, match="dispute the line"):
            client.share(bill_of(whole + 1), 0)
        answered["keys"][0]["key"] = "4999999"
        with pytest.raises(NotProven, match="is not in the table"):
            client.share(bill_of(whole), 0)
        answered["keys"][0].update({**answered["keys"][0], "table": held.table[:-1].hex() + "02"})
        with pytest.raises(NotProven, match="not the one on chain"):
            client.share(bill_of(whole), 0)


def test_volumes_are_posted_once_by_the_operator_and_the_cloud_takes_those_that_make_their_table(
    run: Run, anvil: Server, store: Store, tmp_path: Path
) -> None:
    """On a real chain, through the cloud's own follower and route; and asked again like a client that trusts nobody."""
    pool = sha256(b"booster pump").digest()
    table = KeyTable(pool=pool, keys=[5_000_000], salts=[b"s" * 16 + bytes(16)])

    async def scenario() -> None:
        site, period = await site_with_operator(anvil.url)
        view = ChainView(31337)
        follower = Follower(
            store=store, client=site.client, deployment=site.deployment, clock=SystemClock(), listeners=[view],
            finality_depth=1,
        )  # fmt: skip
        await follower.load()
        cloud: Any = SimpleNamespace(store=store, chain=SimpleNamespace(view=view, deployment=site.deployment))
        app = FastAPI()
        app.include_router(billing_router(cloud))
        place = BillPlace(chain_id=31337, contract=site.deployment.usage_fees, site=site.deployment.site, period=period)
        operator = operator_of(anvil.url, tmp_path)
        write_deployment(tmp_path / "deployment.json", site.deployment)
        chain = replace(operator.chain, deployment_file=tmp_path / "deployment.json")
        transport = httpx.ASGITransport(app)
        async with Posting(replace(operator, chain=chain), place) as one:
            vars(one)["_http"] = httpx.AsyncClient(transport=transport, base_url="http://cloud.example")
            async with asyncio.TaskGroup() as group:
                ahead = group.create_task(one.post_volumes([table]), name="posting")
                while not ahead.done():
                    await follower.step()
                    await asyncio.sleep(0.05)
            assert view.volumes == {(pool, period): table.encode()}
            before = await site.client.nonce(site.keys["operator"].address)
            await one.post_volumes([table])
            assert await site.client.nonce(site.keys["operator"].address) == before, "posted once for ever"
            other = KeyTable(pool=pool, keys=[5_000_001], salts=table.salts)
            with pytest.raises(posting.BillingError, match="with other numbers and never change"):
                await one.post_volumes([other])
            refused = await one._http.post(f"/v1/bills/{period}/volumes", content=b"a table")
            assert (refused.status_code, refused.json()["error"]) == (422, "bad_volumes")
            early = await one._http.post(f"/v1/bills/{period + 1}/volumes", content=encode_volumes(table))
            assert (early.status_code, early.json()["error"]) == (409, "bad_volumes")
        async with store.read() as connection:
            held = await read_key(connection, view, period, pool, 0)
        assert held == table.proof(0, posted=True)
        await asyncio.to_thread(a_client_verifies, anvil.url, site, period, held)
        await site.close()
        await store.close()

    run(scenario())
