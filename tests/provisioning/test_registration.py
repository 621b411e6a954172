"""What the manager announces comes into force only as the committee's own site file has it, and after seven days."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest

from contracts.calls import bindings, crews, registry, roll
from contracts.calls.crews import Duty
from contracts.entry import device_id
from contracts.p256 import generate_key, public_bytes, spki
from contracts.vyper.compile import artifact
from provisioning.account import ChainAccount
from provisioning.enrolment import GatewayIdentity
from provisioning.errors import ChainSetupError
from provisioning.keys import ensure_chain_key
from provisioning.names import SecretNames
from provisioning.registration import Change, Enrolled, EnrolledFirm, EnrolledPerson, TwoParties, site_changes
from provisioning.rpc import Rpc, RpcRefusedError, Sender
from provisioning.site import Site
from tests.conftest import Endpoint
from tests.contracts.vyper.site import created_address
from tests.processes import wait_until

ORIGIN = "demo.minglou.example/cuiyuan/b07/e0"
OPENING = date(2026, 10, 23)
DAY_SECONDS = 86_400
PRECOMPILE = "0x0000000000000000000000000000000000000100"
PUBLIC = public_bytes(generate_key())
INSTALLER = sha256(b"installer").digest()
INSTALLER_PUBLIC = public_bytes(generate_key())


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Fresh contracts of one site and its two parties."""

    rpc: Rpc
    sender: Sender
    contracts: dict[str, str]
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
        account = rpc.call("eth_accounts", [])[0]
        nonce = int(rpc.call("eth_getTransactionCount", [account, "latest"]), 16)
        names = ("registry", "roll", "crews", "bindings")
        at = {name: created_address(account, nonce + number) for number, name in enumerate(names)}
        create(
            rpc,
            account,
            registry.deploy(
                artifact("Registry").bytecode,
                site=bytes(32),
                manager=addresses[0],
                committee=addresses[1],
                witness_delay=7 * DAY_SECONDS,
                recovery_delay=30 * DAY_SECONDS,
                verifier=PRECOMPILE,
                contracts={name: at[name] for name in names[1:]},
            ),
        )
        for face, source in ((roll, "Roll"), (crews, "Crews"), (bindings, "Bindings")):
            create(rpc, account, face.deploy(artifact(source).bytecode, registry=at["registry"], verifier=PRECOMPILE))
        sender = Sender(rpc)
        yield Ground(
            rpc=rpc,
            sender=sender,
            contracts=at,
            manager=manager,
            committee=committee,
            parties=TwoParties(sender, at["registry"], manager=manager, committee=committee),
        )


def create(rpc: Rpc, account: str, data: bytes) -> None:
    sent = rpc.call("eth_sendTransaction", [{"from": account, "data": "0x" + data.hex(), "gas": hex(16_000_000)}])
    wait_until(lambda: rpc.call("eth_getTransactionReceipt", [sent]) is not None, seconds=20, what="a contract")
    assert rpc.call("eth_getTransactionReceipt", [sent])["status"] == "0x1"


@pytest.fixture
def changes(ground: Ground, site: Site, names: SecretNames) -> tuple[Change, ...]:
    return site_changes(site, names, enrolled(site), ground.contracts)


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
        firms=[EnrolledFirm(number=1, name="a firm", licence_until=2**33)],
        people=[
            EnrolledPerson(
                says="the installer",
                alias=INSTALLER,
                public=INSTALLER_PUBLIC,
                duties=Duty.INSTALLER,
                firm=1,
                licence_until=2**33,
            )
        ],
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
    key = registry.parse_key_in_force(
        ground.sender.view(registry.key_in_force(ground.contracts["registry"], origin_id=origin))
    )
    assert key.x.to_bytes(32) + key.y.to_bytes(32) == PUBLIC
    for device in (device_id(site.gateway_urn(site.gateways[0])), names.device(site, site.devices[0])):
        call = registry.is_assigned(ground.contracts["registry"], device=device, origin_id=origin, index=7)
        assert registry.parse_is_assigned(ground.sender.view(call))
    alias = bytes.fromhex(names.units["b07-1202"])
    unit = roll.parse_unit(ground.sender.view(roll.unit(ground.contracts["roll"], alias=alias)))
    assert (unit.index, unit.head, unit.building, unit.floor) == (23, 23, 0, 12)
    heads = roll.head_count(ground.contracts["roll"])
    assert roll.parse_head_count(ground.sender.view(heads)) == 24
    installer = crews.crew_key_of(ground.contracts["crews"], alias=INSTALLER)
    assert crews.parse_crew_key_of(ground.sender.view(installer)).duties == Duty.INSTALLER
    count = bindings.binding_count(ground.contracts["bindings"], device=names.device(site, site.devices[0]))
    assert bindings.parse_binding_count(ground.sender.view(count)) == 1


def test_one_buyers_units_are_one_head(site: Site, names: SecretNames, ground: Ground) -> None:
    units = tuple(replace(unit, buyer="developer") if unit.floor > 6 else unit for unit in site.units)
    changes = site_changes(replace(site, units=units), names, enrolled(site), ground.contracts)
    announced = ground.parties.announce(changes)
    ground.parties.approve(announced, changes)
    ground.pass_days(8)
    ground.parties.enact(announced, anyone=ground.manager)
    heads = roll.head_count(ground.contracts["roll"])
    assert roll.parse_head_count(ground.sender.view(heads)) == 13


def test_the_manager_alone_brings_nothing_into_force(ground: Ground, changes: tuple[Change, ...]) -> None:
    announced = ground.parties.announce(changes[:1])
    ground.pass_days(60)
    with pytest.raises(RpcRefusedError, match="the second party has not approved"):
        ground.parties.enact(announced, anyone=ground.manager)


def test_the_committee_refuses_what_its_own_site_file_does_not_give(
    ground: Ground, changes: tuple[Change, ...], site: Site, names: SecretNames
) -> None:
    forged = site_changes(site, names, replace(enrolled(site), operator="0x" + "99" * 20), ground.contracts)
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
