"""A site's contracts as `minglou chain deploy` makes them: each finds the others, and has the rules it was given."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cloud.chain.deployment import CONTRACTS, read_deployment, write_deployment
from cloud.chain.terms import FUND_TERMS, WORK_TERMS
from contracts.abi import padded
from contracts.calls import registry, reserve_fund, work_orders
from tests.cloud.chain_site import ChainSite
from tests.conftest import Endpoint


def test_every_contract_stands_in_the_directory_and_the_fund_trusts_the_sites_own(
    run: Callable[[Any], Any], anvil: Endpoint, tmp_path: Path
) -> None:
    async def scenario() -> None:
        site = await ChainSite.deploy(anvil.url)
        try:
            await check(site)
        finally:
            await site.close()

    async def check(site: ChainSite) -> None:
        deployed = site.deployment

        async def ask(call: Any) -> bytes:
            return await site.client.call(call.to, call.data)

        for name in CONTRACTS:
            if name != "registry":
                asked = registry.contract_named(deployed.registry, name=padded(name))
                found = registry.parse_contract_named(await ask(asked))
                assert found.lower() == getattr(deployed, name), name
        parts = reserve_fund.parse_parts(await ask(reserve_fund.parts(deployed.reserve_fund)))
        assert [part.lower() for part in (parts.roll, parts.assembly, parts.token)] == [
            deployed.roll,
            deployed.assembly,
            deployed.token,
        ]
        assert reserve_fund.parse_terms(await ask(reserve_fund.terms(deployed.reserve_fund))) == FUND_TERMS
        assert work_orders.parse_terms(await ask(work_orders.terms(deployed.work_orders))) == WORK_TERMS
        write_deployment(tmp_path / "deployment.json", deployed)
        assert read_deployment(tmp_path / "deployment.json") == deployed

    run(scenario())
