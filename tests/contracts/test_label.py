"""Labels and the rotating code: what people type, cameras read and a gateway believes."""

import re
from hashlib import sha256

import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st

from contracts.label import (
    ALPHABET,
    LabelError,
    label_digest,
    label_link,
    new_code,
    parse_code,
    parse_link,
    printed,
)
from contracts.rotating import (
    Moment,
    RotatingCodeError,
    display_link,
    format_moment,
    is_token,
    parse_moment,
    slot_at,
    token,
    token_of,
    token_text,
)

BASE = "https://minglou.site"  # 15 characters of host
CODES = st.binary(min_size=8, max_size=8).map(new_code)
MOMENTS = st.builds(Moment, st.integers(1, 32**7 - 1), st.binary(min_size=8, max_size=8))
SECRET, LIFT = sha256(b"secret").digest(), sha256(b"lift").digest()


@given(CODES)
def test_a_code_survives_print_and_typing(code: str) -> None:
    assert re.fullmatch(f"[{ALPHABET}]{{12}}", code)
    typed = printed(code).upper().replace("1", "I").replace("0", "o").replace("-", " ")
    assert parse_code(typed) == code
    assert parse_link(label_link(BASE, code)).code == code


def test_a_code_holds_sixty_of_its_random_bits() -> None:
    assert new_code(bytes(8)) == "000000000000"
    assert new_code(b"\xff" * 8) == "zzzzzzzzzzzz"
    assert new_code(bytes(7) + b"\x0f") == "000000000000"
    assert new_code(bytes(7) + b"\x10") == "000000000001"


@pytest.mark.parametrize("typed", ["", "4k7mq2xd90b", "4k7mq2xd90bzz", "4k7mq2xd90bu", "é" * 12, "4" * 65, " " * 99])
def test_what_is_no_code_is_refused(typed: str) -> None:
    with pytest.raises(LabelError, match="is no code"):
        parse_code(typed)


@pytest.mark.parametrize(
    "text",
    ["", "4k7mq2xd90bz", "https://minglou.site/lifts/4k7mq2xd90bz", "javascript:alert(1)//d/4k7mq2xd90bz",
     "https://minglou.site/d/4k7mq2xd90bz?next=1", "https://me@minglou.site/d/4k7mq2xd90bz", "https://minglou.site/d/no",
     "https://minglou.site/d/4k7mq2xd90bz#" + "x" * 65, "https://minglou.site/d/4k7mq2xd90bz#\n"],
)  # fmt: skip
def test_what_is_no_label_s_link_is_refused(text: str) -> None:
    with pytest.raises(LabelError):
        parse_link(text)


@given(CODES, CODES)
def test_a_digest_tells_codes_apart_and_takes_one_spelling(one: str, other: str) -> None:
    assert (label_digest(one) == label_digest(other)) is (one == other)
    with pytest.raises(LabelError, match="one spelling"):
        label_digest(printed(one))


def test_a_link_fits_version_3_at_level_m() -> None:
    link = label_link(BASE, new_code(b"\xa5" * 8))
    assert len(link) == len(BASE) + 15
    assert segno.make_qr(link, error="m", boost_error=False).version <= 3
    shown = display_link(BASE, new_code(b"\xa5" * 8), Moment(slot_at(1_796_119_200), b"\xff" * 8))
    assert segno.make_qr(shown, error="m", boost_error=False).version <= 4


@given(MOMENTS)
def test_a_moment_survives_its_text(moment: Moment) -> None:
    assert parse_moment(format_moment(moment)) == moment
    assert token_of(token_text(moment.token)) == moment.token


@given(MOMENTS, st.integers(0, 20), st.sampled_from(ALPHABET + "uUA-# "))
def test_a_damaged_moment_is_refused_or_still_canonical(moment: Moment, at: int, character: str) -> None:
    text = format_moment(moment)
    damaged = text[:at] + character + text[at + 1 :]
    try:
        read = parse_moment(damaged)
    except RotatingCodeError:
        return
    assert format_moment(read) == damaged


def test_a_code_counts_for_sixty_seconds_from_its_slot() -> None:
    moment = Moment(slot_at(1_796_119_229), bytes(8))
    assert moment.starts_at_s == 1_796_119_200
    told = [moment.is_current(moment.starts_at_s + at) for at in (-1, 0, 30, 59, 60)]
    assert told == [False, True, True, True, False]


def test_a_token_is_that_of_its_secret_device_and_slot() -> None:
    slot = slot_at(1_796_119_200)
    shown = Moment(slot, token(SECRET, LIFT, slot))
    assert is_token(SECRET, LIFT, shown)
    for secret, device, other in (
        (bytes(32), LIFT, shown), (SECRET, bytes(32), shown), (SECRET, LIFT, Moment(slot + 1, shown.token)),
    ):  # fmt: skip
        assert not is_token(secret, device, other)
    with pytest.raises(RotatingCodeError, match="32"):
        token(b"short", LIFT, slot)
