"""The settings that are written are the settings that the processes read."""

from __future__ import annotations

import hashlib
import json
import tomllib
from datetime import date
from pathlib import Path

import pytest

from cloud.settings import load_operator_settings, load_settings
from contracts.clock import DemoClock
from devices.simulated.settings import load_building
from edge.settings import read_settings
from provisioning.demo.calendar import Month
from provisioning.demo.crew import crew_members, mechanic_visits
from provisioning.demo.writing import owner_keys, write_directory, write_passwords, write_settings
from provisioning.errors import ProvisioningError
from provisioning.keys import ensure_ed25519_key, ensure_person_seed
from provisioning.names import SecretNames
from provisioning.settings import Places
from provisioning.settings.broker import mosquitto_files, nats_file
from provisioning.site import Site
from provisioning.toml_text import toml_document
from tests.provisioning.conftest import PORTS

REGISTRY, AGREEMENTS = "0x" + "Aa" * 20, "0x" + "bB" * 20
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
    assert len(settings.devices) == 31
    assert {device.urn for device in settings.devices} == {names.urn(site, device) for device in site.devices}


def test_without_bluetooth_the_water_meters_and_the_adapter_are_left_out(
    site: Site, names: SecretNames, tmp_path: Path
) -> None:
    places = written(site, names, tmp_path, with_bluetooth=False)
    settings = read_settings(places.gateway / "edge.toml")
    assert settings.ble_adapter is None
    assert len(settings.devices) == 29
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


def test_the_building_is_told_when_the_mechanic_comes(site: Site, names: SecretNames, tmp_path: Path) -> None:
    month = Month(opening=date(2026, 10, 23), closing=date(2026, 11, 22), opening_ms=10**12, closing_ms=2 * 10**12)
    visits = mechanic_visits(month)
    places = written(site, names, tmp_path)
    write_settings(site, names, places, PORTS, CLOCK, with_bluetooth=True, visits=visits)
    modules = {module.link.name: module for module in load_building(places.building / "building.toml").modules}
    assert modules["l1"].visits_ms == visits["l1"] and len(visits["l1"]) == 1
    assert modules["l2"].visits_ms == ()
    written(site, names, tmp_path)
    assert all(module.visits_ms is None for module in load_building(places.building / "building.toml").modules)


def test_the_crew_is_in_the_directory_with_its_firm_and_a_key_called_software(
    site: Site, names: SecretNames, tmp_path: Path
) -> None:
    places = written(site, names, tmp_path)
    crew = crew_members(places)
    write_directory(site, names, places, sign_ins=(), tariffs={"electricity": 1, "electricity-common": 2},
                    with_bluetooth=True, crew=crew)  # fmt: skip
    text = (places.cloud / "directory.json").read_text()
    (member,) = json.loads(text)["crew"]
    assert (member["public"], member["kind"]) == (crew[0].public.hex(), "software")
    assert ensure_person_seed(places.crews / "mechanic.seed").hex() not in text
    assert crew_members(places) == crew, "his key is made once"


def test_the_directory_tells_the_cloud_no_secret(site: Site, names: SecretNames, tmp_path: Path) -> None:
    places = written(site, names, tmp_path)
    write_directory(
        site, names, places, sign_ins=(), tariffs={"electricity": 1, "electricity-common": 2}, with_bluetooth=True
    )
    text = (places.cloud / "directory.json").read_text()
    document = json.loads(text)
    assert [unit["index"] for unit in document["units"]] == list(range(24))
    assert document["units"][0]["owner"]["public"] == owner_keys(site, places)["b07-0101"].hex()
    for unit in site.units:
        assert ensure_person_seed(places.owners / f"{unit.name}.seed").hex() not in text
        assert names.letters[unit.name] not in text


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
