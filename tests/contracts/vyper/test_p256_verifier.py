"""The fallback verifier against the precompile, the standard's own formulas and the published vectors.

The same vectors go through the precompile at 0x100: where both are asked, both must answer alike, byte for byte.
"""

import hashlib
import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from contracts import p256
from contracts.abi import Call
from contracts.vyper.compile import artifact
from tests.contracts.vyper.chain import Chain
from tests.contracts.vyper.harness import Harness
from tests.contracts.vyper.p256_curve import ORDER, Case, P, case_of_sum, corners, is_signed, point_with_x
from tests.contracts.vyper.site import PRECOMPILE, coordinates, key_of

SEED_BASE = int(os.environ.get("MINGLOU_SEED_BASE", "0"))
SEEDS = int(os.environ.get("MINGLOU_SEEDS", "2"))
ONE = (1).to_bytes(32)
EIP_7951 = "eip7951/test-vectors.json"
WYCHEPROOF = "wycheproof/ecdsa_secp256r1_sha256_p1363_test.json"


@pytest.fixture(scope="module")
def fallback(chain: Chain) -> str:
    return chain.deploy(chain.accounts[0], artifact("P256Verifier").bytecode)


@pytest.fixture(scope="module", params=["precompile", "fallback"])
def verifier(request: pytest.FixtureRequest) -> str:
    return PRECOMPILE if request.param == "precompile" else str(request.getfixturevalue("fallback"))


def signed_cases(count: int, seed: int) -> list[Case]:
    """Real signatures, every other one with its high s."""
    rng = random.Random(seed)
    cases = []
    for number in range(count):
        key, message = key_of(rng.randrange(1, ORDER)), rng.randbytes(rng.randrange(80))
        signature = p256.sign(key, message)
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
        digest = int.from_bytes(hashlib.sha256(message).digest())
        cases.append(Case(f"signature {number}", digest, r, ORDER - s if number % 2 else s, *coordinates(key)))
    return cases


def answer_of(chain: Chain, verifier: str, given: bytes) -> bytes:
    return chain.view(Call(to=verifier, data=given))


@pytest.mark.parametrize("case", corners(), ids=lambda case: case.name)
def test_the_verifier_answers_the_corners_as_the_standard_does(chain: Chain, verifier: str, case: Case) -> None:
    expected = ONE if is_signed(*case.numbers) else b""
    assert answer_of(chain, verifier, case.encode()) == expected


def test_the_corners_hold_signatures_to_accept_and_to_refuse() -> None:
    judged = [is_signed(*case.numbers) for case in corners()]
    assert judged.count(True) >= 14
    assert judged.count(False) >= 11


def test_real_signatures_are_accepted_and_damaged_ones_are_not(chain: Chain, verifier: str) -> None:
    rng = random.Random(2)
    for case in signed_cases(12, seed=1):
        given = case.encode()
        assert answer_of(chain, verifier, given) == ONE, case
        damaged = bytearray(given)
        damaged[rng.randrange(160)] ^= 1 << rng.randrange(8)
        assert answer_of(chain, verifier, bytes(damaged)) == b"", case


@pytest.mark.parametrize("seed", range(SEED_BASE, SEED_BASE + SEEDS))
def test_sums_of_every_pattern_are_the_standards(chain: Chain, fallback: str, seed: int) -> None:
    """Digits that are sparse, dense, equal or carry: many seeds in `make soak`."""
    rng = random.Random(seed)
    for _ in range(8):
        total = point_with_x(rng.randrange(P))
        case = case_of_sum("drawn", u1=scalar(rng), u2=scalar(rng) % (ORDER - 1) + 1, total=total)
        damaged = Case("damaged", *case.numbers[:1], (case.r + rng.choice((-1, 1))) % 2**256, *case.numbers[2:])
        for each in (case, damaged):
            expected = ONE if is_signed(*each.numbers) else b""
            assert answer_of(chain, fallback, each.encode()) == expected, each
            assert answer_of(chain, PRECOMPILE, each.encode()) == expected, each


def scalar(rng: random.Random) -> int:
    """A number whose hexadecimal digits follow a pattern."""
    digit = rng.choice("0178f")
    repeated = int(digit * 64, 16)
    for _ in range(rng.randrange(4)):
        repeated ^= rng.randrange(256) << rng.randrange(248)
    return rng.choice((repeated % ORDER, rng.randrange(ORDER), ORDER - rng.randrange(1, 300), rng.randrange(300)))


@pytest.mark.parametrize("length", [0, 1, 4, 32, 128, 159, 161, 192, 500])
def test_any_other_length_gets_the_empty_answer_and_no_revert(chain: Chain, verifier: str, length: int) -> None:
    given = (signed_cases(1, seed=3)[0].encode() * 4)[:length]
    assert answer_of(chain, verifier, given) == b""


def test_every_eip_7951_vector_gets_its_exact_answer(
    chain: Chain, verifier: str, published: Callable[[str], Any]
) -> None:
    vectors = published(EIP_7951)
    assert len(vectors) == 781
    for vector in vectors:
        answer = answer_of(chain, verifier, bytes.fromhex(vector["Input"]))
        assert answer.hex() == vector["Expected"], vector["Name"]


def test_every_wycheproof_signature_gets_its_verdict(
    chain: Chain, verifier: str, published: Callable[[str], Any]
) -> None:
    judged = 0
    for group in published(WYCHEPROOF)["testGroups"]:
        key = bytes.fromhex(group["publicKey"]["uncompressed"])[1:]
        for case in group["tests"]:
            digest = hashlib.sha256(bytes.fromhex(case["msg"])).digest()
            # A signature of another length makes an input of another length, which both answer with nothing.
            answer = answer_of(chain, verifier, digest + bytes.fromhex(case["sig"]) + key)
            assert answer == (ONE if case["result"] == "valid" else b""), case["tcId"]
            judged += 1
    assert judged >= 241


def test_a_contract_with_the_fallback_configured_verifies_as_with_the_precompile(chain: Chain, fallback: str) -> None:
    harness = Harness(chain, fallback)
    for case in signed_cases(2, seed=5):
        digest, r, s, x, y = case.numbers
        assert harness.ask("is_signed", digest.to_bytes(32), r, s, x, y) == (True, s <= ORDER // 2)
        assert harness.ask("is_signed", digest.to_bytes(32), r, s, x, y ^ 1) == (False, False)
