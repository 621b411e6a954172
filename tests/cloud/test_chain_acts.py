"""Signed acts from files, and what `minglou chain` says of a site: nobody needs the cloud to be heard."""

import argparse
import asyncio
import json
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloud.chain import command
from cloud.chain.client import ChainClient, SigningKey
from cloud.chain.deploy import WHICHEVER_WORKS, created_address
from cloud.chain.deployment import Deployment
from cloud.chain.directory import abi_of
from cloud.chain.features import probe
from cloud.chain.status import roles_lines, status_lines
from cloud.chain.submit import Submitted, submit
from cloud.errors import ChainError
from contracts.abi import Call
from contracts.act_file import ActError, act_of_call, format_act
from contracts.calls import usage_fees
from contracts.person import Purpose
from tests.cloud.chain_site import ChainSite, account, secret_of
from tests.contracts.vyper.forks import chain_at
from tests.contracts.vyper.site import NEIGHBOUR_KEY, PRECOMPILE, Site
from tests.processes import program


@dataclass(frozen=True, slots=True)
class Place:
    """A site on a chain, and a stranger who pays for gas and is nobody to the contracts."""

    site: Site
    url: str
    stranger: SigningKey

    def ask(self, question: Callable[[ChainClient], Coroutine[Any, Any, Any]]) -> Any:
        return asked(self.url, question)

    def submit(self, encoded: bytes, *, send: bool = True) -> Submitted:
        key = self.stranger if send else None
        done: Submitted = self.ask(lambda client: submit(client, encoded, registry=self.site.registry, key=key))
        return done


