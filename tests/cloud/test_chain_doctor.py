"""`minglou chain doctor`: every endpoint is asked, and what is wrong is said by name with its remedy."""

import argparse
import asyncio
import json
from pathlib import Path

import pytest

from cloud.chain import command
from cloud.chain.deployment import write_deployment
from cloud.store import Store, sqlite_url
from tests.cloud.chain_site import ChainSite, secret_of
from tests.conftest import Endpoint
from tests.processes import free_port


@pytest.fixture(scope="module")
def site(anvil: Endpoint) -> ChainSite:
    async def deploy() -> ChainSite:
        site = await ChainSite.deploy(anvil.url)
        await site.mine(3)
        await site.close()
        return site

    return asyncio.run(deploy())


def settings(folder: Path, site: ChainSite, *rpc: str, chain_id: int = 31337, relayer: str = "relayer") -> Path:
    write_deployment(folder / "deployment.json", site.deployment)
    key = folder / "relayer.key"
    key.write_text(secret_of(relayer))
    key.chmod(0o600)
    (folder / "data").mkdir()

    async def migrate() -> None:
        store = Store(sqlite_url(folder / "data" / "cloud.sqlite3"))
        await store.migrate()
        await store.close()

    asyncio.run(migrate())
    path = folder / "cloud.toml"
    path.write_text(
        f'[cloud]\nlisten = "127.0.0.1:{free_port()}"\ndata_dir = "data"\n'
        '[super_log]\norigin = "demo.minglou.example/log"\n'
        f"[chain]\nrpc = {json.dumps(rpc)}\nchain_id = {chain_id}\n"
        'deployment_file = "deployment.json"\nrelayer_key_file = "relayer.key"\nfinality_depth = 2\n'
    )
    return path


def doctor(config: Path, *more: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(["doctor", "--config", str(config), *more]))


def test_a_sound_site_passes_every_check(site: ChainSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = settings(tmp_path, site, site.url, site.url)
    assert doctor(config, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] and {check["name"] for check in told["checks"]} >= {
        "reachable",
        "chain id",
        "head",
        "finality",
        "precompile 0x100",
        "eth_getProof",
        "eth_feeHistory",
        "base fee",
        "contracts",
        "quorum",
        "agreement",
        "role",
        "balance",
        "nonces",
        "stuck",
        "refused",
    }
    assert doctor(config) == 0
    assert "ok    relayer" in capsys.readouterr().out


def test_each_thing_that_is_wrong_is_said_with_its_remedy(
    site: ChainSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings(tmp_path, site, site.url, f"http://127.0.0.1:{free_port()}", chain_id=1, relayer="cashier")
    assert doctor(config) == 1
    said = capsys.readouterr().out
    assert "reachable" in said and "start the node" in said
    assert "31337, the settings say 1" in said and "remove this endpoint" in said
    assert "1 of 2 endpoints answer, 2 are needed" in said


def test_a_key_that_is_not_the_relayers_is_found(
    site: ChainSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(settings(tmp_path, site, site.url, relayer="cashier")) == 1
    assert "AnchorLog lets" in capsys.readouterr().out
