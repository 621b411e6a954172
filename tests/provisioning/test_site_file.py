"""A site file is read strictly: every mistake is named with its line and what to write instead."""

from datetime import date
from pathlib import Path

import pytest

from provisioning.errors import SiteFileError
from provisioning.site import parse_site, read_site

DEMO = Path("provisioning/demo/site.toml")

PACK = '"cn-tsg-t5002-2017-a"'
LIFT, GATE = 'username = "lift-l1"\n', 'username = "access-gate"\n'

# (what to replace in the demo's site file, by what, the text of the line that must be named, what is said, the remedy)
MISTAKES = [
    ('format = "minglou-site/1"', 'format = "minglou-site/9"', "format", "is not known", "did you mean minglou-site/1"),
    ('name = "cuiyuan"', 'name = "Cui Yuan"', 'name = "Cui Yuan"', "has not the form", 'like "cuiyuan"'),
    ('timezone = "Asia/Shanghai"', 'timezone = "Asia/Shanghi"', "timezone", "is not known", "IANA"),
    ('host = "demo.minglou.example"', "", "[site]", "host is missing", "add host"),
    ("id = 31337", 'id = "31337"', "id =", "is text, not a whole number", "write id = 1"),
    ("id = 31337", "id = 31337\nidd = 1", "idd", "idd is not a key here", "did you mean id?"),
    ("floors = 12", "floors = 3", "floor = 4", "is on floor 4, but building b07 has 3", "correct the floor"),
    ('area = "89.30"', "area = 89.30", "area", "is not a decimal", "in quotes so that nothing is rounded"),
    ('area = "89.30"', 'area = "89.305"', "area", "at most 2 places", 'write area = "89.30"'),
    ('area = "89.30"', 'area = "0"', "area", "area is zero", "registered floor area"),
    (
        'name = "b07-0102"',
        'name = "b07-0101"',
        'name = "b07-0101"',
        "is used twice, first on line",
        "give each [[unit]]",
    ),
    ('unit = "b07-0101"', 'unit = "b07-0111"', "unit =", "there is no unit b07-0111", "did you mean b07-"),
    ('bus = "bus1"', 'bus = "line9"', "bus =", "there is no bus line9", "add a [[bus]]"),
    (
        'tariff = "electricity-common"\nkey',
        'tariff = "gas"\nkey',
        "tariff =",
        "there is no tariff gas",
        "add a [[tariff]]",
    ),
    ('address = "000000001011"', 'address = "1011"', "address", "has not the form", 'like "000000005011"'),
    ('address = "000000001021"', 'address = "000000001011"', "address", "is used twice", "give each [[device]]"),
    ('bus = "bus1"\n', 'bus = "bus1"\nmqtt = "endpoint"\n', "mqtt =", "2 ways to reach it", "exactly one"),
    ('topic = "lift/l1"', 'topic = "lift/#"', "topic", "has not the form", "lift/l1"),
    ('topic = "lift/l1"\n', "", "mqtt =", "mqtt needs topic", "add topic"),
    ('mqtt = "house"', 'mqtt = "hause"', "mqtt =", "there is no broker hause", "did you mean house?"),
    ('ble_address = "AA:BB:CC:00:05:01"', 'ble_address = "aa:bb"', "ble_address", "has not the form", "AA:BB:CC"),
    ('adapter = "hci0"\n', "", "ble_address", "has no adapter", 'add adapter = "hci0"'),
    ('{ up_to = "230", price', '{ up_to = "430", price', "tiers", "ends at or below tier 1", "let the bounds rise"),
    (
        '{ price = "0.838" }',
        '{ up_to = "900", price = "0.838" }',
        "tiers",
        "the last tier has an end",
        "leave out up_to",
    ),
    ('{ price = "0.838" }', "{ price = 0.838 }", "tiers", "is not a decimal", "in quotes"),
    (
        'pool = "b07-common"',
        'pool = "b07-common"\nunit = "b07-0101"',
        "pool =",
        "a unit and for a pool",
        "counts for one",
    ),
    (
        'username = "lift-l1"',
        'username = "lift-l1"\nunit = "b07-0101"',
        "unit =",
        "a lift counts for nobody",
        "remove unit",
    ),
    ("[[gateway]]", "[gateway]", "[gateway]", "not an array of tables", "two brackets"),
    ('parity = "even"', 'parity = "evn"', "parity", "is not known", "did you mean even?"),
    ("baud = 2400", "baud = 24", "baud", "out of range", "300 to 115200"),
    (
        '["car", "machine-room", "display"]',
        '["car", "roof"]',
        "labels",
        "'roof' is not known",
        "write one of: car, machine-room",
    ),
    (
        '["car", "machine-room", "display"]',
        '["car", "car"]',
        "labels",
        "not an array of different words",
        'write labels = ["car"]',
    ),
    (f"packs = [{PACK}, ", f"packs = {PACK} # ", "packs", "not an array of different names", f"write packs = [{PACK}]"),
    ("2027-10-31", '"2027-10-31"', "inspection_until", "is text, not a date", "without quotes"),
    ("firm = 1", "firm = 9", "firm =", "there is no firm 9", "add a [[firm]]"),
    (LIFT, f'{LIFT}of = "l2"\n', "of =", "a lift belongs to no lift", "remove of"),
    (GATE, f'{GATE}of = "l9"\n', "of =", "has no lift l9", "name one of its lifts: l1, l2"),
    (GATE, f'{GATE}labels = ["display"]\n', "labels", "of kind access has no display", "remove"),
    ('area = "built-up"', 'area = "town"', "area =", "'town' is not known", "built-up"),
    ('cell = "30.29,120.11"', 'cell = "30.2912,120.1134"', "cell", "has not the form", "30.27,120.15"),
]


