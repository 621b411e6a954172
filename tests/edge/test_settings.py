"""Settings: what is wrong is named with file, line, key and remedy."""

from pathlib import Path

import pytest

from edge.credentials import Credentials, hash_password
from edge.errors import CredentialError, SettingsError
from edge.settings import read_settings
from tests.edge.site import Site

GOOD = (
    '[[device]]\nurn="urn:minglou:a:b:lift:l1"\nprofile="lift-module-json"\nmqtt="endpoint"\ntopic="l"\nusername="l1"\n'
)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(directory=tmp_path)


def test_a_whole_file_is_read(site: Site) -> None:
    site.tables = [
        '[[mqtt.broker]]\nname="house"\nurl="mqtts://broker:8883"\nclient_id="g"\n',
        '[[serial]]\nname="bus1"\nport="/dev/ttyUSB0"\n[ble]\nadapter="hci1"\n[home_assistant]\nbroker="house"\n',
        GOOD,
    ]
    settings = read_settings(site.write())
    assert settings.devices[0].topic == "l"
    assert settings.brokers[0].tls
    assert settings.buses[0].parity == "even"
    assert settings.origin_stem == "test.minglou.example/site/b01"


@pytest.mark.parametrize(
    ("table", "key", "remedy"),
    [
        (GOOD + GOOD, "[[device]] urn", "twice"),
        (GOOD.replace('topic="l"', 'topic="l/#"'), "[[device]] topic", "without"),
        (GOOD.replace('mqtt="endpoint"', 'mqtt="nowhere"'), "[[device]] mqtt", "brokers"),
        (GOOD.replace('username="l1"\n', ""), "[[device]] username", "username"),
        (GOOD + 'colour="red"\n', "[[device]] colour", "is not a setting"),
        (GOOD.replace("lift:l1", "lift:L1"), "[[device]] urn", "lower case"),
        (GOOD + 'bus="b"\naddress="1"\n', "[[device]] urn", "exactly one"),
        ('[[serial]]\nname="b"\nport="p"\nparity="mark"\n', "[[serial]] parity", "one of"),
        ('[[serial]]\nname="b"\nport="p"\nbaud="fast"\n', "[[serial]] baud", "whole number"),
        ('[[mqtt.broker]]\nname="h"\nurl="http://x"\nclient_id="g"\n', "[[mqtt.broker]] url", "mqtt://"),
        ('[home_assistant]\nbroker="none"\n', "[home_assistant] broker", "not one of"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_remedy(site: Site, table: str, key: str, remedy: str) -> None:
    site.tables = [table]
    path = site.write()
    with pytest.raises(SettingsError) as caught:
        read_settings(path)
    says = str(caught.value)
    assert says.startswith("gateway.toml line ")
    assert key in says
    assert remedy in says
    line = int(says.partition("line ")[2].partition(":")[0])
    word = key.rpartition(" ")[2].strip("[]")
    named = path.read_text().splitlines()[line - 1]
    assert word in named or named == key.partition(" ")[0], "a missing key is looked for at its table's heading"


def test_broken_toml_names_its_line(site: Site) -> None:
    path = site.write()
    path.write_text("[gateway]\norigin=\n")
    with pytest.raises(SettingsError, match="line 2"):
        read_settings(path)


def test_an_unknown_profile_is_said_at_start(site: Site) -> None:
    site.tables = [GOOD.replace("lift-module-json", "no-such")]
    site.write()
    answer = site.ask("run")
    assert answer.returncode == 1
    assert "no-such" in answer.stderr


def test_a_password_is_checked_against_its_hash_and_faster_the_second_time() -> None:
    stored = hash_password("secret")
    credentials = Credentials({"a": stored})
    assert not credentials.is_known("a", b"secret")
    assert not credentials.check("a", b"other")
    assert credentials.check("a", b"secret")
    assert credentials.is_known("a", b"secret")
    assert not credentials.is_known("a", b"other")
    assert not credentials.check("b", b"secret")


def test_a_stored_credential_in_another_form_is_refused() -> None:
    with pytest.raises(CredentialError, match="hash_password"):
        Credentials({"a": "plain"})
