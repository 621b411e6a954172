"""Frames of DL/T 645-2007: captured ones, damaged ones, and a line full of garbage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.dlt645.frame import Frame, FrameScanner, decode_frame, encode_frame
from devices.errors import FrameError

# Captured frames with their meaning; the header of github.com/bobyuxinyang/dlt645_2007 prints them.
READ_IMPORT = bytes.fromhex("68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16")
IMPORT_REPLY = bytes.fromhex("68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33 8A 16")
READ_VOLTS = bytes.fromhex("68 61 01 00 00 00 00 68 11 04 33 34 34 35 17 16")
VOLTS_REPLY = bytes.fromhex("68 61 01 00 00 00 00 68 91 06 33 34 34 35 34 43 10 16")
METER = "000000000161"

addresses = st.text("0123456789", min_size=12, max_size=12)
frames = st.builds(Frame, addresses, st.integers(0, 255), st.binary(max_size=200))


@pytest.mark.parametrize(
    ("captured", "frame"),
    [
        (READ_IMPORT, Frame(METER, 0x11, bytes.fromhex("00000100"))),
        (IMPORT_REPLY, Frame(METER, 0x91, bytes.fromhex("00000100 26000000"))),
        (READ_VOLTS, Frame(METER, 0x11, bytes.fromhex("00010102"))),
        (VOLTS_REPLY, Frame(METER, 0x91, bytes.fromhex("00010102 0110"))),
    ],
)
def test_captured_frames_are_read_and_written(captured: bytes, frame: Frame) -> None:
    assert decode_frame(captured) == frame
    assert encode_frame(frame) == captured


@given(frames)
def test_every_frame_is_read_back(frame: Frame) -> None:
    assert decode_frame(encode_frame(frame)) == frame


@given(frames, st.integers(0, 300), st.integers(0, 255))
def test_a_damaged_frame_is_refused_or_still_canonical(frame: Frame, index: int, byte: int) -> None:
    damaged = bytearray(encode_frame(frame))
    damaged[index % len(damaged)] = byte
    try:
        decoded = decode_frame(bytes(damaged))
    except FrameError:
        return
    assert encode_frame(decoded) == bytes(damaged)


@given(frames, st.data())
def test_a_cut_frame_is_refused(frame: Frame, data: st.DataObject) -> None:
    whole = encode_frame(frame)
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(FrameError):
        decode_frame(whole[:length])


@given(st.lists(frames, max_size=4), st.lists(st.integers(1, 30), min_size=1))
def test_frames_are_found_in_whatever_pieces_they_come(sent: list[Frame], sizes: list[int]) -> None:
    line = b"".join(b"\xfe" * (i % 5) + encode_frame(frame) for i, frame in enumerate(sent))
    scanner = FrameScanner()
    found: list[Frame] = []
    position = turn = 0
    while position < len(line):
        size = sizes[turn % len(sizes)]
        found += scanner.feed(line[position : position + size])
        position, turn = position + size, turn + 1
    assert found == sent
    assert scanner.garbage_bytes == 0
    assert scanner.pending_bytes == 0


@given(st.binary(max_size=60), frames, st.binary(max_size=60))
def test_a_frame_in_garbage_is_found_once_the_line_is_silent(before: bytes, frame: Frame, after: bytes) -> None:
    scanner = FrameScanner()
    found = scanner.feed(before + encode_frame(frame) + after) + scanner.flush()
    hidden_in_garbage = b"\x68" in before[-211:] or b"\x68" in after
    assert frame in found or hidden_in_garbage
    assert scanner.pending_bytes == 0


def test_a_false_start_delays_a_frame_only_until_the_line_is_silent() -> None:
    scanner = FrameScanner()
    false_start = bytes.fromhex("68 00 00 00 00 00 00 68 11 C8")
    assert scanner.feed(false_start + IMPORT_REPLY) == []
    assert scanner.flush() == [decode_frame(IMPORT_REPLY)]
    assert scanner.garbage_bytes == len(false_start)


@given(st.binary(max_size=5000))
def test_the_scanner_never_holds_more_than_one_frame(noise: bytes) -> None:
    scanner = FrameScanner()
    scanner.feed(noise)
    assert scanner.pending_bytes < 212


@pytest.mark.parametrize("address", ["", "161", "00000000016A", "A00000000161", "AAA000000161", "00000000016１"])
def test_an_address_that_no_meter_has_is_refused_with_the_remedy(address: str) -> None:
    with pytest.raises(FrameError, match="write the 12 digits on the meter's plate"):
        encode_frame(Frame(address, 0x11, b""))


def test_wildcard_addresses_travel_as_aa() -> None:
    assert encode_frame(Frame("AAAAAAAA0161", 0x11, b""))[1:7] == bytes.fromhex("6101aaaaaaaa")