def test_the_demo_site_has_24_flats_and_33_devices() -> None:
    site = read_site(DEMO)
    assert len(site.units) == 24
    assert [unit.index for unit in site.units] == list(range(24))
    assert len(site.devices) == 33
    assert site.origin(site.gateways[0]) == "demo.minglou.example/cuiyuan/b07/e0"
    assert site.units[0].area_centi_m2 == 8930
    assert site.tariffs[0].tiers[0].up_to == 230_000  # Wh
    assert site.tariffs[0].tiers[0].price_micro == 538_000


@pytest.mark.parametrize(
    ("old", "new", "line_text", "says", "remedy"), MISTAKES, ids=[f"{m[3][:40]}-{n}" for n, m in enumerate(MISTAKES)]
)
def test_a_mistake_is_named_with_its_line_and_remedy(
    old: str, new: str, line_text: str, says: str, remedy: str
) -> None:
    text = DEMO.read_text()
    assert old in text
    damaged = text.replace(old, new, 1)
    with pytest.raises(SiteFileError) as caught:
        parse_site(damaged)
    fitting = [mistake for mistake in caught.value.mistakes if says in mistake.what and remedy in mistake.remedy]
    assert fitting, str(caught.value)
    assert line_text in damaged.splitlines()[fitting[0].line - 1]


def test_a_device_says_what_is_scanned_at_it_and_how_it_is_looked_after() -> None:
    site = parse_site(DEMO.read_text().replace(GATE, f'{GATE}of = "l1"\n'))
    lift = next(one for one in site.devices if one.name == "l1")
    assert (lift.labels, lift.firm) == (("car", "machine-room", "display"), 1)
    assert lift.packs == ("cn-tsg-t5002-2017-a", "lift-repair")
    assert lift.inspection_until == date(2027, 10, 31) and lift.serviced_since is None
    assert site.firms[0].telephone == "0571 8800 0000"
    assert site.lift_of(next(one for one in site.devices if one.name == "gate")) == lift
    assert site.lift_of(lift) is None


def test_all_mistakes_are_listed_at_once_in_the_order_of_the_file() -> None:
    damaged = DEMO.read_text().replace('area = "89.30"', "area = 89.30").replace("floors = 12", 'floors = "12"')
    with pytest.raises(SiteFileError) as caught:
        parse_site(damaged)
    lines = [mistake.line for mistake in caught.value.mistakes]
    assert len(lines) == 13
    assert lines == sorted(lines)


def test_broken_notation_names_its_line() -> None:
    with pytest.raises(SiteFileError, match="line 2: is not TOML"):
        parse_site('format = "minglou-site/1"\n[site\n')


def test_an_absent_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(SiteFileError, match="name a site file that exists"):
        read_site(tmp_path / "none.toml")


def test_a_file_that_is_not_utf_8_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes(b'format = "minglou-site/1"\n# \xff\n')
    with pytest.raises(SiteFileError, match="line 2: is not UTF-8; save the file as UTF-8"):
        read_site(path)


def test_brackets_in_values_and_comments_do_not_confuse_the_lines() -> None:
    text = DEMO.read_text().replace("# the demo puts its pseudo-terminal here", "# [[unit]] ] }")
    text = text.replace('source = "Zhejiang shared', 'source = "[[unit]] Zhejiang shared').replace(
        "baud = 2400", "baud = 1"
    )
    with pytest.raises(SiteFileError) as caught:
        parse_site(text)
    assert text.splitlines()[caught.value.mistakes[0].line - 1] == "baud = 1"
