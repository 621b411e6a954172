"""Register formats: exact integers from BCD and back."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.dlt645.value import BcdFormat, decode_freeze_time, parse_bcd_format
from devices.errors import MeterError, ProfileError

KWH = Fraction(1000)


@pytest.mark.parametrize(
    ("text", "unit", "wire", "value"),
    [
        ("XXXXXX.XX", KWH, "26000000", 260),  # the captured reading of 0.26 kWh
        ("XXX.X", Fraction(1000), "0110", 100_100),  # the captured 100.1 V
        ("XXXXXX.XX", KWH, "99999999", 999_999_990),
        ("XX.XXXX", KWH, "563412", None),  # finer than a watt-hour: refused when the profile is read
    ],
)
def test_a_register_is_scaled_exactly_or_its_format_refused(
    text: str, unit: Fraction, wire: str, value: int | None
) -> None:
    if value is None:
        with pytest.raises(ProfileError, match="keeps it whole"):
            parse_bcd_format(text, unit, is_signed=False)
    else:
        assert parse_bcd_format(text, unit, is_signed=False).decode(bytes.fromhex(wire)) == value


@given(st.integers(1, 6), st.sampled_from([1, 10, 100]), st.booleans(), st.data())
def test_every_value_is_read_back(size: int, factor: int, is_signed: bool, data: st.DataObject) -> None:
    register = BcdFormat(bytes_count=size, factor=factor, is_signed=is_signed)
    limit = 8 * 10 ** (2 * size - 1) - 1 if is_signed else 10 ** (2 * size) - 1
    value = factor * data.draw(st.integers(-limit if is_signed else 0, limit))
    assert register.decode(register.encode(value)) == value


@given(st.binary(min_size=4, max_size=4))
def test_any_bytes_are_a_value_or_an_error(field: bytes) -> None:
    register = BcdFormat(bytes_count=4, factor=10)
    try:
        value = register.decode(field)
    except MeterError:
        return
    assert (value is None and field == b"\xff" * 4) or (value is not None and register.encode(value) == field)


def test_a_register_that_the_meter_does_not_support_has_no_value() -> None:
    assert BcdFormat(bytes_count=3, factor=1, is_signed=True).decode(b"\xff\xff\xff") is None


def test_a_register_of_another_length_is_refused() -> None:
    with pytest.raises(MeterError, match="the profile says 4"):
        BcdFormat(bytes_count=4, factor=10).decode(b"\x00\x00")


@pytest.mark.parametrize("field", ["0000000000", "6000221126", "00002211", "0000311126", "00002211FF"])
def test_a_freeze_time_that_is_none_is_refused(field: str) -> None:
    with pytest.raises(MeterError):
        decode_freeze_time(bytes.fromhex(field))


def test_a_freeze_time_is_minutes_first() -> None:
    assert str(decode_freeze_time(bytes.fromhex("0000221126"))) == "2026-11-22 00:00:00"


@pytest.mark.parametrize("text", ["", "XXX", "XX,XX", "XX.XX.XX", "X" * 18, "xx.xx"])
def test_a_format_that_no_table_prints_is_refused(text: str) -> None:
    with pytest.raises(ProfileError, match="write an even number of X"):
        parse_bcd_format(text, KWH, is_signed=False)
