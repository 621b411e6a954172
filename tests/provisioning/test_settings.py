"""The settings that are written are the settings that the processes read."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from cloud.directory import parse_directory
from cloud.settings import load_operator_settings, load_settings
from contracts.clock import DemoClock
from contracts.entry import device_id
from contracts.label import label_digest
from devices.simulated.settings import load_building
from edge.settings import read_settings
from provisioning.demo.calendar import Month
from provisioning.demo.crew import crew_members, mechanic_visits
from provisioning.demo.writing import owner_keys, write_directory, write_passwords, write_settings
from provisioning.errors import ProvisioningError
from provisioning.keys import ensure_ed25519_key, ensure_person_seed
from provisioning.names import SecretNames
from provisioning.settings import Places, VisitTimes
from provisioning.settings.broker import mosquitto_files, nats_file
from provisioning.site import Site
from provisioning.toml_text import toml_document
from tests.provisioning.conftest import PORTS

REGISTRY, AGREEMENTS = "0x" + "Aa" * 20, "0x" + "bB" * 20
TARIFFS = {"electricity": 1, "electricity-common": 2}
CLOCK = DemoClock(real_start_ms=1_800_000_000_000, real_end_ms=1_800_000_060_000, demo_start_ms=1_797_000_000_000)


def written(site: Site, names: SecretNames, root: Path, *, with_bluetooth: bool = True) -> Places:
    places = Places(root)
    write_passwords(site, names, places, PORTS)
    write_settings(site, names, places, PORTS, CLOCK, with_bluetooth=with_bluetooth)
    return places


def test_gateway_building_and_cloud_read_one_clock(site: Site, names: SecretNames, tmp_path: Path) -> None:
    places = written(site, names, tmp_path)
    for path in ("gateway/edge.toml", "building/building.toml", "cloud/cloud.toml", "cloud/operator.toml"):
        clock = tomllib.loads((places.root / path).read_text())["clock"]
        assert clock == {
            "kind": "demo",
            "real_start_ms": CLOCK.real_start_ms,
            "real_end_ms": CLOCK.real_end_ms,
            "demo_start_ms": CLOCK.demo_start_ms,
            "ahead_ms": CLOCK.ahead_ms,
        }


def test_the_gateway_reads_its_settings(site: Site, names: SecretNames, tmp_path: Path) -> None:
    settings = read_settings(written(site, names, tmp_path).gateway / "edge.toml")
    assert settings.origin == "demo.minglou.example/cuiyuan/b07/e0"
    assert len(settings.devices) == 33
    assert {device.urn for device in settings.devices} == {names.urn(site, device) for device in site.devices}


def test_without_bluetooth_the_water_meters_and_the_adapter_are_left_out(
    site: Site, names: SecretNames, tmp_path: Path
) -> None:
    places = written(site, names, tmp_path, with_bluetooth=False)
    settings = read_settings(places.gateway / "edge.toml")
    assert settings.ble_adapter is None
    assert len(settings.devices) == 31
    load_building(places.building / "building.toml")


def test_the_building_reads_its_settings(site: Site, names: SecretNames, tmp_path: Path) -> None:
    load_building(written(site, names, tmp_path).building / "building.toml")


def test_the_cloud_and_the_operator_read_theirs(site: Site, names: SecretNames, tmp_path: Path) -> None:
    places = written(site, names, tmp_path)
    settings = load_settings(places.cloud / "cloud.toml")
    assert settings.super_origin == "demo.minglou.example/log"
    load_operator_settings(places.cloud / "operator.toml")
    assert str(places.key("operator")) not in (places.cloud / "cloud.toml").read_text()


@pytest.mark.parametrize(
    ("contracts", "address"),
    [
        ({"registry": REGISTRY}, REGISTRY),
        ({"registry": REGISTRY, "service_agreements": ""}, REGISTRY),
        ({"registry": REGISTRY, "service_agreements": AGREEMENTS}, AGREEMENTS),
    ],
)
def test_gateway_and_cloud_learn_which_contract_visits_are_signed_for(
    site: Site, names: SecretNames, tmp_path: Path, contracts: dict[str, str], address: str
) -> None:
    places = written(site, names, tmp_path)
    assert read_settings(places.gateway / "edge.toml").maintenance_contract == ""
    assert load_settings(places.cloud / "cloud.toml").maintenance_contract is None
    places.deployment_file.parent.mkdir()
    places.deployment_file.write_text(json.dumps({"contracts": contracts}))
    written(site, names, tmp_path)
    assert read_settings(places.gateway / "edge.toml").maintenance_contract == address.lower()
    assert load_settings(places.cloud / "cloud.toml").maintenance_contract == address.lower()
    places.deployment_file.write_text("{}")
    with pytest.raises(ProvisioningError, match="minglou chain deploy"):
        written(site, names, tmp_path)


def test_a_display_beside_a_lift_reaches_gateway_and_building(site: Site, names: SecretNames, tmp_path: Path) -> None:
    with pytest.raises(ProvisioningError, match='add "display" to its labels'):
        written(site, replace(names, labels={}), tmp_path)
    places = Places(tmp_path)
    places.deployment_file.parent.mkdir(exist_ok=True)
    places.deployment_file.write_text(json.dumps({"contracts": {"registry": REGISTRY}}))
    written(site, names, tmp_path)
    settings = read_settings(places.gateway / "edge.toml")
    assert settings.crew_urls == (f"http://127.0.0.1:{PORTS.cloud}/crew",)
    lifts = [device for device in site.devices if device.kind == "lift"]
    assert [one.of for one in settings.devices if one.of] == [(names.urn(site, lift),) for lift in lifts]
    displays = load_building(places.building / "building.toml").displays
    assert [one.code for one in displays] == [names.labels[f"b07:lift:{lift.name}"]["display"][0] for lift in lifts]
    assert {one.base for one in displays} == {f"http://127.0.0.1:{PORTS.cloud}"}


def test_the_building_is_told_when_the_mechanic_comes_and_when_displays_are_looked_at(
    site: Site, names: SecretNames, tmp_path: Path
) -> None:
    month = Month(opening=date(2026, 10, 23), closing=date(2026, 11, 22), opening_ms=10**12, closing_ms=2 * 10**12)
    visits = mechanic_visits(month)
    times = VisitTimes(made=visits, signed={"l2": (5, 9)}, often_from_ms=month.closing_ms)
    places = written(site, names, tmp_path)
    write_settings(site, names, places, PORTS, CLOCK, with_bluetooth=True, visits=times)
    building = load_building(places.building / "building.toml")
    modules = {module.link.name: module for module in building.modules}
    assert modules["l1"].visits_ms == visits["l1"] and len(visits["l1"]) == 1
    assert modules["l2"].visits_ms == ()
    assert [one.visits_ms for one in building.displays] == [(), (5, 9)]
    assert {one.often_from_ms for one in building.displays} == {month.closing_ms}
    written(site, names, tmp_path)
    alone = load_building(places.building / "building.toml")
    assert all(module.visits_ms is None for module in alone.modules)
    assert all(one.often_from_ms is None for one in alone.displays)


def test_the_crew_is_in_the_directory_with_its_firm_and_a_key_called_software(
    site: Site, names: SecretNames, tmp_path: Path
) -> None:
    places = written(site, names, tmp_path)
    crew = crew_members(places)
    write_directory(site, names, places, sign_ins=(), tariffs={"electricity": 1, "electricity-common": 2},
                    with_bluetooth=True, crew=crew)  # fmt: skip
    text = (places.cloud / "directory.json").read_text()
    members = json.loads(text)["crew"]
    assert [(one["public"], one["kind"]) for one in members] == [(one.public.hex(), "software") for one in crew]
    assert [(one.duty, one.firm_number) for one in crew] == [("mechanic", 1), ("mechanic", 1), ("manager", 0)]
    for name in ("mechanic", "colleague", "site-manager"):
        assert ensure_person_seed(places.crews / f"{name}.seed").hex() not in text
    assert crew_members(places) == crew, "their keys are made once"


def test_the_directory_tells_the_cloud_no_secret(site: Site, names: SecretNames, tmp_path: Path) -> None:
    places = written(site, names, tmp_path)
    write_directory(site, names, places, sign_ins=(), tariffs=TARIFFS, with_bluetooth=True)
    text = (places.cloud / "directory.json").read_text()
    document = json.loads(text)
    assert [unit["index"] for unit in document["units"]] == list(range(24))
    assert document["units"][0]["owner"]["public"] == owner_keys(site, places)["b07-0101"].hex()
    for unit in site.units:
        assert ensure_person_seed(places.owners / f"{unit.name}.seed").hex() not in text
        assert names.letters[unit.name] not in text


def test_the_directory_knows_the_last_digit_that_each_meter_shows(
    site: Site, names: SecretNames, tmp_path: Path
) -> None:
    places = written(site, names, tmp_path)
    write_directory(site, names, places, sign_ins=(), tariffs=TARIFFS, with_bluetooth=True)
    directory = parse_directory(json.loads((places.cloud / "directory.json").read_text()))
    steps = {kind: {one.register_step for one in directory.of_kind(kind)} for kind in ("meter", "water", "lift")}
    assert steps == {"meter": {10}, "water": {1000}, "lift": {1}}


def test_the_directory_knows_labels_by_their_digests_and_how_a_lift_is_looked_after(
    site: Site, names: SecretNames, tmp_path: Path
) -> None:
    places = written(site, names, tmp_path)
    write_directory(site, names, places, sign_ins=(), tariffs=TARIFFS, with_bluetooth=True)
    text = (places.cloud / "directory.json").read_text()
    directory = parse_directory(json.loads(text))
    lift = directory.of_kind("lift")[0]
    codes = names.labels["b07:lift:l1"]
    assert set(codes) == {"car", "machine-room", "display"}
    for place, made in codes.items():
        for code in made:
            assert directory.label_of(label_digest(code)) == (lift, place)
            assert code not in text
    assert directory.label_of(label_digest("000000000000")) is None
    assert lift.packs == ("cn-tsg-t5002-2017-a", "lift-repair")
    firm = directory.firm_numbered(lift.firm)
    assert firm is not None and firm.title.zh == site.firms[0].title.zh
    building = directory.building_named(lift.building)
    assert building is not None and directory.cell_of(lift.device) == building.cell == site.buildings[0].cell
    assert lift.inspection_until == next(one.inspection_until for one in site.devices if one.name == "l1")
    assert directory.device_named(lift.name) == lift and directory.cell_of(bytes(32)) is None


def test_a_gateway_that_is_looked_after_by_a_plan_stands_among_the_devices(
    site: Site, names: SecretNames, tmp_path: Path
) -> None:
    gateway = replace(site.gateways[0], packs=("gateway-service",))
    site = replace(site, gateways=(gateway, *site.gateways[1:]))
    places = written(site, names, tmp_path)
    write_directory(site, names, places, sign_ins=(), tariffs=TARIFFS, with_bluetooth=True)
    directory = parse_directory(json.loads((places.cloud / "directory.json").read_text()))
    (found,) = directory.of_kind("gateway")
    assert (found.urn, found.origin) == (site.gateway_urn(gateway), site.origin(gateway))
    assert directory.device_of(device_id(found.urn)) == found, "so that its visits find the log that judges them"
    assert found.packs == ("gateway-service",)


def test_mosquittos_password_file_holds_its_own_hash_form(site: Site, names: SecretNames, tmp_path: Path) -> None:
    files = mosquitto_files(site, names, directory=tmp_path, port=1, random_bytes=lambda length: bytes(length))
    line = next(line for line in files["passwd"].splitlines() if line.startswith("lift-l2:"))
    _, kind, iterations, _salt, _digest = line.split("$")
    assert (kind, iterations) == ("7", "101")
    expected = hashlib.pbkdf2_hmac("sha512", names.passwords["lift-l2"].encode(), bytes(12), 101)
    assert len(expected) == 64
    assert names.passwords["lift-l2"] not in files["passwd"]


def test_a_device_may_write_its_own_topic_only(site: Site, names: SecretNames, tmp_path: Path) -> None:
    acl = mosquitto_files(site, names, directory=tmp_path, port=1)["acl"]
    blocks = {block.splitlines()[0]: block.splitlines()[1:] for block in acl.strip().split("\n\n")}
    assert blocks["user lift-l2"] == ["topic read lift/l2/command", "topic write lift/l2", "topic write lift/l2/#"]
    assert "user lift-l1" not in blocks  # he speaks to the gateway's own endpoint


def test_the_nats_listener_gets_the_same_rights_as_subjects(site: Site, names: SecretNames, tmp_path: Path) -> None:
    document = json.loads(nats_file(site, names, directory=tmp_path, port=1, client_port=2))
    user = next(user for user in document["authorization"]["users"] if user["user"] == "lift-l2")
    assert "lift.l2" in user["permissions"]["publish"]
    assert "access.garage" not in user["permissions"]["publish"]


def test_what_is_written_as_toml_reads_back() -> None:
    keys = {
        "text": 'a "b" \\ 翠苑\n',
        "number": 7,
        "fraction": 2.5,
        "truth": True,
        "list": ["x", "y"],
        "left out": None,
    }
    text = toml_document(
        "heading", [("", {"root": 1}), ("a.b", keys | {"left out": None}), ("[c]", {"n": 1}), ("[c]", {"n": 2})]
    )
    document = tomllib.loads(text)
    assert document["root"] == 1
    assert document["a"]["b"] == {key: value for key, value in keys.items() if value is not None}
    assert document["c"] == [{"n": 1}, {"n": 2}]


def test_a_super_log_key_is_kept(tmp_path: Path) -> None:
    assert ensure_ed25519_key(tmp_path / "k") == ensure_ed25519_key(tmp_path / "k")
