"""The W3C's WebAuthn vectors through the EVM, with the precompile and with the fallback verifier."""

from dataclasses import replace
from hashlib import sha256

import pytest

from contracts.person import PersonSignature
from contracts.vyper.compile import artifact
from tests.contracts.vyper.chain import Chain
from tests.contracts.vyper.harness import Harness
from tests.contracts.vyper.site import PRECOMPILE, SECP256R1_ORDER, coordinates, name
from tests.contracts.vyper.webauthn_vectors import ORIGIN, RP_ID_HASH, UV, VECTORS, Vector


@pytest.fixture(scope="module", params=["precompile", "fallback"])
def signatures(request: pytest.FixtureRequest, chain: Chain) -> Harness:
    verifier = PRECOMPILE
    if request.param == "fallback":
        verifier = chain.deploy(chain.accounts[0], artifact("P256Verifier").bytecode)
    return Harness(chain, verifier, contract="Signatures")


def is_accepted(signatures: Harness, vector: Vector, signature: PersonSignature) -> bool:
    x, y = coordinates(vector.key)
    key = (name("unit"), 0, x, y, 1, RP_ID_HASH, ORIGIN)
    return bool(signatures.ask("is_signed_by", key, vector.challenge, signature.abi())[0])


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_the_vectors_are_the_published_ones(vector: Vector) -> None:
    assert vector.is_as_published()


def test_six_of_the_ten_published_assertions_have_a_high_s() -> None:
    assert sum(vector.assertion().s > SECP256R1_ORDER // 2 for vector in VECTORS) == 6


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_every_published_signature_verifies_with_either_s(signatures: Harness, vector: Vector) -> None:
    x, y = coordinates(vector.key)
    made = vector.assertion()
    hashed = sha256(vector.signed).digest()
    for s in (made.s, SECP256R1_ORDER - made.s):
        assert signatures.ask("is_signed", hashed, made.r, s, x, y)[0]
        assert not signatures.ask("is_signed", hashed, made.r, s ^ 1, x, y)[0]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_a_published_assertion_passes_for_a_person_if_it_was_verified_and_in_its_own_frame(
    signatures: Harness, vector: Vector
) -> None:
    expected = bool(vector.flags & UV) and vector.cross_origin == "false"
    made = vector.assertion()
    assert is_accepted(signatures, vector, made) == expected
    assert is_accepted(signatures, vector, replace(made, s=SECP256R1_ORDER - made.s)) == expected
    assert not is_accepted(signatures, vector, replace(made, r=made.r ^ 1))


def test_three_published_assertions_pass_and_seven_are_refused_for_a_reason_of_ours(signatures: Harness) -> None:
    judged = {vector.name: is_accepted(signatures, vector, vector.assertion()) for vector in VECTORS}
    assert [name for name, passed in judged.items() if passed] == [
        "none.ES256.long-credential-id",
        "packed.ES256",
        "tpm.ES256",
    ]
