"""A visit with its signatures: every one is its key's over this visit, or the file is refused."""

import copy
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import p256
from contracts.person import KeyKind, PersonSignature, Purpose, key_id_of, person_digest
from contracts.signed_visit import (
    SIGNED_VISIT_BYTES_MAX,
    SignedVisit,
    VisitSignature,
    parse_signed_visit,
    signed_visit_from_json,
    signed_visit_to_json,
    verify_signed_visit,
)
from contracts.visit import VisitError
from tests.visits import CHAIN_ID, CONTRACT, MANAGER, MECHANIC, OTHER, signed, visit_of

START_S = 1_763_000_000
VISIT = visit_of(START_S, mechanics=(MECHANIC, OTHER), manager=MANAGER)
SIGNED = signed(VISIT, MECHANIC, OTHER, MANAGER)
FILE = signed_visit_to_json(SIGNED)


def passkey_signed(
    *, challenge_of: bytes | None = None, flags: int = 5, high_s: bool = False, end: str = ',"crossOrigin":false}'
) -> SignedVisit:
    """One mechanic with a passkey, signing as an authenticator does."""
    visit = visit_of(START_S)
    public = p256.public_bytes(MECHANIC)
    digest = person_digest(
        chain_id=CHAIN_ID, contract=CONTRACT, purpose=Purpose.VISIT, key_id=key_id_of(public), nonce=1,
        deadline=START_S + 1, body_digest=challenge_of or visit.digest(),
    )  # fmt: skip
    challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
    client_data = f'{{"type":"webauthn.get","challenge":"{challenge}","origin":"https://x.example"{end}'.encode()
    data = bytes(32) + bytes([flags]) + bytes(4)
    rs = p256.sign(MECHANIC, data + sha256(client_data).digest())
    r, s = int.from_bytes(rs[:32]), int.from_bytes(rs[32:])
    signature = PersonSignature(
        key_id=key_id_of(public), nonce=1, deadline=START_S + 1, r=r, s=p256.ORDER - s if high_s else s,
        authenticator_data=data, client_data=client_data,
    )  # fmt: skip
    one = VisitSignature(public=public, kind=KeyKind.WEBAUTHN, signature=signature)
    return SignedVisit(chain_id=CHAIN_ID, contract=CONTRACT, visit=visit, signatures=(one,))


def test_two_mechanics_and_a_site_manager_sign_and_the_file_comes_back_as_it_went() -> None:
    verify_signed_visit(SIGNED)
    encoded = json.dumps(FILE, indent=2).encode()
    assert parse_signed_visit(encoded) == SIGNED
    assert len(encoded) < SIGNED_VISIT_BYTES_MAX


@pytest.mark.parametrize("high_s", [False, True])
def test_a_passkey_signs_too_with_either_s(high_s: bool) -> None:
    verify_signed_visit(passkey_signed(high_s=high_s))


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: passkey_signed(flags=1), "present and verified"),
        (lambda: passkey_signed(challenge_of=bytes(32)), "something else"),
        (lambda: passkey_signed(end=',"crossOrigin":true}'), "another site's page"),
        (lambda: passkey_signed(end="]"), "another site's page"),
        (lambda: replace(SIGNED, visit=visit_of(START_S + 1, mechanics=(MECHANIC, OTHER), manager=MANAGER)), "sign"),
        (lambda: replace(SIGNED, contract="0x" + "d2" * 20), "sign"),
        (lambda: replace(SIGNED, chain_id=1), "sign"),
        (lambda: replace(SIGNED, signatures=SIGNED.signatures[::-1]), "signature 1"),
        (lambda: replace(SIGNED, signatures=SIGNED.signatures[:2]), "2 signatures; the record names 3"),
        (lambda: replace(SIGNED, signatures=(SIGNED.signatures[0],) * 3), "one key signs twice"),
    ],
)
def test_what_was_not_signed_so_is_refused(made: Callable[[], SignedVisit], says: str) -> None:
    with pytest.raises(VisitError, match=says):
        verify_signed_visit(made())


def test_a_software_signature_does_not_pass_for_a_passkeys() -> None:
    posing = replace(SIGNED.signatures[0], kind=KeyKind.WEBAUTHN)
    with pytest.raises(VisitError, match="present and verified"):
        verify_signed_visit(replace(SIGNED, signatures=(posing, *SIGNED.signatures[1:])))


def test_a_file_over_its_limit_is_refused() -> None:
    with pytest.raises(VisitError, match="16384 is the limit"):
        parse_signed_visit(b" " * (SIGNED_VISIT_BYTES_MAX + 1))


PATHS = [
    *[(key,) for key in FILE],
    *[("visit", key) for key in FILE["visit"]],
    *[("signatures", 1, key) for key in FILE["signatures"][1]],
]
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=70), st.binary(max_size=70).map(bytes.hex),
    st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


@given(st.sampled_from(PATHS), JUNK)
def test_a_damaged_file_is_refused_with_one_error_or_still_the_same_visit(path: tuple[Any, ...], junk: object) -> None:
    damaged = copy.deepcopy(FILE)
    place: Any = damaged
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = junk
    try:
        found = signed_visit_from_json(damaged)
        verify_signed_visit(found)
    except VisitError:
        return
    assert signed_visit_to_json(found) == damaged == FILE
