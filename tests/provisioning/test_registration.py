"""What the manager announces comes into force only as the committee's own site file has it, and after seven days."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest

from contracts.calls import registry
from contracts.entry import device_id
from contracts.p256 import generate_key, public_bytes, spki
from contracts.vyper.compile import artifact
from provisioning.account import ChainAccount
from provisioning.enrolment import GatewayIdentity
from provisioning.errors import ChainSetupError
from provisioning.keys import ensure_chain_key
from provisioning.names import SecretNames
from provisioning.registration import Change, Enrolled, TwoParties, site_changes
from provisioning.rpc import Rpc, RpcRefusedError, Sender
from provisioning.site import Site
from tests.conftest import Endpoint
from tests.processes import wait_until

ORIGIN = "demo.minglou.example/cuiyuan/b07/e0"
OPENING = date(2026, 10, 23)
DAY_SECONDS = 86_400
PRECOMPILE = "0x0000000000000000000000000000000000000100"
PUBLIC = public_bytes(generate_key())


@dataclass(frozen=True, kw_only=True)
class Ground:
    """One fresh Registry and its two parties."""

    rpc: Rpc
    sender: Sender
    address: str
    manager: bytes
    committee: bytes
    parties: TwoParties

    def pass_days(self, days: int) -> None:
        self.rpc.call("evm_increaseTime", [days * DAY_SECONDS])
        self.rpc.call("evm_mine", [])


@pytest.fixture
def ground(anvil: Endpoint, tmp_path: Path) -> Iterator[Ground]:
    manager, committee = (ensure_chain_key(tmp_path / name) for name in ("manager", "committee"))
    addresses = [ChainAccount(secret).address for secret in (manager, committee)]
    with closing(Rpc(anvil.url)) as rpc:
        for address in addresses:
            rpc.call("anvil_setBalance", [address, hex(10**20)])
        data = registry.deploy(
            artifact("Registry").bytecode,
            site=bytes(32),
            manager=addresses[0],
            committee=addresses[1],
            witness_delay=7 * DAY_SECONDS,
            recovery_delay=30 * DAY_SECONDS,
            verifier=PRECOMPILE,
        )
        account = rpc.call("eth_accounts", [])[0]
        sent = rpc.call("eth_sendTransaction", [{"from": account, "data": "0x" + data.hex(), "gas": hex(16_000_000)}])
        wait_until(lambda: rpc.call("eth_getTransactionReceipt", [sent]) is not None, seconds=20, what="the Registry")
        contract = rpc.call("eth_getTransactionReceipt", [sent])["contractAddress"]
        sender = Sender(rpc)
        yield Ground(
            rpc=rpc,
            sender=sender,
            address=contract,
            manager=manager,
            committee=committee,
            parties=TwoParties(sender, contract, manager=manager, committee=committee),
        )


@pytest.fixture
def changes(site: Site, names: SecretNames) -> tuple[Change, ...]:
    return site_changes(site, names, enrolled(site))


def enrolled(site: Site) -> Enrolled:
    identity = GatewayIdentity(
        origin=ORIGIN, public=PUBLIC, key_class="file", claim_code="c", fingerprint=sha256(spki(PUBLIC)).hexdigest()
    )
    return Enrolled(
        operator="0x" + "11" * 20,
        registrar="0x" + "12" * 20,
        gateways={ORIGIN: identity},
        owners={},  # owners' keys need letters, which the end-to-end demo posts
        from_date=OPENING,
    )


def test_the_registry_holds_the_site_after_seven_days_and_two_signatures(
    ground: Ground, changes: tuple[Change, ...], site: Site, names: SecretNames
) -> None:
    announced = ground.parties.announce(changes)
    ground.parties.approve(announced, changes)
    with pytest.raises(RpcRefusedError, match="delay is not over"):
        ground.parties.enact(announced, anyone=ground.manager)
    ground.pass_days(8)
    ground.parties.enact(announced, anyone=ground.manager)
    origin = sha256(ORIGIN.encode()).digest()
    key = registry.parse_key_in_force(ground.sender.view(registry.key_in_force(ground.address, origin_id=origin)))
    assert key.x.to_bytes(32) + key.y.to_bytes(32) == PUBLIC
    for device in (device_id(site.gateway_urn(site.gateways[0])), names.device(site, site.devices[0])):
        call = registry.is_assigned(ground.address, device=device, origin_id=origin, index=7)
        assert registry.parse_is_assigned(ground.sender.view(call))
    alias = bytes.fromhex(names.units["b07-1202"])
    assert registry.parse_unit(ground.sender.view(registry.unit(ground.address, alias=alias))).index == 23


def test_the_manager_alone_brings_nothing_into_force(ground: Ground, changes: tuple[Change, ...]) -> None:
    announced = ground.parties.announce(changes[:1])
    ground.pass_days(60)
    with pytest.raises(RpcRefusedError, match="the second party has not approved"):
        ground.parties.enact(announced, anyone=ground.manager)


def test_the_committee_refuses_what_its_own_site_file_does_not_give(
    ground: Ground, changes: tuple[Change, ...], site: Site, names: SecretNames
) -> None:
    forged = site_changes(site, names, replace(enrolled(site), operator="0x" + "99" * 20))
    announced = ground.parties.announce(forged)
    with pytest.raises(ChainSetupError, match="call 0 was announced as something else than: role operator"):
        ground.parties.approve(announced, changes)
    ground.pass_days(60)
    with pytest.raises(RpcRefusedError, match="the second party has not approved"):
        ground.parties.enact(announced, anyone=ground.manager)


def test_the_committee_refuses_more_than_its_own_site_file_gives(ground: Ground, changes: tuple[Change, ...]) -> None:
    announced = ground.parties.announce(changes)
    with pytest.raises(ChainSetupError, match="the site file gives"):
        ground.parties.approve(announced, changes[:-1])


def test_a_chain_that_does_not_answer_is_named() -> None:
    with closing(Rpc("http://127.0.0.1:1")) as rpc, pytest.raises(ChainSetupError, match="is the chain running"):
        rpc.call("eth_chainId", [])
