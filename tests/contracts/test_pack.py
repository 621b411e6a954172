"""Data packs: the annex's 76 items as their table has them, cumulative classes, limits, and packs of other sources."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.detail import canonical_json
from contracts.pack import SPOTS, PackError, Reach, parse_pack, read_pack
from contracts.packs import DIRECTORY, NAMES, pack_bytes, tsg_t5002
from contracts.visit import VisitClass

ANNEX_A = read_pack(tsg_t5002.NAME)
TABLE = Path(__file__).resolve().parents[1] / "vectors" / f"{tsg_t5002.NAME}.psv"
VALUE = json.loads(ANNEX_A.encoded)


# A pack that was handed out is never changed: agreements name it by this digest, and a visit by other bytes would be
# of another line, without fee and against overdue claims. A correction comes under a new name, beside the old one.
DIGESTS = {
    "cn-tsg-t5002-2017-a": "2b39e726607a40fa0beec2cb90f15f771347aeeb23862941108a5895c601bbad",
    "meter-swap": "0a5fc1481cc3a904579207055c6c3c1fc35124986e9b06e8d602c647e9e11543",
    "meter-calibration": "ba87e424d3b17c91faf10e1a1ae20d3b09926908fcdb272a16f9aad6b0668395",
    "access-controller": "e371b31a164406f3393a58af62935ea9fd5b0354d3fe67c8e23043b095012d04",
    "gateway-service": "52dcc99bf8b0b76e7d159eb265933c4d1bc01db0881dd18d1b3dc4504a37ecaa",
    "lift-repair": "cd9a1122e3137405e429105c77d4c8de54ee12dfb5c7c92672e49c801d2a334b",
    "maker-example": "268ae9afac278ff72685a38e9476b260d031083284b4b00b062863cf5a4ab522",
    "asme-mcp-example": "58e91f2b56ab6d55c5108e511089131fdb0edb7d9ea32dd3a0bc6531b1d3a9bb",
}


def encoded(**changes: Any) -> bytes:
    return canonical_json(VALUE | changes)


def test_annex_a_has_31_13_15_17_items_and_a_makers_pack_loads() -> None:
    own = [sum(item.visit_class is each for item in ANNEX_A.items) for each in ANNEX_A.classes]
    assert own == [0, 31, 13, 15, 17]
    assert len(read_pack("maker-example").items) == 7
    assert read_pack("asme-mcp-example").classes[VisitClass.HALF_MONTH].interval_days == 30


def test_a_pack_that_was_handed_out_keeps_its_bytes() -> None:
    assert {name: sha256(pack_bytes(name)).hexdigest() for name in NAMES} == DIGESTS


def test_the_pack_says_what_its_table_says_row_by_row() -> None:
    rows = [line.split("|") for line in TABLE.read_text(encoding="utf-8").splitlines()[1:]]
    assert len(rows) == len(ANNEX_A.items) == 76
    for (code, zh, need_zh, en, kind), item in zip(rows, ANNEX_A.items, strict=True):
        assert (item.code, item.zh, item.need_zh, item.en, item.kind) == (code, zh, need_zh, en, kind)
    written = tsg_t5002.written(tsg_t5002.pack_of(TABLE.read_text(encoding="utf-8")))
    assert (DIRECTORY / f"{tsg_t5002.NAME}.json").read_text(encoding="utf-8") == written


def test_a_table_that_is_not_the_annexs_is_refused() -> None:
    rows = ["|".join((item.code, item.zh, item.need_zh, item.en, item.kind)) for item in ANNEX_A.items]
    whole = "\n".join([tsg_t5002.HEADER, *rows])
    assert [one["code"] for one in tsg_t5002.pack_of(whole)["items"]] == [item.code for item in ANNEX_A.items]
    for damaged in (
        whole.replace("|kind", "", 1),
        "\n".join(whole.splitlines()[:-1]),
        whole.replace("A-1-07|", "B-1-07|"),
    ):
        with pytest.raises(tsg_t5002.TableError, match="annex A"):
            tsg_t5002.pack_of(damaged)


def test_a_class_holds_the_lower_ones() -> None:
    classes = [VisitClass.HALF_MONTH, VisitClass.QUARTER, VisitClass.HALF_YEAR, VisitClass.YEAR]
    lists = [{item.code for item in ANNEX_A.items_of(each)} for each in classes]
    assert [len(each) for each in lists] == [31, 44, 59, 76]
    assert lists[0] < lists[1] < lists[2] < lists[3]
    assert ANNEX_A.items_of(VisitClass.REPAIR) == ()
    assert len({ANNEX_A.list_digest(each) for each in classes}) == 4


@pytest.mark.parametrize("visit_class", [VisitClass.HALF_MONTH, VisitClass.YEAR])
def test_the_way_goes_from_machine_room_to_pit(visit_class: VisitClass) -> None:
    way = [SPOTS.index(item.spot) for item in ANNEX_A.items_of(visit_class)]
    assert way == sorted(way)
    assert {SPOTS[spot] for spot in way} == {"machine-room", "car-top", "car", "landing", "pit"}


def test_every_test_item_of_the_annex_needs_a_photograph() -> None:
    tests = [item.code for item in ANNEX_A.items if item.needs_photo]
    assert tests == ["A-1-06", "A-4-04", "A-4-05", "A-4-06", "A-4-07", "A-4-08"]


def test_a_number_is_near_its_limit_before_it_is_beyond() -> None:
    engagement, levelling = ANNEX_A.item("A-1-29"), ANNEX_A.item("A-1-23")
    assert engagement.needs_value and engagement.limit and levelling.limit
    assert [engagement.limit.reach_of(value) for value in (75, 74, 70, 69)] == [
        Reach.WITHIN, Reach.NEAR, Reach.NEAR, Reach.BEYOND,
    ]  # fmt: skip
    assert [levelling.limit.reach_of(value) for value in (8, 9, 10, 11)] == [
        Reach.WITHIN, Reach.NEAR, Reach.NEAR, Reach.BEYOND,
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_pack_has_one_spelling_and_says_that_nobody_verified_it(name: str) -> None:
    pack = read_pack(name)
    assert parse_pack(pack_bytes(name)) == pack
    assert pack.name == name and pack.source
    assert not pack.verified
    assert all(pack.item(code) for codes in pack.shows.values() for code in codes)


def test_rules_come_from_profile_and_pack() -> None:
    assert ANNEX_A.shows["car-top-stop"] == ("A-1-12",)
    assert "inspection-mode" not in ANNEX_A.shows  # a whole visit's rule: it shows no single item
    assert len(ANNEX_A.shows) >= 15


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: encoded(format="minglou-pack/2"), "format"),
        (lambda: encoded(people=3), "people"),
        (lambda: encoded(valid_from="2017-8-1"), "valid_from"),
        (lambda: encoded(name="A B"), "name"),
        (lambda: encoded(more=1), "unknown more"),
        (lambda: encoded(items=[*VALUE["items"], VALUE["items"][0]]), "stands twice"),
        (
            lambda: encoded(items=[VALUE["items"][0] | {"class": "repair"}], classes=VALUE["classes"][1:]),
            "does not have",
        ),
        (lambda: encoded(items=[VALUE["items"][0] | {"at": "roof"}]), "at is"),
        (lambda: encoded(items=[VALUE["items"][28] | {"limit": {"unit": "mm"}}]), "limit"),
        (
            lambda: encoded(items=[VALUE["items"][28] | {"limit": VALUE["items"][28]["limit"] | {"warn": 60}}]),
            "within it",
        ),
        (
            lambda: encoded(items=[VALUE["items"][28] | {"limit": VALUE["items"][28]["limit"] | {"max": 80}}]),
            "min or a max",
        ),
        (lambda: encoded(classes=VALUE["classes"][::-1]), "order"),
        (lambda: encoded(classes=[VALUE["classes"][1] | {"warn_days": 16}]), "warns after"),
        (lambda: encoded(shows={"alarm": ["A-9-99"]}), "not there"),
        (lambda: encoded(shows={"alarm": []}), "no list of items"),
        (lambda: encoded(rescue_s={"built-up": 1800}), "rescue_s"),
        (lambda: ANNEX_A.encoded + b"\n", "not canonical"),
        (lambda: b" " * 65_537, "limit"),
    ],
)
def test_a_pack_that_breaks_its_format_is_refused(made: Callable[[], bytes], says: str) -> None:
    with pytest.raises(PackError, match=says):
        parse_pack(made())


@given(st.integers(0, len(read_pack("meter-swap").encoded) - 1), st.integers(0, 255))
def test_a_damaged_pack_is_refused_or_another_pack(index: int, byte: int) -> None:
    damaged = bytearray(pack_bytes("meter-swap"))
    damaged[index] = byte
    try:
        pack = parse_pack(bytes(damaged))
    except PackError:
        return
    assert pack.encoded == bytes(damaged)
