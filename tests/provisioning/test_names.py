"""Names that must not be guessable are made once and never change."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from contracts.label import parse_code
from provisioning.errors import KeyFileError
from provisioning.names import SecretNames, complete_names, device_key, read_names, write_names
from provisioning.site import Site


def test_names_are_kept_in_a_file_that_only_its_owner_reads(tmp_path: Path, names: SecretNames) -> None:
    path = tmp_path / "names.json"
    write_names(path, names)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_names(path) == names


def test_a_names_file_that_others_can_read_is_refused(tmp_path: Path, names: SecretNames) -> None:
    path = tmp_path / "names.json"
    write_names(path, names)
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="lets others read a key"):
        read_names(path)


def test_a_damaged_names_file_is_refused_and_not_replaced(tmp_path: Path, names: SecretNames) -> None:
    path = tmp_path / "names.json"
    write_names(path, names)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(KeyFileError, match="would orphan every bill"):
        read_names(path)


def test_a_new_unit_gets_names_and_the_others_keep_theirs(site: Site, names: SecretNames) -> None:
    more = dataclasses.replace(site.units[0], index=24, name="b07-1301")
    grown = complete_names(dataclasses.replace(site, units=(*site.units, more)), names, os.urandom)
    assert grown.units.items() >= names.units.items()
    assert len(bytes.fromhex(grown.units["b07-1301"])) == 32
    assert grown.suffixes == names.suffixes


def test_a_flats_meter_ends_in_16_random_base32_characters_and_a_lift_does_not(site: Site, names: SecretNames) -> None:
    urns = [names.urn(site, device) for device in site.devices]
    flats = [urn for urn, device in zip(urns, site.devices, strict=True) if device.unit]
    assert len(flats) == 26
    assert all(len(urn.rpartition("-")[2]) == 16 for urn in flats)
    assert len(set(urns)) == len(urns)
    assert "urn:minglou:cuiyuan:b07:lift:l1" in urns


def test_two_sites_never_share_an_alias(site: Site) -> None:
    one, other = complete_names(site, None), complete_names(site, None)
    assert not set(one.units.values()) & set(other.units.values())


def test_each_place_gets_its_own_code_and_a_spare_and_keeps_them(site: Site, names: SecretNames) -> None:
    lift = next(one for one in site.devices if one.kind == "lift")
    labelled = dataclasses.replace(lift, labels=("car", "machine-room", "display"))
    devices = tuple(labelled if one is lift else one for one in site.devices)
    grown = complete_names(dataclasses.replace(site, devices=devices), names, os.urandom)
    codes = grown.labels[device_key(lift)]
    assert {place: len(made) for place, made in codes.items()} == {"car": 2, "machine-room": 2, "display": 1}
    flat = [code for made in codes.values() for code in made]
    assert len(set(flat)) == 5 and all(parse_code(code) == code for code in flat)
    assert complete_names(dataclasses.replace(site, devices=devices), grown, os.urandom).labels == grown.labels
    assert complete_names(site, grown, os.urandom).labels == grown.labels, "what was printed stays known"


def test_a_names_file_from_before_there_were_labels_is_read(tmp_path: Path, names: SecretNames) -> None:
    path = tmp_path / "names.json"
    write_names(path, names)
    document = json.loads(path.read_text())
    del document["labels"]
    path.write_text(json.dumps(document))
    held = read_names(path)
    assert held is not None and held.labels == {} and held.units == names.units
