"""The entry's 224 bytes: a golden vector, round trips, and everything that is almost an entry."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.entry import (
    ENTRY_BYTES,
    NO_DETAIL,
    Entry,
    Kind,
    Series,
    decode_entry,
    decode_rows,
    device_id,
    encode_entry,
)
from contracts.errors import ContractsError, EntryError, QuantityError

METER = device_id("urn:minglou:hz-cuiyuan:b07:meter:0012")

READING = Entry(
    kind=Kind.READING, device=METER, observed_at_ms=1_764_000_000_000, quantity="1-0:1.8.0*20261201", value=-2,
    detail_digest=bytes(range(32)), salt=bytes(range(16)),
)  # fmt: skip

# Written by hand from DESIGN's table, word by word.
READING_WORDS = (
    "0000000000000000000000000000000000000000000000000000000000000001",
    METER.hex(),
    "0000000000000000000000000000000000000000000000000000019ab697e800",
    "312d303a312e382e302a32303236313230310000000000000000000000000000",
    "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe",
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    "000102030405060708090a0b0c0d0e0f00000000000000000000000000000000",
)

quantities = {
    Kind.READING: st.sampled_from(["1-0:1.8.0", "1-0:1.8.0*20261201", "8-0:1.0.0", "1-0:96.50.255"]),
    Kind.STATUS: st.sampled_from(["lift.mode", "visit.verdict", "a", "a.b_c-d.9"]),
    Kind.ACCESS: st.sampled_from(["access.granted", "access.denied"]),
    Kind.VISIT: st.just("visit"),
    Kind.GATEWAY: st.sampled_from(["epoch.open", "key.rotate", "config.meaning", "gap", "clock.step", "software"]),
    Kind.BEACON: st.sampled_from(["block:1", "block:31337"]),
}
values = {
    Kind.ACCESS: st.just(1),
    Kind.VISIT: st.integers(0, 4),
    Kind.BEACON: st.integers(0, 2**63 - 1),
}


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    kind = draw(st.sampled_from(Kind))
    digests = st.binary(min_size=32, max_size=32)
    return Entry(
        kind=kind,
        device=draw(digests),
        observed_at_ms=draw(st.integers(0, 2**53 - 1)),
        quantity=draw(quantities[kind]),
        value=draw(values.get(kind, st.integers(-(2**63) + 1, 2**63 - 1))),
        detail_digest=draw(digests.filter(any) if kind.has_raw_detail else digests),
        salt=draw(st.binary(min_size=16, max_size=16)),
    )


def test_an_entry_has_the_bytes_of_the_design() -> None:
    assert encode_entry(READING).hex() == "".join(READING_WORDS)
    assert decode_entry(bytes.fromhex("".join(READING_WORDS))) == READING


def test_an_entry_is_the_abi_encoding_of_a_static_struct() -> None:
    from eth_abi.abi import encode

    types = ["uint256", "bytes32", "uint256", "bytes32", "int256", "bytes32", "bytes32"]
    words = [1, METER, READING.observed_at_ms, b"1-0:1.8.0*20261201", -2, READING.detail_digest, READING.salt]
    assert encode(types, words) == encode_entry(READING)


@given(entries())
def test_decoding_gives_back_what_was_encoded(entry: Entry) -> None:
    encoded = encode_entry(entry)
    assert len(encoded) == ENTRY_BYTES
    assert decode_entry(encoded) == entry
    assert decode_rows(encoded) == [entry.row]


@given(entries())
def test_a_series_writes_the_same_bytes(entry: Entry) -> None:
    series = Series(entry.kind, entry.device, entry.quantity)
    assert series.encode(entry.observed_at_ms, entry.value, entry.detail_digest, entry.salt) == encode_entry(entry)


@given(entries(), st.integers(0, ENTRY_BYTES - 1), st.integers(0, 255))
def test_a_damaged_entry_is_refused_or_still_canonical(entry: Entry, position: int, octet: int) -> None:
    damaged = bytearray(encode_entry(entry))
    damaged[position] = octet
    try:
        decoded = decode_entry(bytes(damaged))
    except EntryError:  # the only error a peer's bytes may cause
        return
    assert encode_entry(decoded) == bytes(damaged)


@pytest.mark.parametrize("length", [0, 223, 225, 448])
def test_another_length_is_refused(length: int) -> None:
    with pytest.raises(EntryError, match=f"not {length}"):
        decode_entry(bytes(length))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"observed_at_ms": -1}, "clock"),
        ({"observed_at_ms": 2**53}, "clock"),
        ({"value": 2**63}, "63 bits"),
        ({"value": -(2**63)}, "63 bits"),
        ({"device": bytes(31)}, "31, 32 and 16"),
        ({"detail_digest": bytes(33)}, "32, 33 and 16"),
        ({"salt": bytes(15)}, "32, 32 and 15"),
        ({"kind": 0}, "1 to 6"),
        ({"kind": 7}, "1 to 6"),
        ({"quantity": ""}, "1 to 32"),
        ({"quantity": "1-0:1.8.0*20261201" + "x" * 15}, "1 to 32"),
        ({"quantity": "Lift.mode"}, "lower-case"),
        ({"quantity": "lift mode"}, "lower-case"),
        ({"quantity": "lift.mode\n"}, "lower-case"),
        ({"quantity": "能.量"}, "lower-case"),
        ({"kind": Kind.ACCESS, "quantity": "access.granted", "value": 2}, "is 1, not 2"),
        ({"kind": Kind.VISIT, "quantity": "visit", "value": 5}, "0 to 4"),
        ({"kind": Kind.VISIT, "quantity": "visit", "value": 1, "detail_digest": NO_DETAIL}, "cannot be zero"),
        ({"kind": Kind.BEACON, "quantity": "block:1", "value": -1}, "block number"),
        ({"kind": Kind.BEACON, "quantity": "block:1", "value": 1, "detail_digest": NO_DETAIL}, "cannot be zero"),
    ],
)
def test_fields_that_are_no_entry_are_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(EntryError, match=says):
        replace(READING, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "quantity"),
    [
        (Kind.READING, "lift.mode"),
        (Kind.READING, "1-0:1.8"),
        (Kind.READING, "1-0:1.8.0.255"),
        (Kind.READING, "1-0:01.8.0"),
        (Kind.READING, "1-0:256.8.0"),
        (Kind.READING, "1-0:1.8.0*2026121"),
        (Kind.READING, "1-0:1.8.0*20261301"),
        (Kind.READING, "1-0:1.8.0*20260230"),
        (Kind.READING, "1-0:1.8.0*"),
        (Kind.READING, "1-0:1.8.0*20261201*20261201"),
        (Kind.STATUS, "lift.mode*20261201"),
        (Kind.STATUS, "1-0:1.8.0"),
        (Kind.STATUS, ".mode"),
        (Kind.STATUS, "lift..mode"),
        (Kind.ACCESS, "door.granted"),
        (Kind.VISIT, "visit.verdict"),
        (Kind.GATEWAY, "epoch:open"),
        (Kind.BEACON, "block:0"),
        (Kind.BEACON, "block:01"),
        (Kind.BEACON, "block"),
    ],
)
def test_a_quantity_of_another_kind_is_refused(kind: Kind, quantity: str) -> None:
    with pytest.raises(QuantityError, match="quantity"):
        Series(kind, METER, quantity)


@pytest.mark.parametrize("position", [0, 30, 64, 87, 120, 128, 151, 208, 223])
def test_a_set_padding_byte_is_refused(position: int) -> None:
    damaged = bytearray(encode_entry(READING))
    damaged[position] ^= 0x80
    with pytest.raises(EntryError, match=r"padding|1 to 32|ASCII"):
        decode_entry(bytes(damaged))


def test_a_zero_inside_a_quantity_is_refused() -> None:
    damaged = bytearray(encode_entry(READING))
    damaged[3 * 32 + 4] = 0
    with pytest.raises(EntryError, match="lower-case printable"):
        decode_entry(bytes(damaged))


def test_many_entries_name_the_first_that_is_broken() -> None:
    encoded = encode_entry(READING)
    broken = encoded[:-1] + b"\x01"
    assert decode_rows(memoryview(encoded * 3)) == [READING.row] * 3
    with pytest.raises(EntryError, match="entry 2 of the block: a padding byte"):
        decode_rows(encoded * 2 + broken)
    with pytest.raises(EntryError, match="no whole number"):
        decode_rows(encoded + b"\x00")


def test_every_refusal_is_an_error_of_the_ground_floor() -> None:
    assert issubclass(QuantityError, EntryError)
    assert issubclass(EntryError, ContractsError)
