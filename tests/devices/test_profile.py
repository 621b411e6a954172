"""Profiles: the shipped ones load; every mistake names its line and what to do."""

from pathlib import Path

import pytest

from contracts.quantities import unit_of
from devices.dlt645.profile import Dlt645Profile
from devices.errors import ProfileError
from devices.profile import SHIPPED, load_profile, shipped_profiles


@pytest.mark.parametrize("name", shipped_profiles())
def test_a_shipped_profile_loads_and_keeps_its_digest(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert len(profile.digest) == 32
    assert profile.digest == load_profile(SHIPPED / f"{name}.toml").digest


def test_the_flat_meters_profile_says_what_bills_rest_on() -> None:
    profile = load_profile("dlt645-2007-single-phase")
    assert isinstance(profile, Dlt645Profile)
    assert [register.data_id for register in profile.registers] == ["00010000"]
    assert profile.daily_freeze is not None
    assert (profile.daily_freeze.time_id, profile.daily_freeze.register.data_id) == ("05060001", "05060101")
    limits = profile.limits["1-0:1.8.0"]
    assert limits.cumulative
    assert limits.maximum == 999_999_990
    assert unit_of("1-0:1.8.0") == "Wh"


def changed(tmp_path: Path, name: str, old: str, new: str) -> Path:
    text = (SHIPPED / f"{name}.toml").read_text()
    assert text.count(old) >= 1, old
    path = tmp_path / f"{name}.toml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_the_digest_covers_meaning_and_not_the_title(tmp_path: Path) -> None:
    name = "dlt645-2007-single-phase"
    digest = load_profile(name).digest
    title = changed(tmp_path, name, 'title = "DL/T', 'title = "The DL/T')
    assert load_profile(title).digest == digest
    scale = changed(tmp_path, name, 'format = "XXXXXX.XX"', 'format = "XXXXXXX.X"')
    assert load_profile(scale).digest != digest


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        (
            "dlt645-2007-single-phase",
            'id = "00010000"',
            'id = "0001000"',
            r":19: \[register\] id: .*write 8 hex digits",
        ),
        (
            "dlt645-2007-single-phase",
            'unit = "kWh"',
            'unit = "V"',
            r"unit: is 'V'; 1-0:1.8.0 is kept in Wh, write one of",
        ),
        ("dlt645-2007-single-phase", 'format = "XXXXXX.XX"', 'format = "XX.XXXX"', "keeps it whole"),
        ("dlt645-2007-single-phase", "baud = 2400", 'baud = "2400"', r"\[bus\] baud: .*whole number from 300"),
        ("dlt645-2007-single-phase", "retries = 2", "retires = 2", r"\[bus\] retires: is not known here"),
        ("dlt645-2007-single-phase", '"1-0:1.8.0"]', '"lift.mode"]', "write an OBIS code"),
        ("dlt645-2007-single-phase", '"1-0:1.8.0"]', '"1-0:1.8.0*20261201"]', "the gateway adds it"),
        ("dlt645-2007-single-phase", "cumulative = true", "cumulative = 1", r"cumulative: is 1; write true or false"),
        ("dlt645-2007-single-phase", 'minimum = "0"', 'minimum = "0.0005"', "no whole number of Wh"),
        (
            "dlt645-2007-single-phase",
            'protocol = "dlt645-2007"',
            'protocol = "dlt645"',
            r":4: protocol: .*write one of",
        ),
        ("dlt645-2007-single-phase", 'name = "dlt645-2007-single-phase"', 'name = "other"', "make them the same"),
        ("lift-module-json", "normal = 0", 'normal = "0"', r"\[message.value\] codes: .*write \{name = number"),
        ("lift-module-json", 'quantity = "lift.trips"', 'quantity = "Lift.trips"', "Lift.trips"),
        ("lift-module-json", 'path = "trips"', 'path = "trips..now"', "is no path"),
        ("lift-module-json", 'topic = "{topic}"', 'topic = "lift/+"', "write {topic} once"),
        ("access-controller-json", 'door = "door"', 'salt = "door"', "neither salt nor credential"),
        ("access-controller-json", "access.granted", "door.granted", "begins with 'access.'"),
        ("bthome-water-pulse", 'unit = "L"', 'unit = "kWh"', "8-0:1.0.0 is kept in mL"),
        ("bthome-water-pulse", 'name = "count"', "name = 3", r"\[object\] name: is 3; write a text"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_remedy(tmp_path: Path, name: str, old: str, new: str, says: str) -> None:
    with pytest.raises(ProfileError, match=says) as caught:
        load_profile(changed(tmp_path, name, old, new))
    assert f"{name}.toml:" in str(caught.value)


def test_the_line_of_the_second_of_two_like_tables_is_named(tmp_path: Path) -> None:
    path = changed(tmp_path, "lift-module-json", 'quantity = "lift.door-cycles"', 'quantity = "lift door"')
    line = path.read_text().splitlines().index('quantity = "lift door"') + 1
    with pytest.raises(ProfileError, match=rf":{line}: \[message.value\] quantity"):
        load_profile(path)


def test_text_that_is_no_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text('format = "minglou-profile/1"\nname = \n')
    with pytest.raises(ProfileError, match="line 2"):
        load_profile(path)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ProfileError, match=r"is not shipped; write one of .*lift-module-json"):
        load_profile("lift-module")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ProfileError, match="cannot be read"):
        load_profile("/nowhere/meter.toml")
