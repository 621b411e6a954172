"""The configurations of chains that were not run here are at least whole, and say so."""

from __future__ import annotations

import configparser
import json

from tests.processes import REPOSITORY

CHAINS = REPOSITORY / "docs" / "chains"


def test_besus_genesis_has_the_precompile_from_the_first_block_and_free_gas() -> None:
    whole = json.loads((CHAINS / "besu-qbft.json").read_text(encoding="utf-8"))
    config = whole["genesis"]["config"]
    assert [config[name] for name in ("shanghaiTime", "cancunTime", "pragueTime", "osakaTime")] == [0, 0, 0, 0]
    assert config["zeroBaseFee"] is True
    assert config["qbft"]["blockperiodseconds"] >= 1
    assert whole["blockchain"]["nodes"]["count"] >= 4, "three validators bear no faulty one"


def test_fiscos_configuration_opens_the_ethereum_interface_on_this_machine_only() -> None:
    parser = configparser.ConfigParser()
    parser.read_string((CHAINS / "fisco-bcos.ini").read_text(encoding="utf-8"))
    assert parser["web3_rpc"]["enable"] == "true"
    assert parser["web3_rpc"]["listen_ip"] == "127.0.0.1"
    assert parser["chain"]["sm_crypto"] == "false"
    assert int(parser["web3"]["chain_id"]) != 31337, "the development chain's floors are lower"


def test_what_was_not_run_says_so() -> None:
    page = (CHAINS / "README.md").read_text(encoding="utf-8")
    for name in ("Hyperledger Besu", "FISCO BCOS 3.16"):
        row = next(line for line in page.splitlines() if line.startswith(f"| {name}"))
        assert "*not run here*" in row
