"""Names that must not be guessable are made once and never change."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from provisioning.errors import KeyFileError
from provisioning.names import SecretNames, complete_names, read_names, write_names
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
