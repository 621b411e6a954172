"""A node's JSON as types of our own: canonical, or refused."""

import pytest

from cloud.chain.answers import bytes_of, number_of


def test_numbers_and_bytes_are_read_as_nodes_write_them() -> None:
    assert (number_of("0x0"), number_of("0x1f"), bytes_of("0x"), bytes_of("0xAb01")) == (0, 31, b"", b"\xab\x01")


@pytest.mark.parametrize(
    "value", ["0x-1", "0x+1", "0x1_0", "0x 1", "0x1 ", "0x1\n", "0X1", "1", "0x", "0x\u0661", 1, None]
)
def test_what_only_python_would_call_a_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        number_of(value)


@pytest.mark.parametrize("value", ["0xab cd", "0xab ", "0xabc", "ab", None])
def test_what_only_python_would_call_hex_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        bytes_of(value)
