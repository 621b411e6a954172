"""A gateway is proposed only when its identity is whole and its claim code is the one on its screen."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from contracts.p256 import generate_key, public_bytes, spki
from provisioning.enrolment import check_claim, claims_file, parse_identity
from provisioning.errors import EnrolmentError
from provisioning.site import Site

ORIGIN = "demo.minglou.example/cuiyuan/b07/e0"


def identity_text(**changes: str) -> str:
    public = public_bytes(generate_key())
    document = {
        "origin": ORIGIN,
        "public": public.hex(),
        "class": "file",
        "claim_code": "k3j9-77aa",
        "spki": spki(public).hex(),
        "fingerprint": sha256(spki(public)).hexdigest(),
    }
    return json.dumps(document | changes)


def test_a_whole_identity_with_the_shown_code_is_accepted(site: Site) -> None:
    identity = parse_identity(identity_text())
    check_claim(identity, site, " k3j9-77aa\n")
    assert identity.key_class == "file"


def test_another_gateways_code_is_refused(site: Site) -> None:
    with pytest.raises(EnrolmentError, match="read both from the same gateway"):
        check_claim(parse_identity(identity_text()), site, "k3j9-77ab")


def test_a_log_that_the_site_file_does_not_know_is_refused(site: Site) -> None:
    identity = parse_identity(identity_text(origin="demo.minglou.example/cuiyuan/b08/e0"))
    with pytest.raises(EnrolmentError, match="is not in the site file"):
        check_claim(identity, site, "k3j9-77aa")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"public": "00" * 64}, "is damaged"),
        ({"public": "zz"}, "is damaged"),
        ({"fingerprint": "00" * 32}, "do not belong together"),
        ({"spki": "3059"}, "do not belong together"),
        ({"class": "quantum"}, "is none of file, token, attested"),
        ({"claim_code": "x" * 5000}, "longer than 4096 bytes"),
    ],
)
def test_a_damaged_identity_is_refused(changes: dict[str, str], says: str) -> None:
    with pytest.raises(EnrolmentError, match=says):
        parse_identity(identity_text(**changes))


@pytest.mark.parametrize("text", ["", "[]", "null", '{"origin": "a"}'])
def test_what_is_no_identity_is_refused(text: str) -> None:
    with pytest.raises(EnrolmentError, match="copy what"):
        parse_identity(text)


def test_the_claims_file_holds_digests_only() -> None:
    identity = parse_identity(identity_text())
    text = claims_file([identity])
    assert identity.claim_code not in text
    assert json.loads(text) == {ORIGIN: sha256(b"k3j9-77aa").hexdigest()}
