"""Visit records: one spelling each in bytes and JSON, and the digest that entry and signatures share."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.person import Purpose
from contracts.visit import (
    NOBODY,
    Visit,
    VisitClass,
    VisitError,
    decode_visit,
    format_visit,
    parse_visit,
    visit_to_json,
)
from tests.vectors.visit_cases import visit

QUARTERLY = visit(VisitClass.QUARTER)
WORDS = st.binary(min_size=32, max_size=32).filter(any)


@st.composite
def visits(draw: st.DrawFn) -> Visit:
    people = draw(st.lists(WORDS, min_size=2, max_size=3, unique=True))
    started = draw(st.integers(1, 2**40 - 86_401))
    return Visit(
        device=draw(WORDS),
        plan=draw(WORDS),
        visit_class=draw(st.sampled_from(VisitClass)),
        checklist=draw(WORDS),
        started_at_s=started,
        ended_at_s=started + draw(st.integers(0, 86_400)),
        presence=draw(st.one_of(WORDS, st.just(NOBODY))),
        mechanics=tuple(people[1:]),
        manager=draw(st.sampled_from([people[0], NOBODY])),
        salt=draw(st.binary(min_size=16, max_size=16)),
    )


@given(visits())
def test_a_visit_survives_its_bytes_and_its_file(record: Visit) -> None:
    assert decode_visit(record.encode()) == record
    assert parse_visit(format_visit(record)) == record
    assert record.digest() == sha256(record.encode()).digest()


@given(visits(), st.integers(0, 351), st.integers(0, 255))
def test_a_damaged_record_is_refused_or_still_canonical(record: Visit, index: int, byte: int) -> None:
    damaged = bytearray(record.encode())
    damaged[index] = byte
    try:
        decoded = decode_visit(bytes(damaged))
    except VisitError:
        return
    assert decoded.encode() == bytes(damaged)


def test_the_body_of_each_signature_is_the_record_itself() -> None:
    assert Purpose.VISIT.body_digest(*QUARTERLY.abi()) == QUARTERLY.digest()
    assert Purpose.COUNTERSIGN_VISIT.body_digest(*QUARTERLY.abi()) == QUARTERLY.digest()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"device": NOBODY}, "never zero"),
        ({"checklist": bytes(31)}, "32 bytes"),
        ({"salt": bytes(32)}, "the salt has 16"),
        ({"visit_class": 5}, "class 5"),
        ({"started_at_s": QUARTERLY.ended_at_s + 1}, "no stretch of time"),
        ({"started_at_s": QUARTERLY.ended_at_s - 86_401}, "at most 86400"),
        ({"ended_at_s": 2**40}, "no stretch of time"),
        ({"mechanics": ()}, "0 mechanics"),
        ({"mechanics": (bytes(32),)}, "without an alias"),
        ({"mechanics": (b"\1" * 32, b"\2" * 32, b"\3" * 32)}, "3 mechanics"),
        ({"mechanics": (b"\1" * 32, b"\1" * 32)}, "stands twice"),
        ({"manager": QUARTERLY.mechanics[0]}, "stands twice"),
    ],
)
def test_a_record_that_breaks_a_rule_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(VisitError, match=says):
        replace(QUARTERLY, **change)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "minglou-visit/2"}, "format"),
        ({"class": "quarterly"}, "class"),
        ({"device": "AA" * 32}, "device"),
        ({"started_at": "1796119200"}, "started_at"),
        ({"started_at": True}, "started_at"),
        ({"mechanics": ["a1" * 32] * 3}, "mechanics"),
        ({"place": "30.27,120.15"}, "unknown place"),
    ],
)
def test_a_file_of_another_spelling_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(VisitError, match=says):
        parse_visit(json.dumps(visit_to_json(QUARTERLY) | change).encode())


def test_a_file_that_is_too_long_or_no_json_is_refused() -> None:
    with pytest.raises(VisitError, match="limit"):
        parse_visit(b" " * 4097)
    with pytest.raises(VisitError, match="not JSON"):
        parse_visit(b"{")
