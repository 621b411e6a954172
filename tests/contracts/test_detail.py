"""Detail bytes: canonical JSON in the narrow profile, and nothing that merely means the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.detail import canonical_json, decode_detail, encode_detail, parse_canonical_json
from contracts.errors import DetailError

SALT = bytes(range(16))

texts = st.text(st.characters(codec="utf-8"), max_size=12)
values = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
fields = st.dictionaries(texts.filter(lambda key: key != "salt"), values, max_size=4)


def test_the_rfcs_key_order_is_ours() -> None:
    # RFC 8785, 3.2.3: its sorting example, with its values.
    given_order = {
        "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
        "\U0001f600": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis",
    }  # fmt: skip
    order = [
        "Carriage Return", "One", "Control", "Latin Small Letter O With Diaeresis", "Euro Sign",
        "Emoji: Grinning Face", "Hebrew Letter Dalet With Dagesh",
    ]  # fmt: skip
    assert list(parse_canonical_json(canonical_json(given_order)).values()) == order


def test_the_rfcs_string_is_escaped_as_in_the_rfc() -> None:
    # RFC 8785, 3.2.2: the string of its example.
    value = '\u20ac$\u000f\nA\'B"\\\\"/'
    assert canonical_json(value) == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()


@given(fields)
def test_a_detail_survives_its_bytes(given_fields: dict[str, Any]) -> None:
    encoded = encode_detail(given_fields, salt=SALT)
    assert decode_detail(encoded) == {**given_fields, "salt": SALT.hex()}


@given(fields, st.integers(0, 4096), st.integers(0, 255))
def test_a_damaged_detail_is_refused_or_canonical(given_fields: dict[str, Any], position: int, octet: int) -> None:
    damaged = bytearray(encode_detail(given_fields, salt=SALT))
    damaged[position % len(damaged)] = octet
    try:
        decoded = decode_detail(bytes(damaged))
    except DetailError:
        return
    assert canonical_json(decoded) == bytes(damaged)


@pytest.mark.parametrize("value", [None, 1.5, b"bytes", {1: 2}, 2**53, -(2**53), "\ud800", {"\udc00": 1}, [[None]]])
def test_a_value_outside_the_profile_is_refused(value: object) -> None:
    with pytest.raises(DetailError):
        canonical_json(value)


def test_nulls_belong_in_files_only() -> None:
    assert canonical_json({"a": None}, nulls=True) == b'{"a":null}'
    assert parse_canonical_json(b'{"a":null}', nulls=True) == {"a": None}
    with pytest.raises(DetailError, match="outside the profile"):
        parse_canonical_json(b'{"a":null}')


def test_depth_and_length_have_a_limit() -> None:
    deep: Any = 1
    for _ in range(16):
        deep = [deep]
    assert canonical_json(deep)
    with pytest.raises(DetailError, match="deeper than 16"):
        canonical_json([deep])
    with pytest.raises(DetailError, match="4096 is the limit"):
        encode_detail({"text": "x" * 4096}, salt=SALT)
    with pytest.raises(DetailError):
        parse_canonical_json(b"[" * 100_000)


def test_the_salt_is_sixteen_bytes_and_not_given_twice() -> None:
    for salt, given_fields in ((SALT[:-1], {}), (SALT, {"salt": "mine"})):
        with pytest.raises(DetailError, match="one salt of 16 bytes"):
            encode_detail(given_fields, salt=salt)
