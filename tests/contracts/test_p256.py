"""P-256 against Wycheproof and EIP-7951, strict DER, and the one low s."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import p256
from contracts.errors import ContractsError, KeyFormatError, SignatureError

# RFC 6979, A.2.5: P-256, SHA-256. Each has a high s, so ours is the order minus theirs.
RFC6979_SECRET = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
RFC6979_PUBLIC = (
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
RFC6979 = {
    b"sample": (
        0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716,
        0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8,
    ),
    b"test": (
        0xF1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367,
        0x019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083,
    ),
}
KEY = p256.key_from_secret(RFC6979_SECRET)
PUBLIC = bytes.fromhex(RFC6979_PUBLIC)

numbers = st.one_of(st.integers(1, 300), st.integers(1, p256.ORDER // 2))


def test_wycheproof_signatures_are_judged_as_published(published: Callable[[str], Any]) -> None:
    vectors = published("wycheproof/ecdsa_secp256r1_sha256_p1363_test.json")
    count = high = 0
    for group in vectors["testGroups"]:
        public = bytes.fromhex(group["publicKey"]["uncompressed"])[1:]
        assert p256.public_from_spki(bytes.fromhex(group["publicKeyDer"])) == public
        for case in group["tests"]:
            message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
            is_valid = case["result"] == "valid"
            is_high = len(signature) == 64 and int.from_bytes(signature[32:]) > p256.ORDER // 2
            if is_valid and is_high:  # valid by the book; we take only the other of the pair
                high += 1
                with pytest.raises(KeyFormatError, match="high"):
                    p256.verify(public, message, signature)
                signature = p256.low_s(signature)
            assert _passes(p256.verify, public, message, signature) == is_valid, case["tcId"]
            count += 1
    assert (count, high) == (vectors["numberOfTests"], 70)


def test_eip_7951_cases_are_judged_as_the_precompile_judges(published: Callable[[str], Any]) -> None:
    cases = published("eip7951/test-vectors.json")
    for case in cases:
        octets = bytes.fromhex(case["Input"])
        if len(octets) != 160:
            assert not case["Expected"], case["Name"]
            continue
        passes = _passes(p256.verify_digest, octets[96:], octets[:32], octets[32:96])
        assert passes == bool(case["Expected"]), case["Name"]
    assert len(cases) == 781


def test_a_key_has_its_published_public_point_and_spki() -> None:
    assert p256.public_bytes(KEY) == PUBLIC
    assert p256.public_from_spki(p256.spki(PUBLIC)) == PUBLIC


@pytest.mark.parametrize("message", RFC6979)
def test_a_repeatable_signature_is_rfc_6979s_with_low_s(message: bytes) -> None:
    r, s = RFC6979[message]
    signature = p256.sign(KEY, message, repeatable=True)
    assert signature == r.to_bytes(32) + min(s, p256.ORDER - s).to_bytes(32)
    p256.verify(PUBLIC, message, signature)
    p256.verify(PUBLIC, message, p256.sign(KEY, message))


@given(st.binary(max_size=40), st.integers(0, 511))
def test_a_signature_with_one_changed_bit_is_refused(message: bytes, bit: int) -> None:
    signature = int.from_bytes(p256.sign(KEY, message)) ^ (1 << bit)
    with pytest.raises((SignatureError, KeyFormatError)):
        p256.verify(PUBLIC, message, signature.to_bytes(64))


def test_another_message_or_key_is_refused() -> None:
    signature = p256.sign(KEY, b"message")
    with pytest.raises(SignatureError, match="did not sign this"):
        p256.verify(PUBLIC, b"massage", signature)
    with pytest.raises(SignatureError, match="did not sign this"):
        p256.verify(p256.public_bytes(p256.generate_key()), b"message", signature)


@pytest.mark.parametrize("public", [bytes(64), b"\x01" * 64, PUBLIC[:-1], PUBLIC + b"\x00", b"\xff" * 64])
def test_bytes_that_are_no_point_are_refused(public: bytes) -> None:
    with pytest.raises(KeyFormatError, match=r"no point|64 bytes"):
        p256.spki(public)


@given(numbers, numbers)
def test_der_gives_back_r_and_s(r: int, s: int) -> None:
    signature = r.to_bytes(32) + s.to_bytes(32)
    assert p256.signature_from_der(p256.signature_to_der(signature)) == signature


@given(numbers, numbers, st.integers(0, 80), st.integers(0, 255))
def test_damaged_der_is_refused_or_still_the_one_spelling(r: int, s: int, position: int, octet: int) -> None:
    damaged = bytearray(p256.signature_to_der(r.to_bytes(32) + s.to_bytes(32)))
    damaged[position % len(damaged)] = octet
    try:
        signature = p256.signature_from_der(bytes(damaged))
    except KeyFormatError:
        return
    assert p256.signature_to_der(signature) == bytes(damaged)


@pytest.mark.parametrize(
    ("der", "why"),
    [
        ("3006020101020101" + "00", "a byte behind it"),
        ("308106020101020101", "length in the long form"),
        ("300702020001020101", "a leading zero"),
        ("3006020100020101", "r is zero"),
        ("3006020181020101", "r is negative"),
        ("3006020101020100", "s is zero"),
        ("3006020101", "cut off"),
        ("", "nothing"),
        ("3080020101020101" + "0000", "indefinite length"),
    ],
)
def test_der_that_is_not_strict_is_refused(der: str, why: str) -> None:
    assert p256.signature_from_der(bytes.fromhex("3006020101020101"))
    with pytest.raises(KeyFormatError):
        p256.signature_from_der(bytes.fromhex(der))


def test_high_s_is_refused_in_der_and_in_bytes() -> None:
    r, s = RFC6979[b"sample"]
    high = r.to_bytes(32) + s.to_bytes(32)
    with pytest.raises(KeyFormatError, match="high"):
        p256.check_signature_form(high)
    with pytest.raises(KeyFormatError, match="high"):
        p256.signature_to_der(high)
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    with pytest.raises(KeyFormatError, match="high"):
        p256.signature_from_der(encode_dss_signature(r, s))
    p256.verify(PUBLIC, b"sample", p256.low_s(high))


@pytest.mark.parametrize("password", [None, "明楼 secret".encode()])
def test_a_key_survives_its_pem(password: bytes | None) -> None:
    pem = p256.dump_pem(KEY, password)
    assert p256.public_bytes(p256.load_pem(pem, password)) == PUBLIC
    assert (b"ENCRYPTED" in pem) == (password is not None)


def test_a_pem_that_cannot_be_opened_says_so() -> None:
    from contracts import ed25519

    for pem, password in (
        (p256.dump_pem(KEY, b"right"), b"wrong"),
        (p256.dump_pem(KEY, b"right"), None),
        (p256.dump_pem(KEY), b"none needed"),
        (b"no key", None),
    ):
        with pytest.raises(KeyFormatError, match="check the file and its password"):
            p256.load_pem(pem, password)
    with pytest.raises(KeyFormatError, match="not a P-256 one"):
        p256.load_pem(ed25519.dump_pem(ed25519.generate_key()))
    with pytest.raises(KeyFormatError, match="order"):
        p256.key_from_secret(p256.ORDER)


def test_an_spki_in_another_form_is_refused() -> None:
    der = bytearray(p256.spki(PUBLIC))
    for changed in (der[:-1], der + b"\0", bytes([*der[:26], 0x02, *der[27:]])):
        with pytest.raises(KeyFormatError, match="SubjectPublicKeyInfo"):
            p256.public_from_spki(bytes(changed))


def _passes(verify: Callable[..., None], *arguments: bytes) -> bool:
    try:
        verify(*arguments)
    except ContractsError:
        return False
    return True
