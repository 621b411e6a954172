"""A period is posted through whatever the chain's node does meanwhile."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cloud.billing import posting
from cloud.billing.bill_block import BillPlace, leaves_of
from cloud.billing.posting import Posting
from cloud.chain.client import ChainClient
from cloud.settings import ChainSettings, OperatorSettings
from contracts.abi import padded
from contracts.bill import BillTree
from contracts.calls import usage_fees
from contracts.clock import SystemClock
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
