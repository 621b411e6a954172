"""What the manager announces comes into force only as the committee's own site file has it, and after seven days."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest

from contracts.calls import bindings, crews, labels_changes, registry, roll
from contracts.calls.crews import Duty
from contracts.calls.labels_changes import NewLabel
from contracts.entry import device_id
from contracts.label import label_digest
from contracts.p256 import generate_key, public_bytes, spki
from provisioning.batches import Change
from provisioning.crews import EnrolledFirm, EnrolledPerson
from provisioning.enrolment import GatewayIdentity
from provisioning.errors import ChainSetupError
from provisioning.names import SecretNames, device_key
from provisioning.registration import Enrolled, site_changes
from provisioning.rpc import Rpc, RpcRefusedError
from provisioning.site import Site
from tests.conftest import Endpoint
from tests.provisioning.ground import Ground, open_ground

ORIGIN = "demo.minglou.example/cuiyuan/b07/e0"
OPENING = date(2026, 10, 23)
PUBLIC = public_bytes(generate_key())
INSTALLER = sha256(b"installer").digest()
INSTALLER_PUBLIC = public_bytes(generate_key())


@pytest.fixture
def ground(anvil: Endpoint, tmp_path: Path) -> Iterator[Ground]:
    with open_ground(anvil.url, tmp_path) as opened:
        yield opened


@pytest.fixture
def changes(ground: Ground, site: Site, names: SecretNames) -> tuple[Change, ...]:
    return site_changes(site, names, enrolled(site), ground.contracts)


def test_every_label_and_its_spare_is_bound_where_the_deployment_has_labels(
    ground: Ground, site: Site, names: SecretNames
) -> None:
    lift = next(device for device in site.devices if device.kind == "lift")
    codes = {"car": ["0123456789ab", "bcdefghjkmnp"], "machine-room": ["pqrstvwxyz01"]}
    labelled = replace(names, labels={device_key(lift): codes})
    at = {**ground.contracts, "labels": "0x" + "1a" * 20}
    says = {change.says: change.call for change in site_changes(site, labelled, enrolled(site), at)}
    places = ((code, number) for number, of_place in enumerate(codes.values(), 1) for code in of_place)
    new = [NewLabel(label_digest(code), number) for code, number in places]
    expected = labels_changes.bind_labels(at["labels"], device=names.device(site, lift), labels=new)
    assert says[f"labels of lift {lift.name}: 3"] == expected
    without = site_changes(site, labelled, enrolled(site), {**ground.contracts, "labels": ""})
    assert not [change for change in without if change.says.startswith("labels")]


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