def asked(url: str, question: Callable[[ChainClient], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        client = ChainClient([url])
        try:
            return await question(client)
        finally:
            await client.close()

    return asyncio.run(run())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with chain_at("osaka", tmp_path_factory.mktemp("anvil")) as chain:
        site = Site(chain)
        site.set_up()
        yield Place(site, chain.url, account("cashier"))


def mandate_file(site: Site, *, cap: int, nonce: int, **changes: Any) -> bytes:
    """An owner stops or changes a mandate, signed at home and written to a file."""
    signature = site.sign(0, Purpose.MANDATE, 0, cap, nonce=nonce)
    call = usage_fees.set_mandate(site.usage_fees, cap=cap, signature=signature)
    return file_of(call, function="set_mandate", **changes)


def file_of(call: Call, *, function: str, contract: str = "UsageFees", chain_id: int = 31337) -> bytes:
    abi = abi_of(contract)
    return format_act(act_of_call(call, chain_id=chain_id, contract=contract, function=function, abi=abi), abi)


def cap_of(site: Site) -> int:
    call = usage_fees.account(site.usage_fees, unit_index=0)
    return usage_fees.parse_account(site.chain.view(call)).cap


def test_a_strangers_hands_carry_an_owners_act_to_the_chain(place: Place) -> None:
    done = place.submit(mandate_file(place.site, cap=4321, nonce=1))
    assert done.transaction is not None
    assert cap_of(place.site) == 4321
    with pytest.raises(ChainError, match=r"UsageFees refuses this set_mandate now: usage_fees: .*nothing was sent"):
        place.submit(mandate_file(place.site, cap=4321, nonce=1))


def test_without_a_key_an_act_is_only_tried(place: Place) -> None:
    before = cap_of(place.site)
    encoded = mandate_file(place.site, cap=9999, nonce=2)
    assert place.submit(encoded, send=False).transaction is None
    assert cap_of(place.site) == before


def test_a_forged_act_is_refused_in_the_contracts_words_and_costs_nothing(place: Place) -> None:
    nonce_before = place.site.chain.rpc("eth_getTransactionCount", place.stranger.address, "latest")
    document = json.loads(mandate_file(place.site, cap=1, nonce=3))
    document["arguments"]["cap"] = "2"
    with pytest.raises(ChainError, match="usage_fees: owner's signature does not match"):
        place.submit(json.dumps(document).encode())
    assert place.site.chain.rpc("eth_getTransactionCount", place.stranger.address, "latest") == nonce_before


def test_an_act_for_another_chain_or_another_contract_is_not_sent(place: Place) -> None:
    with pytest.raises(ChainError, match=r"the act is for chain 1 and .* is chain 31337"):
        place.submit(mandate_file(place.site, cap=5, nonce=4, chain_id=1))
    elsewhere = json.loads(mandate_file(place.site, cap=5, nonce=4))
    elsewhere["contract"]["address"] = "0x" + "ab" * 20
    with pytest.raises(ChainError, match="which the Registry's directory has at 0x"):
        place.submit(json.dumps(elsewhere).encode())


def test_a_file_cannot_make_its_submitter_pay_or_approve(place: Place) -> None:
    document = json.loads(mandate_file(place.site, cap=5, nonce=4))
    document |= {"function": "top_up", "arguments": {"unit_index": "0", "amount": "1"}}
    with pytest.raises(ActError, match="takes no signature"):
        place.submit(json.dumps(document).encode())
    document |= {"contract": {"name": "Token", "address": place.site.token}}
    document |= {"function": "approve", "arguments": {"spender": "0x" + "ab" * 20, "amount": "1"}}
    with pytest.raises(ActError, match="takes no signature"):
        place.submit(json.dumps(document).encode())


def test_the_command_line_submits_a_file_and_says_what_became_of_it(place: Place, tmp_path: Path) -> None:
    act, key = tmp_path / "stop.json", tmp_path / "key"
    act.write_bytes(mandate_file(place.site, cap=0, nonce=7))
    key.write_text(secret_of("cashier"))
    key.chmod(0o600)
    words: list[str | Path] = [
        program("minglou"),
        "chain",
        "submit",
        act,
        "--rpc",
        place.url,
        "--registry",
        place.site.registry,
    ]
    sent = subprocess.run([*words, "--key", key], capture_output=True, text=True, timeout=280)
    assert sent.stdout.startswith("UsageFees.set_mandate is in block "), sent.stderr
    assert cap_of(place.site) == 0
    again = subprocess.run(words, capture_output=True, text=True, timeout=280)
    assert again.returncode == 1
    assert "refuses this set_mandate now: usage_fees: " in again.stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["roles"], "its fingerprint hangs on the notice board"),
        (["roles", "--registry", "0x12"], "is no address"),
        (["submit", "gone.json", "--registry", PRECOMPILE], "act gone.json: No such file"),
    ],
)
def test_what_the_command_line_needs_is_said(
    words: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert command.run(parser.parse_args([*words, "--rpc", "http://127.0.0.1:1"])) == 1
    assert reason in capsys.readouterr().err


def test_status_tells_features_figures_and_waiting_batches(place: Place) -> None:
    place.site.announce(place.site.gateway_change("minglou.example/cuiyuan/b09/e0", NEIGHBOUR_KEY))
    lines = "\n".join(place.ask(lambda client: status_lines(client, place.site.registry)))
    assert "yes  P-256 precompile at 0x100 (EIP-7951)" in lines
    assert f"UsageFees at {place.site.usage_fees}" in lines
    assert "witness_delay: 7 days" in lines
    assert f"relayer: {place.site.relayer.lower()}" in lines
    assert "waits: signed by manager; may be enacted once the other party approves" in lines


def test_roles_say_who_holds_what_and_warn_where_two_parties_are_one(place: Place) -> None:
    lines = place.ask(lambda client: roles_lines(client, place.site.registry))
    assert f"manager: {place.site.manager.lower()}" in lines
    assert f"operator: {place.site.operator.lower()}" in lines
    assert f"relayer: {place.site.relayer.lower()}" in lines
    assert not [line for line in lines if line.startswith("WARNING")]


@pytest.mark.parametrize(("fork", "push0", "mcopy"), [("london", False, False), ("prague", True, True)])
def test_what_a_chain_lacks_is_found_and_said(tmp_path: Path, fork: str, push0: bool, mcopy: bool) -> None:
    with chain_at(fork, tmp_path, with_verifier=False) as chain:
        features = asked(chain.url, probe)
        assert not features.p256_precompile
        assert (features.push0, features.mcopy) == (push0, mcopy)
        assert features.base_fee and features.finalized_tag
        assert any("brings P256Verifier along" in line for line in features.lines())


def test_a_site_is_deployed_with_our_own_verifier_where_there_is_no_precompile(tmp_path: Path) -> None:
    with chain_at("prague", tmp_path, with_verifier=False) as chain:
        deployment = asyncio.run(deployed_anywhere(chain.url))
        first = created_address(account("deployer").address, 0)
        assert len(chain.rpc("eth_getCode", first, "latest")) > 40_000, "the verifier with its table comes first"
        assert chain.rpc("eth_getCode", deployment.usage_fees, "latest") != "0x"


async def deployed_anywhere(url: str) -> Deployment:
    site = await ChainSite.deploy(url, verifier=WHICHEVER_WORKS)
    await site.close()
    return site.deployment


def test_a_verifier_that_says_yes_to_everything_is_no_precompile(tmp_path: Path) -> None:
    with chain_at("prague", tmp_path, with_verifier=False) as chain:
        chain.rpc("anvil_setCode", PRECOMPILE, "0x600160005260206000f3")  # returns one, always
        assert not asked(chain.url, probe).p256_precompile
