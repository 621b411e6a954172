"""Lists, presence proofs and bundles: one encoding each, whole or refused, and what a pack asks of a list."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.bundle import BUNDLE_BYTES_MAX, Bundle, BundleError, bundle_to_json, format_bundle, parse_bundle
from contracts.checklist import (
    CHECKLIST_BYTES_MAX,
    Calibration,
    Checklist,
    ChecklistError,
    MeterSwap,
    Part,
    Result,
    challenge_items,
    parse_checklist,
)
from contracts.detail import canonical_json
from contracts.pack import read_pack
from contracts.presence import PRESENCE_BYTES_MAX, Nonce, Presence, PresenceError, parse_presence, presence_to_json
from contracts.signed_visit import signed_visit_to_json, verify_signed_visit
from contracts.visit import NOBODY, VisitClass, VisitError
from tests.bundles import ANNEX_A, bundle_of, bundle_of_three, filled, photo_of, without
from tests.visits import MECHANIC

AT_S = 1_796_119_200
PACK = read_pack(ANNEX_A)
BUNDLE = bundle_of_three(AT_S)
FILE = bundle_to_json(BUNDLE)
LIST = filled(PACK, VisitClass.HALF_MONTH, at_s=AT_S)
assert BUNDLE.checklist and BUNDLE.presence
PROOF = BUNDLE.presence


def changed(checklist: Checklist, code: str, **changes: Any) -> Checklist:
    ticks = [replace(tick, **changes) if tick.code == code else tick for tick in checklist.items]
    return replace(checklist, items=tuple(ticks))


# ---- the list ----


@pytest.mark.parametrize("visit_class", [each for each in VisitClass if each])
def test_a_filled_list_of_every_class_keeps_to_its_pack_and_comes_back(visit_class: VisitClass) -> None:
    checklist = filled(PACK, visit_class, at_s=AT_S)
    assert parse_checklist(checklist.encode(), PACK) == checklist
    assert checklist.digest() == sha256(checklist.encode()).digest()
    assert len(checklist.done()) == len(PACK.items_of(visit_class))


def test_a_years_list_with_forty_photographs_and_notes_fits() -> None:
    codes = [item.code for item in PACK.items_of(VisitClass.YEAR)]
    year = filled(PACK, VisitClass.YEAR, at_s=AT_S)
    photos = tuple(photo_of(number, AT_S + number) for number in range(40))
    ticks = [
        replace(tick, photos=(number % 40,), note="清洁并调整，间隙正常。" * 3)
        for number, tick in enumerate(year.items)
    ]
    encoded = replace(year, items=tuple(ticks), photos=photos, challenge=(codes[0], codes[1])).encode()
    assert len(encoded) < CHECKLIST_BYTES_MAX
    assert len(parse_checklist(encoded, PACK).photos) == 40


def test_what_goes_with_a_repair_comes_back() -> None:
    day = date(2026, 12, 1)
    pack = read_pack("meter-swap")
    swap = MeterSwap(
        old=bytes([1]) * 32, new=bytes([2]) * 32, quantity="1-0:1.8.0", closing=2**53 - 1, opening=0, day=day
    )
    checklist = replace(
        filled(pack, VisitClass.REPAIR, at_s=AT_S), parts=(Part(name="电能表", count=1),), order=bytes([3]) * 32,
        meter=swap,
        calibration=Calibration(valid_until=day, certificate=bytes([4]) * 32),
    )  # fmt: skip
    assert parse_checklist(checklist.encode(), pack) == checklist


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: changed(LIST, "A-1-06", photos=()), "A-1-06 is a test; photograph"),
        (lambda: changed(LIST, "A-1-29", value=None), "A-1-29 asks for a number"),
        (lambda: changed(LIST, "A-1-29", value=69), "A-1-29 is beyond its limit"),
        (lambda: changed(LIST, "A-1-23", value=11), "A-1-23 is beyond its limit"),
        (lambda: changed(LIST, "A-1-06", result=Result.ABSENT), "absent, yet"),
        (lambda: replace(LIST, items=LIST.items[:-1]), "each of the 31 items"),
        (lambda: replace(LIST, items=LIST.items[::-1]), "each of the 31 items"),
        (lambda: replace(LIST, visit_class=VisitClass.QUARTER), "each of the 44 items"),
        (lambda: replace(LIST, plan=bytes(32)), "another pack"),
    ],
)
def test_a_list_that_its_pack_does_not_allow_is_refused(made: Callable[[], Checklist], says: str) -> None:
    with pytest.raises(ChecklistError, match=says):
        made().check(PACK)


def test_a_fault_beyond_its_limit_and_an_absent_test_are_allowed_and_not_called_done() -> None:
    checklist = without(changed(LIST, "A-1-29", value=60, result=Result.FAULT), "A-1-06")
    checklist.check(PACK)
    assert {"A-1-29", "A-1-06"} & checklist.done() == set()


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: replace(LIST, items=(LIST.items[0], LIST.items[0])), "stands twice"),
        (lambda: replace(LIST, photos=()), "not there"),
        (lambda: replace(LIST, photos=LIST.photos * 2), "photograph stands twice"),
        (lambda: replace(LIST, challenge=("A-4-01",)), "challenged"),
        (lambda: replace(LIST, salt=b""), "salt"),
    ],
)
def test_a_list_that_breaks_its_form_is_refused(made: Callable[[], Checklist], says: str) -> None:
    with pytest.raises(ChecklistError, match=says):
        made()


def test_a_challenge_is_drawn_from_the_token_and_wants_a_photograph() -> None:
    drawn = {challenge_items(bytes([number]) * 8, PACK, VisitClass.HALF_MONTH) for number in range(40)}
    assert len(drawn) > 30 and all(len(set(codes)) == 2 for codes in drawn)
    token = bytes(8)
    codes = challenge_items(token, PACK, VisitClass.HALF_MONTH)
    assert set(codes) - {"A-1-06"} <= set(LIST.unanswered(token, PACK))
    answered = filled(PACK, VisitClass.HALF_MONTH, at_s=AT_S, challenge=codes)
    answered.check(PACK)
    assert answered.unanswered(token, PACK) == ()
    assert without(answered, codes[0]).unanswered(token, PACK) == ()  # what a lift does not have cannot be photographed
    with pytest.raises(ChecklistError, match="8 bytes"):
        challenge_items(bytes(7), PACK, VisitClass.YEAR)


# ---- the proof ----


def test_a_proof_comes_back_and_tells_each_persons_stay() -> None:
    proof = replace(PROOF, nonce=Nonce(value=bytes(16), at_s=AT_S), inside=True)
    assert parse_presence(proof.encode()) == proof
    assert len(proof.encode()) < PRESENCE_BYTES_MAX
    assert proof.dwell_s(0) == 35 * 60 - 5
    assert proof.dwell_s(2) is None
    assert len(proof.moments_of(0)) == 2 and proof.moments_of(2) == ()
    assert proof.first_token() == proof.moments_of(0)[0].token
    left = tuple(replace(scan, sense="out") for scan in proof.scans)
    assert replace(proof, scans=left).first_token() is None, "who comes by the display as he leaves has closed his list"


def test_a_proof_names_no_place_of_a_phone() -> None:
    with pytest.raises(PresenceError, match="unknown place"):
        parse_presence(canonical_json(presence_to_json(PROOF) | {"place": "30.27,120.15"}))


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: replace(PROOF, device=bytes(32)), "another device"),
        (lambda: replace(PROOF, scans=(replace(PROOF.scans[0], at_s=AT_S - 601),)), "outside the visit"),
        (lambda: replace(PROOF, nonce=Nonce(value=bytes(16), at_s=AT_S + 2701)), "outside the visit"),
    ],
)
def test_a_proof_of_another_visit_is_refused(made: Callable[[], Presence], says: str) -> None:
    with pytest.raises(PresenceError, match=says):
        made().check(BUNDLE.visit)


def test_a_signer_whom_the_record_does_not_name_is_refused() -> None:
    alone = bundle_of(AT_S, MECHANIC)
    with pytest.raises(PresenceError, match="beyond the record"):
        PROOF.check(alone.visit)


# ---- the bundle ----


def test_a_bundle_comes_back_and_its_signatures_hold() -> None:
    parsed = parse_bundle(format_bundle(BUNDLE))
    assert parsed == BUNDLE
    verify_signed_visit(parsed.signed)
    assert parsed.checklist
    parsed.checklist.check(PACK)
    assert parse_bundle(json.dumps(FILE, indent=1).encode()) == BUNDLE


def test_a_bare_signed_visit_is_taken_without_list_and_proof() -> None:
    encoded = json.dumps(signed_visit_to_json(BUNDLE.signed)).encode()
    bare = parse_bundle(encoded)
    assert (bare.checklist, bare.presence) == (None, None)
    assert bundle_to_json(bare)["format"] == "minglou-signed-visit/1"


def test_a_visit_without_a_proof_has_none_in_its_bundle() -> None:
    absent = bundle_of_three(AT_S, is_present=False)
    assert absent.visit.presence == NOBODY
    assert parse_bundle(format_bundle(absent)).presence is None


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: replace(BUNDLE, checklist=replace(LIST, salt=bytes(16))), "not the one that was signed"),
        (lambda: replace(BUNDLE, presence=None), "presence proof is not the one"),
        (lambda: replace(BUNDLE, presence=replace(PROOF, inside=True)), "presence proof is not the one"),
        (lambda: replace(BUNDLE, checklist=None), "without the filled list"),
        (lambda: bundle_of_three(AT_S, visit_class=VisitClass.QUARTER, checklist=LIST), "another class"),
        (lambda: bundle_of_three(AT_S, pack_name="maker-example", checklist=LIST), "another pack"),
    ],
)
def test_parts_that_the_record_does_not_name_are_refused(made: Callable[[], Bundle], says: str) -> None:
    with pytest.raises(BundleError, match=says):
        made()


def test_a_bundle_over_its_limit_is_refused() -> None:
    with pytest.raises(BundleError, match="40960 is the limit"):
        parse_bundle(b" " * (BUNDLE_BYTES_MAX + 1))


def paths(value: object, begin: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    members: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        members = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value))
    return [path for key, inner in members for path in ((*begin, key), *paths(inner, (*begin, key)))]


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=70),
    st.binary(max_size=40).map(bytes.hex), st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


@settings(max_examples=40)  # each that passes the form verifies three signatures
@given(st.sampled_from(paths(FILE)), JUNK)
def test_a_damaged_bundle_is_refused_with_one_error_or_still_the_same_visit(
    path: tuple[Any, ...], junk: object
) -> None:
    damaged: Any = copy.deepcopy(FILE)
    place = damaged
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = junk
    try:
        found = parse_bundle(json.dumps(damaged).encode())
        verify_signed_visit(found.signed)
    except VisitError:
        return
    assert bundle_to_json(found) == damaged == FILE


@given(st.binary(max_size=200))
def test_random_bytes_are_no_bundle_list_or_proof(octets: bytes) -> None:
    for parse in (parse_bundle, parse_checklist, parse_presence):
        with pytest.raises(VisitError):
            parse(octets)
