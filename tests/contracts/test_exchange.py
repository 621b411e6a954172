"""Between phones: messages in frames of QR codes; arrivals signed on the spot; the hash of what was photographed."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st

from contracts import p256
from contracts.arrival import (
    ARRIVAL_BYTES_MAX,
    Arrival,
    ArrivalError,
    format_arrival,
    parse_arrival,
    sign_arrival,
    verify_arrival,
)
from contracts.bundle import bundle_to_json
from contracts.dhash import PictureError, cells_of, dhash, distance, luminance
from contracts.exchange import (
    ExchangeError,
    Gathering,
    MessageKind,
    decode_base45,
    encode_base45,
    frames_of,
    parse_frame,
)
from contracts.label import Place
from contracts.presence import Scan
from contracts.rotating import VALID_S
from contracts.visit import VisitError
from tests.bundles import bundle_of_three, scan
from tests.visits import ALIASES, CHAIN_ID, CONTRACT, MECHANIC, OTHER

AT_S = 1_796_119_200
MESSAGE = bundle_to_json(bundle_of_three(AT_S))
FRAMES = frames_of(MessageKind.ASK, MESSAGE)
ORDER, DEVICE = bytes([7]) * 32, bytes([8]) * 32


# ---- frames ----


def test_a_message_comes_whole_out_of_frames_in_any_order_and_repeated() -> None:
    frames = [*FRAMES, *FRAMES]
    random.Random(3).shuffle(frames)
    gathering = Gathering()
    told = [gathering.take(frame) for frame in frames]
    assert told[-1] == (len(FRAMES), len(FRAMES))
    assert gathering.done() == (MessageKind.ASK, MESSAGE)


def test_a_message_is_not_done_while_a_frame_is_missing_and_begins_anew_with_another() -> None:
    gathering = Gathering()
    for frame in FRAMES[:-1]:
        gathering.take(frame)
    assert gathering.done() is None
    other = frames_of(MessageKind.SIGN, {"alias": "a"})
    assert gathering.take(other[0]) == (1, 1)
    assert gathering.done() == (MessageKind.SIGN, {"alias": "a"})


def test_a_frame_fits_a_code_that_a_phone_reads_off_another() -> None:
    assert len(FRAMES) < 20
    code = segno.make_qr(max(FRAMES, key=len), error="m", boost_error=False)
    assert (code.mode, code.version) == ("alphanumeric", 15)


def test_frames_of_two_messages_that_share_a_head_are_refused() -> None:
    gathering = Gathering()
    for frame in FRAMES[1:]:
        gathering.take(frame)
    gathering.take(FRAMES[0][:15] + encode_base45(bytes(380)))
    with pytest.raises(ExchangeError, match="do not fit"):
        gathering.done()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda frame: "", id="nothing"),
        pytest.param(lambda frame: "https://minglou.example/d/4k7mq2xd90bz", id="a label's link"),
        pytest.param(lambda frame: frame.lower(), id="small letters"),
        pytest.param(lambda frame: "M1X" + frame[3:], id="another kind"),
        pytest.param(lambda frame: frame[:13] + "00" + frame[15:], id="another count"),
        pytest.param(lambda frame: frame[:15] + ":::", id="no base45"),
        pytest.param(lambda frame: frame[:15] + "A", id="half a pair"),
        pytest.param(lambda frame: frame + "AAA" * 10, id="too long"),
    ],
)
def test_what_else_a_camera_reads_is_no_frame(spoil: Callable[[str], str]) -> None:
    with pytest.raises(ExchangeError):
        parse_frame(spoil(FRAMES[0]))


@given(st.binary(max_size=400))
def test_base45_has_one_text_for_its_bytes(octets: bytes) -> None:
    assert decode_base45(encode_base45(octets)) == octets


def test_base45_is_that_of_its_standard() -> None:
    assert encode_base45(b"AB") == "BB8"  # RFC 9285, 4.3
    assert encode_base45(b"Hello!!") == "%69 VD92EX0"
    assert decode_base45("QED8WEX0") == b"ietf!"
    for text in ("GGW", ":::", "A", "::"):
        with pytest.raises(ExchangeError):
            decode_base45(text)


@given(st.dictionaries(st.text(max_size=5), st.integers(-(2**53) + 1, 2**53 - 1), max_size=40))
def test_any_message_comes_back(message: dict[str, int]) -> None:
    gathering = Gathering()
    for frame in frames_of(MessageKind.JOIN, message):
        gathering.take(frame)
    assert gathering.done() == (MessageKind.JOIN, message)


def test_a_message_that_inflates_beyond_its_limit_is_refused() -> None:
    with pytest.raises(ExchangeError, match="limit"):
        frames_of(MessageKind.ASK, {"note": "x" * 50_000})


# ---- arrivals ----


def arrival(made: Scan | None = None) -> Arrival:
    return Arrival(
        order=ORDER, round=2, device=DEVICE, mechanic=ALIASES[MECHANIC], salt=bytes(16),
        scan=made or scan(0, "in", AT_S, device=DEVICE),
    )  # fmt: skip


SIGNED = sign_arrival(arrival(), MECHANIC, chain_id=CHAIN_ID, contract=CONTRACT, nonce=7, deadline=AT_S + 86_400)


def test_an_arrival_comes_back_with_its_signature() -> None:
    parsed = parse_arrival(format_arrival(SIGNED))
    assert parsed == SIGNED
    verify_arrival(parsed)


@pytest.mark.parametrize(
    "change",
    [
        {"arrival": replace(SIGNED.arrival, order=bytes(32))},
        {"arrival": replace(SIGNED.arrival, round=3)},
        {"arrival": replace(SIGNED.arrival, device=bytes(32))},
        {"arrival": arrival(scan(0, "in", AT_S + 30, device=DEVICE))},
        {"contract": "0x" + "d2" * 20},
        {"signature": replace(SIGNED.signature, public=p256.public_bytes(OTHER))},
    ],
)
def test_an_arrival_that_was_not_signed_so_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ArrivalError, match="does not hold"):
        verify_arrival(replace(SIGNED, **change))


def test_the_time_of_an_arrival_is_that_of_the_displays_code() -> None:
    code = scan(0, "in", AT_S, device=DEVICE)
    assert code.moment is not None
    begins = code.moment.starts_at_s
    for phone_s, at_s in ((begins - 90, begins), (begins + 20, begins + 20), (begins + 500, begins + VALID_S)):
        assert arrival(replace(code, at_s=phone_s)).at_s == at_s
    assert arrival(Scan(by=0, sense="in", place=Place.CAR, way="camera", at_s=AT_S, label=bytes(32))).at_s == AT_S


def test_a_round_that_no_contract_counts_to_is_refused() -> None:
    for round_ in (-1, 2**16):
        with pytest.raises(ArrivalError, match="no round"):
            replace(SIGNED.arrival, round=round_)


def test_leaving_is_no_arrival() -> None:
    with pytest.raises(ArrivalError, match="one in"):
        arrival(scan(0, "out", AT_S, device=DEVICE))
    with pytest.raises(VisitError, match="limit"):
        parse_arrival(b" " * (ARRIVAL_BYTES_MAX + 1))


# ---- photographs ----

WIDTH, HEIGHT = 90, 80


def picture(shade: int = 0) -> list[int]:
    rng = random.Random(11)
    blocks = [rng.randrange(40, 216) for _ in range(72)]
    return [blocks[9 * (y // 10) + x // 10] + shade for y in range(HEIGHT) for x in range(WIDTH)]


def hash_of(grey: list[int], width: int = WIDTH, height: int = HEIGHT) -> bytes:
    return dhash(cells_of(grey, width, height))


def test_a_picture_keeps_its_hash_when_it_is_brighter_or_twice_as_large() -> None:
    doubled = [
        value for y in range(HEIGHT) for _ in (0, 1) for value in picture()[y * WIDTH : (y + 1) * WIDTH] for _ in (0, 1)
    ]
    assert hash_of(picture(shade=30)) == hash_of(picture())
    assert hash_of(doubled, 2 * WIDTH, 2 * HEIGHT) == hash_of(picture())
    mirrored = [value for y in range(HEIGHT) for value in reversed(picture()[y * WIDTH : (y + 1) * WIDTH])]
    assert distance(hash_of(mirrored), hash_of(picture())) > 10


def test_the_hash_is_that_of_its_definition() -> None:
    rising = [column for _ in range(8) for column in range(9)]
    assert dhash(rising) == b"\xff" * 8
    assert dhash([8 - value for value in rising]) == bytes(8)
    assert dhash([*range(9), *[0] * 63]) == b"\xff" + bytes(7)
    assert cells_of([0, 1, 2, 3, 4, 5, 6, 7, 8] * 8, 9, 8) == tuple(rising)
    assert (luminance(255, 255, 255), luminance(0, 255, 0)) == (255, 149)


def test_a_picture_below_the_grid_is_refused() -> None:
    with pytest.raises(PictureError):
        cells_of([0] * 64, 8, 8)
    with pytest.raises(PictureError):
        dhash([0] * 71)
    with pytest.raises(PictureError):
        distance(bytes(8), bytes(7))
